/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts in the device's storage and keys in files, at every call that changes the folder and
 * with each way that a disk forgets (powercut.c). The victim is this program again: it makes a list
 * of changes and says which are done. Afterwards the folder has to hold what client/tables.h and
 * client/port/files.h promise, and the device has to be able to go on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/auto.h"
#include "client/port/files.h"
#include "client/port/openssl.h"

#define CUTS_MAX 2000 /* the list ends long before */

struct step {
    enum { WRITE, ERASE, GENERATE, DESTROY } kind;
    unsigned number; /* item or bank */
    const char *text;
};

/* A life in short: enroll, renew with a new key, renew again, go back. */
static const struct step steps[] = {
    {WRITE, TM_ITEM_JOURNAL_A, "request is out"},
    {GENERATE, 1, NULL},
    {WRITE, TM_ITEM_CHAIN_1, "the first certificate, which is longer than those after it"},
    {WRITE, TM_ITEM_ANCHORS_1, "two anchors"},
    {WRITE, TM_ITEM_JOURNAL_B, "enrolled"},
    {ERASE, TM_ITEM_BOOTSTRAP, NULL},
    {GENERATE, 2, NULL},
    {WRITE, TM_ITEM_CHAIN_2, "the second certificate"},
    {WRITE, TM_ITEM_JOURNAL_A, "renewed"},
    {GENERATE, 1, NULL},
    {WRITE, TM_ITEM_CHAIN_1, "the third certificate"},
    {WRITE, TM_ITEM_ANCHORS_0, ""},
    {ERASE, TM_ITEM_CHAIN_2, NULL},
    {DESTROY, 2, NULL},
    {DESTROY, 2, NULL},
};
#define STEPS (sizeof steps / sizeof steps[0])

/* What there is before; key 0 too. */
static const struct step before[] = {
    {WRITE, TM_ITEM_BOOTSTRAP, "one-time credential"},
    {WRITE, TM_ITEM_ANCHORS_0, "an anchor"},
    {WRITE, TM_ITEM_CHAIN_0, "the maker's certificate"},
    {GENERATE, TM_BANK_IDEVID, NULL},
};
#define BEFORE (sizeof before / sizeof before[0])

struct key {
    uint8_t spki[TM_SPKI_MAX];
    size_t n; /* 0: none */
};

/* What a folder holds, as far as anyone was told. */
struct model {
    const char *items[TM_ITEM_COUNT];
    struct key keys[TM_BANKS];
};

/* ---- storage and keys of one folder ---- */

struct device {
    struct tm_files *files;
    struct tm_key_files *key_files;
    const struct tm_storage *storage;
    const struct tm_keys *keys;
};

static enum tm_err device_open(struct device *device, const char *folder) {
    *device = (struct device){0};
    enum tm_err err = tm_files_open(folder, &device->files);
    if (!err)
        err = tm_key_files_open(folder, &device->key_files);
    if (!err) {
        device->storage = tm_files_storage(device->files);
        device->keys = tm_key_files_keys(device->key_files);
    }
    return err;
}

static void device_close(struct device *device) {
    tm_files_close(device->files);
    tm_key_files_close(device->key_files);
}

static enum tm_err do_step(const struct device *device, const struct step *step) {
    const struct tm_storage *storage = device->storage;
    const struct tm_keys *keys = device->keys;
    switch (step->kind) {
    case WRITE:
        return storage->write(storage->self, step->number, bytes_str(step->text));
    case ERASE:
        return storage->erase(storage->self, step->number);
    case GENERATE:
        return keys->generate(keys->self, step->number);
    case DESTROY:
        return keys->destroy(keys->self, step->number);
    }
    return TM_EINVAL;
}

/* Empty when there is none. */
static struct key key_in(const struct device *device, unsigned bank) {
    struct key key = {.n = 0};
    struct buf out = BUF_ON(key.spki);
    enum tm_err err = device->keys->public_key(device->keys->self, bank, &out);
    assert_int_equal(err, out.n ? TM_OK : TM_ENOTFOUND);
    key.n = out.n;
    return key;
}

static void model_step(struct model *model, const struct step *step, const struct key *key) {
    if (step->kind == GENERATE || step->kind == DESTROY)
        model->keys[step->number] = *key;
    else
        model->items[step->number] = step->text;
}

/* ---- the victim ---- */

/* After each step its key, if it has one: what the device was told is durable. */
static int victim(const char *folder) {
    struct device device;
    if (device_open(&device, folder))
        return 2;
    for (size_t i = 0; i < STEPS; i++) {
        struct key key = {.n = 0};
        struct buf out = BUF_ON(key.spki);
        if (do_step(&device, &steps[i]))
            return 3;
        if (steps[i].kind == GENERATE &&
            device.keys->public_key(device.keys->self, steps[i].number, &out))
            return 4;
        key.n = out.n;
        if (write(STDOUT_FILENO, &key, sizeof key) != (ssize_t)sizeof key)
            return 5;
    }
    device_close(&device);
    return 0;
}

/* Programs that forget one thing each, to see that it is noticed. */
static int careless(const char *folder, const char *what) {
    AUTO_FD int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool in_place = strcmp(what, "in-place") == 0;
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    AUTO_FD int fd = openat(dir, in_place ? "file" : "file.new", flags, 0600);
    if (write(fd, "new", 3) != 3)
        return 2;
    if (strcmp(what, "file-not-synced") != 0 && !in_place && fsync(fd))
        return 3;
    if (!in_place && renameat(dir, "file.new", dir, "file"))
        return 4;
    if (strcmp(what, "folder-not-synced") != 0 && fsync(dir))
        return 5;
    return unlinkat(dir, "none", 0) == 0; /* the power fails here at the latest */
}

/* ---- a run ---- */

struct fixture {
    char root[64];
    char folder[96];
    struct model model;
    struct key reported[STEPS];
    size_t done; /* steps that the victim called done */
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)strcpy(f->root, "/tmp/touchmark-powercut-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->folder, sizeof f->folder, "%s/device", f->root);
    *state = f;
    return 0;
}

static void empty_folder(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        (void)closedir(dir);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    empty_folder(f->folder);
    (void)rmdir(f->folder);
    assert_int_equal(rmdir(f->root), 0);
    free(f);
    return 0;
}

/* In the child; never returns. */
static void run_victim(const struct fixture *f, const char *careless_one, const char *keep,
                       unsigned cut_at, int out) {
    char at[16], self[] = "/proc/self/exe";
    const char *shim = getenv("TM_POWERCUT");
    (void)snprintf(at, sizeof at, "%u", cut_at);
    if (dup2(out, STDOUT_FILENO) < 0 || setenv("POWERCUT_FOLDER", f->folder, 1) ||
        setenv("POWERCUT_AT", at, 1) || setenv("POWERCUT_KEEP", keep, 1) || !shim ||
        setenv("LD_PRELOAD", shim, 1))
        _exit(90);
    (void)execl(self, "victim", f->folder, careless_one, (char *)NULL);
    _exit(91);
}

static void collect(struct fixture *f, int fd) {
    struct key key;
    ssize_t n;
    f->done = 0;
    while ((n = read(fd, &key, sizeof key)) == (ssize_t)sizeof key && f->done < STEPS)
        f->reported[f->done++] = key;
    assert_int_equal(n, 0);
}

/* Was the power cut? Any other end than that or the victim's own good one fails the test. */
static bool run_cut(struct fixture *f, const char *careless_one, const char *keep, unsigned at) {
    int pipes[2], status;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_victim(f, careless_one, keep, at, pipes[1]);
    (void)close(pipes[1]);
    collect(f, pipes[0]);
    (void)close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* ---- what has to be true afterwards ---- */

static void assert_item(const struct device *device, enum tm_item item, const char *a,
                        const char *b) {
    uint8_t octets[256];
    struct buf out = BUF_ON(octets);
    enum tm_err err = device->storage->read(device->storage->self, item, &out);
    struct bytes found = buf_bytes(&out);
    bool is_a = a ? !err && bytes_equal(found, bytes_str(a)) : err == TM_ENOTFOUND;
    bool is_b = b ? !err && bytes_equal(found, bytes_str(b)) : err == TM_ENOTFOUND;
    if (!is_a && !is_b)
        fail_msg("%s: %s, '%.*s', neither '%s' nor '%s'", tm_files_name(item), tm_err_name(err),
                 (int)found.n, (const char *)octets, a ? a : "(none)", b ? b : "(none)");
}

static bool same_key(const struct key *a, const struct key *b) {
    return a->n == b->n && memcmp(a->spki, b->spki, a->n) == 0;
}

static void assert_signs(const struct device *device, unsigned bank, const struct key *key) {
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    const struct tm_crypto *crypto = tm_openssl_crypto();
    uint8_t digest[TM_SHA256_SIZE], signature[TM_SIGNATURE_MAX];
    struct buf out = BUF_ON(signature);
    struct bytes text = bytes_str("text");
    assert_int_equal(crypto->sha256(crypto->self, &text, 1, digest), TM_OK);
    assert_int_equal(device->keys->sign(device->keys->self, bank, digest, &out), TM_OK);
    assert_int_equal(crypto->verify(crypto->self, (struct bytes){key->spki, key->n},
                                    BYTES_OF(ecdsa_sha256), text, buf_bytes(&out)),
                     TM_OK);
}

/* `step` was under way: its bank may hold a key that nobody was told of, or none if it destroys. */
static void assert_key(const struct device *device, unsigned bank, const struct key *told,
                       const struct step *step) {
    struct key key = key_in(device, bank);
    bool touched = step && step->number == bank &&
                   (step->kind == DESTROY ? key.n == 0 : step->kind == GENERATE && key.n > 0);
    if (!touched && !same_key(&key, told))
        fail_msg("key %u is not the one that was there", bank);
    if (key.n)
        assert_signs(device, bank, &key);
}

static void assert_model(const struct device *device, const struct model *model,
                         const struct step *step) {
    bool storage = step && (step->kind == WRITE || step->kind == ERASE);
    for (unsigned i = 0; i < TM_ITEM_COUNT; i++)
        assert_item(device, (enum tm_item)i, model->items[i],
                    storage && step->number == i ? step->text : model->items[i]);
    for (unsigned bank = 0; bank < TM_BANKS; bank++)
        assert_key(device, bank, &model->keys[bank], step);
}

static bool expected_name(const char *name) {
    char key[16];
    for (unsigned i = 0; i < TM_ITEM_COUNT; i++)
        if (strcmp(name, tm_files_name((enum tm_item)i)) == 0)
            return true;
    for (unsigned bank = 0; bank < TM_BANKS; bank++) {
        (void)snprintf(key, sizeof key, "key-%u.pem", bank);
        if (strcmp(name, key) == 0)
            return true;
    }
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void assert_no_other_files(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (!expected_name(entry->d_name))
            fail_msg("%s is left in the folder", entry->d_name);
    (void)closedir(dir);
}

/* The device starts again, finds what it was told is there, and goes on to the end. */
static void assert_goes_on(struct fixture *f) {
    struct device device;
    assert_int_equal(device_open(&device, f->folder), TM_OK);
    assert_no_other_files(f->folder);
    for (size_t i = 0; i < f->done; i++)
        model_step(&f->model, &steps[i], &f->reported[i]);
    assert_model(&device, &f->model, f->done < STEPS ? &steps[f->done] : NULL);
    for (size_t i = f->done; i < STEPS; i++) {
        assert_int_equal(do_step(&device, &steps[i]), TM_OK);
        struct key key = {.n = 0};
        if (steps[i].kind == GENERATE)
            key = key_in(&device, steps[i].number);
        model_step(&f->model, &steps[i], &key);
    }
    assert_model(&device, &f->model, NULL);
    device_close(&device);
    assert_no_other_files(f->folder);
}

static void start_over(struct fixture *f) {
    struct device device;
    empty_folder(f->folder);
    f->model = (struct model){0};
    assert_int_equal(device_open(&device, f->folder), TM_OK);
    for (size_t i = 0; i < BEFORE; i++) {
        assert_int_equal(do_step(&device, &before[i]), TM_OK);
        struct key key = {.n = 0};
        if (before[i].kind == GENERATE)
            key = key_in(&device, before[i].number);
        model_step(&f->model, &before[i], &key);
    }
    device_close(&device);
}

static void cut_everywhere(struct fixture *f, const char *keep) {
    unsigned at = 1;
    bool was_cut = true;
    for (; was_cut; at++) {
        assert_true(at < CUTS_MAX);
        start_over(f);
        was_cut = run_cut(f, NULL, keep, at);
        assert_goes_on(f);
    }
    assert_int_equal(f->done, STEPS);
    assert_true(at > 3 * STEPS); /* else the shim has not seen what was done */
    print_message("%s: %u cuts in %zu changes\n", keep, at - 2, STEPS);
}

static void unsynced_writes_are_lost(void **state) {
    cut_everywhere(*state, "synced");
}

static void unsynced_contents_are_lost(void **state) {
    cut_everywhere(*state, "names");
}

static void the_process_is_killed(void **state) {
    cut_everywhere(*state, "all");
}

/* ---- the shim itself ---- */

static void put_old(const struct fixture *f) {
    char path[128];
    (void)mkdir(f->folder, 0700);
    empty_folder(f->folder);
    (void)snprintf(path, sizeof path, "%s/file", f->folder);
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "old", 3), 3);
}

/* Cut at its last call. */
static void assert_left(struct fixture *f, const char *careless_one, const char *keep,
                        unsigned calls, const char *left) {
    char path[128], text[8] = "";
    put_old(f);
    assert_false(run_cut(f, careless_one, keep, calls + 1));
    put_old(f);
    assert_true(run_cut(f, careless_one, keep, calls));
    (void)snprintf(path, sizeof path, "%s/file", f->folder);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) >= 0);
    assert_string_equal(text, left);
}

static void careless_programs_are_found_out(void **state) {
    struct fixture *f = *state;
    assert_left(f, "careful", "synced", 6, "new");
    assert_left(f, "file-not-synced", "synced", 5, "");
    assert_left(f, "file-not-synced", "names", 5, "");
    assert_left(f, "file-not-synced", "all", 5, "new");
    assert_left(f, "folder-not-synced", "synced", 5, "old");
    assert_left(f, "folder-not-synced", "names", 5, "new");
    assert_left(f, "in-place", "synced", 4, "old");
    assert_left(f, "in-place", "all", 4, "new");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[0], "victim") == 0)
        return argc == 3 ? careless(argv[1], argv[2]) : victim(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(careless_programs_are_found_out, setup, teardown),
        cmocka_unit_test_setup_teardown(unsynced_writes_are_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(unsynced_contents_are_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(the_process_is_killed, setup, teardown),
    };
    return cmocka_run_group_tests_name("files_powercut", tests, NULL, NULL);
}
