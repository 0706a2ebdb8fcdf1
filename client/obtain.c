/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a purpose to a certificate in NEXT: key, journal, connection (which brings trust anchors and
 * the channel binding), request, answer, checks, journal. The key is in the journal before the
 * server can have seen it, so that after a power cut the same request is made again and not a
 * second one.
 */
#include <string.h>

#include "client/anchors.h"
#include "client/journal.h"
#include "client/life.h"
#include "client/request.h"
#include "est/wire/certs_only.h"
#include "pki/name.h"

/* The end of the work memory, for one chain; what is before it is for anchors or the request. */
static struct buf chain_room(const struct tm_device *d) {
    return (struct buf){d->work + d->work_size - TM_CHAIN_MAX, TM_CHAIN_MAX, 0, false};
}

static struct buf main_room(const struct tm_device *d) {
    return (struct buf){d->work, d->work_size - TM_CHAIN_MAX, 0, false};
}

/* ---- beginning ---- */

static void choose_credential(struct tm_device *d, enum tm_purpose purpose) {
    enum tm_slot slot = TM_SLOT_NONE;
    if (purpose == TM_PURPOSE_RENEW)
        slot = TM_SLOT_CURRENT;
    else if (purpose != TM_PURPOSE_IDEVID && d->journal.slots[TM_SLOT_IDEVID].used)
        slot = TM_SLOT_IDEVID;
    d->auth = (uint8_t)slot;
    d->secret = slot == TM_SLOT_NONE;
}

/* A key in a bank of its own, except when a renewal keeps the key. */
static enum tm_err make_key(struct tm_device *d, enum tm_purpose purpose, uint8_t *ret_bank) {
    if (purpose == TM_PURPOSE_RENEW && d->config.keep_key) {
        *ret_bank = d->journal.slots[TM_SLOT_CURRENT].key_bank;
        return TM_OK;
    }
    uint8_t bank;
    enum tm_err err = tm_journal_free_key_bank(&d->journal, purpose == TM_PURPOSE_IDEVID, &bank);
    if (!err)
        err = d->keys->generate(d->keys->self, bank);
    if (!err)
        *ret_bank = bank;
    return err;
}

static enum tm_err start_request(struct tm_device *d, enum tm_purpose purpose) {
    uint8_t bank;
    enum tm_err err = make_key(d, purpose, &bank);
    if (err)
        return err;
    struct tm_journal next = d->journal;
    next.phase = TM_PHASE_REQUEST;
    next.purpose = (uint8_t)purpose;
    next.request_bank = bank;
    return tm_life_commit(d, &next);
}

static enum tm_err request_spki(const struct tm_device *d, struct buf *out) {
    return d->keys->public_key(d->keys->self, d->journal.request_bank, out);
}

/* The journal's key, or a new one where the key store lost it. */
static enum tm_err need_key(struct tm_device *d) {
    uint8_t spki[TM_SPKI_MAX];
    struct buf out = BUF_ON(spki);
    enum tm_err err = request_spki(d, &out);
    return err == TM_ENOTFOUND ? d->keys->generate(d->keys->self, d->journal.request_bank) : err;
}

static void ask_again(struct tm_device *d, struct tm_step *ret) {
    d->next_mono_ms = d->now.mono_ms + TM_POLL_MS;
    *ret = (struct tm_step){.kind = TM_STEP_WAIT, .until_mono_ms = d->next_mono_ms};
}

enum tm_err tm_obtain_begin(struct tm_device *d, enum tm_purpose purpose, struct tm_step *ret) {
    enum tm_err err = d->journal.phase == TM_PHASE_REQUEST && d->journal.purpose == purpose
                          ? need_key(d)
                          : start_request(d, purpose);
    if (err == TM_EAGAIN) {
        ask_again(d, ret);
        return TM_OK;
    }
    if (err)
        return err;
    choose_credential(d, purpose);
    tm_life_exchange(d, TM_ACT_CONNECT_OUT, TM_OP_CACERTS, (enum tm_slot)d->auth, tm_life_label(d),
                     ret);
    return TM_OK;
}

/* ---- when the server says no ---- */

/* A one-time credential is good for one key: that key is never given up. */
static bool may_give_up_key(const struct tm_device *d) {
    return !d->secret;
}

/* The credential was refused, or the request: enough of it and another way is tried (decide.c). */
static enum tm_err denied(struct tm_device *d, const struct tm_answer *answer) {
    d->denied++;
    enum tm_err err = tm_life_failed(d, answer->text, answer->retry_after_s);
    if (err || d->denied < d->config.denied_max)
        return err;
    bool renews = d->journal.purpose == TM_PURPOSE_RENEW;
    if (renews && tm_life_usable(d, TM_SLOT_IDEVID))
        return TM_OK; /* a recovery is next */
    if (renews || d->denied >= 2 * d->config.denied_max || d->journal.purpose != TM_PURPOSE_RECOVER)
        tm_life_stranded(d);
    if (d->denied >= 2 * d->config.denied_max) {
        d->denied = 0;
        d->other_way = true;
    }
    return TM_OK;
}

/* A server that is not trusted, again and again: the anchors ended, or it is another one. */
#define UNTRUSTED_MAX 10

static enum tm_err unanswered(struct tm_device *d, const struct tm_answer *answer) {
    if (answer->result == TM_RESULT_DENIED || answer->result == TM_RESULT_REFUSED)
        return denied(d, answer);
    enum tm_err err = tm_life_failed(d, answer->text, answer->retry_after_s);
    if (!err && answer->result == TM_RESULT_UNTRUSTED && d->failures >= UNTRUSTED_MAX)
        tm_life_stranded(d);
    return err;
}

/* What came is not what was asked for. The next request is another one, with another key. */
static enum tm_err discard(struct tm_device *d, const char *text) {
    enum tm_err err = tm_life_failed(d, text, 0);
    tm_life_tell(d, TM_EVENT_DISCARDED, TM_SLOT_NEXT, text);
    if (!err && may_give_up_key(d))
        err = tm_change_abandon(d);
    return err;
}

/* ---- connected ---- */

static enum tm_err read_anchors(const struct tm_device *d, struct buf *out) {
    return d->storage->read(d->storage->self,
                            (enum tm_item)(TM_ITEM_ANCHORS_0 + d->journal.anchors_bank), out);
}

static enum tm_err store_anchors(struct tm_device *d, struct bytes set) {
    struct tm_journal next = d->journal;
    next.anchors_bank = !next.anchors_bank;
    enum tm_err err = d->crypto->sha256(d->crypto->self, &set, 1, next.anchors_hash);
    if (!err)
        err = d->storage->write(d->storage->self,
                                (enum tm_item)(TM_ITEM_ANCHORS_0 + next.anchors_bank), set);
    if (!err)
        err = tm_life_commit(d, &next);
    if (!err)
        tm_life_tell(d, TM_EVENT_ANCHORS, TM_SLOT_NONE, NULL);
    return err;
}

enum tm_err tm_obtain_anchors(struct tm_device *d, const struct tm_answer *answer) {
    struct buf room = {d->work, d->work_size, 0, false};
    struct bytes offered;
    bool changed = false;
    if (est_certs_only_read(answer->body, &offered))
        return TM_OK;
    enum tm_err err = read_anchors(d, &room);
    if (err)
        return err;
    struct bytes held = buf_bytes(&room);
    struct buf out = {d->work + held.n, d->work_size - held.n, 0, false};
    if (out.cap > TM_ANCHORS_MAX)
        out.cap = TM_ANCHORS_MAX;
    if (tm_anchors_update(d->crypto, tm_life_wall(d), d->config.anchor_unit, held, offered, &out,
                          &changed)) {
        tm_life_tell(d, TM_EVENT_FAILED, TM_SLOT_NONE,
                     "the CA certificates that the server offers cannot be taken over");
        return TM_OK;
    }
    return changed ? store_anchors(d, buf_bytes(&out)) : TM_OK;
}

static void take_binding(struct tm_device *d, const struct tm_answer *answer) {
    d->binding_n = 0;
    if (d->config.linking == TM_LINKING_OFF || answer->binding_n > sizeof d->binding)
        return;
    memcpy(d->binding, answer->binding, answer->binding_n);
    d->binding_n = answer->binding_n;
}

enum tm_err tm_obtain_connected(struct tm_device *d, const struct tm_answer *answer) {
    if (answer->result != TM_RESULT_OK)
        return unanswered(d, answer);
    enum tm_err err = tm_obtain_anchors(d, answer);
    if (err)
        return err;
    take_binding(d, answer);
    if (d->config.linking == TM_LINKING_REQUIRED && !d->binding_n)
        return tm_life_failed(d, "the connection has no channel binding (RFC 7030, 3.5)", 0);
    d->info_n = 0;
    d->activity = TM_ACT_SIGN;
    return TM_OK;
}

/* ---- the request ---- */

/* Subject and subjectAltName of CURRENT, which a renewal repeats (RFC 7030, 4.2.2). Borrowed from
 * the end of the work memory. */
static enum tm_err current_names(struct tm_device *d, struct bytes *ret_subject,
                                 struct bytes *ret_san) {
    struct buf room = chain_room(d);
    enum tm_err err = tm_device_chain(d, TM_SLOT_CURRENT, &room);
    if (err)
        return err;
    struct bytes rest = buf_bytes(&room);
    struct der first;
    struct pki_cert cert;
    err = der_expect(&rest, DER_SEQUENCE, &first);
    if (!err)
        err = pki_cert_parse(first.whole, &cert);
    if (err)
        return err;
    *ret_subject = cert.subject;
    if (pki_cert_san(&cert, ret_san))
        *ret_san = (struct bytes){0};
    return TM_OK;
}

/* The key identifier of a request without a certificate to sign it (RFC 7093, 2, method 1). */
static enum tm_err name_key(const struct tm_device *d, struct bytes spki,
                            uint8_t memory[TM_SHA256_SIZE], struct bytes *ret) {
    struct pki_spki key;
    enum tm_err err = pki_spki_parse(spki, &key);
    if (!err)
        err = d->crypto->sha256(d->crypto->self, &key.key, 1, memory);
    if (!err)
        *ret = (struct bytes){memory, TM_KEY_ID_SIZE};
    return err;
}

/* The CertificationRequestInfo, at the start of the work memory. */
static enum tm_err write_info(struct tm_device *d) {
    uint8_t spki[TM_SPKI_MAX];
    struct buf key = BUF_ON(spki), out = main_room(d);
    uint8_t key_id[TM_SHA256_SIZE];
    struct tm_request request = {.device_id = d->config.device_id,
                                 .binding = {d->binding, d->binding_n}};
    enum tm_err err = request_spki(d, &key);
    if (!err && d->secret)
        err = name_key(d, buf_bytes(&key), key_id, &request.key_id);
    if (!err && d->journal.purpose == TM_PURPOSE_RENEW)
        err = current_names(d, &request.subject, &request.san);
    request.spki = buf_bytes(&key);
    if (!err)
        err = tm_request_info(&request, &out);
    if (!err)
        d->info_n = out.n;
    return err;
}

static enum tm_err sign_info(struct tm_device *d) {
    uint8_t digest[TM_SHA256_SIZE], octets[TM_SIGNATURE_MAX];
    struct buf signature = BUF_ON(octets), out = main_room(d);
    struct bytes info = {d->work, d->info_n};
    enum tm_err err = d->crypto->sha256(d->crypto->self, &info, 1, digest);
    if (!err)
        err = d->keys->sign(d->keys->self, d->journal.request_bank, digest, &signature);
    out.p += d->info_n;
    out.cap -= d->info_n;
    if (!err)
        err = tm_request_finish(info, buf_bytes(&signature), &out);
    if (!err)
        d->request_n = out.n;
    return err;
}

enum tm_err tm_obtain_send(struct tm_device *d, struct tm_step *ret) {
    enum tm_err err = d->info_n ? TM_OK : write_info(d);
    if (!err)
        err = sign_info(d);
    if (err == TM_EAGAIN) {
        ask_again(d, ret);
        return TM_OK;
    }
    if (err)
        return err;
    bool renews = d->journal.purpose == TM_PURPOSE_RENEW;
    tm_life_exchange(d, TM_ACT_SEND_OUT, renews ? TM_OP_REENROLL : TM_OP_ENROLL,
                     (enum tm_slot)d->auth, tm_life_label(d), ret);
    ret->exchange.secret = d->secret;
    ret->exchange.bound = d->binding_n > 0;
    ret->exchange.body = (struct bytes){d->work + d->info_n, d->request_n};
    return TM_OK;
}

/* ---- the answer ---- */

/* Could the certificate have issued one with that issuer's name and key identifier (empty: none)?
 */
static bool may_have_issued(const struct pki_cert *cert, struct bytes issuer, struct bytes key_id) {
    struct bytes own;
    if (!pki_name_equal(cert->subject, issuer) || pki_name_equal(cert->subject, cert->issuer))
        return false;
    return !key_id.n || pki_cert_ski(cert, &own) || bytes_equal(own, key_id);
}

/* The CA certificate of the set, no root, that issued `below`. */
static enum tm_err issuer_of(struct bytes set, struct bytes below, struct bytes *ret) {
    struct pki_cert cert;
    struct der element;
    struct bytes key_id;
    enum tm_err err = pki_cert_parse(below, &cert);
    struct bytes issuer = cert.issuer;
    if (!err && pki_cert_aki(&cert, &key_id))
        key_id = (struct bytes){0};
    while (!err && set.n) {
        err = der_next(&set, &element);
        if (err || pki_cert_parse(element.whole, &cert) || !may_have_issued(&cert, issuer, key_id))
            continue;
        *ret = element.whole;
        return TM_OK;
    }
    return err ? err : TM_ENOTFOUND;
}

/* The CA certificates of the set that lead on from `leaf`, appended: what TLS shows beside it. */
static enum tm_err append_path(struct bytes set, struct bytes leaf, struct buf *out) {
    struct bytes below = leaf;
    for (int depth = 1; depth < TM_PATH_MAX; depth++) {
        struct bytes found;
        if (issuer_of(set, below, &found))
            break;
        buf_put(out, found);
        below = found;
    }
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err store_next(struct tm_device *d, struct bytes chain, struct tm_certificate *c,
                              const struct tm_answer *answer) {
    struct tm_journal next = d->journal;
    bool idevid = next.purpose == TM_PURPOSE_IDEVID;
    enum tm_err err = tm_journal_free_chain_bank(&next, idevid, &c->chain_bank);
    if (!err)
        err = d->crypto->sha256(d->crypto->self, &chain, 1, c->hash);
    if (!err)
        err = d->storage->write(d->storage->self, (enum tm_item)(TM_ITEM_CHAIN_0 + c->chain_bank),
                                chain);
    if (err)
        return err;
    c->used = true;
    c->key_bank = next.request_bank;
    next.phase = TM_PHASE_PROBE;
    next.slots[TM_SLOT_NEXT] = *c;
    next.renew_from_ms = answer->renew_from_ms;
    next.renew_until_ms = answer->renew_until_ms;
    return tm_life_commit(d, &next);
}

/* Verifies the certificate with the anchors at the start of the work memory, then puts its chain at
 * the end. */
static enum tm_err judge(struct tm_device *d, struct bytes certificates, struct bytes set,
                         struct tm_certificate *ret, struct buf *chain, char text[TM_TEXT_MAX]) {
    uint8_t octets[TM_SPKI_MAX];
    struct buf spki = BUF_ON(octets);
    struct bytes san;
    bool any = d->config.any_subject;
    struct tm_expected expected = {
        .device_id = any ? NULL : d->config.device_id, .set = set, .wall_ms = tm_life_wall(d)};
    enum tm_err err = request_spki(d, &spki);
    expected.spki = buf_bytes(&spki);
    if (!err && d->journal.purpose == TM_PURPOSE_RENEW)
        err = current_names(d, &expected.subject, &san);
    if (!err)
        err = tm_verify_issued(d->crypto, &expected, certificates, ret, text);
    if (err)
        return err;
    struct bytes rest = certificates;
    struct der leaf;
    err = der_expect(&rest, DER_SEQUENCE, &leaf);
    if (err)
        return err;
    *chain = chain_room(d);
    buf_put(chain, leaf.whole);
    return append_path(set, leaf.whole, chain);
}

enum tm_err tm_obtain_answered(struct tm_device *d, const struct tm_answer *answer) {
    if (answer->result != TM_RESULT_OK)
        return unanswered(d, answer);
    struct bytes certificates;
    char text[TM_TEXT_MAX];
    if (est_certs_only_read(answer->body, &certificates))
        return discard(d, "the answer is no certs-only message (RFC 7030, 4.2.3)");
    struct buf anchors = main_room(d), chain;
    struct tm_certificate certificate = {0};
    enum tm_err err = read_anchors(d, &anchors);
    if (!err)
        err = judge(d, certificates, buf_bytes(&anchors), &certificate, &chain, text);
    if (err == TM_EDENIED)
        return discard(d, text);
    if (err == TM_ELIMIT)
        return discard(d, "the certificate and its path are too long for the storage");
    if (!err)
        err = store_next(d, buf_bytes(&chain), &certificate, answer);
    /* Failures count on until it is in use: one that is refused there is not replaced at once. */
    if (!err)
        d->denied = 0;
    return err;
}
