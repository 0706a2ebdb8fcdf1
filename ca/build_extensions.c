/* SPDX-License-Identifier: Apache-2.0 */
/* The extensions of a certificate (RFC 5280, 4.2). */
#include "ca/build_internal.h"
#include "ca/key.h"
#include "ca/san.h"

void ca_wrap_extension(struct der_writer *w, enum pki_oid type, bool critical, size_t end) {
    der_wrap(w, DER_OCTET_STRING, end);
    if (critical)
        der_put_boolean(w, true);
    der_put(w, DER_OID, pki_oid_bytes(type));
    der_wrap(w, DER_SEQUENCE, end);
}

static void put_access(struct der_writer *w, enum pki_oid method, const char *url) {
    if (!url)
        return;
    size_t end = der_mark(w);
    der_put(w, CA_SAN_URI, bytes_str(url));
    der_put(w, DER_OID, pki_oid_bytes(method));
    der_wrap(w, DER_SEQUENCE, end);
}

static void put_access_info(struct der_writer *w, const struct ca_profile *profile) {
    if (!profile->ocsp_url && !profile->issuers_url)
        return;
    size_t end = der_mark(w);
    put_access(w, PKI_OID_AD_CA_ISSUERS, profile->issuers_url);
    put_access(w, PKI_OID_AD_OCSP, profile->ocsp_url);
    der_wrap(w, DER_SEQUENCE, end);
    ca_wrap_extension(w, PKI_OID_AUTHORITY_INFO_ACCESS, false, end);
}

/* SEQUENCE { DistributionPoint { [0] { fullName [0] { URI } } } } */
static void put_crl_points(struct der_writer *w, const struct ca_profile *profile) {
    if (!profile->crl_url)
        return;
    size_t end = der_mark(w);
    der_put(w, CA_SAN_URI, bytes_str(profile->crl_url));
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_SEQUENCE, end);
    ca_wrap_extension(w, PKI_OID_CRL_DISTRIBUTION_POINTS, false, end);
}

/* Its own revocation is not looked for: it is short-lived instead (RFC 6960, 4.2.2.2.1). */
static void put_no_check(struct der_writer *w) {
    size_t end = der_mark(w);
    der_put(w, DER_NULL, (struct bytes){0});
    ca_wrap_extension(w, PKI_OID_OCSP_NOCHECK, false, end);
}

/* Not critical: the subject is never empty (RFC 5280, 4.2.1.6). */
static enum tm_err put_alternative_names(struct der_writer *w, const struct ca_build *b) {
    size_t end = der_mark(w);
    enum tm_err err = ca_put_names(w, b);
    if (!err && der_mark(w) != end)
        ca_wrap_extension(w, PKI_OID_SUBJECT_ALT_NAME, false, end);
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
        ca_wrap_extension(w, PKI_OID_EXT_KEY_USAGE, false, end);
    }
    end = der_mark(w);
    der_put_named_bits(w, ca_profile_key_usage(profile));
    ca_wrap_extension(w, PKI_OID_KEY_USAGE, true, end);
}

/* An empty SEQUENCE: cA is FALSE. Stated, because some verifiers read silence otherwise. */
static void put_no_ca(struct der_writer *w) {
    size_t end = der_mark(w);
    der_wrap(w, DER_SEQUENCE, end);
    ca_wrap_extension(w, PKI_OID_BASIC_CONSTRAINTS, true, end);
}

static void put_key_ids(struct der_writer *w, struct bytes subject_id, struct bytes issuer_id) {
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, subject_id);
    ca_wrap_extension(w, PKI_OID_SUBJECT_KEY_ID, false, end);
    end = der_mark(w);
    der_put(w, DER_CONTEXT(0), issuer_id);
    der_wrap(w, DER_SEQUENCE, end);
    ca_wrap_extension(w, PKI_OID_AUTHORITY_KEY_ID, false, end);
}

enum tm_err ca_put_extensions(struct der_writer *w, const struct ca_build *b) {
    uint8_t key_id[CA_KEY_ID_SIZE];
    enum tm_err err = ca_key_id(b->spki, key_id);
    if (err)
        return err;
    size_t end = der_mark(w);
    if (b->profile->kind == CA_KIND_OCSP)
        put_no_check(w);
    put_access_info(w, b->profile);
    put_crl_points(w, b->profile);
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
