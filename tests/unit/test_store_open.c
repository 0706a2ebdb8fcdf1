/* SPDX-License-Identifier: Apache-2.0 */
/* Making and opening a store, and what is refused with which sentence. */
#include <signal.h>
#include <sys/wait.h>

#include "store/datafile.h"
#include "store/env.h"
#include "store/format.h"
#include "tests/unit/store_fixture.h"

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_start(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    fixture_end(f);
    free(f);
    return 0;
}

static void close_store(struct fixture *f) {
    store_close(f->store);
    f->store = NULL;
}

/* Opening fails with this error, and its sentence says this. */
static void assert_refused(struct fixture *f, enum tm_err wanted, const char *says) {
    char text[IPC_TEXT_MAX + 1] = "";
    struct ca_store *store = NULL;
    assert_int_equal(store_open(f->loop, &f->config, &store, text), wanted);
    assert_null(store);
    if (!strstr(text, says))
        fail_msg("\"%s\" does not say \"%s\"", text, says);
}

static void in_store(const struct fixture *f, const char *name, char ret[160]) {
    (void)snprintf(ret, 160, "%s/%s", f->path, name);
}

static size_t entries(const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

static unsigned mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (unsigned)st.st_mode & 07777;
}

static void only_the_owner_may_read_the_files(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {STORE_DATA_FILE, "lock.mdb", "touchmark.lock"};
    char name[160];
    assert_int_equal(mode_of(f->path), 0700);
    for (size_t i = 0; i < 3; i++) {
        in_store(f, names[i], name);
        assert_int_equal(mode_of(name), 0600);
    }
    close_store(f);
    assert_int_equal(chmod(f->path, 0750), 0);
    assert_refused(f, TM_EDENIED, "make it 0700");
    assert_int_equal(chmod(f->path, 0700), 0);
    fixture_open(f);
}

static void a_second_store_is_not_made_over_the_first(void **state) {
    struct fixture *f = *state;
    char text[IPC_TEXT_MAX + 1] = "";
    issue_many(f, 1, 1);
    assert_int_equal(store_create(f->path, "prod", text), TM_EEXISTS);
    assert_non_null(strstr(text, "there is something at its path already"));
    assert_int_equal(entries(f->root), 1);
    fixture_reopen(f);
    assert_sound(f);
}

static void a_failed_creation_leaves_nothing(void **state) {
    struct fixture *f = *state;
    char text[IPC_TEXT_MAX + 1] = "", path[200], environment[IPC_NAME_MAX + 2];
    (void)snprintf(path, sizeof path, "%s/missing/store", f->root);
    assert_int_equal(store_create(path, "test", text), TM_EIO);
    assert_true(strlen(text) > 0);
    (void)snprintf(path, sizeof path, "%s/second", f->root);
    memset(environment, 'e', sizeof environment - 1);
    environment[sizeof environment - 1] = 0;
    assert_int_equal(store_create(path, environment, text), TM_ELIMIT);
    assert_int_equal(store_create(path, "two\nlines", text), TM_EINVAL); /* after LMDB's files */
    assert_int_equal(entries(f->root), 1);
    (void)strcat(path, "//");
    assert_int_equal(store_create(path, "test", text), TM_OK);
    assert_int_equal(entries(f->root), 2);
}

static void what_is_no_store_is_not_found(void **state) {
    struct fixture *f = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/nothing", f->root);
    f->config.path = path;
    assert_refused(f, TM_ENOTFOUND, "there is no store at");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(f, TM_ENOTFOUND, "there is no store at");
    in_store(f, STORE_DATA_FILE, path);
    assert_refused(f, TM_ENOTFOUND, "is not a folder");
}

static void one_process_at_a_time(void **state) {
    struct fixture *f = *state;
    assert_refused(f, TM_EAGAIN, "is open in another process");
    close_store(f);
    pid_t child = fork(); /* dies with the store open */
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(f);
        (void)raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_open(f);
}

static void another_environment_is_refused(void **state) {
    struct fixture *f = *state;
    close_store(f);
    f->config.environment = "prod";
    assert_refused(f, TM_EDENIED, "was made for environment test, not for prod");
    f->config.environment = "test";
    fixture_open(f);
}

static void sizes_that_cannot_be_are_refused(void **state) {
    struct fixture *f = *state;
    struct store_config good = f->config;
    close_store(f);
    f->config.max_map_size = STORE_MAP_LEAST - 1;
    f->config.map_size = 4096;
    assert_refused(f, TM_EINVAL, "map");
    f->config = good;
    f->config.map_size = f->config.max_map_size + 1;
    assert_refused(f, TM_EINVAL, "map");
    f->config = good;
    f->config.queue_max = 0;
    assert_refused(f, TM_EINVAL, "queue");
    f->config = good;
    fixture_open(f);
}

/* ---- damage ---- */

/* Writes a value into a closed store, past the code under test. */
static void put_raw(struct fixture *f, enum store_db db, struct bytes key, struct bytes value) {
    char text[IPC_TEXT_MAX + 1];
    struct store_env env;
    MDB_txn *txn;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, (void *)(uintptr_t)value.p};
    assert_int_equal(store_env_open(&env, f->path, 8 * MIB, 8 * MIB, false, text), TM_OK);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, env.dbs[db], &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_env_close(&env);
}

static void another_format_is_refused(void **state) {
    struct fixture *f = *state;
    close_store(f);
    struct ca_hasher *hasher;
    uint8_t octets[200];
    struct buf value = BUF_ON(octets);
    struct store_format format = {.format = STORE_FORMAT + 1, .environment = "test"};
    struct bytes key = bytes_str(STORE_KEY_FORMAT);
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    assert_int_equal(store_seal(hasher, key, &store_format_schema, &format, &value), TM_OK);
    put_raw(f, STORE_DB_META, key, buf_bytes(&value));
    assert_refused(f, TM_EDENIED, "has format 4; this program knows formats up to 3");
    octets[STORE_RECORD_HASH_SIZE + 4] ^= 1;
    put_raw(f, STORE_DB_META, key, buf_bytes(&value));
    assert_refused(f, TM_ECORRUPT, "has no sound format record");
    ca_hasher_free(hasher);
}

/* ---- a store of format 1 ---- */

/* The device's record as format 1 has it. */
static void age_device(struct store_env *env, MDB_txn *txn, struct ca_hasher *hasher, uint64_t n) {
    struct codec_field fields[32];
    struct codec_schema first = store_device_schema;
    first.version = 1;
    first.fields = fields;
    first.field_count = 0;
    for (size_t i = 0; i < store_device_schema.field_count; i++)
        if (store_device_schema.fields[i].since < 2)
            fields[first.field_count++] = store_device_schema.fields[i];
    uint8_t key_octets[STORE_KEY_MAX], octets[STORE_RECORD_MAX];
    struct buf key = BUF_ON(key_octets), sealed = BUF_ON(octets);
    struct ca_device device;
    struct bytes value;
    store_put_device_key(&key, "acme", sample_device(n).id);
    assert_int_equal(store_get(env, txn, STORE_DB_DEVICE, buf_bytes(&key), &value), TM_OK);
    assert_int_equal(store_unseal(hasher, buf_bytes(&key), value, &store_device_schema, &device),
                     TM_OK);
    assert_int_equal(store_seal(hasher, buf_bytes(&key), &first, &device, &sealed), TM_OK);
    MDB_val k = {key.n, key_octets}, v = {sealed.n, octets};
    assert_int_equal(mdb_put(txn, env->dbs[STORE_DB_DEVICE], &k, &v, 0), 0);
}

static void open_raw(const struct fixture *f, struct store_env *env) {
    char text[IPC_TEXT_MAX + 1];
    assert_int_equal(
        store_env_open(env, f->path, f->config.map_size, f->config.max_map_size, false, text),
        TM_OK);
}

/* Makes of the closed store with devices 1 .. devices what an older program would have left. */
static void age_store(struct fixture *f, uint64_t devices) {
    struct store_env env;
    struct ca_hasher *hasher;
    MDB_txn *txn;
    const struct store_format format = {1, "test", 1700000000000};
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    for (uint64_t n = 1; n <= devices; n++)
        age_device(&env, txn, hasher, n);
    for (size_t db = STORE_DB_SINCE_2; db < STORE_DB_COUNT; db++)
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

static void an_older_store_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 3);
    close_store(f);
    age_store(f, 3);
    assert_int_equal(format_of(f), 1);
    f->config.environment = "prod"; /* what is refused stays as it was */
    assert_refused(f, TM_EDENIED, "was made for environment test");
    f->config.environment = "test";
    assert_int_equal(format_of(f), 1);
    fixture_open(f);
    assert_sound(f);
    struct ca_device device;
    assert_int_equal(f->store->ops->device(f->store, "acme", sample_device(2).id, &device), TM_OK);
    assert_int_equal(device.certs[0].status, CA_CERT_ACTIVE);
    uint64_t next;
    assert_int_equal(f->store->ops->cursor(f->store, "mqtt", &next), TM_ENOTFOUND);
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
    const struct store_format format = {1, "test", 1700000000000};
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
    close_store(f);
    f->config.map_size = STORE_MAP_LEAST;
    f->config.max_map_size = 2 * STORE_MAP_LEAST;
    age_store(f, 0);
    int end, status;
    pid_t reader = start_reader(f, &end);
    use_up(f);
    fixture_open(f);
    assert_sound(f);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 0)), TM_EFULL);
    (void)close(end);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    fixture_reopen(f);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 0)), TM_OK);
    assert_sound(f);
}

#ifdef TOUCHMARK_CRASH_POINTS
static void killed_while_it_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 3);
    close_store(f);
    age_store(f, 3);
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
    assert_int_equal(format_of(f), 1);
    fixture_open(f);
    assert_sound(f);
    close_store(f);
    assert_int_equal(format_of(f), STORE_FORMAT);
    fixture_open(f);
}
#endif

static void a_tree_that_does_not_fit_its_leaves_is_refused(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 3);
    close_store(f);
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    store_put_leaf_key(&key, 6);
    put_raw(f, STORE_DB_LEAF, buf_bytes(&key), bytes_str("one more than the frontier knows of"));
    assert_refused(f, TM_ECORRUPT, "its audit tree does not fit its leaves");
}

static void copy_file(const char *from, const char *to) {
    char command[512];
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* Cut anywhere below what the meta page promises: a sentence, never SIGBUS. */
static void a_truncated_file_is_refused(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 300);
    struct store_stats stats;
    store_stats(f->store, &stats);
    close_store(f);
    char name[160], whole[160];
    in_store(f, STORE_DATA_FILE, name);
    (void)snprintf(whole, sizeof whole, "%s/whole", f->root);
    copy_file(name, whole);
    const off_t used = (off_t)stats.used;
    const off_t cuts[] = {used - 1, used - 4096, used / 2, used / 4, 8192,
                          8191,     4097,        4096,     100,      0};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        assert_int_equal(truncate(name, cuts[i]), 0);
        assert_refused(f, TM_ECORRUPT,
                       cuts[i] >= 4096 + STORE_META_SIZE ? "was cut short"
                                                         : "is not an LMDB 0.9 data file");
        copy_file(whole, name);
    }
    /* What lies beyond the last page is only reserved room. */
    assert_int_equal(truncate(name, used), 0);
    fixture_open(f);
    assert_sound(f);
}

static void what_lmdb_did_not_write_is_refused(void **state) {
    struct fixture *f = *state;
    close_store(f);
    char name[160];
    in_store(f, STORE_DATA_FILE, name);
    int fd = open(name, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "not a database at all...", 24), 24);
    (void)close(fd);
    assert_refused(f, TM_ECORRUPT, "is not an LMDB 0.9 data file; restore it from a backup");
}

/* Flips one octet of the file at the first place where `needle` stands at or after `from`. */
static off_t flip(const char *name, const void *needle, size_t n, off_t from) {
    int fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *all = malloc((size_t)st.st_size);
    assert_non_null(all);
    assert_int_equal(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
    uint8_t *at = memmem(all + from, (size_t)(st.st_size - from), needle, n);
    off_t found = at ? at - all : -1;
    if (at) {
        uint8_t flipped = *at ^ 0x10;
        assert_int_equal(pwrite(fd, &flipped, 1, found), 1);
    }
    free(all);
    (void)close(fd);
    return found;
}

static void a_flipped_octet_is_noticed(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 20);
    close_store(f);
    char name[160];
    in_store(f, STORE_DATA_FILE, name);
    /* The DER of certificate 7, in every page that holds it: old pages keep old copies. */
    uint8_t der[SAMPLE_DER];
    (void)sample_certificate(7, der, sizeof der);
    off_t at = 0;
    size_t flips = 0;
    while ((at = flip(name, der + 1, 100, at)) >= 0) {
        at++;
        flips++;
    }
    assert_true(flips > 0);
    fixture_open(f);
    uint8_t octets[IPC_CERT_MAX];
    struct buf out = BUF_ON(octets);
    struct ca_certificate certificate;
    struct ca_serial serial = sample_serial(7);
    assert_int_equal(f->store->ops->certificate(f->store, &serial, &certificate, &out),
                     TM_ECORRUPT);
    serial = sample_serial(8);
    assert_int_equal(f->store->ops->certificate(f->store, &serial, &certificate, &out), TM_OK);
    struct findings found = {0};
    assert_int_equal(f->store->ops->check(f->store, findings_add, &found), TM_ECORRUPT);
    assert_int_equal(found.count, 1);
    assert_non_null(strstr(found.text[0], "the record fails its hash"));
    /* A change that must read the record is refused; others go on. */
    struct ca_certificate revoked = {.serial = sample_serial(7), .status = CA_CERT_REVOKED};
    assert_int_equal(COMMIT(f, NULL, change_status(&revoked)), TM_ECORRUPT);
    issue_many(f, 100, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(only_the_owner_may_read_the_files),
        TEST(a_second_store_is_not_made_over_the_first),
        TEST(a_failed_creation_leaves_nothing),
        TEST(what_is_no_store_is_not_found),
        TEST(one_process_at_a_time),
        TEST(another_environment_is_refused),
        TEST(sizes_that_cannot_be_are_refused),
        TEST(another_format_is_refused),
        TEST(an_older_store_is_brought_up_to_date),
        TEST(a_full_older_store_is_brought_up_to_date),
#ifdef TOUCHMARK_CRASH_POINTS
        TEST(killed_while_it_is_brought_up_to_date),
#endif
        TEST(a_tree_that_does_not_fit_its_leaves_is_refused),
        TEST(a_truncated_file_is_refused),
        TEST(what_lmdb_did_not_write_is_refused),
        TEST(a_flipped_octet_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
