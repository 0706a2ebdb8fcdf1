/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes, checkpoints, verifier keys and proofs of any octets. The first octet chooses the reader;
 * what is read must be written as it was, since each of these has one form only.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void try_checkpoint(struct bytes text) {
    static uint8_t memory[AUDIT_NOTE_MAX];
    struct buf out = BUF_ON(memory);
    struct audit_checkpoint checkpoint;
    if (audit_checkpoint_parse(text, &checkpoint) || text.n >= sizeof memory)
        return;
    require(audit_checkpoint_put(&out, &checkpoint) == TM_OK);
    require(bytes_equal(buf_bytes(&out), text));
}

static void try_note(struct bytes octets) {
    struct audit_note note;
    struct audit_signature signature;
    size_t count = 0;
    if (audit_note_parse(octets, &note))
        return;
    require(note.text.n + 1 + note.signatures.n == octets.n);
    struct bytes rest = note.signatures;
    while (!audit_signature_next(&rest, &signature))
        count++;
    require(count == note.count && rest.n == 0);
    try_checkpoint(note.text);
}

static void try_vkey(struct bytes text) {
    struct audit_key key;
    char back[AUDIT_VKEY_MAX];
    if (audit_vkey_parse(text, &key))
        return;
    audit_vkey_write(&key, back);
    require(bytes_equal(bytes_str(back), text));
}

static void try_receipt(struct bytes text) {
    static uint8_t memory[AUDIT_LEAF_MAX + 3], again[AUDIT_PROOF_TEXT_MAX];
    struct buf leaf = BUF_ON(memory), out = BUF_ON(again);
    struct audit_receipt receipt;
    if (audit_receipt_parse(text, &leaf, &receipt))
        return;
    (void)!audit_receipt_verify(&receipt);
    if (text.n >= sizeof again)
        return;
    require(audit_receipt_put(&out, &receipt) == TM_OK);
    require(bytes_equal(buf_bytes(&out), text));
}

static void try_addition(struct bytes text) {
    static uint8_t again[AUDIT_PROOF_TEXT_MAX];
    struct buf out = BUF_ON(again);
    struct audit_addition addition;
    if (audit_addition_parse(text, &addition) || text.n >= sizeof again)
        return;
    require(audit_addition_put(&out, &addition) == TM_OK);
    require(bytes_equal(buf_bytes(&out), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(struct bytes) = {try_note, try_checkpoint, try_vkey, try_receipt,
                                                    try_addition};
    if (size)
        readers[data[0] % 5]((struct bytes){data + 1, size - 1});
    return 0;
}
