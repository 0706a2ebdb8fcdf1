/* SPDX-License-Identifier: Apache-2.0 */
/* Making and opening a store, and what is refused with which sentence. */
#include <signal.h>
#include <sys/wait.h>

#include "store/datafile.h"
#include "store/format.h"
#include "tests/unit/store_raw.h"

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
    assert_refused(f, TM_EDENIED, "has format 5; this program knows formats up to 4");
    octets[STORE_RECORD_HASH_SIZE + 4] ^= 1;
    put_raw(f, STORE_DB_META, key, buf_bytes(&value));
    assert_refused(f, TM_ECORRUPT, "has no sound format record");
    ca_hasher_free(hasher);
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

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
        TEST(a_tree_that_does_not_fit_its_leaves_is_refused),
        TEST(a_truncated_file_is_refused),
        TEST(what_lmdb_did_not_write_is_refused),
        TEST(a_flipped_octet_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
