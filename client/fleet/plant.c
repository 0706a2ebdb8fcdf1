/* SPDX-License-Identifier: Apache-2.0 */
/* The plant: its CAs, cacerts and probes. See client/fleet/plant.h. */
#include "client/fleet/plant.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "est/wire/certs_only.h"
#include "pki/cert.h"

#define CENTURY (36500 * FLEET_DAY)

void fleet_hash(const struct bytes *parts, size_t count, uint8_t ret[FLEET_HASH_SIZE]) {
    uint8_t joined[2048], digest[TM_SHA256_SIZE];
    struct buf b = BUF_ON(joined);
    for (size_t i = 0; i < count; i++)
        buf_put(&b, parts[i]);
    (void)SHA256(b.p, b.n, digest);
    memcpy(ret, digest, FLEET_HASH_SIZE);
}

/* ---- CAs ---- */

/* A root vouches for another by certifying its name and key (RFC 4210, 4.4). */
static enum tm_err cross_sign(const struct fleet_ca *issuer, const struct fleet_ca *subject,
                              uint8_t ret[FLEET_CERT_MAX], size_t *ret_n) {
    struct fleet_wish wish = {.issuer = issuer,
                              .ca = subject,
                              .purpose = FLEET_FOR_CA,
                              .not_before_ms = subject->not_before_ms,
                              .not_after_ms = issuer->not_after_ms < subject->not_after_ms
                                                  ? issuer->not_after_ms
                                                  : subject->not_after_ms};
    memcpy(wish.serial, issuer->key_id, FLEET_SERIAL_SIZE);
    wish.serial[0] = 1;
    struct buf out = {ret, FLEET_CERT_MAX, 0, false};
    enum tm_err err = fleet_x509_write(&wish, &out);
    *ret_n = out.n;
    return err;
}

/* The new root has the old one's name (RFC 4210, 4.4). */
static enum tm_err make_authorities(struct fleet_plant *p) {
    const struct fleet_weather *w = p->weather;
    int64_t from = w->from_ms - FLEET_DAY, far = w->from_ms + CENTURY;
    bool rollover = w->announce_ms != INT64_MAX;
    int64_t end = rollover ? w->end_ms : far, second = rollover ? w->announce_ms : from;
    enum tm_err err = fleet_ca_new(&p->root[0], "Plant Root", FLEET_UNIT, NULL, from, end);
    if (!err)
        err = fleet_ca_new(&p->issuing[0], "Issuing CA 1", FLEET_UNIT, &p->root[0], from, end);
    if (!err)
        err = fleet_ca_new(&p->root[1], "Plant Root", FLEET_UNIT, NULL, second, far);
    if (!err)
        err = fleet_ca_new(&p->issuing[1], "Issuing CA 2", FLEET_UNIT, &p->root[1], second, far);
    if (!err)
        err = cross_sign(&p->root[0], &p->root[1], p->new_with_old, &p->new_with_old_n);
    if (!err)
        err = cross_sign(&p->root[1], &p->root[0], p->old_with_new, &p->old_with_new_n);
    if (!err)
        err = fleet_ca_new(&p->maker, "Maker CA", "Factory", NULL, from, far);
    if (!err)
        err = fleet_ca_new(&p->stranger, "Issuing CA 1", FLEET_UNIT, NULL, from, far);
    if (!err)
        err = fleet_ca_new(&p->other_unit, "Plant Root", "Environment test", NULL, from, far);
    return err;
}

enum tm_err fleet_plant_init(struct fleet_plant *plant, const struct fleet_scenario *scenario,
                             const struct fleet_weather *weather, struct fleet_watch *watch,
                             uint64_t seed, size_t devices, int64_t lifetime_ms) {
    *plant = (struct fleet_plant){.scenario = scenario,
                                  .weather = weather,
                                  .watch = watch,
                                  .random = fleet_random_of(seed, UINT64_MAX - FLEET_TRACKS),
                                  .lifetime_ms = lifetime_ms,
                                  .account_count = devices,
                                  .cert_count = 1};
    plant->accounts = calloc(devices, sizeof *plant->accounts);
    enum tm_err err = plant->accounts ? make_authorities(plant) : TM_ENOMEM;
    if (err)
        fleet_plant_deinit(plant);
    return err;
}

void fleet_plant_deinit(struct fleet_plant *plant) {
    for (size_t i = 0; plant->accounts && i < plant->account_count; i++)
        for (size_t profile = 0; profile < FLEET_PROFILES; profile++)
            free(plant->accounts[i].der[profile]);
    free(plant->accounts);
    free(plant->certs);
    for (size_t i = 0; i < 2; i++) {
        fleet_ca_free(&plant->root[i]);
        fleet_ca_free(&plant->issuing[i]);
    }
    fleet_ca_free(&plant->maker);
    fleet_ca_free(&plant->stranger);
    fleet_ca_free(&plant->other_unit);
    *plant = (struct fleet_plant){0};
}

/* ---- trust anchors ---- */

static bool in_transition(const struct fleet_weather *w, int64_t now_ms) {
    return now_ms >= w->announce_ms && now_ms < w->end_ms;
}

static void put_authorities(const struct fleet_plant *p, int64_t now_ms, struct buf *out) {
    bool both = in_transition(p->weather, now_ms), after = now_ms >= p->weather->end_ms;
    for (size_t i = 0; i < 2; i++)
        if (both || i == (after ? 1 : 0)) {
            buf_put(out, fleet_ca_der(&p->issuing[i]));
            buf_put(out, fleet_ca_der(&p->root[i]));
        }
    if (both) {
        buf_put(out, (struct bytes){p->new_with_old, p->new_with_old_n});
        buf_put(out, (struct bytes){p->old_with_new, p->old_with_new_n});
    }
}

void fleet_plant_anchors(const struct fleet_plant *plant, int64_t now_ms, struct buf *out) {
    put_authorities(plant, now_ms, out);
}

static void answer_cacerts(struct fleet_plant *p, const struct fleet_call *call,
                           struct tm_answer *ret) {
    uint8_t certificates[TM_ANCHORS_MAX];
    struct buf set = BUF_ON(certificates), out = BUF_ON(p->body);
    put_authorities(p, call->now_ms, &set);
    if (fleet_weather_at(p->weather, FLEET_CERTIFICATES, call->now_ms).kind != FLEET_FAIR) {
        buf_put(&set, fleet_ca_der(&p->stranger));
        buf_put(&set, fleet_ca_der(&p->other_unit));
    }
    if (est_certs_only_write(buf_bytes(&set), &out) != TM_OK) {
        ret->result = TM_RESULT_LATER;
        return;
    }
    memcpy(ret->binding, call->binding.p, call->binding.n);
    ret->binding_n = call->binding.n;
    ret->body = buf_bytes(&out);
}

/* Does what the device trusts lead to the server's own certificate? After the switch its chain
 * holds NewWithOld, so that the old root serves until it ends. */
static bool trusted(const struct fleet_plant *p, const struct fleet_call *call) {
    const struct fleet_weather *w = p->weather;
    for (size_t i = 0; i < 2; i++) {
        bool leads = i == 0 ? call->now_ms < w->end_ms : call->now_ms >= w->announce_ms;
        if (leads && memmem(call->anchors.p, call->anchors.n, p->root[i].der, p->root[i].n))
            return true;
    }
    return false;
}

/* ---- answers ---- */

static void refuse(struct fleet_plant *p, enum tm_result result, const char *why,
                   struct tm_answer *ret) {
    if (result == TM_RESULT_DENIED)
        p->counts.denied++;
    ret->result = result;
    TEXT_SET(ret->text, why);
}

/* Is the certificate of the handshake accepted where it is to be used? */
static void answer_probe(struct fleet_plant *p, const struct fleet_call *call,
                         struct fleet_cert *own, struct tm_answer *ret) {
    struct fleet_spell spell = fleet_weather_at(p->weather, FLEET_PROBES, call->now_ms);
    if (spell.kind == FLEET_UNREACHABLE)
        ret->result = TM_RESULT_NETWORK;
    else if (!own || call->now_ms > own->not_after_ms)
        refuse(p, TM_RESULT_DENIED, "the certificate is not one that is used here", ret);
    else if (spell.kind == FLEET_UNKNOWN_ISSUER && own->issued_ms >= spell.from_ms) {
        refuse(p, TM_RESULT_DENIED, "unknown CA", ret);
        own->refused = true;
    } else
        own->proven = true;
}

static void answer_credential(struct fleet_plant *p, const struct fleet_call *call,
                              struct tm_answer *ret) {
    struct fleet_cert *own;
    uint8_t identity[FLEET_HASH_SIZE];
    bool factory = strcmp(call->exchange->label, FLEET_LABEL_IDEVID) == 0;
    enum fleet_profile wanted = factory ? FLEET_IDEVID : FLEET_LDEVID;
    const char *why = fleet_plant_who(p, call, wanted, &own, identity);
    if (why)
        refuse(p, TM_RESULT_DENIED, why, ret);
    else if (call->exchange->operation == TM_OP_PROBE)
        answer_probe(p, call, own, ret);
    else
        fleet_plant_enroll(p, call, wanted, own, identity, ret);
}

/* TLS that looks at certificates itself knows no grace and no registry of superseded ones. */
static bool tls_refuses(const struct fleet_plant *p, const struct fleet_call *call) {
    struct pki_cert leaf;
    if (!p->scenario->strict || call->leaf.n == 0 || pki_cert_parse(call->leaf, &leaf))
        return false;
    const struct fleet_cert *own = fleet_plant_find(p, leaf.serial);
    return own && (own->status == FLEET_REVOKED || call->now_ms > own->not_after_ms);
}

void fleet_plant_answer(struct fleet_plant *plant, const struct fleet_call *call,
                        struct tm_answer *ret) {
    struct fleet_spell spell = fleet_weather_at(plant->weather, FLEET_ROUTE, call->now_ms);
    *ret = (struct tm_answer){.result = TM_RESULT_OK};
    plant->counts.exchanges[call->exchange->operation]++;
    if (!trusted(plant, call)) {
        refuse(plant, TM_RESULT_UNTRUSTED, "the server's certificate leads to no anchor", ret);
        return;
    }
    ret->server_wall_ms = call->now_ms / FLEET_SECOND * FLEET_SECOND;
    if (spell.kind == FLEET_BUSY || spell.kind == FLEET_BUSY_UNTIL) {
        int64_t left = (spell.until_ms - call->now_ms) / FLEET_SECOND;
        refuse(plant, TM_RESULT_LATER, "try again later", ret);
        ret->retry_after_s = spell.kind == FLEET_BUSY ? 0 : (uint32_t)(left < 3600 ? left : 3600);
        return;
    }
    if (tls_refuses(plant, call))
        refuse(plant, TM_RESULT_DENIED, "TLS alert: certificate_expired or certificate_revoked",
               ret);
    else if (call->exchange->operation == TM_OP_CACERTS)
        answer_cacerts(plant, call, ret);
    else
        answer_credential(plant, call, ret);
}
