/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and their typed extensions in any octets. */
#include <stdlib.h>

#include "pki/cert.h"
#include "pki/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool inside(struct bytes part, struct bytes whole) {
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void read_extensions(const struct pki_cert *cert) {
    bool ca;
    int path_len;
    uint16_t usage;
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count;
    struct bytes value;
    (void)!pki_cert_basic_constraints(cert, &ca, &path_len);
    (void)!pki_cert_key_usage(cert, &usage);
    if (pki_cert_eku(cert, purposes, &count) == TM_OK)
        require(count > 0 && count <= PKI_EKU_MAX);
    (void)!pki_cert_ski(cert, &value);
    (void)!pki_cert_aki(cert, &value);
    (void)!pki_cert_san(cert, &value);
}

static void look_at(const struct pki_cert *cert, struct bytes in) {
    require(cert->extension_count <= PKI_EXTENSIONS_MAX);
    require(cert->version >= 1 && cert->version <= 3);
    require(pki_name_valid(cert->issuer) && pki_name_valid(cert->subject));
    require(inside(cert->tbs, in) && inside(cert->spki.key, in) && inside(cert->signature, in));
    for (size_t i = 0; i < cert->extension_count; i++) {
        require(inside(cert->extensions[i].oid, in) && inside(cert->extensions[i].value, in));
        for (size_t k = 0; k < i; k++)
            require(!bytes_equal(cert->extensions[i].oid, cert->extensions[k].oid));
    }
    read_extensions(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    struct pki_cert cert, bare;
    if (pki_cert_parse(in, &cert) == TM_OK) {
        look_at(&cert, in);
        require(cert.whole.n == size);
        require(pki_tbs_parse(cert.tbs, &bare) == TM_OK);
    }
    if (pki_tbs_parse(in, &bare) == TM_OK)
        look_at(&bare, in);
    return 0;
}
