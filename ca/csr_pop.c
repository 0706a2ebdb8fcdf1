/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof of possession (RFC 2986, 4.2): the request's signature over its
 * CertificationRequestInfo, by its own key. The parameters of the signature's
 * AlgorithmIdentifier are not looked at: nothing covers them, and clients differ on them.
 */
#include "ca/signature.h"

/* Named in the refusal; pki/oid.h knows only what is used. */
static const struct {
    const char *oid;
    const char *name;
} outdated[] = {
    {"1.2.840.113549.1.1.2", "md2WithRSAEncryption"},
    {"1.2.840.113549.1.1.4", "md5WithRSAEncryption"},
    {"1.2.840.113549.1.1.5", "sha1WithRSAEncryption"},
    {"1.3.14.3.2.29", "sha1WithRSA"},
    {"1.2.840.10045.4.1", "ecdsa-with-SHA1"},
};
#define OUTDATED_COUNT (sizeof outdated / sizeof outdated[0])

static bool refuse_algorithm(const struct pki_csr *csr, struct ca_refusal *ret) {
    static const char good[] = "sign with ECDSA or RSA PKCS #1 v1.5 and SHA-256, SHA-384 or "
                               "SHA-512, or with Ed25519 or ML-DSA";
    struct der sequence, oid = {0};
    char dotted[96] = "";
    if (der_only(csr->algorithm, DER_SEQUENCE, &sequence) ||
        der_expect(&sequence.value, DER_OID, &oid) ||
        pki_oid_format(oid.value, dotted, sizeof dotted))
        return ca_refuse(ret, IPC_BAD_POP, "the signature algorithm cannot be read; %s", good);
    for (size_t i = 0; i < OUTDATED_COUNT; i++) {
        struct bytes name = bytes_str(outdated[i].oid);
        if (bytes_equal(bytes_str(dotted), name))
            return ca_refuse(ret, IPC_BAD_POP,
                             "the request is signed with %s, which is broken (RFC 6194, RFC 6151); "
                             "%s",
                             outdated[i].name, good);
    }
    return ca_refuse(ret, IPC_BAD_POP, "the signature algorithm %s is not taken; %s", dotted, good);
}

bool ca_check_pop(const struct ca_checker *checker, const struct pki_csr *csr,
                  struct ca_refusal *ret) {
    if (!ca_signature_taken(csr->signature_algorithm))
        return refuse_algorithm(csr, ret);
    switch (ca_signature_verify(checker, &csr->spki, csr->signature_algorithm, csr->info,
                                csr->signature)) {
    case TM_OK:
        return true;
    case TM_EINVAL:
        return ca_refuse(ret, IPC_BAD_POP, "the signature algorithm %s is not one of the key's",
                         pki_oid_name(csr->signature_algorithm));
    case TM_EPARSE:
        return ca_refuse(
            ret, IPC_BAD_KEY,
            "the key is not a valid one: its point is not on its curve, or its numbers "
            "are out of range");
    default:
        return ca_refuse(
            ret, IPC_BAD_POP,
            "the request's signature does not verify with its own key (RFC 2986, 4.2)");
    }
}
