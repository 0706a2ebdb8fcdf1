/* SPDX-License-Identifier: Apache-2.0 */
/* Key and certificate files, replaced as a whole: see tlscert.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "pki/name.h"
#include "server/privileges.h"
#include "server/tlscert/tlscert.h"

AUTO_DEFINE(BIO, BIO_free_all)

/* A file in its folder, and the one that will replace it. */
struct place {
    int folder;
    int fd; /* of the temporary file; -1 when there is none (any more) */
    char name[NAME_MAX + 1];
    char temporary[NAME_MAX + 1];
};

struct tlscert_output {
    bool one_file; /* tls.key and tls.certificate are the same */
    bool no_key;   /* it is on a token */
    struct place key, certificate;
};

/* conf/ made the path absolute: there is a slash. */
static enum tm_err split(const char *path, char folder[PATH_MAX], char name[NAME_MAX + 1]) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (!slash || n >= PATH_MAX || strlen(slash + 1) > NAME_MAX)
        return TM_ELIMIT;
    memcpy(folder, path, n);
    folder[n] = '\0';
    if (n == 0)
        memcpy(folder, "/", 2);
    memcpy(name, slash + 1, strlen(slash + 1) + 1);
    return TM_OK;
}

static enum tm_err prepare_folder(const char *path, const char *user) {
    char folder[PATH_MAX], name[NAME_MAX + 1];
    enum tm_err err = split(path, folder, name);
    if (err)
        return err;
    if (mkdir(folder, 0755) != 0) {
        if (errno == EEXIST)
            return TM_OK;
        log_error("%s: %s", folder, strerror(errno));
        return TM_EIO;
    }
    if (geteuid() != 0 || !user || !user[0])
        return TM_OK;
    uid_t uid;
    gid_t gid;
    err = privileges_user(user, &uid, &gid);
    if (!err && chown(folder, uid, gid)) {
        log_error("%s: %s", folder, strerror(errno));
        err = TM_EIO;
    }
    return err;
}

enum tm_err tlscert_output_prepare(const struct conf_tls *tls, const char *user) {
    enum tm_err err = tls->key_label ? TM_OK : prepare_folder(tls->key, user);
    return err ? err : prepare_folder(tls->certificate, user);
}

static enum tm_err place_open(struct place *place, const char *path, mode_t mode) {
    char folder[PATH_MAX];
    enum tm_err err = split(path, folder, place->name);
    if (err)
        return err;
    int n =
        snprintf(place->temporary, sizeof place->temporary, "%.*s.new", NAME_MAX - 4, place->name);
    if (n < 0)
        return TM_ELIMIT;
    place->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->folder >= 0) {
        (void)unlinkat(place->folder, place->temporary, 0); /* of a run that was cut short */
        place->fd = openat(place->folder, place->temporary,
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    }
    if (place->fd < 0) {
        log_error("%s/%s: %s; the folder must belong to process.user for tls.self_issue", folder,
                  place->temporary, strerror(errno));
        return TM_EIO;
    }
    return TM_OK;
}

static void place_close(struct place *place) {
    if (place->fd >= 0) {
        (void)unlinkat(place->folder, place->temporary, 0);
        (void)close(place->fd);
    }
    if (place->folder >= 0)
        (void)close(place->folder);
}

static enum tm_err place_finish(struct place *place) {
    if (fsync(place->fd) || renameat(place->folder, place->temporary, place->folder, place->name) ||
        fsync(place->folder)) {
        log_error("%s: %s", place->name, strerror(errno));
        return TM_EIO;
    }
    (void)close(place->fd);
    place->fd = -1;
    return TM_OK;
}

enum tm_err tlscert_output_open(const struct conf_tls *tls, struct tlscert_output **ret_output) {
    struct tlscert_output *output = calloc(1, sizeof *output);
    if (!output)
        return TM_ENOMEM;
    output->key.folder = output->key.fd = -1;
    output->certificate.folder = output->certificate.fd = -1;
    output->no_key = tls->key_label;
    output->one_file = !output->no_key && strcmp(tls->key, tls->certificate) == 0;
    enum tm_err err = output->no_key ? TM_OK : place_open(&output->key, tls->key, 0600);
    if (!err && !output->one_file)
        err = place_open(&output->certificate, tls->certificate, 0644);
    if (err)
        tlscert_output_close(output);
    else
        *ret_output = output;
    return err;
}

void tlscert_output_close(struct tlscert_output *output) {
    if (!output)
        return;
    place_close(&output->key);
    place_close(&output->certificate);
    free(output);
}

enum tm_err tlscert_output_key(struct tlscert_output *output, EVP_PKEY *key) {
    AUTO(BIO) file = BIO_new_fd(output->key.fd, BIO_NOCLOSE);
    if (file && PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1)
        return TM_OK;
    log_error("%s: the key cannot be written", output->key.temporary);
    return TM_EIO;
}

static bool write_certificate(BIO *file, struct bytes der) {
    return PEM_write_bio(file, PEM_STRING_X509, "", der.p, (long)der.n) > 0;
}

static bool is_root(struct bytes der) {
    struct pki_cert cert;
    return pki_cert_parse(der, &cert) == TM_OK && pki_name_equal(cert.subject, cert.issuer);
}

static bool write_chain(BIO *file, struct bytes certificate, const struct ca_tenant *tenant) {
    const struct ca_issuer *issuer = tenant->issuer;
    struct bytes rest = issuer->chain, rollover = tenant->rollover;
    struct der one;
    if (!write_certificate(file, certificate))
        return false;
    if (!is_root(issuer->der) && !write_certificate(file, issuer->der))
        return false;
    while (rest.n && der_next(&rest, &one) == TM_OK)
        if (!is_root(one.whole) && !write_certificate(file, one.whole))
            return false;
    while (rollover.n && der_next(&rollover, &one) == TM_OK)
        if (!write_certificate(file, one.whole))
            return false;
    return true;
}

enum tm_err tlscert_output_finish(struct tlscert_output *output, struct bytes certificate,
                                  const struct ca_tenant *tenant) {
    struct place *place = output->one_file ? &output->key : &output->certificate;
    AUTO(BIO) file = BIO_new_fd(place->fd, BIO_NOCLOSE);
    if (!file || !write_chain(file, certificate, tenant)) {
        log_error("%s: the certificate cannot be written", place->temporary);
        return TM_EIO;
    }
    enum tm_err err = output->no_key ? TM_OK : place_finish(&output->key);
    return err || output->one_file ? err : place_finish(&output->certificate);
}
