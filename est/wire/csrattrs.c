/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and reading CsrAttrs. The old form and the template say the same, except where one of
 * them cannot: the template has no place for the signature algorithm, and the subject exists only
 * in it.
 */
#include "est/wire/csrattrs.h"

#include "pki/der.h"

#define RSA_BITS_MIN 1024
#define RSA_BITS_MAX 8192
#define RSA_EXPONENT 65537
#define TEMPLATE_VERSION 0 /* v1 */

static void put_oid(struct der_writer *w, enum pki_oid oid) {
    der_put(w, DER_OID, pki_oid_bytes(oid));
}

/* Attribute ::= SEQUENCE { type, values SET }: wraps what was written since `mark` as its values.
 */
static void wrap_attribute(struct der_writer *w, enum pki_oid type, size_t mark) {
    der_wrap(w, DER_SET, mark);
    put_oid(w, type);
    der_wrap(w, DER_SEQUENCE, mark);
}

static bool wants_extensions(const struct est_csrattrs *a) {
    return a->eku_count > 0 || a->key_usage != 0;
}

/* RFC 5280, 4.2.1.3: keyUsage SHOULD be critical. */
static void put_key_usage(struct der_writer *w, uint16_t bits) {
    size_t end = der_mark(w);
    der_put_named_bits(w, bits);
    der_wrap(w, DER_OCTET_STRING, end);
    der_put_boolean(w, true);
    put_oid(w, PKI_OID_KEY_USAGE);
    der_wrap(w, DER_SEQUENCE, end);
}

static void put_eku(struct der_writer *w, const enum pki_oid *purposes, size_t count) {
    size_t end = der_mark(w);
    for (size_t i = count; i > 0; i--)
        put_oid(w, purposes[i - 1]);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_OCTET_STRING, end);
    put_oid(w, PKI_OID_EXT_KEY_USAGE);
    der_wrap(w, DER_SEQUENCE, end);
}

/* RFC 9908, 3.2: the values are exactly one Extensions. */
static void put_extension_request(struct der_writer *w, const struct est_csrattrs *a) {
    size_t end = der_mark(w);
    if (a->eku_count > 0)
        put_eku(w, a->eku, a->eku_count);
    if (a->key_usage != 0)
        put_key_usage(w, a->key_usage);
    der_wrap(w, DER_SEQUENCE, end);
    wrap_attribute(w, PKI_OID_EXTENSION_REQUEST, end);
}

/* RFC 9908, 3.2: "exactly one Attribute with the type field being the OID specifying the type of
 * the key"; its values, the curve or the size, may be none. */
static void put_key(struct der_writer *w, const struct est_csrattrs *a) {
    size_t end = der_mark(w);
    if (a->curve != PKI_OID_UNKNOWN)
        put_oid(w, a->curve);
    else if (a->rsa_bits != 0)
        der_put_small(w, a->rsa_bits);
    wrap_attribute(w, a->key_algorithm, end);
}

/* RFC 9908, 3.4: the server "needs to specify its size" by "a placeholder public key value of the
 * desired RSA modulus length": here the highest bit and the lowest. */
static void put_rsa_placeholder(struct der_writer *w, unsigned bits) {
    uint8_t modulus[RSA_BITS_MAX / 8] = {0};
    size_t n = (bits + 7) / 8;
    modulus[0] = (uint8_t)(1u << (bits - 1) % 8);
    modulus[n - 1] |= 1;
    size_t end = der_mark(w);
    der_put_small(w, RSA_EXPONENT);
    der_put_unsigned(w, (struct bytes){modulus, n});
    der_wrap(w, DER_SEQUENCE, end);
    der_raw(w, (struct bytes){(const uint8_t[]){0}, 1}); /* no unused bits */
    der_wrap(w, DER_BIT_STRING, end);
}

static void put_template_key(struct der_writer *w, const struct est_csrattrs *a) {
    size_t end = der_mark(w);
    if (a->rsa_bits != 0)
        put_rsa_placeholder(w, a->rsa_bits);
    size_t algorithm = der_mark(w);
    if (a->curve != PKI_OID_UNKNOWN)
        put_oid(w, a->curve);
    else if (a->key_algorithm == PKI_OID_RSA_ENCRYPTION)
        der_put(w, DER_NULL, (struct bytes){0});
    put_oid(w, a->key_algorithm);
    der_wrap(w, DER_SEQUENCE, algorithm);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
}

/* RFC 9908, 3.4: an RDN without value is for the client to fill in. */
static void put_template_subject(struct der_writer *w, const struct est_csrattrs *a) {
    size_t end = der_mark(w);
    for (size_t i = a->subject_count; i > 0; i--) {
        size_t rdn = der_mark(w);
        put_oid(w, a->subject[i - 1]);
        der_wrap(w, DER_SEQUENCE, rdn);
        der_wrap(w, DER_SET, rdn);
    }
    der_wrap(w, DER_SEQUENCE, end);
}

/* RFC 9908, 4: clients that know the template ignore all else, so it asks for challengePassword
 * too; its value, which only the client knows, stays out as for key types. In DER's order of a SET.
 */
static void put_template_attributes(struct der_writer *w, const struct est_csrattrs *a) {
    size_t end = der_mark(w);
    if (wants_extensions(a))
        put_extension_request(w, a);
    if (a->challenge_password)
        wrap_attribute(w, PKI_OID_CHALLENGE_PASSWORD, der_mark(w));
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(1), end);
}

static void put_template(struct der_writer *w, const struct est_csrattrs *a) {
    size_t end = der_mark(w);
    put_template_attributes(w, a);
    if (a->key_algorithm != PKI_OID_UNKNOWN)
        put_template_key(w, a);
    if (a->subject_count > 0)
        put_template_subject(w, a);
    der_put_small(w, TEMPLATE_VERSION);
    der_wrap(w, DER_SEQUENCE, end);
    wrap_attribute(w, PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE, end);
}

static bool template_says_something(const struct est_csrattrs *a) {
    return a->template_form && (a->key_algorithm != PKI_OID_UNKNOWN || a->subject_count > 0 ||
                                wants_extensions(a) || a->challenge_password);
}

/* The extensions are asked for in one place: in the template, when there is one. */
static void put_elements(struct der_writer *w, const struct est_csrattrs *a) {
    bool template = template_says_something(a);
    if (template)
        put_template(w, a);
    if (a->signature != PKI_OID_UNKNOWN)
        put_oid(w, a->signature);
    if (!template && wants_extensions(a))
        put_extension_request(w, a);
    if (a->key_algorithm != PKI_OID_UNKNOWN)
        put_key(w, a);
    if (a->challenge_password)
        put_oid(w, PKI_OID_CHALLENGE_PASSWORD);
}

static bool valid(const struct est_csrattrs *a) {
    bool ec = a->key_algorithm == PKI_OID_EC_PUBLIC_KEY;
    bool rsa = a->key_algorithm == PKI_OID_RSA_ENCRYPTION;
    if (a->subject_count > EST_CSRATTRS_OIDS_MAX || a->eku_count > EST_CSRATTRS_OIDS_MAX)
        return false;
    if (a->rsa_bits != 0 && (!rsa || a->rsa_bits < RSA_BITS_MIN || a->rsa_bits > RSA_BITS_MAX))
        return false;
    return ec || a->curve == PKI_OID_UNKNOWN;
}

enum tm_err est_csrattrs_write(const struct est_csrattrs *attrs, struct buf *out) {
    if (!valid(attrs))
        return TM_EINVAL;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    put_elements(&w, attrs);
    if (!w.full && der_mark(&w) == end)
        return TM_OK; /* nothing is asked */
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err est_csrattrs_open(struct bytes der, struct bytes *ret_rest) {
    struct der sequence;
    if (der_only(der, DER_SEQUENCE, &sequence) != TM_OK)
        return TM_EPARSE;
    *ret_rest = sequence.value;
    return TM_OK;
}

static enum tm_err parse_attribute(struct bytes in, struct est_attr_or_oid *ret) {
    struct der oid, values;
    if (der_expect(&in, DER_OID, &oid) != TM_OK || der_only(in, DER_SET, &values) != TM_OK)
        return TM_EPARSE;
    *ret = (struct est_attr_or_oid){
        .oid = oid.value, .has_values = values.value.n > 0, .values = values.value};
    return TM_OK;
}

enum tm_err est_csrattrs_next(struct bytes *rest, struct est_attr_or_oid *ret) {
    struct bytes in = *rest;
    struct der element;
    struct est_attr_or_oid found = {0};
    if (in.n == 0)
        return TM_ENOTFOUND;
    if (der_next(&in, &element) != TM_OK)
        return TM_EPARSE;
    if (element.tag == DER_OID)
        found.oid = element.value;
    else if (element.tag != DER_SEQUENCE || parse_attribute(element.value, &found) != TM_OK)
        return TM_EPARSE;
    if (!pki_oid_valid(found.oid))
        return TM_EPARSE;
    found.type = pki_oid_find(found.oid);
    *ret = found;
    *rest = in;
    return TM_OK;
}
