/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log as events (server/core/events.c) from a real store over a real link: in order, at
 * least once, from the cursor on. */
#include "tests/unit/store_fixture.h"

#include <jansson.h>

#include "ipc/link.h"
#include "server/core/core.h"

struct rig {
    struct fixture f; /* first */
    struct core_events *events;
    struct ipc_link *link;
    int bridge; /* the other end */
    uint64_t first;
};

static void nothing_comes(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    (void)arg;
    (void)link;
    (void)message;
    (void)fd;
}

static void link_closed(void *arg, struct ipc_link *link) {
    (void)arg;
    (void)link;
}

static const struct ipc_link_events link_events = {nothing_comes, link_closed};

static void link_bridge(struct rig *r) {
    int ends[2];
    assert_int_equal(ipc_pair(ends), TM_OK);
    r->bridge = ends[1];
    assert_int_equal(ipc_link_open(r->f.loop, ends[0], 256, &link_events, r, &r->link), TM_OK);
    core_events_link(r->events, r->link);
}

static void unlink_bridge(struct rig *r) {
    core_events_unlink(r->events, r->link);
    ipc_link_close(r->link);
    (void)close(r->bridge);
    r->link = NULL;
}

static void add_leaf(struct rig *r, const char *device, const char *reason) {
    struct ca_leaf leaf = {.event = CA_EVENT_DEVICE_ADDED, .time_ms = 1700000000000};
    TEXT_SET(leaf.tenant, "acme");
    TEXT_SET(leaf.device, device);
    TEXT_SET(leaf.reason, reason);
    assert_int_equal(COMMIT(&r->f, NULL, {.kind = CA_ADD_LEAF, .u.leaf = &leaf}), TM_OK);
}

static void add_leaves(struct rig *r, size_t n) {
    for (size_t i = 0; i < n; i++)
        add_leaf(r, "d", "");
}

/* Runs the loop until the cursor is durable. */
static void settle(struct rig *r) {
    for (size_t i = 0; i < 1000 && !core_events_settle(r->events); i++)
        add_leaves(r, 1); /* durable after what was submitted before it */
    assert_true(core_events_settle(r->events));
}

static void open_events(struct rig *r) {
    assert_int_equal(core_events_new(r->f.store, &r->events), TM_OK);
}

/* The core dies, or ends, and another one comes. */
static void restart(struct rig *r) {
    unlink_bridge(r);
    fixture_reopen(&r->f);
    core_events_free(r->events);
    open_events(r);
    link_bridge(r);
}

static int setup(void **state) {
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    *state = r;
    fixture_start(&r->f);
    add_leaves(r, 3);
    r->first = 3;
    open_events(r);
    link_bridge(r);
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    unlink_bridge(r);
    fixture_end(&r->f);
    core_events_free(r->events);
    free(r);
    return 0;
}

/* False: there is none. room keeps what ret borrows. */
static bool next_event(struct rig *r, struct ipc_event *ret, uint8_t room[IPC_MESSAGE_MAX]) {
    struct bytes message;
    if (ipc_receive(r->bridge, room, IPC_MESSAGE_MAX, 0, &message))
        return false;
    assert_int_equal(codec_decode(&ipc_event_schema, message, ret), TM_OK);
    return true;
}

static void assert_events(struct rig *r, uint64_t from, size_t n) {
    static uint8_t room[IPC_MESSAGE_MAX];
    struct ipc_event event;
    for (uint64_t i = 0; i < n; i++) {
        assert_true(next_event(r, &event, room));
        assert_int_equal(event.sequence, from + i);
    }
    assert_false(next_event(r, &event, room));
}

static void test_begins_at_the_end_and_tells_what_the_log_says(void **state) {
    struct rig *r = *state;
    uint8_t room[IPC_MESSAGE_MAX];
    struct ipc_event event;
    assert_false(next_event(r, &event, room));
    add_leaf(r, "pump-7", "because");
    core_events_pump(r->events);
    assert_true(next_event(r, &event, room));
    assert_int_equal(event.sequence, 3);
    assert_string_equal(event.name, "device-added");
    assert_string_equal(event.tenant, "acme");
    assert_string_equal(event.device, "pump-7");
    json_t *json = json_loadb((const char *)event.json.p, event.json.n, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "sequence")), 3);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), "because");
    json_decref(json);
}

static void test_waits_for_acknowledgements(void **state) {
    struct rig *r = *state;
    add_leaves(r, CORE_EVENTS_WINDOW + 10);
    core_events_pump(r->events);
    assert_events(r, r->first, CORE_EVENTS_WINDOW);
    assert_true(core_events_ack(r->events, r->first + 3));
    core_events_pump(r->events);
    assert_events(r, r->first + CORE_EVENTS_WINDOW, 4);
    assert_true(core_events_ack(r->events, r->first)); /* late */
    assert_int_equal(core_events_next(r->events), r->first + 4);
    assert_true(core_events_ack(r->events, r->first + CORE_EVENTS_WINDOW + 3));
    core_events_pump(r->events);
    assert_events(r, r->first + CORE_EVENTS_WINDOW + 4, 6);
}

static void test_what_is_not_there_is_not_acknowledged(void **state) {
    struct rig *r = *state;
    add_leaves(r, 2);
    core_events_pump(r->events);
    assert_false(core_events_ack(r->events, r->first + 2));
    assert_false(core_events_ack(r->events, UINT64_MAX));
    assert_int_equal(core_events_next(r->events), r->first);
}

static void test_a_new_link_gets_again_what_was_not_acknowledged(void **state) {
    struct rig *r = *state;
    add_leaves(r, 5);
    core_events_pump(r->events);
    assert_events(r, r->first, 5);
    assert_true(core_events_ack(r->events, r->first + 1));
    unlink_bridge(r);
    core_events_pump(r->events);
    link_bridge(r);
    assert_events(r, r->first + 2, 3);
}

static void test_a_restart_goes_on_from_the_cursor(void **state) {
    struct rig *r = *state;
    settle(r);
    uint64_t begin = core_events_next(r->events);
    assert_int_equal(begin, r->first);
    restart(r); /* nothing was ever acknowledged: what came since the first start is not lost */
    add_leaves(r, 5);
    core_events_pump(r->events);
    static uint8_t room[IPC_MESSAGE_MAX];
    struct ipc_event event;
    uint64_t last = 0;
    while (next_event(r, &event, room))
        last = event.sequence;
    assert_true(last >= begin + 4);
    assert_true(core_events_ack(r->events, last - 2));
    restart(r); /* before the cursor was saved: again, not lost */
    assert_events(r, begin, (size_t)(last - begin + 1));
    assert_true(core_events_ack(r->events, last));
    settle(r);
    uint64_t size = last + 1;
    struct ca_audit_head head;
    assert_int_equal(r->f.store->ops->audit_head(r->f.store, &head), TM_OK);
    restart(r);
    assert_events(r, size, (size_t)(head.size - size));
}

/* A core that died had sent more than its successor did yet. */
static void test_acknowledged_before_it_was_sent_again(void **state) {
    struct rig *r = *state;
    unlink_bridge(r);
    add_leaves(r, 6);
    assert_true(core_events_ack(r->events, r->first + 3));
    link_bridge(r);
    assert_events(r, r->first + 4, 2);
}

static void fill(char *text, size_t cap) {
    memset(text, '"', cap - 1); /* two octets in JSON */
    text[cap - 1] = '\0';
}

static void test_the_longest_leaf_is_an_event(void **state) {
    struct rig *r = *state;
    struct ca_leaf leaf = {.event = CA_EVENT_REFUSED_MANY,
                           .time_ms = 1700000000000,
                           .origin = IPC_ORIGIN_HTTPS,
                           .operation = IPC_OP_REENROLL,
                           .outcome = IPC_BAD_CONTENT_TYPE,
                           .from_state = CA_MANUFACTURED,
                           .to_state = CA_MANUFACTURED,
                           .request = UINT64_MAX,
                           .count = UINT32_MAX,
                           .serial = {.octets = {1}, .n = CA_SERIAL_MAX}};
    fill(leaf.tenant, sizeof leaf.tenant);
    fill(leaf.device, sizeof leaf.device);
    fill(leaf.profile, sizeof leaf.profile);
    fill(leaf.actor, sizeof leaf.actor);
    fill(leaf.remote, sizeof leaf.remote);
    fill(leaf.site, sizeof leaf.site);
    fill(leaf.reason, sizeof leaf.reason);
    assert_int_equal(COMMIT(&r->f, NULL, {.kind = CA_ADD_LEAF, .u.leaf = &leaf}), TM_OK);
    core_events_pump(r->events);
    static uint8_t room[IPC_MESSAGE_MAX];
    struct ipc_event event;
    assert_true(next_event(r, &event, room));
    json_t *json = json_loadb((const char *)event.json.p, event.json.n, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), leaf.reason);
    json_decref(json);
}

/* None at all is nothing special. */
static void test_no_events(void **state) {
    (void)state;
    core_events_pump(NULL);
    core_events_tick(NULL);
    core_events_link(NULL, NULL);
    core_events_unlink(NULL, NULL);
    assert_true(core_events_settle(NULL));
    assert_false(core_events_ack(NULL, 0));
    core_events_free(NULL);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_begins_at_the_end_and_tells_what_the_log_says),
        RIG_TEST(test_waits_for_acknowledgements),
        RIG_TEST(test_what_is_not_there_is_not_acknowledged),
        RIG_TEST(test_a_new_link_gets_again_what_was_not_acknowledged),
        RIG_TEST(test_a_restart_goes_on_from_the_cursor),
        RIG_TEST(test_acknowledged_before_it_was_sent_again),
        RIG_TEST(test_the_longest_leaf_is_an_event),
        cmocka_unit_test(test_no_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
