/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lifecycle against a second, independent account of it: one row of letters per state, as
 * the requirement tells the story.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ca/lifecycle.h"

static const char *const order[] = {"registered",  "provisioning", "manufactured", "stocked",
                                    "shipped",     "activated",    "suspended",    "returned",
                                    "refurbished", "retired",      "revoked"};
#define COUNT (sizeof order / sizeof order[0])

/* Columns as in `order`: who may go there. a = operator, officer, station and its own enrollment,
 * l = not its own enrollment (the line), d = not the station, o = operator or officer, f = officer
 * alone, s = officer or station. */
static const char *const story[] = {
    /*               reg prov manu stock ship act susp ret refurb retired revoked */
    /* registered   */ ".aa..d...sf",
    /* provisioning */ "l.a......sf",
    /* manufactured */ ".l.aod.o.sf",
    /* stocked      */ ".o..od.o.ff",
    /* shipped      */ ".....d.o.ff",
    /* activated    */ "......oo.ff",
    /* suspended    */ ".....o.o.ff",
    /* returned     */ "........off",
    /* refurbished  */ ".a.ood.o.ff",
    /* retired      */ "..........f",
    /* revoked      */ "...........",
};

static unsigned who_of(char letter) {
    static const unsigned line = CA_BY_OPERATOR | CA_BY_OFFICER | CA_BY_STATION;
    switch (letter) {
    case 'a':
        return line | CA_BY_DEVICE;
    case 'l':
        return line;
    case 'd':
        return CA_BY_OPERATOR | CA_BY_OFFICER | CA_BY_DEVICE;
    case 'o':
        return CA_BY_OPERATOR | CA_BY_OFFICER;
    case 'f':
        return CA_BY_OFFICER;
    case 's':
        return CA_BY_OFFICER | CA_BY_STATION;
    default:
        return 0;
    }
}

static enum ca_state named(const char *name) {
    enum ca_state state = 0;
    assert_int_equal(ca_state_find(name, &state), TM_OK);
    return state;
}

static void every_pair_is_as_told(void **ctx) {
    (void)ctx;
    for (size_t from = 0; from < COUNT; from++)
        for (size_t to = 0; to < COUNT; to++)
            if (ca_transition_who(named(order[from]), named(order[to])) != who_of(story[from][to]))
                fail_msg("%s -> %s", order[from], order[to]);
}

static void names_are_those_of_the_requirement(void **ctx) {
    (void)ctx;
    assert_int_equal(COUNT, CA_STATE_LAST);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(named(order[i]), i + 1);
        assert_string_equal(ca_state_name((enum ca_state)(i + 1)), order[i]);
        assert_string_equal(ca_state_words[i + 1], order[i]);
    }
    assert_null(ca_state_words[COUNT + 1]);
    enum ca_state untouched = CA_SHIPPED;
    assert_int_equal(ca_state_find("sold", &untouched), TM_ENOTFOUND);
    assert_int_equal(ca_state_find("stay", &untouched), TM_ENOTFOUND);
    assert_int_equal(untouched, CA_SHIPPED);
}

static void values_out_of_the_table_are_nothing(void **ctx) {
    (void)ctx;
    const unsigned outside[] = {0, CA_STATE_LAST + 1, 31, 255};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        enum ca_state state = (enum ca_state)outside[i];
        assert_string_equal(ca_state_name(state), "unknown");
        assert_false(ca_state_serves(state));
        assert_false(ca_transition_allowed(state, CA_RETIRED));
        assert_false(ca_transition_allowed(CA_ACTIVATED, state));
    }
}

static void only_devices_in_use_are_served(void **ctx) {
    (void)ctx;
    static const char *const refused[] = {"suspended", "returned", "retired", "revoked"};
    for (size_t i = 0; i < COUNT; i++) {
        bool expect = true;
        for (size_t j = 0; j < sizeof refused / sizeof refused[0]; j++)
            expect = expect && strcmp(order[i], refused[j]) != 0;
        assert_int_equal(ca_state_serves(named(order[i])), expect);
    }
}

static void targets_are_listed(void **ctx) {
    (void)ctx;
    char text[80];
    ca_transitions_from(CA_STOCKED, CA_BY_ANY, text, sizeof text);
    assert_string_equal(text, "provisioning, shipped, activated, returned, retired, revoked");
    ca_transitions_from(CA_STOCKED, CA_BY_DEVICE, text, sizeof text);
    assert_string_equal(text, "activated");
    ca_transitions_from(CA_DEVICE_REVOKED, CA_BY_ANY, text, sizeof text);
    assert_string_equal(text, "");
    memset(text, '#', sizeof text);
    ca_transitions_from(CA_STOCKED, CA_BY_ANY, text, 15);
    assert_string_equal(text, "provisioning, ");
    assert_int_equal(text[15], '#');
    ca_who_names(CA_BY_OFFICER | CA_BY_DEVICE, text, sizeof text);
    assert_string_equal(text, "officer, its own enrollment");
}

static void steps_and_moves_fit_the_table(void **ctx) {
    (void)ctx;
    static const char *const names[] = {"suspend", "resume",    "return",
                                        "rework",  "refurbish", "retire"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ca_move *move = ca_move_find(names[i]);
        bool any = false;
        assert_non_null(move);
        for (unsigned from = CA_REGISTERED; from <= CA_STATE_LAST; from++) {
            bool allowed = ca_transition_allowed((enum ca_state)from, move->to);
            any |= allowed;
            if (move->from & 1u << from)
                assert_true(allowed);
        }
        assert_true(any);
    }
    assert_null(ca_move_find("sell"));
    for (unsigned from = CA_REGISTERED; from <= CA_STATE_LAST; from++)
        for (unsigned to = CA_REGISTERED; to <= CA_STATE_LAST; to++) {
            enum ca_step step = ca_transition_step((enum ca_state)from, (enum ca_state)to);
            bool allowed = ca_transition_allowed((enum ca_state)from, (enum ca_state)to);
            bool back = to == CA_PROVISIONING && (from == CA_MANUFACTURED || from == CA_STOCKED);
            assert_int_equal(step == CA_STEP_RETURN, allowed && to == CA_RETURNED);
            assert_int_equal(step == CA_STEP_END,
                             allowed && (to == CA_RETIRED || to == CA_DEVICE_REVOKED));
            assert_int_equal(step == CA_STEP_REFURBISH, allowed && to == CA_REFURBISHED);
            assert_int_equal(step == CA_STEP_REWORK, allowed && back);
        }
}

static void events_have_names(void **ctx) {
    (void)ctx;
    for (unsigned a = CA_EVENT_STARTED; a <= CA_EVENT_LAST; a++) {
        assert_string_not_equal(ca_event_name((enum ca_event)a), "unknown");
        for (unsigned b = a + 1; b <= CA_EVENT_LAST; b++)
            assert_string_not_equal(ca_event_name((enum ca_event)a),
                                    ca_event_name((enum ca_event)b));
    }
    assert_string_equal(ca_event_name((enum ca_event)(CA_EVENT_LAST + 1)), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_is_as_told),
        cmocka_unit_test(names_are_those_of_the_requirement),
        cmocka_unit_test(values_out_of_the_table_are_nothing),
        cmocka_unit_test(only_devices_in_use_are_served),
        cmocka_unit_test(targets_are_listed),
        cmocka_unit_test(steps_and_moves_fit_the_table),
        cmocka_unit_test(events_have_names),
    };
    return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
