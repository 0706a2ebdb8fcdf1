/* SPDX-License-Identifier: Apache-2.0 */
/* See pem.h. */
#include "client/agent/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "conf/schema.h"
#include "pki/der.h"

AUTO_DEFINE(BIO, BIO_free_all)

/* The next block of the text. TM_ENOTFOUND: there is none. */
static enum tm_err read_block(BIO *text, struct buf *out) {
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long n = 0;
    if (PEM_read_bio(text, &name, &header, &der, &n) != 1) {
        bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        return end ? TM_ENOTFOUND : TM_EPARSE;
    }
    bool certificate = strcmp(name, PEM_STRING_X509) == 0 && header[0] == '\0';
    if (certificate)
        buf_put(out, (struct bytes){der, (size_t)n});
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    if (!certificate)
        return TM_EPARSE;
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err read_blocks(const char *text, size_t n, struct buf *out) {
    AUTO(BIO) bio = BIO_new_mem_buf(text, (int)n);
    size_t before = out->n;
    enum tm_err err = bio ? TM_OK : TM_ENOMEM;
    while (!err)
        err = read_block(bio, out);
    if (err == TM_ENOTFOUND)
        err = out->n > before ? TM_OK : TM_EPARSE;
    return err;
}

enum tm_err agent_pem_read(const char *path, struct buf *out) {
    AUTO_MEM char *text = NULL;
    char error[CONF_ERROR_MAX];
    size_t n;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (err) {
        log_error("%s", error);
        return err;
    }
    err = read_blocks(text, n, out);
    if (err == TM_ELIMIT)
        log_error("%s: more certificates than a device keeps", path);
    else if (err)
        log_error("%s: must be certificates in PEM and nothing else", path);
    return err;
}

static enum tm_err put_one(struct bytes der, struct buf *out) {
    AUTO(BIO) bio = BIO_new(BIO_s_mem());
    char *text;
    if (!bio || PEM_write_bio(bio, PEM_STRING_X509, "", der.p, (long)der.n) <= 0)
        return TM_ENOMEM;
    long n = BIO_get_mem_data(bio, &text);
    buf_put(out, (struct bytes){(const uint8_t *)text, (size_t)n});
    return out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err agent_pem_put(struct bytes der, struct buf *out) {
    enum tm_err err = TM_OK;
    struct der one;
    while (!err && der.n) {
        err = der_next(&der, &one);
        if (!err)
            err = put_one(one.whole, out);
    }
    return err;
}
