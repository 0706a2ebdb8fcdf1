/* SPDX-License-Identifier: Apache-2.0 */
/* May this checkpoint be cosigned? The answers are those of c2sp.org/tlog-witness. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "witness/witness.h"

/* A request, taken apart. */
struct request {
    struct audit_addition addition;
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    struct witness_log *log;
};

static unsigned say(struct buf *out, unsigned status, const char *text) {
    buf_put(out, bytes_str(text));
    buf_put_u8(out, '\n');
    return status;
}

static struct witness_log *log_named(const struct witness *witness, struct bytes origin) {
    for (size_t i = 0; i < witness->log_count; i++)
        if (bytes_equal(bytes_str(witness->logs[i].key.name), origin))
            return &witness->logs[i];
    return NULL;
}

/* 0: it is whole, and of a log that is watched, by its key. */
static unsigned read_request(const struct witness *witness, struct bytes body, struct request *r,
                             struct buf *out) {
    uint64_t time;
    if (audit_addition_parse(body, &r->addition) ||
        audit_note_parse(r->addition.checkpoint, &r->note) ||
        audit_checkpoint_parse(r->note.text, &r->checkpoint) || r->checkpoint.size > AUDIT_SIZE_MAX)
        return say(out, 400, "this is no old size, proof and checkpoint");
    r->log = log_named(witness, r->checkpoint.origin);
    if (!r->log)
        return say(out, 404, "this log is not watched here");
    if (audit_note_verify(&r->note, &r->log->key, &time))
        return say(out, 403, "the log's key has not signed this checkpoint");
    if (r->addition.old > r->checkpoint.size)
        return say(out, 400, "the old size is above the checkpoint's");
    return 0;
}

static unsigned say_size(struct buf *out, uint64_t size) {
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, size);
    return say(out, 409, text);
}

/* 0: it goes on from what was cosigned. */
static unsigned judge(const struct request *r, struct buf *out) {
    const struct witness_log *log = r->log;
    struct audit_hash empty, old_root = log->root;
    if (audit_sha256(NULL, 0, &empty))
        return say(out, 500, "no hash can be made");
    if (r->addition.old != log->size)
        return say_size(out, log->size);
    if (!r->checkpoint.size && !audit_hash_equal(&r->checkpoint.root, &empty))
        return say(out, 422, "a log of no leaves has another root");
    if (!log->note_n)
        old_root = empty;
    if (audit_consistency_verify(log->size, r->checkpoint.size, &old_root, &r->checkpoint.root,
                                 &r->addition.proof))
        return say(out, 422, "the proof does not show that the log only grew");
    return 0;
}

/* What the log's own key signed, and ours. */
static enum tm_err write_note(const struct request *r, struct bytes line, struct buf *out) {
    struct bytes rest = r->note.signatures;
    struct audit_signature signature;
    buf_put(out, r->note.text);
    buf_put_u8(out, '\n');
    while (!audit_signature_next(&rest, &signature))
        if (audit_signature_is_by(&signature, &r->log->key))
            buf_put(out, signature.line);
    buf_put(out, line);
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err cosign(const struct witness *witness, const struct request *r, uint64_t now_s,
                          struct buf *line) {
    uint8_t memory[AUDIT_COSIGNED_MAX], signature[AUDIT_ED25519_SIZE];
    struct buf message = BUF_ON(memory);
    enum tm_err err = audit_cosigned_put(&message, now_s, r->note.text);
    if (!err)
        err = audit_ed25519_sign(witness->seed, buf_bytes(&message), signature);
    return err ? err : audit_signature_put(line, &witness->key, now_s, signature);
}

/* Durable before anybody gets the cosignature. */
static enum tm_err remember(struct witness *witness, const struct request *r, struct bytes line) {
    struct witness_log *log = r->log;
    AUTO_MEM struct witness_log *before = malloc(sizeof *before);
    if (!before)
        return TM_ENOMEM;
    *before = *log;
    struct buf note = BUF_ON(log->note);
    enum tm_err err = write_note(r, line, &note);
    log->note_n = note.n;
    log->size = r->checkpoint.size;
    log->root = r->checkpoint.root;
    if (!err)
        err = witness_state_save(witness);
    if (err)
        *log = *before;
    return err;
}

unsigned witness_add_checkpoint(struct witness *witness, struct bytes body, uint64_t now_s,
                                struct buf *out) {
    struct request r;
    uint8_t memory[AUDIT_SIGNATURE_LINE_MAX];
    struct buf line = BUF_ON(memory);
    unsigned status = read_request(witness, body, &r, out);
    if (!status)
        status = judge(&r, out);
    if (status)
        return status;
    if (cosign(witness, &r, now_s, &line) || remember(witness, &r, buf_bytes(&line)))
        return say(out, 500, "it could not be made durable");
    buf_put(out, buf_bytes(&line));
    return 200;
}

const struct witness_log *witness_log_hashed(const struct witness *witness, const char *hash) {
    for (size_t i = 0; i < witness->log_count; i++) {
        const struct bytes origin = bytes_str(witness->logs[i].key.name);
        struct audit_hash own;
        char text[2 * AUDIT_HASH_SIZE + 1];
        if (!audit_sha256(&origin, 1, &own) &&
            !hex_encode(BYTES_OF(own.octets), text, sizeof text) && strcmp(text, hash) == 0)
            return witness->logs[i].note_n ? &witness->logs[i] : NULL;
    }
    return NULL;
}
