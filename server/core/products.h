/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The products of products_dir (ca/product.h), and what the store knows of them: a row of each that
 * is in use, with the hash of its rules, and a leaf whenever that changes.
 */
#ifndef TOUCHMARK_SERVER_CORE_PRODUCTS_H
#define TOUCHMARK_SERVER_CORE_PRODUCTS_H

#include "ca/product.h"
#include "server/core/core.h"

struct core_products {
    struct ca_products all; /* of what follows */
    struct ca_product *items;
    const char **strict; /* names borrowed from the configuration */
};

/* Every .yaml file of the folder, and the tenants that take products only. Logs what is wrong.
 * `setup` says which profiles there are. After an error, too, *ret wants core_products_free. */
MUST_USE enum tm_err core_products_load(const struct conf *conf, const struct core_setup *setup,
                                        struct core_products *ret);
void core_products_free(struct core_products *products);

/* Holds the products against their rows: writes those that are new or changed, and removes those
 * whose file is gone, each with a leaf. Calls `done` once, maybe at once: TM_OK, or what the store
 * says. Both must live until then. */
void core_products_bind(const struct core_products *products, struct ca_store *store,
                        int64_t now_ms, void (*done)(void *arg, enum tm_err result), void *arg);

#endif
