/* SPDX-License-Identifier: Apache-2.0 */
/* Agreement with the profile: what the certificate says is what the profile lets it say. */
#include <string.h>

#include "ca/key.h"
#include "ca/lint_rules.h"
#include "ca/registry.h"
#include "ca/san.h"
#include "ca/template.h"
#include "pki/name.h"

static const char *check_key_kind(const struct lint_case *c) {
    return ca_key_kind(&c->cert.spki) & c->profile->keys ? NULL
                                                         : "the key is of a kind it does not take";
}

/* The builder cuts at the issuer's end and rounds to seconds; a certificate never lasts longer. */
static const char *check_lifetime(const struct lint_case *c) {
    const struct ca_profile *p = c->profile;
    int64_t lifetime = c->cert.not_after_ms - c->cert.not_before_ms;
    if (p->not_after)
        return c->cert.not_after_ms > p->not_after ? "notAfter is after its not_after" : NULL;
    return lifetime > p->validity + p->backdate + 1000 ? "the lifetime is longer than its validity"
                                                       : NULL;
}

static const char *check_usage(const struct lint_case *c) {
    uint16_t usage;
    return !pki_cert_key_usage(&c->cert, &usage) && usage == ca_profile_key_usage(c->profile)
               ? NULL
               : "keyUsage is not its key_usage";
}

static const char *check_profile_purposes(const struct lint_case *c) {
    enum pki_oid found[PKI_EKU_MAX], wanted[PKI_EKU_MAX];
    size_t found_count = 0, wanted_count = ca_profile_purposes(c->profile, wanted);
    enum tm_err err = pki_cert_eku(&c->cert, found, &found_count);
    bool same = (!err || err == TM_ENOTFOUND) && found_count == wanted_count;
    for (size_t i = 0; same && i < found_count; i++)
        same = found[i] == wanted[i];
    return same ? NULL : "extKeyUsage is not its ext_key_usage";
}

/* hardwareModuleName: is hwType the profile's? */
static bool hardware_type_is(const struct der *name, const char *hw_type) {
    uint8_t octets[64];
    struct buf wanted = BUF_ON(octets);
    struct bytes in = name->value;
    struct der type, value, module, found;
    return hw_type && !pki_oid_parse(hw_type, &wanted) && !der_next(&in, &type) &&
           !der_next(&in, &value) && !der_next(&value.value, &module) &&
           !der_next(&module.value, &found) && bytes_equal(found.value, buf_bytes(&wanted));
}

static bool takes_name(const struct ca_profile *p, const struct der *name) {
    switch (name->tag) {
    case CA_SAN_OTHER:
        return hardware_type_is(name, p->hw_type);
    case CA_SAN_URI:
        return p->san_uri.count > 0 || p->san_from_request;
    default:
        return p->san_from_request;
    }
}

static const char *check_names(const struct lint_case *c) {
    struct bytes whole, names = {0};
    struct der name;
    unsigned count = 0;
    if (!pki_cert_san(&c->cert, &whole) && ca_san_open(whole, &names))
        return "subjectAltName is malformed";
    for (; names.n; count++)
        if (der_next(&names, &name) || !takes_name(c->profile, &name))
            return "subjectAltName holds a name of a kind it does not take";
    return c->profile->kind == CA_KIND_TLS_SERVER && count == 0
               ? "a TLS server has no subjectAltName (RFC 9525, 4.1)"
               : NULL;
}

/* Is it what a URL of the profile comes to for this certificate? */
static bool is_url(const struct lint_case *c, struct bytes value, const char *template) {
    char url[CA_URL_MAX + 1];
    return !ca_template_url_of(template, c->issuer, c->cert.serial, url) &&
           bytes_equal(value, bytes_str(url));
}

/* SEQUENCE { SEQUENCE { [0] { [0] { [6] url } } } } */
static bool is_one_point(const struct lint_case *c, struct bytes value) {
    struct der points, point, name, full, uri;
    return !der_only(value, DER_SEQUENCE, &points) &&
           !der_only(points.value, DER_SEQUENCE, &point) &&
           !der_only(point.value, DER_CONTEXT_CONSTRUCTED(0), &name) &&
           !der_only(name.value, DER_CONTEXT_CONSTRUCTED(0), &full) &&
           !der_only(full.value, CA_SAN_URI, &uri) && is_url(c, uri.value, c->profile->crl_url);
}

static const char *check_crl_points(const struct lint_case *c) {
    const struct pki_extension *e = pki_cert_extension(&c->cert, PKI_OID_CRL_DISTRIBUTION_POINTS);
    bool wanted = c->profile->crl_url;
    bool good = wanted ? e && is_one_point(c, e->value) : !e;
    return good ? NULL : "cRLDistributionPoints is not its crl_url";
}

/* Takes AccessDescription { method, url } off *in; an unset url takes nothing. */
static bool take_access(const struct lint_case *c, struct bytes *in, enum pki_oid method,
                        const char *template) {
    struct der access, oid, uri;
    if (!template)
        return true;
    return !der_expect(in, DER_SEQUENCE, &access) && !der_expect(&access.value, DER_OID, &oid) &&
           !der_only(access.value, CA_SAN_URI, &uri) && pki_oid_find(oid.value) == method &&
           is_url(c, uri.value, template);
}

static const char *check_access(const struct lint_case *c) {
    const struct ca_profile *p = c->profile;
    const struct pki_extension *e = pki_cert_extension(&c->cert, PKI_OID_AUTHORITY_INFO_ACCESS);
    bool wanted = p->ocsp_url || p->issuers_url;
    struct der list = {0};
    bool good = wanted ? e && !der_only(e->value, DER_SEQUENCE, &list) &&
                             take_access(c, &list.value, PKI_OID_AD_OCSP, p->ocsp_url) &&
                             take_access(c, &list.value, PKI_OID_AD_CA_ISSUERS, p->issuers_url) &&
                             list.value.n == 0
                       : !e;
    return good ? NULL : "authorityInfoAccess is not its ocsp_url and issuers_url";
}

/* Who holds such a certificate says for the CA what is revoked (RFC 6960, 4.2.2.2). */
static const char *check_ocsp(const struct lint_case *c) {
    const struct pki_extension *e = pki_cert_extension(&c->cert, PKI_OID_OCSP_NOCHECK);
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = 0;
    bool signs = false;
    if (!pki_cert_eku(&c->cert, purposes, &count))
        for (size_t i = 0; i < count; i++)
            signs |= purposes[i] == PKI_OID_KP_OCSP_SIGNING;
    bool wanted = c->profile->kind == CA_KIND_OCSP;
    if (wanted != signs || wanted != (e != NULL))
        return "OCSPSigning and id-pkix-ocsp-nocheck are for the kind ocsp, and it has both";
    return e && !bytes_equal(e->value, (struct bytes){(const uint8_t *)"\x05\x00", 2})
               ? "id-pkix-ocsp-nocheck is not NULL (RFC 6960, 4.2.2.2.1)"
               : NULL;
}

/* A cloud takes it for a word by the CA's key: what it says is a code, and nothing else. */
static const char *check_proof(const struct lint_case *c) {
    struct pki_attribute code, other;
    char text[IPC_NAME_MAX + 1] = "";
    size_t state = 0;
    if (c->profile->kind != CA_KIND_PROOF)
        return NULL;
    if (pki_name_next(c->cert.subject, &state, &code) || code.type != PKI_OID_COMMON_NAME ||
        pki_name_next(c->cert.subject, &state, &other) != TM_ENOTFOUND ||
        code.value.n >= sizeof text)
        return "the subject is not one CN";
    memcpy(text, code.value.p, code.value.n);
    return strlen(text) == code.value.n && ca_device_id_valid(text)
               ? NULL
               : "the CN is no registration code";
}

#define PROFILE "profile"
const struct lint_rule lint_profile_rules[] = {
    {PROFILE, check_key_kind}, {PROFILE, check_lifetime},
    {PROFILE, check_usage},    {PROFILE, check_profile_purposes},
    {PROFILE, check_names},    {PROFILE, check_crl_points},
    {PROFILE, check_access},   {PROFILE, check_ocsp},
    {PROFILE, check_proof},    {0},
};
