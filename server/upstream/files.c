/* SPDX-License-Identifier: Apache-2.0 */
/* See upstream.h. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/files.h"
#include "server/upstream/upstream.h"

#define WARN_S (30 * 86400) /* before our certificate ends */

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

static X509 *first_certificate(struct bytes pem) {
    AUTO(BIO) bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

/* A key that wants a passphrase would ask the terminal for it. */
static int no_passphrase(char *text, int size, int writing, void *arg) {
    (void)text, (void)size, (void)writing, (void)arg;
    return -1;
}

static EVP_PKEY *private_key(struct bytes pem) {
    AUTO(BIO) bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
}

/* Nobody renews it from here: whoever put it there does, and reloads. */
static void warn_of_end(const char *issuer, const X509 *certificate) {
    time_t soon = time(NULL) + WARN_S;
    if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0)
        log_warn("issuer %s: upstream.certificate ends within 30 days, or has ended; without a new "
                 "one nobody can enroll",
                 issuer);
}

static enum tm_err check(const struct conf_issuer *issuer, const struct upstream_files *files) {
    AUTO(X509) anchor = first_certificate(files->anchors);
    if (!anchor) {
        log_error("issuer %s: upstream.anchors: %s holds no certificate in PEM", issuer->name,
                  issuer->upstream.anchors);
        return TM_EPARSE;
    }
    if (!files->certificate.n)
        return TM_OK;
    AUTO(X509) certificate = first_certificate(files->certificate);
    AUTO(EVP_PKEY) key = private_key(files->key);
    if (!certificate || !key || X509_check_private_key(certificate, key) != 1) {
        log_error("issuer %s: upstream.key: %s is not the key of the certificate in %s, in PEM and "
                  "without a passphrase",
                  issuer->name, issuer->upstream.key, issuer->upstream.certificate);
        return TM_EPARSE;
    }
    warn_of_end(issuer->name, certificate);
    return TM_OK;
}

static enum tm_err read_all(const struct conf_issuer *issuer, bool password,
                            struct upstream_files *ret) {
    const struct conf_upstream *said = &issuer->upstream;
    enum tm_err err = TM_OK;
    if (password)
        err = server_password_read("upstream.password_file", said->password_file, ret->password);
    if (!err)
        err = server_file_read("upstream.anchors", said->anchors, &ret->anchors);
    if (!err)
        err = server_file_read("upstream.certificate", said->certificate, &ret->certificate);
    return err ? err : server_file_read("upstream.key", said->key, &ret->key);
}

enum tm_err upstream_files_read(const struct conf_issuer *issuer, bool password,
                                struct upstream_files *ret) {
    memset(ret, 0, sizeof *ret);
    enum tm_err err = read_all(issuer, password, ret);
    if (!err)
        err = check(issuer, ret);
    ERR_clear_error();
    return err;
}

void upstream_files_wipe(struct upstream_files *files) {
    server_file_wipe(files->anchors);
    server_file_wipe(files->certificate);
    server_file_wipe(files->key);
    bytes_wipe(files, sizeof *files);
}
