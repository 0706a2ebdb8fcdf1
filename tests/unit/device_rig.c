/* SPDX-License-Identifier: Apache-2.0 */
/* The device and the server of the life-cycle tests: see device_rig.h. */
#include "tests/unit/device_rig.h"

#include <stdlib.h>
#include <string.h>

#include "client/port/openssl.h"
#include "est/wire/certs_only.h"
#include "pki/csr.h"

#define START_MS INT64_C(1893456000000) /* 2030-01-01 */
#define STEPS_MAX 5000

/* ---- the device's side: storage and keys ---- */

/* Counts a write; true when it is the one that power is cut in. */
static bool cut_now(struct rig *r) {
    r->writes++;
    r->dead = r->dead || (r->cut_at && r->writes == r->cut_at);
    return r->cut_at && r->writes == r->cut_at;
}

static void put_item(struct rig_item *item, struct bytes data) {
    item->there = true;
    item->n = data.n;
    memcpy(item->octets, data.p, data.n);
}

static void tear(struct rig_item *item, struct bytes data, enum rig_cut cut) {
    if (cut == RIG_CUT_OLD)
        return;
    put_item(item, data);
    if (cut == RIG_CUT_HALF)
        item->n = data.n / 2;
    if (cut == RIG_CUT_GARBAGE)
        memset(item->octets, 0xff, data.n);
}

static enum tm_err item_read(void *self, enum tm_item item, struct buf *out) {
    struct rig *r = self;
    if (r->dead)
        return TM_EIO;
    if (!r->items[item].there)
        return TM_ENOTFOUND;
    buf_put(out, (struct bytes){r->items[item].octets, r->items[item].n});
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err item_write(void *self, enum tm_item item, struct bytes data) {
    struct rig *r = self;
    if (r->dead || data.n > sizeof r->items[item].octets)
        return TM_EIO;
    if (cut_now(r)) {
        tear(&r->items[item], data, r->cut);
        return TM_EIO;
    }
    put_item(&r->items[item], data);
    return TM_OK;
}

static enum tm_err item_erase(void *self, enum tm_item item) {
    struct rig *r = self;
    if (r->dead)
        return TM_EIO;
    if (!r->items[item].there)
        return TM_OK;
    if (cut_now(r)) {
        struct rig_item old = r->items[item];
        tear(&r->items[item], (struct bytes){old.octets, old.n},
             r->cut == RIG_CUT_NEW ? RIG_CUT_GARBAGE : r->cut);
        return TM_EIO;
    }
    r->items[item].there = false;
    return TM_OK;
}

static enum tm_err key_destroy(void *self, unsigned bank) {
    struct rig *r = self;
    if (r->dead)
        return TM_EIO;
    if (!r->banks[bank].pkey)
        return TM_OK;
    bool cut = cut_now(r);
    if (!cut || r->cut != RIG_CUT_OLD)
        fleet_key_free(&r->banks[bank]);
    return cut ? TM_EIO : TM_OK;
}

static enum tm_err key_generate(void *self, unsigned bank) {
    struct rig *r = self;
    if (r->dead)
        return TM_EIO;
    bool cut = cut_now(r);
    if (cut && r->cut == RIG_CUT_OLD)
        return TM_EIO;
    fleet_key_free(&r->banks[bank]);
    if (cut && r->cut != RIG_CUT_NEW)
        return TM_EIO;
    enum tm_err err = fleet_key_new(&r->banks[bank]);
    return cut ? TM_EIO : err;
}

static enum tm_err key_public(void *self, unsigned bank, struct buf *out) {
    struct rig *r = self;
    if (r->dead)
        return TM_EIO;
    if (!r->banks[bank].pkey)
        return TM_ENOTFOUND;
    buf_put(out, BYTES_OF(r->banks[bank].spki));
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err key_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                            struct buf *out) {
    struct rig *r = self;
    if (r->dead)
        return TM_EIO;
    if (r->again_left > 0) {
        r->again_left--;
        return TM_EAGAIN;
    }
    r->again_left = r->again;
    return fleet_key_sign(&r->banks[bank], digest, out);
}

/* ---- the server's side ---- */

static void hash(struct bytes data, uint8_t ret[TM_SHA256_SIZE]) {
    const struct tm_crypto *crypto = tm_openssl_crypto();
    if (crypto->sha256(crypto->self, &data, 1, ret))
        abort();
}

static void answer_with(struct rig *r, struct bytes certificates, struct tm_answer *ret) {
    struct buf out = BUF_ON(r->answer_body);
    if (est_certs_only_write(certificates, &out))
        abort();
    ret->body = buf_bytes(&out);
}

static void answer_cacerts(struct rig *r, struct tm_answer *ret) {
    uint8_t octets[6 * FLEET_CERT_MAX];
    struct buf set = BUF_ON(octets);
    buf_put(&set, fleet_ca_der(&r->root));
    buf_put(&set, fleet_ca_der(&r->issuing));
    if (r->rolled_over) {
        buf_put(&set, fleet_ca_der(&r->new_root));
        buf_put(&set, fleet_ca_der(&r->cross));
        buf_put(&set, fleet_ca_der(&r->new_issuing));
    }
    answer_with(r, buf_bytes(&set), ret);
}

/* Who asks: the record of the leaf in the chain bank. */
static struct rig_issued *peer_of(struct rig *r, const struct tm_exchange *x) {
    struct rig_item *item = &r->items[TM_ITEM_CHAIN_0 + x->chain_bank];
    for (size_t i = 0; i < r->issued_count; i++)
        if (r->issued[i].n <= item->n &&
            memcmp(r->issued[i].der, item->octets, r->issued[i].n) == 0)
            return &r->issued[i];
    return NULL;
}

static bool holds_key(struct rig *r, const struct tm_exchange *x, const struct rig_issued *peer) {
    return r->banks[x->key_bank].pkey &&
           memcmp(r->banks[x->key_bank].spki, peer->spki, TM_SPKI_MAX) == 0;
}

static int64_t wall_of(const struct rig *r) {
    return START_MS + r->now.mono_ms;
}

static struct bytes make(struct rig *r, struct rig_issued *record, bool idevid) {
    static const int64_t FOR_EVER = INT64_C(253402300799000);
    struct fleet_wish wish = {.issuer = r->issuer,
                              .device_id = r->flaw == RIG_OTHER_SUBJECT ? "another" : "device-1",
                              .spki = BYTES_OF(record->spki),
                              .purpose = FLEET_FOR_CLIENT,
                              .not_before_ms = wall_of(r),
                              .not_after_ms = idevid ? FOR_EVER : wall_of(r) + r->lifetime_ms};
    wish.serial[0] = 1;
    wish.serial[1] = (uint8_t)(r->issued_count + 1);
    if (r->flaw == RIG_OTHER_KEY)
        wish.spki = BYTES_OF(r->other_root.key.spki);
    if (r->flaw == RIG_OTHER_CA)
        wish.issuer = &r->other_root;
    if (r->flaw == RIG_CA_CERTIFICATE)
        wish.purpose = FLEET_FOR_CA;
    if (r->flaw == RIG_ENDED) {
        wish.not_before_ms -= 2 * DAY_MS;
        wish.not_after_ms = wall_of(r) - DAY_MS;
    }
    struct buf out = BUF_ON(record->der);
    if (fleet_x509_write(&wish, &out))
        abort();
    record->n = out.n;
    record->sound = r->flaw == RIG_SOUND;
    hash(buf_bytes(&out), record->hash);
    return buf_bytes(&out);
}

static struct rig_issued *find_repeat(struct rig *r, const struct rig_issued *like) {
    for (size_t i = 0; i < r->issued_count; i++)
        if (memcmp(r->issued[i].spki, like->spki, TM_SPKI_MAX) == 0 &&
            memcmp(r->issued[i].identity, like->identity, TM_SHA256_SIZE) == 0 &&
            r->issued[i].idevid == like->idevid && r->issued[i].active)
            return &r->issued[i];
    return NULL;
}

static void issue(struct rig *r, const struct rig_issued *like, struct tm_answer *ret) {
    struct rig_issued *before = find_repeat(r, like);
    if (before) {
        answer_with(r, (struct bytes){before->der, before->n}, ret);
        return;
    }
    if (r->issued_count == RIG_ISSUED_MAX)
        abort();
    struct rig_issued *record = &r->issued[r->issued_count];
    *record = *like;
    struct bytes der = make(r, record, like->idevid);
    for (size_t i = 0; i < r->issued_count; i++)
        if (r->issued[i].idevid == like->idevid)
            r->issued[i].active = false;
    record->active = true;
    r->issued_count++;
    answer_with(r, der, ret);
}

static void answer_enroll(struct rig *r, const struct tm_exchange *x, struct tm_answer *ret) {
    struct pki_csr csr;
    struct rig_issued like = {.idevid = strcmp(x->label, "idevid") == 0};
    const struct tm_crypto *crypto = tm_openssl_crypto();
    r->requests++;
    if (pki_csr_parse(x->body, &csr) || csr.spki.whole.n != TM_SPKI_MAX ||
        crypto->verify(crypto->self, csr.spki.whole, csr.algorithm, csr.info, csr.signature)) {
        *ret = (struct tm_answer){.result = TM_RESULT_REFUSED, .text = "not a request"};
        return;
    }
    memcpy(like.spki, csr.spki.whole.p, TM_SPKI_MAX);
    struct rig_issued *peer = x->slot ? peer_of(r, x) : NULL;
    bool secret = x->secret && r->items[TM_ITEM_BOOTSTRAP].there;
    bool renews = x->operation == TM_OP_REENROLL;
    if ((x->slot && (!peer || peer->revoked || !holds_key(r, x, peer))) || (!x->slot && !secret) ||
        (renews && r->deny_renewals)) {
        *ret = (struct tm_answer){.result = TM_RESULT_DENIED, .text = "the credential is refused"};
        return;
    }
    if (peer)
        memcpy(like.identity, peer->hash, sizeof like.identity);
    issue(r, &like, ret);
    if (r->flaw == RIG_NO_MESSAGE)
        ret->body = bytes_str("no message");
    if (r->lose_answers > 0) {
        r->lose_answers--;
        *ret = (struct tm_answer){.result = TM_RESULT_NETWORK, .text = "lost"};
    }
}

static void answer_probe(struct rig *r, const struct tm_exchange *x, struct tm_answer *ret) {
    struct rig_issued *peer = peer_of(r, x);
    ret->result = r->probe;
    if (!peer || peer->revoked || !holds_key(r, x, peer))
        ret->result = TM_RESULT_DENIED;
    if (ret->result == TM_RESULT_DENIED)
        TEXT_SET(ret->text, "refused where it is to be used");
}

static void serve(struct rig *r, const struct tm_exchange *x, struct tm_answer *ret) {
    r->exchanges++;
    *ret = (struct tm_answer){.result = TM_RESULT_OK, .binding = {1, 2, 3}, .binding_n = 3};
    if (r->offline) {
        *ret = (struct tm_answer){.result = TM_RESULT_NETWORK, .text = "nobody answers"};
        return;
    }
    if (r->tells_time)
        ret->server_wall_ms = wall_of(r);
    if (r->later && x->operation != TM_OP_CACERTS) {
        ret->result = TM_RESULT_LATER;
        ret->retry_after_s = r->retry_after_s;
        return;
    }
    switch (x->operation) {
    case TM_OP_CACERTS:
        answer_cacerts(r, ret);
        return;
    case TM_OP_ENROLL:
    case TM_OP_REENROLL:
        answer_enroll(r, x, ret);
        return;
    case TM_OP_PROBE:
        answer_probe(r, x, ret);
        return;
    }
}

/* ---- the rig ---- */

static void make_cas(struct rig *r) {
    static const char UNIT[] = "Environment test";
    int64_t from = START_MS - 365 * DAY_MS, to = START_MS + 40 * 365 * DAY_MS;
    enum tm_err err = fleet_ca_new(&r->root, "Root 1", UNIT, NULL, from, to);
    if (!err)
        err = fleet_ca_new(&r->other_root, "Root 1", "Environment prod", NULL, from, to);
    if (!err)
        err = fleet_ca_new(&r->issuing, "Issuing 1", UNIT, &r->root, from, to);
    if (!err)
        err = fleet_ca_new(&r->new_root, "Root 2", UNIT, NULL, from, to);
    if (!err)
        err = fleet_ca_new(&r->new_issuing, "Issuing 2", UNIT, &r->new_root, from, to);
    if (err)
        abort();
    r->cross = r->new_root; /* NewWithOld: the new root's name and key, signed by the old one */
    struct fleet_wish wish = {.issuer = &r->root,
                              .serial = {9},
                              .ca = &r->new_root,
                              .spki = BYTES_OF(r->new_root.key.spki),
                              .purpose = FLEET_FOR_CA,
                              .not_before_ms = from,
                              .not_after_ms = to};
    struct buf out = BUF_ON(r->cross.der);
    if (fleet_x509_write(&wish, &out))
        abort();
    r->cross.n = out.n;
    r->cross.key = (struct fleet_key){0};
}

struct rig *rig_new(void) {
    struct rig *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    make_cas(r);
    r->config = (struct tm_config){.device_id = "device-1",
                                   .idevid_label = "idevid",
                                   .ldevid_label = "ldevid",
                                   .anchor_unit = "Environment test"};
    r->keys =
        (struct tm_keys){TM_TABLE_VERSION, r, key_generate, key_public, key_sign, key_destroy};
    r->storage = (struct tm_storage){TM_TABLE_VERSION, r, item_read, item_write, item_erase};
    r->issuer = &r->issuing;
    r->probe = TM_RESULT_OK;
    r->lifetime_ms = 90 * DAY_MS;
    r->now = (struct tm_now){.mono_ms = 1000, .wall_ms = START_MS + 1000};
    put_item(&r->items[TM_ITEM_BOOTSTRAP], bytes_str("device-1:secret"));
    if (tm_device_provision(&r->config, &r->keys, &r->storage, tm_openssl_crypto(), r->work,
                            sizeof r->work, fleet_ca_der(&r->root), (struct bytes){0}))
        abort();
    return r;
}

void rig_free(struct rig *r) {
    for (unsigned i = 0; i < TM_BANKS; i++)
        fleet_key_free(&r->banks[i]);
    fleet_ca_free(&r->root);
    fleet_ca_free(&r->other_root);
    fleet_ca_free(&r->issuing);
    fleet_ca_free(&r->new_root);
    fleet_ca_free(&r->new_issuing);
    free(r);
}

enum tm_err rig_boot(struct rig *r) {
    r->dead = false;
    r->again_left = r->again;
    return tm_device_init(&r->device, &r->config, &r->keys, &r->storage, tm_openssl_crypto(),
                          r->work, sizeof r->work);
}

static void move_to(struct rig *r, int64_t mono_ms) {
    r->now.mono_ms = mono_ms;
    r->now.wall_ms = r->clockless ? 0 : wall_of(r);
}

enum tm_err rig_run(struct rig *r, int64_t for_ms) {
    int64_t end = r->now.mono_ms + for_ms;
    move_to(r, r->now.mono_ms);
    for (int i = 0; i < STEPS_MAX; i++) {
        struct tm_step step;
        struct tm_answer answer;
        enum tm_err err = tm_device_step(&r->device, r->now, &step);
        if (err)
            return err;
        switch (step.kind) {
        case TM_STEP_WAIT:
            if (step.until_mono_ms >= end) {
                move_to(r, end);
                return TM_OK;
            }
            move_to(r, step.until_mono_ms > r->now.mono_ms ? step.until_mono_ms : r->now.mono_ms);
            break;
        case TM_STEP_EXCHANGE:
            serve(r, &step.exchange, &answer);
            err = tm_device_answer(&r->device, r->now, &answer);
            if (err)
                return err;
            break;
        case TM_STEP_TELL:
            r->told[step.event.kind]++;
            if (step.event.text[0])
                TEXT_SET(r->text, step.event.text);
            break;
        }
    }
    return TM_ELIMIT; /* it runs in circles */
}

const struct rig_issued *rig_active(const struct rig *r, bool idevid) {
    for (size_t i = r->issued_count; i > 0; i--)
        if (r->issued[i - 1].idevid == idevid && r->issued[i - 1].active &&
            !r->issued[i - 1].revoked)
            return &r->issued[i - 1];
    return NULL;
}

unsigned rig_count(const struct rig *r, bool idevid) {
    unsigned count = 0;
    for (size_t i = 0; i < r->issued_count; i++)
        count += r->issued[i].idevid == idevid && r->issued[i].sound;
    return count;
}

bool rig_holds(struct rig *r, enum tm_slot slot, const struct rig_issued *issued) {
    uint8_t octets[TM_CHAIN_MAX];
    struct buf chain = BUF_ON(octets);
    const struct tm_certificate *c = &r->device.journal.slots[slot];
    if (!issued || tm_device_chain(&r->device, slot, &chain) || chain.n < issued->n ||
        memcmp(chain.p, issued->der, issued->n) != 0)
        return false;
    return r->banks[c->key_bank].pkey &&
           memcmp(r->banks[c->key_bank].spki, issued->spki, TM_SPKI_MAX) == 0;
}
