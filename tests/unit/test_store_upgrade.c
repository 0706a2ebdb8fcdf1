/* SPDX-License-Identifier: Apache-2.0 */
/* Stores that older programs left: brought to this program's format when they are opened. */
#include <signal.h>
#include <sys/wait.h>

#include "store/format.h"
#include "tests/unit/store_raw.h"
#include "tests/unit/store_rows.h"

/* ---- what an older program would have left ---- */

/* The device's record as that version of it has it: formats and versions have risen together. */
static void age_device(struct store_env *env, MDB_txn *txn, struct ca_hasher *hasher, uint64_t n,
                       uint8_t version) {
    struct codec_field fields[32];
    struct codec_schema old = store_device_schema;
    old.version = version;
    old.fields = fields;
    old.field_count = 0;
    assert_true(store_device_schema.field_count <= sizeof fields / sizeof fields[0]);
    for (size_t i = 0; i < store_device_schema.field_count; i++)
        if (store_device_schema.fields[i].since <= version)
            fields[old.field_count++] = store_device_schema.fields[i];
    uint8_t key_octets[STORE_KEY_MAX], octets[STORE_RECORD_MAX];
    struct buf key = BUF_ON(key_octets), sealed = BUF_ON(octets);
    struct ca_device device;
    struct bytes value;
    store_put_device_key(&key, "acme", sample_device(n).id);
    assert_int_equal(store_get(env, txn, STORE_DB_DEVICE, buf_bytes(&key), &value), TM_OK);
    assert_int_equal(store_unseal(hasher, buf_bytes(&key), value, &store_device_schema, &device),
                     TM_OK);
    assert_int_equal(store_seal(hasher, buf_bytes(&key), &old, &device, &sealed), TM_OK);
    MDB_val k = {key.n, key_octets}, v = {sealed.n, octets};
    assert_int_equal(mdb_put(txn, env->dbs[STORE_DB_DEVICE], &k, &v, 0), 0);
}

/* Makes of the closed store with devices 1 .. devices one of an older format. */
static void age_store(struct fixture *f, uint32_t to, uint64_t devices) {
    struct store_env env;
    struct ca_hasher *hasher;
    MDB_txn *txn;
    const struct store_format format = {to, "test", 1700000000000};
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    for (uint64_t n = 1; n <= devices; n++)
        age_device(&env, txn, hasher, n, (uint8_t)to);
    static const size_t since[] = {0, STORE_DB_SINCE_2, STORE_DB_SINCE_3, STORE_DB_SINCE_4};
    for (size_t db = since[to]; db < STORE_DB_COUNT; db++)
        assert_int_equal(mdb_drop(txn, env.dbs[db], 1), 0);
    assert_int_equal(store_format_put(&env, txn, hasher, &format), TM_OK);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_env_close(&env);
    ca_hasher_free(hasher);
}

static uint32_t format_of(const struct fixture *f) {
    char text[IPC_TEXT_MAX + 1];
    struct store_env env;
    struct store_reader reader;
    struct store_format format;
    open_raw(f, &env);
    assert_int_equal(store_reader_init(&reader, &env), TM_OK);
    assert_int_equal(store_format_check(&reader, &f->config, &format, text), TM_OK);
    assert_int_equal(format.created_ms, 1700000000000);
    store_reader_deinit(&reader);
    store_env_close(&env);
    return format.format;
}

/* Devices 1 .. devices with a certificate each, of which every second one is revoked. */
static void prepare(struct fixture *f, uint64_t devices) {
    issue_many(f, 1, devices);
    for (uint64_t n = 2; n <= devices; n += 2)
        revoke_one(f, n);
}

/* ---- raising ---- */

static void a_store_of_format_1_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    prepare(f, 3);
    close_store(f);
    age_store(f, 1, 3);
    assert_int_equal(format_of(f), 1);
    f->config.environment = "prod"; /* what is refused stays as it was */
    assert_refused(f, TM_EDENIED, "was made for environment test");
    f->config.environment = "test";
    assert_int_equal(format_of(f), 1);
    fixture_open(f);
    assert_sound(f);
    struct ca_device device;
    assert_int_equal(f->store->ops->device(f->store, "acme", sample_device(1).id, &device), TM_OK);
    assert_int_equal(device.certs[0].status, CA_CERT_ACTIVE);
    uint64_t next;
    assert_int_equal(f->store->ops->cursor(f->store, "mqtt", &next), TM_ENOTFOUND);
    struct ca_revoked rows[3];
    assert_int_equal(read_revoked(f, rows, 3), 1);
    struct issuance s;
    issuance_by_cmc(&s, 9);
    job_submit(f, &s.begin);
    job_submit(f, &s.end);
    fixture_run(f);
    assert_int_equal(s.end.result, TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 2)), TM_OK);
    assert_sound(f);
    fixture_reopen(f);
    assert_sound(f);
    close_store(f);
    assert_int_equal(format_of(f), STORE_FORMAT);
    fixture_open(f);
}

static void revoked_certificates_of_format_2_are_indexed(void **state) {
    struct fixture *f = *state;
    enum { DEVICES = 41 };
    struct ca_revoked rows[DEVICES];
    prepare(f, DEVICES);
    close_store(f);
    age_store(f, 2, DEVICES);
    assert_int_equal(format_of(f), 2);
    fixture_open(f);
    assert_sound(f);
    assert_int_equal(read_revoked(f, rows, DEVICES), DEVICES / 2);
    for (uint64_t i = 0; i < DEVICES / 2; i++) {
        struct ca_certificate wanted = sample_revocation(2 * (i + 1));
        assert_true(ca_serial_equal(&rows[i].serial, &wanted.serial));
        assert_int_equal(rows[i].revoked_ms, wanted.revoked_ms);
        assert_int_equal(rows[i].reason, wanted.revoked_reason);
        assert_int_equal(rows[i].not_after_ms, 1800000000000);
    }
    struct ca_device device = sample_device(1);
    assert_int_equal(f->store->ops->device(f->store, "acme", device.id, &device), TM_OK);
    assert_string_equal(device.job, "");
    struct row_memory memory;
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST; table++) {
        if (!is_table(table))
            continue;
        union store_row row = sound_row(table, 1, &memory);
        assert_int_equal(COMMIT(f, NULL, change_row(table, &row)), TM_OK);
    }
    fixture_reopen(f);
    assert_sound(f);
    assert_int_equal(read_revoked(f, rows, DEVICES), DEVICES / 2);
}

/* An index that is larger than the map was. */
static void the_map_grows_for_the_index(void **state) {
    struct fixture *f = *state;
    enum { COUNT = 200 * CA_BATCH_MAX };
    f->config.map_size = STORE_MAP_LEAST;
    fixture_reopen(f);
    static uint8_t octets[CA_BATCH_MAX][16];
    struct ca_certificate certificates[CA_BATCH_MAX];
    struct ca_change changes[CA_BATCH_MAX];
    for (uint64_t n = 0; n < COUNT; n += CA_BATCH_MAX) {
        for (size_t i = 0; i < CA_BATCH_MAX; i++) {
            certificates[i] = sample_certificate(n + i, octets[i], sizeof octets[i]);
            certificates[i].status = CA_CERT_REVOKED;
            certificates[i].revoked_ms = 1;
            changes[i] = change_cert(&certificates[i]);
        }
        assert_int_equal(commit_changes(f, changes, CA_BATCH_MAX, NULL), TM_OK);
    }
    close_store(f);
    age_store(f, 2, 0);
    /* As a copy for a backup leaves it: without the pages that came free. */
    char copy[160], command[512];
    (void)snprintf(copy, sizeof copy, "%s/copy", f->root);
    assert_int_equal(mkdir(copy, 0700), 0);
    struct store_env env;
    open_raw(f, &env);
    assert_int_equal(mdb_env_copy2(env.env, copy, MDB_CP_COMPACT), 0);
    store_env_close(&env);
    (void)snprintf(command, sizeof command, "cp '%s/data.mdb' '%s/data.mdb'", copy, f->path);
    assert_int_equal(system(command), 0);
    struct store_stats stats;
    struct ca_revoked *rows = calloc(COUNT + 1, sizeof *rows);
    assert_non_null(rows);
    struct stat st;
    (void)snprintf(copy, sizeof copy, "%s/data.mdb", f->path);
    assert_int_equal(stat(copy, &st), 0);
    assert_true(st.st_size > (off_t)STORE_MAP_LEAST); /* LMDB makes the map that large */
    fixture_open(f);
    store_stats(f->store, &stats);
    assert_true(stats.used > (uint64_t)st.st_size);
    assert_int_equal(read_revoked(f, rows, COUNT + 1), COUNT);
    free(rows);
}

/* It can be opened as well as one of this program's own format that is damaged. */
static void a_damaged_older_store_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    struct ca_revoked rows[10];
    prepare(f, 10);
    close_store(f);
    age_store(f, 2, 10);
    flip_certificate(f, 4);
    flip_certificate(f, 5);
    fixture_open(f);
    assert_int_equal(read_revoked(f, rows, 10), 4);
    struct findings found = {0};
    assert_int_equal(f->store->ops->check(f->store, findings_add, &found), TM_ECORRUPT);
    assert_int_equal(found.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(strstr(found.text[i], "the record fails its hash"));
}

static void a_store_that_lacks_a_database_is_refused(void **state) {
    struct fixture *f = *state;
    struct store_env env;
    MDB_txn *txn;
    close_store(f);
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_drop(txn, env.dbs[STORE_DB_REVOKED], 1), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_env_close(&env);
    assert_refused(f, TM_ECORRUPT, "lacks a database");
}

/* ---- full ---- */

/* Another process that reads, a backup say: no page that comes free can be used until it ends. */
static pid_t start_reader(struct fixture *f, int *ret_end) {
    int ready[2], end[2];
    char octet = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store_env env;
        MDB_txn *txn;
        (void)close(end[1]);
        open_raw(f, &env);
        if (mdb_txn_begin(env.env, NULL, MDB_RDONLY, &txn) || write(ready[1], &octet, 1) != 1)
            _exit(1);
        (void)!read(end[0], &octet, 1);
        _exit(0);
    }
    (void)close(ready[1]);
    (void)close(end[0]);
    assert_int_equal(read(ready[0], &octet, 1), 1);
    (void)close(ready[0]);
    *ret_end = end[1];
    return child;
}

/* Writes the same again and again until no page is left for it. */
static void use_up(const struct fixture *f) {
    struct store_env env;
    struct ca_hasher *hasher;
    const struct store_format format = {2, "test", 1700000000000};
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    open_raw(f, &env);
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < 10000; i++) {
        MDB_txn *txn;
        assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
        err = store_format_put(&env, txn, hasher, &format);
        if (err)
            mdb_txn_abort(txn);
        else
            err = store_lmdb_err(mdb_txn_commit(txn), "filling");
        if (err == TM_EFULL)
            err = store_env_grow(&env);
    }
    assert_int_equal(err, TM_EFULL);
    store_env_close(&env);
    ca_hasher_free(hasher);
}

/* What is kept for revocations is enough for it. */
static void a_full_older_store_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    f->config.map_size = STORE_MAP_LEAST;
    f->config.max_map_size = 2 * STORE_MAP_LEAST;
    fixture_reopen(f);
    prepare(f, 40);
    close_store(f);
    age_store(f, 2, 40);
    int end, status;
    pid_t reader = start_reader(f, &end);
    use_up(f);
    fixture_open(f);
    assert_sound(f);
    struct ca_revoked rows[40];
    assert_int_equal(read_revoked(f, rows, 40), 20);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 0)), TM_EFULL);
    (void)close(end);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    fixture_reopen(f);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 0)), TM_OK);
    assert_sound(f);
}

/* It is said, and the store stays what it was: it can be opened once there is room. */
static void without_room_on_the_disk_it_stays_what_it_was(void **state) {
    struct fixture *f = *state;
    prepare(f, 4);
    close_store(f);
    age_store(f, 2, 4);
    limit_files(8192); /* the meta pages: LMDB's own write gets EFBIG */
    assert_refused(f, TM_EFULL, "of format 2 cannot be brought to format 4: full");
    limit_files(0);
    assert_int_equal(format_of(f), 2);
    fixture_open(f);
    assert_sound(f);
    close_store(f);
    assert_int_equal(format_of(f), STORE_FORMAT);
    fixture_open(f);
}

#ifdef TOUCHMARK_CRASH_POINTS
static void killed_while_it_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    struct ca_revoked rows[4];
    for (uint32_t from = 1; from < STORE_FORMAT; from++) {
        if (from == 1)
            prepare(f, 4);
        close_store(f);
        age_store(f, from, 4);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char text[IPC_TEXT_MAX + 1];
            (void)setenv("TOUCHMARK_CRASH", "store.before_raise", 1);
            _exit(store_open(f->loop, &f->config, &f->store, text) ? 1 : 2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(format_of(f), from);
        fixture_open(f);
        assert_sound(f);
        assert_int_equal(read_revoked(f, rows, 4), 2);
        close_store(f);
        assert_int_equal(format_of(f), STORE_FORMAT);
        fixture_open(f);
    }
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(a_store_of_format_1_is_brought_up_to_date),
        TEST(revoked_certificates_of_format_2_are_indexed),
        TEST(the_map_grows_for_the_index),
        TEST(a_damaged_older_store_is_brought_up_to_date),
        TEST(a_store_that_lacks_a_database_is_refused),
        TEST(a_full_older_store_is_brought_up_to_date),
        TEST(without_room_on_the_disk_it_stays_what_it_was),
#ifdef TOUCHMARK_CRASH_POINTS
        TEST(killed_while_it_is_brought_up_to_date),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
