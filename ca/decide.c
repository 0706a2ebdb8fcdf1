/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this device have this certificate? Reads the request, checks key, proof of possession and
 * names, and decides: the same request again, a new certificate, or no. The device is held,
 * so nothing about it changes between the decision and the intent.
 */
#include <string.h>

#include "ca/build.h"
#include "ca/cmc.h"
#include "ca/keygen.h"
#include "ca/lifecycle.h"
#include "pki/name.h"

static struct bytes csr_san(const struct pki_csr *csr) {
    const struct pki_extension *san = pki_csr_extension(csr, PKI_OID_SUBJECT_ALT_NAME);
    return san ? san->value : (struct bytes){0};
}

/* ---- is the operation the right one for the credential? ---- */

static bool operation_fits(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    bool any = r->cmc || r->generated; /* they have one form for both */
    if (r->message.operation == IPC_OP_REENROLL || (any && r->who.renews)) {
        if (!profile->reenroll) {
            return ca_refuse(ret, IPC_WRONG_CREDENTIAL,
                             "certificates of profile %s are not renewed", profile->name);
        }
        if (!r->who.renews) {
            return ca_refuse(ret, IPC_WRONG_CREDENTIAL,
                             "simplereenroll needs the certificate of profile %s that is to be "
                             "renewed (RFC 7030, 4.2.2); others use simpleenroll",
                             profile->name);
        }
        return true;
    }
    if (r->who.renews && !profile->renew_by_enroll) {
        return ca_refuse(ret, IPC_WRONG_CREDENTIAL,
                         "a certificate of profile %s is renewed by simplereenroll", profile->name);
    }
    return true;
}

/* ---- names ---- */

/* RFC 7030, 4.2.2: subject and subjectAltName are those of the certificate that is renewed. A
 * request without subjectAltName keeps it (docs/divergences.md). */
static bool renewal_names(struct ca_request *r, struct ca_refusal *ret) {
    struct pki_cert own;
    if (pki_cert_parse(r->who.own.der, &own)) {
        return ca_refuse(ret, IPC_FAILED, "the registry's copy of the certificate cannot be read");
    }
    if (!pki_name_equal(r->csr.subject, own.subject)) {
        char subject[128];
        pki_name_format(own.subject, subject, sizeof subject);
        return ca_refuse(ret, IPC_BAD_SUBJECT,
                         "the subject is not that of the certificate being renewed: it must be %s "
                         "(RFC 7030, 4.2.2)",
                         subject);
    }
    r->keep_subject = own.subject;
    if (pki_cert_san(&own, &r->keep_san))
        r->keep_san = (struct bytes){0};
    struct bytes san = csr_san(&r->csr);
    if (san.n && !bytes_equal(san, r->keep_san)) {
        return ca_refuse(ret, IPC_BAD_SAN,
                         "the subjectAltName is not that of the certificate being renewed "
                         "(RFC 7030, 4.2.2)");
    }
    if (!r->csr.change_subject_name.n)
        return true;
    if (!r->label->profile->change_subject) {
        return ca_refuse(ret, IPC_BAD_SUBJECT, "profile %s does not take changeSubjectName",
                         r->label->profile->name);
    }
    /* What it changes to is the registry's word, not the device's. */
    r->keep_subject = r->keep_san = (struct bytes){0};
    return true;
}

static bool attribute_is(const struct pki_attribute *a, const char *text) {
    return bytes_equal(a->value, bytes_str(text));
}

/* A name that says who the device is must say it right: a unit swapped on the jig would else get
 * another's certificate. Other attributes are replaced by the profile's. */
static bool first_names(struct ca_request *r, struct ca_refusal *ret) {
    struct pki_attribute attribute;
    size_t state = 0;
    enum tm_err err;
    while (!(err = pki_name_next(r->csr.subject, &state, &attribute))) {
        if (attribute.type != PKI_OID_COMMON_NAME && attribute.type != PKI_OID_SERIAL_NUMBER)
            continue;
        if (attribute_is(&attribute, r->device.id))
            continue;
        return ca_refuse(ret, IPC_BAD_SUBJECT,
                         "the subject's %s is not the device ID %s; use that, or an empty subject",
                         pki_oid_name(attribute.type), r->device.id);
    }
    if (err != TM_ENOTFOUND) {
        return ca_refuse(ret, IPC_BAD_CSR, "the subject cannot be read (RFC 5280, 4.1.2.4)");
    }
    if (r->csr.change_subject_name.n) {
        return ca_refuse(ret, IPC_BAD_SUBJECT,
                         "changeSubjectName belongs to a re-enrollment (RFC 7030, 4.2.2)");
    }
    r->requested_san = csr_san(&r->csr);
    return true;
}

static bool names_fit(struct ca_request *r, struct ca_refusal *ret) {
    if (r->message.origin == IPC_ORIGIN_LOCAL)
        return ca_server_names_fit(r, ret);
    return r->who.renews ? renewal_names(r, ret) : first_names(r, ret);
}

/* ---- the request itself ---- */

/* A name may be asked for that the certificate will have anyway. What the profile cannot say of
 * this device is found here, before an intent is made for it. */
static bool extensions_fit(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    uint8_t san[CA_SAN_MAX], subject[CA_SAN_MAX];
    struct buf own_san = BUF_ON(san), own_subject = BUF_ON(subject);
    if (r->keep_subject.n)
        return ca_check_extensions(&r->csr, profile, r->keep_san, ret);
    if (ca_build_san(profile, &r->device, &own_san) ||
        ca_build_subject(profile, &r->device, &own_subject))
        return ca_refuse(ret, IPC_FAILED,
                         "profile %s does not fit device %s: a name is empty or too long",
                         profile->name, r->device.id);
    return ca_check_extensions(&r->csr, profile, buf_bytes(&own_san), ret);
}

/* A Full PKI Request links identity and possession by its signature over both (RFC 5272, 5), and of
 * a key that is made here nobody has possession yet; a value of a TLS session in either is verified
 * all the same. What a registration authority passes on is linked to its session with the device,
 * which it has verified (RFC 7030, 3.7). */
static bool needs_no_link(const struct ca_request *r) {
    const struct pki_csr *csr = &r->csr;
    if (r->who.credential & CA_CRED_RA)
        return true;
    return (r->cmc || r->generated) && !csr->challenge_password.n && !csr->otp_challenge.n &&
           !csr->revocation_challenge.n && !csr->est_identity_linking.n;
}

static bool request_fits(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    if (r->delegate || r->proof)
        return r->proof ? ca_proof_fits(r, ret) : ca_delegate_fits(r, ret);
    if (pki_csr_parse(r->message.csr, &r->csr)) {
        return ca_refuse(ret, IPC_BAD_CSR,
                         "the body is not one DER PKCS#10 request (RFC 2986, 4.2)");
    }
    return (r->generated ? ca_keygen_fits(r, ret) : ca_check_key(&r->csr, profile, ret)) &&
           ca_check_link(&r->csr, profile, r->message.tls_exporter, r->message.tls_unique,
                         needs_no_link(r), ret) &&
           names_fit(r, ret) && extensions_fit(r, ret) &&
           (r->generated || ca_check_pop(r->service->checker, &r->csr, ret));
}

static struct bytes names_of(const struct ca_request *r) {
    const struct pki_extension *names = pki_csr_extension(&r->csr, PKI_OID_SUBJECT_ALT_NAME);
    return names ? names->value : (struct bytes){0};
}

/* What makes two requests the same: key, subject and proven identity; not the request's bytes,
 * which PoP linking and ECDSA change from try to try. Of a proof, whose key is new in each try, it
 * is code and issuer; of the server's own, whose key may stay on its token for years while its
 * names change, its names count, too. */
static bool make_key(struct ca_request *r) {
    /* An authority stays the same when its own certificate is renewed, and a job at all its
     * stations. */
    struct bytes identity = r->proof            ? bytes_str(r->label->tenant->issuer->name)
                            : r->granted.job[0] ? bytes_str(r->granted.job)
                            : r->who.credential & CA_CRED_RA      ? bytes_str(r->who.authority)
                            : r->who.credential & ~CA_CRED_SECRET ? BYTES_OF(r->who.fingerprint)
                                                                  : BYTES_OF(r->device.secret.salt);
    struct bytes key = r->csr.spki.whole;
    if (r->proof)
        key.n = 0;
    uint8_t lengths[12];
    struct buf b = BUF_ON(lengths);
    buf_put_be(&b, strlen(r->label->tenant->name), 2);
    buf_put_be(&b, strlen(r->label->profile->name), 2);
    buf_put_be(&b, identity.n, 2);
    buf_put_be(&b, key.n, 4);
    struct bytes parts[] = {buf_bytes(&b),
                            bytes_str(r->label->tenant->name),
                            bytes_str(r->device.id),
                            bytes_str(r->label->profile->name),
                            identity,
                            key,
                            r->csr.subject,
                            {0},
                            {0},
                            {0}};
    _Static_assert(sizeof parts / sizeof parts[0] == 7 + CA_KEYGEN_PARTS, "room for those");
    if (r->generated)
        ca_keygen_parts(r, &parts[7]);
    else if (r->label->profile->kind == CA_KIND_TLS_SERVER)
        parts[7] = names_of(r);
    return !ca_hash(r->service->hasher, parts, sizeof parts / sizeof parts[0], r->key);
}

/* ---- repeat, issue or no ---- */

static const struct ca_cert_ref *find_repeat(struct ca_request *r) {
    if (r->generated)
        return ca_keygen_repeat(r);
    const struct ca_profile *profile = r->label->profile;
    for (size_t i = 0; i < r->device.cert_count; i++) {
        const struct ca_cert_ref *ref = &r->device.certs[i];
        if (memcmp(ref->request, r->key, CA_HASH_SIZE) != 0 || !ca_cert_in_use(ref))
            continue;
        /* Where a second certificate is never made, by policy or because the secret is used up, the
         * first is the answer for ever: a device whose answer got lost must not be. */
        bool once = (r->who.credential & CA_CRED_SECRET) && r->now_ms < ref->not_after_ms;
        if (once || profile->existing == CA_EXISTING_REFUSE || r->granted.job[0] ||
            (r->now_ms - ref->issued_ms <= profile->retry_window && r->now_ms < ref->not_after_ms))
            return ref;
    }
    return NULL;
}

static enum ca_decision repeat(struct ca_request *r, const struct ca_cert_ref *ref,
                               struct ca_refusal *ret) {
    struct buf der = BUF_ON(r->certificate_der);
    if (r->service->store->ops->certificate(r->service->store, &ref->serial, &r->certificate,
                                            &der)) {
        (void)ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
        return CA_DECIDE_REFUSE;
    }
    return CA_DECIDE_REPEAT;
}

static bool secret_unused(struct ca_request *r, struct ca_refusal *ret) {
    if (!(r->who.credential & CA_CRED_SECRET))
        return true;
    if (r->device.secret.used) {
        return ca_refuse(ret, IPC_SECRET_USED, "the enrollment secret was used before");
    }
    /* Where it was in time when the request was put before the officers, it stays good for it:
     * which secret it was is part of what makes the request the same. */
    if (r->now_ms > r->device.secret.expires_ms && !r->standing) {
        return ca_refuse(ret, IPC_SECRET_USED, "the enrollment secret is over");
    }
    return true;
}

static bool state_fits(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    enum ca_state from = (enum ca_state)r->device.state;
    enum ca_state to = profile->next_state ? (enum ca_state)profile->next_state : from;
    if (profile->states & (1u << from) &&
        (to == from || ca_transition_who(from, to) & CA_BY_DEVICE))
        return true;
    return ca_refuse(ret, IPC_WRONG_STATE,
                     "device %s is %s; profile %s is not issued in that state", r->device.id,
                     ca_state_name(from), profile->name);
}

static bool none_exists(struct ca_request *r, struct ca_refusal *ret) {
    if (r->label->profile->existing != CA_EXISTING_REFUSE)
        return true;
    for (size_t i = 0; i < r->device.cert_count; i++)
        if (ca_cert_in_use(&r->device.certs[i]) &&
            strcmp(r->device.certs[i].profile, r->label->profile->name) == 0) {
            return ca_refuse(ret, IPC_ALREADY_ISSUED,
                             "device %s has its certificate of profile %s, for another key",
                             r->device.id, r->label->profile->name);
        }
    return true;
}

/* The device's record names every certificate that is in use; beside one that is not confirmed yet,
 * that is also the one before it. */
static bool record_has_room(struct ca_request *r, struct ca_refusal *ret) {
    size_t others = r->cmc ? 1 : 0;
    for (size_t i = 0; i < r->device.cert_count; i++)
        others += ca_cert_in_use(&r->device.certs[i]) &&
                  strcmp(r->device.certs[i].profile, r->label->profile->name) != 0;
    if (others < CA_DEVICE_CERTS_MAX)
        return true;
    return ca_refuse(ret, IPC_ALREADY_ISSUED,
                     "device %s has certificates of %d other profiles in use, and no more fit",
                     r->device.id, CA_DEVICE_CERTS_MAX);
}

/* A name that says something else to who looks at nothing else. */
static bool name_is_free(const struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_service_config *config = r->service->config;
    if (r->delegate || r->proof || !config->reserved ||
        !config->reserved(config->reserved_arg, r->device.id))
        return true;
    return ca_refuse(ret, IPC_DENIED,
                     "the device's ID is a cloud's registration code: a certificate under it would "
                     "prove to the cloud that this CA is somebody's");
}

/* What a store does not know that was put back, nobody can decide on. */
static bool store_stands(const struct ca_request *r, struct ca_refusal *ret) {
    const bool *held = r->service->config->held;
    if (!held || !*held)
        return true;
    return ca_refuse(ret, IPC_UNAVAILABLE,
                     "the server's store is older than what was published from it, and was not "
                     "accepted yet");
}

/* A changed profile takes two officers; what was issued before may be had again meanwhile. */
static bool profile_stands(const struct ca_profile *profile, struct ca_refusal *ret) {
    if (!profile->withheld)
        return true;
    return ca_refuse(ret, IPC_UNAVAILABLE, "profile %s is not the one that officers approved",
                     profile->name);
}

enum ca_decision ca_decide(struct ca_request *r, struct ca_refusal *ret) {
    r->keep_subject = r->keep_san = r->requested_san = (struct bytes){0};
    if (!operation_fits(r, ret) || !request_fits(r, ret))
        return CA_DECIDE_REFUSE;
    if (!make_key(r)) {
        (void)ca_refuse(ret, IPC_FAILED, "the server could not hash the request");
        return CA_DECIDE_REFUSE;
    }
    if (r->cmc && !ca_cmc_transaction_fits(r, ret))
        return CA_DECIDE_REFUSE;
    if (r->generated && !ca_keygen_load(r, ret))
        return CA_DECIDE_REFUSE;
    const struct ca_cert_ref *before = find_repeat(r);
    if (before)
        return repeat(r, before, ret);
    if (!store_stands(r, ret) || !profile_stands(r->label->profile, ret))
        return CA_DECIDE_REFUSE;
    if (!ca_grant_permits(r, ret))
        return CA_DECIDE_REFUSE;
    if (r->label->profile->approval && !ca_approval_look(r, ret))
        return CA_DECIDE_REFUSE;
    if (!name_is_free(r, ret) || !ca_device_rules_fit(r, ret) || !secret_unused(r, ret) ||
        !none_exists(r, ret) || !record_has_room(r, ret) || !state_fits(r, ret))
        return CA_DECIDE_REFUSE;
    return r->label->profile->approval ? ca_approval_judge(r, ret) : CA_DECIDE_ISSUE;
}
