/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark profile check` and `diff`: see profile_command.h. */
#include "admin/profile_command.h"

#include "base/auto.h"
#include "conf/conf.h"
#include "conf/managed.h"

typedef struct conf conf_t;
AUTO_DEFINE(conf_t, conf_close)
AUTO_DEFINE(json_t, json_decref)

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

static int written(int code) {
    return fflush(stdout) && code == EX_OK ? EX_IOERR : code;
}

/* ---- check ---- */

static int check_one(const char *path) {
    struct profile_file file;
    int code = profile_file_read(path, &file);
    if (code != EX_OK)
        return code;
    printf("%s\n", path);
    code = profile_file_try(&file, stdout);
    profile_file_free(&file);
    return code;
}

/* Every file, also after one that is not good. */
int admin_profile_check(struct admin_call *call) {
    int code = EX_OK;
    for (size_t i = 0; i < call->file_count; i++) {
        int one = check_one(call->files[i]);
        code = code == EX_OK ? one : code;
    }
    return written(code);
}

/* ---- diff ---- */

static void print_hash(const char *what, const uint8_t hash[CA_HASH_SIZE], bool json) {
    char text[2 * CA_HASH_SIZE + 1];
    if (!hex_encode((struct bytes){hash, CA_HASH_SIZE}, text, sizeof text))
        printf(json ? "{\"%s\":\"%s\"}\n" : "%s: %s\n", what, text);
}

/* The old one may be none, or one that is not good any more. */
static void print_old_hash(const char *path, const char *text, size_t n, bool json) {
    struct ca_profile old;
    char error[CONF_ERROR_MAX];
    if (n == 0) {
        printf(json ? "{\"old_hash\":null}\n" : "old_hash: -\n");
        return;
    }
    if (ca_profile_load_text(text, n, path, &old, error)) {
        (void)refused(error);
        return;
    }
    print_hash("old_hash", old.hash, json);
    ca_profile_free(&old);
}

static int compare(const struct admin_call *call, const char *path,
                   const struct profile_file *file) {
    AUTO_MEM char *old = NULL;
    size_t n = 0;
    char error[CONF_ERROR_MAX];
    if (conf_managed_read(path, &old, &n, error))
        return refused(error);
    AUTO(json_t) rows = profile_differences(old, n, file);
    if (!rows)
        return refused("out of memory");
    profile_print_differences(rows, call->json);
    print_old_hash(path, old, n, call->json);
    print_hash("new_hash", file->profile.hash, call->json);
    return EX_OK;
}

int admin_profile_diff(struct admin_call *call) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    struct profile_file file;
    char error[CONF_ERROR_MAX];
    if (conf_open_file(call->conf, owned, error)) {
        (void)refused(error);
        return EX_CONFIG;
    }
    int code = profile_file_read(call->files[0], &file);
    if (code != EX_OK)
        return code;
    const char *name = call->request.profile[0] ? call->request.profile : file.profile.name;
    AUTO_MEM char *path = profile_path(conf.profiles_dir, name);
    code = path ? compare(call, path, &file) : refused("out of memory");
    profile_file_free(&file);
    return written(code);
}
