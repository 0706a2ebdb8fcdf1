/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

#define PEM_DER_MAX (1u << 20)

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(X509, X509_free)

/* Appends the DER of cert to a growing block. */
static enum tm_err append(struct bytes *all, X509 *cert) {
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);
    if (n <= 0)
        return TM_EPARSE;
    size_t total = all->n + (size_t)n;
    uint8_t *grown = total <= PEM_DER_MAX ? realloc((void *)(uintptr_t)all->p, total) : NULL;
    if (grown) {
        memcpy(grown + all->n, der, (size_t)n);
        *all = (struct bytes){grown, total};
    }
    OPENSSL_free(der);
    return grown ? TM_OK : total > PEM_DER_MAX ? TM_ELIMIT : TM_ENOMEM;
}

int ca_pem_no_password(char *buf, int size, int rwflag, void *arg) {
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static enum tm_err read_all(BIO *bio, struct bytes *all) {
    for (;;) {
        AUTO(X509) cert = PEM_read_bio_X509(bio, NULL, ca_pem_no_password, NULL);
        if (!cert) {
            bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE && all->n;
            ERR_clear_error();
            return end ? TM_OK : TM_EPARSE;
        }
        enum tm_err err = append(all, cert);
        if (err)
            return err;
    }
}

enum tm_err ca_pem_load(const char *path, struct bytes *ret, char text[IPC_TEXT_MAX + 1]) {
    AUTO(BIO) bio = BIO_new_file(path, "r");
    if (!bio) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.180s: %s", path, strerror(errno));
        ERR_clear_error();
        return TM_EIO;
    }
    struct bytes all = {0};
    enum tm_err err = read_all(bio, &all);
    if (err) {
        free((void *)(uintptr_t)all.p);
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.180s: %s", path,
                       err == TM_ELIMIT ? "holds more than 1 MiB of certificates"
                                        : "holds no readable PEM certificate");
        return err;
    }
    *ret = all;
    return TM_OK;
}
