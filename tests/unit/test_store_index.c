/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of devices against a search through the whole store: after random changes, while it is
 * behind, after its process was killed, and when it was thrown away, damaged or is of another
 * store.
 */
#include <signal.h>
#include <sys/wait.h>

#include "store/index.h"
#include "tests/unit/store_fixture.h"

enum { DEVICES = 60, ROUNDS = 15, QUESTIONS = 60, KILLS = 4 };
#define NOW INT64_C(1800000000000)
#define DAY INT64_C(86400000)
#define MINUTE INT64_C(60000)

/* ---- what happens to devices ---- */

struct world {
    struct fixture *f;
    struct ca_index *index;
    uint32_t random;
    int64_t now_ms;
    uint64_t serials;
    struct ca_leaf *leaves; /* of the store, as read_leaves found them; freed by teardown */
    size_t leaf_count;
};

static uint32_t pick(struct world *w, uint32_t n) {
    w->random = w->random * 1664525u + 1013904223u;
    return (w->random >> 8) % n;
}

static const char *const tenants[] = {"acme", "globex"};
static const char *const profiles[] = {"idevid", "ldevid", "vpn"};
static const char *const batches[] = {"", "b1", "b2"};
static const char *const sites[] = {"plant-1", "plant-2"};
static const uint8_t outcomes[] = {IPC_EXPIRED, IPC_DUPLICATE_KEY, IPC_ALREADY_ISSUED, IPC_BAD_CSR,
                                   IPC_BUSY};

static struct ca_device read_device(struct world *w, const char *tenant, uint32_t n) {
    struct ca_device device = sample_device(n);
    struct ca_store *store = w->f->store;
    TEXT_SET(device.tenant, tenant);
    if (store->ops->device(store, tenant, device.id, &device)) {
        device.version = 0;
        device.created_ms = w->now_ms;
        TEXT_SET(device.batch, batches[pick(w, 3)]);
        TEXT_SET(device.site, sites[pick(w, 2)]);
        TEXT_SET(device.station, pick(w, 2) ? "st-1" : "st-2");
        TEXT_SET(device.job, pick(w, 2) ? "job-1" : "");
    }
    device.version++;
    device.changed_ms = w->now_ms;
    return device;
}

static struct ca_leaf leaf_of(const struct world *w, enum ca_event event,
                              const struct ca_device *device) {
    struct ca_leaf leaf = {.event = (uint8_t)event, .time_ms = w->now_ms, .actor = "cert:00"};
    TEXT_SET(leaf.tenant, device->tenant);
    TEXT_SET(leaf.device, device->id);
    return leaf;
}

static void put(struct world *w, struct ca_device *device, struct ca_leaf *leaf) {
    assert_int_equal(COMMIT(w->f, NULL, change_device(device), change_leaf(leaf)), TM_OK);
}

static void change_state(struct world *w, struct ca_device *device) {
    struct ca_leaf leaf = leaf_of(w, CA_EVENT_TRANSITION, device);
    device->state = (uint8_t)(1 + pick(w, CA_STATE_LAST));
    if (pick(w, 3) == 0)
        TEXT_SET(device->batch, batches[pick(w, 3)]);
    put(w, device, &leaf);
}

static void get_certificate(struct world *w, struct ca_device *device) {
    struct ca_leaf leaf = leaf_of(w, CA_EVENT_ISSUED, device);
    const char *profile = profiles[pick(w, 3)];
    for (size_t i = 0; i < device->cert_count; i++)
        if (strcmp(device->certs[i].profile, profile) == 0)
            device->certs[i].status = CA_CERT_SUPERSEDED;
    if (device->cert_count == CA_DEVICE_CERTS_MAX)
        device->cert_count--;
    memmove(&device->certs[1], &device->certs[0], device->cert_count * sizeof device->certs[0]);
    device->cert_count++;
    device->certs[0] =
        (struct ca_cert_ref){.serial = sample_serial(++w->serials),
                             .status = pick(w, 8) ? CA_CERT_ACTIVE : CA_CERT_UNCONFIRMED,
                             .issued_ms = w->now_ms,
                             .not_after_ms = w->now_ms + pick(w, 100) * DAY - 10 * DAY};
    TEXT_SET(device->certs[0].profile, profile);
    TEXT_SET(leaf.profile, profile);
    leaf.operation = pick(w, 2) ? IPC_OP_REENROLL : IPC_OP_ENROLL;
    put(w, device, &leaf);
}

static void be_refused(struct world *w, const struct ca_device *device) {
    struct ca_leaf leaf = leaf_of(w, CA_EVENT_REFUSED, device);
    leaf.outcome = outcomes[pick(w, 5)];
    TEXT_SET(leaf.profile, profiles[pick(w, 3)]);
    if (pick(w, 4) == 0) { /* it did not prove that it is the device */
        leaf.outcome = IPC_BAD_SECRET;
        (void)snprintf(leaf.actor, sizeof leaf.actor, "unproven:%s", device->id);
        leaf.device[0] = 0;
    }
    assert_int_equal(COMMIT(w->f, NULL, change_leaf(&leaf)), TM_OK);
}

static void change_something(struct world *w) {
    w->now_ms += 1 + pick(w, 5 * MINUTE);
    struct ca_device device = read_device(w, tenants[pick(w, 2)], pick(w, DEVICES));
    uint32_t what = device.version == 1 ? 0 : pick(w, 4);
    if (what <= 1)
        change_state(w, &device);
    else if (what == 2)
        get_certificate(w, &device);
    else
        be_refused(w, &device);
}

static void step_all(struct world *w) {
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 10000);
        assert_int_equal(store_index_step(w->index, &more), TM_OK);
    }
}

static void open_index(struct world *w) {
    assert_int_equal(store_index_open(w->f->store, w->f->path, 256 * MIB, &w->index), TM_OK);
}

/* ---- the search through everything ---- */

/* The whole audit log, before questions about many devices: each would read it again. */
static void read_leaves(struct world *w) {
    struct ca_store *store = w->f->store;
    size_t size = 1024;
    w->leaf_count = 0;
    w->leaves = realloc(w->leaves, size * sizeof *w->leaves);
    assert_non_null(w->leaves);
    while (!store->ops->leaf(store, w->leaf_count, &w->leaves[w->leaf_count])) {
        if (++w->leaf_count < size)
            continue;
        size *= 2;
        w->leaves = realloc(w->leaves, size * sizeof *w->leaves);
        assert_non_null(w->leaves);
    }
}

/* Refusals since the last certificate, from the audit log. */
static struct ca_trouble troubles(const struct world *w, const struct ca_device *device,
                                  bool duplicates) {
    struct ca_trouble trouble = {0};
    char unproven[IPC_TEXT_MAX + 1];
    (void)snprintf(unproven, sizeof unproven, "unproven:%s", device->id);
    for (size_t n = 0; n < w->leaf_count; n++) {
        const struct ca_leaf *leaf = &w->leaves[n];
        bool same = strcmp(leaf->tenant, device->tenant) == 0 &&
                    (strcmp(leaf->device, device->id) == 0 || strcmp(leaf->actor, unproven) == 0);
        if (same && leaf->event == CA_EVENT_ISSUED && !duplicates)
            trouble = (struct ca_trouble){0};
        if (!same || leaf->event != CA_EVENT_REFUSED || leaf->outcome == IPC_BUSY)
            continue;
        if (duplicates && leaf->outcome != IPC_DUPLICATE_KEY && leaf->outcome != IPC_ALREADY_ISSUED)
            continue;
        trouble.first_ms = trouble.outcome ? trouble.first_ms : leaf->time_ms;
        trouble.outcome = leaf->outcome;
        trouble.last_ms = leaf->time_ms;
        trouble.count++;
    }
    return trouble;
}

static bool word(const char *wanted, const char *is) {
    return !wanted[0] || strcmp(wanted, is) == 0;
}

static bool in_time(const struct ca_find *q, int64_t ms) {
    return ms >= q->from_ms && (!q->until_ms || ms < q->until_ms);
}

static bool only_one(const struct ca_device *device, const char *profile) {
    size_t n = 0;
    for (size_t i = 0; i < device->cert_count; i++)
        n += strcmp(device->certs[i].profile, profile) == 0;
    return n == 1;
}

static size_t certificates_fit(const struct ca_find *q, const struct ca_device *device) {
    size_t n = 0;
    for (size_t i = 0; i < device->cert_count; i++) {
        const struct ca_cert_ref *ref = &device->certs[i];
        bool expiring = q->question == CA_FIND_EXPIRING;
        if (ca_cert_in_use(ref) && word(q->profile, ref->profile) &&
            (expiring || only_one(device, ref->profile)) &&
            in_time(q, expiring ? ref->not_after_ms : ref->issued_ms))
            n++;
    }
    return n;
}

static bool has_profile(const struct ca_find *q, const struct ca_device *device) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (ca_cert_in_use(&device->certs[i]) && strcmp(device->certs[i].profile, q->profile) == 0)
            return true;
    return !q->profile[0];
}

/* How often the device is an answer: once per certificate that is one. */
static size_t should(struct world *w, const struct ca_find *q, const struct ca_device *device) {
    struct ca_trouble trouble;
    if (!word(q->batch, device->batch) || !word(q->site, device->site) ||
        !word(q->station, device->station) || !word(q->job, device->job) ||
        !word(q->sku, device->sku) || (q->state && q->state != device->state))
        return 0;
    switch (q->question) {
    case CA_FIND_MATCHING:
        return has_profile(q, device);
    case CA_FIND_STUCK:
        return has_profile(q, device) && in_time(q, device->changed_ms) &&
               (q->state || device->state == CA_PROVISIONING || device->state == CA_MANUFACTURED ||
                device->state == CA_RETURNED || device->state == CA_REFURBISHED);
    case CA_FIND_FAILING:
    case CA_FIND_DUPLICATE:
        trouble = troubles(w, device, q->question == CA_FIND_DUPLICATE);
        return trouble.outcome && (!q->outcome || q->outcome == trouble.outcome) &&
               in_time(q, trouble.last_ms);
    default:
        return certificates_fit(q, device);
    }
}

struct answers {
    struct world *world;
    const struct ca_find *question;
    size_t count;
    size_t times[DEVICES]; /* by number of the device */
    int64_t last_minute;
    bool behind; /* the index does not know all: trouble may be more than it says */
};

static void got(void *arg, const struct ca_found *found) {
    struct answers *a = arg;
    const struct ca_device *device = found->device;
    int64_t ms = a->question->question == CA_FIND_STUCK ? device->changed_ms : 0;
    if (found->cert)
        ms = a->question->question == CA_FIND_EXPIRING ? found->cert->not_after_ms
                                                       : found->cert->issued_ms;
    if (found->trouble) {
        struct ca_trouble is =
            troubles(a->world, device, a->question->question == CA_FIND_DUPLICATE);
        ms = found->trouble->last_ms;
        if (!a->behind) {
            assert_int_equal(found->trouble->outcome, is.outcome);
            assert_int_equal(found->trouble->count, is.count);
            assert_int_equal(found->trouble->first_ms, is.first_ms);
            assert_int_equal(found->trouble->last_ms, is.last_ms);
        }
    }
    assert_true(ms / MINUTE >= a->last_minute);
    a->last_minute = ms / MINUTE;
    assert_string_equal(device->tenant, a->question->tenant);
    a->times[strtoul(device->id + strlen("dev-"), NULL, 10)]++;
    a->count++;
}

static void ask(struct world *w, const struct ca_find *q, size_t width, bool behind,
                struct answers *ret) {
    struct ca_find_cursor cursor = {0};
    bool end = false;
    memset(ret, 0, sizeof *ret);
    ret->world = w;
    ret->question = q;
    ret->behind = behind;
    ret->last_minute = INT64_MIN;
    for (int i = 0; !end; i++) {
        size_t before = ret->count;
        assert_true(i < 1000);
        assert_int_equal(store_index_find(w->index, q, &cursor, width, got, ret, &end), TM_OK);
        assert_true(ret->count - before <= width);
    }
}

static struct ca_find some_question(struct world *w) {
    struct ca_find q = {.question = (enum ca_question)(1 + pick(w, CA_FIND_LAST))};
    TEXT_SET(q.tenant, tenants[pick(w, 2)]);
    TEXT_SET(q.batch, pick(w, 3) ? "" : batches[pick(w, 3)]);
    TEXT_SET(q.site, pick(w, 3) ? "" : sites[pick(w, 2)]);
    TEXT_SET(q.station, pick(w, 4) ? "" : "st-1");
    TEXT_SET(q.job, pick(w, 4) ? "" : pick(w, 2) ? "job-1" : "job-that-never-was");
    TEXT_SET(q.sku, pick(w, 6) ? "" : "tm-1");
    bool trouble = q.question == CA_FIND_FAILING || q.question == CA_FIND_DUPLICATE;
    if (trouble)
        q.outcome = pick(w, 2) ? outcomes[pick(w, 4)] : 0;
    else
        TEXT_SET(q.profile, pick(w, 2) ? "" : profiles[pick(w, 3)]);
    q.state = pick(w, 3) ? 0 : (uint8_t)(1 + pick(w, CA_STATE_LAST));
    if (q.question != CA_FIND_MATCHING && pick(w, 2))
        q.until_ms = w->now_ms + pick(w, 60) * DAY - 20 * DAY;
    if (q.question != CA_FIND_MATCHING && pick(w, 4) == 0)
        q.from_ms = w->now_ms - pick(w, 20) * DAY;
    return q;
}

/* Every device that should be there is, once per reason; and no other. */
static void compare(struct world *w, const struct ca_find *q, bool behind) {
    struct answers a;
    struct ca_store *store = w->f->store;
    ask(w, q, 1 + pick(w, 7), behind, &a);
    for (uint32_t n = 0; n < DEVICES; n++) {
        struct ca_device device = sample_device(n);
        size_t wanted = 0;
        if (!store->ops->device(store, q->tenant, device.id, &device))
            wanted = should(w, q, &device);
        bool trouble = q->question == CA_FIND_FAILING || q->question == CA_FIND_DUPLICATE;
        if (behind ? !trouble && a.times[n] > wanted : a.times[n] != wanted)
            fail_msg("question %d of %s: %s is %zu times an answer, not %zu", q->question,
                     q->tenant, device.id, a.times[n], wanted);
    }
}

static void compare_all(struct world *w) {
    read_leaves(w);
    for (int i = 0; i < QUESTIONS; i++) {
        struct ca_find q = some_question(w);
        compare(w, &q, false);
    }
}

/* ---- tests ---- */

static int setup(void **state) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->f = calloc(1, sizeof *w->f);
    assert_non_null(w->f);
    fixture_start(w->f);
    w->random = 7;
    w->now_ms = NOW;
    open_index(w);
    *state = w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    store_index_close(w->index);
    fixture_end(w->f);
    free(w->f);
    free(w->leaves);
    free(w);
    return 0;
}

static void answers_are_those_of_a_whole_search(void **state) {
    struct world *w = *state;
    step_all(w);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 20; i++)
            change_something(w);
        read_leaves(w);
        for (int i = 0; i < 5; i++) { /* it is behind: it leaves out, and says nothing wrong */
            struct ca_find q = some_question(w);
            compare(w, &q, true);
        }
        step_all(w);
        compare_all(w);
    }
}

static void reopen(struct world *w) {
    store_index_close(w->index);
    fixture_reopen(w->f);
    open_index(w);
}

/* Removes or damages a file of the index. */
static void spoil(struct world *w, const char *name, off_t cut) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/index/%s", w->f->path, name);
    assert_int_equal(cut ? truncate(path, cut) : unlink(path), 0);
}

static uint64_t known(struct world *w) {
    struct ca_fresh fresh;
    store_index_fresh(w->index, w->now_ms, &fresh);
    return fresh.next;
}

static void it_is_kept_or_built_anew(void **state) {
    struct world *w = *state;
    for (int i = 0; i < 400; i++)
        change_something(w);
    step_all(w);
    uint64_t all = known(w);
    assert_true(all >= 400);
    reopen(w); /* closed well: it goes on */
    assert_int_equal(known(w), all);
    compare_all(w);
    static const struct {
        const char *name;
        off_t cut; /* 0: away with it */
    } faults[] = {{"data.mdb", 0}, {"data.mdb", 5000}, {"mark", 0}, {"mark", 10}};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        store_index_close(w->index);
        spoil(w, faults[i].name, faults[i].cut);
        open_index(w);
        struct ca_find_cursor cursor = {0};
        struct ca_find q = {.question = CA_FIND_MATCHING, .tenant = "acme"};
        struct answers a = {.world = w, .question = &q};
        bool end;
        assert_int_equal(known(w), 0);
        assert_int_equal(store_index_find(w->index, &q, &cursor, 10, got, &a, &end), TM_EAGAIN);
        step_all(w);
        assert_int_equal(known(w), all);
        compare_all(w);
    }
}

/* As after a restore from a backup: the log is another one, however long it is. */
static void another_stores_index_is_not_believed(void **state) {
    struct world *w = *state;
    char kept[160], moved[160];
    (void)snprintf(kept, sizeof kept, "%s/index", w->f->path);
    step_all(w);
    for (int i = 0; i < 80; i++)
        change_something(w);
    step_all(w);
    compare_all(w);
    uint64_t all = known(w);
    store_index_close(w->index);
    (void)snprintf(moved, sizeof moved, "/tmp/touchmark-index-%ld", (long)getpid());
    assert_int_equal(rename(kept, moved), 0);
    fixture_end(w->f);
    fixture_start(w->f);
    (void)snprintf(kept, sizeof kept, "%s/index", w->f->path);
    assert_int_equal(rename(moved, kept), 0);
    w->random = 99;
    for (uint64_t i = 0; i < all + 10; i++)
        change_something(w);
    open_index(w);
    step_all(w);
    compare_all(w);
}

/* ---- killed ---- */

static void victim(struct world *w) {
    char text[IPC_TEXT_MAX + 1];
    if (loop_new(&w->f->loop) || store_open(w->f->loop, &w->f->config, &w->f->store, text))
        _exit(1);
    open_index(w);
    for (;;) {
        bool more;
        for (uint32_t i = pick(w, 4); i > 0; i--)
            change_something(w);
        if (store_index_step(w->index, &more))
            _exit(2);
    }
}

static void kill_it(struct world *w, uint32_t seed) {
    struct timespec pause = {0, 1000000L * (20 + (long)(seed % 7) * 30)};
    store_index_close(w->index);
    store_close(w->f->store);
    w->f->store = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        w->random = seed;
        w->serials += seed * 100000;
        victim(w);
    }
    (void)nanosleep(&pause, NULL); /* any moment will do */
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fixture_open(w->f);
    open_index(w);
}

static void killed_at_any_moment(void **state) {
    struct world *w = *state;
    step_all(w);
    for (uint32_t i = 1; i <= KILLS; i++) {
        kill_it(w, i);
        w->now_ms += 200 * DAY;
        step_all(w);
        compare_all(w);
    }
}

/* ---- counting ---- */

struct totals {
    uint64_t in_use, expired, within[CA_HEALTH_WINDOWS], unrenewed, issued, renewed, refused;
};

static void add_up(void *arg, const struct ca_health *health) {
    struct totals *t = arg;
    t->in_use += health->in_use;
    t->expired += health->expired;
    t->unrenewed += health->unrenewed;
    t->issued += health->issued;
    t->renewed += health->renewed;
    for (size_t i = 0; i < CA_HEALTH_WINDOWS; i++)
        t->within[i] += health->expiring[i];
    for (size_t i = 0; i <= IPC_OUTCOME_LAST; i++)
        t->refused += health->refused[i];
}

static void count_devices(struct world *w, struct totals *t) {
    for (size_t tenant = 0; tenant < 2; tenant++)
        for (uint32_t n = 0; n < DEVICES; n++) {
            struct ca_device d = sample_device(n);
            if (w->f->store->ops->device(w->f->store, tenants[tenant], d.id, &d))
                continue;
            for (size_t i = 0; i < d.cert_count; i++) {
                int64_t left = d.certs[i].not_after_ms / MINUTE - w->now_ms / MINUTE;
                if (!ca_cert_in_use(&d.certs[i]))
                    continue;
                t->in_use++;
                t->expired += left < 0;
                t->unrenewed += only_one(&d, d.certs[i].profile);
                for (size_t k = 0; k < CA_HEALTH_WINDOWS; k++)
                    t->within[k] += left >= 0 && left < ca_health_days[k] * (DAY / MINUTE);
            }
        }
}

static void a_report_counts_what_is_there(void **state) {
    struct world *w = *state;
    struct totals got_totals = {0}, wanted = {0};
    struct ca_leaf leaf;
    for (int i = 0; i < 900; i++)
        change_something(w);
    step_all(w);
    count_devices(w, &wanted);
    for (uint64_t n = 0; !w->f->store->ops->leaf(w->f->store, n, &leaf); n++) {
        wanted.issued += leaf.event == CA_EVENT_ISSUED;
        wanted.renewed += leaf.event == CA_EVENT_ISSUED && leaf.operation == IPC_OP_REENROLL;
        wanted.refused += leaf.event == CA_EVENT_REFUSED;
    }
    assert_true(wanted.issued && wanted.refused && wanted.expired && wanted.unrenewed);
    assert_int_equal(store_index_report(w->index, w->now_ms, 60, add_up, &got_totals), TM_OK);
    assert_memory_equal(&got_totals, &wanted, sizeof wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_are_those_of_a_whole_search, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_kept_or_built_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(another_stores_index_is_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_at_any_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_report_counts_what_is_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
