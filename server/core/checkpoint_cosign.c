/* SPDX-License-Identifier: Apache-2.0 */
/* What witnesses say: see checkpoint.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "server/core/alarm.h"
#include "server/core/checkpoint_internal.h"

/* The index of the witness whose key this is; the count: of none. */
static size_t witness_of(const struct core_audit *audit, const struct audit_signature *signature) {
    size_t i = 0;
    while (i < audit->witness_count && !audit_signature_is_by(signature, &audit->witnesses[i]))
        i++;
    return i;
}

/* ---- a note with all that is known ---- */

/* Signatures of the note, of the log and of witnesses, that `out` has not. */
static enum tm_err add_lines(const struct core_audit *audit, struct bytes signatures, bool *has,
                             struct buf *out) {
    struct audit_signature signature;
    while (!audit_signature_next(&signatures, &signature)) {
        size_t i = witness_of(audit, &signature);
        bool log = audit_signature_is_by(&signature, &audit->key);
        if (log)
            i = audit->witness_count;
        else if (i == audit->witness_count)
            continue;
        if (!has[i])
            buf_put(out, signature.line);
        has[i] = true;
    }
    return out->full ? TM_ELIMIT : TM_OK;
}

/* Cosignatures that came before are of the same text, or of an older one and not wanted. */
static enum tm_err merge_note(struct core_checkpoint *c, const struct audit_note *note,
                              const struct audit_checkpoint *checkpoint) {
    struct checkpoint_kept *to = &c->brought.cosigned;
    const struct checkpoint_kept *old = &c->cosigned;
    struct audit_note before;
    bool has[CORE_WITNESSES_MAX + 1] = {false};
    struct buf out = BUF_ON(to->memory);
    buf_put(&out, note->text);
    buf_put_u8(&out, '\n');
    enum tm_err err = add_lines(c->config.audit, note->signatures, has, &out);
    if (!err && old->row.version && !audit_note_parse(old->row.note, &before) &&
        bytes_equal(before.text, note->text))
        err = add_lines(c->config.audit, before.signatures, has, &out);
    to->row = (struct ca_checkpoint){.version = old->row.version + 1,
                                     .name = CA_CHECKPOINT_COSIGNED,
                                     .size = checkpoint->size,
                                     .time_ms = c->config.now_ms(),
                                     .note = buf_bytes(&out)};
    memcpy(to->row.root, checkpoint->root.octets, CA_HASH_SIZE);
    return err;
}

/* ---- storing ---- */

static void keep_brought(struct core_checkpoint *c) {
    struct checkpoint_brought *b = &c->brought;
    for (size_t i = 0; i < b->count; i++)
        for (size_t w = 0; w < c->config.audit->witness_count; w++)
            if (strcmp(c->seen[w].witness, b->rows[i].witness) == 0) {
                c->seen[w] = b->rows[i];
                c->seen[w].line = (struct bytes){0};
            }
    if (b->cosigned.row.version) {
        c->cosigned = b->cosigned;
        c->cosigned.row.note.p = c->cosigned.memory;
    }
}

static void stored(struct ca_batch *batch, enum tm_err result) {
    struct core_checkpoint *c = batch->arg;
    struct checkpoint_brought *b = &c->brought;
    if (result)
        log_error("a cosignature was not stored: %s", tm_err_name(result));
    else
        keep_brought(c);
    b->busy = false;
    b->done(b->arg, result, result ? "the store did not take the cosignature" : "");
}

static void submit(struct core_checkpoint *c) {
    struct checkpoint_brought *b = &c->brought;
    struct ca_batch *batch = &b->batch;
    *batch = (struct ca_batch){.done = stored, .arg = c};
    for (size_t i = 0; i < b->count; i++)
        batch->changes[batch->count++] =
            (struct ca_change){.kind = CA_PUT_ROW, .u.row = {CA_TABLE_COSIGNATURE, &b->rows[i]}};
    if (b->cosigned.row.version)
        batch->changes[batch->count++] = (struct ca_change){
            .kind = CA_PUT_ROW, .u.row = {CA_TABLE_CHECKPOINT, &b->cosigned.row}};
    b->busy = true;
    enum tm_err err = c->config.store->ops->submit(c->config.store, batch);
    if (err)
        stored(batch, err);
}

/* ---- what is brought ---- */

static void take_line(struct core_checkpoint *c, size_t witness,
                      const struct audit_checkpoint *checkpoint,
                      const struct audit_signature *signature, uint64_t time) {
    struct checkpoint_brought *b = &c->brought;
    const struct ca_cosignature *old = &c->seen[witness];
    struct ca_cosignature *row = &b->rows[b->count];
    if (old->version && old->size > checkpoint->size)
        return;
    struct buf line = BUF_ON(b->lines[b->count]);
    *row = (struct ca_cosignature){
        .version = old->version + 1, .size = checkpoint->size, .time_ms = (int64_t)(time * 1000)};
    TEXT_SET(row->witness, c->config.audit->witnesses[witness].name);
    memcpy(row->root, checkpoint->root.octets, CA_HASH_SIZE);
    buf_put(&line, signature->line);
    row->line = buf_bytes(&line);
    if (!line.full)
        b->count++;
}

/* Every cosignature of a witness that is known must verify. TM_ENOTFOUND: there is none. */
static enum tm_err take_lines(struct core_checkpoint *c, const struct audit_note *note,
                              const struct audit_checkpoint *checkpoint) {
    const struct core_audit *audit = c->config.audit;
    struct bytes rest = note->signatures;
    struct audit_signature signature;
    bool has[CORE_WITNESSES_MAX] = {false};
    enum tm_err found = TM_ENOTFOUND;
    c->brought.count = 0;
    while (!audit_signature_next(&rest, &signature)) {
        uint64_t time = 0;
        size_t i = witness_of(audit, &signature);
        if (i == audit->witness_count)
            continue;
        enum tm_err err =
            audit_signature_verify(&signature, &audit->witnesses[i], note->text, &time);
        if (err)
            return err;
        if (!has[i])
            take_line(c, i, checkpoint, &signature, time);
        has[i] = true;
        found = TM_OK;
    }
    return found;
}

static enum tm_err take(struct core_checkpoint *c, struct bytes octets,
                        char text[IPC_TEXT_MAX + 1]) {
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    c->brought.cosigned.row.version = 0;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "it is no checkpoint that this log has signed");
    if (audit_checkpoint_open(octets, &c->config.audit->key, &note, &checkpoint))
        return TM_EPARSE;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "it has no cosignature of a witness of the configuration, or one that does not "
                   "verify");
    enum tm_err err = take_lines(c, &note, &checkpoint);
    if (err)
        return err;
    err = checkpoint_judge(c, checkpoint.size, checkpoint.root.octets, "a witness", text);
    if (err == TM_EDENIED)
        core_alarm_raise(c->config.alarm, text);
    else if (!err) /* what was accepted is no alarm any more, and still no part of this log */
        err = checkpoint_continues(c, checkpoint.size, checkpoint.root.octets, "a witness", text);
    if (err)
        return err;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "the checkpoint with its cosignatures is too long");
    return checkpoint.size < c->cosigned.row.size ? TM_OK : merge_note(c, &note, &checkpoint);
}

void core_checkpoint_cosign(struct core_checkpoint *c, struct bytes note, core_cosigned_fn *done,
                            void *arg) {
    char text[IPC_TEXT_MAX + 1] = "";
    if (c->brought.busy) {
        done(arg, TM_EAGAIN, "another cosignature is being stored; bring it again");
        return;
    }
    c->brought.done = done;
    c->brought.arg = arg;
    enum tm_err err = take(c, note, text);
    if (err)
        done(arg, err, text);
    else if (c->brought.count || c->brought.cosigned.row.version)
        submit(c);
    else
        done(arg, TM_OK, "");
}
