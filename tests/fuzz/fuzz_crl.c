/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRLs and to-be-signed ones from anywhere: what is read lies inside of what was given, and OpenSSL
 * can read it too and finds as many entries.
 */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "pki/crl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good) {
    if (!good)
        abort();
}

static void require_inside(struct bytes part, struct bytes whole) {
    require(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void check_view(const struct pki_crl *crl, struct bytes in) {
    const struct bytes parts[] = {crl->whole,   crl->tbs,       crl->tbs_algorithm,
                                  crl->issuer,  crl->key_id,    crl->url,
                                  crl->entries, crl->algorithm, crl->signature};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        require_inside(parts[i], in);
    require(crl->key_id.n > 0 && crl->issuer.n > 0);
}

/* Serials rise, so no two are equal. */
static void check_entries(const struct pki_crl *crl, uint64_t count) {
    struct bytes entries = crl->entries, last = {0};
    for (uint64_t i = 0; i < count; i++) {
        struct pki_crl_entry entry;
        require(pki_crl_next(&entries, &entry) == TM_OK);
        require_inside(entry.serial, crl->entries);
        require(entry.serial.n >= 1 && entry.serial.n <= 20 && entry.serial.p[0] < 0x80);
        require(pki_crl_reason_valid(entry.reason));
        require(i == 0 || pki_serial_less(last, entry.serial));
        require(!pki_serial_less(entry.serial, entry.serial));
        last = entry.serial;
    }
    require(entries.n == 0);
}

static void check_foreign(struct bytes der, uint64_t count) {
    const unsigned char *p = der.p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
    if (crl) { /* of names it takes fewer */
        int theirs = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl));
        require((theirs < 0 ? 0 : (uint64_t)theirs) == count);
    }
    X509_CRL_free(crl);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    struct pki_crl crl;
    uint64_t count = 0;
    if (pki_crl_tbs_parse(in, &crl) == TM_OK) {
        check_view(&crl, in);
        if (pki_crl_walk(&crl, &count) == TM_OK)
            check_entries(&crl, count);
    }
    if (pki_crl_parse(in, &crl) == TM_OK) {
        check_view(&crl, in);
        if (pki_crl_walk(&crl, &count) == TM_OK) {
            check_entries(&crl, count);
            check_foreign(in, count);
        }
    }
    return 0;
}
