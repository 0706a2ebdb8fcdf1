/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the section `officers`: see check.h. */
#include <string.h>

#include "conf/check.h"

#define PATH_MAX_OCTETS 64

/* The path of an officer's key, "officers[1].user". */
static const char *officer_path(char ret[PATH_MAX_OCTETS], size_t i, const char *key) {
    (void)snprintf(ret, PATH_MAX_OCTETS, "officers[%zu].%s", i, key);
    return ret;
}

/* Who somebody is must be told from the system user alone, and nobody may count twice. */
static enum tm_err check_unique(const struct conf_check *c, size_t i) {
    const struct conf_officer *officers = c->conf->officers.items, *officer = &officers[i];
    char path[PATH_MAX_OCTETS];
    for (size_t j = 0; j < i; j++) {
        if (strcmp(officer->name, officers[j].name) == 0)
            return CONF_REFUSE(c, officer_path(path, i, "name"),
                               "\"%s\" is the name of an earlier officer", officer->name);
        if (strcmp(officer->user, officers[j].user) == 0)
            return CONF_REFUSE(c, officer_path(path, i, "user"),
                               "\"%s\" is the user of an earlier officer", officer->user);
        if (officer->key && officers[j].key && strcmp(officer->key, officers[j].key) == 0)
            return CONF_REFUSE(c, officer_path(path, i, "key"),
                               "%s is the key of an earlier officer", officer->key);
    }
    return TM_OK;
}

enum tm_err conf_check_officers(const struct conf_check *c) {
    const struct conf_officer *officers = c->conf->officers.items;
    char path[PATH_MAX_OCTETS];
    size_t keys = 0;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < c->conf->officers.count && !err; i++) {
        err = check_unique(c, i);
        if (!err && officers[i].key && officers[i].role != CONF_ROLE_OFFICER)
            err = CONF_REFUSE(c, officer_path(path, i, "key"),
                              "has no use: %s signs nothing, not being an officer by role",
                              officers[i].name);
        keys += officers[i].key != NULL;
    }
    if (!err && keys == 1)
        return CONF_REFUSE(c, "officers",
                           "one key only; what takes two officers needs the keys of "
                           "two, or of none");
    return err;
}
