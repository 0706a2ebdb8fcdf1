/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark profile apply`: see profile_command.h. touchmarkd says whether the profile may be
 * applied, and judges again when it loads the file; what is done here keeps nobody from anything.
 */
#include <openssl/evp.h>
#include <string.h>

#include "admin/keys_internal.h"
#include "admin/profile_command.h"
#include "base/auto.h"
#include "conf/conf.h"
#include "conf/managed.h"

typedef struct conf conf_t;
AUTO_DEFINE(conf_t, conf_close)
AUTO_DEFINE(json_t, json_decref)

struct apply {
    struct admin_call *call;
    const char *socket;
    char *path; /* where it goes */
    char *old;  /* what is there; empty: nothing */
    size_t old_n;
    struct profile_file file;
};

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

/* May it be applied? The word for it and, if there is one, the act. */
static int ask_state(const struct apply *a, json_t **ret_answer) {
    struct ipc_admin_request *q = &a->call->request;
    q->verb = IPC_ADMIN_PROFILES;
    TEXT_SET(q->profile, a->file.profile.name);
    q->data = BYTES_OF(a->file.profile.hash);
    return admin_ask(a->call, ret_answer);
}

static const char *text_in(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* ---- officers ---- */

static json_t *parameters_of(const struct apply *a) {
    char hash[2 * CA_HASH_SIZE + 1], content[2 * CA_HASH_SIZE + 1];
    uint8_t sha256[CA_HASH_SIZE];
    if (EVP_Digest(a->file.text, a->file.n, sha256, NULL, EVP_sha256(), NULL) != 1 ||
        hex_encode(BYTES_OF(a->file.profile.hash), hash, sizeof hash) ||
        hex_encode(BYTES_OF(sha256), content, sizeof content))
        return NULL;
    return json_pack("{s:s, s:s, s:s}", "profile", a->file.profile.name, "hash", hash, "file",
                     content);
}

static int propose(const struct apply *a) {
    AUTO(json_t) parameters = parameters_of(a);
    int code =
        parameters ? admin_propose(a->call, "profile-apply", parameters) : refused("out of memory");
    if (code == EX_OK)
        printf("two officers sign it (touchmark act sign); then give this command again\n");
    return code;
}

static int wait_for(const json_t *answer) {
    fprintf(stderr, "touchmark: act %s waits for the signatures of two officers\n",
            text_in(answer, "act"));
    return ADMIN_EXIT_REFUSED;
}

/* ---- in force ---- */

/* What was written is undone; the server takes up what it had. */
static void revert(const struct apply *a, bool reload) {
    char error[CONF_ERROR_MAX];
    enum tm_err err = conf_managed_replace(a->path, a->old, a->old_n, error);
    if (!err && reload)
        err = keys_reload(a->socket, "", "", error);
    if (err)
        fprintf(stderr, "touchmark: and it could not be taken back: %s\n", error);
}

static int say(const struct apply *a) {
    AUTO(json_t) answer = NULL;
    int code = ask_state(a, &answer);
    if (code != EX_OK)
        return code;
    if (strcmp(text_in(answer, "state"), "in force") == 0)
        printf("profile %s is in force\n", a->file.profile.name);
    else
        printf("profile %s is in its place; no label uses it\n", a->file.profile.name);
    return EX_OK;
}

static int put_in_force(const struct apply *a) {
    char error[CONF_ERROR_MAX];
    if (conf_managed_replace(a->path, a->file.text, a->file.n, error))
        return refused(error);
    enum tm_err err = keys_reload(a->socket, "", "", error);
    if (!err)
        return say(a);
    revert(a, err != TM_EDENIED);
    (void)refused(error);
    return err == TM_ECLOSED ? EX_UNAVAILABLE : ADMIN_EXIT_REFUSED;
}

/* ---- the command ---- */

static int show_differences(const struct apply *a) {
    AUTO(json_t) rows = profile_differences(a->old, a->old_n, &a->file);
    if (!rows)
        return refused("out of memory");
    profile_print_differences(rows, false);
    return EX_OK;
}

static int carry_out(const struct apply *a) {
    AUTO(json_t) answer = NULL;
    int code = profile_file_try(&a->file, NULL);
    if (code == EX_OK)
        code = ask_state(a, &answer);
    if (code == EX_OK)
        code = show_differences(a);
    if (code != EX_OK)
        return code;
    const char *state = text_in(answer, "state");
    if (strcmp(state, "unknown") == 0)
        return propose(a);
    return strcmp(state, "open") == 0 ? wait_for(answer) : put_in_force(a);
}

static int apply(struct admin_call *call, const struct conf *conf) {
    char error[CONF_ERROR_MAX];
    struct apply a = {.call = call, .socket = call->socket};
    if (!a.socket)
        a.socket = conf->core.admin_socket;
    int code = profile_file_read(call->files[0], &a.file);
    if (code != EX_OK)
        return code;
    a.path = profile_path(conf->profiles_dir, a.file.profile.name);
    if (!a.path)
        code = refused("out of memory");
    else if (conf_managed_read(a.path, &a.old, &a.old_n, error))
        code = refused(error);
    else
        code = carry_out(&a);
    free(a.path);
    free(a.old);
    profile_file_free(&a.file);
    return fflush(stdout) && code == EX_OK ? EX_IOERR : code;
}

int admin_profile_apply(struct admin_call *call) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    char error[CONF_ERROR_MAX];
    if (conf_open_file(call->conf, owned, error)) {
        (void)refused(error);
        return EX_CONFIG;
    }
    return apply(call, &conf);
}
