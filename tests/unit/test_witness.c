/* SPDX-License-Identifier: Apache-2.0 */
/* What a witness cosigns and what it refuses, with the statuses of c2sp.org/tlog-witness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/tree.h"
#include "witness/witness.h"

#define NOW 1234567890
#define LEAVES 40

static const uint8_t log_seed[AUDIT_ED25519_SEED_SIZE] = {1, 2, 3};
static const uint8_t other_seed[AUDIT_ED25519_SEED_SIZE] = {9};

struct fixture {
    char folder[64], key[96], state[96];
    struct witness witness;
    struct audit_hash leaves[2][LEAVES]; /* two histories, which part at leaf 10 */
    uint8_t request[AUDIT_PROOF_TEXT_MAX];
    uint8_t answer[AUDIT_SIGNATURE_LINE_MAX];
    size_t answer_n;
};

static struct audit_key log_key(const uint8_t *seed, const char *name) {
    uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE];
    struct audit_key key;
    assert_int_equal(audit_ed25519_public(seed, public_key), TM_OK);
    assert_int_equal(audit_key_make(AUDIT_KEY_LOG, bytes_str(name), public_key, &key), TM_OK);
    return key;
}

static void open_witness(struct fixture *f) {
    free(f->witness.logs);
    f->witness = (struct witness){.state = f->state, .logs = calloc(2, sizeof *f->witness.logs)};
    assert_non_null(f->witness.logs);
    f->witness.logs[0].key = log_key(log_seed, "log.example/1");
    f->witness.logs[1].key = log_key(other_seed, "log.example/2");
    f->witness.log_count = 2;
    assert_int_equal(witness_key_open(&f->witness, f->key, "witness.example/w"), TM_OK);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)strcpy(f->folder, "/tmp/touchmark-witness-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->key, sizeof f->key, "%s/key", f->folder);
    (void)snprintf(f->state, sizeof f->state, "%s/state", f->folder);
    for (size_t h = 0; h < 2; h++)
        for (size_t i = 0; i < LEAVES; i++) {
            const uint8_t octets[] = {(uint8_t)i, i < 10 ? 0 : (uint8_t)h};
            assert_int_equal(audit_leaf_hash(BYTES_OF(octets), &f->leaves[h][i]), TM_OK);
        }
    open_witness(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    (void)unlink(f->key);
    (void)unlink(f->state);
    (void)rmdir(f->folder);
    free(f->witness.logs);
    free(f);
    return 0;
}

static enum tm_err node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    const struct audit_hash *leaves = arg;
    if (!level) {
        *ret = leaves[index];
        return TM_OK;
    }
    struct audit_hash left, right;
    enum tm_err err = node(arg, level - 1, 2 * index, &left);
    if (!err)
        err = node(arg, level - 1, 2 * index + 1, &right);
    return err ? err : audit_node_hash(&left, &right, ret);
}

/* The signed checkpoint of a history. */
static void put_checkpoint(struct fixture *f, size_t history, uint64_t size, struct buf *out) {
    const struct audit_nodes nodes = {node, f->leaves[history]};
    const struct audit_key key = log_key(log_seed, "log.example/1");
    struct audit_checkpoint checkpoint = {.origin = bytes_str(key.name), .size = size};
    uint8_t signature[AUDIT_ED25519_SIZE];
    assert_int_equal(audit_root(&nodes, size, &checkpoint.root), TM_OK);
    assert_int_equal(audit_checkpoint_put(out, &checkpoint), TM_OK);
    assert_int_equal(audit_ed25519_sign(log_seed, buf_bytes(out), signature), TM_OK);
    buf_put_u8(out, '\n');
    assert_int_equal(audit_signature_put(out, &key, 0, signature), TM_OK);
}

static unsigned ask_octets(struct fixture *f, struct bytes request) {
    struct buf answer = BUF_ON(f->answer);
    unsigned status = witness_add_checkpoint(&f->witness, request, NOW, &answer);
    f->answer_n = answer.n;
    return status;
}

/* With the proof of a history from `old` on. */
static unsigned ask(struct fixture *f, size_t history, uint64_t old, uint64_t size) {
    const struct audit_nodes nodes = {node, f->leaves[history]};
    uint8_t memory[AUDIT_NOTE_MAX];
    struct buf note = BUF_ON(memory), request = BUF_ON(f->request);
    struct audit_addition addition = {.old = old};
    put_checkpoint(f, history, size, &note);
    addition.checkpoint = buf_bytes(&note);
    if (old <= size)
        assert_int_equal(audit_consistency_make(&nodes, old, size, &addition.proof), TM_OK);
    assert_int_equal(audit_addition_put(&request, &addition), TM_OK);
    return ask_octets(f, buf_bytes(&request));
}

static bool answered(const struct fixture *f, const char *text) {
    return bytes_equal((struct bytes){f->answer, f->answer_n}, bytes_str(text));
}

/* The answer is a cosignature of the checkpoint of this size. */
static void assert_cosigned(struct fixture *f, size_t history, uint64_t size) {
    uint8_t memory[AUDIT_NOTE_MAX];
    struct buf out = BUF_ON(memory);
    struct audit_note note;
    uint64_t time = 0;
    put_checkpoint(f, history, size, &out);
    buf_put(&out, (struct bytes){f->answer, f->answer_n});
    assert_int_equal(audit_note_parse(buf_bytes(&out), &note), TM_OK);
    assert_int_equal(audit_note_verify(&note, &f->witness.key, &time), TM_OK);
    assert_int_equal(time, NOW);
}

static void a_log_that_grows_is_cosigned(void **state) {
    struct fixture *f = *state;
    uint64_t old = 0;
    const uint64_t sizes[] = {1, 2, 7, 7, 8, 33, 40};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(ask(f, 0, old, sizes[i]), 200);
        assert_cosigned(f, 0, sizes[i]);
        old = sizes[i];
    }
}

static void what_did_not_grow_is_refused(void **state) {
    struct fixture *f = *state;
    assert_int_equal(ask(f, 0, 0, 20), 200);
    assert_int_equal(ask(f, 0, 0, 30), 409);
    assert_true(answered(f, "20\n"));
    assert_int_equal(ask(f, 0, 15, 19), 409); /* rolled back */
    assert_int_equal(ask(f, 0, 19, 19), 409);
    assert_int_equal(ask(f, 0, 21, 30), 409);
    assert_int_equal(ask(f, 0, 21, 20), 400);
    assert_int_equal(ask(f, 1, 20, 20), 422); /* a fork */
    assert_int_equal(ask(f, 1, 20, 30), 422);
    assert_int_equal(ask(f, 0, 20, 21), 200);
}

static void a_request_must_be_whole(void **state) {
    struct fixture *f = *state;
    assert_int_equal(ask(f, 0, 0, 10), 200);
    assert_int_equal(ask(f, 0, 10, 17), 200);
    size_t n = 0;
    while (n < sizeof f->request && f->request[n])
        n++;
    for (size_t cut = 0; cut < n; cut += 3) {
        unsigned status = ask_octets(f, (struct bytes){f->request, cut});
        assert_true(status == 400 || status == 403 || status == 409);
    }
    assert_int_equal(ask_octets(f, bytes_str("old 0\n\nnot a note\n")), 400);
}

static void only_the_logs_own_key_counts(void **state) {
    struct fixture *f = *state;
    const struct audit_key key = log_key(other_seed, "log.example/3");
    uint8_t memory[AUDIT_NOTE_MAX], signature[AUDIT_ED25519_SIZE];
    struct buf note = BUF_ON(memory), request = BUF_ON(f->request);
    struct audit_checkpoint checkpoint = {.origin = bytes_str("log.example/3"), .size = 1};
    assert_int_equal(audit_checkpoint_put(&note, &checkpoint), TM_OK);
    assert_int_equal(audit_ed25519_sign(other_seed, buf_bytes(&note), signature), TM_OK);
    buf_put_u8(&note, '\n');
    assert_int_equal(audit_signature_put(&note, &key, 0, signature), TM_OK);
    struct audit_addition addition = {.checkpoint = buf_bytes(&note)};
    assert_int_equal(audit_addition_put(&request, &addition), TM_OK);
    assert_int_equal(ask_octets(f, buf_bytes(&request)), 404);
    *(char *)memmem(f->request, request.n, "log.example/3", 13) = 'L';
    assert_int_equal(ask_octets(f, buf_bytes(&request)), 404);
    /* The origin of one that is watched, over a key that is not its. */
    ((char *)memmem(f->request, request.n, "Log.example/3", 13))[0] = 'l';
    ((char *)memmem(f->request, request.n, "log.example/3\n", 14))[12] = '1';
    assert_int_equal(ask_octets(f, buf_bytes(&request)), 403);
}

static void it_remembers_what_it_has_cosigned(void **state) {
    struct fixture *f = *state;
    char before[AUDIT_VKEY_MAX], after[AUDIT_VKEY_MAX];
    struct audit_hash hash;
    char name[65];
    const struct bytes origin = bytes_str("log.example/1");
    audit_vkey_write(&f->witness.key, before);
    assert_int_equal(audit_sha256(&origin, 1, &hash), TM_OK);
    assert_int_equal(hex_encode(BYTES_OF(hash.octets), name, sizeof name), TM_OK);
    assert_null(witness_log_hashed(&f->witness, name));
    assert_int_equal(ask(f, 0, 0, 12), 200);
    open_witness(f);
    assert_int_equal(witness_state_load(&f->witness), TM_OK);
    audit_vkey_write(&f->witness.key, after);
    assert_string_equal(before, after);
    assert_int_equal(ask(f, 1, 12, 20), 422);
    assert_int_equal(ask(f, 0, 0, 20), 409);
    const struct witness_log *log = witness_log_hashed(&f->witness, name);
    assert_non_null(log);
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    uint64_t time;
    assert_int_equal(audit_checkpoint_open((struct bytes){log->note, log->note_n}, &log->key, &note,
                                           &checkpoint),
                     TM_OK);
    assert_int_equal(checkpoint.size, 12);
    assert_int_equal(audit_note_verify(&note, &f->witness.key, &time), TM_OK);
}

static void files_that_are_not_its_own_are_refused(void **state) {
    struct fixture *f = *state;
    assert_int_equal(ask(f, 0, 0, 12), 200);
    int fd = open(f->state, O_RDWR);
    char octet;
    assert_int_equal(pread(fd, &octet, 1, 30), 1);
    octet = octet == 'A' ? 'B' : 'A';
    assert_int_equal(pwrite(fd, &octet, 1, 30), 1);
    (void)close(fd);
    open_witness(f);
    assert_int_equal(witness_state_load(&f->witness), TM_ECORRUPT);
    assert_int_equal(chmod(f->key, 0644), 0);
    assert_int_equal(witness_key_open(&f->witness, f->key, "witness.example/w"), TM_EDENIED);
}

/* What is not durable is not given away. */
static void without_its_file_it_cosigns_nothing(void **state) {
    struct fixture *f = *state;
    f->witness.state = "/nonexistent/state";
    assert_int_equal(ask(f, 0, 0, 12), 500);
    f->witness.state = f->state;
    assert_int_equal(ask(f, 1, 0, 12), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_grows_is_cosigned),
        TEST(what_did_not_grow_is_refused),
        TEST(a_request_must_be_whole),
        TEST(only_the_logs_own_key_counts),
        TEST(it_remembers_what_it_has_cosigned),
        TEST(files_that_are_not_its_own_are_refused),
        TEST(without_its_file_it_cosigns_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
