/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ticket costs: CPU of the signer's process per ticket (receive, redeem, check, sign,
 * answer) beside the bare C_Sign on the same token in the same run. Usage: bench_signer
 * [TICKETS [THREADS]].
 */
#include "signer_rig.h"

#include <sys/resource.h>

#include "base/auto.h"

#define OUTSTANDING 32

static double cpu_us(void) {
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

struct bench {
    struct signer_rig *rig;
    uint64_t count;
    int socket;
    int stop;
};

/* The floor: the signature alone, in one thread. */
static void bare(void *arg) {
    const struct bench *b = arg;
    struct hsm_token *token = NULL;
    struct hsm_key *key = NULL;
    char text[HSM_TEXT_MAX];
    uint8_t tbs_memory[RIG_TBS_MAX], memory[256];
    struct buf tbs = BUF_ON(tbs_memory);
    rig_build(b->rig, &tbs);
    assert_int_equal(hsm_token_open(&b->rig->config.token, SOFTHSM_PIN, &token, text), TM_OK);
    assert_int_equal(hsm_key_find(token, "factory-key", &key, text), TM_OK);
    double from = cpu_us();
    int64_t start = clock_mono_ms();
    for (uint64_t i = 0; i < b->count; i++) {
        struct buf out = BUF_ON(memory);
        assert_int_equal(hsm_key_sign(key, buf_bytes(&tbs), &out), TM_OK);
    }
    int64_t took = clock_mono_ms() - start;
    printf("hash and C_Sign alone, 1 thread: %.1f us CPU, %.0f/s\n",
           (cpu_us() - from) / (double)b->count, (double)b->count * 1000 / (double)took);
    (void)fflush(stdout);
    hsm_token_close(token);
}

static void serve(const struct bench *b) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX], end;
    assert_int_equal(hsm_signer_open(&b->rig->config, SOFTHSM_PIN, &signer, text), TM_OK);
    double from = cpu_us();
    assert_int_equal(hsm_signer_link(signer, b->socket), TM_OK);
    assert_int_equal(read(b->stop, &end, 1), 0); /* the other end closes it */
    printf("signer, %u threads: %.1f us CPU per ticket\n", b->rig->config.threads,
           (cpu_us() - from) / (double)b->count);
    (void)fflush(stdout);
    hsm_signer_close(signer);
    _exit(0);
}

static void drive(struct bench *b, int core) {
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(b->rig, &tbs);
    rig_expect_keys(b->rig, core);
    int64_t start = clock_mono_ms();
    uint64_t sent = 0;
    for (uint64_t got = 0; got < b->count; got++) {
        while (sent < b->count && sent < got + OUTSTANDING) {
            struct ipc_ticket ticket = rig_ticket(b->rig, ++sent, buf_bytes(&tbs));
            rig_send(core, &ticket);
        }
        assert_int_equal(rig_receive(b->rig, core).status, IPC_SIGN_OK);
    }
    int64_t took = clock_mono_ms() - start;
    printf("signer, %u threads: %.0f tickets/s\n", b->rig->config.threads,
           (double)b->count * 1000 / (double)took);
}

static void whole(struct bench *b) {
    int link[2], stop[2];
    assert_int_equal(ipc_pair(link), TM_OK);
    assert_int_equal(pipe(stop), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(link[0]);
        (void)close(stop[1]);
        b->socket = link[1];
        b->stop = stop[0];
        serve(b);
    }
    assert_int_equal(close(link[1]), 0);
    assert_int_equal(close(stop[0]), 0);
    drive(b, link[0]);
    assert_int_equal(close(stop[1]), 0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(link[0]), 0);
}

static uint64_t bench_count = 20000;
static unsigned bench_threads = 1;

static void bench_all(void **state) {
    (void)state;
    struct bench b = {.rig = rig_open(), .count = bench_count};
    b.rig->config.threads = bench_threads;
    (void)fflush(stdout);
    in_child(bare, &b);
    whole(&b);
    rig_close(b.rig);
}

int main(int argc, char **argv) {
    if (argc > 1)
        bench_count = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        bench_threads = (unsigned)strtoul(argv[2], NULL, 10);
    if (bench_count == 0 || bench_threads == 0) {
        fprintf(stderr, "usage: %s [TICKETS [THREADS]]\n", argv[0]);
        return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(bench_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
