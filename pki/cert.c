/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing certificates, to-be-signed certificates and their extensions (RFC 5280, 4.1 and 4.2). */
#include "pki/cert.h"

#include "pki/extensions.h"
#include "pki/name.h"

#define VERSION_MAX 2 /* v3 */

/* RFC 5280, 4.1.2.1. */
static enum tm_err parse_version(struct bytes *in, unsigned *ret_version) {
    struct der explicit_tag, number;
    bool there;
    uint32_t version = 0;
    if (der_optional(in, DER_CONTEXT_CONSTRUCTED(0), &explicit_tag, &there) != TM_OK)
        return TM_EPARSE;
    if (there) {
        if (der_only(explicit_tag.value, DER_INTEGER, &number) != TM_OK ||
            der_small(&number, &version) != TM_OK || version > VERSION_MAX)
            return TM_EPARSE;
    }
    *ret_version = version + 1;
    return TM_OK;
}

static enum tm_err parse_validity(struct bytes *in, struct pki_cert *cert) {
    struct der validity, before, after;
    if (der_expect(in, DER_SEQUENCE, &validity) != TM_OK ||
        der_next(&validity.value, &before) != TM_OK || der_next(&validity.value, &after) != TM_OK ||
        validity.value.n != 0 || der_time(&before, &cert->not_before_ms) != TM_OK ||
        der_time(&after, &cert->not_after_ms) != TM_OK)
        return TM_EPARSE;
    cert->not_before_tag = before.tag;
    cert->not_after_tag = after.tag;
    return TM_OK;
}

static enum tm_err parse_name(struct bytes *in, struct bytes *ret_name) {
    struct der name;
    if (der_expect(in, DER_SEQUENCE, &name) != TM_OK || !pki_name_valid(name.whole))
        return TM_EPARSE;
    *ret_name = name.whole;
    return TM_OK;
}

/* RFC 5280, 4.1.2.8: of no use to anybody, but allowed from v2 on. */
static enum tm_err skip_unique_ids(struct bytes *in, unsigned version) {
    struct der id;
    bool issuer, subject;
    if (der_optional(in, DER_CONTEXT(1), &id, &issuer) != TM_OK ||
        der_optional(in, DER_CONTEXT(2), &id, &subject) != TM_OK)
        return TM_EPARSE;
    return (issuer || subject) && version < 2 ? TM_EPARSE : TM_OK;
}

/* RFC 5280, 4.1.2.9: only in v3. */
static enum tm_err parse_extensions(struct bytes *in, struct pki_cert *cert) {
    struct der explicit_tag;
    bool there;
    if (der_optional(in, DER_CONTEXT_CONSTRUCTED(3), &explicit_tag, &there) != TM_OK)
        return TM_EPARSE;
    if (!there)
        return TM_OK;
    if (cert->version < 3)
        return TM_EPARSE;
    return pki_extensions_parse(explicit_tag.value, cert->extensions, &cert->extension_count);
}

static enum tm_err parse_tbs_fields(struct bytes in, struct pki_cert *cert) {
    struct der serial, spki;
    if (parse_version(&in, &cert->version) != TM_OK ||
        der_expect(&in, DER_INTEGER, &serial) != TM_OK || !der_minimal_integer(serial.value) ||
        pki_algorithm_parse(&in, &cert->tbs_algorithm) != TM_OK ||
        parse_name(&in, &cert->issuer) != TM_OK || parse_validity(&in, cert) != TM_OK ||
        parse_name(&in, &cert->subject) != TM_OK || der_expect(&in, DER_SEQUENCE, &spki) != TM_OK ||
        pki_spki_parse(spki.whole, &cert->spki) != TM_OK ||
        skip_unique_ids(&in, cert->version) != TM_OK)
        return TM_EPARSE;
    cert->serial = serial.value;
    enum tm_err err = parse_extensions(&in, cert);
    if (err == TM_OK && in.n != 0)
        err = TM_EPARSE;
    return err;
}

enum tm_err pki_tbs_parse(struct bytes der, struct pki_cert *ret) {
    struct der tbs;
    struct pki_cert cert = {0};
    if (der_only(der, DER_SEQUENCE, &tbs) != TM_OK)
        return TM_EPARSE;
    cert.tbs = tbs.whole;
    enum tm_err err = parse_tbs_fields(tbs.value, &cert);
    if (err == TM_OK)
        *ret = cert;
    return err;
}

enum tm_err pki_cert_parse(struct bytes der, struct pki_cert *ret) {
    struct der outer, tbs, signature;
    struct pki_cert cert = {0};
    if (der_only(der, DER_SEQUENCE, &outer) != TM_OK ||
        der_expect(&outer.value, DER_SEQUENCE, &tbs) != TM_OK ||
        pki_algorithm_parse(&outer.value, &cert.algorithm) != TM_OK ||
        der_expect(&outer.value, DER_BIT_STRING, &signature) != TM_OK || outer.value.n != 0 ||
        der_bits(&signature, &cert.signature) != TM_OK)
        return TM_EPARSE;
    cert.whole = outer.whole;
    cert.tbs = tbs.whole;
    enum tm_err err = parse_tbs_fields(tbs.value, &cert);
    /* RFC 5280, 4.1.1.2: both name the same algorithm. */
    if (err == TM_OK && !bytes_equal(cert.algorithm, cert.tbs_algorithm))
        err = TM_EPARSE;
    if (err == TM_OK)
        *ret = cert;
    return err;
}

const struct pki_extension *pki_cert_extension(const struct pki_cert *cert, enum pki_oid type) {
    return pki_extension_find(cert->extensions, cert->extension_count, type);
}

/* The value of an extension, which is one element with this tag. */
static enum tm_err extension_value(const struct pki_cert *cert, enum pki_oid type, uint8_t tag,
                                   struct der *ret) {
    const struct pki_extension *extension = pki_cert_extension(cert, type);
    if (!extension)
        return TM_ENOTFOUND;
    return der_only(extension->value, tag, ret);
}

/* RFC 5280, 4.2.1.9. */
enum tm_err pki_cert_basic_constraints(const struct pki_cert *cert, bool *ret_ca,
                                       int *ret_path_len) {
    struct der value, flag, number;
    bool there, ca = false;
    uint32_t path_len = 0;
    enum tm_err err = extension_value(cert, PKI_OID_BASIC_CONSTRAINTS, DER_SEQUENCE, &value);
    if (err != TM_OK)
        return err;
    if (der_optional(&value.value, DER_BOOLEAN, &flag, &there) != TM_OK ||
        (there && der_boolean(&flag, &ca) != TM_OK) ||
        der_optional(&value.value, DER_INTEGER, &number, &there) != TM_OK ||
        (there && der_small(&number, &path_len) != TM_OK) || path_len > INT32_MAX ||
        value.value.n != 0)
        return TM_EPARSE;
    *ret_ca = ca;
    *ret_path_len = there ? (int)path_len : -1;
    return TM_OK;
}

/* RFC 5280, 4.2.1.3: nine bits, so one or two octets behind the count of unused bits. */
enum tm_err pki_cert_key_usage(const struct pki_cert *cert, uint16_t *ret_bits) {
    struct der value;
    enum tm_err err = extension_value(cert, PKI_OID_KEY_USAGE, DER_BIT_STRING, &value);
    if (err != TM_OK)
        return err;
    struct bytes v = value.value;
    if (v.n < 1 || v.n > 3 || v.p[0] > 7 || (v.n == 1 && v.p[0] != 0))
        return TM_EPARSE;
    uint16_t bits = 0;
    if (v.n > 1)
        bits = (uint16_t)(v.p[1] << 8);
    if (v.n > 2)
        bits |= v.p[2];
    /* X.690, 11.2.1: unused bits are zero. */
    if (v.n > 1 && (v.p[v.n - 1] & ((1u << v.p[0]) - 1)))
        return TM_EPARSE;
    *ret_bits = bits;
    return TM_OK;
}

/* RFC 5280, 4.2.1.12. */
enum tm_err pki_cert_eku(const struct pki_cert *cert, enum pki_oid ret[PKI_EKU_MAX],
                         size_t *ret_count) {
    struct der value, purpose;
    enum pki_oid found[PKI_EKU_MAX];
    size_t count = 0;
    enum tm_err err = extension_value(cert, PKI_OID_EXT_KEY_USAGE, DER_SEQUENCE, &value);
    if (err != TM_OK)
        return err;
    if (value.value.n == 0)
        return TM_EPARSE;
    while (value.value.n > 0) {
        if (der_expect(&value.value, DER_OID, &purpose) != TM_OK || !pki_oid_valid(purpose.value))
            return TM_EPARSE;
        if (count == PKI_EKU_MAX)
            return TM_ELIMIT;
        found[count++] = pki_oid_find(purpose.value);
    }
    for (size_t i = 0; i < count; i++)
        ret[i] = found[i];
    *ret_count = count;
    return TM_OK;
}

enum tm_err pki_cert_ski(const struct pki_cert *cert, struct bytes *ret_key_id) {
    struct der value;
    enum tm_err err = extension_value(cert, PKI_OID_SUBJECT_KEY_ID, DER_OCTET_STRING, &value);
    if (err == TM_OK)
        *ret_key_id = value.value;
    return err;
}

/* RFC 5280, 4.2.1.1. */
enum tm_err pki_cert_aki(const struct pki_cert *cert, struct bytes *ret_key_id) {
    struct der value, key_id;
    bool there;
    enum tm_err err = extension_value(cert, PKI_OID_AUTHORITY_KEY_ID, DER_SEQUENCE, &value);
    if (err == TM_OK)
        err = der_optional(&value.value, DER_CONTEXT(0), &key_id, &there);
    if (err == TM_OK && !there)
        err = TM_ENOTFOUND;
    if (err == TM_OK)
        *ret_key_id = key_id.value;
    return err;
}

/* RFC 5280, 4.2.1.6: at least one name. */
enum tm_err pki_cert_san(const struct pki_cert *cert, struct bytes *ret_general_names) {
    struct der value;
    enum tm_err err = extension_value(cert, PKI_OID_SUBJECT_ALT_NAME, DER_SEQUENCE, &value);
    if (err == TM_OK && value.value.n == 0)
        err = TM_EPARSE;
    if (err == TM_OK)
        *ret_general_names = value.whole;
    return err;
}
