/* SPDX-License-Identifier: Apache-2.0 */
/* The issuers file, read and put into the configuration: see conf/managed.h. */
#include "conf/managed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "conf/check.h"

#define PLACE_MAX 64

struct merge {
    struct conf *conf;
    const char *text;
    size_t n;
    char *error;
};

static const char *place(char ret[PLACE_MAX], const char *list, size_t i, const char *key) {
    (void)snprintf(ret, PLACE_MAX, "%s[%zu].%s", list, i, key);
    return ret;
}

static enum tm_err refuse(const struct merge *m, const char *where, const char *format,
                          const char *name) {
    char sentence[CONF_ERROR_MAX];
    (void)snprintf(sentence, sizeof sentence, "\"%.64s\" %s", name, format);
    return conf_refuse(m->text, m->n, m->conf->issuers_file, where, m->error, "%s", sentence);
}

static enum tm_err no_memory(const struct merge *m) {
    (void)snprintf(m->error, CONF_ERROR_MAX, "out of memory");
    return TM_ENOMEM;
}

/* The rows themselves go over. */
static enum tm_err take_issuers(const struct merge *m, struct conf_managed *managed) {
    struct conf_list *to = &m->conf->issuers;
    struct conf_issuer *added = managed->issuers.items;
    char where[PLACE_MAX];
    for (size_t i = 0; i < managed->issuers.count; i++) {
        bool earlier = conf_issuer_named(m->conf, added[i].name);
        for (size_t j = 0; j < i; j++)
            earlier = earlier || strcmp(added[j].name, added[i].name) == 0;
        if (earlier)
            return refuse(m, place(where, "issuers", i, "name"), "is the name of an earlier issuer",
                          added[i].name);
        if (added[i].kind != CONF_ISSUER_TOKEN || !added[i].key_label || !added[i].chain)
            return refuse(m, place(where, "issuers", i, "name"),
                          "is not of a key on the token, as issuers of this file are",
                          added[i].name);
        const char *fault;
        if (conf_check_issuer_token(m->conf, &added[i], &fault))
            return refuse(m, place(where, "issuers", i, "token"), fault, added[i].token);
    }
    size_t count = to->count + managed->issuers.count;
    struct conf_issuer *all = realloc(to->items, (count + 1) * sizeof *all);
    if (!all)
        return no_memory(m);
    if (managed->issuers.count)
        memcpy(all + to->count, added, managed->issuers.count * sizeof *all);
    *to = (struct conf_list){all, count};
    free(managed->issuers.items);
    managed->issuers = (struct conf_list){0};
    return TM_OK;
}

/* As conf_check_status, now that all are there. */
static enum tm_err check_shards(const struct merge *m, size_t own) {
    const struct conf_issuer *issuers = m->conf->issuers.items;
    struct conf_clash clash;
    char where[PLACE_MAX];
    if (!m->conf->status.url || !conf_shard_clash(m->conf, &clash))
        return TM_OK;
    size_t added = clash.named < own ? clash.sharded : clash.named;
    return conf_refuse(m->text, m->n, m->conf->issuers_file,
                       place(where, "issuers", added - own, "name"), m->error,
                       "\"%s\" is the name of an issuer, and what a shard of \"%s\" is published "
                       "as",
                       clash.shard, issuers[clash.sharded].name);
}

/* The assignment's texts change places with the tenant's. */
static enum tm_err take_tenant(const struct merge *m, size_t i, struct conf_assignment *said) {
    char where[PLACE_MAX];
    struct conf_tenant *tenant = conf_tenant_named(m->conf, said->name);
    if (!tenant)
        return refuse(m, place(where, "tenants", i, "name"),
                      "is not the name of one of the tenants", said->name);
    if (!conf_issuer_named(m->conf, said->issuer))
        return refuse(m, place(where, "tenants", i, "issuer"),
                      "is not the name of one of the issuers", said->issuer);
    for (size_t j = 0; j < said->also.count; j++)
        if (!conf_issuer_named(m->conf, said->also.items[j]))
            return refuse(m, place(where, "tenants", i, "also"),
                          "is not the name of one of the issuers", said->also.items[j]);
    char *issuer = tenant->issuer;
    struct conf_strings also = tenant->also;
    tenant->issuer = said->issuer;
    tenant->also = said->also;
    said->issuer = issuer;
    said->also = also;
    return TM_OK;
}

static bool is_assigned(const struct conf *conf, const char *issuer) {
    const struct conf_tenant *tenants = conf->tenants.items;
    for (size_t i = 0; i < conf->tenants.count; i++) {
        bool assigned = strcmp(tenants[i].issuer, issuer) == 0;
        for (size_t j = 0; j < tenants[i].also.count; j++)
            assigned = assigned || strcmp(tenants[i].also.items[j], issuer) == 0;
        if (assigned)
            return true;
    }
    return false;
}

static enum tm_err retire(const struct merge *m, const struct conf_strings *names) {
    for (size_t i = 0; i < names->count; i++) {
        char where[PLACE_MAX];
        struct conf_issuer *issuer = conf_issuer_named(m->conf, names->items[i]);
        (void)snprintf(where, sizeof where, "retired[%zu]", i);
        if (!issuer)
            return refuse(m, where, "is not the name of one of the issuers", names->items[i]);
        if (is_assigned(m->conf, issuer->name))
            return refuse(m, where, "is still an issuer of a tenant", issuer->name);
        issuer->retired = true;
    }
    return TM_OK;
}

enum tm_err conf_merge(struct conf *conf, const char *text, size_t n, char error[CONF_ERROR_MAX]) {
    struct conf_managed managed;
    const struct merge m = {conf, text, n, error};
    size_t own = conf->issuers.count;
    if (!n)
        return TM_OK;
    enum tm_err err = conf_load_text(text, n, conf->issuers_file, conf_managed_rows, &managed,
                                     sizeof managed, error);
    if (err)
        return err;
    struct conf_assignment *tenants = managed.tenants.items;
    err = take_issuers(&m, &managed);
    if (!err)
        err = check_shards(&m, own);
    for (size_t i = 0; i < managed.tenants.count && !err; i++)
        err = take_tenant(&m, i, &tenants[i]);
    if (!err)
        err = retire(&m, &managed.retired);
    conf_free(conf_managed_rows, &managed, sizeof managed);
    return err;
}

enum tm_err conf_managed_read(const char *path, char **ret_text, size_t *ret_n,
                              char error[CONF_ERROR_MAX]) {
    if (path && (access(path, F_OK) == 0 || errno != ENOENT))
        return conf_read_file(path, ret_text, ret_n, error);
    char *text = strdup("");
    (void)snprintf(error, CONF_ERROR_MAX, "out of memory");
    if (!text)
        return TM_ENOMEM;
    *ret_text = text;
    *ret_n = 0;
    return TM_OK;
}

enum tm_err conf_managed_load(const char *path, struct conf_managed *ret_managed,
                              char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n = 0;
    enum tm_err err = conf_managed_read(path, &text, &n, error);
    if (err)
        return err;
    return conf_load_text(text, n, path, conf_managed_rows, ret_managed, sizeof *ret_managed,
                          error);
}
