/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks (requirement A3): the credentials that the face passed on, to a device. A certificate
 * that was issued here is known by its serial and fingerprint and needs no path; state,
 * tenant and revocation come with the same look-up. Only a foreign one needs a path to the
 * tenant's anchors.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "ca/lifecycle.h"

#include "ca/cmc.h"
#include "ca/issued.h"
#include "ca/registry.h"
#include "ca/withdrawal.h"
#include "pki/name.h"

/* A certificate credential's fate: good, of no use (a secret may still do), or a
 * reason to refuse whatever else is shown. */
enum verdict { GOOD, USELESS, REFUSED };

static const struct ca_profile *profile_named(const struct ca_service *s, const char *name) {
    for (size_t i = 0; i < s->config->label_count; i++)
        if (strcmp(s->config->labels[i].profile->name, name) == 0)
            return s->config->labels[i].profile;
    return NULL;
}

static void name_actor(struct ca_request *r, const char *kind, const char *value) {
    size_t n = strlen(r->who.actor);
    (void)snprintf(r->who.actor + n, sizeof r->who.actor - n, "%s%s:%s", n ? " " : "", kind, value);
}

static bool fingerprint_leaf(struct ca_request *r) {
    char hex[2 * CA_HASH_SIZE + 1];
    if (ca_hash(r->service->hasher, &r->message.peer_leaf, 1, r->who.fingerprint) ||
        hex_encode(BYTES_OF(r->who.fingerprint), hex, sizeof hex))
        return false;
    name_actor(r, "cert", hex);
    return true;
}

/* TM_OK: the leaf is one that was issued here, or that another CA signed for this one. */
static enum tm_err find_own(struct ca_request *r, const struct pki_cert *leaf) {
    struct buf der = BUF_ON(r->own_der);
    return ca_issued_find(r->service->store, leaf, r->who.fingerprint, &r->who.own, &der);
}

static enum verdict judge_own_validity(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    int64_t end = r->who.own.not_after_ms + (r->who.renews ? profile->grace : 0);
    if (r->now_ms <= end)
        return GOOD;
    (void)ca_refuse(
        ret, IPC_EXPIRED,
        r->who.renews && profile->grace
            ? "the certificate expired longer ago than profile %s's grace; enroll with the IDevID"
            : "the certificate has expired; profile %s wants a valid one",
        profile->name);
    return USELESS;
}

/* The device ID that a subject names: its serialNumber (IEEE 802.1AR, 8.6), else its common name.
 * False: none. */
static bool named_device(struct bytes subject, char ret[IPC_NAME_MAX + 1]) {
    struct pki_attribute attribute;
    struct bytes id = {0};
    size_t state = 0;
    while (!pki_name_next(subject, &state, &attribute))
        if (attribute.type == PKI_OID_SERIAL_NUMBER ||
            (attribute.type == PKI_OID_COMMON_NAME && !id.n))
            id = attribute.value;
    if (!id.n || id.n > IPC_NAME_MAX)
        return false;
    memcpy(ret, id.p, id.n);
    ret[id.n] = 0;
    return ca_device_id_valid(ret);
}

/* ---- registration authorities (RFC 7030, 3.7; RFC 6402, 2.10) ---- */

/* Its device is one of the tenant's authorities, which may ask for any device. */
static bool is_named(const struct ca_request *r) {
    const struct conf_strings *names = &r->label->tenant->authorities;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], r->who.own.device) == 0)
            return true;
    return false;
}

/* The certificate is for that, and others than those that are named may ask for what jobs have. */
static bool is_authority(const struct ca_request *r, const struct pki_cert *leaf) {
    return (r->service->config->jobs || is_named(r)) && ca_is_authority(leaf);
}

/* What it asks is for itself when its subject says so, or when this is no label for others. */
static bool asks_for_another(const struct ca_request *r, char ret_device[IPC_NAME_MAX + 1]) {
    struct pki_csr csr;
    ret_device[0] = 0;
    if (r->message.operation != IPC_OP_ENROLL || pki_csr_parse(r->message.csr, &csr))
        return false;
    if (!named_device(csr.subject, ret_device)) {
        ret_device[0] = 0;
        return r->label->profile->credentials & CA_CRED_RA;
    }
    return strcmp(ret_device, r->who.own.device) != 0;
}

/* It is a device itself, and may be revoked or suspended like any. */
static enum verdict judge_authority(struct ca_request *r, const char *device,
                                    struct ca_refusal *ret) {
    const struct ca_certificate *own = &r->who.own;
    struct ca_device authority;
    name_actor(r, "ra", own->device);
    TEXT_SET(r->who.device, device);
    enum tm_err err = r->service->store->ops->device(r->service->store, r->label->tenant->name,
                                                     own->device, &authority);
    if (err)
        (void)ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    else if (!ca_state_serves((enum ca_state)authority.state))
        (void)ca_refuse(ret, IPC_WRONG_STATE, "the registration authority %s is %s", own->device,
                        ca_state_name((enum ca_state)authority.state));
    else if (ca_withdrawn(r->service->config->withdrawals, own, &authority))
        (void)ca_refuse(ret, IPC_REVOKED, CA_WITHDRAWN_TEXT);
    else if (r->now_ms > own->not_after_ms)
        (void)ca_refuse(ret, IPC_EXPIRED, "the registration authority's certificate has expired");
    else if (!device[0])
        (void)ca_refuse(ret, IPC_BAD_SUBJECT,
                        "the subject has to name the device that the registration authority asks "
                        "for, as serialNumber or CN");
    if (ret->outcome)
        return REFUSED;
    TEXT_SET(r->who.authority, own->device);
    if (!is_named(r) && !ca_grant_find(r, own->device, ret))
        return REFUSED;
    r->who.credential |= CA_CRED_RA;
    return GOOD;
}

/* ---- certificates that were issued here ---- */

static enum verdict judge_own(struct ca_request *r, const struct pki_cert *leaf,
                              struct ca_refusal *ret) {
    const struct ca_certificate *own = &r->who.own;
    char other[IPC_NAME_MAX + 1];
    if (own->status == CA_CERT_REVOKED) {
        if (strcmp(own->tenant, r->label->tenant->name) == 0)
            TEXT_SET(r->who.device, own->device); /* for the audit */
        (void)ca_refuse(ret, IPC_REVOKED, "the certificate is revoked");
        return REFUSED;
    }
    if (strcmp(own->tenant, r->label->tenant->name) != 0) {
        (void)ca_refuse(ret, IPC_WRONG_TENANT, "the certificate is not valid for this label");
        return REFUSED;
    }
    const struct ca_profile *profile = profile_named(r->service, own->profile);
    if (!profile || (profile->kind != CA_KIND_IDEVID && profile->kind != CA_KIND_LDEVID)) {
        (void)ca_refuse(ret, IPC_WRONG_CREDENTIAL,
                        "certificates of profile %s do not authenticate devices", own->profile);
        return REFUSED;
    }
    if (is_authority(r, leaf) && asks_for_another(r, other))
        return judge_authority(r, other, ret);
    r->who.renews = strcmp(own->profile, r->label->profile->name) == 0;
    enum verdict verdict = judge_own_validity(r, ret);
    if (verdict != GOOD)
        return verdict;
    r->who.credential |= profile->kind == CA_KIND_IDEVID ? CA_CRED_IDEVID : CA_CRED_LDEVID;
    TEXT_SET(r->who.device, own->device);
    return GOOD;
}

static enum verdict judge_foreign(struct ca_request *r, const struct pki_cert *leaf,
                                  struct ca_refusal *ret) {
    struct ca_anchors *anchors = r->service->anchors[r->label - r->service->config->labels];
    enum tm_err err =
        anchors ? ca_anchors_verify(anchors, r->message.peer_leaf, r->message.peer_chain, r->now_ms)
                : TM_EDENIED;
    if (err == TM_ETIMEOUT) {
        (void)ca_refuse(ret, IPC_EXPIRED, "the certificate is outside its validity");
        return USELESS;
    }
    if (err) {
        (void)ca_refuse(ret, IPC_UNTRUSTED,
                        "the certificate was neither issued here nor under this label's anchors");
        return USELESS;
    }
    if (!named_device(leaf->subject, r->who.device)) {
        r->who.device[0] = 0;
        (void)ca_refuse(ret, IPC_UNKNOWN_DEVICE,
                        "the certificate's subject has no serialNumber or CN that is a device ID");
        return REFUSED;
    }
    r->who.credential |= CA_CRED_FOREIGN;
    return GOOD;
}

static enum verdict judge_certificate(struct ca_request *r, struct ca_refusal *ret) {
    struct pki_cert leaf;
    if (!fingerprint_leaf(r) || pki_cert_parse(r->message.peer_leaf, &leaf)) {
        (void)ca_refuse(ret, IPC_UNTRUSTED, "the certificate cannot be read (RFC 5280, 4.1)");
        return USELESS;
    }
    switch (find_own(r, &leaf)) {
    case TM_OK:
        return judge_own(r, &leaf, ret);
    case TM_ENOTFOUND:
        return judge_foreign(r, &leaf, ret);
    default:
        (void)ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
        return REFUSED;
    }
}

/* Loads the device into r->device; TM_ENOTFOUND leaves it empty. */
static enum tm_err load_device(struct ca_request *r, const char *id) {
    return r->service->store->ops->device(r->service->store, r->label->tenant->name, id,
                                          &r->device);
}

/* The hash is made in any case, so that time does not tell whether the user exists. */
static bool secret_matches(struct ca_request *r, const struct ca_secret *secret) {
    uint8_t hash[CA_HASH_SIZE];
    struct bytes parts[] = {BYTES_OF(secret->salt), r->message.secret};
    if (ca_hash(r->service->hasher, parts, 2, hash))
        return false;
    return CRYPTO_memcmp(hash, secret->hash, sizeof hash) == 0 && secret->set;
}

/* All of it by HTTP Basic, or its proof by CMC. */
static bool proves_secret(struct ca_request *r, const struct ca_device *device) {
    return r->cmc ? ca_cmc_proof_fits(r, device) : secret_matches(r, &device->secret);
}

static bool judge_secret(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_device device;
    memset(&device, 0, sizeof device);
    enum tm_err err = ca_device_id_valid(r->message.user)
                          ? r->service->store->ops->device(
                                r->service->store, r->label->tenant->name, r->message.user, &device)
                          : TM_ENOTFOUND;
    if (err && err != TM_ENOTFOUND) {
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    }
    if (!proves_secret(r, &device) || err) {
        name_actor(r, "unproven", r->message.user);
        return ca_refuse(ret, IPC_BAD_SECRET, "user or enrollment secret is wrong");
    }
    name_actor(r, "secret", r->message.user);
    if (r->who.device[0] && strcmp(r->who.device, r->message.user) != 0) {
        return ca_refuse(ret, IPC_WRONG_CREDENTIAL,
                         "certificate and secret belong to different devices");
    }
    TEXT_SET(r->who.device, r->message.user);
    r->who.credential |= CA_CRED_SECRET;
    return true;
}

/* For the audit: whose certificate it is that came too late. */
static void name_latecomer(struct ca_request *r, const struct ca_refusal *refusal) {
    if (refusal->outcome == IPC_EXPIRED && !r->who.device[0])
        TEXT_SET(r->who.device, r->who.own.device);
}

/* RFC 7030, 3.2.3 and 3.3.2: the certificate counts first; a secret serves where there is no usable
 * one, or where the profile demands both. */
static bool collect(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    struct ca_refusal certificate = {0};
    if (r->message.peer_leaf.n) {
        enum verdict verdict = judge_certificate(r, &certificate);
        if (verdict == REFUSED || (verdict == USELESS && !r->message.user[0])) {
            *ret = certificate;
            name_latecomer(r, ret);
            return false;
        }
    }
    bool secret_serves = profile->both || !r->who.credential;
    if (r->message.user[0] && secret_serves && (profile->credentials & CA_CRED_SECRET))
        return judge_secret(r, ret);
    if (!r->who.credential && certificate.outcome)
        *ret = certificate;
    name_latecomer(r, ret);
    return !certificate.outcome;
}

static const unsigned certificates = CA_CRED_IDEVID | CA_CRED_LDEVID | CA_CRED_FOREIGN | CA_CRED_RA;

/* A certificate is accepted by whoever holds it, whatever its label wants of those who ask for one.
 */
static bool only_confirms(const struct ca_request *r) {
    return r->cmc && r->cmc->request.accept_issuer.n && r->who.credential & certificates;
}

static bool enough(const struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    unsigned shown = r->who.credential;
    if (only_confirms(r))
        return true;
    if (!shown) {
        return ca_refuse(
            ret, IPC_NO_CREDENTIAL, "profile %s needs %s%s%s", profile->name,
            profile->credentials & certificates ? "a client certificate" : "",
            !(profile->credentials & certificates && profile->credentials & CA_CRED_SECRET) ? ""
            : profile->both ? " and "
                            : " or ",
            profile->credentials & CA_CRED_SECRET
                ? "the device's one-time enrollment secret (HTTP Basic or identityProofV2)"
                : "");
    }
    if (shown & ~profile->credentials) {
        return ca_refuse(ret, IPC_WRONG_CREDENTIAL, "profile %s does not take %s", profile->name,
                         shown & CA_CRED_SECRET    ? "enrollment secrets"
                         : shown & CA_CRED_RA      ? "registration authorities"
                         : shown & CA_CRED_FOREIGN ? "certificates of other makers"
                         : shown & CA_CRED_IDEVID  ? "IDevID certificates"
                                                   : "LDevID certificates");
    }
    if (profile->both && !(shown & certificates && shown & CA_CRED_SECRET)) {
        return ca_refuse(ret, IPC_NO_CREDENTIAL,
                         "profile %s needs a client certificate and an enrollment secret together",
                         profile->name);
    }
    return true;
}

static bool device_serves(struct ca_request *r, struct ca_refusal *ret) {
    enum tm_err err = load_device(r, r->who.device);
    bool may_register = r->message.origin == IPC_ORIGIN_LOCAL || r->granted.job[0] ||
                        (r->who.credential & CA_CRED_FOREIGN && r->label->tenant->register_unknown);
    if (err == TM_ENOTFOUND && may_register) {
        memset(&r->device, 0, sizeof r->device);
        TEXT_SET(r->device.tenant, r->label->tenant->name);
        TEXT_SET(r->device.id, r->who.device);
        r->device.state = r->message.origin == IPC_ORIGIN_LOCAL ? CA_ACTIVATED : CA_REGISTERED;
        r->device.created_ms = r->now_ms;
        return ca_grant_fits_device(r, ret);
    }
    if (err == TM_ENOTFOUND) {
        return ca_refuse(ret, IPC_UNKNOWN_DEVICE, "device %s is not registered", r->who.device);
    }
    if (err) {
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    }
    if (r->device.state == CA_DEVICE_REVOKED) {
        return ca_refuse(ret, IPC_REVOKED, "device %s is revoked", r->who.device);
    }
    if (!ca_state_serves((enum ca_state)r->device.state)) {
        return ca_refuse(ret, IPC_WRONG_STATE, "device %s is %s and gets no certificate",
                         r->who.device, ca_state_name((enum ca_state)r->device.state));
    }
    if (r->who.credential & (CA_CRED_IDEVID | CA_CRED_LDEVID) &&
        ca_withdrawn(r->service->config->withdrawals, &r->who.own, &r->device)) {
        return ca_refuse(ret, IPC_REVOKED, CA_WITHDRAWN_TEXT);
    }
    return ca_grant_fits_device(r, ret);
}

bool ca_identify(struct ca_request *r, struct ca_refusal *ret) {
    memset(&r->who, 0, sizeof r->who);
    memset(&r->granted, 0, sizeof r->granted);
    memset(&r->device, 0, sizeof r->device);
    if (r->message.origin == IPC_ORIGIN_LOCAL) {
        TEXT_SET(r->who.actor, r->by);
        TEXT_SET(r->who.device, r->local);
        return device_serves(r, ret);
    }
    return collect(r, ret) && enough(r, ret) && device_serves(r, ret);
}
