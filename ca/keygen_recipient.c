/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a generated key is to be encrypted (RFC 7030, 4.4.1): what the request's attributes ask for,
 * held against the TLS client certificate, which is the only key of the client that is known here.
 */
#include "ca/key.h"
#include "ca/keygen.h"

#define KEY_ID_MAX 64

/* What SMIMECapabilities offers, as bits. */
#define CBC_128 1u
#define CBC_256 2u
#define WRAP_128 4u
#define WRAP_256 8u
#define OAEP 16u
#define KDF_SHA256 32u
#define KDF_SHA384 64u

static unsigned bit_of(enum pki_oid oid) {
    switch (oid) {
    case PKI_OID_AES128_CBC:
        return CBC_128;
    case PKI_OID_AES256_CBC:
        return CBC_256;
    case PKI_OID_AES128_WRAP:
        return WRAP_128;
    case PKI_OID_AES256_WRAP:
        return WRAP_256;
    case PKI_OID_RSAES_OAEP:
        return OAEP;
    case PKI_OID_ECDH_SHA256_KDF:
        return KDF_SHA256;
    case PKI_OID_ECDH_SHA384_KDF:
        return KDF_SHA384;
    default:
        return 0;
    }
}

/* One SMIMECapability (RFC 8551, 2.5.2); that of a key agreement has its key wrap as parameters
 * (RFC 5753, 7). */
static enum tm_err read_capability(struct bytes in, unsigned *offered) {
    struct der oid, parameters = {0}, wrap;
    if (der_expect(&in, DER_OID, &oid) != TM_OK ||
        (in.n > 0 && der_next(&in, &parameters) != TM_OK) || in.n > 0)
        return TM_EPARSE;
    unsigned bit = bit_of(pki_oid_find(oid.value));
    *offered |= bit;
    if (bit & (KDF_SHA256 | KDF_SHA384) && parameters.tag == DER_SEQUENCE &&
        der_expect(&parameters.value, DER_OID, &wrap) == TM_OK)
        *offered |= bit_of(pki_oid_find(wrap.value));
    return TM_OK;
}

static enum tm_err read_capabilities(struct bytes values, unsigned *ret_offered) {
    struct der list, capability;
    unsigned offered = 0;
    if (der_only(values, DER_SEQUENCE, &list) != TM_OK)
        return TM_EPARSE;
    while (list.value.n > 0)
        if (der_expect(&list.value, DER_SEQUENCE, &capability) != TM_OK ||
            read_capability(capability.value, &offered) != TM_OK)
            return TM_EPARSE;
    *ret_offered = offered;
    return TM_OK;
}

static const struct pki_csr_attribute *attribute(const struct pki_csr *csr, enum pki_oid type) {
    for (size_t i = 0; i < csr->attribute_count; i++)
        if (csr->attributes[i].type == type)
            return &csr->attributes[i];
    return NULL;
}

/* RFC 7030, 4.4.1.2: "the key MUST either explicitly support keyTransport or keyAgreement or its
 * use MUST be unrestricted". */
static bool usage_fits(const struct pki_cert *cert, unsigned kind) {
    uint16_t usage = 0;
    if (pki_cert_key_usage(cert, &usage) == TM_ENOTFOUND)
        return true;
    return usage & (kind == CA_KEY_RSA2048 ? PKI_KU_KEY_ENCIPHERMENT : PKI_KU_KEY_AGREEMENT);
}

/* The identified key has to be that of the client certificate. */
static bool find_key(struct bytes values, struct bytes leaf, unsigned *ret_kind,
                     struct ca_refusal *ret) {
    struct der id;
    struct pki_cert cert;
    struct bytes own;
    if (der_only(values, DER_OCTET_STRING, &id) != TM_OK || id.value.n == 0 ||
        id.value.n > KEY_ID_MAX)
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "asymmetricDecryptKeyIdentifier is not an OCTET STRING of 1 to 64 octets "
                         "(RFC 7030, 4.4.1.2)");
    if (leaf.n == 0 || pki_cert_parse(leaf, &cert) != TM_OK || pki_cert_ski(&cert, &own) != TM_OK ||
        !bytes_equal(own, id.value))
        return ca_refuse(
            ret, IPC_BAD_EXTENSION,
            "asymmetricDecryptKeyIdentifier is not the subjectKeyIdentifier of the TLS "
            "client certificate, and no other key of the client is known here");
    unsigned kind = ca_key_kind(&cert.spki) & (CA_KEY_P256 | CA_KEY_P384 | CA_KEY_RSA2048);
    if (!kind || ca_key_fault(&cert.spki))
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "the client certificate's key decrypts nothing: it has to be P-256, P-384 "
                         "or RSA of 2048 to 4096 bits");
    if (!usage_fits(&cert, kind))
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "the client certificate's keyUsage lacks %s (RFC 7030, 4.4.1.2)",
                         kind == CA_KEY_RSA2048 ? "keyEncipherment" : "keyAgreement");
    *ret_kind = kind;
    return true;
}

/* Is there a way with AES keys of this size? Who names no content encryption takes that of the key
 * encryption's strength. */
static bool size_fits(unsigned offered, bool wraps, unsigned cbc, unsigned wrap) {
    return (!(offered & (CBC_128 | CBC_256)) || offered & cbc) && (!wraps || offered & wrap);
}

static bool choose_algorithms(unsigned offered, struct ca_key_recipient *recipient,
                              struct ca_refusal *ret) {
    bool ec = recipient->kind != CA_KEY_RSA2048;
    if (!ec && !(offered & OAEP))
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "SMIMECapabilities lacks id-RSAES-OAEP, with which an RSA recipient gets "
                         "its key here");
    if (size_fits(offered, ec, CBC_256, WRAP_256))
        recipient->aes = 256;
    else if (size_fits(offered, ec, CBC_128, WRAP_128))
        recipient->aes = 128;
    else
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "SMIMECapabilities offers no way: %sAES-256-CBC or AES-128-CBC are needed",
                         ec ? "id-aes256-wrap or id-aes128-wrap, and of the same size " : "");
    bool sha384 = !(offered & (KDF_SHA256 | KDF_SHA384)) ? recipient->kind == CA_KEY_P384
                                                         : !(offered & KDF_SHA256);
    recipient->kdf = sha384 ? PKI_OID_ECDH_SHA384_KDF : PKI_OID_ECDH_SHA256_KDF;
    return true;
}

bool ca_key_recipient_choose(const struct pki_csr *csr, struct bytes leaf,
                             struct ca_key_recipient *ret_recipient, struct ca_refusal *ret) {
    const struct pki_csr_attribute *key = attribute(csr, PKI_OID_ASYMM_DECRYPT_KEY_ID);
    const struct pki_csr_attribute *capabilities = attribute(csr, PKI_OID_SMIME_CAPABILITIES);
    struct ca_key_recipient recipient = {.wanted = key != NULL};
    unsigned offered;
    if (attribute(csr, PKI_OID_DECRYPT_KEY_ID))
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "decryptKeyIdentifier names a secret key that is shared with the server, "
                         "and there is none: use asymmetricDecryptKeyIdentifier (RFC 7030, 4.4.1)");
    if (key) {
        if (!find_key(key->values, leaf, &recipient.kind, ret))
            return false;
        if (!capabilities || read_capabilities(capabilities->values, &offered) != TM_OK)
            return ca_refuse(ret, IPC_BAD_EXTENSION,
                             "SMIMECapabilities is missing or cannot be read (RFC 7030, 4.4.1)");
        if (!choose_algorithms(offered, &recipient, ret))
            return false;
    }
    *ret_recipient = recipient;
    return true;
}
