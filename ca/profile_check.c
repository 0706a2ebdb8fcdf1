/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a profile one that can be issued under: rules over several of its keys. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ca/attribute.h"
#include "ca/issuer.h"
#include "ca/key.h"
#include "ca/lifecycle.h"
#include "ca/profile.h"
#include "ca/san.h"
#include "ca/template.h"

struct check {
    const struct ca_profile *profile;
    char *text; /* CONF_ERROR_MAX octets */
};

/* false, so that a rule can end with it. */
__attribute__((format(printf, 2, 3))) static bool wrong(const struct check *c, const char *format,
                                                        ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, CONF_ERROR_MAX, format, args);
    va_end(args);
    return false;
}

/* A device whose every field is filled, to try templates on. */
static const struct ca_device sample = {
    .id = "XX", .sku = "XX", .hardware_revision = "XX", .batch = "XX", .site = "XX"};

static bool attribute_good(const struct check *c, const struct ca_profile_attribute *a) {
    char value[512];
    const struct ca_attribute *attribute = ca_attribute_named(a->type);
    if (!attribute)
        return wrong(c,
                     "subject: %s is not a type; known are CN, serialNumber, O, OU, C, L, ST, UID",
                     a->type);
    if (ca_template_expand(a->value, &sample, value, sizeof value))
        return wrong(c,
                     "subject: \"%.100s\" has an unknown placeholder; known are {id}, {sku}, "
                     "{hardware_revision}, {batch}, {site}",
                     a->value);
    const char *fault = ca_attribute_fault(attribute, attribute->tag, bytes_str(value));
    if (fault)
        return wrong(c, "subject: %s \"%.100s\": %s (RFC 5280, appendix A)", a->type, a->value,
                     fault);
    return true;
}

static bool subject_good(const struct check *c) {
    const struct ca_profile_attribute *attributes = c->profile->subject.items;
    bool serial_number = false, id = false;
    for (size_t i = 0; i < c->profile->subject.count; i++) {
        if (!attribute_good(c, &attributes[i]))
            return false;
        serial_number |= strcmp(attributes[i].type, "serialNumber") == 0;
        id |= strstr(attributes[i].value, "{id}") != NULL;
    }
    if (c->profile->kind == CA_KIND_IDEVID && !serial_number)
        return wrong(c, "subject: an IDevID has a serialNumber (IEEE 802.1AR, 8.6)");
    if (c->profile->kind != CA_KIND_TLS_SERVER && !id)
        return wrong(c, "subject: {id} is in none of its values, so two devices would share it");
    return true;
}

static bool names_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    uint8_t oid[64];
    struct buf b = BUF_ON(oid);
    if (p->hw_type && pki_oid_parse(p->hw_type, &b))
        return wrong(c, "hw_type: \"%s\" is not an object identifier in dotted decimal",
                     p->hw_type);
    for (size_t i = 0; i < p->san_uri.count; i++) {
        char uri[512];
        struct der name = {.tag = CA_SAN_URI};
        if (ca_template_expand(p->san_uri.items[i], &sample, uri, sizeof uri))
            return wrong(c, "san_uri: \"%.100s\" is too long or has an unknown placeholder",
                         p->san_uri.items[i]);
        name.value = bytes_str(uri);
        const char *fault = ca_san_fault(&name);
        if (fault)
            return wrong(c, "san_uri: \"%.100s\": %s (RFC 3986)", p->san_uri.items[i], fault);
    }
    if (p->kind == CA_KIND_TLS_SERVER && !p->san_from_request)
        return wrong(
            c, "san_from_request: a TLS server's names come from its request (RFC 9525, 4.1)");
    return true;
}

#define USAGE_SIGN (PKI_KU_DIGITAL_SIGNATURE | PKI_KU_NON_REPUDIATION)
#define USAGE_ENCIPHER (PKI_KU_KEY_ENCIPHERMENT | PKI_KU_DATA_ENCIPHERMENT)

static bool usage_good(const struct check *c) {
    unsigned keys = c->profile->keys, usage = ca_profile_key_usage(c->profile);
    if (!keys)
        return wrong(c, "keys: none is given, so that nothing could be certified");
    if (!usage)
        return wrong(c, "key_usage: none is given (RFC 5280, 4.2.1.3)");
    if ((keys & (CA_KEY_P256 | CA_KEY_P384)) && (usage & USAGE_ENCIPHER))
        return wrong(c, "key_usage: an EC key does not encipher (RFC 8813, 3); give RSA keys a "
                        "profile of their own");
    if ((keys & CA_KEY_ED25519) && (usage & ~(unsigned)USAGE_SIGN))
        return wrong(c, "key_usage: an Ed25519 key only signs (RFC 9295, 3)");
    if ((keys & CA_KEYS_MLDSA) && (usage & ~(unsigned)USAGE_SIGN))
        return wrong(c, "key_usage: an ML-DSA key only signs (RFC 9881, 5)");
    if ((keys & CA_KEY_RSA2048) && (usage & PKI_KU_KEY_AGREEMENT))
        return wrong(c, "key_usage: an RSA key does not agree on keys (RFC 3279, 2.3.1)");
    return true;
}

static bool has_purpose(const struct ca_profile *profile, enum pki_oid purpose) {
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = ca_profile_purposes(profile, purposes);
    for (size_t i = 0; i < count; i++)
        if (purposes[i] == purpose)
            return true;
    return count == 0; /* RFC 5280, 4.2.1.12: without the extension every purpose is good */
}

static bool purposes_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    if ((p->reenroll || p->renew_by_enroll) && !has_purpose(p, PKI_OID_KP_CLIENT_AUTH))
        return wrong(c, "ext_key_usage: without clientAuth a device cannot renew with this "
                        "certificate");
    if (p->kind == CA_KIND_TLS_SERVER && !has_purpose(p, PKI_OID_KP_SERVER_AUTH))
        return wrong(c, "ext_key_usage: a TLS server needs serverAuth");
    return true;
}

/* Whoever holds such a certificate speaks for the CA about every other: only touchmarkd's own token
 * gets one, and it is good for nothing else. */
static bool ocsp_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = ca_profile_purposes(p, purposes);
    bool only = count == 1 && purposes[0] == PKI_OID_KP_OCSP_SIGNING;
    if (p->kind != CA_KIND_OCSP) {
        for (size_t i = 0; i < count; i++)
            if (purposes[i] == PKI_OID_KP_OCSP_SIGNING)
                return wrong(c, "ext_key_usage: OCSPSigning is for the kind ocsp alone");
        return true;
    }
    if (!only || ca_profile_key_usage(p) != PKI_KU_DIGITAL_SIGNATURE)
        return wrong(c, "ext_key_usage, key_usage: the kind ocsp has OCSPSigning and "
                        "digitalSignature, and nothing else (RFC 6960, 4.2.2.2)");
    if (p->credentials || p->reenroll || p->renew_by_enroll || p->san_from_request)
        return wrong(c, "credentials: nobody can ask for a certificate of the kind ocsp");
    if (!p->retry_window || p->retry_window >= p->validity)
        return wrong(c, "retry_window: is when touchmarkd renews it, and shorter than validity");
    return true;
}

#define PROOF_VALIDITY_MAX (INT64_C(7) * 24 * 3600 * 1000)

/* A cloud takes such a certificate for a word by the CA's key. So it says the code that the cloud
 * gave and nothing else, is good for nothing else, and soon for nothing at all. */
static bool proof_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    const struct ca_profile_attribute *subject = p->subject.items;
    if (p->kind != CA_KIND_PROOF)
        return true;
    if (p->subject.count != 1 || strcmp(subject->type, "CN") != 0 ||
        strcmp(subject->value, "{id}") != 0)
        return wrong(c, "subject: of the kind proof it is CN \"{id}\" alone, which is the code");
    if (p->hw_type || p->san_uri.count || p->san_from_request)
        return wrong(c, "subject: the kind proof has no names but that; no hw_type, san_uri or "
                        "san_from_request");
    if (p->keys != CA_KEY_P256)
        return wrong(c, "keys: of the kind proof it is p256, a key that is made and thrown away");
    if (p->ext_key_usage || ca_profile_key_usage(p) != PKI_KU_DIGITAL_SIGNATURE)
        return wrong(c, "key_usage: the kind proof has digitalSignature, and no ext_key_usage");
    if (p->crl_url || p->ocsp_url || p->issuers_url)
        return wrong(c, "validity: the kind proof is short-lived, and has no URLs");
    if (p->credentials || p->reenroll || p->renew_by_enroll)
        return wrong(c, "credentials: nobody can ask for a certificate of the kind proof");
    if (!p->validity || p->validity > PROOF_VALIDITY_MAX || p->retry_window < p->validity)
        return wrong(c, "validity: of the kind proof it is at most 7d, and retry_window no less, "
                        "so that a code has one certificate");
    return true;
}

static bool validity_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    if (!p->validity == !p->not_after)
        return wrong(c, "validity, not_after: one of the two is given, not both");
    if (p->kind == CA_KIND_IDEVID && p->not_after != CA_FOREVER_MS)
        return wrong(c, "not_after: an IDevID ends at 99991231235959Z (IEEE 802.1AR, 8.5)");
    return true;
}

/* shard: "" where there is no {shard}. */
static bool url_good(const struct check *c, const char *key, const char *template,
                     const char *issuer, const char *shard) {
    char url[CA_URL_MAX + 1];
    struct der name = {.tag = CA_SAN_URI};
    if (!template)
        return true;
    if (ca_template_url(template, issuer, shard, url, sizeof url))
        return wrong(c, "%s: \"%.100s\" is too long or has a placeholder that is not there: %s",
                     key, template,
                     shard[0] ? "{issuer} and {shard} are"
                              : "{issuer} is; {shard} needs crl_shards");
    name.value = bytes_str(url);
    if (strncmp(url, "http://", 7) == 0 && !ca_san_fault(&name))
        return true;
    return wrong(c,
                 "%s: \"%.100s\" is not an http address; https would need a checked path to check "
                 "a path (RFC 5280, 8)",
                 key, url);
}

static bool urls_good(const struct check *c, const char *issuer, const char *shard) {
    const struct ca_profile *p = c->profile;
    return url_good(c, "crl_url", p->crl_url, issuer, shard) &&
           url_good(c, "ocsp_url", p->ocsp_url, issuer, "") &&
           url_good(c, "issuers_url", p->issuers_url, issuer, "");
}

static bool credentials_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    unsigned certificates = CA_CRED_IDEVID | CA_CRED_LDEVID | CA_CRED_FOREIGN;
    bool for_devices = p->kind == CA_KIND_IDEVID || p->kind == CA_KIND_LDEVID;
    if (!p->credentials && for_devices)
        return wrong(c, "credentials: none is given, so that no device could enroll");
    if (p->both && (!(p->credentials & CA_CRED_SECRET) || !(p->credentials & certificates)))
        return wrong(c, "both: credentials must then name secret and a kind of certificate");
    if (p->approval && !for_devices)
        return wrong(c, "approval: touchmarkd asks with a new key each time, for which no approval "
                        "could hold");
    return true;
}

static bool states_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    enum ca_state to = (enum ca_state)p->next_state;
    if (!p->states)
        return wrong(c, "states: none is given, so that no device could enroll");
    for (unsigned from = CA_REGISTERED; from <= CA_STATE_LAST; from++) {
        enum ca_state state = (enum ca_state)from;
        char targets[160];
        if (!(p->states & 1u << from))
            continue;
        if (!ca_state_serves(state))
            return wrong(c, "states: a device that is %s gets no certificate",
                         ca_state_name(state));
        ca_transitions_from(state, CA_BY_DEVICE, targets, sizeof targets);
        if (p->next_state && to != state && !(ca_transition_who(state, to) & CA_BY_DEVICE))
            return wrong(c, "next_state: %s cannot become %s, only %s", ca_state_name(state),
                         ca_state_name(to), targets);
    }
    return true;
}

static bool renewal_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    if (p->grace && !p->reenroll && !p->renew_by_enroll)
        return wrong(c, "grace: this profile's certificates are never renewed");
    if (p->change_subject && !p->reenroll)
        return wrong(c, "change_subject: needs reenroll, the request that it belongs to");
    return true;
}

static bool keygen_good(const struct check *c) {
    const struct ca_profile *p = c->profile;
    if (p->keygen == CA_KEYGEN_OFF)
        return true;
    if (!(p->keys & CA_KEYS_GENERATED))
        return wrong(c, "server_keygen: p256, p384 and ed25519 keys are made here, and keys names "
                        "none of them; an RSA key is made in the device");
    if (!p->credentials)
        return wrong(c, "server_keygen: credentials must name who may ask (RFC 7030, 4.4)");
    return true;
}

static bool keys_supported(const struct check *c) {
    for (unsigned key = 1; key <= CA_KEY_LAST; key <<= 1)
        if (c->profile->keys & key && !ca_key_supported(key))
            return wrong(c, "keys: %s: this OpenSSL has no ML-DSA; it needs 3.5",
                         ca_profile_key_word(key));
    return true;
}

bool ca_profile_check(const struct ca_profile *profile, char text[CONF_ERROR_MAX]) {
    const struct check c = {profile, text};
    return subject_good(&c) && names_good(&c) && usage_good(&c) && keys_supported(&c) &&
           purposes_good(&c) && validity_good(&c) && urls_good(&c, "XX", "0") &&
           credentials_good(&c) && states_good(&c) && renewal_good(&c) && ocsp_good(&c) &&
           proof_good(&c) && keygen_good(&c);
}

/* The shards that are published have their URL in issuingDistributionPoint, and a certificate
 * stands in one only if its cRLDistributionPoints says the same (RFC 5280, 6.3.3 (b) (2)). */
static bool shards_are_published(const struct check *c, const struct ca_issuer *issuer,
                                 const char *status_url) {
    char url[CA_URL_MAX + 1], published[CA_URL_MAX + 1];
    const char *template = c->profile->crl_url;
    if (!template || !strstr(template, "{shard}") || !status_url)
        return true;
    (void)snprintf(published, sizeof published, "%s/%s-0.crl", status_url, issuer->name);
    if (!ca_template_url(template, issuer->name, "0", url, sizeof url) &&
        strcmp(url, published) == 0)
        return true;
    return wrong(c,
                 "crl_url: the shards of issuer %.64s are published as %.120s/{issuer}-{shard}.crl",
                 issuer->name, status_url);
}

/* What its certificates say of CRLs and OCSP, and who may sign for it, is the other CA's affair. */
static bool elsewhere_good(const struct check *c, const struct ca_issuer *issuer) {
    const struct ca_profile *p = c->profile;
    const char *url = p->crl_url       ? "crl_url"
                      : p->ocsp_url    ? "ocsp_url"
                      : p->issuers_url ? "issuers_url"
                                       : NULL;
    if (url)
        return wrong(c, "%s: issuer %.64s signs elsewhere, and its CA sets that itself", url,
                     issuer->name);
    if (p->keygen != CA_KEYGEN_OFF)
        return wrong(c,
                     "server_keygen: issuer %.64s signs elsewhere, and what is made for a device "
                     "takes its key (RFC 7030, 4.4.2)",
                     issuer->name);
    return true;
}

bool ca_profile_check_issuer(const struct ca_profile *profile, const struct ca_issuer *issuer,
                             const char *status_url, char text[CONF_ERROR_MAX]) {
    const struct check c = {profile, text};
    if (issuer->remote)
        return elsewhere_good(&c, issuer);
    return urls_good(&c, issuer->name, issuer->crl_shards ? "0" : "") &&
           shards_are_published(&c, issuer, status_url);
}
