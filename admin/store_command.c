/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark store`: makes a store, and checks one. */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"
#include "conf/conf.h"
#include "store/store.h"

typedef struct conf conf_t;
AUTO_DEFINE(conf_t, conf_close)

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

static int load(const struct admin_call *call, struct conf *ret_conf) {
    char error[CONF_ERROR_MAX];
    if (!conf_open_file(call->conf, ret_conf, error))
        return EX_OK;
    fprintf(stderr, "touchmark: %s\n", error);
    return EX_CONFIG;
}

/* Files made by root would be closed to the user that touchmarkd becomes. */
static int check_user(const struct admin_call *call, const struct conf *conf) {
    const char *name = conf->process.user;
    if (geteuid() != 0 || !name || strcmp(name, "root") == 0)
        return EX_OK;
    if (!getpwnam(name))
        fprintf(stderr, "touchmark: process.user %s does not exist: useradd --system %s\n", name,
                name);
    else
        fprintf(stderr,
                "touchmark: the store must belong to %s: runuser -u %s -- touchmark %s --conf %s\n",
                name, name, call->command->words, call->conf);
    return ADMIN_EXIT_REFUSED;
}

int admin_store_create(struct admin_call *call) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    char text[IPC_TEXT_MAX + 1];
    int code = load(call, owned);
    if (code == EX_OK)
        code = check_user(call, owned);
    if (code != EX_OK)
        return code;
    if (store_create(owned->core.store, conf_environment_name(owned), text))
        return refused(text);
    printf("made the %s store %s\n", conf_environment_name(owned), owned->core.store);
    return EX_OK;
}

static void store_failed(void *arg, const char *text) {
    (void)arg;
    (void)refused(text);
}

static void print_fault(void *arg, const char *text) {
    (void)arg;
    printf("%s\n", text);
}

static int check_open(const struct conf *conf, struct loop *loop) {
    const struct store_config config = {.path = conf->core.store,
                                        .environment = conf_environment_name(conf),
                                        .map_size = conf->core.map_size,
                                        .max_map_size = conf->core.max_map_size,
                                        .queue_max = 1,
                                        .fatal = store_failed};
    struct ca_store *store;
    char text[IPC_TEXT_MAX + 1];
    if (store_open(loop, &config, &store, text))
        return refused(text);
    enum tm_err err = store->ops->check(store, print_fault, NULL);
    store_close(store);
    if (err)
        return refused("the store has faults");
    printf("result: sound\n");
    return EX_OK;
}

static int check_offline(const struct admin_call *call) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    struct loop *loop;
    int code = load(call, owned);
    if (code == EX_OK)
        code = check_user(call, owned);
    if (code != EX_OK)
        return code;
    if (loop_new(&loop))
        return refused("out of memory or descriptors");
    code = check_open(owned, loop);
    loop_free(loop);
    return code;
}

int admin_store_check(struct admin_call *call) {
    return call->offline ? check_offline(call) : admin_request(call);
}
