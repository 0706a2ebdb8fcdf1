/* SPDX-License-Identifier: Apache-2.0 */
/* Reading certificates for path building: see client/verify_facts.h. */
#include "client/verify_facts.h"

#include "pki/chars.h"
#include "pki/name.h"

#define USAGE_ANY 0xffffu

/* TM_OK also when the extension is absent. */
static enum tm_err optional(enum tm_err err) {
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err read_purposes(const struct pki_cert *cert, bool *ret_client_auth) {
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count;
    enum tm_err err = pki_cert_eku(cert, purposes, &count);
    if (err == TM_ENOTFOUND)
        *ret_client_auth = true;
    if (err)
        return optional(err);
    *ret_client_auth = false;
    for (size_t i = 0; i < count; i++)
        *ret_client_auth |= purposes[i] == PKI_OID_KP_CLIENT_AUTH;
    return TM_OK;
}

/* certificatePolicies may be critical and ask nothing of who accepts any policy; constraints on
 * policies and names would have to be applied, and are not. */
static bool has_unknown_critical(const struct pki_cert *cert) {
    for (size_t i = 0; i < cert->extension_count; i++) {
        const struct pki_extension *e = &cert->extensions[i];
        bool known = e->type == PKI_OID_BASIC_CONSTRAINTS || e->type == PKI_OID_KEY_USAGE ||
                     e->type == PKI_OID_EXT_KEY_USAGE || e->type == PKI_OID_SUBJECT_ALT_NAME ||
                     e->type == PKI_OID_CERTIFICATE_POLICIES;
        if (e->critical && !known)
            return true;
    }
    return false;
}

static enum tm_err read_extensions(const struct pki_cert *cert, struct tm_facts *facts) {
    enum tm_err err = optional(pki_cert_basic_constraints(cert, &facts->ca, &facts->path_len));
    if (!err)
        err = optional(pki_cert_key_usage(cert, &facts->usage));
    if (!err)
        err = read_purposes(cert, &facts->client_auth);
    if (!err)
        err = optional(pki_cert_ski(cert, &facts->key_id));
    if (!err)
        err = optional(pki_cert_aki(cert, &facts->issuer_key_id));
    return err;
}

enum tm_err tm_facts_read(struct bytes certificate, struct tm_facts *ret) {
    struct pki_cert cert;
    if (pki_cert_parse(certificate, &cert))
        return TM_EPARSE;
    struct tm_facts facts = {.whole = cert.whole,
                             .tbs = cert.tbs,
                             .algorithm = cert.algorithm,
                             .signature = cert.signature,
                             .serial = cert.serial,
                             .issuer = cert.issuer,
                             .subject = cert.subject,
                             .spki = cert.spki.whole,
                             .not_before_ms = cert.not_before_ms,
                             .not_after_ms = cert.not_after_ms,
                             .path_len = -1,
                             .usage = USAGE_ANY,
                             .unknown_critical = has_unknown_critical(&cert)};
    if (read_extensions(&cert, &facts))
        return TM_EPARSE;
    *ret = facts;
    return TM_OK;
}

enum tm_err tm_facts_next(struct bytes *certificates, struct tm_facts *ret) {
    struct der element;
    if (certificates->n == 0)
        return TM_ENOTFOUND;
    if (der_next(certificates, &element)) {
        *certificates = (struct bytes){0};
        return TM_EPARSE;
    }
    return tm_facts_read(element.whole, ret);
}

bool tm_facts_self_issued(const struct tm_facts *facts) {
    return pki_name_equal(facts->issuer, facts->subject);
}

const char *tm_facts_not_ca(const struct tm_facts *facts) {
    if (facts->unknown_critical)
        return "a critical extension of the CA certificate is not known (RFC 5280, 4.2)";
    if (!facts->ca)
        return "the issuer is no CA (RFC 5280, 4.2.1.9)";
    if (!(facts->usage & PKI_KU_KEY_CERT_SIGN))
        return "the issuer's keyUsage lacks keyCertSign (RFC 5280, 4.2.1.3)";
    return NULL;
}

static bool text_equal(const struct pki_attribute *attribute, const char *text) {
    struct bytes a = attribute->value, b = bytes_str(text);
    for (;;) {
        uint32_t ca, cb;
        enum tm_err ea = chars_next(attribute->tag, &a, &ca);
        enum tm_err eb = chars_next(DER_UTF8_STRING, &b, &cb);
        if (ea || eb)
            return ea == TM_ENOTFOUND && eb == TM_ENOTFOUND;
        if (ca != cb)
            return false;
    }
}

bool tm_name_has(struct bytes name, enum pki_oid type, const char *text) {
    struct pki_attribute attribute;
    size_t state = 0;
    while (!pki_name_next(name, &state, &attribute))
        if (attribute.type == type && text_equal(&attribute, text))
            return true;
    return false;
}
