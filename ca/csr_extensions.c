/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks for beyond key and subject: see ca/csr_check.h. */
#include <openssl/evp.h>

#include "ca/build.h"
#include "ca/csr_check.h"
#include "ca/key.h"
#include "ca/san.h"

/* By bit number (RFC 5280, 4.2.1.3). */
static const char *const usage_names[] = {
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
    "keyCertSign",      "cRLSign",        "encipherOnly",    "decipherOnly",
};

/* The typed readers of pki/cert.h, for the extensions of a request. */
static struct pki_cert as_certificate(const struct pki_extension *extension) {
    return (struct pki_cert){.extension_count = 1, .extensions = {*extension}};
}

static bool check_key_usage(const struct pki_extension *extension, const struct ca_profile *profile,
                            struct ca_refusal *ret) {
    const struct pki_cert view = as_certificate(extension);
    uint16_t asked;
    if (pki_cert_key_usage(&view, &asked))
        return ca_refuse(ret, IPC_BAD_EXTENSION, "keyUsage is malformed (RFC 5280, 4.2.1.3)");
    unsigned excess = asked & ~(unsigned)ca_profile_key_usage(profile);
    for (unsigned i = 0; i < sizeof usage_names / sizeof usage_names[0]; i++)
        if (excess & 0x8000u >> i)
            return ca_refuse(ret, IPC_BAD_EXTENSION,
                             "keyUsage asks for %s, which profile %s does not set", usage_names[i],
                             profile->name);
    return excess ? ca_refuse(ret, IPC_BAD_EXTENSION, "keyUsage asks for an unknown bit") : true;
}

static bool sets_purpose(const struct ca_profile *profile, enum pki_oid purpose) {
    enum pki_oid set[PKI_EKU_MAX];
    size_t count = ca_profile_purposes(profile, set);
    for (size_t i = 0; i < count; i++)
        if (set[i] == purpose)
            return true;
    return false;
}

static bool check_purposes(const struct pki_extension *extension, const struct ca_profile *profile,
                           struct ca_refusal *ret) {
    const struct pki_cert view = as_certificate(extension);
    enum pki_oid asked[PKI_EKU_MAX];
    size_t count;
    if (pki_cert_eku(&view, asked, &count))
        return ca_refuse(ret, IPC_BAD_EXTENSION, "extKeyUsage is malformed (RFC 5280, 4.2.1.12)");
    for (size_t i = 0; i < count; i++)
        if (!sets_purpose(profile, asked[i]))
            return ca_refuse(ret, IPC_BAD_EXTENSION,
                             "extKeyUsage asks for %s purpose, which profile %s does not set",
                             asked[i] == PKI_OID_UNKNOWN ? "an unknown" : pki_oid_name(asked[i]),
                             profile->name);
    return true;
}

static bool check_constraints(const struct pki_extension *extension, struct ca_refusal *ret) {
    const struct pki_cert view = as_certificate(extension);
    bool ca = false;
    int path_len = -1;
    if (pki_cert_basic_constraints(&view, &ca, &path_len))
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "basicConstraints is malformed (RFC 5280, 4.2.1.9)");
    if (ca || path_len != -1)
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "basicConstraints asks for a CA's certificate, which is not issued here");
    return true;
}

static bool check_key_id(const struct pki_extension *extension, const struct pki_spki *spki,
                         struct ca_refusal *ret) {
    const struct pki_cert view = as_certificate(extension);
    struct bytes asked;
    uint8_t sha1[20], sha256[CA_KEY_ID_SIZE];
    if (!pki_cert_ski(&view, &asked)) {
        if (!ca_key_id(spki, sha256) && bytes_equal(asked, BYTES_OF(sha256)))
            return true;
        if (EVP_Digest(spki->key.p, spki->key.n, sha1, NULL, EVP_sha1(), NULL) == 1 &&
            bytes_equal(asked, BYTES_OF(sha1)))
            return true;
    }
    return ca_refuse(ret, IPC_BAD_EXTENSION,
                     "subjectKeyIdentifier does not derive from the key (RFC 5280, 4.2.1.2; RFC "
                     "7093, 2)");
}

static bool check_name(const struct der *name, const struct ca_profile *profile,
                       struct bytes own_san, struct ca_refusal *ret) {
    if (ca_san_contains(own_san, name->whole))
        return true;
    const char *fault = ca_san_fault(name);
    if (fault)
        return ca_refuse(ret, IPC_BAD_SAN, "subjectAltName: %s (RFC 5280, 4.2.1.6)", fault);
    if (profile->san_from_request && name->tag != CA_SAN_OTHER)
        return true;
    return ca_refuse(ret, IPC_BAD_SAN,
                     "subjectAltName asks for a name that profile %s does not give this device",
                     profile->name);
}

static bool check_names(const struct pki_extension *extension, const struct ca_profile *profile,
                        struct bytes own_san, struct ca_refusal *ret) {
    struct bytes names;
    struct der name;
    unsigned count = 0;
    if (ca_san_open(extension->value, &names) || !names.n)
        return ca_refuse(ret, IPC_BAD_SAN,
                         "subjectAltName is empty or malformed (RFC 5280, 4.2.1.6)");
    while (names.n) {
        if (der_next(&names, &name))
            return ca_refuse(ret, IPC_BAD_SAN, "subjectAltName is malformed (RFC 5280, 4.2.1.6)");
        if (++count > CA_SAN_NAMES_MAX)
            return ca_refuse(ret, IPC_BAD_SAN, "subjectAltName holds more than %d names",
                             CA_SAN_NAMES_MAX);
        if (!check_name(&name, profile, own_san, ret))
            return false;
    }
    return true;
}

static bool refuse_type(const struct pki_extension *extension, const struct ca_profile *profile,
                        struct ca_refusal *ret) {
    char dotted[96];
    if (pki_oid_format(extension->oid, dotted, sizeof dotted))
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "the request asks for an extension of an overlong type");
    bool known = extension->type != PKI_OID_UNKNOWN;
    return ca_refuse(ret, IPC_BAD_EXTENSION,
                     "the request asks for extension %s%s%s%s, which profile %s does not set",
                     dotted, known ? " (" : "", known ? pki_oid_name(extension->type) : "",
                     known ? ")" : "", profile->name);
}

static bool check_extension(const struct pki_csr *csr, const struct pki_extension *extension,
                            const struct ca_profile *profile, struct bytes own_san,
                            struct ca_refusal *ret) {
    switch (extension->type) {
    case PKI_OID_KEY_USAGE:
        return check_key_usage(extension, profile, ret);
    case PKI_OID_EXT_KEY_USAGE:
        return check_purposes(extension, profile, ret);
    case PKI_OID_BASIC_CONSTRAINTS:
        return check_constraints(extension, ret);
    case PKI_OID_SUBJECT_KEY_ID:
        return check_key_id(extension, &csr->spki, ret);
    case PKI_OID_SUBJECT_ALT_NAME:
        return check_names(extension, profile, own_san, ret);
    case PKI_OID_AUTHORITY_KEY_ID:
        return true; /* libest copies the old certificate's; it says nothing about the device */
    default:
        return refuse_type(extension, profile, ret);
    }
}

bool ca_check_extensions(const struct pki_csr *csr, const struct ca_profile *profile,
                         struct bytes own_san, struct ca_refusal *ret) {
    /* Microsoft's form of extensionRequest: passed over, it would ask in vain. */
    static const uint8_t ms_extension_request[] = {0x2b, 0x06, 0x01, 0x04, 0x01,
                                                   0x82, 0x37, 0x02, 0x01, 0x0e};
    if (csr->revocation_challenge.n)
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "revocationChallenge is not offered here; leave it out (RFC 7894, 3.2)");
    for (size_t i = 0; i < csr->attribute_count; i++)
        if (bytes_equal(csr->attributes[i].oid, BYTES_OF(ms_extension_request)))
            return ca_refuse(ret, IPC_BAD_EXTENSION,
                             "extensions are asked for in attribute 1.3.6.1.4.1.311.2.1.14; use "
                             "extensionRequest (RFC 2985, 5.4.2)");
    for (size_t i = 0; i < csr->extension_count; i++)
        if (!check_extension(csr, &csr->extensions[i], profile, own_san, ret))
            return false;
    return true;
}
