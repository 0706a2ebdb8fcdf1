/* SPDX-License-Identifier: Apache-2.0 */
/* The plant's registry: who asks, and what was issued to whom. See client/fleet/plant.h. */
#include <string.h>

#include "client/fleet/plant.h"
#include "pki/cert.h"

/* Serial numbers are a mark and the record's number. */
static const uint8_t serial_mark[FLEET_SERIAL_SIZE - 4] = {'F', 'l', 'e', 'e', 't', '-', '0', '1'};

const struct fleet_cert *fleet_plant_find(const struct fleet_plant *plant, struct bytes serial) {
    struct reader r = {.in = serial};
    struct bytes mark = reader_take(&r, sizeof serial_mark);
    uint64_t number = reader_be(&r, 4);
    if (r.bad || reader_left(&r) || !bytes_equal(mark, BYTES_OF(serial_mark)) || number == 0 ||
        number >= plant->cert_count)
        return NULL;
    return &plant->certs[number];
}

uint32_t fleet_plant_number(const struct fleet_plant *plant, const struct fleet_cert *cert) {
    return (uint32_t)(cert - plant->certs);
}

enum tm_err fleet_plant_make(struct fleet_plant *plant, const struct fleet_cert *cert,
                             size_t number, struct bytes spki, struct buf *out) {
    bool after = cert->issued_ms >= plant->weather->switch_ms;
    struct fleet_ca impostor = plant->issuing[after ? 1 : 0];
    struct fleet_wish wish = {.issuer = &plant->issuing[after ? 1 : 0],
                              .device_id = plant->accounts[cert->device].id,
                              .spki = spki,
                              .not_before_ms = cert->not_before_ms,
                              .not_after_ms = cert->not_after_ms};
    struct buf serial = BUF_ON(wish.serial);
    buf_put(&serial, BYTES_OF(serial_mark));
    buf_put_be(&serial, number, 4);
    switch (cert->wrong) {
    case FLEET_WRONG_KEY:
        wish.spki = BYTES_OF(plant->stranger.key.spki);
        break;
    case FLEET_WRONG_SUBJECT:
        wish.device_id = "SOMEBODY-ELSE";
        break;
    case FLEET_EXPIRED:
        wish.not_before_ms -= plant->lifetime_ms + FLEET_DAY;
        wish.not_after_ms -= plant->lifetime_ms + FLEET_DAY;
        break;
    case FLEET_FOREIGN:
        wish.issuer = &plant->stranger;
        break;
    case FLEET_NO_LEAF:
        wish.purpose = FLEET_FOR_CA;
        break;
    case FLEET_NO_CLIENT:
        wish.purpose = FLEET_FOR_SERVER;
        break;
    case FLEET_BAD_SIGNATURE:
        impostor.key = plant->stranger.key;
        wish.issuer = &impostor;
        break;
    default:
        break;
    }
    return fleet_x509_write(&wish, out);
}

enum tm_err fleet_plant_idevid(struct fleet_plant *plant, size_t device, struct bytes spki,
                               int64_t now_ms, struct buf *out) {
    struct fleet_wish wish = {.issuer = &plant->maker,
                              .serial = {1},
                              .device_id = plant->accounts[device].id,
                              .spki = spki,
                              .not_before_ms = now_ms - FLEET_HOUR,
                              .not_after_ms = INT64_C(253402300799000)};
    fleet_random_fill(&plant->random, wish.serial + 1, FLEET_SERIAL_SIZE - 1);
    size_t start = out->n;
    enum tm_err err = fleet_x509_write(&wish, out);
    if (err)
        return err;
    fleet_hash(&(struct bytes){out->p + start, out->n - start}, 1, plant->accounts[device].idevid);
    return TM_OK;
}

void fleet_plant_revoke(struct fleet_plant *plant, size_t device) {
    for (uint32_t i = plant->accounts[device].last[FLEET_LDEVID]; i; i = plant->certs[i].before)
        plant->certs[i].status = FLEET_REVOKED;
}

/* ---- who asks ---- */

static void found(struct fleet_plant *p, const struct fleet_call *call, const char *what) {
    fleet_watch_found(p->watch, p->accounts[call->device].id, call->now_ms, "%s", what);
}

/* Its own certificate's record, if it may be used at all. */
static const char *judge_own(struct fleet_plant *p, const struct fleet_call *call,
                             enum fleet_profile wanted, struct fleet_cert *own) {
    if (own->wrong != FLEET_FAIR)
        found(p, call, "a certificate is used that was wrong when it was issued");
    if (own->device != call->device)
        found(p, call, "another device's certificate is used");
    if (own->status == FLEET_REVOKED)
        return "the certificate is revoked";
    bool renews = own->profile == wanted;
    if (call->now_ms > own->not_after_ms + (renews ? FLEET_GRACE : 0))
        return "the certificate has expired";
    if (call->exchange->operation != TM_OP_PROBE)
        own->proven = true;
    return NULL;
}

static const char *judge_leaf(struct fleet_plant *p, const struct fleet_call *call,
                              enum fleet_profile wanted, struct fleet_cert **ret_own,
                              uint8_t ret_identity[FLEET_HASH_SIZE]) {
    struct pki_cert leaf;
    fleet_hash(&call->leaf, 1, ret_identity);
    if (pki_cert_parse(call->leaf, &leaf) || !bytes_equal(leaf.spki.whole, call->spki)) {
        found(p, call, "a certificate is shown whose key is not in the bank named");
        return "the certificate is not proven";
    }
    if (memcmp(p->accounts[call->device].idevid, ret_identity, FLEET_HASH_SIZE) == 0)
        return NULL;
    const struct fleet_cert *record = fleet_plant_find(p, leaf.serial);
    if (!record || memcmp(record->fingerprint, ret_identity, FLEET_HASH_SIZE) != 0) {
        found(p, call, "a certificate is shown that nobody issued");
        return "the certificate is unknown";
    }
    *ret_own = &p->certs[fleet_plant_number(p, record)];
    return judge_own(p, call, wanted, *ret_own);
}

static const char *judge_secret(const struct fleet_account *account, struct bytes secret,
                                uint8_t ret_identity[FLEET_HASH_SIZE]) {
    const struct bytes expected[] = {
        bytes_str(account->id), {(const uint8_t *)"", 1}, bytes_str(account->secret)};
    uint8_t hash[FLEET_HASH_SIZE];
    fleet_hash(expected, 3, ret_identity);
    fleet_hash(&secret, 1, hash);
    bool equal = account->secret[0] && memcmp(hash, ret_identity, FLEET_HASH_SIZE) == 0;
    return equal ? NULL : "user or enrollment secret is wrong";
}

const char *fleet_plant_who(struct fleet_plant *plant, const struct fleet_call *call,
                            enum fleet_profile wanted, struct fleet_cert **ret_own,
                            uint8_t ret_identity[FLEET_HASH_SIZE]) {
    const struct fleet_account *account = &plant->accounts[call->device];
    const char *why = "a client certificate or the one-time secret is needed";
    *ret_own = NULL;
    if (call->leaf.n)
        why = judge_leaf(plant, call, wanted, ret_own, ret_identity);
    else if (call->secret.n)
        why = judge_secret(account, call->secret, ret_identity);
    if (why)
        return why;
    if (account->retired)
        return "the device is revoked";
    return account->suspended ? "the device is suspended" : NULL;
}
