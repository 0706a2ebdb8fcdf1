/* SPDX-License-Identifier: Apache-2.0 */
/* All products together, against a device: see ca/product.h. */
#include <stdio.h>
#include <string.h>

#include "ca/product.h"

const struct ca_product *ca_product_named(const struct ca_products *products, const char *sku) {
    for (size_t i = 0; products && i < products->count; i++)
        if (strcmp(products->items[i].sku, sku) == 0)
            return &products->items[i];
    return NULL;
}

static bool is_strict(const struct ca_products *products, const char *tenant) {
    for (size_t i = 0; products && i < products->strict_count; i++)
        if (strcmp(products->strict[i], tenant) == 0)
            return true;
    return false;
}

/* "a, b, c", as far as there is room. */
static void list_skus(const struct ca_products *products, char *ret, size_t cap) {
    size_t n = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < products->count && n < cap; i++)
        n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", products->items[i].sku);
}

/* The device's product; NULL with *ret_free: it may be of none. */
static const struct ca_product *product_of(const struct ca_products *products,
                                           const struct ca_device *device, bool *ret_free,
                                           char text[IPC_TEXT_MAX + 1]) {
    const struct ca_product *product = ca_product_named(products, device->sku);
    *ret_free = !product && !is_strict(products, device->tenant);
    if (product || *ret_free)
        return product;
    char skus[100];
    list_skus(products, skus, sizeof skus);
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "device %.64s: its SKU is %s%.64s, and must be a product: %.70s", device->id,
                   device->sku[0] ? "" : "missing", device->sku, skus[0] ? skus : "there is none");
    return NULL;
}

bool ca_products_admit(const struct ca_products *products, const struct ca_device *device,
                       char text[IPC_TEXT_MAX + 1]) {
    bool free_of_any;
    const struct ca_product *product = product_of(products, device, &free_of_any, text);
    return product ? ca_product_id_fits(product, device->id, text) : free_of_any;
}

bool ca_products_allow(const struct ca_products *products, const struct ca_device *device,
                       const char *profile, char text[IPC_TEXT_MAX + 1]) {
    bool free_of_any;
    const struct ca_product *product = product_of(products, device, &free_of_any, text);
    if (!product || ca_product_has_profile(product, profile))
        return product || free_of_any;
    size_t n = (size_t)snprintf(text, IPC_TEXT_MAX + 1,
                                "devices of product %.64s have no certificate of profile %.64s, "
                                "only of: ",
                                product->sku, profile);
    for (size_t i = 0; i < product->profiles.count && n < IPC_TEXT_MAX; i++)
        n += (size_t)snprintf(text + n, IPC_TEXT_MAX + 1 - n, "%s%s", i ? ", " : "",
                              product->profiles.items[i]);
    return false;
}
