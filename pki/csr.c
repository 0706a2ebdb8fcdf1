/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing certification requests (RFC 2986, 4) and the attributes that EST and CMC give them. */
#include "pki/csr.h"

#include "pki/chars.h"
#include "pki/extensions.h"
#include "pki/name.h"

/* The only value of a single-valued attribute. */
static enum tm_err single_value(const struct pki_csr_attribute *attribute, struct der *ret) {
    struct bytes values = attribute->values;
    struct der value;
    if (der_next(&values, &value) != TM_OK || values.n != 0)
        return TM_EPARSE;
    *ret = value;
    return TM_OK;
}

/* challengePassword (RFC 2985, 5.4.1) and the attributes of RFC 7894 are a DirectoryString of at
 * least one character; some clients write IA5String. */
static enum tm_err take_string(const struct pki_csr_attribute *attribute, struct bytes *ret) {
    struct der value;
    if (single_value(attribute, &value) != TM_OK || !chars_is_string(value.tag) ||
        value.value.n == 0)
        return TM_EPARSE;
    *ret = value.value;
    return TM_OK;
}

/* RFC 2985, 5.4.2. */
static enum tm_err take_extensions(const struct pki_csr_attribute *attribute, struct pki_csr *csr) {
    struct der value;
    if (single_value(attribute, &value) != TM_OK)
        return TM_EPARSE;
    return pki_extensions_parse(value.whole, csr->extensions, &csr->extension_count);
}

/* RFC 6402, 2.8. */
static enum tm_err take_change(const struct pki_csr_attribute *attribute, struct bytes *ret) {
    struct der value;
    if (single_value(attribute, &value) != TM_OK || value.tag != DER_SEQUENCE)
        return TM_EPARSE;
    *ret = value.whole;
    return TM_OK;
}

static enum tm_err take_known(const struct pki_csr_attribute *attribute, struct pki_csr *csr) {
    switch (attribute->type) {
    case PKI_OID_EXTENSION_REQUEST:
        return take_extensions(attribute, csr);
    case PKI_OID_CHALLENGE_PASSWORD:
        return take_string(attribute, &csr->challenge_password);
    case PKI_OID_OTP_CHALLENGE:
        return take_string(attribute, &csr->otp_challenge);
    case PKI_OID_REVOCATION_CHALLENGE:
        return take_string(attribute, &csr->revocation_challenge);
    case PKI_OID_EST_IDENTITY_LINKING:
        return take_string(attribute, &csr->est_identity_linking);
    case PKI_OID_CHANGE_SUBJECT_NAME:
        return take_change(attribute, &csr->change_subject_name);
    default:
        return TM_OK;
    }
}

/* SET SIZE(1..MAX) OF ANY */
static bool valid_values(struct bytes values) {
    struct der value;
    if (values.n == 0)
        return false;
    while (values.n > 0)
        if (der_next(&values, &value) != TM_OK)
            return false;
    return true;
}

static enum tm_err parse_attribute(struct bytes *in, struct pki_csr_attribute *ret) {
    struct der attribute, oid, values;
    if (der_expect(in, DER_SEQUENCE, &attribute) != TM_OK ||
        der_expect(&attribute.value, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_expect(&attribute.value, DER_SET, &values) != TM_OK || attribute.value.n != 0 ||
        !valid_values(values.value))
        return TM_EPARSE;
    *ret = (struct pki_csr_attribute){
        .type = pki_oid_find(oid.value), .oid = oid.value, .values = values.value};
    return TM_OK;
}

static bool occurs_before(const struct pki_csr_attribute *attributes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(attributes[i].oid, attributes[count].oid))
            return true;
    return false;
}

static enum tm_err parse_attributes(struct bytes in, struct pki_csr *csr) {
    while (in.n > 0) {
        if (csr->attribute_count == PKI_ATTRIBUTES_MAX)
            return TM_ELIMIT;
        struct pki_csr_attribute *attribute = &csr->attributes[csr->attribute_count];
        if (parse_attribute(&in, attribute) != TM_OK ||
            occurs_before(csr->attributes, csr->attribute_count))
            return TM_EPARSE;
        csr->attribute_count++;
        enum tm_err err = take_known(attribute, csr);
        if (err != TM_OK)
            return err;
    }
    return TM_OK;
}

/* RFC 2986, 4.1. [0] is not OPTIONAL there, yet requests without attributes came without it for so
 * long that everybody reads them. */
static enum tm_err parse_info(struct bytes in, struct pki_csr *csr) {
    struct der version, name, spki, attributes = {0};
    bool there;
    uint32_t number;
    if (der_expect(&in, DER_INTEGER, &version) != TM_OK || der_small(&version, &number) != TM_OK ||
        number != 0 || der_expect(&in, DER_SEQUENCE, &name) != TM_OK ||
        !pki_name_valid(name.whole) || der_expect(&in, DER_SEQUENCE, &spki) != TM_OK ||
        pki_spki_parse(spki.whole, &csr->spki) != TM_OK ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(0), &attributes, &there) != TM_OK || in.n != 0)
        return TM_EPARSE;
    csr->subject = name.whole;
    return parse_attributes(attributes.value, csr);
}

enum tm_err pki_csr_parse(struct bytes der, struct pki_csr *ret) {
    struct der outer, info, algorithm, oid, signature;
    struct pki_csr csr = {0};
    if (der_only(der, DER_SEQUENCE, &outer) != TM_OK ||
        der_expect(&outer.value, DER_SEQUENCE, &info) != TM_OK ||
        der_expect(&outer.value, DER_SEQUENCE, &algorithm) != TM_OK ||
        der_expect(&algorithm.value, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_expect(&outer.value, DER_BIT_STRING, &signature) != TM_OK || outer.value.n != 0 ||
        der_bits(&signature, &csr.signature) != TM_OK)
        return TM_EPARSE;
    csr.whole = outer.whole;
    csr.info = info.whole;
    csr.algorithm = algorithm.whole;
    csr.signature_algorithm = pki_oid_find(oid.value);
    enum tm_err err = parse_info(info.value, &csr);
    if (err == TM_OK)
        *ret = csr;
    return err;
}

const struct pki_extension *pki_csr_extension(const struct pki_csr *csr, enum pki_oid type) {
    return pki_extension_find(csr->extensions, csr->extension_count, type);
}
