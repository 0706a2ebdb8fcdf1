/* SPDX-License-Identifier: Apache-2.0 */
/* What a load starts from: devices with their secrets, and trust anchors. See client/fleet/load.h.
 */
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "client/fleet/load.h"

#define BLANKS " \t\r\n"

AUTO_DEFINE(FILE, fclose)
AUTO_DEFINE(X509, X509_free)

/* ---- devices ---- */

struct logins {
    struct fleet_login *rows;
    size_t count, room;
};

void fleet_logins_free(struct fleet_login *logins, size_t count) {
    if (logins)
        bytes_wipe(logins, count * sizeof *logins);
    free(logins);
}

/* realloc would leave secrets behind. */
static enum tm_err grow(struct logins *logins) {
    size_t room = logins->room ? 2 * logins->room : 64;
    struct fleet_login *more = calloc(room, sizeof *more);
    if (!more)
        return TM_ENOMEM;
    if (logins->count)
        memcpy(more, logins->rows, logins->count * sizeof *more);
    fleet_logins_free(logins->rows, logins->count);
    logins->rows = more;
    logins->room = room;
    return TM_OK;
}

/* Takes the line apart in its place. */
static enum tm_err add_line(struct logins *logins, char *line) {
    char *rest = NULL;
    const char *id = strtok_r(line, BLANKS, &rest);
    const char *secret = strtok_r(NULL, BLANKS, &rest);
    if (!id || !secret || strtok_r(NULL, BLANKS, &rest) || strlen(id) > TM_DEVICE_ID_MAX ||
        strlen(secret) > FLEET_SECRET_MAX)
        return TM_EPARSE;
    enum tm_err err = logins->count == logins->room ? grow(logins) : TM_OK;
    if (err)
        return err;
    struct fleet_login *row = &logins->rows[logins->count++];
    TEXT_SET(row->id, id);
    TEXT_SET(row->secret, secret);
    return TM_OK;
}

static enum tm_err add_lines(struct logins *logins, FILE *in) {
    AUTO_MEM char *line = NULL;
    size_t room = 0;
    ssize_t n;
    enum tm_err err = TM_OK;
    while (!err && (n = getline(&line, &room, in)) >= 0) {
        err = strlen(line) == (size_t)n ? add_line(logins, line) : TM_EPARSE;
        bytes_wipe(line, room);
    }
    if (!err && ferror(in))
        err = TM_EIO;
    return !err && logins->count == 0 ? TM_EPARSE : err;
}

enum tm_err fleet_logins_read(FILE *in, struct fleet_login **ret_logins, size_t *ret_count) {
    struct logins logins = {0};
    enum tm_err err = add_lines(&logins, in);
    if (err) {
        fleet_logins_free(logins.rows, logins.count);
        return err;
    }
    *ret_logins = logins.rows;
    *ret_count = logins.count;
    return TM_OK;
}

/* ---- trust anchors ---- */

enum tm_err fleet_anchors_read(const char *path, struct buf *out) {
    AUTO(FILE) file = fopen(path, "r");
    size_t before = out->n;
    while (file) {
        AUTO(X509) certificate = PEM_read_X509(file, NULL, NULL, NULL);
        uint8_t *der = NULL;
        int n = certificate ? i2d_X509(certificate, &der) : 0;
        if (n <= 0)
            break;
        buf_put(out, (struct bytes){der, (size_t)n});
        OPENSSL_free(der);
    }
    return out->n == before || out->full ? TM_ENOTFOUND : TM_OK;
}
