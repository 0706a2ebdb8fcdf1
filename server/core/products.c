/* SPDX-License-Identifier: Apache-2.0 */
/* Products from their folder: see products.h. */
#include "server/core/products.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define PRODUCTS_MAX 4096

static int is_product(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".yaml") == 0;
}

/* A slip of the pen is seen here; to name a profile before a label has it is allowed. */
static void look_at_profiles(const struct ca_product *product, const struct core_setup *setup) {
    for (size_t i = 0; i < product->profiles.count; i++) {
        bool known = false;
        for (size_t j = 0; j < setup->profile_count; j++)
            known |= strcmp(setup->profiles[j].name, product->profiles.items[i]) == 0;
        if (!known)
            log_warn("product %s: no label has the profile %s", product->sku,
                     product->profiles.items[i]);
    }
}

static enum tm_err load_one(const char *folder, const char *file, const struct core_setup *setup,
                            struct core_products *products) {
    char path[4096], error[CONF_ERROR_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    struct ca_product *product = &products->items[products->all.count];
    enum tm_err err = ca_product_load(path, product, error);
    if (err) {
        log_error("product: %s", error);
        return err;
    }
    products->all.count++;
    look_at_profiles(product, setup);
    return TM_OK;
}

static enum tm_err load_folder(const char *folder, const struct core_setup *setup,
                               struct core_products *products) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_product, alphasort);
    if (count < 0) {
        log_error("products_dir: %s cannot be read: %s", folder, strerror(errno));
        return TM_EIO;
    }
    enum tm_err err = count > PRODUCTS_MAX ? TM_ELIMIT : TM_OK;
    if (err)
        log_error("products_dir: %s has more than %d products", folder, PRODUCTS_MAX);
    products->items = calloc((size_t)count + 1, sizeof *products->items);
    if (!err && !products->items)
        err = TM_ENOMEM;
    for (int i = 0; i < count; i++) {
        if (!err)
            err = load_one(folder, entries[i]->d_name, setup, products);
        free(entries[i]);
    }
    free(entries);
    products->all.items = products->items;
    return err;
}

enum tm_err core_products_load(const struct conf *conf, const struct core_setup *setup,
                               struct core_products *ret) {
    const struct conf_tenant *tenants = conf->tenants.items;
    *ret = (struct core_products){.strict = calloc(conf->tenants.count + 1, sizeof *ret->strict)};
    if (!ret->strict)
        return TM_ENOMEM;
    ret->all.strict = ret->strict;
    for (size_t i = 0; i < conf->tenants.count; i++)
        if (tenants[i].products == CONF_PRODUCTS_REQUIRED)
            ret->strict[ret->all.strict_count++] = tenants[i].name;
    return conf->products_dir ? load_folder(conf->products_dir, setup, ret) : TM_OK;
}

void core_products_free(struct core_products *products) {
    for (size_t i = 0; i < products->all.count; i++)
        ca_product_free(&products->items[i]);
    free(products->items);
    free(products->strict);
    *products = (struct core_products){0};
}
