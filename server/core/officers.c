/* SPDX-License-Identifier: Apache-2.0 */
/* Officers of the configuration with their system users and keys: see core.h. Reads files: before
 * the process confines itself. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/core.h"

static enum tm_err load_one(const struct conf_officer *conf, struct ca_officer *ret) {
    char text[IPC_TEXT_MAX + 1] = "";
    const struct passwd *user = getpwnam(conf->user);
    if (!user) {
        log_error("officer %s: there is no system user %s", conf->name, conf->user);
        return TM_ENOTFOUND;
    }
    *ret = (struct ca_officer){.name = conf->name, .uid = user->pw_uid, .role = conf->role};
    enum tm_err err = conf->key ? ca_officer_load_key(ret, conf->key, text) : TM_OK;
    if (err)
        log_error("officer %s: %s", conf->name, text[0] ? text : tm_err_name(err));
    return err;
}

/* Two names can be one user, and two files one key. */
static enum tm_err check_apart(const struct core_setup *setup, const struct ca_officer *officer) {
    for (size_t i = 0; i < setup->officer_count; i++) {
        const struct ca_officer *other = &setup->officers[i];
        if (other->uid == officer->uid) {
            log_error("officers %s and %s are one system user", other->name, officer->name);
            return TM_EEXISTS;
        }
        if (other->key && officer->key &&
            memcmp(other->spki_sha256, officer->spki_sha256, CA_HASH_SIZE) == 0) {
            log_error("officers %s and %s have one key", other->name, officer->name);
            return TM_EEXISTS;
        }
    }
    return TM_OK;
}

enum tm_err core_officers_load(const struct conf *conf, struct core_setup *setup) {
    const struct conf_officer *items = conf->officers.items;
    setup->officers = calloc(conf->officers.count + 1, sizeof *setup->officers);
    if (!setup->officers)
        return TM_ENOMEM;
    for (size_t i = 0; i < conf->officers.count; i++) {
        struct ca_officer *officer = &setup->officers[i];
        enum tm_err err = load_one(&items[i], officer);
        if (!err)
            err = check_apart(setup, officer);
        setup->officer_count++; /* from here on it is freed with the others */
        if (err)
            return err;
    }
    return TM_OK;
}

void core_officers_free(struct core_setup *setup) {
    for (size_t i = 0; i < setup->officer_count; i++)
        ca_officer_free_key(&setup->officers[i]);
    free(setup->officers);
}

const struct ca_officer *core_officer_of(const struct core_setup *setup, uid_t uid) {
    for (size_t i = 0; i < setup->officer_count; i++)
        if (setup->officers[i].uid == uid)
            return &setup->officers[i];
    return NULL;
}
