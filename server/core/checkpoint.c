/* SPDX-License-Identifier: Apache-2.0 */
/* Signing checkpoints: see checkpoint.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/core/alarm.h"
#include "server/core/checkpoint_internal.h"
#include "server/core/restored.h"

#define RETRY_MS 1000

/* ---- stored ---- */

static void end(struct core_checkpoint *c, int64_t again_ms) {
    c->busy = false;
    c->next_ms = clock_mono_ms() + again_ms;
}

/* Whether the memory moved along or not, the note is in it from its start. */
static void keep(struct checkpoint_kept *to, const struct checkpoint_kept *from) {
    *to = *from;
    to->row.note.p = to->memory;
}

static void stored(struct ca_batch *batch, enum tm_err result) {
    struct core_checkpoint *c = batch->arg;
    if (result)
        log_error("a checkpoint of the audit log was not stored: %s", tm_err_name(result));
    else
        keep(&c->signed_, &c->next);
    end(c, result ? RETRY_MS : c->config.conf->interval);
}

static void store_it(struct core_checkpoint *c) {
    c->batch = (struct ca_batch){
        .count = 1,
        .changes = {{.kind = CA_PUT_ROW, .u.row = {CA_TABLE_CHECKPOINT, &c->next.row}}},
        .done = stored,
        .arg = c};
    enum tm_err err = c->config.store->ops->submit(c->config.store, &c->batch);
    if (err)
        stored(&c->batch, err);
}

/* ---- signed ---- */

/* The note of the text and its signature. */
static enum tm_err make_note(struct core_checkpoint *c, struct bytes signature) {
    const struct audit_key *key = &c->config.audit->key;
    struct bytes text = {c->text, c->text_n};
    struct buf out = BUF_ON(c->next.memory);
    if (signature.n != AUDIT_ED25519_SIZE)
        return TM_ECRYPTO;
    enum tm_err err = audit_ed25519_verify(key->public_key, text, signature.p);
    if (err)
        return err;
    buf_put(&out, text);
    buf_put_u8(&out, '\n');
    err = audit_signature_put(&out, key, 0, signature.p);
    c->next.row.note = buf_bytes(&out);
    return err;
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct core_checkpoint *c = ticket->arg;
    if (status != IPC_SIGN_OK) {
        log_error("a checkpoint of the audit log was not signed%s",
                  status == IPC_SIGN_REFUSED ? ": the signer has signed one that it contradicts"
                                             : "");
        end(c, status == IPC_SIGN_REFUSED ? c->config.conf->interval : RETRY_MS);
    } else if (make_note(c, signature)) {
        log_error("the signature of a checkpoint does not verify; the signer is restarted");
        c->config.signer->ops->distrust(c->config.signer, ticket);
        end(c, RETRY_MS);
    } else {
        store_it(c);
    }
}

static enum tm_err ask(struct core_checkpoint *c, const struct ca_audit_head *head) {
    struct audit_checkpoint checkpoint = {.origin = bytes_str(c->config.audit->key.name),
                                          .size = head->size};
    struct buf text = BUF_ON(c->text);
    memcpy(checkpoint.root.octets, head->root, sizeof checkpoint.root.octets);
    enum tm_err err = audit_checkpoint_put(&text, &checkpoint);
    if (err)
        return err;
    c->text_n = text.n;
    c->next.row = (struct ca_checkpoint){.version = c->signed_.row.version + 1,
                                         .name = CA_CHECKPOINT_SIGNED,
                                         .size = head->size,
                                         .time_ms = c->config.now_ms()};
    memcpy(c->next.row.root, head->root, CA_HASH_SIZE);
    c->ticket = (struct ca_ticket){.kind = CA_TICKET_CHECKPOINT,
                                   .issuer = "",
                                   .content = buf_bytes(&text),
                                   .content_fd = -1,
                                   .done = signed_done,
                                   .arg = c};
    c->busy = true;
    err = c->config.signer->ops->sign(c->config.signer, &c->ticket);
    c->busy = !err;
    return err;
}

/* Nothing is signed that does not go on from what was signed last. */
static void sign_next(struct core_checkpoint *c) {
    struct ca_store *store = c->config.store;
    struct ca_audit_head head;
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = store->ops->audit_head(store, &head);
    if (!err && head.size == c->signed_.row.size)
        return;
    if (!err && c->signed_.row.version)
        err = checkpoint_judge(c, c->signed_.row.size, c->signed_.row.root, "its own checkpoint",
                               text);
    if (err == TM_EDENIED)
        core_alarm_raise(c->config.alarm, text);
    else if (!err)
        err = ask(c, &head);
    if (err && err != TM_EDENIED && err != TM_EFULL)
        log_error("no checkpoint of the audit log can be made: %s", tm_err_name(err));
    if (err)
        end(c, RETRY_MS);
}

void core_checkpoint_tick(struct core_checkpoint *c) {
    if (!c)
        return;
    if (c->alarm[0])
        core_alarm_raise(c->config.alarm, c->alarm);
    c->alarm[0] = 0;
    bool freed = c->held && !c->config.restored->held;
    c->held = c->config.restored->held;
    if (freed && checkpoint_look(c))
        log_error("the checkpoints of the audit log cannot be read");
    if (!c->held && !c->busy && clock_mono_ms() >= c->next_ms)
        sign_next(c);
}

void core_checkpoint_hurry(struct core_checkpoint *c) {
    c->next_ms = 0;
}

/* ---- the whole ---- */

enum tm_err core_checkpoint_new(const struct core_checkpoint_config *config,
                                struct core_checkpoint **ret_checkpoint) {
    struct core_checkpoint *c = calloc(1, sizeof *c);
    if (!c)
        return TM_ENOMEM;
    c->config = *config;
    enum tm_err err = checkpoint_look(c);
    if (err)
        free(c);
    else
        *ret_checkpoint = c;
    return err;
}

void core_checkpoint_free(struct core_checkpoint *checkpoint) {
    free(checkpoint);
}

struct bytes core_checkpoint_signed(const struct core_checkpoint *c) {
    return c->signed_.row.version ? c->signed_.row.note : (struct bytes){0};
}

struct bytes core_checkpoint_cosigned(const struct core_checkpoint *c) {
    return c->cosigned.row.version ? c->cosigned.row.note : (struct bytes){0};
}

struct core_checkpoint_mark core_checkpoint_own(const struct core_checkpoint *c) {
    return (struct core_checkpoint_mark){c->signed_.row.size, c->signed_.row.time_ms};
}

struct core_checkpoint_mark core_checkpoint_seen(const struct core_checkpoint *c, size_t witness) {
    return (struct core_checkpoint_mark){c->seen[witness].size, c->seen[witness].time_ms};
}
