/* SPDX-License-Identifier: Apache-2.0 */
/* The signer on a real SoftHSM: what it signs, what it refuses, and what it dies of. */
#include "signer_rig.h"

#include "base/auto.h"
#include "pkcs11/guard.h"

static int setup(void **state) {
    *state = rig_open();
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    return 0;
}

/* A good ticket is signed well. */
static void assert_serves(struct signer_rig *rig, int core, uint64_t id) {
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(rig, &tbs);
    struct ipc_ticket ticket = rig_ticket(rig, id, buf_bytes(&tbs));
    rig_send(core, &ticket);
    struct ipc_signed answer = rig_receive(rig, core);
    assert_int_equal(answer.id, id);
    if (answer.status != IPC_SIGN_OK)
        fail_msg("%s", answer.text);
    assert_int_equal(ca_issuer_verify(&rig->issuer, ticket.tbs, answer.signature), TM_OK);
}

static void assert_refuses(struct signer_rig *rig, int core, const struct ipc_ticket *ticket,
                           const char *says) {
    rig_send(core, ticket);
    struct ipc_signed answer = rig_receive(rig, core);
    assert_int_equal(answer.id, ticket->id);
    assert_int_equal(answer.status, IPC_SIGN_REFUSED);
    assert_int_equal(answer.signature.n, 0);
    if (!strstr(answer.text, says))
        fail_msg("\"%s\" is not in: %s", says, answer.text);
}

/* ---- opening ---- */

static void assert_does_not_open(struct signer_rig *rig, const char *pin, enum tm_err wanted,
                                 const char *says) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX] = "";
    assert_int_equal(hsm_signer_open(&rig->config, pin, &signer, text), wanted);
    assert_null(signer);
    if (!strstr(text, says))
        fail_msg("\"%s\" is not in: %s", says, text);
}

static void it_opens_only_with_the_pinned_key(void **state) {
    struct signer_rig *rig = *state;
    assert_does_not_open(rig, "wrong", TM_EDENIED, "PIN");
    rig->config.token.label = "elsewhere";
    assert_does_not_open(rig, SOFTHSM_PIN, TM_ENOTFOUND, "elsewhere");
    rig->config.token.label = "works";
    rig->entry.key_label = "root-key";
    assert_does_not_open(rig, SOFTHSM_PIN, TM_EDENIED, "not the one in its certificate");
    rig->entry.key_label = "no-key";
    assert_does_not_open(rig, SOFTHSM_PIN, TM_ENOTFOUND, "issuer factory");
    rig->entry.key_label = "factory-key";
    rig->config.refuse_softhsm = true;
    assert_does_not_open(rig, SOFTHSM_PIN, TM_EDENIED, "SoftHSM");
    rig->config.refuse_softhsm = false;
    hsm_signer_close(rig_signer(rig));
}

/* ---- serving ---- */

static void it_signs_what_is_right(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    for (uint64_t id = 1; id <= 50; id++) {
        assert_serves(rig, core, id);
        hsm_signer_watch(signer);
    }
    hsm_signer_close(signer);
    uint8_t memory[RIG_TBS_MAX];
    struct bytes none;
    assert_int_equal(ipc_receive(core, memory, sizeof memory, 5000, &none), TM_ECLOSED);
}

/* The position of a part in DER, which must be there. */
static uint8_t *find_part(struct bytes der, struct bytes part) {
    uint8_t *at = memmem(der.p, der.n, part.p, part.n);
    assert_non_null(at);
    return at;
}

static void it_refuses_what_is_wrong(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX], ca_memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory), ca_tbs = BUF_ON(ca_memory);
    rig_build(rig, &tbs);
    struct ipc_ticket ticket = rig_ticket(rig, 1, buf_bytes(&tbs));
    (void)strcpy(ticket.issuer, "root");
    assert_refuses(rig, core, &ticket, "no issuer root here");
    ticket = rig_ticket(rig, 2, buf_bytes(&tbs));
    (void)strcpy(ticket.profile, "anything");
    assert_refuses(rig, core, &ticket, "no profile anything here");
    ticket = rig_ticket(rig, 3, buf_bytes(&tbs));
    ticket.profile_hash[31] ^= 1;
    assert_refuses(rig, core, &ticket, "not the one this signer was started with");
    ticket = rig_ticket(rig, 4, bytes_str("sign this, please"));
    assert_refuses(rig, core, &ticket, "not a TBSCertificate");
    ticket = rig_ticket(rig, 5, (struct bytes){0});
    assert_refuses(rig, core, &ticket, "not a TBSCertificate");
    rig_put_ca_tbs(rig, &ca_tbs);
    ticket = rig_ticket(rig, 6, buf_bytes(&ca_tbs));
    assert_refuses(rig, core, &ticket, "make it a CA");
    /* keyUsage { digitalSignature } becomes { digitalSignature, keyCertSign } */
    static const uint8_t usage[] = {0x03, 0x02, 0x07, 0x80};
    uint8_t *at = find_part(buf_bytes(&tbs), BYTES_OF(usage));
    at[2] = 0x02;
    at[3] = 0x84;
    ticket = rig_ticket(rig, 7, buf_bytes(&tbs));
    assert_refuses(rig, core, &ticket, "keyUsage lets it sign certificates");
    at[3] = 0xc4 & 0xf8; /* nonRepudiation, which the profile does not give */
    at[2] = 0x06;
    at[3] = 0xc0;
    ticket = rig_ticket(rig, 8, buf_bytes(&tbs));
    assert_refuses(rig, core, &ticket, "lint: ");
    at[2] = 0x07;
    at[3] = 0x80;
    uint8_t *name = find_part(buf_bytes(&tbs), bytes_str("Factory"));
    name[0] = 'f';
    ticket = rig_ticket(rig, 9, buf_bytes(&tbs));
    assert_refuses(rig, core, &ticket, "issuer's name is another");
    name[0] = 'F';
    buf_put_u8(&tbs, 0);
    ticket = rig_ticket(rig, 10, buf_bytes(&tbs));
    assert_refuses(rig, core, &ticket, "not a TBSCertificate");
    assert_serves(rig, core, 11);
    hsm_signer_close(signer);
}

static void a_ticket_is_redeemed_once(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(rig, &tbs);
    struct ipc_ticket ticket = rig_ticket(rig, 0, buf_bytes(&tbs));
    assert_refuses(rig, core, &ticket, "redeemed before");
    assert_serves(rig, core, 100000);
    ticket.id = 100000;
    assert_refuses(rig, core, &ticket, "redeemed before");
    assert_serves(rig, core, 99999);
    ticket.id = 100000 - HSM_WINDOW;
    assert_refuses(rig, core, &ticket, "redeemed before");
    assert_serves(rig, core, UINT64_MAX);
    hsm_signer_close(signer);
}

/* Each ticket three times, all threads at once. */
static void threads_do_not_redeem_twice(void **state) {
    enum { IDS = 120, COPIES = 3 };
    struct signer_rig *rig = *state;
    rig->config.threads = 8;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(rig, &tbs);
    unsigned good[IDS + 1] = {0}, refused = 0, sent = 0;
    for (unsigned got = 0; got < IDS * COPIES; got++) {
        for (; sent < IDS * COPIES && sent < got + 60; sent++) {
            struct ipc_ticket ticket = rig_ticket(rig, 1 + sent / COPIES, buf_bytes(&tbs));
            rig_send(core, &ticket);
        }
        struct ipc_signed answer = rig_receive(rig, core);
        assert_true(answer.id >= 1 && answer.id <= IDS);
        good[answer.id] += answer.status == IPC_SIGN_OK;
        refused += answer.status == IPC_SIGN_REFUSED;
    }
    for (unsigned id = 1; id <= IDS; id++)
        assert_int_equal(good[id], 1);
    assert_int_equal(refused, IDS * (COPIES - 1));
    hsm_signer_close(signer);
}

static void ceilings_hold(void **state) {
    struct signer_rig *rig = *state;
    rig->config.max_total = 5;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(rig, &tbs);
    struct ipc_ticket wrong = rig_ticket(rig, 1, bytes_str("wrong"));
    assert_refuses(rig, core, &wrong, "not a TBSCertificate"); /* costs nothing */
    for (uint64_t id = 2; id <= 6; id++)
        assert_serves(rig, core, id);
    struct ipc_ticket ticket = rig_ticket(rig, 7, buf_bytes(&tbs));
    rig_send(core, &ticket);
    struct ipc_signed answer = rig_receive(rig, core);
    assert_int_equal(answer.status, IPC_SIGN_CEILING);
    assert_int_equal(answer.signature.n, 0);
    /* A new core does not buy a new total. */
    AUTO_FD int next = rig_link(rig, signer);
    ticket.id = 1;
    rig_send(next, &ticket);
    assert_int_equal(rig_receive(rig, next).status, IPC_SIGN_CEILING);
    hsm_signer_close(signer);
}

static void window_and_ceiling_count(void **state) {
    (void)state;
    struct hsm_window *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_false(hsm_window_take(w, 0));
    assert_true(hsm_window_take(w, 5));
    assert_true(hsm_window_take(w, 3));
    assert_false(hsm_window_take(w, 5));
    assert_false(hsm_window_take(w, 3));
    assert_true(hsm_window_take(w, 5 + HSM_WINDOW - 1));
    assert_false(hsm_window_take(w, 5)); /* still in the window, and taken */
    assert_true(hsm_window_take(w, 6));
    assert_true(hsm_window_take(w, 5 + HSM_WINDOW));
    assert_false(hsm_window_take(w, 4)); /* fell out */
    assert_false(hsm_window_take(w, 5));
    assert_true(hsm_window_take(w, 10 * HSM_WINDOW));
    assert_true(hsm_window_take(w, 10 * HSM_WINDOW - 1));
    assert_true(hsm_window_take(w, UINT64_MAX - 1));
    assert_true(hsm_window_take(w, UINT64_MAX));
    assert_false(hsm_window_take(w, UINT64_MAX));
    free(w);
    struct hsm_ceiling rate = {.max_rate = 3};
    for (int second = 7; second < 9; second++) {
        for (int i = 0; i < 3; i++)
            assert_true(hsm_ceiling_take(&rate, second * 1000 + i));
        assert_false(hsm_ceiling_take(&rate, second * 1000 + 999));
    }
    struct hsm_ceiling daily = {.max_rate = 1, .period_ms = 86400000};
    assert_true(hsm_ceiling_take(&daily, 86400000));
    assert_false(hsm_ceiling_take(&daily, 2 * 86400000 - 1));
    assert_true(hsm_ceiling_take(&daily, 2 * 86400000));
    struct hsm_ceiling none = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(hsm_ceiling_take(&none, 0));
    assert_int_equal(none.total, 1000);
}

static void numbers_rise_under_their_name(void **state) {
    (void)state;
    static const uint8_t names[3][HSM_NAME_SIZE] = {{1}, {2}, {3}};
    struct hsm_number rows[2];
    struct hsm_numbers numbers = {.rows = rows, .room = 2};
    assert_true(hsm_numbers_take(&numbers, names[0], 0));
    assert_false(hsm_numbers_take(&numbers, names[0], 0));
    assert_true(hsm_numbers_take(&numbers, names[0], 7));
    assert_true(hsm_numbers_take(&numbers, names[1], 3));
    assert_false(hsm_numbers_take(&numbers, names[0], 6));
    assert_false(hsm_numbers_take(&numbers, names[2], 9)); /* no room */
    assert_true(hsm_numbers_take(&numbers, names[1], UINT64_MAX));
    assert_false(hsm_numbers_take(&numbers, names[1], UINT64_MAX));
    assert_true(hsm_numbers_take(&numbers, names[0], 8));
}

/* ---- links ---- */

static void assert_ended(int core) {
    uint8_t memory[IPC_MESSAGE_MAX];
    struct bytes message;
    assert_int_equal(ipc_receive(core, memory, sizeof memory, 5000, &message), TM_ECLOSED);
}

static void a_new_core_takes_over(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int first = rig_link(rig, signer);
    assert_serves(rig, first, 1);
    AUTO_FD int second = rig_link(rig, signer); /* while the first still stands */
    assert_ended(first);
    assert_serves(rig, second, 1);
    assert_int_equal(close(TAKE_FD(second)), 0); /* the core dies */
    AUTO_FD int third = rig_link(rig, signer);
    assert_serves(rig, third, 1);
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(hsm_signer_link(signer, fds[1]), TM_ECLOSED); /* it died before */
    assert_serves(rig, third, 2);
    hsm_signer_close(signer);
}

static void cores_may_come_and_go_under_load(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(rig, &tbs);
    int before = -1;
    for (int round = 0; round < 20; round++) {
        AUTO_FD int core = rig_link(rig, signer);
        if (before >= 0)
            assert_int_equal(close(before), 0);
        for (uint64_t id = 1; id <= 20; id++) {
            struct ipc_ticket ticket = rig_ticket(rig, id, buf_bytes(&tbs));
            rig_send(core, &ticket);
        }
        assert_int_equal(rig_receive(rig, core).status, IPC_SIGN_OK);
        before = TAKE_FD(core);
    }
    assert_int_equal(close(before), 0);
    AUTO_FD int last = rig_link(rig, signer);
    assert_serves(rig, last, 1);
    hsm_signer_close(signer);
}

static void nonsense_ends_the_link(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    assert_int_equal(write(core, "nonsense", 8), 8);
    assert_ended(core);
    AUTO_FD int next = rig_link(rig, signer);
    assert_serves(rig, next, 1);
    hsm_signer_close(signer);
}

/* ---- what it dies of: a process of its own behind the faulty module ---- */

static void set_fault(const struct signer_rig *rig, const char *fault) {
    char next[160];
    (void)snprintf(next, sizeof next, "%s.next", rig->control);
    write_text(next, fault);
    assert_int_equal(rename(next, rig->control), 0);
}

struct child {
    pid_t pid;
    int core;
};

/* The role's loop: watch every 20 ms until the link's other end is told to stop. */
static void child_main(const struct signer_rig *rig, int socket) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX];
    if (hsm_signer_open(&rig->config, SOFTHSM_PIN, &signer, text)) {
        fprintf(stderr, "%s\n", text);
        _exit(71);
    }
    if (hsm_signer_link(signer, socket))
        _exit(72);
    for (;;) {
        (void)usleep(20000);
        hsm_signer_watch(signer);
    }
}

static struct child start_child(struct signer_rig *rig,
                                void (*main_of)(const struct signer_rig *, int)) {
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    rig->config.token.module = getenv("TM_SHIM_PKCS11");
    assert_non_null(rig->config.token.module);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        (void)alarm(300);
        main_of(rig, fds[1]);
    }
    assert_int_equal(close(fds[1]), 0);
    rig_expect_keys(rig, fds[0]);
    return (struct child){pid, fds[0]};
}

static int exit_code(struct child *child) {
    int status = -1;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(close(child->core), 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void stop_child(struct child *child) {
    int status = -1;
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(close(child->core), 0);
    assert_true(WIFSIGNALED(status));
}

static void send_good(struct signer_rig *rig, int core, uint64_t id, struct buf *tbs) {
    rig_build(rig, tbs);
    struct ipc_ticket ticket = rig_ticket(rig, id, buf_bytes(tbs));
    rig_send(core, &ticket);
}

/* A certificate's ticket, or one for a CMC response: the token does not care. */
static void send_either(struct signer_rig *rig, int core, uint64_t id, bool cmc) {
    uint8_t memory[RIG_TBS_MAX];
    struct buf out = BUF_ON(memory);
    if (!cmc) {
        send_good(rig, core, id, &out);
        return;
    }
    rig_response(&out);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(id, buf_bytes(&out));
    rig_send_cmc(core, &ticket);
}

static void it_dies_of_a_failing_token(void **state) {
    struct signer_rig *rig = *state;
    static const char *const faults[] = {"session-lost", "device-removed", "short-signature",
                                         "zero-signature"};
    for (size_t i = 0; i < 2 * sizeof faults / sizeof faults[0]; i++) {
        struct child child = start_child(rig, child_main);
        assert_serves(rig, child.core, 1);
        set_fault(rig, faults[i / 2]);
        send_either(rig, child.core, 2, i % 2);
        struct ipc_signed answer = rig_receive(rig, child.core);
        assert_int_equal(answer.id, 2);
        assert_int_equal(answer.status, IPC_SIGN_FAILED);
        assert_int_equal(answer.signature.n, 0);
        assert_int_equal(exit_code(&child), 70);
        set_fault(rig, "");
        child = start_child(rig, child_main); /* what the supervisor does */
        assert_serves(rig, child.core, 1);
        stop_child(&child);
    }
}

static void it_dies_of_a_hanging_token(void **state) {
    struct signer_rig *rig = *state;
    uint8_t in[64];
    struct bytes none;
    rig->config.watchdog_ms = 300;
    for (int cmc = 0; cmc < 2; cmc++) {
        struct child child = start_child(rig, child_main);
        assert_serves(rig, child.core, 1);
        set_fault(rig, "hang");
        int64_t from = clock_mono_ms();
        send_either(rig, child.core, 2, cmc);
        assert_int_equal(ipc_receive(child.core, in, sizeof in, 20000, &none), TM_ECLOSED);
        assert_true(clock_mono_ms() - from >= 300);
        assert_int_equal(exit_code(&child), 70);
        set_fault(rig, "");
    }
}

static void it_bears_a_slow_token(void **state) {
    struct signer_rig *rig = *state;
    struct child child = start_child(rig, child_main);
    set_fault(rig, "slow 300");
    int64_t from = clock_mono_ms();
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    for (uint64_t id = 1; id <= 8; id++) {
        tbs.n = 0;
        send_good(rig, child.core, id, &tbs);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(rig_receive(rig, child.core).status, IPC_SIGN_OK);
    /* Four threads: two rounds of 300 ms, not eight. */
    int64_t took = clock_mono_ms() - from;
    assert_true(took >= 600 && took < 2000);
    stop_child(&child);
}

/* The signer cannot know it; the core can, with the pinned key. */
static void a_wrong_signature_is_caught_by_the_pinned_key(void **state) {
    struct signer_rig *rig = *state;
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    struct child child = start_child(rig, child_main);
    set_fault(rig, "wrong-signature");
    send_good(rig, child.core, 1, &tbs);
    struct ipc_signed answer = rig_receive(rig, child.core);
    assert_int_equal(answer.status, IPC_SIGN_OK);
    assert_int_equal(ca_issuer_verify(&rig->issuer, buf_bytes(&tbs), answer.signature), TM_ECRYPTO);
    stop_child(&child);
}

/* Opens, serves, and closes as soon as a signature hangs. */
static void closing_child(const struct signer_rig *rig, int socket) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX], marker[160];
    (void)snprintf(marker, sizeof marker, "%s.hanging", rig->control);
    if (hsm_signer_open(&rig->config, SOFTHSM_PIN, &signer, text) ||
        hsm_signer_link(signer, socket))
        _exit(71);
    while (access(marker, F_OK) < 0)
        (void)usleep(5000);
    hsm_signer_close(signer);
    _exit(0);
}

static void closing_does_not_wait_for_a_hanging_token(void **state) {
    struct signer_rig *rig = *state;
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig->config.watchdog_ms = 200;
    struct child child = start_child(rig, closing_child);
    set_fault(rig, "hang");
    send_good(rig, child.core, 1, &tbs);
    assert_int_equal(exit_code(&child), 70);
}

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_and_ceiling_count),
        cmocka_unit_test(numbers_rise_under_their_name),
        cmocka_unit_test_setup_teardown(it_opens_only_with_the_pinned_key, setup, teardown),
        cmocka_unit_test_setup_teardown(it_signs_what_is_right, setup, teardown),
        cmocka_unit_test_setup_teardown(it_refuses_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ticket_is_redeemed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_redeem_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(ceilings_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_core_takes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(cores_may_come_and_go_under_load, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_ends_the_link, setup, teardown),
        cmocka_unit_test_setup_teardown(it_dies_of_a_failing_token, setup, teardown),
        cmocka_unit_test_setup_teardown(it_dies_of_a_hanging_token, setup, teardown),
        cmocka_unit_test_setup_teardown(it_bears_a_slow_token, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_signature_is_caught_by_the_pinned_key, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(closing_does_not_wait_for_a_hanging_token, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
