/* SPDX-License-Identifier: Apache-2.0 */
/* What keys are used for, in the log of a real store: nothing is lost or counted twice, and a log
 * at rest does not grow. */
#include "tests/unit/store_fixture.h"

#include "server/core/key_uses.h"

#define ISSUERS 3
#define TOKENS 3

struct rig {
    struct fixture f; /* first */
    struct ca_issuer issuers[ISSUERS];
    struct core_token tokens[TOKENS];
    struct core_setup setup;
    struct core_key_uses *uses;
};

static int64_t now = 1700000000000;

static int64_t now_ms(void) {
    return now++;
}

static int setup(void **state) {
    static const char *const names[] = {"one", "two", "three"};
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    fixture_start(&r->f);
    for (size_t i = 0; i < ISSUERS; i++) {
        TEXT_SET(r->issuers[i].name, names[i]);
        r->tokens[i].name = names[i];
    }
    r->setup = (struct core_setup){
        .issuers = r->issuers, .issuer_count = ISSUERS, .tokens = r->tokens, .token_count = TOKENS};
    const struct core_key_uses_config config = {
        .store = r->f.store, .setup = &r->setup, .interval_ms = 0, .now_ms = now_ms};
    assert_int_equal(core_key_uses_new(&config, &r->uses), TM_OK);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    fixture_end(&r->f);
    core_key_uses_free(r->uses);
    free(r);
    return 0;
}

static uint64_t leaves(struct rig *r) {
    struct ca_audit_head head;
    assert_int_equal(r->f.store->ops->audit_head(r->f.store, &head), TM_OK);
    return head.size;
}

static struct ca_leaf leaf_at(struct rig *r, uint64_t sequence) {
    struct ca_leaf leaf;
    assert_int_equal(r->f.store->ops->leaf(r->f.store, sequence, &leaf), TM_OK);
    return leaf;
}

/* A transaction of others, behind all that was submitted before. */
static void add_leaf(struct rig *r) {
    const struct ca_leaf leaf = {.event = CA_EVENT_ALARM, .time_ms = 1};
    assert_int_equal(COMMIT(&r->f, NULL, {.kind = CA_ADD_LEAF, .u.leaf = &leaf}), TM_OK);
}

/* All that was submitted before is durable. */
static void settled(struct rig *r) {
    assert_int_equal(COMMIT(&r->f, NULL, {.kind = CA_PUT_CURSOR, .u.cursor = {"test", 1}}), TM_OK);
}

static void uses_are_summed(void **state) {
    struct rig *r = *state;
    core_key_uses_tick(r->uses);
    int64_t first = now;
    for (int i = 0; i < 5; i++)
        core_key_uses_note(r->uses, CA_TICKET_OCSP, 1, 2);
    int64_t last = now - 1;
    core_key_uses_note(r->uses, CA_TICKET_TLS_HANDSHAKE, ISSUERS, 0);
    core_key_uses_tick(r->uses);
    core_key_uses_note(r->uses, CA_TICKET_OCSP, 1, 2); /* while the others are on their way */
    add_leaf(r);
    assert_int_equal(leaves(r), 3);
    struct ca_leaf leaf = leaf_at(r, 0);
    assert_int_equal(leaf.event, CA_EVENT_KEY_USED);
    assert_string_equal(leaf.issuer, "two");
    assert_string_equal(leaf.provider, "three");
    assert_string_equal(leaf.reason, "ocsp-answer");
    assert_int_equal(leaf.count, 5);
    assert_int_equal(leaf.since_ms, first);
    assert_int_equal(leaf.until_ms, last);
    leaf = leaf_at(r, 1);
    assert_string_equal(leaf.issuer, "");
    assert_string_equal(leaf.provider, "one");
    assert_string_equal(leaf.reason, "tls-handshake");
    assert_int_equal(leaf.count, 1);
    assert_false(core_key_uses_settle(r->uses)); /* it is written, and not durable yet */
    add_leaf(r);
    assert_true(core_key_uses_settle(r->uses));
    assert_int_equal(leaf_at(r, 3).count, 1);
}

/* More than a transaction takes. */
static void every_use_has_its_leaf(void **state) {
    struct rig *r = *state;
    size_t kinds = CA_TICKET_CHECKPOINT + 1, sum = 0;
    for (size_t issuer = 0; issuer <= ISSUERS; issuer++)
        for (size_t token = 0; token < TOKENS; token++)
            for (size_t kind = 0; kind < kinds; kind++)
                core_key_uses_note(r->uses, (enum ca_ticket_kind)kind, issuer, token);
    size_t all = (ISSUERS + 1) * TOKENS * kinds, turns = 0;
    while (!core_key_uses_settle(r->uses) && turns++ < all)
        add_leaf(r);
    for (uint64_t i = 0; i < leaves(r); i++)
        sum += leaf_at(r, i).count;
    assert_int_equal(sum, all);
    assert_int_equal(leaves(r), all + turns);
}

static void a_log_at_rest_does_not_grow(void **state) {
    struct rig *r = *state;
    core_key_uses_note(r->uses, CA_TICKET_CERTIFICATE, 0, 0);
    core_key_uses_note(r->uses, CA_TICKET_CHECKPOINT, ISSUERS, 0);
    while (!core_key_uses_settle(r->uses))
        add_leaf(r);
    uint64_t size = leaves(r);
    core_key_uses_note(r->uses, CA_TICKET_CERTIFICATE, 0, 0);
    core_key_uses_tick(r->uses);
    settled(r); /* that leaf is the last now */
    assert_int_equal(leaves(r), size + 1);
    size = leaves(r);
    for (int i = 0; i < 3; i++) { /* of this log's checkpoints nothing is told */
        core_key_uses_note(r->uses, CA_TICKET_CHECKPOINT, ISSUERS, 0);
        core_key_uses_tick(r->uses);
    }
    assert_int_equal(leaves(r), size);
    add_leaf(r);
    core_key_uses_tick(r->uses);
    add_leaf(r);
    struct ca_leaf leaf = leaf_at(r, size + 1);
    assert_string_equal(leaf.reason, "checkpoint");
    assert_int_equal(leaf.count, 3);
}

static enum tm_err full(struct ca_store *store, struct ca_batch *batch) {
    (void)store;
    (void)batch;
    return TM_EFULL;
}

static void what_the_store_does_not_take_waits(void **state) {
    struct rig *r = *state;
    const struct ca_store_ops *ops = r->f.store->ops;
    struct ca_store_ops refusing = *ops;
    refusing.submit = full;
    int64_t first = now;
    core_key_uses_note(r->uses, CA_TICKET_CRL, 0, 1);
    r->f.store->ops = &refusing;
    core_key_uses_tick(r->uses);
    assert_false(core_key_uses_settle(r->uses));
    r->f.store->ops = ops;
    core_key_uses_note(r->uses, CA_TICKET_CRL, 0, 1);
    while (!core_key_uses_settle(r->uses))
        add_leaf(r);
    struct ca_leaf leaf = leaf_at(r, 0);
    assert_int_equal(leaf.event, CA_EVENT_KEY_USED);
    assert_int_equal(leaf.count, 2);
    assert_int_equal(leaf.since_ms, first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(uses_are_summed, setup, teardown),
        cmocka_unit_test_setup_teardown(every_use_has_its_leaf, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_at_rest_does_not_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_store_does_not_take_waits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
