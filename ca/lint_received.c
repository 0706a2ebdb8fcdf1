/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate that another CA made: what RFC 5280 asks of any, and that it lets its holder do no
 * more than the profile says. What it has beside that (policies, URLs, key identifiers of another
 * form) is that CA's affair, as long as no verifier has to understand it.
 */
#include "ca/key.h"
#include "ca/lint_rules.h"
#include "pki/name.h"

static const char *check_version(const struct lint_case *c) {
    return c->cert.version == 3 ? NULL : "the version is not 3";
}

static const char *check_serial(const struct lint_case *c) {
    struct bytes serial = c->cert.serial;
    bool zero = serial.n == 1 && serial.p[0] == 0;
    return serial.n == 0 || serial.n > CA_SERIAL_MAX || serial.p[0] & 0x80 || zero
               ? "the serial number is not positive and at most 20 octets"
               : NULL;
}

static const char *check_issuer(const struct lint_case *c) {
    return bytes_equal(c->cert.issuer, c->issuer->view.subject)
               ? NULL
               : "the issuer is not the subject of the pinned CA certificate";
}

static const char *check_validity(const struct lint_case *c) {
    return c->cert.not_after_ms < c->cert.not_before_ms ? "notAfter is before notBefore" : NULL;
}

static const char *check_subject(const struct lint_case *c) {
    return pki_name_empty(c->cert.subject) ? "the subject is empty" : NULL;
}

static const char *check_key(const struct lint_case *c) {
    const char *fault = ca_key_fault(&c->cert.spki);
    if (fault)
        return fault;
    return ca_key_kind(&c->cert.spki) & c->profile->keys
               ? NULL
               : "profile: the key is of a kind it does not take";
}

/* A verifier that does not know a critical extension refuses the certificate. */
static const char *check_critical(const struct lint_case *c) {
    for (size_t i = 0; i < c->cert.extension_count; i++)
        if (c->cert.extensions[i].critical && c->cert.extensions[i].type == PKI_OID_UNKNOWN)
            return "an extension that is not known is critical";
    return NULL;
}

static const char *check_authority_key(const struct lint_case *c) {
    struct bytes key_id;
    enum tm_err err = pki_cert_aki(&c->cert, &key_id);
    if (err == TM_ENOTFOUND || (!err && !key_id.n))
        return NULL;
    return !err && bytes_equal(key_id, c->issuer->key_id)
               ? NULL
               : "the authorityKeyIdentifier is not the issuer's subjectKeyIdentifier";
}

/* Without the extension, a key may be used for everything. */
static const char *check_usage(const struct lint_case *c) {
    uint16_t usage = 0;
    if (pki_cert_key_usage(&c->cert, &usage) || !usage)
        return "there is no keyUsage, or none that allows anything";
    return usage & ~ca_profile_key_usage(c->profile) ? "keyUsage allows more than the profile's"
                                                     : NULL;
}

static bool among(const enum pki_oid *purposes, size_t count, enum pki_oid purpose) {
    for (size_t i = 0; i < count; i++)
        if (purposes[i] == purpose)
            return true;
    return false;
}

static const char *check_purposes(const struct lint_case *c) {
    enum pki_oid found[PKI_EKU_MAX], allowed[PKI_EKU_MAX];
    size_t found_count = 0, allowed_count = ca_profile_purposes(c->profile, allowed);
    enum tm_err err = pki_cert_eku(&c->cert, found, &found_count);
    if (err && err != TM_ENOTFOUND)
        return "extKeyUsage is malformed";
    if (!found_count && allowed_count)
        return "there is no extKeyUsage, so that it serves for more than the profile's";
    for (size_t i = 0; i < found_count; i++)
        if (found[i] == PKI_OID_UNKNOWN || !among(allowed, allowed_count, found[i]))
            return "extKeyUsage holds a purpose that the profile does not";
    return NULL;
}

static const char *check_basic_constraints(const struct lint_case *c) {
    bool ca = false;
    int path_len = -1;
    enum tm_err err = pki_cert_basic_constraints(&c->cert, &ca, &path_len);
    if (err == TM_ENOTFOUND)
        return NULL;
    return err || ca || path_len != -1 ? "basicConstraints makes a CA of what is none" : NULL;
}

const struct lint_rule lint_received_rules[] = {
    {"RFC 5280 4.1.2.1", check_version},
    {"RFC 5280 4.1.2.2", check_serial},
    {"RFC 5280 4.1.2.4", check_issuer},
    {"RFC 5280 4.1.2.5", check_validity},
    {"RFC 5280 4.1.2.6", check_subject},
    {NULL, check_key},
    {"RFC 5280 4.2", check_critical},
    {"RFC 5280 4.2.1.1", check_authority_key},
    {"RFC 5280 4.2.1.9", check_basic_constraints},
    {"RFC 5280 4.2.1.3", check_usage},
    {"RFC 5280 4.2.1.12", check_purposes},
    {0},
};
