/* SPDX-License-Identifier: Apache-2.0 */
/* The basic certificate fields: RFC 5280, 4.1. */
#include "ca/attribute.h"
#include "ca/key.h"
#include "ca/lint_rules.h"
#include "pki/name.h"

#define SERIAL_MIN 9                        /* octets: 64 random bits and a sign bit that is 0 */
#define UTC_TIME_END INT64_C(2524608000000) /* 2050-01-01T00:00:00Z */

static const char *check_version(const struct lint_case *c) {
    return c->cert.version == 3 ? NULL : "the version is not 3";
}

static const char *check_serial(const struct lint_case *c) {
    struct bytes serial = c->cert.serial;
    if (serial.p[0] & 0x80)
        return "the serial number is negative";
    if (serial.n > CA_SERIAL_MAX)
        return "the serial number is longer than 20 octets";
    if (serial.n < SERIAL_MIN)
        return "the serial number has no room for 64 random bits";
    return NULL;
}

static const char *check_signature_algorithm(const struct lint_case *c) {
    uint8_t octets[32];
    struct der_writer w = der_writer_on(octets, sizeof octets);
    ca_put_signature_algorithm(&w, c->issuer->signature);
    return bytes_equal(c->cert.tbs_algorithm, der_written(&w))
               ? NULL
               : "the signature algorithm is not the issuer's";
}

/* Octet for octet: verifiers exist that compare names so. */
static const char *check_issuer(const struct lint_case *c) {
    return bytes_equal(c->cert.issuer, c->issuer->view.subject)
               ? NULL
               : "the issuer is not the subject of the issuing CA's certificate";
}

static bool time_form_good(uint8_t tag, int64_t ms) {
    return tag == (ms < UTC_TIME_END ? DER_UTC_TIME : DER_GENERALIZED_TIME);
}

static const char *check_validity(const struct lint_case *c) {
    const struct pki_cert *cert = &c->cert;
    if (!time_form_good(cert->not_before_tag, cert->not_before_ms) ||
        !time_form_good(cert->not_after_tag, cert->not_after_ms))
        return "a time through 2049 is not UTCTime, or a later one not GeneralizedTime";
    if (cert->not_after_ms < cert->not_before_ms)
        return "notAfter is before notBefore";
    return NULL;
}

/* A path is valid only while each of its certificates is; 802.1AR lets an IDevID outlive. */
static const char *check_within_issuer(const struct lint_case *c) {
    const struct pki_cert *issuer = &c->issuer->view;
    if (c->cert.not_before_ms < issuer->not_before_ms)
        return "notBefore is before the issuer's";
    if (c->cert.not_before_ms > issuer->not_after_ms)
        return "notBefore is after the issuer's end";
    if (c->profile->kind != CA_KIND_IDEVID && c->cert.not_after_ms > issuer->not_after_ms)
        return "notAfter is after the issuer's";
    return NULL;
}

static const char *check_subject(const struct lint_case *c) {
    return pki_name_empty(c->cert.subject) ? "the subject is empty" : NULL;
}

static const char *check_attributes(const struct lint_case *c) {
    struct pki_attribute a;
    size_t state = 0;
    while (!pki_name_next(c->cert.subject, &state, &a)) {
        const struct ca_attribute *attribute = ca_attribute_of(a.type);
        if (!attribute)
            return "the subject holds an attribute that no profile sets";
        const char *fault = ca_attribute_fault(attribute, a.tag, a.value);
        if (fault)
            return fault;
    }
    return NULL;
}

static const char *check_key(const struct lint_case *c) {
    return ca_key_fault(&c->cert.spki);
}

/* The parser steps over them: what follows the key must be the extensions. */
static const char *check_unique_ids(const struct lint_case *c) {
    const uint8_t *behind_key = c->cert.spki.whole.p + c->cert.spki.whole.n;
    const uint8_t *end = c->cert.tbs.p + c->cert.tbs.n;
    return behind_key == end || *behind_key == DER_CONTEXT_CONSTRUCTED(3)
               ? NULL
               : "there is a unique identifier";
}

const struct lint_rule lint_field_rules[] = {
    {"RFC 5280 4.1.2.1", check_version},
    {"RFC 5280 4.1.2.2", check_serial},
    {"RFC 5280 4.1.2.3", check_signature_algorithm},
    {"RFC 5280 4.1.2.4", check_issuer},
    {"RFC 5280 4.1.2.5", check_validity},
    {"RFC 5280 6.1.3", check_within_issuer},
    {"RFC 5280 4.1.2.6", check_subject},
    {"RFC 5280 appendix A.1", check_attributes},
    {NULL, check_key},
    {"RFC 5280 4.1.2.8", check_unique_ids},
    {0},
};
