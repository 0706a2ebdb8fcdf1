/* SPDX-License-Identifier: Apache-2.0 */
/* The extensions of a certificate (RFC 5280, 4.2). */
#include "ca/build_internal.h"
#include "ca/key.h"
#include "ca/san.h"
#include "ca/template.h"
#include "pki/extensions.h"

/* A URL of the profile for this certificate, as a GeneralName. */
static enum tm_err put_url(struct der_writer *w, const struct ca_build *b, const char *template) {
    char url[CA_URL_MAX + 1];
    struct bytes serial = {b->serial->octets, b->serial->n};
    enum tm_err err = ca_template_url_of(template, b->issuer, serial, url);
    if (!err)
        der_put(w, CA_SAN_URI, bytes_str(url));
    return err;
}

static enum tm_err put_access(struct der_writer *w, const struct ca_build *b, enum pki_oid method,
                              const char *template) {
    size_t end = der_mark(w);
    if (!template)
        return TM_OK;
    enum tm_err err = put_url(w, b, template);
    if (err)
        return err;
    der_put(w, DER_OID, pki_oid_bytes(method));
    der_wrap(w, DER_SEQUENCE, end);
    return TM_OK;
}

static enum tm_err put_access_info(struct der_writer *w, const struct ca_build *b) {
    const struct ca_profile *profile = b->profile;
    if (!profile->ocsp_url && !profile->issuers_url)
        return TM_OK;
    size_t end = der_mark(w);
    enum tm_err err = put_access(w, b, PKI_OID_AD_CA_ISSUERS, profile->issuers_url);
    if (!err)
        err = put_access(w, b, PKI_OID_AD_OCSP, profile->ocsp_url);
    if (err)
        return err;
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_AUTHORITY_INFO_ACCESS, false, end);
    return TM_OK;
}

/* SEQUENCE { DistributionPoint { [0] { fullName [0] { URI } } } } */
static enum tm_err put_crl_points(struct der_writer *w, const struct ca_build *b) {
    if (!b->profile->crl_url)
        return TM_OK;
    size_t end = der_mark(w);
    enum tm_err err = put_url(w, b, b->profile->crl_url);
    if (err)
        return err;
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_CRL_DISTRIBUTION_POINTS, false, end);
    return TM_OK;
}

/* Its own revocation is not looked for: it is short-lived instead (RFC 6960, 4.2.2.2.1). */
static void put_no_check(struct der_writer *w) {
    size_t end = der_mark(w);
    der_put(w, DER_NULL, (struct bytes){0});
    pki_extension_wrap(w, PKI_OID_OCSP_NOCHECK, false, end);
}

/* Not critical: the subject is never empty (RFC 5280, 4.2.1.6). */
static enum tm_err put_alternative_names(struct der_writer *w, const struct ca_build *b) {
    size_t end = der_mark(w);
    enum tm_err err = ca_put_names(w, b);
    if (!err && der_mark(w) != end)
        pki_extension_wrap(w, PKI_OID_SUBJECT_ALT_NAME, false, end);
    return err;
}

static void put_usage(struct der_writer *w, const struct ca_profile *profile) {
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = ca_profile_purposes(profile, purposes);
    size_t end = der_mark(w);
    if (count > 0) {
        while (count > 0)
            der_put(w, DER_OID, pki_oid_bytes(purposes[--count]));
        der_wrap(w, DER_SEQUENCE, end);
        pki_extension_wrap(w, PKI_OID_EXT_KEY_USAGE, false, end);
    }
    end = der_mark(w);
    der_put_named_bits(w, ca_profile_key_usage(profile));
    pki_extension_wrap(w, PKI_OID_KEY_USAGE, true, end);
}

/* An empty SEQUENCE: cA is FALSE. Stated, because some verifiers read silence otherwise. */
static void put_no_ca(struct der_writer *w) {
    size_t end = der_mark(w);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_BASIC_CONSTRAINTS, true, end);
}

static void put_key_ids(struct der_writer *w, struct bytes subject_id, struct bytes issuer_id) {
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, subject_id);
    pki_extension_wrap(w, PKI_OID_SUBJECT_KEY_ID, false, end);
    end = der_mark(w);
    der_put(w, DER_CONTEXT(0), issuer_id);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_AUTHORITY_KEY_ID, false, end);
}

enum tm_err ca_put_extensions(struct der_writer *w, const struct ca_build *b) {
    uint8_t key_id[CA_KEY_ID_SIZE];
    enum tm_err err = ca_key_id(b->spki, key_id);
    if (err)
        return err;
    size_t end = der_mark(w);
    if (b->profile->kind == CA_KIND_OCSP)
        put_no_check(w);
    err = put_access_info(w, b);
    if (!err)
        err = put_crl_points(w, b);
    if (!err)
        err = put_alternative_names(w, b);
    if (err)
        return err;
    put_usage(w, b->profile);
    put_no_ca(w);
    put_key_ids(w, BYTES_OF(key_id), b->issuer->key_id);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(3), end);
    return TM_OK;
}
