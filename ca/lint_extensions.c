/* SPDX-License-Identifier: Apache-2.0 */
/* The extensions: RFC 5280, 4.2, for certificates that are no CA's. */
#include <openssl/evp.h>

#include "ca/key.h"
#include "ca/lint_rules.h"
#include "ca/san.h"

/* What may be there, and whether it is critical; whatever else is there was not meant to be. */
static const struct {
    enum pki_oid type;
    bool critical;
} known[] = {
    {PKI_OID_AUTHORITY_KEY_ID, false},
    {PKI_OID_SUBJECT_KEY_ID, false},
    {PKI_OID_BASIC_CONSTRAINTS, true},
    {PKI_OID_KEY_USAGE, true},
    {PKI_OID_EXT_KEY_USAGE, false},
    {PKI_OID_SUBJECT_ALT_NAME, false},
    {PKI_OID_CRL_DISTRIBUTION_POINTS, false},
    {PKI_OID_AUTHORITY_INFO_ACCESS, false},
    {PKI_OID_OCSP_NOCHECK, false},
};
#define KNOWN_COUNT (sizeof known / sizeof known[0])

static const char *check_known(const struct lint_case *c) {
    for (size_t i = 0; i < c->cert.extension_count; i++) {
        const struct pki_extension *extension = &c->cert.extensions[i];
        size_t k = 0;
        while (k < KNOWN_COUNT && known[k].type != extension->type)
            k++;
        if (k == KNOWN_COUNT)
            return "there is an extension that no profile sets";
        if (extension->critical != known[k].critical)
            return "an extension is critical that must not be, or is not and must be";
    }
    return NULL;
}

/* AuthorityKeyIdentifier { [0] the issuer's subjectKeyIdentifier }, nothing else. */
static const char *check_authority_key(const struct lint_case *c) {
    const struct pki_extension *aki = pki_cert_extension(&c->cert, PKI_OID_AUTHORITY_KEY_ID);
    struct der sequence, key_id;
    if (!aki)
        return "there is no authorityKeyIdentifier";
    if (der_only(aki->value, DER_SEQUENCE, &sequence) ||
        der_only(sequence.value, DER_CONTEXT(0), &key_id))
        return "the authorityKeyIdentifier is not one keyIdentifier";
    return bytes_equal(key_id.value, c->issuer->key_id)
               ? NULL
               : "the authorityKeyIdentifier is not the issuer's subjectKeyIdentifier";
}

/* Of the key, by SHA-1 (4.2.1.2) or by SHA-256 cut to 160 bits (RFC 7093, 2). */
static const char *check_subject_key(const struct lint_case *c) {
    struct bytes found, key = c->cert.spki.key;
    uint8_t sha1[20], sha256[CA_KEY_ID_SIZE];
    if (pki_cert_ski(&c->cert, &found))
        return "there is no subjectKeyIdentifier";
    if (!ca_key_id(&c->cert.spki, sha256) && bytes_equal(found, BYTES_OF(sha256)))
        return NULL;
    if (EVP_Digest(key.p, key.n, sha1, NULL, EVP_sha1(), NULL) == 1 &&
        bytes_equal(found, BYTES_OF(sha1)))
        return NULL;
    return "the subjectKeyIdentifier is not derived from the key";
}

static const char *check_key_usage(const struct lint_case *c) {
    uint16_t usage;
    if (pki_cert_key_usage(&c->cert, &usage))
        return "there is no keyUsage, or a malformed one";
    if (usage & (PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN))
        return "keyUsage lets a key that is no CA's sign certificates or CRLs";
    return usage ? NULL : "keyUsage is empty";
}

static bool holds_twice(struct bytes names, struct bytes name) {
    struct der each;
    unsigned count = 0;
    while (names.n && !der_next(&names, &each))
        count += bytes_equal(each.whole, name);
    return count > 1;
}

static const char *check_alternative_names(const struct lint_case *c) {
    struct bytes whole, names, rest;
    struct der name;
    if (!pki_cert_extension(&c->cert, PKI_OID_SUBJECT_ALT_NAME))
        return NULL;
    if (pki_cert_san(&c->cert, &whole) || ca_san_open(whole, &names))
        return "subjectAltName is empty or malformed";
    for (rest = names; rest.n;) {
        if (der_next(&rest, &name))
            return "subjectAltName is malformed";
        const char *fault = ca_san_fault(&name);
        if (fault)
            return fault;
        if (holds_twice(names, name.whole))
            return "subjectAltName holds a name twice";
    }
    return NULL;
}

/* RFC 5280 lets it be absent; when it is there it says no. */
static const char *check_basic_constraints(const struct lint_case *c) {
    bool ca = false;
    int path_len = -1;
    enum tm_err err = pki_cert_basic_constraints(&c->cert, &ca, &path_len);
    if (err == TM_ENOTFOUND)
        return NULL;
    if (err)
        return "basicConstraints is malformed";
    return ca || path_len != -1 ? "basicConstraints makes a CA of what is none" : NULL;
}

static const char *check_purposes(const struct lint_case *c) {
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = 0;
    enum tm_err err = pki_cert_eku(&c->cert, purposes, &count);
    if (err == TM_ENOTFOUND)
        return NULL;
    if (err)
        return "extKeyUsage is malformed";
    for (size_t i = 0; i < count; i++)
        if (purposes[i] == PKI_OID_UNKNOWN)
            return "extKeyUsage holds a purpose that no profile sets";
    return NULL;
}

const struct lint_rule lint_extension_rules[] = {
    {"RFC 5280 4.2", check_known},
    {"RFC 5280 4.2.1.1", check_authority_key},
    {"RFC 5280 4.2.1.2", check_subject_key},
    {"RFC 5280 4.2.1.3", check_key_usage},
    {"RFC 5280 4.2.1.6", check_alternative_names},
    {"RFC 5280 4.2.1.9", check_basic_constraints},
    {"RFC 5280 4.2.1.12", check_purposes},
    {0},
};
