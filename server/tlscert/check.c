/* SPDX-License-Identifier: Apache-2.0 */
/* Is the server's certificate as the configuration and the clock want it? See tlscert.h. */
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "ca/pem.h"
#include "ca/san.h"
#include "server/tlscert/tlscert.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

static bool is_name(const struct der *name, const char *configured) {
    uint8_t address[16];
    if (inet_pton(AF_INET, configured, address) == 1)
        return name->tag == CA_SAN_IP && bytes_equal(name->value, (struct bytes){address, 4});
    if (inet_pton(AF_INET6, configured, address) == 1)
        return name->tag == CA_SAN_IP && bytes_equal(name->value, BYTES_OF(address));
    return name->tag == CA_SAN_DNS && bytes_equal(name->value, bytes_str(configured));
}

static bool is_among(struct bytes san, const char *configured) {
    struct bytes rest;
    struct der name;
    if (ca_san_open(san, &rest))
        return false;
    while (rest.n && der_next(&rest, &name) == TM_OK)
        if (is_name(&name, configured))
            return true;
    return false;
}

static size_t name_count(struct bytes san) {
    struct bytes rest;
    struct der name;
    size_t n = 0;
    if (ca_san_open(san, &rest))
        return 0;
    while (rest.n && der_next(&rest, &name) == TM_OK)
        n++;
    return n;
}

/* All that are configured, and no others. */
static bool names_agree(const struct pki_cert *cert, const struct conf_strings *names) {
    struct bytes san;
    if (pki_cert_san(cert, &san) || name_count(san) != names->count)
        return false;
    for (size_t i = 0; i < names->count; i++)
        if (!is_among(san, names->items[i]))
            return false;
    return true;
}

static bool key_agrees(const struct pki_cert *cert, const char *path) {
    AUTO(BIO) file = BIO_new_file(path, "r");
    AUTO(EVP_PKEY) key = file ? PEM_read_bio_PrivateKey(file, NULL, NULL, NULL) : NULL;
    unsigned char *spki = NULL;
    int n = key ? i2d_PUBKEY(key, &spki) : 0;
    bool agrees = n > 0 && bytes_equal(cert->spki.whole, (struct bytes){spki, (size_t)n});
    OPENSSL_free(spki);
    return agrees;
}

static bool token_agrees(const struct pki_cert *cert, struct bytes spki) {
    return !spki.n || bytes_equal(cert->spki.whole, spki);
}

static enum tlscert_state judge(const struct pki_cert *cert, const struct conf_tls *tls,
                                const struct ca_issuer *issuer, struct bytes spki, int64_t now_ms,
                                const char **ret_reason) {
    int64_t life = cert->not_after_ms - cert->not_before_ms;
    *ret_reason = NULL;
    if (now_ms < cert->not_before_ms || now_ms > cert->not_after_ms)
        *ret_reason = "it is not valid now";
    else if (!names_agree(cert, &tls->names))
        *ret_reason = "its names are not those of tls.names";
    else if (ca_issuer_verify(issuer, cert->tbs, cert->signature))
        *ret_reason = "it is not of this CA";
    else if (tls->key_label ? !token_agrees(cert, spki) : !key_agrees(cert, tls->key))
        *ret_reason = tls->key_label ? "its key is not the one that tls.key_label names"
                                     : "its key is not the one in tls.key";
    if (*ret_reason)
        return TLSCERT_UNUSABLE;
    if (now_ms - cert->not_before_ms < life / 3 * 2)
        return TLSCERT_CURRENT;
    *ret_reason = "it is in the last third of its life";
    return TLSCERT_DUE;
}

enum tlscert_state tlscert_check(const struct conf_tls *tls, const struct ca_issuer *issuer,
                                 struct bytes spki, int64_t now_ms, const char **ret_reason) {
    char text[IPC_TEXT_MAX + 1];
    struct bytes file = {NULL, 0};
    struct der first;
    struct pki_cert cert;
    *ret_reason = "there is none";
    if (access(tls->certificate, F_OK) != 0)
        return TLSCERT_UNUSABLE;
    *ret_reason = "it cannot be read";
    if (ca_pem_load(tls->certificate, &file, text))
        return TLSCERT_UNUSABLE;
    AUTO_MEM void *owned = (void *)(uintptr_t)file.p;
    (void)owned;
    if (der_next(&file, &first) || pki_cert_parse(first.whole, &cert))
        return TLSCERT_UNUSABLE;
    return judge(&cert, tls, issuer, spki, now_ms, ret_reason);
}
