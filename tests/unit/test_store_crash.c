/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that dies while it writes: whatever it was told is durable is there afterwards, and
 * the store is sound. The victim issues certificates by CMC and sends the number of each down a
 * pipe once all three of its batches are done.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/store_fixture.h"

enum { IN_FLIGHT = 32, ROUNDS = 12, PER_ROUND = 100000 };

/* ---- the victim ---- */

struct lane {
    struct issuance issuance; /* its first member is the job of the first batch */
    struct fixture *fixture;
    uint64_t *next;
    uint64_t number;
    int acks;
};

static void begin(struct lane *lane);

static void lane_submit(struct lane *lane, struct ca_batch *batch,
                        void (*done)(struct ca_batch *batch, enum tm_err result)) {
    batch->done = done;
    batch->arg = lane;
    if (lane->fixture->store->ops->submit(lane->fixture->store, batch))
        _exit(3);
}

static void confirmed(struct ca_batch *batch, enum tm_err result) {
    struct lane *lane = batch->arg;
    if (result || write(lane->acks, &lane->number, sizeof lane->number) < 0)
        _exit(4);
    begin(lane);
}

static void ended(struct ca_batch *batch, enum tm_err result) {
    struct lane *lane = batch->arg;
    if (result)
        _exit(7);
    lane_submit(lane, &lane->issuance.confirm.batch, confirmed);
}

static void begun(struct ca_batch *batch, enum tm_err result) {
    struct lane *lane = batch->arg;
    if (result)
        _exit(5);
    lane_submit(lane, &lane->issuance.end.batch, ended);
}

static void begin(struct lane *lane) {
    lane->number = (*lane->next)++;
    issuance_by_cmc(&lane->issuance, lane->number);
    lane_submit(lane, &lane->issuance.begin.batch, begun);
}

/* Never returns: it is killed, or ends itself with a status that the test refuses. */
static void victim(struct fixture *f, uint64_t first, size_t in_flight, int acks) {
    struct lane *lanes = calloc(in_flight, sizeof *lanes);
    char text[IPC_TEXT_MAX + 1];
    if (!lanes || store_open(f->loop, &f->config, &f->store, text))
        _exit(1);
    for (size_t i = 0; i < in_flight; i++) {
        lanes[i] = (struct lane){.fixture = f, .next = &first, .acks = acks};
        begin(&lanes[i]);
    }
    _exit(loop_run(f->loop) ? 2 : 6);
}

static pid_t start_victim(struct fixture *f, uint64_t first, size_t in_flight, int *ret_acks) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    store_close(f->store);
    f->store = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        victim(f, first, in_flight, fds[1]);
    }
    (void)close(fds[1]);
    *ret_acks = fds[0];
    return child;
}

static void assert_killed(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the victim ended by itself with status %x", (unsigned)status);
}

/* Reads one number; false at the end. */
static bool read_ack(int acks, uint64_t *ret_number) {
    ssize_t n;
    do
        n = read(acks, ret_number, sizeof *ret_number);
    while (n < 0 && errno == EINTR);
    assert_true(n == 0 || n == sizeof *ret_number); /* a pipe keeps small writes whole */
    return n > 0;
}

/* ---- afterwards ---- */

static void assert_issued(struct fixture *f, uint64_t n) {
    uint8_t octets[IPC_CERT_MAX], wanted[SAMPLE_DER];
    struct buf out = BUF_ON(octets);
    struct ca_serial serial = sample_serial(n);
    struct ca_certificate got;
    struct ca_device device;
    assert_int_equal(f->store->ops->certificate(f->store, &serial, &got, &out), TM_OK);
    (void)sample_certificate(n, wanted, sizeof wanted);
    assert_true(bytes_equal(got.der, BYTES_OF(wanted)));
    assert_int_equal(f->store->ops->device(f->store, "acme", sample_device(n).id, &device), TM_OK);
    assert_int_equal(device.version, 3);
    assert_int_equal(device.state, CA_MANUFACTURED);
    assert_int_equal(device.certs[0].status, CA_CERT_ACTIVE);
    uint8_t response[SAMPLE_RESPONSE];
    struct ca_transaction transaction, same = sample_transaction(n, response, sizeof response);
    out.n = 0;
    assert_int_equal(f->store->ops->transaction(f->store, "acme", device.id, &transaction, &out),
                     TM_OK);
    assert_true(bytes_equal(transaction.response, same.response));
}

static uint64_t leaves(struct fixture *f) {
    struct ca_audit_head head;
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    return head.size;
}

/* Killed at the arrival of some acknowledgement, with a group under way. */
static void killed_at_any_moment(void **state) {
    struct fixture *f = *state;
    uint64_t *acked = calloc(PER_ROUND, sizeof *acked);
    uint64_t random = 20260714, issued = 0;
    assert_non_null(acked);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        int acks;
        size_t count = 0;
        pid_t child = start_victim(f, round * PER_ROUND, IN_FLIGHT, &acks);
        random = random * 6364136223846793005 + 1442695040888963407;
        size_t mortal = 1 + (size_t)(random >> 33) % 300;
        while (count < PER_ROUND && read_ack(acks, &acked[count]))
            if (++count == mortal)
                assert_int_equal(kill(child, SIGKILL), 0);
        (void)close(acks);
        assert_killed(child);
        assert_true(count >= mortal);
        fixture_open(f);
        for (size_t i = 0; i < count; i++)
            assert_issued(f, acked[i]);
        assert_sound(f);
        issued += count;
        assert_true(leaves(f) >= 3 * issued);
    }
    free(acked);
}

#ifdef TOUCHMARK_CRASH_POINTS
/* One batch at a time, one leaf each: the point says exactly how many there are. */
static void crash_at(struct fixture *f, const char *point, uint64_t pass, uint64_t leaves_after) {
    char value[64];
    uint64_t before = leaves(f), number, count = 0;
    int acks;
    (void)snprintf(value, sizeof value, "%s:%llu", point, (unsigned long long)pass);
    assert_int_equal(setenv("TOUCHMARK_CRASH", value, 1), 0);
    pid_t child = start_victim(f, before * PER_ROUND, 1, &acks);
    assert_int_equal(unsetenv("TOUCHMARK_CRASH"), 0);
    while (read_ack(acks, &number)) {
        assert_int_equal(number, before * PER_ROUND + count);
        count++;
    }
    (void)close(acks);
    assert_killed(child);
    fixture_open(f);
    assert_int_equal(count, (pass - 1) / 3);
    assert_int_equal(leaves(f), before + leaves_after);
    for (uint64_t i = 0; i < count; i++)
        assert_issued(f, before * PER_ROUND + i);
    assert_sound(f);
}

static void killed_at_the_crash_points(void **state) {
    for (uint64_t pass = 1; pass <= 9; pass++) {
        crash_at(*state, "store.before_commit", pass, pass - 1);
        crash_at(*state, "store.after_commit", pass, pass);
    }
}

/* Revokes certificate n in a process that dies at the point. */
static void revoke_and_die(struct fixture *f, uint64_t n, const char *point) {
    store_close(f->store);
    f->store = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("TOUCHMARK_CRASH", point, 1);
        fixture_open(f);
        revoke_one(f, n);
        _exit(1);
    }
    assert_killed(child);
    fixture_open(f);
}

/* Certificate, device and index: all of them say it, or none. */
static void a_revocation_is_whole_or_not_there(void **state) {
    struct fixture *f = *state;
    struct ca_revoked rows[3];
    issue_many(f, 1, 2);
    revoke_and_die(f, 1, "store.before_commit");
    assert_int_equal(read_revoked(f, rows, 3), 0);
    assert_sound(f);
    revoke_and_die(f, 2, "store.after_commit");
    struct ca_serial second = sample_serial(2);
    assert_int_equal(read_revoked(f, rows, 3), 1);
    assert_true(ca_serial_equal(&rows[0].serial, &second));
    assert_sound(f);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_any_moment, fixture_setup, fixture_teardown),
#ifdef TOUCHMARK_CRASH_POINTS
        cmocka_unit_test_setup_teardown(killed_at_the_crash_points, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_revocation_is_whole_or_not_there, fixture_setup,
                                        fixture_teardown),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
