/* SPDX-License-Identifier: Apache-2.0 */
/* See target.h. */
#include "server/status/target.h"

#include <string.h>

#include "est/wire/base64.h"

/* Octets of the longest request in base64. */
#define BASE64_MAX (STATUS_OCSP_REQUEST_MAX / 3 * 4 + 8)

struct status_target status_target_of(const char *base, const char *path) {
    static const char ocsp[] = "/ocsp";
    size_t n = strlen(base), ocsp_n = sizeof ocsp - 1;
    const struct status_target nothing = {STATUS_NOTHING, ""};
    if (strncmp(path, base, n) != 0 || path[n] != '/')
        return nothing;
    path += n;
    if (strncmp(path, ocsp, ocsp_n) == 0 && (path[ocsp_n] == '/' || path[ocsp_n] == '\0'))
        return (struct status_target){STATUS_OCSP, path + ocsp_n + (path[ocsp_n] == '/')};
    if (strchr(path + 1, '/') || path[1] == '\0')
        return nothing;
    return (struct status_target){STATUS_FILE, path + 1};
}

bool status_target_allows(const struct status_target *target, const char *method,
                          const char **ret_allow) {
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (target->kind == STATUS_OCSP && target->rest[0] == '\0') {
        *ret_allow = "POST";
        return strcmp(method, "POST") == 0;
    }
    *ret_allow = "GET, HEAD";
    return reads;
}

static enum tm_err unescape(const char *text, struct buf *out) {
    for (; *text; text++) {
        uint8_t octet = (uint8_t)*text;
        size_t n = 0;
        if (*text == '%') {
            char hex[3] = {text[1], text[1] ? text[2] : '\0', '\0'};
            if (hex_decode(hex, &octet, 1, &n) || n != 1)
                return TM_EPARSE;
            text += 2;
        }
        buf_put_u8(out, octet);
    }
    return out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err status_target_request(const char *rest, struct buf *out) {
    uint8_t text[BASE64_MAX];
    struct buf base64 = BUF_ON(text);
    enum tm_err err = unescape(rest, &base64);
    return err ? err : est_base64_decode(buf_bytes(&base64), out);
}
