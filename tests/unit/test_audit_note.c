/* SPDX-License-Identifier: Apache-2.0 */
/* Signed notes, checkpoints, cosignatures and proofs as text, with the specifications' examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "audit/proof.h"

/* c2sp.org/signed-note, "Example". */
#define EXAMPLE_VKEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define EXAMPLE_TEXT "This is an example message.\n"
#define EXAMPLE_LINE                                                                               \
    "\xe2\x80\x94 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsY" \
    "jOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
/* c2sp.org/tlog-cosignature, its example; the keys are not given there. */
#define BEHIND                                                                                     \
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define COSIGNED                                                                                   \
    BEHIND                                                                                         \
    "\n\xe2\x80\x94 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDe"       \
    "OoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"                                          \
    "\xe2\x80\x94 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5"        \
    "OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"

static const uint8_t log_seed[AUDIT_ED25519_SEED_SIZE] = {1, 2, 3};
static const uint8_t witness_seed[AUDIT_ED25519_SEED_SIZE] = {4, 5, 6};

static struct audit_key key_of(const uint8_t *seed, enum audit_key_type type, const char *name) {
    uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE];
    struct audit_key key;
    assert_int_equal(audit_ed25519_public(seed, public_key), TM_OK);
    assert_int_equal(audit_key_make(type, bytes_str(name), public_key, &key), TM_OK);
    return key;
}

static void the_example_of_signed_notes(void **state) {
    struct audit_key key;
    struct audit_note note;
    uint64_t time = 1;
    char text[AUDIT_VKEY_MAX];
    (void)state;
    assert_int_equal(audit_vkey_parse(bytes_str(EXAMPLE_VKEY), &key), TM_OK);
    assert_string_equal(key.name, "example.com/foo");
    assert_int_equal(key.id, 0x530d903a);
    audit_vkey_write(&key, text);
    assert_string_equal(text, EXAMPLE_VKEY);
    assert_int_equal(audit_note_parse(bytes_str(EXAMPLE_TEXT "\n" EXAMPLE_LINE), &note), TM_OK);
    assert_true(bytes_equal(note.text, bytes_str(EXAMPLE_TEXT)));
    assert_int_equal(audit_note_verify(&note, &key, &time), TM_OK);
    assert_int_equal(time, 0);
    assert_int_equal(
        audit_note_parse(bytes_str("This is an Example message.\n\n" EXAMPLE_LINE), &note), TM_OK);
    assert_int_equal(audit_note_verify(&note, &key, &time), TM_ECRYPTO);
}

static void the_example_of_cosignatures(void **state) {
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    uint8_t memory[AUDIT_CHECKPOINT_MAX];
    struct buf text = BUF_ON(memory);
    (void)state;
    assert_int_equal(audit_note_parse(bytes_str(COSIGNED), &note), TM_OK);
    assert_int_equal(note.count, 2);
    assert_int_equal(audit_checkpoint_parse(note.text, &checkpoint), TM_OK);
    assert_int_equal(checkpoint.size, 20852163);
    assert_true(bytes_equal(checkpoint.origin, bytes_str("example.com/behind-the-sofa")));
    assert_int_equal(audit_checkpoint_put(&text, &checkpoint), TM_OK);
    assert_true(bytes_equal(buf_bytes(&text), bytes_str(BEHIND)));
    struct bytes rest = note.signatures;
    struct audit_signature signature;
    assert_int_equal(audit_signature_next(&rest, &signature), TM_OK);
    assert_int_equal(signature.key_id, 0x033de0ae);
    assert_int_equal(signature.n, 64);
    assert_int_equal(audit_signature_next(&rest, &signature), TM_OK);
    assert_true(bytes_equal(signature.name, bytes_str("witness.example.com/w1")));
    assert_int_equal(signature.n, 72);
    struct reader r = {BYTES_OF(signature.octets), 0, false};
    assert_int_equal(reader_be(&r, 8), 1679315147); /* the time that its message shows */
    assert_int_equal(audit_signature_next(&rest, &signature), TM_ENOTFOUND);
    uint8_t octets[AUDIT_COSIGNED_MAX];
    struct buf message = BUF_ON(octets);
    assert_int_equal(audit_cosigned_put(&message, 1679315147, note.text), TM_OK);
    assert_true(
        bytes_equal(buf_bytes(&message), bytes_str("cosignature/v1\ntime 1679315147\n" BEHIND)));
}

/* A checkpoint of a log here, cosigned at 1234567890. */
static struct bytes make_note(struct buf *out) {
    struct audit_key log = key_of(log_seed, AUDIT_KEY_LOG, "log.example/1");
    struct audit_key witness = key_of(witness_seed, AUDIT_KEY_WITNESS, "witness.example/w");
    struct audit_checkpoint checkpoint = {.origin = bytes_str(log.name), .size = 5};
    uint8_t signature[AUDIT_ED25519_SIZE], memory[AUDIT_COSIGNED_MAX];
    struct buf message = BUF_ON(memory);
    memset(checkpoint.root.octets, 7, sizeof checkpoint.root.octets);
    assert_int_equal(audit_checkpoint_put(out, &checkpoint), TM_OK);
    struct bytes text = buf_bytes(out);
    assert_int_equal(audit_ed25519_sign(log_seed, text, signature), TM_OK);
    assert_int_equal(audit_cosigned_put(&message, 1234567890, text), TM_OK);
    buf_put_u8(out, '\n');
    assert_int_equal(audit_signature_put(out, &log, 0, signature), TM_OK);
    assert_int_equal(audit_ed25519_sign(witness_seed, buf_bytes(&message), signature), TM_OK);
    assert_int_equal(audit_signature_put(out, &witness, 1234567890, signature), TM_OK);
    return buf_bytes(out);
}

static void signatures_count_by_name_id_and_octets(void **state) {
    struct audit_key log = key_of(log_seed, AUDIT_KEY_LOG, "log.example/1");
    struct audit_key other_log = key_of(log_seed, AUDIT_KEY_LOG, "log.example/2");
    struct audit_key witness = key_of(witness_seed, AUDIT_KEY_WITNESS, "witness.example/w");
    struct audit_key as_log = key_of(witness_seed, AUDIT_KEY_LOG, "witness.example/w");
    uint8_t memory[AUDIT_NOTE_MAX];
    struct buf out = BUF_ON(memory);
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    uint64_t time = 0;
    (void)state;
    struct bytes octets = make_note(&out);
    assert_int_equal(audit_checkpoint_open(octets, &log, &note, &checkpoint), TM_OK);
    assert_int_equal(checkpoint.size, 5);
    assert_int_equal(audit_note_verify(&note, &witness, &time), TM_OK);
    assert_int_equal(time, 1234567890);
    assert_int_equal(audit_note_verify(&note, &as_log, &time), TM_ENOTFOUND);
    assert_int_equal(audit_checkpoint_open(octets, &other_log, &note, &checkpoint), TM_EDENIED);
    /* A key that has the ID and name, and is not the one that signed. */
    log.public_key[0] ^= 1;
    assert_int_not_equal(audit_checkpoint_open(octets, &log, &note, &checkpoint), TM_OK);
    log.public_key[0] ^= 1;
    witness.id ^= 1;
    assert_int_equal(audit_note_verify(&note, &witness, &time), TM_ENOTFOUND);
    /* Another size under the same signature. */
    *(char *)strchr((char *)memory, '5') = '6';
    assert_int_equal(audit_checkpoint_open(octets, &log, &note, &checkpoint), TM_ECRYPTO);
}

static void what_is_no_note_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        "\n",
        "no signature\n",
        "no signature\n\n",
        "no gap\n" EXAMPLE_LINE,
        "\n" EXAMPLE_LINE,
        "a\rb\n\n" EXAMPLE_LINE,
        "a\tb\n\n" EXAMPLE_LINE,
        "not UTF-8 \xc3(\n\n" EXAMPLE_LINE,
        "text\n\n- example.com/foo Uw2QOkn8srU=\n",
        "text\n\n\xe2\x80\x94 nameonly\n",
        "text\n\n\xe2\x80\x94  AAAAAAA=\n",
        "text\n\n\xe2\x80\x94 a+b AAAAAAA=\n",
        "text\n\n\xe2\x80\x94 a AAAA\n",
        "text\n\n\xe2\x80\x94 a AAAAAAA\n",
        "text\n\n\xe2\x80\x94 a AAAAAAB=\n",
        "text\n\n\xe2\x80\x94 a AAAAAAA=",
        "text\n\n\xe2\x80\x94 a AAAA AAA=\n",
        "text\n\n\xe2\x80\x94 a AAA\xc3\xa4\n",
        "text\n\n" EXAMPLE_LINE "\n",
        "text\n\n" EXAMPLE_LINE "more\n",
    };
    static char many[AUDIT_NOTE_MAX + 64] = "text\n\n";
    struct audit_note note;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (audit_note_parse(bytes_str(bad[i]), &note) != TM_EPARSE)
            fail_msg("taken: %s", bad[i]);
    for (size_t i = 0; i < AUDIT_SIGNATURES_MAX; i++)
        (void)strcat(many, "\xe2\x80\x94 a AAAAAAA=\n");
    assert_int_equal(audit_note_parse(bytes_str(many), &note), TM_OK);
    assert_int_equal(note.count, AUDIT_SIGNATURES_MAX);
    (void)strcat(many, "\xe2\x80\x94 a AAAAAAA=\n");
    assert_int_equal(audit_note_parse(bytes_str(many), &note), TM_ELIMIT);
    memset(many, 'x', sizeof many - 1);
    assert_int_equal(audit_note_parse(bytes_str(many), &note), TM_ELIMIT);
}

static void long_signatures_of_others_are_left_alone(void **state) {
    static char octets[8192];
    struct audit_note note;
    struct audit_key key;
    uint64_t time;
    (void)state;
    int n = snprintf(octets, sizeof octets, "%s\n%s\xe2\x80\x94 pq.example ", EXAMPLE_TEXT,
                     EXAMPLE_LINE);
    memset(octets + n, 'A', 6400); /* ML-DSA's have some 5 kB */
    (void)strcpy(octets + n + 6400, "\n");
    assert_int_equal(audit_note_parse(bytes_str(octets), &note), TM_OK);
    assert_int_equal(note.count, 2);
    assert_int_equal(audit_vkey_parse(bytes_str(EXAMPLE_VKEY), &key), TM_OK);
    assert_int_equal(audit_note_verify(&note, &key, &time), TM_OK);
}

static void what_is_no_checkpoint_is_refused(void **state) {
    static const char root[] = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    static const char *const heads[] = {"\n5\n",   "a\n05\n", "a\n\n",
                                        "a\n-1\n", "a\n5 \n", "a\n18446744073709551616\n",
                                        "a\n+5\n", "a\n5"};
    struct audit_checkpoint checkpoint;
    char text[256];
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        (void)snprintf(text, sizeof text, "%s%s", heads[i], root);
        if (audit_checkpoint_parse(bytes_str(text), &checkpoint) != TM_EPARSE)
            fail_msg("taken: %s", text);
    }
    assert_int_equal(audit_checkpoint_parse(bytes_str("a\n5\nAAAA\n"), &checkpoint), TM_EPARSE);
    (void)snprintf(text, sizeof text, "a\n18446744073709551615\n%smore\n", root);
    assert_int_equal(audit_checkpoint_parse(bytes_str(text), &checkpoint), TM_OK);
    assert_int_equal(checkpoint.size, UINT64_MAX);
    assert_true(bytes_equal(checkpoint.extensions, bytes_str("more\n")));
    (void)snprintf(text, sizeof text, "a\n0\n%s\nmore\n", root);
    assert_int_equal(audit_checkpoint_parse(bytes_str(text), &checkpoint), TM_EPARSE);
}

static void keys_are_told_apart(void **state) {
    static const char *const bad[] = {
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "",
    };
    struct audit_key key;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (audit_vkey_parse(bytes_str(bad[i]), &key) != TM_EPARSE)
            fail_msg("taken: %s", bad[i]);
}

static void proofs_go_through_text(void **state) {
    static uint8_t text[AUDIT_PROOF_TEXT_MAX];
    static const char leaf[] = "the leaf";
    uint8_t note[AUDIT_NOTE_MAX], memory[AUDIT_LEAF_MAX + 3];
    struct buf note_out = BUF_ON(note), out = BUF_ON(text), leaf_out = BUF_ON(memory);
    struct audit_receipt receipt = {.leaf = BYTES_OF(leaf), .index = 3}, back;
    (void)state;
    receipt.checkpoint = make_note(&note_out);
    receipt.proof.count = 3;
    receipt.proof.hashes[1].octets[4] = 9;
    assert_int_equal(audit_receipt_put(&out, &receipt), TM_OK);
    assert_int_equal(audit_receipt_parse(buf_bytes(&out), &leaf_out, &back), TM_OK);
    assert_true(bytes_equal(back.leaf, receipt.leaf));
    assert_int_equal(back.index, 3);
    assert_int_equal(back.proof.count, 3);
    assert_memory_equal(back.proof.hashes, receipt.proof.hashes, 3 * sizeof back.proof.hashes[0]);
    assert_true(bytes_equal(back.checkpoint, receipt.checkpoint));
    assert_int_equal(audit_receipt_verify(&back), TM_EDENIED); /* hashes of nothing */
    struct audit_addition addition = {.old = 4, .proof = receipt.proof}, again;
    addition.checkpoint = receipt.checkpoint;
    out.n = 0;
    assert_int_equal(audit_addition_put(&out, &addition), TM_OK);
    assert_int_equal(audit_addition_parse(buf_bytes(&out), &again), TM_OK);
    assert_int_equal(again.old, 4);
    assert_int_equal(again.proof.count, 3);
    assert_true(bytes_equal(again.checkpoint, receipt.checkpoint));
    for (size_t n = 0; n < out.n - receipt.checkpoint.n; n++)
        assert_int_equal(audit_addition_parse((struct bytes){text, n}, &again), TM_EPARSE);
}

static void a_receipt_proves_its_leaf(void **state) {
    static const char *const leaves[] = {"one", "two"};
    struct audit_hash hashes[2], root;
    uint8_t memory[AUDIT_CHECKPOINT_MAX];
    struct buf note = BUF_ON(memory);
    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(audit_leaf_hash(bytes_str(leaves[i]), &hashes[i]), TM_OK);
    assert_int_equal(audit_node_hash(&hashes[0], &hashes[1], &root), TM_OK);
    const struct audit_checkpoint checkpoint = {.origin = bytes_str("a"), .size = 2, .root = root};
    assert_int_equal(audit_checkpoint_put(&note, &checkpoint), TM_OK);
    buf_put(&note, bytes_str("\n" EXAMPLE_LINE));
    struct audit_receipt receipt = {.leaf = bytes_str("one"), .checkpoint = buf_bytes(&note)};
    receipt.proof = (struct audit_proof){.count = 1, .hashes = {hashes[1]}};
    assert_int_equal(audit_receipt_verify(&receipt), TM_OK);
    receipt.leaf = bytes_str("One");
    assert_int_equal(audit_receipt_verify(&receipt), TM_EDENIED);
    receipt.leaf = bytes_str("one");
    receipt.index = 1;
    assert_int_equal(audit_receipt_verify(&receipt), TM_EDENIED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_signed_notes),
        cmocka_unit_test(the_example_of_cosignatures),
        cmocka_unit_test(signatures_count_by_name_id_and_octets),
        cmocka_unit_test(what_is_no_note_is_refused),
        cmocka_unit_test(long_signatures_of_others_are_left_alone),
        cmocka_unit_test(what_is_no_checkpoint_is_refused),
        cmocka_unit_test(keys_are_told_apart),
        cmocka_unit_test(proofs_go_through_text),
        cmocka_unit_test(a_receipt_proves_its_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
