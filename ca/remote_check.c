/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What another CA answered with: nothing of it is believed. It has to be for the key that was asked
 * for, by the pinned issuer's key, in a time that the profile allows, for no other names than those
 * of profile and request, and no more than the profile would have made of it.
 */
#include "ca/build.h"
#include "ca/lint.h"
#include "ca/remote.h"
#include "ca/san.h"
#include "ca/signature.h"
#include "pki/name.h"

#define CLOCKS_MS 300000 /* by which the other CA's clock may differ */

/* What the certificate would be called if it were made here. */
struct wanted {
    struct bytes subject; /* whole Name */
    struct bytes san;     /* whole GeneralNames; empty: none */
    uint8_t subject_memory[CA_SAN_MAX];
    uint8_t san_memory[CA_SAN_MAX];
};

static bool fill_wanted(const struct ca_request *r, struct wanted *w) {
    const struct ca_build b = {.profile = r->label->profile,
                               .device = &r->device,
                               .requested_san = r->requested_san,
                               .keep_san = r->keep_san,
                               .renewal = r->keep_subject.n != 0};
    struct buf subject = BUF_ON(w->subject_memory), san = BUF_ON(w->san_memory);
    if (r->keep_subject.n)
        buf_put(&subject, r->keep_subject);
    else if (ca_build_subject(b.profile, b.device, &subject))
        return false;
    if (ca_build_names(&b, &san) || subject.full || san.full)
        return false;
    w->subject = buf_bytes(&subject);
    w->san = buf_bytes(&san);
    return true;
}

/* ---- key and signature ---- */

static bool key_fits(const struct ca_request *r, const struct pki_cert *cert,
                     struct ca_refusal *ret) {
    const struct pki_spki *asked = &r->csr.spki, *got = &cert->spki;
    if (got->algorithm == asked->algorithm && got->curve == asked->curve &&
        bytes_equal(got->key, asked->key))
        return true;
    return ca_refuse(ret, IPC_FAILED, "the other CA's certificate is for another key");
}

static enum pki_oid algorithm_of(const struct pki_cert *cert) {
    struct der sequence, oid;
    if (der_only(cert->algorithm, DER_SEQUENCE, &sequence) ||
        der_expect(&sequence.value, DER_OID, &oid))
        return PKI_OID_UNKNOWN;
    return pki_oid_find(oid.value);
}

static bool signature_fits(const struct ca_request *r, const struct pki_cert *cert,
                           struct ca_refusal *ret) {
    const struct ca_issuer *issuer = r->label->tenant->issuer;
    if (bytes_equal(cert->algorithm, cert->tbs_algorithm) &&
        !ca_signature_verify_by(issuer->key, issuer->view.spki.algorithm, algorithm_of(cert),
                                cert->tbs, cert->signature))
        return true;
    return ca_refuse(ret, IPC_FAILED,
                     "the other CA's certificate is not signed by the pinned key of issuer %s",
                     issuer->name);
}

/* ---- time ---- */

static bool time_fits(const struct ca_request *r, const struct pki_cert *cert,
                      struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    int64_t last = profile->not_after ? profile->not_after : r->now_ms + profile->validity;
    if (cert->not_before_ms > r->now_ms + CLOCKS_MS || cert->not_after_ms <= r->now_ms)
        return ca_refuse(ret, IPC_FAILED, "the other CA's certificate is not valid now");
    if (cert->not_after_ms > last + (profile->not_after ? 0 : CLOCKS_MS))
        return ca_refuse(ret, IPC_FAILED,
                         "the other CA's certificate lasts longer than profile %s allows",
                         profile->name);
    return true;
}

/* ---- names ---- */

static bool holds_attribute(struct bytes name, const struct pki_attribute *wanted) {
    struct pki_attribute each;
    size_t state = 0;
    while (!pki_name_next(name, &state, &each))
        if (bytes_equal(each.oid, wanted->oid) && bytes_equal(each.value, wanted->value))
            return true;
    return false;
}

/* Every attribute is one of profile or request, and the device's ID is among them. */
static bool subject_chosen(const struct ca_request *r, const struct pki_cert *cert,
                           const struct wanted *w) {
    struct pki_attribute each;
    size_t state = 0;
    bool named = false;
    enum tm_err err;
    while (!(err = pki_name_next(cert->subject, &state, &each))) {
        if (!holds_attribute(w->subject, &each) && !holds_attribute(r->csr.subject, &each))
            return false;
        named |= (each.type == PKI_OID_COMMON_NAME || each.type == PKI_OID_SERIAL_NUMBER) &&
                 bytes_equal(each.value, bytes_str(r->device.id));
    }
    return err == TM_ENOTFOUND && named;
}

static bool subject_fits(const struct ca_request *r, const struct pki_cert *cert,
                         const struct wanted *w, struct ca_refusal *ret) {
    char subject[128];
    if (pki_name_equal(cert->subject, w->subject) ||
        (r->label->tenant->issuer->names_of_request && subject_chosen(r, cert, w)))
        return true;
    pki_name_format(cert->subject, subject, sizeof subject);
    return ca_refuse(ret, IPC_FAILED, "the other CA's certificate has another subject: %s",
                     subject);
}

/* Is each of `names` (a whole GeneralNames, or empty) in `a` or `b`? */
static bool names_among(struct bytes names, struct bytes a, struct bytes b) {
    struct bytes rest = {0};
    struct der each;
    if (names.n && ca_san_open(names, &rest))
        return false;
    while (rest.n) {
        if (der_next(&rest, &each) ||
            !((a.n && ca_san_contains(a, each.whole)) || (b.n && ca_san_contains(b, each.whole))))
            return false;
    }
    return true;
}

static bool san_fits(const struct ca_request *r, const struct pki_cert *cert,
                     const struct wanted *w, struct ca_refusal *ret) {
    const struct pki_extension *asked = pki_csr_extension(&r->csr, PKI_OID_SUBJECT_ALT_NAME);
    struct bytes none = {0}, found = none;
    enum tm_err err = pki_cert_san(cert, &found);
    bool chooses = r->label->tenant->issuer->names_of_request;
    if ((!err || err == TM_ENOTFOUND) &&
        names_among(found, w->san, chooses && asked ? asked->value : none) &&
        (chooses || names_among(w->san, found, none)))
        return true;
    return ca_refuse(ret, IPC_FAILED,
                     "the other CA's certificate has another subjectAltName than %s",
                     chooses ? "profile and request" : "the profile's");
}

static bool names_fit(const struct ca_request *r, const struct pki_cert *cert,
                      struct ca_refusal *ret) {
    struct wanted w;
    if (!fill_wanted(r, &w))
        return ca_refuse(ret, IPC_FAILED, "the certificate's names cannot be made");
    return subject_fits(r, cert, &w, ret) && san_fits(r, cert, &w, ret);
}

static bool rules_hold(const struct ca_request *r, const struct pki_cert *cert,
                       struct ca_refusal *ret) {
    char text[CA_LINT_TEXT_MAX];
    if (!ca_lint_received(cert->tbs, r->label->profile, r->label->tenant->issuer, text))
        return true;
    return ca_refuse(ret, IPC_FAILED, "the other CA's certificate breaks a rule: %.150s", text);
}

bool ca_remote_fits(const struct ca_request *r, struct bytes der, struct pki_cert *view,
                    struct ca_refusal *ret) {
    struct pki_cert cert;
    if (pki_cert_parse(der, &cert))
        return ca_refuse(ret, IPC_FAILED,
                         "the other CA's answer is no certificate (RFC 5280, 4.1)");
    bool fits = key_fits(r, &cert, ret) && signature_fits(r, &cert, ret) &&
                rules_hold(r, &cert, ret) && time_fits(r, &cert, ret) && names_fit(r, &cert, ret);
    if (fits)
        *view = cert;
    return fits;
}
