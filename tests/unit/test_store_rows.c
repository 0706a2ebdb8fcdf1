/* SPDX-License-Identifier: Apache-2.0 */
/* Administrative rows and the uses of keys, as the core reads and writes them. */
#include "tests/unit/store_rows.h"

/* Reads the row whose key members `row` has. */
static enum tm_err read_row(struct fixture *f, enum ca_table table, const union store_row *row,
                            union store_row *ret, struct row_memory *memory) {
    struct buf out = BUF_ON(memory->octets);
    *ret = *row;
    return f->store->ops->row(f->store, table, ret, &out);
}

static void assert_stored(struct fixture *f, enum ca_table table, const union store_row *row) {
    struct row_memory memory;
    union store_row got;
    assert_int_equal(read_row(f, table, row, &got, &memory), TM_OK);
    assert_same(store_row_schema(table), &got, row);
}

static void assert_missing(struct fixture *f, enum ca_table table, const union store_row *row) {
    struct row_memory memory;
    union store_row got;
    assert_int_equal(read_row(f, table, row, &got, &memory), TM_ENOTFOUND);
}

static enum tm_err put_row(struct fixture *f, enum ca_table table, const union store_row *row) {
    return COMMIT(f, NULL, change_row(table, row));
}

static void rows_of_every_table_come_back(void **state) {
    struct fixture *f = *state;
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST; table++) {
        if (!is_table(table))
            continue;
        struct row_memory memory;
        union store_row row = sample_row(table, 5, &memory);
        assert_missing(f, table, &row);
        assert_int_equal(put_row(f, table, &row), TM_OK);
        assert_stored(f, table, &row);
        fixture_reopen(f);
        assert_stored(f, table, &row);
        assert_int_equal(COMMIT(f, NULL, change_end_row(table, &row)), TM_OK);
        assert_missing(f, table, &row);
        assert_sound(f);
    }
}

/* What borrows is copied behind what the caller's memory holds, or nothing is. */
static void octets_go_into_the_callers_memory(void **state) {
    struct fixture *f = *state;
    struct row_memory memory, copy;
    union store_row row = sample_row(CA_TABLE_ACT, 1, &memory), got = row, before;
    assert_int_equal(put_row(f, CA_TABLE_ACT, &row), TM_OK);
    struct buf out = {copy.octets, 308, 9, false};
    before = got;
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_ACT, &got, &out), TM_ELIMIT);
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_ACT, &got, NULL), TM_EINVAL);
    assert_memory_equal(&got, &before, sizeof got);
    assert_int_equal(out.n, 9);
    assert_false(out.full);
    out.cap++;
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_ACT, &got, &out), TM_OK);
    assert_ptr_equal(got.act.text.p, copy.octets + 9);
    assert_true(bytes_equal(got.act.text, row.act.text));
    assert_int_equal(out.n, 309);
    union store_row profile = sample_row(CA_TABLE_PROFILE, 1, &memory);
    assert_int_equal(put_row(f, CA_TABLE_PROFILE, &profile), TM_OK);
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_PROFILE, &profile, NULL), TM_OK);
}

static void versions_of_rows_are_preconditions(void **state) {
    struct fixture *f = *state;
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST; table++) {
        if (!is_table(table))
            continue;
        struct row_memory memory;
        union store_row row = sample_row(table, 1, &memory), stale;
        assert_int_equal(COMMIT(f, NULL, change_end_row(table, &row)), TM_ECONFLICT);
        row.version = 2; /* there is none */
        assert_int_equal(put_row(f, table, &row), TM_ECONFLICT);
        row.version = 0;
        assert_int_equal(put_row(f, table, &row), TM_ECONFLICT);
        assert_int_equal(COMMIT(f, NULL, change_end_row(table, &row)), TM_ECONFLICT);
        row.version = 1;
        assert_int_equal(put_row(f, table, &row), TM_OK);
        assert_int_equal(put_row(f, table, &row), TM_ECONFLICT);
        stale = row;
        row.version = 3; /* 2 was skipped */
        assert_int_equal(put_row(f, table, &row), TM_ECONFLICT);
        row.version = 2;
        assert_int_equal(put_row(f, table, &row), TM_OK);
        assert_int_equal(COMMIT(f, NULL, change_end_row(table, &stale)), TM_ECONFLICT);
        assert_stored(f, table, &row);
        assert_int_equal(COMMIT(f, NULL, change_end_row(table, &row)), TM_OK);
        assert_int_equal(put_row(f, table, &stale), TM_OK); /* as if there had been none */
    }
}

/* What fails takes the rest of its batch along. */
static void a_row_shares_its_batchs_fate(void **state) {
    struct fixture *f = *state;
    struct row_memory memory;
    union store_row act = sample_row(CA_TABLE_ACT, 1, &memory), late = act;
    struct ca_published crl = sample_published(1);
    struct ca_device device = sample_device(1);
    size_t failed = 99;
    late.version = 2;
    assert_int_equal(COMMIT(f, &failed, change_row(CA_TABLE_PUBLISHED, &crl),
                            change_device(&device), change_use("factory", CA_USE_CRL, 1),
                            change_row(CA_TABLE_ACT, &late)),
                     TM_ECONFLICT);
    assert_int_equal(failed, 3);
    union store_row got = {.published = crl}, issuer = {.issuer = {.name = "factory"}};
    assert_missing(f, CA_TABLE_PUBLISHED, &got);
    assert_missing(f, CA_TABLE_ISSUER, &issuer);
    assert_int_equal(f->store->ops->device(f->store, "acme", device.id, &device), TM_ENOTFOUND);
    /* Each is checked against the state before the batch. */
    assert_int_equal(
        COMMIT(f, &failed, change_row(CA_TABLE_ACT, &act), change_row(CA_TABLE_ACT, &late)),
        TM_ECONFLICT);
    assert_int_equal(COMMIT(f, NULL, change_row(CA_TABLE_ACT, &act)), TM_OK);
    assert_int_equal(
        COMMIT(f, &failed, change_end_row(CA_TABLE_ACT, &act), change_row(CA_TABLE_ACT, &late)),
        TM_ECONFLICT);
    assert_int_equal(failed, 1);
    assert_int_equal(
        COMMIT(f, &failed, change_end_row(CA_TABLE_ACT, &act), change_end_row(CA_TABLE_ACT, &act)),
        TM_ECONFLICT);
    assert_stored(f, CA_TABLE_ACT, &act);
}

static void rows_out_of_bounds_are_refused(void **state) {
    struct fixture *f = *state;
    struct row_memory memory, copy;
    union store_row row = sample_row(CA_TABLE_PENDING, 1, &memory);
    struct buf out = BUF_ON(copy.octets);
    row.pending.profile[0] = 0;
    assert_int_equal(put_row(f, CA_TABLE_PENDING, &row), TM_ELIMIT);
    assert_missing(f, CA_TABLE_PENDING, &row);
    row = sample_row(CA_TABLE_PENDING, 1, &memory);
    row.pending.status = CA_PENDING_DENIED + 1;
    assert_int_equal(put_row(f, CA_TABLE_PENDING, &row), TM_ELIMIT);
    row = sample_row(CA_TABLE_PENDING, 1, &memory);
    (void)strcpy(row.pending.reason, "two\nlines");
    assert_int_equal(put_row(f, CA_TABLE_PENDING, &row), TM_ELIMIT);
    row.pending = sample_pending(2, &memory, CA_SAN_MAX + 1);
    assert_int_equal(put_row(f, CA_TABLE_PENDING, &row), TM_ELIMIT);
    row.act = sample_act(1, &memory, CA_ACT_TEXT_MAX + 1);
    assert_int_equal(put_row(f, CA_TABLE_ACT, &row), TM_ELIMIT);
    row.act = sample_act(1, &memory, 5);
    row.act.signature_count = CA_ACT_SIGNATURES_MAX + 1;
    assert_int_equal(put_row(f, CA_TABLE_ACT, &row), TM_ELIMIT);
    assert_int_equal(put_row(f, (enum ca_table)0, &row), TM_ELIMIT);
    assert_int_equal(put_row(f, (enum ca_table)(CA_TABLE_LAST + 1), &row), TM_ELIMIT);
    assert_int_equal(f->store->ops->row(f->store, (enum ca_table)(CA_TABLE_LAST + 1), &row, &out),
                     TM_EINVAL);
}

/* Every name and text as long as it may be, and as many octets as the table allows. */
static void fill_strings(enum ca_table table, union store_row *row) {
    const struct codec_schema *schema = store_row_schema(table);
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].type == CODEC_STR)
            memset((uint8_t *)row + schema->fields[i].offset, 'x', (size_t)schema->fields[i].max);
}

static void the_largest_rows_fit(void **state) {
    struct fixture *f = *state;
    static struct row_memory memory[3];
    union store_row rows[3] = {{.pending = sample_pending(1, &memory[0], CA_SAN_MAX)},
                               {.act = sample_act(1, &memory[1], CA_ACT_TEXT_MAX)},
                               {.keygen = sample_keygen(1, &memory[2], CA_KEYGEN_SEALED_MAX)}};
    static const enum ca_table tables[3] = {CA_TABLE_PENDING, CA_TABLE_ACT, CA_TABLE_KEYGEN};
    rows[1].act.signature_count = CA_ACT_SIGNATURES_MAX;
    for (size_t i = 0; i < 3; i++) {
        fill_strings(tables[i], &rows[i]);
        assert_int_equal(put_row(f, tables[i], &rows[i]), TM_OK);
        assert_stored(f, tables[i], &rows[i]);
    }
    /* And a whole batch of the largest. */
    struct ca_change changes[CA_BATCH_MAX];
    union store_row *acts = calloc(CA_BATCH_MAX, sizeof *acts);
    assert_non_null(acts);
    for (size_t i = 0; i < CA_BATCH_MAX; i++) {
        acts[i] = rows[1];
        acts[i].act.id[5] = (uint8_t)(i + 1);
        changes[i] = change_row(CA_TABLE_ACT, &acts[i]);
    }
    assert_int_equal(commit_changes(f, changes, CA_BATCH_MAX, NULL), TM_OK);
    assert_stored(f, CA_TABLE_ACT, &acts[CA_BATCH_MAX - 1]);
    free(acts);
    assert_sound(f);
}

/* ---- walks ---- */

/* Each table by itself, in the order of its keys, whatever stands in the others. */
static void a_tables_rows_follow_each_other(void **state) {
    struct fixture *f = *state;
    enum { ROWS = 7 };
    struct row_memory memory;
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST; table++)
        for (uint64_t n = 0; n < ROWS && is_table(table); n++) {
            union store_row row = sample_row(table, (n * 3) % ROWS, &memory);
            assert_int_equal(put_row(f, table, &row), TM_OK);
        }
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST; table++) {
        if (!is_table(table))
            continue;
        uint8_t octets[CA_ROW_KEY_MAX];
        struct buf cursor = BUF_ON(octets);
        for (uint64_t n = 0; n < ROWS; n++) {
            struct row_memory copy;
            struct buf out = BUF_ON(copy.octets);
            union store_row got, wanted = sample_row(table, n, &memory);
            assert_int_equal(f->store->ops->next_row(f->store, table, &cursor, &got, &out), TM_OK);
            assert_same(store_row_schema(table), &got, &wanted);
        }
        union store_row untouched, got;
        struct bytes key = buf_bytes(&cursor);
        struct buf out = BUF_ON(memory.octets);
        memset(&untouched, 0x5a, sizeof untouched);
        got = untouched;
        assert_int_equal(f->store->ops->next_row(f->store, table, &cursor, &got, &out),
                         TM_ENOTFOUND);
        assert_memory_equal(&got, &untouched, sizeof got);
        assert_int_equal(cursor.n, key.n);
    }
}

static void a_walk_that_has_no_room_stands_still(void **state) {
    struct fixture *f = *state;
    struct row_memory memory;
    union store_row row = sample_row(CA_TABLE_ACT, 1, &memory), got;
    assert_int_equal(put_row(f, CA_TABLE_ACT, &row), TM_OK);
    uint8_t octets[CA_ROW_KEY_MAX], small[10];
    struct buf cursor = BUF_ON(octets), out = BUF_ON(small), short_one = BUF_ON(small);
    const struct ca_store_ops *ops = f->store->ops;
    assert_int_equal(ops->next_row(f->store, CA_TABLE_ACT, &cursor, &got, &out), TM_ELIMIT);
    assert_int_equal(cursor.n, 0);
    assert_int_equal(ops->next_row(f->store, CA_TABLE_ACT, &short_one, &got, &out), TM_EINVAL);
    out = BUF_ON(memory.octets);
    assert_int_equal(ops->next_row(f->store, CA_TABLE_ACT, &cursor, &got, &out), TM_OK);
    assert_int_equal(cursor.n, CA_ACT_ID_SIZE);
}

/* ---- uses ---- */

static struct ca_issuer_row read_issuer(struct fixture *f, const char *name) {
    struct ca_issuer_row row = {.version = 0};
    (void)strcpy(row.name, name);
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_ISSUER, &row, NULL), TM_OK);
    return row;
}

/* Whole groups of batches that each count: none is lost. */
static void every_use_of_a_group_counts(void **state) {
    struct fixture *f = *state;
    enum { BATCHES = 500 };
    struct job *jobs = calloc(BATCHES, sizeof *jobs);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_ISSUED, NULL);
    assert_non_null(jobs);
    leaf.event = CA_EVENT_TRANSITION;
    for (size_t i = 0; i < BATCHES; i++) {
        jobs[i].batch.changes[0] = change_use("factory", CA_USE_CERTIFICATE, 1);
        jobs[i].batch.changes[1] = change_leaf(&leaf);
        jobs[i].batch.changes[2] = change_use(i % 2 ? "plant" : "factory", CA_USE_CMC, 2);
        jobs[i].batch.count = 3;
        job_submit(f, &jobs[i]);
    }
    fixture_run(f);
    for (size_t i = 0; i < BATCHES; i++)
        assert_int_equal(jobs[i].result, TM_OK);
    free(jobs);
    struct store_stats stats;
    store_stats(f->store, &stats);
    assert_true(stats.commits < BATCHES / 2); /* they did share transactions */
    struct ca_issuer_row factory = read_issuer(f, "factory"), plant = read_issuer(f, "plant");
    assert_int_equal(factory.version, 1);
    assert_int_equal(factory.uses[CA_USE_CERTIFICATE], BATCHES);
    assert_int_equal(factory.uses[CA_USE_CMC], BATCHES);
    assert_int_equal(plant.uses[CA_USE_CERTIFICATE], 0);
    assert_int_equal(plant.uses[CA_USE_CMC], BATCHES);
    assert_sound(f);
}

static void every_use_of_a_batch_counts(void **state) {
    struct fixture *f = *state;
    assert_int_equal(
        COMMIT(f, NULL, change_use("factory", CA_USE_CRL, 1), change_use("plant", CA_USE_CRL, 1),
               change_use("factory", CA_USE_CRL, 1), change_use("factory", CA_USE_FILTER, 7),
               change_use("factory", CA_USE_CRL, 1000000)),
        TM_OK);
    struct ca_issuer_row factory = read_issuer(f, "factory"), plant = read_issuer(f, "plant");
    assert_int_equal(factory.uses[CA_USE_CRL], 1000002);
    assert_int_equal(factory.uses[CA_USE_FILTER], 7);
    assert_int_equal(plant.uses[CA_USE_CRL], 1);
    size_t failed = 99;
    char endless[IPC_NAME_MAX + 2];
    memset(endless, 'x', sizeof endless);
    endless[IPC_NAME_MAX + 1] = 0;
    assert_int_equal(COMMIT(f, &failed, change_use("factory", CA_USE_CRL, 1),
                            change_use("factory", (enum ca_use)(CA_USE_LAST + 1), 1)),
                     TM_ELIMIT);
    assert_int_equal(failed, 1);
    assert_int_equal(COMMIT(f, NULL, change_use("factory", (enum ca_use)0, 1)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_use("factory", CA_USE_CRL, 0)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_use("", CA_USE_CRL, 1)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_use(endless, CA_USE_CRL, 1)), TM_ELIMIT);
    factory = read_issuer(f, "factory");
    assert_int_equal(factory.uses[CA_USE_CRL], 1000002);
}

/* Who changes an issuer's row while its key is in use neither conflicts with that nor undoes it. */
static void a_change_of_an_issuer_keeps_what_was_counted(void **state) {
    struct fixture *f = *state;
    struct ca_issuer_row row = sample_issuer(3);
    assert_int_equal(COMMIT(f, NULL, change_row(CA_TABLE_ISSUER, &row)), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_use(row.name, CA_USE_CMC, 40)), TM_OK);
    row.version = 2;
    row.ocsp = sample_serial(9);
    assert_int_equal(COMMIT(f, NULL, change_row(CA_TABLE_ISSUER, &row)), TM_OK);
    struct ca_issuer_row got = read_issuer(f, row.name);
    assert_int_equal(got.version, 2);
    assert_true(ca_serial_equal(&got.ocsp, &row.ocsp));
    assert_int_equal(got.uses[CA_USE_CERTIFICATE], 1);
    assert_int_equal(got.uses[CA_USE_CMC], 42);
    row.version = 3;
    assert_int_equal(
        COMMIT(f, NULL, change_row(CA_TABLE_ISSUER, &row), change_use(row.name, CA_USE_CMC, 1)),
        TM_ECONFLICT);
    assert_int_equal(
        COMMIT(f, NULL, change_use(row.name, CA_USE_CMC, 1), change_row(CA_TABLE_ISSUER, &row)),
        TM_ECONFLICT);
    assert_int_equal(read_issuer(f, row.name).uses[CA_USE_CMC], 42);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_of_every_table_come_back),
        TEST(octets_go_into_the_callers_memory),
        TEST(versions_of_rows_are_preconditions),
        TEST(a_row_shares_its_batchs_fate),
        TEST(rows_out_of_bounds_are_refused),
        TEST(the_largest_rows_fit),
        TEST(a_tables_rows_follow_each_other),
        TEST(a_walk_that_has_no_room_stands_still),
        TEST(every_use_of_a_group_counts),
        TEST(every_use_of_a_batch_counts),
        TEST(a_change_of_an_issuer_keeps_what_was_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
