/* SPDX-License-Identifier: Apache-2.0 */
/* The plant's decision: the same certificate again, a new one, or no. See client/fleet/plant.h. */
#include <stdlib.h>
#include <string.h>

#include "client/fleet/plant.h"
#include "client/port/openssl.h"
#include "est/wire/base64.h"
#include "est/wire/certs_only.h"
#include "pki/csr.h"
#include "pki/name.h"

#define BACKDATE (60 * FLEET_SECOND)

static void refuse(enum tm_result result, const char *why, struct tm_answer *ret) {
    ret->result = result;
    TEXT_SET(ret->text, why);
}

/* No fault of the plant explains such a request: the device made it wrongly. */
static void never(struct fleet_plant *p, const struct fleet_call *call, const char *why,
                  struct tm_answer *ret) {
    fleet_watch_found(p->watch, p->accounts[call->device].id, call->now_ms, "request refused: %s",
                      why);
    refuse(TM_RESULT_REFUSED, why, ret);
}

/* ---- the request ---- */

/* RFC 7030, 4.2: renewals by the certificate itself, everything else is simpleenroll. */
static bool operation_fits(const struct fleet_call *call, const struct fleet_cert *own,
                           enum fleet_profile profile) {
    bool renews = own && own->profile == profile;
    return (call->exchange->operation == TM_OP_REENROLL) == renews;
}

static bool subject_fits(struct bytes subject, const char *id) {
    struct pki_attribute attribute;
    size_t state = 0, named = 0;
    while (!pki_name_next(subject, &state, &attribute)) {
        if (attribute.type != PKI_OID_COMMON_NAME && attribute.type != PKI_OID_SERIAL_NUMBER)
            return false;
        if (!bytes_equal(attribute.value, bytes_str(id)))
            return false;
        named++;
    }
    return named == 2;
}

/* RFC 7030, 3.5: what is there has to be this connection's. */
static bool link_fits(const struct fleet_call *call, const struct pki_csr *csr) {
    uint8_t text[2 * TM_BINDING_MAX];
    struct buf expected = BUF_ON(text);
    if (csr->challenge_password.n == 0)
        return !call->exchange->bound;
    return est_base64_encode(call->binding, 0, &expected) == TM_OK &&
           bytes_equal(csr->challenge_password, buf_bytes(&expected));
}

static const char *check(const struct fleet_plant *p, const struct fleet_call *call,
                         enum fleet_profile profile, const struct fleet_cert *own,
                         struct pki_csr *ret) {
    const struct tm_crypto *crypto = tm_openssl_crypto();
    if (!operation_fits(call, own, profile))
        return "the operation is not the one for this credential (RFC 7030, 4.2)";
    if (profile == FLEET_IDEVID && call->leaf.n)
        return "the IDevID is for the one-time secret alone";
    if (pki_csr_parse(call->exchange->body, ret))
        return "the body is not one PKCS#10 request (RFC 2986, 4.2)";
    if (!subject_fits(ret->subject, p->accounts[call->device].id))
        return "the subject is not the device's (RFC 7030, 4.2.2)";
    if (!link_fits(call, ret))
        return "the request is bound to another connection (RFC 7030, 3.5)";
    if (crypto->verify(crypto->self, ret->spki.whole, ret->algorithm, ret->info, ret->signature))
        return "the request is not signed by its key (RFC 2986, 4.2)";
    return NULL;
}

/* ---- records ---- */

static void request_hash(const struct pki_csr *csr, enum fleet_profile profile,
                         const uint8_t identity[FLEET_HASH_SIZE], uint8_t ret[FLEET_HASH_SIZE]) {
    uint8_t octet = (uint8_t)profile;
    const struct bytes parts[] = {
        {&octet, 1}, {identity, FLEET_HASH_SIZE}, csr->spki.whole, csr->subject};
    fleet_hash(parts, 4, ret);
}

static struct fleet_cert *newest(const struct fleet_plant *p, const struct fleet_account *account,
                                 enum fleet_profile profile) {
    uint32_t number = account->last[profile];
    return number ? &p->certs[number] : NULL;
}

static bool is_repeat(const struct fleet_cert *last, const uint8_t request[FLEET_HASH_SIZE],
                      int64_t now_ms) {
    if (!last || last->status != FLEET_ACTIVE ||
        memcmp(last->request, request, FLEET_HASH_SIZE) != 0)
        return false;
    return last->profile == FLEET_IDEVID ||
           (now_ms - last->issued_ms <= FLEET_RETRY_WINDOW && now_ms < last->not_after_ms);
}

static enum tm_err grow(struct fleet_plant *p) {
    size_t room = p->cert_room ? p->cert_room * 2 : 1024;
    if (p->cert_count < p->cert_room)
        return TM_OK;
    struct fleet_cert *certs = realloc(p->certs, room * sizeof *certs);
    if (!certs)
        return TM_ENOMEM;
    p->certs = certs;
    p->cert_room = room;
    return TM_OK;
}

/* Two certificates where one was meant: the one before was issued to the same identity for another
 * key, and is good, and its device never got as far as using it. */
static bool unused(const struct fleet_cert *before, const struct fleet_cert *cert) {
    return before && before->status == FLEET_ACTIVE && before->wrong == FLEET_FAIR &&
           !before->proven && cert->issued_ms < before->not_after_ms &&
           memcmp(before->identity, cert->identity, FLEET_HASH_SIZE) == 0 &&
           memcmp(before->request, cert->request, FLEET_HASH_SIZE) != 0;
}

static void count_age(struct fleet_plant *p, const struct fleet_cert *own, int64_t now_ms) {
    int64_t lifetime = own->not_after_ms - own->not_before_ms;
    int64_t past = now_ms - own->not_before_ms - lifetime / 3 * 2;
    int64_t bin = past < 0 ? 0 : past / (lifetime / 120) + 1;
    p->counts.renewals_at[bin < FLEET_BINS ? bin : FLEET_BINS - 1]++;
}

static void count_unused(struct fleet_plant *p, const struct fleet_call *call,
                         const struct fleet_cert *before) {
    if (before->refused) {
        p->counts.replaced++;
        return;
    }
    p->counts.duplicates++;
    fleet_watch_found(p->watch, p->accounts[call->device].id, call->now_ms,
                      "a second certificate where one was meant: number %u was never used",
                      fleet_plant_number(p, before));
}

static void count(struct fleet_plant *p, const struct fleet_call *call,
                  const struct fleet_cert *own, const struct fleet_cert *before,
                  const struct fleet_cert *cert) {
    struct fleet_counts *c = &p->counts;
    bool same = before && memcmp(before->request, cert->request, FLEET_HASH_SIZE) == 0;
    bool renews = own && own->profile == cert->profile;
    c->reissued += same;
    c->wrong += cert->wrong != FLEET_FAIR;
    if (unused(before, cert))
        count_unused(p, call, before);
    if (renews)
        c->renewed++;
    else if (before && before->proven)
        c->recovered++;
    else
        c->first++;
    if (renews && !same)
        count_age(p, own, call->now_ms);
}

/* ---- issuing ---- */

static enum tm_err remember(struct fleet_account *account, enum fleet_profile profile,
                            struct bytes der) {
    uint8_t *copy = malloc(der.n);
    if (!copy)
        return TM_ENOMEM;
    memcpy(copy, der.p, der.n);
    free(account->der[profile]);
    account->der[profile] = copy;
    account->der_n[profile] = der.n;
    return TM_OK;
}

static enum tm_err issue(struct fleet_plant *p, const struct fleet_call *call,
                         const struct pki_csr *csr, const struct fleet_cert *own,
                         const struct fleet_cert *wish) {
    struct fleet_account *account = &p->accounts[call->device];
    enum fleet_profile profile = (enum fleet_profile)wish->profile;
    uint8_t octets[FLEET_CERT_MAX];
    struct buf der = BUF_ON(octets);
    /* `own` and the one before stand in the array that grows. */
    uint32_t own_number = own ? fleet_plant_number(p, own) : 0;
    enum tm_err err = grow(p);
    if (err)
        return err;
    err = fleet_plant_make(p, wish, p->cert_count, csr->spki.whole, &der);
    if (!err)
        err = remember(account, profile, buf_bytes(&der));
    if (err)
        return err;
    struct fleet_cert *cert = &p->certs[p->cert_count];
    struct fleet_cert *before = newest(p, account, profile);
    *cert = *wish;
    cert->before = account->last[profile];
    fleet_hash(&(struct bytes){der.p, der.n}, 1, cert->fingerprint);
    count(p, call, own_number ? &p->certs[own_number] : NULL, before, cert);
    if (before && before->status == FLEET_ACTIVE)
        before->status = FLEET_SUPERSEDED;
    account->last[profile] = (uint32_t)p->cert_count++;
    account->secret_used |= call->leaf.n == 0;
    return TM_OK;
}

static struct fleet_cert draft(const struct fleet_plant *p, const struct fleet_call *call,
                               enum fleet_profile profile) {
    enum fleet_spell_kind kind =
        fleet_weather_at(p->weather, FLEET_CERTIFICATES, call->now_ms).kind;
    bool idevid = profile == FLEET_IDEVID;
    return (struct fleet_cert){.device = (uint32_t)call->device,
                               .profile = (uint8_t)profile,
                               .status = FLEET_ACTIVE,
                               .wrong = (uint8_t)(idevid ? FLEET_FAIR : kind),
                               .issued_ms = call->now_ms,
                               .not_before_ms = call->now_ms - BACKDATE,
                               .not_after_ms = idevid ? INT64_C(253402300799000)
                                                      : call->now_ms + p->lifetime_ms};
}

static void hand_out(struct fleet_plant *p, const struct fleet_call *call,
                     enum fleet_profile profile, struct tm_answer *ret) {
    const struct fleet_account *account = &p->accounts[call->device];
    const struct fleet_cert *cert = newest(p, account, profile);
    struct buf out = BUF_ON(p->body);
    if (est_certs_only_write((struct bytes){account->der[profile], account->der_n[profile]},
                             &out)) {
        refuse(TM_RESULT_LATER, "the server failed", ret);
        return;
    }
    if (cert->wrong == FLEET_GARBAGE)
        fleet_random_fill(&p->random, out.p + out.n / 2, 16);
    ret->body = buf_bytes(&out);
    if (p->scenario->steered && profile == FLEET_LDEVID) {
        ret->renew_from_ms = cert->not_before_ms + p->lifetime_ms / 3;
        ret->renew_until_ms = cert->not_before_ms + p->lifetime_ms / 2;
    }
}

void fleet_plant_enroll(struct fleet_plant *plant, const struct fleet_call *call,
                        enum fleet_profile profile, struct fleet_cert *own,
                        const uint8_t identity[FLEET_HASH_SIZE], struct tm_answer *ret) {
    struct fleet_account *account = &plant->accounts[call->device];
    struct pki_csr csr;
    const char *why = check(plant, call, profile, own, &csr);
    if (why) {
        never(plant, call, why, ret);
        return;
    }
    struct fleet_cert wish = draft(plant, call, profile);
    const struct fleet_cert *last = newest(plant, account, profile);
    request_hash(&csr, profile, identity, wish.request);
    memcpy(wish.identity, identity, FLEET_HASH_SIZE);
    if (is_repeat(last, wish.request, call->now_ms))
        plant->counts.repeated++;
    else if (call->leaf.n == 0 && account->secret_used) {
        plant->counts.denied++;
        refuse(TM_RESULT_DENIED, "the enrollment secret was used before", ret);
        return;
    } else if (issue(plant, call, &csr, own, &wish)) {
        refuse(TM_RESULT_LATER, "the server failed", ret);
        return;
    }
    hand_out(plant, call, profile, ret);
}
