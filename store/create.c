/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a store: in a temporary folder beside its place, synced, then renamed. So there is
 * either no store or a whole one, whatever is cut off in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/clock.h"
#include "store/datafile.h"
#include "store/env.h"
#include "store/format.h"
#include "store/store.h"

static enum tm_err put_format(const struct store_env *env, struct ca_hasher *hasher,
                              const struct store_format *format) {
    MDB_txn *txn;
    enum tm_err err =
        store_lmdb_err(mdb_txn_begin(env->env, NULL, 0, &txn), "beginning a transaction");
    if (err)
        return err;
    err = store_format_put(env, txn, hasher, format);
    if (err) {
        mdb_txn_abort(txn);
        return err;
    }
    return store_lmdb_err(mdb_txn_commit(txn), "storing the format");
}

static enum tm_err fill(const char *folder, const struct store_format *format,
                        char text[IPC_TEXT_MAX + 1]) {
    struct store_env env;
    enum tm_err err = store_env_open(&env, folder, STORE_MAP_LEAST, STORE_MAP_LEAST, true, text);
    if (err)
        return err;
    struct ca_hasher *hasher = NULL;
    err = ca_hasher_new(&hasher);
    if (!err)
        err = put_format(&env, hasher, format);
    ca_hasher_free(hasher);
    store_env_close(&env);
    return err;
}

static enum tm_err sync_path(const char *path, int flags) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    return fd < 0 || fsync(fd) ? TM_EIO : TM_OK;
}

static enum tm_err sync_folder(const char *folder) {
    char name[4096];
    enum tm_err err = store_path(folder, STORE_DATA_FILE, name, sizeof name);
    if (!err)
        err = sync_path(name, 0);
    return err ? err : sync_path(folder, O_DIRECTORY);
}

/* What LMDB makes in a folder. */
static void remove_folder(const char *folder) {
    static const char *const files[] = {STORE_DATA_FILE, "lock.mdb"};
    char name[4096];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (!store_path(folder, files[i], name, sizeof name))
            (void)unlink(name);
    (void)rmdir(folder);
}

static enum tm_err say(enum tm_err err, const char *path, const char *why,
                       char text[IPC_TEXT_MAX + 1]) {
    (void)snprintf(text, IPC_TEXT_MAX + 1, "the store %.120s cannot be made: %.100s", path, why);
    return err;
}

/* Puts the new folder in its place, for good. */
static enum tm_err move(const char *folder, const char *path, char text[IPC_TEXT_MAX + 1]) {
    if (rename(folder, path)) {
        enum tm_err err =
            errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR ? TM_EEXISTS : TM_EIO;
        return say(err, path, strerror(errno), text);
    }
    char parent[4096];
    enum tm_err err = store_path(path, "..", parent, sizeof parent);
    if (!err)
        err = sync_path(parent, O_DIRECTORY);
    return err ? say(err, path, "its parent folder cannot be synced", text) : TM_OK;
}

static enum tm_err make_in(const char *folder, const char *path, const struct store_format *format,
                           char text[IPC_TEXT_MAX + 1]) {
    (void)say(TM_EIO, path, "its files cannot be written", text);
    enum tm_err err = fill(folder, format, text);
    if (!err)
        err = sync_folder(folder);
    return err ? err : move(folder, path, text);
}

enum tm_err store_create(const char *path, const char *environment, char text[IPC_TEXT_MAX + 1]) {
    struct store_format format = {.format = STORE_FORMAT, .created_ms = clock_wall_ms()};
    char folder[4096];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    int length = snprintf(folder, sizeof folder, "%.*s.new-XXXXXX", (int)n, path);
    if (length < 0 || (size_t)length >= sizeof folder ||
        strlen(environment) >= sizeof format.environment)
        return say(TM_ELIMIT, path, "its path or environment is too long", text);
    (void)strcpy(format.environment, environment);
    struct stat st;
    if (!lstat(path, &st))
        return say(TM_EEXISTS, path, "there is something at its path already", text);
    if (!mkdtemp(folder))
        return say(TM_EIO, path, strerror(errno), text);
    enum tm_err err = make_in(folder, path, &format, text);
    if (err)
        remove_folder(folder);
    else
        text[0] = 0;
    return err;
}
