/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an act over a real store: which signatures count, what each step leaves in the audit,
 * and that what was running goes on with what was saved. */
#include "officer_fixture.h"
#include "store_fixture.h"

#include "ca/act.h"

#define ALICE 0
#define BOB 1
#define CAROL 2
#define ERIN 3 /* has no key */
#define OFFICERS 4

static const char *const names[OFFICERS] = {"alice", "bob", "carol", "erin"};
static const char *const key_kinds[OFFICERS] = {"P-256", "ED25519", "RSA:2048", NULL};
static const char *const digests[OFFICERS] = {"SHA256", NULL, "SHA256", NULL};

/* What the kind of act of these tests was asked to do. */
struct kind_state {
    struct ca_act_kind kind;
    unsigned checks, runs;
    const char *refusal;    /* of check; NULL: none */
    bool hold;              /* run does not end */
    struct ca_act_run *run; /* the one that is held */
    uint64_t done_at_start;
    struct ca_serial cursor_at_start;
    struct ca_store *store; /* where `kept` is, which is dropped with an act */
};

struct life {
    struct fixture f; /* first: cmocka's state */
    struct ca_officer officers[OFFICERS];
    EVP_PKEY *keys[OFFICERS];
    struct kind_state kind;
    struct ca_acts *acts;
    /* what the last change answered */
    bool answered;
    enum tm_err result;
    char text[IPC_TEXT_MAX + 1];
    struct ca_act act;
    uint8_t act_text[CA_ACT_TEXT_MAX];
};

static int64_t now = INT64_C(1767323045678);
static int64_t now_ms(void) {
    return now;
}

/* ---- a kind ---- */

static bool is_x(const char *value) {
    return strcmp(value, "x") == 0;
}
static const struct ca_act_rule rules[] = {
    {"must", true, is_x, "x"}, {"may", false, NULL, NULL}, {NULL, false, NULL, NULL}};

static void kind_check(void *self, struct ca_act_params *params, ca_act_checked_fn *checked,
                       void *arg) {
    struct kind_state *kind = self;
    kind->checks++;
    assert_int_equal(ca_act_param_add(params, "fact", "17"), TM_OK);
    checked(arg, kind->refusal ? TM_EDENIED : TM_OK, kind->refusal ? kind->refusal : "");
}

static void kind_run(void *self, struct ca_act_run *run) {
    struct kind_state *kind = self;
    kind->runs++;
    kind->done_at_start = run->done;
    kind->cursor_at_start = run->cursor;
    assert_string_equal(ca_act_param(run->params, "fact"), "17");
    if (kind->hold) {
        kind->run = run;
        return;
    }
    run->done += 2;
    ca_act_run_end(run, TM_OK, "all is well");
}

/* What is kept for acts: a row, whatever it is of. */
static const struct ca_operator kept = {.version = 1, .tenant = "acme", .name = "kept"};

static bool is_kept(const struct kind_state *kind) {
    struct ca_operator row = kept;
    return kind->store->ops->row(kind->store, CA_TABLE_OPERATOR, &row, NULL) == TM_OK;
}

static void kind_drop(void *self, const struct ca_act_params *params, struct ca_change *ret_change,
                      void **ret_kept) {
    struct ca_operator *row = is_kept(self) ? malloc(sizeof *row) : NULL;
    assert_string_equal(ca_act_param(params, "fact"), "17");
    if (!row)
        return;
    *row = kept;
    *ret_change =
        (struct ca_change){.kind = CA_END_ROW, .u.row = {.table = CA_TABLE_OPERATOR, .row = row}};
    *ret_kept = row;
}

/* ---- life ---- */

static void open_acts(struct life *l) {
    const struct ca_acts_config config = {.store = l->f.store,
                                          .loop = l->f.loop,
                                          .environment = "test",
                                          .officers = l->officers,
                                          .officer_count = OFFICERS,
                                          .now_ms = now_ms};
    l->kind.store = l->f.store;
    l->kind.kind = (struct ca_act_kind){.name = "sample",
                                        .rules = rules,
                                        .self = &l->kind,
                                        .check = kind_check,
                                        .run = kind_run,
                                        .drop = kind_drop};
    assert_int_equal(ca_acts_new(&config, &l->acts), TM_OK);
    assert_int_equal(ca_acts_add(l->acts, &l->kind.kind), TM_OK);
    assert_int_equal(ca_acts_add(l->acts, &l->kind.kind), TM_EEXISTS);
    assert_int_equal(ca_acts_resume(l->acts), TM_OK);
}

static void close_acts(struct life *l) {
    ca_acts_stop(l->acts);
    store_close(l->f.store);
    l->f.store = NULL;
    ca_acts_free(l->acts);
}

/* As when the core is started again. */
static void restart(struct life *l) {
    close_acts(l);
    fixture_open(&l->f);
    open_acts(l);
}

static int setup(void **state) {
    struct life *l = calloc(1, sizeof *l);
    assert_non_null(l);
    fixture_start(&l->f);
    for (size_t i = 0; i < OFFICERS; i++) {
        char text[IPC_TEXT_MAX + 1];
        l->officers[i] = (struct ca_officer){.name = names[i], .uid = (uid_t)(1000 + i)};
        if (!key_kinds[i])
            continue;
        l->keys[i] = make_key(key_kinds[i]);
        assert_int_equal(load_key(&l->officers[i], l->keys[i], PUBLIC_FILE, text), TM_OK);
    }
    open_acts(l);
    *state = l;
    return 0;
}

static int teardown(void **state) {
    struct life *l = *state;
    close_acts(l);
    for (size_t i = 0; i < OFFICERS; i++) {
        ca_officer_free_key(&l->officers[i]);
        EVP_PKEY_free(l->keys[i]);
    }
    fixture_end(&l->f);
    free(l);
    return 0;
}

/* ---- steps, each waited for ---- */

static void changed(void *arg, enum tm_err result, const char *text, const struct ca_act *act) {
    struct life *l = arg;
    l->answered = true;
    l->result = result;
    TEXT_SET(l->text, text);
    assert_true(!act == !!result);
    if (act) {
        l->act = *act;
        memcpy(l->act_text, act->text.p, act->text.n);
        l->act.text = (struct bytes){l->act_text, act->text.n};
    }
    if (l->f.expected)
        fixture_count_down(&l->f);
}

static enum tm_err wait_change(struct life *l, enum tm_err started) {
    assert_int_equal(started, TM_OK);
    if (!l->answered) {
        l->f.expected = 1;
        fixture_run(&l->f);
    }
    return l->result;
}

static void begin_change(struct life *l) {
    l->answered = false;
}

static enum tm_err propose_with(struct life *l, const char *kind, const char *name,
                                const char *value, int64_t lifetime_ms) {
    static struct ca_act_params params;
    memset(&params, 0, sizeof params);
    if (name)
        assert_int_equal(ca_act_param_add(&params, name, value), TM_OK);
    begin_change(l);
    return wait_change(
        l, ca_act_propose(l->acts, kind, &params, lifetime_ms, "alice uid:1000", changed, l));
}

static void propose(struct life *l) {
    assert_int_equal(propose_with(l, "sample", "must", "x", 0), TM_OK);
}

static enum tm_err sign_octets(struct life *l, const uint8_t *id, size_t officer,
                               struct bytes signature) {
    begin_change(l);
    return wait_change(l, ca_act_sign(l->acts, id, &l->officers[officer], signature, changed, l));
}

static enum tm_err sign(struct life *l, const struct ca_act *act, size_t officer) {
    uint8_t octets[CA_HASH_SIZE * 32];
    struct ca_act copy = *act;
    size_t n = sign_with(l->keys[officer], digests[officer], act->text, octets);
    return sign_octets(l, copy.id, officer, (struct bytes){octets, n});
}

static void check_refused(const struct life *l, enum tm_err result, const char *words) {
    if (!result || !strstr(l->text, words))
        fail_msg("%s: \"%s\", not \"%s\"", tm_err_name(result), l->text, words);
}

static struct ca_act stored(struct life *l, const uint8_t *id) {
    struct ca_act act = {0};
    struct buf memory = BUF_ON(l->act_text);
    memcpy(act.id, id, sizeof act.id);
    assert_int_equal(l->f.store->ops->row(l->f.store, CA_TABLE_ACT, &act, &memory), TM_OK);
    return act;
}

static void tick(void *arg) {
    loop_stop(arg);
}

/* Until the act's status is this one; bounded by the fixture's deadline. */
static struct ca_act await_status(struct life *l, const uint8_t id[CA_ACT_ID_SIZE],
                                  enum ca_act_status status) {
    struct ca_act act = stored(l, id);
    struct loop_timer timer = {.fn = tick, .arg = l->f.loop};
    for (int64_t end = clock_mono_ms() + FIXTURE_DEADLINE_MS; act.status != status;) {
        assert_true(clock_mono_ms() < end);
        assert_int_equal(loop_timer_set(l->f.loop, &timer, clock_mono_ms() + 1), TM_OK);
        assert_int_equal(loop_run(l->f.loop), TM_OK);
        act = stored(l, id);
    }
    return act;
}

static struct ca_leaf last_leaf(struct life *l, uint64_t back) {
    struct ca_audit_head head;
    struct ca_leaf leaf;
    assert_int_equal(l->f.store->ops->audit_head(l->f.store, &head), TM_OK);
    assert_int_equal(l->f.store->ops->leaf(l->f.store, head.size - 1 - back, &leaf), TM_OK);
    return leaf;
}

/* ---- tests ---- */

static void two_signatures_carry_it_out(void **state) {
    struct life *l = *state;
    struct ca_act_text text;
    uint8_t id[CA_ACT_ID_SIZE];
    propose(l);
    memcpy(id, l->act.id, sizeof id);
    assert_int_equal(l->act.status, CA_ACT_OPEN);
    assert_int_equal(ca_act_text_parse(l->act.text, &text), TM_OK);
    assert_memory_equal(text.id, id, sizeof id);
    assert_string_equal(text.environment, "test");
    assert_string_equal(text.proposer, "alice uid:1000");
    assert_string_equal(ca_act_param(&text.params, "fact"), "17");
    assert_true(text.proposed_ms == now / 1000 * 1000);
    assert_true(text.expires_ms == text.proposed_ms + CA_ACT_LIFETIME_MS);
    assert_int_equal(last_leaf(l, 0).event, CA_EVENT_ACT_PROPOSED);

    assert_int_equal(sign(l, &l->act, ALICE), TM_OK);
    assert_int_equal(l->act.status, CA_ACT_OPEN);
    assert_int_equal(l->kind.runs, 0);
    struct ca_leaf leaf = last_leaf(l, 0);
    assert_int_equal(leaf.event, CA_EVENT_ACT_SIGNED);
    assert_string_equal(leaf.actor, "alice uid:1000");
    assert_non_null(strchr(leaf.reason, ' '));
    assert_null(strstr(leaf.reason, "sha256:"));

    assert_int_equal(sign(l, &l->act, CAROL), TM_OK);
    assert_int_equal(l->kind.runs, 1);
    struct ca_act ended = await_status(l, id, CA_ACT_DONE);
    assert_int_equal(ended.done, 2);
    assert_string_equal(ended.result, "all is well");
    assert_int_equal(ended.signature_count, 2);
    assert_true(ended.ended_ms == now);
    leaf = last_leaf(l, 0);
    assert_int_equal(leaf.event, CA_EVENT_ACT_ENDED);
    assert_int_equal(leaf.count, 2);
    /* RSA: no room for the signature */
    assert_non_null(strstr(last_leaf(l, 1).reason, " sha256:"));
    check_refused(l, sign(l, &l->act, BOB), "the act is done");
    restart(l);
    assert_int_equal(l->kind.runs, 1);
}

static void signatures_that_do_not_count(void **state) {
    struct life *l = *state;
    uint8_t octets[CA_HASH_SIZE * 32];
    propose(l);
    struct ca_act first = l->act;
    uint8_t first_text[CA_ACT_TEXT_MAX];
    memcpy(first_text, l->act_text, first.text.n);
    first.text.p = first_text;
    propose(l);
    /* over another act's text */
    size_t n = sign_with(l->keys[BOB], NULL, first.text, octets);
    check_refused(l, sign_octets(l, l->act.id, BOB, (struct bytes){octets, n}), "does not verify");
    /* another officer's */
    check_refused(l, sign_octets(l, first.id, ALICE, (struct bytes){octets, n}),
                  "does not verify with the key of officer alice");
    check_refused(l, sign_octets(l, first.id, ERIN, (struct bytes){octets, n}), "has no key");
    check_refused(l, sign_octets(l, first.id, BOB, (struct bytes){octets, 0}), "does not verify");
    check_refused(l, sign_octets(l, first.id, BOB, (struct bytes){octets, sizeof octets}),
                  "does not verify");
    static const uint8_t unknown[CA_ACT_ID_SIZE] = {1};
    check_refused(l, sign_octets(l, unknown, BOB, (struct bytes){octets, n}), "no act with this");
    /* twice by one officer, and by another with the same key */
    assert_int_equal(sign_octets(l, first.id, BOB, (struct bytes){octets, n}), TM_OK);
    check_refused(l, sign_octets(l, first.id, BOB, (struct bytes){octets, n}),
                  "bob has signed it already");
    struct ca_officer twin = l->officers[BOB];
    twin.name = "carol";
    begin_change(l);
    check_refused(l,
                  wait_change(l, ca_act_sign(l->acts, first.id, &twin, (struct bytes){octets, n},
                                             changed, l)),
                  "bob signed it with the same key");
    assert_int_equal(stored(l, first.id).signature_count, 1);
    assert_int_equal(l->kind.runs, 0);
}

/* Who left, or has another key, has not signed. */
static void a_former_officer_does_not_count(void **state) {
    struct life *l = *state;
    propose(l);
    assert_int_equal(sign(l, &l->act, BOB), TM_OK);
    l->officers[BOB].name = "boris";
    assert_int_equal(sign(l, &l->act, ALICE), TM_OK);
    assert_int_equal(l->act.status, CA_ACT_OPEN);
    assert_int_equal(l->act.signature_count, 1);
    assert_int_equal(sign(l, &l->act, CAROL), TM_OK);
    assert_int_equal(l->act.status, CA_ACT_RUNNING);
    assert_int_equal(l->kind.runs, 1);
}

static void what_is_over_is_not_signed(void **state) {
    struct life *l = *state;
    assert_int_equal(propose_with(l, "sample", "must", "x", 5000), TM_OK);
    assert_int_equal(sign(l, &l->act, BOB), TM_OK);
    now += 5000;
    check_refused(l, sign(l, &l->act, ALICE), "the act has expired");
    now -= 5000;
    begin_change(l);
    assert_int_equal(wait_change(l, ca_act_withdraw(l->acts, l->act.id, "not needed",
                                                    "bob uid:1001", changed, l)),
                     TM_OK);
    struct ca_leaf leaf = last_leaf(l, 0);
    assert_int_equal(leaf.event, CA_EVENT_ACT_ENDED);
    assert_non_null(strstr(leaf.reason, " withdrawn: not needed"));
    check_refused(l, sign(l, &l->act, ALICE), "the act was withdrawn");
    begin_change(l);
    check_refused(l,
                  wait_change(l, ca_act_withdraw(l->acts, l->act.id, "again", "bob", changed, l)),
                  "the act was withdrawn");
    assert_int_equal(l->kind.runs, 0);
}

static void proposals_are_judged(void **state) {
    struct life *l = *state;
    check_refused(l, propose_with(l, "other", "must", "x", 0), "there are: sample");
    check_refused(l, propose_with(l, "sample", NULL, NULL, 0), "\"must\" is missing");
    check_refused(l, propose_with(l, "sample", "must", "y", 0), "\"must\" must be x");
    /* a fact is the kind's to state */
    check_refused(l, propose_with(l, "sample", "fact", "1", 0), "no parameter \"fact\"");
    check_refused(l, propose_with(l, "sample", "must", "x", CA_ACT_LIFETIME_MAX_MS + 1000),
                  "at most 14 days");
    assert_int_equal(l->kind.checks, 0);
    l->kind.refusal = "it would concern nobody";
    check_refused(l, propose_with(l, "sample", "must", "x", 0), "it would concern nobody");
    l->kind.refusal = NULL;
    ca_officer_free_key(&l->officers[ALICE]);
    ca_officer_free_key(&l->officers[CAROL]);
    check_refused(l, propose_with(l, "sample", "must", "x", 0), "the configuration names 1");
}

static void open_acts_are_bounded(void **state) {
    struct life *l = *state;
    for (unsigned i = 0; i < CA_ACTS_OPEN_MAX; i++)
        assert_int_equal(propose_with(l, "sample", "must", "x", i < 2 ? 1000 : 0), TM_OK);
    check_refused(l, propose_with(l, "sample", "must", "x", 0), "are open already");
    now += 1000; /* two expire */
    propose(l);
    propose(l);
    check_refused(l, propose_with(l, "sample", "must", "x", 0), "are open already");
    now -= 1000;
}

static void what_was_running_goes_on(void **state) {
    struct life *l = *state;
    uint8_t id[CA_ACT_ID_SIZE];
    l->kind.hold = true;
    propose(l);
    memcpy(id, l->act.id, sizeof id);
    assert_int_equal(sign(l, &l->act, ALICE), TM_OK);
    assert_int_equal(sign(l, &l->act, BOB), TM_OK);
    struct ca_act_run *run = l->kind.run;
    assert_non_null(run);
    assert_true(run->since_ms == now);
    assert_non_null(strstr(run->actor, " alice bob"));
    run->done = 5;
    run->cursor = sample_serial(5);
    ca_act_run_save(run);
    run->done = 6; /* merges with what follows */
    ca_act_run_save(run);
    restart(l);
    assert_int_equal(l->kind.runs, 2);
    assert_in_range(l->kind.done_at_start, 5, 6);
    struct ca_serial expected = sample_serial(5);
    assert_true(ca_serial_equal(&l->kind.cursor_at_start, &expected));
    l->kind.run->done = 9;
    ca_act_run_end(l->kind.run, TM_EIO, "it broke");
    struct ca_act act = await_status(l, id, CA_ACT_FAILED);
    assert_int_equal(act.done, 9);
    assert_string_equal(act.result, "it broke");
    assert_non_null(strstr(last_leaf(l, 0).reason, " sample failed: it broke"));
    restart(l);
    assert_int_equal(l->kind.runs, 2);
}

/* ---- what was kept for it ---- */

static void row_put(struct ca_batch *batch, enum tm_err result) {
    assert_int_equal(result, TM_OK);
    fixture_count_down(batch->arg);
}

static void keep(struct life *l) {
    struct ca_batch batch = {
        .count = 1,
        .changes = {{.kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_OPERATOR, .row = &kept}}},
        .done = row_put,
        .arg = &l->f};
    l->f.expected = 1;
    assert_int_equal(l->f.store->ops->submit(l->f.store, &batch), TM_OK);
    fixture_run(&l->f);
    assert_true(is_kept(&l->kind));
}

static void withdraw(struct life *l) {
    begin_change(l);
    assert_int_equal(
        wait_change(l, ca_act_withdraw(l->acts, l->act.id, "no", "bob uid:1001", changed, l)),
        TM_OK);
}

static void what_was_kept_ends_with_the_act(void **state) {
    struct life *l = *state;
    keep(l);
    propose(l);
    withdraw(l);
    assert_false(is_kept(&l->kind));
    propose(l); /* there is nothing to drop */
    withdraw(l);
}

static void what_another_act_wants_stays(void **state) {
    struct life *l = *state;
    keep(l);
    propose(l);
    propose(l);
    withdraw(l);
    assert_true(is_kept(&l->kind));
    assert_int_equal(propose_with(l, "sample", "must", "x", 0), TM_OK);
    assert_int_equal(sign(l, &l->act, ALICE), TM_OK);
    assert_int_equal(sign(l, &l->act, BOB), TM_OK);
    (void)await_status(l, l->act.id, CA_ACT_DONE); /* whose business it was then */
    assert_true(is_kept(&l->kind));
}

static void what_failed_drops_it(void **state) {
    struct life *l = *state;
    uint8_t id[CA_ACT_ID_SIZE];
    keep(l);
    l->kind.hold = true;
    propose(l);
    memcpy(id, l->act.id, sizeof id);
    assert_int_equal(sign(l, &l->act, ALICE), TM_OK);
    assert_int_equal(sign(l, &l->act, BOB), TM_OK);
    assert_true(is_kept(&l->kind));
    ca_act_run_end(l->kind.run, TM_EIO, "it broke");
    (void)await_status(l, id, CA_ACT_FAILED);
    assert_false(is_kept(&l->kind));
}

static void what_expires_ends(void **state) {
    struct life *l = *state;
    uint8_t id[CA_ACT_ID_SIZE];
    keep(l);
    ca_acts_tick(l->acts); /* there is none: the next look is when one may expire */
    assert_int_equal(propose_with(l, "sample", "must", "x", 5000), TM_OK);
    memcpy(id, l->act.id, sizeof id);
    ca_acts_tick(l->acts);
    assert_int_equal(stored(l, id).status, CA_ACT_OPEN);
    now += 5000;
    ca_acts_tick(l->acts);
    struct ca_act act = await_status(l, id, CA_ACT_EXPIRED);
    assert_true(act.ended_ms == now);
    assert_false(is_kept(&l->kind));
    struct ca_leaf leaf = last_leaf(l, 0);
    assert_int_equal(leaf.event, CA_EVENT_ACT_ENDED);
    assert_string_equal(leaf.actor, "touchmarkd");
    assert_non_null(strstr(leaf.reason, " expired"));
    check_refused(l, sign(l, &act, ALICE), "the act has expired");
    now -= 5000;
    assert_int_equal(l->kind.runs, 0);
}

/* Also one that nobody was there to see. */
static void what_expired_before_a_start_ends(void **state) {
    struct life *l = *state;
    uint8_t id[CA_ACT_ID_SIZE];
    assert_int_equal(propose_with(l, "sample", "must", "x", 5000), TM_OK);
    memcpy(id, l->act.id, sizeof id);
    now += 6000;
    restart(l);
    ca_acts_tick(l->acts);
    (void)await_status(l, id, CA_ACT_EXPIRED);
    now -= 6000;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_signatures_carry_it_out, setup, teardown),
        cmocka_unit_test_setup_teardown(signatures_that_do_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_former_officer_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_over_is_not_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(proposals_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(open_acts_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_running_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_kept_ends_with_the_act, setup, teardown),
        cmocka_unit_test_setup_teardown(what_another_act_wants_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(what_failed_drops_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_expires_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(what_expired_before_a_start_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
