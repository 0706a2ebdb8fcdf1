/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the status face: whatever they are, what comes out of one names no other folder, and an
 * OCSP request in one is the same however it is escaped. */
#include <stdlib.h>
#include <string.h>

#include "server/status/name.h"
#include "server/status/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_MAX_HERE 8192

static void require(bool condition) {
    if (!condition)
        abort();
}

/* Every octet escaped. */
static void check_escaped(const char *rest, struct bytes request) {
    static char escaped[3 * PATH_MAX_HERE + 1];
    static uint8_t memory[STATUS_OCSP_REQUEST_MAX];
    struct buf again = BUF_ON(memory);
    size_t n = 0;
    if (strchr(rest, '%'))
        return;
    for (const char *at = rest; *at; at++, n += 3) {
        escaped[n] = '%';
        require(hex_encode((struct bytes){(const uint8_t *)at, 1}, escaped + n + 1, 3) == TM_OK);
    }
    escaped[n] = '\0';
    require(status_target_request(escaped, &again) == TM_OK);
    require(bytes_equal(buf_bytes(&again), request));
}

static void check_ocsp(const char *rest) {
    static uint8_t memory[STATUS_OCSP_REQUEST_MAX];
    struct buf request = BUF_ON(memory);
    if (status_target_request(rest, &request) == TM_OK)
        check_escaped(rest, buf_bytes(&request));
}

static void check_file(const char *name) {
    enum ipc_publish_kind kind;
    require(!strchr(name, '/') && name[0] != '\0');
    if (status_name_kind(name, &kind) == TM_OK)
        require(!strchr(name, '%') && strlen(name) <= STATUS_NAME_MAX);
}

static void check(const char *base, const char *path) {
    const char *allow = NULL;
    struct status_target target = status_target_of(base, path);
    if (target.kind == STATUS_NOTHING)
        return;
    require(strncmp(path, base, strlen(base)) == 0);
    require(!status_target_allows(&target, "DELETE", &allow) && allow);
    if (target.kind == STATUS_OCSP)
        check_ocsp(target.rest);
    else
        check_file(target.rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[PATH_MAX_HERE + 1];
    if (size > PATH_MAX_HERE)
        return 0;
    memcpy(path, data, size);
    path[size] = '\0';
    check("", path);
    check("/pki/v1", path);
    return 0;
}
