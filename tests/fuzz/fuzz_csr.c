/* SPDX-License-Identifier: Apache-2.0 */
/* Certification requests in any octets. */
#include <stdlib.h>

#include "pki/csr.h"
#include "pki/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool inside(struct bytes part, struct bytes whole) {
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    struct pki_csr csr;
    if (pki_csr_parse(in, &csr))
        return 0;
    require(csr.whole.n == size && inside(csr.info, in) && inside(csr.signature, in));
    require(pki_name_valid(csr.subject));
    require(csr.attribute_count <= PKI_ATTRIBUTES_MAX);
    require(csr.extension_count <= PKI_EXTENSIONS_MAX);
    for (size_t i = 0; i < csr.attribute_count; i++)
        require(inside(csr.attributes[i].oid, in) && inside(csr.attributes[i].values, in));
    for (size_t i = 0; i < csr.extension_count; i++)
        require(inside(csr.extensions[i].oid, in) && inside(csr.extensions[i].value, in));
    const struct bytes strings[] = {csr.challenge_password, csr.otp_challenge,
                                    csr.revocation_challenge, csr.est_identity_linking,
                                    csr.change_subject_name};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        require(inside(strings[i], csr.info));
    return 0;
}
