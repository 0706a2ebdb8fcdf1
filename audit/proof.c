/* SPDX-License-Identifier: Apache-2.0 */
/* See audit/proof.h. */
#include "audit/proof.h"

#include <stdio.h>
#include <string.h>

static const char receipt_line[] = "c2sp.org/tlog-proof@v1";

/* The rest of a line that begins with a word. */
static bool take_word(struct bytes line, const char *word, struct bytes *ret) {
    size_t n = strlen(word);
    if (line.n < n || memcmp(line.p, word, n) != 0)
        return false;
    *ret = (struct bytes){line.p + n, line.n - n};
    return true;
}

static void put_number(struct buf *out, const char *word, uint64_t number) {
    char line[48];
    (void)snprintf(line, sizeof line, "%s%llu\n", word, (unsigned long long)number);
    buf_put(out, bytes_str(line));
}

/* The hashes, an empty line, the checkpoint. */
static enum tm_err put_tail(struct buf *out, const struct audit_proof *proof,
                            struct bytes checkpoint) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < proof->count && !err; i++) {
        err = audit_base64_put(out, BYTES_OF(proof->hashes[i].octets));
        buf_put_u8(out, '\n');
    }
    buf_put_u8(out, '\n');
    buf_put(out, checkpoint);
    return err || out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err read_tail(struct bytes rest, struct audit_proof *ret_proof,
                             struct bytes *ret_checkpoint) {
    struct bytes line;
    struct audit_proof proof = {0};
    while (audit_line(&rest, &line)) {
        if (!line.n) {
            *ret_proof = proof;
            *ret_checkpoint = rest;
            return TM_OK;
        }
        if (proof.count == AUDIT_PROOF_MAX || audit_hash_read(line, &proof.hashes[proof.count++]))
            return TM_EPARSE;
    }
    return TM_EPARSE;
}

enum tm_err audit_receipt_put(struct buf *out, const struct audit_receipt *receipt) {
    buf_put(out, bytes_str(receipt_line));
    buf_put(out, bytes_str("\nextra "));
    enum tm_err err = audit_base64_put(out, receipt->leaf);
    buf_put_u8(out, '\n');
    put_number(out, "index ", receipt->index);
    return err ? err : put_tail(out, &receipt->proof, receipt->checkpoint);
}

enum tm_err audit_receipt_parse(struct bytes text, struct buf *memory, struct audit_receipt *ret) {
    struct audit_receipt receipt;
    struct bytes first, line, extra, index;
    size_t at = memory->n;
    if (!audit_line(&text, &first) || !bytes_equal(first, bytes_str(receipt_line)) ||
        !audit_line(&text, &line) || !take_word(line, "extra ", &extra) ||
        !audit_line(&text, &line) || !take_word(line, "index ", &index) ||
        audit_decimal(index, &receipt.index) ||
        read_tail(text, &receipt.proof, &receipt.checkpoint))
        return TM_EPARSE;
    if (extra.n / 4 * 3 > AUDIT_LEAF_MAX + 2)
        return TM_ELIMIT;
    enum tm_err err = audit_base64_read(extra, memory);
    if (err)
        return err;
    receipt.leaf = (struct bytes){memory->p + at, memory->n - at};
    *ret = receipt;
    return TM_OK;
}

enum tm_err audit_receipt_verify(const struct audit_receipt *receipt) {
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    struct audit_hash leaf;
    if (audit_note_parse(receipt->checkpoint, &note) ||
        audit_checkpoint_parse(note.text, &checkpoint))
        return TM_EPARSE;
    enum tm_err err = audit_leaf_hash(receipt->leaf, &leaf);
    return err ? err
               : audit_inclusion_verify(receipt->index, checkpoint.size, &leaf, &receipt->proof,
                                        &checkpoint.root);
}

enum tm_err audit_addition_put(struct buf *out, const struct audit_addition *addition) {
    put_number(out, "old ", addition->old);
    return put_tail(out, &addition->proof, addition->checkpoint);
}

enum tm_err audit_addition_parse(struct bytes text, struct audit_addition *ret) {
    struct audit_addition addition;
    struct bytes line, old;
    if (!audit_line(&text, &line) || !take_word(line, "old ", &old) ||
        audit_decimal(old, &addition.old) || read_tail(text, &addition.proof, &addition.checkpoint))
        return TM_EPARSE;
    *ret = addition;
    return TM_OK;
}
