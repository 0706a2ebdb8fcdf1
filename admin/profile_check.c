/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles' files, trial issue and what differs: see profile_command.h. */
#include <string.h>

#include <openssl/x509.h>

#include "admin/profile_command.h"
#include "admin/render.h"
#include "base/auto.h"
#include "base/clock.h"
#include "ca/profile_trial.h"
#include "conf/value.h"

typedef struct ca_trial ca_trial;
AUTO_DEFINE(ca_trial, ca_trial_free)
AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(json_t, json_decref)

static int refused(const char *path, const char *text) {
    fprintf(stderr, "touchmark: %s%s%s\n", path ? path : "", path ? ": " : "", text);
    return ADMIN_EXIT_REFUSED;
}

int profile_file_read(const char *path, struct profile_file *ret_file) {
    struct profile_file file = {.path = path};
    char error[CONF_ERROR_MAX];
    enum tm_err err = conf_read_file(path, &file.text, &file.n, error);
    if (!err)
        err = ca_profile_load_text(file.text, file.n, path, &file.profile, error);
    if (!err) {
        *ret_file = file;
        return EX_OK;
    }
    free(file.text);
    return refused(NULL, error);
}

void profile_file_free(struct profile_file *file) {
    free(file->text);
    ca_profile_free(&file->profile);
}

char *profile_path(const char *folder, const char *name) {
    char *path;
    return asprintf(&path, "%s/%s.yaml", folder, name) < 0 ? NULL : path;
}

/* ---- trial issue ---- */

/* Validity, subject and extensions as OpenSSL reads them, which is not who wrote them. */
static int print_certificate(struct bytes der, FILE *out) {
    static const unsigned long without =
        X509_FLAG_NO_HEADER | X509_FLAG_NO_VERSION | X509_FLAG_NO_SERIAL | X509_FLAG_NO_SIGNAME |
        X509_FLAG_NO_ISSUER | X509_FLAG_NO_PUBKEY | X509_FLAG_NO_SIGDUMP | X509_FLAG_NO_AUX;
    const unsigned char *at = der.p;
    AUTO(X509) certificate = d2i_X509(NULL, &at, (long)der.n);
    AUTO(BIO) bio = BIO_new_fp(out, BIO_NOCLOSE);
    if (!certificate || !bio || X509_print_ex(bio, certificate, XN_FLAG_ONELINE, without) != 1)
        return refused(NULL, "the certificate cannot be shown");
    return EX_OK;
}

static void print_hash(const struct profile_file *file, FILE *out) {
    char hash[2 * CA_HASH_SIZE + 1];
    if (!hex_encode(BYTES_OF(file->profile.hash), hash, sizeof hash))
        fprintf(out, "  profile %s, hash %s\n", file->profile.name, hash);
}

/* Each kind of key of the profile; the first certificate is shown, of the others their size. */
static int try_keys(const struct ca_trial *trial, const struct profile_file *file, FILE *out) {
    uint8_t octets[IPC_CERT_MAX];
    char error[CONF_ERROR_MAX];
    bool shown = false;
    int code = EX_OK;
    for (unsigned key = 1; key <= CA_KEY_LAST; key <<= 1) {
        struct buf der = BUF_ON(octets);
        if (!(file->profile.keys & key))
            continue;
        if (ca_trial_issue(trial, &file->profile, key, &der, error)) {
            fprintf(stderr, "touchmark: %s:%u: %s: %s\n", file->path,
                    conf_line(file->text, file->n, "keys"), ca_profile_key_word(key), error);
            code = ADMIN_EXIT_REFUSED;
            continue;
        }
        if (out && !shown && code == EX_OK)
            code = print_certificate(buf_bytes(&der), out);
        shown = true;
        if (out)
            fprintf(out, "  %s: %zu octets\n", ca_profile_key_word(key), der.n);
    }
    return code;
}

int profile_file_try(const struct profile_file *file, FILE *out) {
    AUTO(ca_trial) trial = NULL;
    if (ca_trial_new(clock_wall_ms(), &trial))
        return refused(NULL, "no throwaway keys could be made");
    if (out)
        print_hash(file, out);
    return try_keys(trial, file, out);
}

/* ---- what differs ---- */

static char *shown(const struct conf_row *row, const struct ca_profile *profile) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    conf_value_show(row, (const char *)profile + row->offset, out);
    if (!fclose(out))
        return text;
    free(text);
    return NULL;
}

/* before: NULL, there was none. */
static int add_difference(json_t *rows, const struct conf_row *row, const struct ca_profile *before,
                          const struct ca_profile *after) {
    AUTO_MEM char *old = before ? shown(row, before) : NULL;
    AUTO_MEM char *new = shown(row, after);
    if (!new || (before && !old))
        return -1;
    if (old && strcmp(old, new) == 0)
        return 0;
    return json_array_append_new(
        rows, json_pack("{s:s, s:s, s:s}", "option", row->key, "old", old ? old : "", "new", new));
}

static int add_differences(json_t *rows, const struct ca_profile *before,
                           const struct ca_profile *after) {
    for (const struct conf_row *row = ca_profile_rows; row->key; row++)
        if (add_difference(rows, row, before, after))
            return -1;
    return 0;
}

/* What the rows load, without what ca_profile_load makes of it: a value is shown as its row says.
 */
json_t *profile_differences(const char *old, size_t old_n, const struct profile_file *file) {
    struct ca_profile before = {0}, after = {0};
    char error[CONF_ERROR_MAX];
    AUTO(json_t) rows = json_array();
    bool any = old_n && !conf_load_text(old, old_n, file->path, ca_profile_rows, &before,
                                        sizeof before, error);
    bool good = rows &&
                !conf_load_text(file->text, file->n, file->path, ca_profile_rows, &after,
                                sizeof after, error) &&
                !add_differences(rows, any ? &before : NULL, &after);
    conf_free(ca_profile_rows, &before, sizeof before);
    conf_free(ca_profile_rows, &after, sizeof after);
    return good ? TAKE(rows) : NULL;
}

void profile_print_differences(const json_t *rows, bool json) {
    size_t i;
    json_t *row;
    if (!json) {
        admin_render_table(rows, stdout);
        return;
    }
    json_array_foreach(rows, i, row) {
        AUTO_MEM char *line = json_dumps(row, JSON_COMPACT);
        printf("%s\n", line ? line : "");
    }
}
