/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet simulator sees what it is there to see: each test breaks something behind its back and
 * expects a finding. Its runs are in tests/fault/test_fleet.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/fleet/fleet.h"

#define UNIT 3

/* A few devices after two calm years. */
static int setup(void **state) {
    const struct fleet_options options = {.devices = 8, .years = 2, .lifetime_days = 60, .seed = 5};
    struct fleet *f = malloc(sizeof *f);
    assert_non_null(f);
    assert_int_equal(fleet_init(f, fleet_scenario_named("calm"), &options), TM_OK);
    fleet_run(f);
    assert_int_equal(f->watch.findings, 0);
    assert_int_equal(f->totals.well, options.devices);
    memset(&f->totals, 0, sizeof f->totals);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fleet_deinit(*state);
    free(*state);
    return 0;
}

static struct fleet_cert *current_of(struct fleet *f) {
    return &f->plant.certs[f->units[UNIT].current];
}

static void expect_lost(struct fleet *f) {
    fleet_finish(f);
    assert_int_equal(f->totals.lost, 1);
    assert_int_equal(f->totals.well, 7);
    assert_int_equal(f->watch.findings, 1);
}

static void a_device_without_a_valid_certificate_is_found(void **state) {
    struct fleet *f = *state;
    current_of(f)->status = FLEET_REVOKED;
    fleet_sweep(f);
    assert_int_equal(f->watch.findings, 1);
    fleet_sweep(f);
    assert_int_equal(f->watch.findings, 1);
}

static void a_revoked_certificate_is_lost(void **state) {
    struct fleet *f = *state;
    current_of(f)->status = FLEET_REVOKED;
    expect_lost(f);
}

static void an_ended_certificate_is_lost(void **state) {
    struct fleet *f = *state;
    current_of(f)->not_after_ms = f->now_ms - 1;
    expect_lost(f);
}

static void another_certificate_than_the_registrys_is_lost(void **state) {
    struct fleet *f = *state;
    f->units[UNIT].current = current_of(f)->before;
    expect_lost(f);
}

static void a_wrong_certificate_in_use_is_found(void **state) {
    struct fleet *f = *state;
    current_of(f)->wrong = FLEET_WRONG_SUBJECT;
    f->units[UNIT].current = 0;
    fleet_look(f, UNIT);
    assert_int_equal(f->watch.findings, 1);
}

static void a_lost_key_is_found(void **state) {
    struct fleet *f = *state;
    struct fleet_unit *u = &f->units[UNIT];
    fleet_key_free(&u->banks[u->device.journal.slots[TM_SLOT_CURRENT].key_bank]);
    u->current = 0;
    fleet_look(f, UNIT);
    assert_int_equal(f->watch.findings, 1);
}

static void current_that_vanishes_is_found(void **state) {
    struct fleet *f = *state;
    f->units[UNIT].device.journal.slots[TM_SLOT_CURRENT].used = false;
    fleet_look(f, UNIT);
    assert_int_equal(f->watch.findings, 1);
}

static void a_root_that_nobody_vouches_for_is_found(void **state) {
    struct fleet *f = *state;
    struct fleet_unit *u = &f->units[UNIT];
    assert_int_equal(u->storage.write(u, TM_ITEM_ANCHORS_1, fleet_ca_der(&f->plant.stranger)),
                     TM_OK);
    fleet_finish(f);
    assert_int_equal(f->watch.findings, 1);
}

/* As if CURRENT had got one before for another key, and never used it. */
static void a_second_certificate_where_one_was_meant_is_found(void **state) {
    struct fleet *f = *state;
    tm_device_renew(&f->units[UNIT].device);
    fleet_wake(f, UNIT);
    assert_int_equal(f->plant.counts.duplicates, 0);
    struct fleet_cert *current = current_of(f), *unused = &f->plant.certs[current->before];
    *unused = *current;
    unused->proven = false;
    memcpy(unused->identity, current->fingerprint, sizeof unused->identity);
    f->plant.accounts[UNIT].last[FLEET_LDEVID] = fleet_plant_number(&f->plant, unused);
    tm_device_renew(&f->units[UNIT].device);
    fleet_wake(f, UNIT);
    assert_int_equal(f->plant.counts.duplicates, 1);
    assert_int_equal(f->watch.findings, 1);
}

static void a_key_that_is_not_the_certificates_is_found(void **state) {
    struct fleet *f = *state;
    struct fleet_unit *u = &f->units[UNIT];
    struct tm_certificate *slot = &u->device.journal.slots[TM_SLOT_CURRENT];
    struct tm_exchange exchange = {.operation = TM_OP_PROBE,
                                   .label = FLEET_LABEL_LDEVID,
                                   .slot = TM_SLOT_CURRENT,
                                   .chain_bank = slot->chain_bank,
                                   .key_bank = slot->key_bank,
                                   .anchors_bank = u->device.journal.anchors_bank};
    struct tm_answer answer;
    fleet_exchange(f, UNIT, &exchange, &answer);
    assert_int_equal(answer.result, TM_RESULT_OK);
    fleet_key_free(&u->banks[slot->key_bank]);
    assert_int_equal(fleet_key_new(&u->banks[slot->key_bank]), TM_OK);
    fleet_exchange(f, UNIT, &exchange, &answer);
    assert_int_equal(answer.result, TM_RESULT_DENIED);
    assert_int_equal(f->watch.findings, 1);
}

static void a_retired_device_has_to_say_that_it_is_stranded(void **state) {
    struct fleet *f = *state;
    f->plant.accounts[UNIT].retired = true;
    for (size_t i = 0; i < f->options.devices; i++)
        f->units[i].removed = i != UNIT;
    fleet_sweep(f);
    assert_false(f->units[UNIT].removed);
    f->now_ms += FLEET_NOTICE;
    fleet_sweep(f);
    assert_true(f->units[UNIT].removed);
    assert_int_equal(f->watch.findings, 1);
}

static void the_queue_gives_the_earliest_first(void **state) {
    (void)state;
    static const int64_t moments[] = {50, 10, 40, 10, 30};
    static const size_t order[] = {1, 3, 4, 2, 0};
    struct fleet_queue queue;
    int64_t at;
    assert_int_equal(fleet_queue_init(&queue, 5), TM_OK);
    for (size_t i = 0; i < 5; i++)
        fleet_queue_set(&queue, i, moments[i]);
    for (size_t i = 0; i < 5; i++) {
        size_t first = fleet_queue_first(&queue, &at);
        assert_int_equal(first, order[i]);
        assert_int_equal(at, moments[first]);
        fleet_queue_set(&queue, first, INT64_MAX);
    }
    fleet_queue_deinit(&queue);
}

#define BROKEN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        BROKEN(a_device_without_a_valid_certificate_is_found),
        BROKEN(a_revoked_certificate_is_lost),
        BROKEN(an_ended_certificate_is_lost),
        BROKEN(another_certificate_than_the_registrys_is_lost),
        BROKEN(a_wrong_certificate_in_use_is_found),
        BROKEN(a_lost_key_is_found),
        BROKEN(current_that_vanishes_is_found),
        BROKEN(a_root_that_nobody_vouches_for_is_found),
        BROKEN(a_second_certificate_where_one_was_meant_is_found),
        BROKEN(a_key_that_is_not_the_certificates_is_found),
        BROKEN(a_retired_device_has_to_say_that_it_is_stranded),
        cmocka_unit_test(the_queue_gives_the_earliest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
