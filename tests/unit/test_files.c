/* SPDX-License-Identifier: Apache-2.0 */
/* The device's storage in a folder: what is written is there, nothing else is, and nobody else is
 * let in. Power cuts are in tests/fault. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/auto.h"
#include "client/port/files.h"
#include "client/port/folder.h"
#include "client/port/openssl.h"

struct fixture {
    char root[64]; /* of its own; removed afterwards */
    char folder[96];
    struct tm_files *files;
    const struct tm_storage *storage;
};

static void reopen(struct fixture *f) {
    tm_files_close(f->files);
    f->files = NULL;
    assert_int_equal(tm_files_open(f->folder, &f->files), TM_OK);
    f->storage = tm_files_storage(f->files);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)strcpy(f->root, "/tmp/touchmark-files-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->folder, sizeof f->folder, "%s/device", f->root);
    reopen(f);
    *state = f;
    return 0;
}

static void remove_all_in(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        (void)closedir(dir);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tm_files_close(f->files);
    remove_all_in(f->folder);
    (void)rmdir(f->folder);
    remove_all_in(f->root);
    assert_int_equal(rmdir(f->root), 0);
    free(f);
    return 0;
}

/* ---- the folder as other programs see it ---- */

struct path {
    char text[160];
};

static struct path path_of(const struct fixture *f, const char *name) {
    struct path path;
    (void)snprintf(path.text, sizeof path.text, "%s/%s", f->folder, name);
    return path;
}

static void put_file(const struct fixture *f, const char *name, const char *text) {
    AUTO_FD int fd = open(path_of(f, name).text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool there(const struct fixture *f, const char *name) {
    struct stat st;
    return lstat(path_of(f, name).text, &st) == 0;
}

static size_t count_files(const struct fixture *f) {
    size_t n = 0;
    DIR *dir = opendir(f->folder);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n - 2; /* . and .. */
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* ---- the storage as the library uses it ---- */

static enum tm_err put(const struct fixture *f, enum tm_item item, const char *text) {
    return f->storage->write(f->storage->self, item, bytes_str(text));
}

static enum tm_err erase(const struct fixture *f, enum tm_item item) {
    return f->storage->erase(f->storage->self, item);
}

static void assert_item(const struct fixture *f, enum tm_item item, const char *text) {
    uint8_t octets[256];
    struct buf out = BUF_ON(octets);
    assert_int_equal(f->storage->read(f->storage->self, item, &out), text ? TM_OK : TM_ENOTFOUND);
    assert_int_equal(out.n, text ? strlen(text) : 0);
    if (text)
        assert_memory_equal(octets, text, out.n);
}

static void items_are_kept_apart_and_over_a_restart(void **state) {
    struct fixture *f = *state;
    char text[16];
    for (unsigned i = 0; i < TM_ITEM_COUNT; i++) {
        assert_item(f, (enum tm_item)i, NULL);
        (void)snprintf(text, sizeof text, "item %u", i);
        assert_int_equal(put(f, (enum tm_item)i, text), TM_OK);
    }
    reopen(f);
    for (unsigned i = 0; i < TM_ITEM_COUNT; i++) {
        (void)snprintf(text, sizeof text, "item %u", i);
        assert_item(f, (enum tm_item)i, text);
    }
    assert_int_equal(count_files(f), TM_ITEM_COUNT);
}

static void an_item_is_replaced_as_a_whole(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, TM_ITEM_JOURNAL_A, "a long first record"), TM_OK);
    assert_int_equal(put(f, TM_ITEM_JOURNAL_A, "short"), TM_OK);
    assert_item(f, TM_ITEM_JOURNAL_A, "short");
    assert_int_equal(put(f, TM_ITEM_JOURNAL_A, ""), TM_OK);
    assert_item(f, TM_ITEM_JOURNAL_A, "");
    assert_int_equal(count_files(f), 1);
}

static void what_is_erased_is_gone(void **state) {
    struct fixture *f = *state;
    assert_int_equal(erase(f, TM_ITEM_BOOTSTRAP), TM_OK); /* there is none */
    assert_int_equal(put(f, TM_ITEM_BOOTSTRAP, "device and secret"), TM_OK);
    assert_int_equal(erase(f, TM_ITEM_BOOTSTRAP), TM_OK);
    assert_item(f, TM_ITEM_BOOTSTRAP, NULL);
    assert_int_equal(count_files(f), 0);
}

static void reading_appends_and_knows_its_bound(void **state) {
    struct fixture *f = *state;
    uint8_t octets[8] = "ab";
    struct buf out = {octets, sizeof octets, 2, false};
    assert_int_equal(put(f, TM_ITEM_CHAIN_1, "cdefgh"), TM_OK);
    assert_int_equal(f->storage->read(f->storage->self, TM_ITEM_CHAIN_1, &out), TM_OK);
    assert_int_equal(out.n, 8);
    assert_memory_equal(octets, "abcdefgh", 8);
    out = (struct buf){octets, 7, 2, false};
    assert_int_equal(f->storage->read(f->storage->self, TM_ITEM_CHAIN_1, &out), TM_ELIMIT);
    assert_int_equal(out.n, 2);
    assert_false(out.full);
}

static void a_number_without_an_item_is_refused(void **state) {
    struct fixture *f = *state;
    uint8_t octets[8];
    struct buf out = BUF_ON(octets);
    assert_int_equal(put(f, TM_ITEM_COUNT, "x"), TM_EINVAL);
    assert_int_equal(erase(f, TM_ITEM_COUNT), TM_EINVAL);
    assert_int_equal(f->storage->read(f->storage->self, TM_ITEM_COUNT, &out), TM_EINVAL);
    assert_string_equal(tm_files_name(TM_ITEM_COUNT), "");
    assert_int_equal(count_files(f), 0);
}

static void the_files_have_the_names_that_are_told(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, TM_ITEM_CHAIN_1, "chain"), TM_OK);
    assert_string_equal(tm_files_name(TM_ITEM_CHAIN_1), "chain-1.der");
    assert_true(there(f, "chain-1.der"));
    put_file(f, tm_files_name(TM_ITEM_ANCHORS_0), "by hand"); /* as a technician puts it there */
    assert_item(f, TM_ITEM_ANCHORS_0, "by hand");
}

static void files_and_folder_are_the_owner_s(void **state) {
    struct fixture *f = *state;
    mode_t mask = umask(0);
    enum tm_err err = put(f, TM_ITEM_BOOTSTRAP, "secret");
    (void)umask(mask);
    assert_int_equal(err, TM_OK);
    assert_int_equal(mode_of(path_of(f, "bootstrap").text), 0600);
    assert_int_equal(mode_of(f->folder), 0700);
}

static void a_folder_that_others_write_to_is_refused(void **state) {
    struct fixture *f = *state;
    static const mode_t modes[] = {0720, 0702, 01777};
    tm_files_close(f->files);
    f->files = NULL;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(f->folder, modes[i]), 0);
        assert_int_equal(tm_files_open(f->folder, &f->files), TM_EDENIED);
        assert_null(f->files);
    }
    assert_int_equal(chmod(f->folder, 0755), 0); /* others may look: the files are closed to them */
    reopen(f);
}

static void no_folder_is_made_without_its_parent(void **state) {
    struct fixture *f = *state;
    struct tm_files *files = NULL;
    assert_int_equal(tm_files_open(path_of(f, "no/where").text, &files), TM_EIO);
    put_file(f, "file", "");
    assert_int_equal(tm_files_open(path_of(f, "file").text, &files), TM_EIO);
    assert_null(files);
}

/* In a process of its own, as another agent started by mistake would be. */
static void a_folder_has_one_process(void **state) {
    struct fixture *f = *state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct tm_files *files = NULL;
        enum tm_err err = tm_files_open(f->folder, &files);
        _exit(err == TM_EAGAIN && !files ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    reopen(f);
}

static void keys_may_stand_in_the_same_folder(void **state) {
    struct fixture *f = *state;
    struct tm_key_files *key_files = NULL;
    assert_int_equal(tm_key_files_open(f->folder, &key_files), TM_OK);
    const struct tm_keys *keys = tm_key_files_keys(key_files);
    assert_int_equal(keys->generate(keys->self, 1), TM_OK);
    assert_int_equal(put(f, TM_ITEM_CHAIN_1, "chain"), TM_OK);
    reopen(f);
    uint8_t spki[TM_SPKI_MAX];
    struct buf out = BUF_ON(spki);
    assert_int_equal(keys->public_key(keys->self, 1, &out), TM_OK);
    assert_item(f, TM_ITEM_CHAIN_1, "chain");
    tm_key_files_close(key_files);
}

static void left_overs_are_removed_and_nothing_else(void **state) {
    struct fixture *f = *state;
    put_file(f, ".chain-1.der.new", "half a ch");
    put_file(f, ".bootstrap.new", "");
    put_file(f, ".key-1.pem.new", "half a k");
    put_file(f, "notes.new", "a technician's");
    reopen(f);
    assert_false(there(f, ".chain-1.der.new"));
    assert_false(there(f, ".bootstrap.new"));
    assert_true(there(f, "notes.new"));
    struct tm_key_files *keys = NULL;
    assert_true(there(f, ".key-1.pem.new")); /* whose key store removes it: it may be at work */
    assert_int_equal(tm_key_files_open(f->folder, &keys), TM_OK);
    tm_key_files_close(keys);
    assert_int_equal(count_files(f), 1);
}

static void links_are_not_followed(void **state) {
    struct fixture *f = *state;
    uint8_t octets[64];
    struct buf out = BUF_ON(octets);
    put_file(f, "elsewhere", "not to be touched");
    assert_int_equal(symlink("elsewhere", path_of(f, "chain-1.der").text), 0);
    assert_int_equal(symlink("elsewhere", path_of(f, ".chain-1.der.new").text), 0);
    assert_int_equal(f->storage->read(f->storage->self, TM_ITEM_CHAIN_1, &out), TM_EIO);
    assert_int_equal(put(f, TM_ITEM_CHAIN_1, "chain"), TM_OK);
    assert_item(f, TM_ITEM_CHAIN_1, "chain");
    out = (struct buf){octets, sizeof octets, 0, false};
    AUTO_FD int folder = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(tm_folder_read(folder, "elsewhere", &out), TM_OK);
    assert_int_equal(out.n, strlen("not to be touched"));
}

static void what_is_no_file_is_not_read(void **state) {
    struct fixture *f = *state;
    uint8_t octets[64];
    struct buf out = BUF_ON(octets);
    assert_int_equal(mkfifo(path_of(f, "chain-1.der").text, 0600), 0); /* nobody writes to it */
    assert_int_equal(f->storage->read(f->storage->self, TM_ITEM_CHAIN_1, &out), TM_EIO);
    assert_int_equal(put(f, TM_ITEM_CHAIN_1, "chain"), TM_OK);
    assert_item(f, TM_ITEM_CHAIN_1, "chain");
}

/* The file system refuses in the middle of a file: the old item stays, and no half one. */
static void a_write_that_fails_leaves_the_old(void **state) {
    struct fixture *f = *state;
    struct rlimit before, limit;
    static uint8_t big[4096];
    assert_int_equal(put(f, TM_ITEM_CHAIN_2, "old"), TM_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){1000, before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum tm_err err = f->storage->write(f->storage->self, TM_ITEM_CHAIN_2, BYTES_OF(big));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, TM_EIO);
    assert_item(f, TM_ITEM_CHAIN_2, "old");
    assert_int_equal(count_files(f), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_are_kept_apart_and_over_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(an_item_is_replaced_as_a_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_erased_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_appends_and_knows_its_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_without_an_item_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_files_have_the_names_that_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(files_and_folder_are_the_owner_s, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_others_write_to_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(no_folder_is_made_without_its_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_has_one_process, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_may_stand_in_the_same_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(left_overs_are_removed_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_the_old, setup, teardown),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
