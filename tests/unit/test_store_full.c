/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when the map, the disk or a write gives out. */
#include <signal.h>

#include "tests/unit/store_raw.h"
#include "tests/unit/store_rows.h"

/* ---- growth ---- */

struct large {
    struct job job; /* first */
    struct ca_certificate certificate;
    struct ca_device device;
    struct ca_leaf leaf;
    uint8_t der[6000];
    uint64_t number;
};

static void read_back(struct fixture *f, uint64_t n) {
    uint8_t octets[IPC_CERT_MAX];
    struct buf out = BUF_ON(octets);
    struct ca_serial serial = sample_serial(n);
    struct ca_certificate got;
    assert_int_equal(f->store->ops->certificate(f->store, &serial, &got, &out), TM_OK);
    assert_int_equal(got.der.n, sizeof((struct large *)0)->der);
}

static void large_done(struct ca_batch *batch, enum tm_err result) {
    struct large *l = (struct large *)batch;
    struct fixture *f = l->job.fixture;
    assert_int_equal(result, TM_OK);
    read_back(f, l->number); /* while the writer goes on, and grows the map */
    read_back(f, l->number / 2);
    fixture_count_down(f);
}

static struct ca_leaf burned_or_issued(const struct ca_certificate *c) {
    return sample_leaf(c->status == CA_CERT_BURNED ? CA_EVENT_BURNED : CA_EVENT_ISSUED, c);
}

static void the_map_grows_under_load_while_it_is_read(void **state) {
    struct fixture *f = *state;
    f->config.map_size = STORE_MAP_LEAST;
    f->config.max_map_size = 256 * MIB;
    fixture_reopen(f);
    enum { COUNT = 1000 };
    struct large *all = calloc(COUNT, sizeof *all);
    struct store_stats before, after;
    assert_non_null(all);
    store_stats(f->store, &before);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct large *l = &all[i];
        l->number = i;
        l->certificate = sample_certificate(i, l->der, sizeof l->der);
        l->leaf = burned_or_issued(&l->certificate);
        l->job.fixture = f;
        l->job.batch =
            (struct ca_batch){.count = 2,
                              .changes = {change_cert(&l->certificate), change_leaf(&l->leaf)},
                              .done = large_done};
        f->expected++;
        assert_int_equal(f->store->ops->submit(f->store, &l->job.batch), TM_OK);
    }
    fixture_run(f);
    store_stats(f->store, &after);
    assert_int_equal(before.map_size, STORE_MAP_LEAST);
    assert_true(after.map_size >= 8 * STORE_MAP_LEAST);
    assert_true(after.used > STORE_MAP_LEAST && after.used <= after.map_size);
    assert_int_equal(after.batches, COUNT);
    free(all);
    for (uint64_t i = 0; i < COUNT; i++)
        read_back(f, i);
}

/* ---- full ---- */

enum { OPEN_INTENTS = 30, ISSUED = 30, UNCONFIRMED = 30 };

/* Certificates 0 .. ISSUED - 1, those from 100 on by CMC and unconfirmed, open intents from 1000
 * on, each with its device. */
static void prepare(struct fixture *f) {
    issue_many(f, 0, ISSUED);
    for (uint64_t n = 100; n < 100 + UNCONFIRMED; n++) {
        struct issuance s;
        issuance_by_cmc(&s, n);
        job_submit(f, &s.begin);
        job_submit(f, &s.end);
        fixture_run(f);
        assert_int_equal(s.end.result, TM_OK);
    }
    for (uint64_t n = 1000; n < 1000 + OPEN_INTENTS; n++) {
        struct issuance s;
        issuance_init(&s, n);
        job_submit(f, &s.begin);
        fixture_run(f);
        assert_int_equal(s.begin.result, TM_OK);
    }
}

/* Stores certificates from `first` on, `width` at a time, until not all fit; returns how many were
 * tried. */
static uint64_t fill(struct fixture *f, uint64_t first, uint64_t most, size_t width) {
    struct large *all = calloc(width, sizeof *all);
    assert_non_null(all);
    bool full = false;
    uint64_t tried = 0;
    for (; !full && tried < most; tried += width) {
        for (size_t i = 0; i < width; i++) {
            struct large *l = &all[i];
            uint64_t n = first + tried + i;
            memset(l, 0, sizeof *l);
            l->certificate = sample_certificate(n, l->der, sizeof l->der);
            l->leaf = burned_or_issued(&l->certificate);
            l->device = sample_device(n);
            l->device.cert_count = 1;
            l->device.certs[0] = sample_owner(n).certs[0];
            l->job.batch.count = 3;
            l->job.batch.changes[0] = change_device(&l->device);
            l->job.batch.changes[1] = change_cert(&l->certificate);
            l->job.batch.changes[2] = change_leaf(&l->leaf);
            job_submit(f, &l->job);
        }
        fixture_run(f);
        for (size_t i = 0; i < width; i++) {
            assert_true(all[i].job.result == TM_OK || all[i].job.result == TM_EFULL);
            full = full || all[i].job.result == TM_EFULL;
        }
    }
    free(all);
    return tried;
}

static enum tm_err burn(struct fixture *f, uint64_t n) {
    struct ca_certificate burned = sample_burned(n);
    struct ca_leaf leaf = burned_or_issued(&burned);
    return COMMIT(f, NULL, change_end(&burned.serial), change_cert(&burned), change_leaf(&leaf));
}

static enum tm_err withdraw(struct fixture *f, uint64_t n) {
    struct ca_device owner = sample_owner(n);
    struct ca_certificate change = sample_revocation(n);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_REVOKED, NULL);
    owner.version = 3;
    owner.certs[0].status = CA_CERT_REVOKED;
    leaf.serial = change.serial;
    return COMMIT(f, NULL, change_status(&change), change_device(&owner), change_leaf(&leaf));
}

/* With its transaction, which is more than an issuance without CMC needs. */
static enum tm_err complete(struct fixture *f, uint64_t n) {
    struct issuance s;
    issuance_by_cmc(&s, n);
    return commit_changes(f, s.end.batch.changes, s.end.batch.count, NULL);
}

static enum tm_err confirm(struct fixture *f, uint64_t n) {
    struct issuance s;
    issuance_by_cmc(&s, n);
    return commit_changes(f, s.confirm.batch.changes, s.confirm.batch.count, NULL);
}

/* What status needs: a number is taken and the use counted before anything is signed, and later the
 * row says that it is out. The first round of a shard makes its row. */
static enum tm_err publish(struct fixture *f, uint64_t round) {
    struct ca_published crl = sample_published(round % 3);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_PUBLISHED, NULL);
    crl.version = 1 + 2 * (round / 3);
    enum tm_err err =
        COMMIT(f, NULL, change_row(CA_TABLE_PUBLISHED, &crl), change_use("factory", CA_USE_CRL, 1));
    crl.version++;
    return err ? err : COMMIT(f, NULL, change_row(CA_TABLE_PUBLISHED, &crl), change_leaf(&leaf));
}

/* An act is proposed, goes on and is done: the mass revocation that a full store may need. */
static enum tm_err act(struct fixture *f, uint64_t n) {
    struct row_memory memory;
    struct ca_act row = sample_act(n, &memory, 400);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_ACT_PROPOSED, NULL);
    enum tm_err err = TM_OK;
    for (; !err && row.version <= 3; row.version++)
        err = COMMIT(f, NULL, change_row(CA_TABLE_ACT, &row), change_leaf(&leaf));
    row.version--;
    return err ? err : COMMIT(f, NULL, change_end_row(CA_TABLE_ACT, &row));
}

/* Uses of keys with nothing else beside them. */
static enum tm_err count(struct fixture *f) {
    return COMMIT(f, NULL, change_use("factory", CA_USE_OCSP, 30),
                  change_use("plant", CA_USE_OCSP, 1));
}

/* Until one is refused: requests that wait for an officer begin something new, whatever is counted
 * with them. */
static void ask_until_full(struct fixture *f, uint64_t first) {
    struct row_memory memory;
    for (uint64_t n = first; n < first + 400; n++) {
        struct ca_pending pending = sample_pending(n, &memory, 3000);
        enum tm_err err = COMMIT(f, NULL, change_row(CA_TABLE_PENDING, &pending),
                                 change_use("factory", CA_USE_CMC, 1));
        if (err == TM_EFULL)
            return;
        assert_int_equal(err, TM_OK);
    }
    fail_msg("a full store takes new requests without end");
}

/* New issuances until one is refused: pages come free as others end, so some may still fit. */
static void begin_until_full(struct fixture *f, uint64_t first) {
    for (uint64_t n = first; n < first + 400; n++) {
        struct issuance s;
        issuance_init(&s, n);
        enum tm_err err = commit_changes(f, s.begin.batch.changes, s.begin.batch.count, NULL);
        if (err == TM_EFULL)
            return;
        assert_int_equal(err, TM_OK);
    }
    fail_msg("a full store takes new issuances without end");
}

/* Changes that end nothing, of the first device of fill(). */
static void move_until_full(struct fixture *f, uint64_t *version) {
    for (size_t i = 0; i < 2000; i++) {
        struct ca_device device = sample_owner(2000);
        struct ca_leaf moved = sample_leaf(CA_EVENT_TRANSITION, NULL);
        device.version = *version + 1;
        enum tm_err err = COMMIT(f, NULL, change_device(&device), change_leaf(&moved));
        if (err == TM_EFULL)
            return;
        assert_int_equal(err, TM_OK);
        ++*version;
    }
    fail_msg("a full store takes changes of devices without end");
}

/* Whatever new issuances press in between, what ends or withdraws still fits. */
static void assert_essential_fits(struct fixture *f) {
    uint64_t version = 1;
    for (uint64_t n = 0; n < OPEN_INTENTS; n++) {
        begin_until_full(f, 500000 + 400 * n);
        ask_until_full(f, 500000 + 400 * n);
        move_until_full(f, &version);
        assert_int_equal(n % 2 ? burn(f, 1000 + n) : complete(f, 1000 + n), TM_OK);
        assert_int_equal(withdraw(f, n), TM_OK);
        assert_int_equal(confirm(f, 100 + n), TM_OK);
        assert_int_equal(publish(f, n), TM_OK);
        assert_int_equal(act(f, n), TM_OK);
        assert_int_equal(count(f), TM_OK);
    }
}

/* Pages that revocations take and give back are not for new issuances to use up. */
static void the_headroom_lasts(void **state) {
    struct fixture *f = *state;
    f->config.map_size = STORE_MAP_LEAST;
    f->config.max_map_size = 2 * STORE_MAP_LEAST;
    fixture_reopen(f);
    prepare(f);
    assert_true(fill(f, 2000, 2000, 8) < 2000);
    struct revocation {
        struct job job;
        struct ca_device owner;
        struct ca_certificate change;
    } *all = calloc(ISSUED, sizeof *all);
    assert_non_null(all);
    for (uint64_t n = 0; n < ISSUED; n++) {
        all[n].owner = sample_owner(n);
        all[n].owner.certs[0].status = CA_CERT_REVOKED;
        all[n].change =
            (struct ca_certificate){.serial = sample_serial(n), .status = CA_CERT_REVOKED};
    }
    for (uint64_t round = 0; round < 150; round++) {
        for (size_t i = 0; i < ISSUED; i++) {
            memset(&all[i].job, 0, sizeof all[i].job);
            all[i].owner.version++;
            all[i].job.batch.count = 2;
            all[i].job.batch.changes[0] = change_status(&all[i].change);
            all[i].job.batch.changes[1] = change_device(&all[i].owner);
            job_submit(f, &all[i].job);
        }
        fixture_run(f);
        for (size_t i = 0; i < ISSUED; i++)
            assert_int_equal(all[i].job.result, TM_OK);
        begin_until_full(f, 500000 + 400 * round);
    }
    free(all);
    assert_sound(f);
}

static void a_full_map_leaves_room_for_revocation(void **state) {
    struct fixture *f = *state;
    f->config.map_size = STORE_MAP_LEAST;
    f->config.max_map_size = 2 * STORE_MAP_LEAST;
    fixture_reopen(f);
    prepare(f);
    assert_true(fill(f, 2000, 2000, 8) < 2000);
    assert_true(fill(f, 4000, 100, 1) < 100);
    assert_essential_fits(f);
    assert_sound(f);
    struct store_stats stats;
    store_stats(f->store, &stats);
    assert_true(stats.used <= f->config.max_map_size);

    f->config.max_map_size = 64 * MIB;
    fixture_reopen(f);
    assert_sound(f);
    issue_many(f, 5000, 50);
    assert_sound(f);
}

/* The essential batches of a mixed group are stored, the others refused; but for a few, if what
 * ended in an earlier group gave pages back. */
static void a_group_is_split_when_the_map_is_full(void **state) {
    struct fixture *f = *state;
    f->config.map_size = STORE_MAP_LEAST;
    f->config.max_map_size = 2 * STORE_MAP_LEAST;
    fixture_reopen(f);
    prepare(f);
    assert_true(fill(f, 2000, 2000, 8) < 2000);
    begin_until_full(f, 500000);
    struct issuance *begun = calloc(OPEN_INTENTS, sizeof *begun);
    struct issuance *ended = calloc(OPEN_INTENTS, sizeof *ended);
    assert_true(begun && ended);
    for (uint64_t i = 0; i < OPEN_INTENTS; i++) {
        issuance_init(&begun[i], 600000 + i);
        issuance_init(&ended[i], 1000 + i);
        job_submit(f, &begun[i].begin);
        job_submit(f, &ended[i].end);
    }
    fixture_run(f);
    size_t refused = 0;
    for (uint64_t i = 0; i < OPEN_INTENTS; i++) {
        assert_true(begun[i].begin.result == TM_EFULL || begun[i].begin.result == TM_OK);
        refused += begun[i].begin.result == TM_EFULL;
        assert_int_equal(ended[i].end.result, TM_OK);
    }
    assert_true(refused >= OPEN_INTENTS / 2);
    free(begun);
    free(ended);
    assert_sound(f);
}

/* ---- the disk ---- */

static uint64_t file_size(const struct fixture *f) {
    char name[160];
    struct stat st;
    (void)snprintf(name, sizeof name, "%s/data.mdb", f->path);
    assert_int_equal(stat(name, &st), 0);
    return (uint64_t)st.st_size;
}

static void a_full_disk_leaves_room_for_revocation(void **state) {
    struct fixture *f = *state;
    f->config.max_map_size = 256 * MIB;
    fixture_reopen(f);
    prepare(f);
    uint64_t reserved = file_size(f);
    assert_true(reserved >= STORE_DISK_AHEAD);
    limit_files(reserved);
    assert_true(fill(f, 2000, 16000, 64) < 16000);
    assert_essential_fits(f);
    assert_sound(f);
    assert_int_equal(file_size(f), reserved);
    fixture_reopen(f); /* with the disk still full */
    begin_until_full(f, 800000);

    limit_files(0);
    issue_many(f, 30000, 100);
    assert_sound(f);
    assert_int_equal(f->fatals, 0);
}

/* A commit that fails otherwise is the end: nothing later may be acknowledged. */
static void a_failed_commit_is_fatal(void **state) {
    struct fixture *f = *state;
    prepare(f);
    struct ca_audit_head head, after;
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    struct issuance lost, late;
    issuance_init(&lost, 700000);
    issuance_init(&late, 700001);
    limit_files(16384); /* LMDB's own write gets EFBIG */
    job_submit(f, &lost.begin);
    fixture_run(f);
    limit_files(0);
    assert_int_equal(f->fatals, 1);
    assert_int_equal(lost.begin.done, 0);
    assert_int_equal(f->store->ops->submit(f->store, &late.begin.batch), TM_EIO);
    f->expected = 0;
    fixture_reopen(f);
    assert_int_equal(f->fatals, 1);
    assert_int_equal(lost.begin.done, 0);
    assert_int_equal(late.begin.done, 0);
    assert_int_equal(f->store->ops->audit_head(f->store, &after), TM_OK);
    assert_memory_equal(&after, &head, sizeof head);
    assert_sound(f);
    issue_many(f, 700000, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(the_map_grows_under_load_while_it_is_read),
        TEST(a_full_map_leaves_room_for_revocation),
        TEST(the_headroom_lasts),
        TEST(a_group_is_split_when_the_map_is_full),
        TEST(a_full_disk_leaves_room_for_revocation),
        TEST(a_failed_commit_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
