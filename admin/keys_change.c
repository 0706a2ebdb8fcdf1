/* SPDX-License-Identifier: Apache-2.0 */
/* What commands change in the issuers file: see keys_internal.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "admin/keys_internal.h"
#include "base/auto.h"

struct work {
    const struct keys_order *order;
    const struct conf *conf;
    struct conf_managed *managed;
    char *error;
};

__attribute__((format(printf, 3, 4))) static enum tm_err
fault(const struct work *w, enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->error, CONF_ERROR_MAX, format, args);
    va_end(args);
    return err;
}

static enum tm_err no_memory(const struct work *w) {
    return fault(w, TM_ENOMEM, "out of memory");
}

static enum tm_err copy(const struct work *w, char **place, const char *text) {
    *place = text ? strdup(text) : NULL;
    return text && !*place ? no_memory(w) : TM_OK;
}

/* The file's place from the root on: the server's folder is another. */
static enum tm_err copy_path(const struct work *w, char **place, const char *path) {
    *place = path ? realpath(path, NULL) : NULL;
    return path && !*place ? fault(w, TM_EIO, "%s: there is no such file", path) : TM_OK;
}

/* One element more, zeroed; NULL without memory. */
static void *grow(struct conf_list *list, size_t size) {
    char *items = realloc(list->items, (list->count + 1) * size);
    if (!items)
        return NULL;
    list->items = items;
    memset(items + list->count * size, 0, size);
    return items + list->count++ * size;
}

/* ---- lists of names ---- */

static bool has(const struct conf_strings *names, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static enum tm_err add_name(const struct work *w, struct conf_strings *names, const char *name) {
    if (has(names, name))
        return TM_OK;
    char **items = realloc(names->items, (names->count + 1) * sizeof *items);
    if (!items)
        return no_memory(w);
    names->items = items;
    enum tm_err err = copy(w, &items[names->count], name);
    names->count += !err;
    return err;
}

static void remove_name(struct conf_strings *names, const char *name) {
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            free(names->items[i]);
        else
            names->items[kept++] = names->items[i];
    names->count = kept;
}

/* ---- what there is ---- */

/* The file's word on a tenant, made from what holds now if there is none. */
static enum tm_err assignment(const struct work *w, const struct conf_tenant *tenant,
                              struct conf_assignment **ret) {
    struct conf_assignment *items = w->managed->tenants.items;
    for (size_t i = 0; i < w->managed->tenants.count; i++)
        if (strcmp(items[i].name, tenant->name) == 0) {
            *ret = &items[i];
            return TM_OK;
        }
    struct conf_assignment *made = grow(&w->managed->tenants, sizeof *made);
    if (!made)
        return no_memory(w);
    enum tm_err err = copy(w, &made->name, tenant->name);
    if (!err)
        err = copy(w, &made->issuer, tenant->issuer);
    for (size_t i = 0; i < tenant->also.count && !err; i++)
        err = add_name(w, &made->also, tenant->also.items[i]);
    *ret = made;
    return err;
}

/* Calls for each tenant that the order names, or the only one that there is. */
static enum tm_err each_tenant(const struct work *w,
                               enum tm_err (*change)(const struct work *w,
                                                     struct conf_assignment *assignment)) {
    const struct conf_tenant *only = w->conf->tenants.items;
    size_t count = w->order->tenant_count ? w->order->tenant_count : 1;
    if (!w->order->tenant_count && w->conf->tenants.count != 1)
        return fault(w, TM_EDENIED, "there are several tenants: say which by --tenant");
    for (size_t i = 0; i < count; i++) {
        const struct conf_tenant *tenant =
            w->order->tenant_count ? conf_tenant_named(w->conf, w->order->tenants[i]) : only;
        struct conf_assignment *said = NULL;
        if (!tenant)
            return fault(w, TM_ENOTFOUND, "there is no tenant %s", w->order->tenants[i]);
        enum tm_err err = assignment(w, tenant, &said);
        if (!err)
            err = change(w, said);
        if (err)
            return err;
    }
    return TM_OK;
}

/* ---- add ---- */

static enum tm_err add_row(const struct work *w) {
    const struct conf_issuer *from = &w->order->issuer;
    struct conf_issuer *made = grow(&w->managed->issuers, sizeof *made);
    if (!made)
        return no_memory(w);
    made->crl_shards = from->crl_shards;
    enum tm_err err = copy(w, &made->name, w->order->name);
    if (!err)
        err = copy(w, &made->token, from->token);
    if (!err)
        err = copy(w, &made->key_label, from->key_label);
    if (!err)
        err = copy(w, &made->ocsp_key_label, from->ocsp_key_label);
    if (!err)
        err = copy_path(w, &made->certificate, from->certificate);
    if (!err)
        err = copy_path(w, &made->chain, from->chain);
    if (!err)
        err = copy_path(w, &made->old_with_new, from->old_with_new);
    return err ? err : copy_path(w, &made->new_with_old, from->new_with_old);
}

static enum tm_err let_overlap(const struct work *w, struct conf_assignment *said) {
    return add_name(w, &said->also, w->order->name);
}

static enum tm_err add(const struct work *w) {
    if (conf_issuer_named(w->conf, w->order->name))
        return fault(w, TM_EEXISTS, "there is an issuer %s already", w->order->name);
    enum tm_err err = add_row(w);
    return err ? err : each_tenant(w, let_overlap);
}

/* ---- activate ---- */

static enum tm_err let_sign(const struct work *w, struct conf_assignment *said) {
    if (strcmp(said->issuer, w->order->name) == 0)
        return fault(w, TM_EEXISTS, "%s signs for tenant %s already", w->order->name, said->name);
    char *issuer = NULL;
    enum tm_err err = copy(w, &issuer, w->order->name);
    if (!err)
        err = add_name(w, &said->also, said->issuer);
    if (err) {
        free(issuer);
        return err;
    }
    remove_name(&said->also, w->order->name);
    free(said->issuer);
    said->issuer = issuer;
    return TM_OK;
}

static enum tm_err activate(const struct work *w) {
    const struct conf_issuer *issuer = conf_issuer_named(w->conf, w->order->name);
    if (!issuer)
        return fault(w, TM_ENOTFOUND, "there is no issuer %s: keys add comes first",
                     w->order->name);
    if (issuer->retired)
        return fault(w, TM_EDENIED, "issuer %s is retired", w->order->name);
    return each_tenant(w, let_sign);
}

/* ---- retire ---- */

static enum tm_err retire(const struct work *w) {
    const struct conf_tenant *tenants = w->conf->tenants.items;
    const struct conf_issuer *issuer = conf_issuer_named(w->conf, w->order->name);
    if (!issuer)
        return fault(w, TM_ENOTFOUND, "there is no issuer %s", w->order->name);
    if (issuer->retired)
        return fault(w, TM_EEXISTS, "issuer %s is retired already", w->order->name);
    for (size_t i = 0; i < w->conf->tenants.count; i++) {
        struct conf_assignment *said = NULL;
        if (strcmp(tenants[i].issuer, w->order->name) == 0)
            return fault(w, TM_EDENIED, "%s signs for tenant %s: activate another first",
                         w->order->name, tenants[i].name);
        if (!has(&tenants[i].also, w->order->name))
            continue;
        enum tm_err err = assignment(w, &tenants[i], &said);
        if (err)
            return err;
        remove_name(&said->also, w->order->name);
    }
    return add_name(w, &w->managed->retired, w->order->name);
}

enum tm_err keys_change(const struct keys_order *order, const struct conf *conf,
                        struct conf_managed *managed, char error[CONF_ERROR_MAX]) {
    const struct work w = {order, conf, managed, error};
    switch (order->act) {
    case KEYS_ADD:
        return add(&w);
    case KEYS_ACTIVATE:
        return activate(&w);
    case KEYS_RETIRE:
        return retire(&w);
    case KEYS_AGREE:
        break;
    }
    return TM_OK;
}
