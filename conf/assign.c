/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants of a configuration that was loaded, changed: see conf/managed.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/managed.h"
#include "conf/options_parts.h"

static void free_strings(struct conf_strings *strings) {
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct conf_strings){0};
}

static enum tm_err copy_strings(const char *const *texts, size_t count, struct conf_strings *ret) {
    struct conf_strings copies = {.items = calloc(count + 1, sizeof *copies.items)};
    if (!copies.items)
        return TM_ENOMEM;
    for (; copies.count < count; copies.count++) {
        copies.items[copies.count] = strdup(texts[copies.count]);
        if (!copies.items[copies.count]) {
            free_strings(&copies);
            return TM_ENOMEM;
        }
    }
    *ret = copies;
    return TM_OK;
}

enum tm_err conf_assign(struct conf *conf, const char *tenant, const char *const *issuers,
                        size_t count) {
    struct conf_tenant *found = conf_tenant_named(conf, tenant);
    struct conf_strings also;
    if (!found || !count)
        return TM_ENOTFOUND;
    enum tm_err err = copy_strings(issuers + 1, count - 1, &also);
    char *issuer = err ? NULL : strdup(issuers[0]);
    if (!issuer) {
        if (!err)
            free_strings(&also);
        return TM_ENOMEM;
    }
    free(found->issuer);
    free_strings(&found->also);
    found->issuer = issuer;
    found->also = also;
    return TM_OK;
}

/* Takes out those of a list's elements whose text at `offset` is this. */
static void drop(struct conf_list *list, const struct conf_row *rows, size_t size, size_t offset,
                 const char *text) {
    char *items = list->items;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        char *item = items + i * size;
        if (strcmp(*(char **)(void *)(item + offset), text) == 0)
            conf_free(rows, item, size);
        else if (kept++ != i)
            memcpy(items + (kept - 1) * size, item, size);
    }
    list->count = kept;
}

void conf_drop_tenant(struct conf *conf, const char *tenant) {
    drop(&conf->labels, conf_label_rows, sizeof(struct conf_label),
         offsetof(struct conf_label, tenant), tenant);
    drop(&conf->tenants, conf_tenant_rows, sizeof(struct conf_tenant),
         offsetof(struct conf_tenant, name), tenant);
}
