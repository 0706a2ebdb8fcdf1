/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products (requirements C3, C5): the form of a product's device IDs, which profiles its devices
 * may have, and what becomes of their certificates in rework, return and refurbishment. Read from
 * YAML once (conf/products/), then constant, and thread-safe like that. A device's SKU names its
 * product.
 */
#ifndef TOUCHMARK_CA_PRODUCT_H
#define TOUCHMARK_CA_PRODUCT_H

#include "ca/check_digit.h"
#include "ca/lifecycle.h"
#include "ca/types.h"
#include "conf/schema.h"

/* Bits of ca_product.id_charset, and the order of their words. */
#define CA_ID_DIGITS 1u
#define CA_ID_UPPER 2u
#define CA_ID_LOWER 4u
#define CA_ID_ALNUM 8u
#define CA_ID_HEX 16u /* 0-9 a-f */

/* What a device's certificates come to when it is reworked, returned or refurbished. */
enum ca_policy {
    CA_POLICY_REUSE,   /* they stay as they are */
    CA_POLICY_REISSUE, /* a new one may be issued to the same ID; those before are superseded */
    CA_POLICY_REVOKE,  /* all are revoked */
};

/* May an ID be given to another device? */
enum ca_id_reuse {
    CA_ID_NEVER,
    CA_ID_OUT_OF_USE, /* once the one before is retired or revoked */
};

struct ca_product {
    char *sku;
    char *id_prefix; /* NULL: none */
    uint64_t id_min; /* characters, prefix and check digits among them */
    uint64_t id_max;
    unsigned id_charset;  /* CA_ID_*; of what follows the prefix */
    char *id_characters;  /* more of them; NULL: none */
    unsigned check_digit; /* enum ca_check_digit, over what follows the prefix; at the end */
    struct conf_strings profiles;
    unsigned rework, rma, refurbishment; /* enum ca_policy */
    uint64_t max_reworks;                /* 0: no limit */
    uint64_t max_rmas;                   /* the same */
    unsigned id_reuse;                   /* enum ca_id_reuse */
    uint8_t hash[CA_HASH_SIZE];
};

extern const struct conf_row ca_product_rows[];

/* The SKU is the file's name, without folder and .yaml. Loads, checks and hashes. `error` as in
 * conf_load_file. */
MUST_USE enum tm_err ca_product_load(const char *path, struct ca_product *ret_product,
                                     char error[CONF_ERROR_MAX]);
MUST_USE enum tm_err ca_product_load_text(const char *text, size_t n, const char *path,
                                          struct ca_product *ret_product,
                                          char error[CONF_ERROR_MAX]);
void ca_product_free(struct ca_product *product);

/* What is wrong with a product that its rows alone cannot say. For the loader. */
MUST_USE bool ca_product_check(const struct ca_product *product, char text[CONF_ERROR_MAX]);

/* False: `text` says what is wrong with the ID, and what it must be. */
MUST_USE bool ca_product_id_fits(const struct ca_product *product, const char *id,
                                 char text[IPC_TEXT_MAX + 1]);
/* The shortest and first ID that fits. */
void ca_product_id_example(const struct ca_product *product, char ret[IPC_NAME_MAX + 1]);
bool ca_product_has_profile(const struct ca_product *product, const char *profile);
/* What a step of the lifecycle does to its certificates; NULL, of a device without a product: they
 * stay, until the device's end, at which all are revoked whatever the product is. */
enum ca_policy ca_product_policy(const struct ca_product *product, enum ca_step step);
const char *ca_policy_name(enum ca_policy policy); /* never NULL */

/* All products that are in use. NULL does for none. */
struct ca_products {
    const struct ca_product *items;
    size_t count;
    const char *const *strict; /* tenants whose devices must be of one of them */
    size_t strict_count;
};
/* NULL: there is none of this SKU. */
const struct ca_product *ca_product_named(const struct ca_products *products, const char *sku);
/* May the device be in the registry under this ID, by its tenant, ID and SKU? False: `text` says
 * why not, and what is allowed. */
MUST_USE bool ca_products_admit(const struct ca_products *products, const struct ca_device *device,
                                char text[IPC_TEXT_MAX + 1]);
/* May it have a certificate of this profile? */
MUST_USE bool ca_products_allow(const struct ca_products *products, const struct ca_device *device,
                                const char *profile, char text[IPC_TEXT_MAX + 1]);

#endif
