/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a device, and power cuts in each of its writes (requirements E2 to E6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/device_rig.h"

static int setup(void **state) {
    *state = rig_new();
    return 0;
}

static int teardown(void **state) {
    rig_free(*state);
    return 0;
}

/* Current and IDevID are the server's newest, nothing is under way, the secret is gone. */
static void assert_settled(struct rig *r) {
    assert_true(rig_holds(r, TM_SLOT_IDEVID, rig_active(r, true)));
    assert_true(rig_holds(r, TM_SLOT_CURRENT, rig_active(r, false)));
    assert_false(r->device.journal.slots[TM_SLOT_NEXT].used);
    assert_false(r->items[TM_ITEM_BOOTSTRAP].there);
}

static void enroll(struct rig *r) {
    assert_int_equal(rig_boot(r), TM_OK);
    assert_int_equal(rig_run(r, DAY_MS), TM_OK);
    assert_settled(r);
}

static void enrolls_once_and_then_waits(void **state) {
    struct rig *r = *state;
    enroll(r);
    assert_int_equal(rig_count(r, true), 1);
    assert_int_equal(rig_count(r, false), 1);
    assert_int_equal(r->told[TM_EVENT_ENROLLED], 2);
    assert_int_equal(r->told[TM_EVENT_BOOTSTRAP_ERASED], 1);
    unsigned before = r->exchanges;
    assert_int_equal(rig_run(r, 50 * DAY_MS), TM_OK);
    assert_int_equal(r->exchanges, before);
}

/* 2/3 of 90 days is day 60; the window is a twelfth: 7.5 days. */
static void renews_in_its_window(void **state) {
    struct rig *r = *state;
    enroll(r);
    struct tm_status status;
    tm_device_status(&r->device, r->now, &status);
    int64_t from = status.slots[TM_SLOT_CURRENT].not_before_ms;
    assert_true(status.renew_at_ms >= from + 60 * DAY_MS);
    assert_true(status.renew_at_ms <= from + 60 * DAY_MS + 90 * DAY_MS / 12);
    assert_int_equal(rig_run(r, 58 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 1);
    assert_int_equal(rig_run(r, 10 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 2);
    assert_int_equal(r->told[TM_EVENT_RENEWED], 1);
    assert_settled(r);
}

static void keeps_the_previous_one_for_the_soak_time(void **state) {
    struct rig *r = *state;
    enroll(r);
    const struct rig_issued *first = rig_active(r, false);
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 3600000), TM_OK);
    assert_true(rig_holds(r, TM_SLOT_PREVIOUS, first));
    assert_int_equal(rig_run(r, 2 * DAY_MS), TM_OK);
    assert_false(r->device.journal.slots[TM_SLOT_PREVIOUS].used);
    assert_settled(r);
    unsigned keys = 0;
    for (unsigned i = 0; i < TM_BANKS; i++)
        keys += r->banks[i].pkey != NULL;
    assert_int_equal(keys, 2); /* IDevID and current: the old key is destroyed */
}

static void may_keep_its_key(void **state) {
    struct rig *r = *state;
    r->config.keep_key = true;
    enroll(r);
    const struct rig_issued *first = rig_active(r, false);
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 3 * DAY_MS), TM_OK);
    const struct rig_issued *second = rig_active(r, false);
    assert_ptr_not_equal(first, second);
    assert_memory_equal(first->spki, second->spki, TM_SPKI_MAX);
    assert_settled(r);
}

static void waits_for_a_slow_key_store(void **state) {
    struct rig *r = *state;
    r->again = 5;
    enroll(r);
    assert_int_equal(rig_count(r, false), 1);
}

static void a_lost_answer_is_asked_for_again(void **state) {
    struct rig *r = *state;
    r->lose_answers = 3;
    enroll(r);
    assert_int_equal(rig_count(r, true), 1);
    assert_int_equal(rig_count(r, false), 1);
    r->lose_answers = 4;
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 2 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 2);
    assert_settled(r);
}

static void an_outage_is_waited_out(void **state) {
    struct rig *r = *state;
    enroll(r);
    r->offline = true;
    unsigned before = r->exchanges;
    assert_int_equal(rig_run(r, 80 * DAY_MS), TM_OK);
    assert_true(r->exchanges - before < 200); /* it backs off: about 12 days at 6 h at most */
    assert_true(r->device.journal.slots[TM_SLOT_CURRENT].used);
    assert_int_equal(r->told[TM_EVENT_STRANDED], 0);
    r->offline = false;
    assert_int_equal(rig_run(r, DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 2);
    assert_int_equal(r->told[TM_EVENT_RECOVERED], 0);
    assert_settled(r);
}

static void retry_after_is_kept(void **state) {
    struct rig *r = *state;
    r->later = true;
    r->retry_after_s = 7200;
    assert_int_equal(rig_boot(r), TM_OK);
    assert_int_equal(rig_run(r, 7100000), TM_OK);
    unsigned before = r->exchanges;
    assert_true(before >= 1 && before <= 2);
    r->later = false;
    assert_int_equal(rig_run(r, 50000), TM_OK);
    assert_int_equal(r->exchanges, before);
    assert_int_equal(rig_run(r, DAY_MS), TM_OK);
    assert_settled(r);
}

static void the_idevid_brings_back_what_expired(void **state) {
    struct rig *r = *state;
    enroll(r);
    r->offline = true;
    assert_int_equal(rig_run(r, 200 * DAY_MS), TM_OK);
    r->offline = false;
    assert_int_equal(rig_run(r, DAY_MS), TM_OK);
    assert_int_equal(r->told[TM_EVENT_RECOVERED], 1);
    assert_settled(r);
}

static void the_idevid_brings_back_what_is_refused(void **state) {
    struct rig *r = *state;
    enroll(r);
    r->issued[1].revoked = true;
    assert_int_equal(rig_run(r, 80 * DAY_MS), TM_OK);
    assert_int_equal(r->told[TM_EVENT_RECOVERED], 1);
    assert_int_equal(r->told[TM_EVENT_STRANDED], 0);
    assert_settled(r);
}

static void a_revoked_device_says_that_it_is_stranded(void **state) {
    struct rig *r = *state;
    enroll(r);
    r->issued[0].revoked = r->issued[1].revoked = true;
    assert_int_equal(rig_run(r, 120 * DAY_MS), TM_OK);
    assert_int_equal(r->told[TM_EVENT_STRANDED], 1);
    assert_int_equal(rig_count(r, false), 1);
    assert_string_equal(r->text, "the credential is refused");
}

static void bad_certificates_are_never_used(void **state) {
    struct rig *r = *state;
    enroll(r);
    for (enum rig_flaw flaw = RIG_SOUND + 1; flaw < RIG_FLAWS; flaw++) {
        unsigned discarded = r->told[TM_EVENT_DISCARDED];
        struct tm_certificate before = r->device.journal.slots[TM_SLOT_CURRENT];
        r->flaw = flaw;
        tm_device_renew(&r->device);
        assert_int_equal(rig_run(r, 120000), TM_OK);
        assert_true(r->told[TM_EVENT_DISCARDED] > discarded);
        assert_memory_equal(&r->device.journal.slots[TM_SLOT_CURRENT], &before, sizeof before);
        r->flaw = RIG_SOUND;
        assert_int_equal(rig_run(r, 3 * DAY_MS), TM_OK);
        assert_settled(r);
    }
}

static void a_refused_probe_keeps_the_device_where_it_is(void **state) {
    struct rig *r = *state;
    enroll(r);
    struct tm_certificate before = r->device.journal.slots[TM_SLOT_CURRENT];
    r->probe = TM_RESULT_DENIED;
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, DAY_MS), TM_OK);
    assert_memory_equal(&r->device.journal.slots[TM_SLOT_CURRENT], &before, sizeof before);
    assert_true(r->told[TM_EVENT_FAILED] > 0);
    r->probe = TM_RESULT_OK;
    assert_int_equal(rig_run(r, 3 * DAY_MS), TM_OK);
    assert_settled(r);
}

static void an_unreachable_probe_is_repeated(void **state) {
    struct rig *r = *state;
    enroll(r);
    r->probe = TM_RESULT_NETWORK;
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 5 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 2); /* one request, however long it lasts */
    assert_int_equal(r->told[TM_EVENT_DISCARDED], 0);
    r->probe = TM_RESULT_OK;
    assert_int_equal(rig_run(r, 3 * DAY_MS), TM_OK);
    assert_settled(r);
}

static void a_refusal_in_the_soak_time_rolls_back(void **state) {
    struct rig *r = *state;
    enroll(r);
    const struct rig_issued *first = rig_active(r, false);
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 3600000), TM_OK);
    tm_device_used(&r->device, false);
    assert_int_equal(rig_run(r, 10), TM_OK);
    assert_int_equal(r->told[TM_EVENT_ROLLED_BACK], 1);
    assert_true(rig_holds(r, TM_SLOT_CURRENT, first));
    assert_int_equal(rig_run(r, 70 * DAY_MS), TM_OK);
    assert_settled(r);
}

static void trust_follows_the_rollover(void **state) {
    struct rig *r = *state;
    enroll(r);
    r->rolled_over = true;
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 3 * DAY_MS), TM_OK);
    assert_int_equal(r->told[TM_EVENT_ANCHORS] >= 1, 1);
    r->issuer = &r->new_issuing;
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 3 * DAY_MS), TM_OK);
    assert_int_equal(r->told[TM_EVENT_DISCARDED], 0);
    assert_settled(r);
}

static void a_device_without_a_clock_learns_the_time(void **state) {
    struct rig *r = *state;
    r->clockless = r->tells_time = true;
    enroll(r);
    assert_int_equal(rig_run(r, 70 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 2);
    assert_int_equal(rig_boot(r), TM_OK); /* and again after each start */
    assert_int_equal(rig_run(r, 70 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 3);
    assert_settled(r);
}

static void without_any_time_the_uptime_counts(void **state) {
    struct rig *r = *state;
    r->clockless = true;
    enroll(r);
    assert_int_equal(rig_run(r, 70 * DAY_MS), TM_OK);
    assert_int_equal(rig_count(r, false), 2);
    assert_settled(r);
}

/* ---- power ---- */

struct story {
    const char *name;
    void (*before)(struct rig *r); /* without cuts */
    void (*act)(struct rig *r);    /* what is asked of the device, and again after each start */
    int64_t days;                  /* how long it goes on afterwards */
    unsigned ldevids;              /* that there are in the end */
};

static void nothing(struct rig *r) {
    (void)r;
}

static void renew(struct rig *r) {
    if (rig_count(r, false) < 2)
        tm_device_renew(&r->device);
}

static void renewed(struct rig *r) {
    enroll(r);
    tm_device_renew(&r->device);
    assert_int_equal(rig_run(r, 3600000), TM_OK);
}

static void refuse(struct rig *r) {
    tm_device_used(&r->device, false);
}

static void doubt(struct rig *r) {
    if (rig_count(r, false) < 2)
        for (int i = 0; i < 3; i++)
            tm_device_used(&r->device, false);
}

static void expire(struct rig *r) {
    enroll(r);
    r->offline = true;
    assert_int_equal(rig_run(r, 200 * DAY_MS), TM_OK);
    r->offline = false;
}

static const struct story STORIES[] = {
    {"enroll", nothing, nothing, 3, 1},
    {"renew", enroll, renew, 3, 2},
    {"end of the soak time", renewed, nothing, 3, 2},
    {"roll back", renewed, refuse, 70, 3},
    {"recover what is refused", enroll, doubt, 3, 2},
    {"recover what expired", expire, nothing, 3, 2},
};

/* Cuts power in write `at`; false when the story ends before it. */
static bool tell_story(const struct story *story, unsigned at, enum rig_cut cut) {
    struct rig *r = rig_new();
    story->before(r);
    bool booted = rig_boot(r) == TM_OK;
    assert_true(booted);
    story->act(r);
    r->writes = 0;
    r->cut_at = at;
    r->cut = cut;
    enum tm_err err = rig_run(r, 2 * DAY_MS);
    bool was_cut = r->dead;
    assert_int_equal(err != TM_OK, was_cut);
    r->cut_at = 0;
    if (was_cut)
        assert_int_equal(rig_boot(r), TM_OK);
    if (was_cut && story->act != refuse)
        story->act(r);
    assert_int_equal(rig_run(r, story->days * DAY_MS), TM_OK);
    assert_settled(r);
    assert_int_equal(rig_count(r, true), 1);
    assert_int_equal(rig_count(r, false), story->ldevids);
    assert_int_equal(r->told[TM_EVENT_STRANDED], 0);
    rig_free(r);
    return was_cut;
}

static void power_may_fail_in_any_write(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof STORIES / sizeof STORIES[0]; i++)
        for (enum rig_cut cut = 0; cut < RIG_CUT_KINDS; cut++) {
            unsigned at = 1;
            while (tell_story(&STORIES[i], at, cut))
                at++;
            assert_in_range(at, 2, 40);
            print_message("%s: %u writes cut (kind %d)\n", STORIES[i].name, at - 1, (int)cut);
        }
}

/* Cut after cut, in the order of the writes: each start gets a little further. */
static void power_may_fail_again_and_again(void **state) {
    struct rig *r = *state;
    unsigned cuts = 0;
    enum tm_err err = TM_EIO;
    for (; err && cuts < 200; cuts++) {
        r->writes = 0;
        r->cut_at = 2 + cuts / 20;
        r->cut = (enum rig_cut)(cuts % RIG_CUT_KINDS);
        err = rig_boot(r);
        if (!err)
            err = rig_run(r, DAY_MS);
    }
    assert_in_range(cuts, 3, 199);
    assert_settled(r);
    assert_int_equal(rig_count(r, true), 1);
    assert_int_equal(rig_count(r, false), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(enrolls_once_and_then_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(renews_in_its_window, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_the_previous_one_for_the_soak_time, setup, teardown),
        cmocka_unit_test_setup_teardown(may_keep_its_key, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_a_slow_key_store, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_answer_is_asked_for_again, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outage_is_waited_out, setup, teardown),
        cmocka_unit_test_setup_teardown(retry_after_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(the_idevid_brings_back_what_expired, setup, teardown),
        cmocka_unit_test_setup_teardown(the_idevid_brings_back_what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoked_device_says_that_it_is_stranded, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_certificates_are_never_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_probe_keeps_the_device_where_it_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unreachable_probe_is_repeated, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_in_the_soak_time_rolls_back, setup, teardown),
        cmocka_unit_test_setup_teardown(trust_follows_the_rollover, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_without_a_clock_learns_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(without_any_time_the_uptime_counts, setup, teardown),
        cmocka_unit_test(power_may_fail_in_any_write),
        cmocka_unit_test_setup_teardown(power_may_fail_again_and_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
