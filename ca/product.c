/* SPDX-License-Identifier: Apache-2.0 */
/* Products from YAML, and what they say of IDs: see ca/product.h. */
#include "ca/product.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/conf_file.h"
#include "ca/registry.h"

static const char *const charset_words[] = {"digits", "upper", "lower", "alnum", "hex", NULL};
static const char *const policy_words[] = {"reuse", "reissue", "revoke", NULL};
static const char *const reuse_words[] = {"never", "out-of-use", NULL};

static const char digits[] = "0123456789";
static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char lower[] = "abcdefghijklmnopqrstuvwxyz";

#define AT(member) offsetof(struct ca_product, member)

const struct conf_row ca_product_rows[] = {
    {.key = "id_prefix",
     .type = CONF_STRING,
     .offset = AT(id_prefix),
     .preset = "",
     .max = 32,
     .help = "What every device ID begins with."},
    {.key = "id_min",
     .type = CONF_UINT,
     .offset = AT(id_min),
     .preset = "1",
     .min = 1,
     .max = IPC_NAME_MAX,
     .help = "Characters of a device ID at least, prefix and check digit among them."},
    {.key = "id_max",
     .type = CONF_UINT,
     .offset = AT(id_max),
     .preset = "64",
     .min = 1,
     .max = IPC_NAME_MAX,
     .help = "The same at most."},
    {.key = "id_charset",
     .type = CONF_FLAGS,
     .offset = AT(id_charset),
     .words = charset_words,
     .preset = "",
     .example = "[digits]",
     .help = "What may follow the prefix: digits, upper-case or lower-case letters, alnum (all "
             "three), hex (0-9 a-f). Left out, with id_characters: all that a device ID may have."},
    {.key = "id_characters",
     .type = CONF_STRING,
     .offset = AT(id_characters),
     .preset = "",
     .max = 64,
     .help = "The same as single characters, besides id_charset: 23456789CFGHJMPQRVWX, say."},
    {.key = "check_digit",
     .type = CONF_ENUM,
     .offset = AT(check_digit),
     .words = ca_check_digit_words,
     .preset = "none",
     .help = "Check digit at the end, over what stands between it and the prefix: luhn (ISO/IEC "
             "7812-1), those of ISO/IEC 7064 and damm; mod97-10 has two digits and takes letters "
             "as ISO 17442 does."},
    {.key = "profiles",
     .type = CONF_STRINGS,
     .offset = AT(profiles),
     .min = 1,
     .max = 32,
     .example = "[idevid, ldevid]",
     .help = "Certificate profiles that its devices may have."},
    {.key = "rework",
     .type = CONF_ENUM,
     .offset = AT(rework),
     .words = policy_words,
     .preset = "reuse",
     .help = "What becomes of the certificates of a device that goes back to the line before it "
             "is shipped: they stay (reuse), a new one may be issued to the same ID and "
             "supersedes them (reissue), or all are revoked (revoke)."},
    {.key = "rma",
     .type = CONF_ENUM,
     .offset = AT(rma),
     .words = policy_words,
     .preset = "reuse",
     .help = "The same when a device is returned."},
    {.key = "refurbishment",
     .type = CONF_ENUM,
     .offset = AT(refurbishment),
     .words = policy_words,
     .preset = "reissue",
     .help = "The same when a returned device is refurbished."},
    {.key = "max_reworks",
     .type = CONF_UINT,
     .offset = AT(max_reworks),
     .preset = "0",
     .max = UINT32_MAX,
     .help = "How often a device may be reworked; 0: as often as wanted."},
    {.key = "max_rmas",
     .type = CONF_UINT,
     .offset = AT(max_rmas),
     .preset = "0",
     .max = UINT32_MAX,
     .help = "How often a device may be refurbished after a return; 0: as often as wanted."},
    {.key = "id_reuse",
     .type = CONF_ENUM,
     .offset = AT(id_reuse),
     .words = reuse_words,
     .preset = "never",
     .help = "Whether an ID may be given to another device: never, or by an officer when the one "
             "before is retired or revoked (out-of-use)."},
    {0},
};

/* ---- IDs ---- */

static bool takes(const struct ca_product *p, char c) {
    if (!p->id_charset && !p->id_characters)
        return true;
    bool digit = strchr(digits, c), big = strchr(upper, c), small = strchr(lower, c);
    unsigned set = p->id_charset;
    return (digit && set & (CA_ID_DIGITS | CA_ID_ALNUM | CA_ID_HEX)) ||
           (big && set & (CA_ID_UPPER | CA_ID_ALNUM)) ||
           (small && set & (CA_ID_LOWER | CA_ID_ALNUM)) ||
           (set & CA_ID_HEX && strchr("abcdef", c)) ||
           (p->id_characters && strchr(p->id_characters, c));
}

/* "digits, upper", and the single characters: for people. */
static void name_charset(const struct ca_product *p, char *ret, size_t cap) {
    size_t n = 0;
    ret[0] = '\0';
    for (unsigned i = 0; charset_words[i] && n < cap; i++)
        if (p->id_charset & 1u << i)
            n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", charset_words[i]);
    if (p->id_characters && n < cap)
        (void)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", p->id_characters);
}

static size_t prefix_length(const struct ca_product *p) {
    return p->id_prefix ? strlen(p->id_prefix) : 0;
}

static bool body_fits(const struct ca_product *p, const char *id, char text[IPC_TEXT_MAX + 1]) {
    char charset[128];
    for (const char *c = id + prefix_length(p); *c; c++)
        if (!takes(p, *c)) {
            name_charset(p, charset, sizeof charset);
            (void)snprintf(text, IPC_TEXT_MAX + 1,
                           "ID %.64s: \"%c\" is not allowed; product %s takes %s%s%s", id, *c,
                           p->sku, charset, p->id_prefix ? " after " : "",
                           p->id_prefix ? p->id_prefix : "");
            return false;
        }
    return true;
}

static bool check_digit_fits(const struct ca_product *p, const char *id,
                             char text[IPC_TEXT_MAX + 1]) {
    enum ca_check_digit kind = (enum ca_check_digit)p->check_digit;
    size_t own = ca_check_digit_length(kind), prefix = prefix_length(p);
    size_t payload = strlen(id) - prefix - own;
    char right[CA_CHECK_DIGITS_MAX + 1];
    const char *stands = id + prefix + payload;
    if (!own)
        return true;
    if (!ca_check_digit(kind, (struct bytes){(const uint8_t *)id + prefix, payload}, right)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "ID %.64s: %s is over %s only", id,
                       ca_check_digit_words[kind], ca_check_digit_alphabet(kind));
        return false;
    }
    if (strcmp(stands, right) == 0)
        return true;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "ID %.64s: check digit is %s, it must be %s (%s)", id,
                   stands, right, ca_check_digit_words[kind]);
    return false;
}

bool ca_product_id_fits(const struct ca_product *p, const char *id, char text[IPC_TEXT_MAX + 1]) {
    size_t n = strlen(id), prefix = prefix_length(p);
    if (p->id_prefix && strncmp(id, p->id_prefix, prefix) != 0) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "ID %.64s: product %s wants IDs that begin with %s",
                       id, p->sku, p->id_prefix);
        return false;
    }
    if (n < p->id_min || n > p->id_max) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "ID %.64s has %zu characters; product %s wants %llu to %llu", id, n, p->sku,
                       (unsigned long long)p->id_min, (unsigned long long)p->id_max);
        return false;
    }
    return body_fits(p, id, text) && check_digit_fits(p, id, text);
}

void ca_product_id_example(const struct ca_product *p, char ret[IPC_NAME_MAX + 1]) {
    enum ca_check_digit kind = (enum ca_check_digit)p->check_digit;
    size_t n = prefix_length(p), first = n;
    size_t end = (size_t)p->id_min - ca_check_digit_length(kind);
    char fill = '0', digit[CA_CHECK_DIGITS_MAX + 1] = "";
    for (const char *c = "0Aa23456789"; *c; c++)
        if (takes(p, *c)) {
            fill = *c;
            break;
        }
    (void)snprintf(ret, IPC_NAME_MAX + 1, "%s", p->id_prefix ? p->id_prefix : "");
    for (; n < end; n++)
        ret[n] = !takes(p, fill) ? p->id_characters[0] : fill;
    ret[n] = '\0';
    if (ca_check_digit(kind, (struct bytes){(const uint8_t *)ret + first, n - first}, digit))
        (void)strcat(ret, digit);
}

bool ca_product_has_profile(const struct ca_product *p, const char *profile) {
    for (size_t i = 0; i < p->profiles.count; i++)
        if (strcmp(p->profiles.items[i], profile) == 0)
            return true;
    return false;
}

enum ca_policy ca_product_policy(const struct ca_product *p, enum ca_step step) {
    if (step == CA_STEP_END)
        return CA_POLICY_REVOKE;
    switch (p ? step : CA_STEP_NONE) {
    case CA_STEP_REWORK:
        return (enum ca_policy)p->rework;
    case CA_STEP_RETURN:
        return (enum ca_policy)p->rma;
    case CA_STEP_REFURBISH:
        return (enum ca_policy)p->refurbishment;
    case CA_STEP_NONE:
    case CA_STEP_END:
        break;
    }
    return CA_POLICY_REUSE;
}

const char *ca_policy_name(enum ca_policy policy) {
    return (unsigned)policy < sizeof policy_words / sizeof policy_words[0] - 1
               ? policy_words[policy]
               : "unknown";
}

/* ---- checks ---- */

static bool wrong(char text[CONF_ERROR_MAX], const char *fault) {
    (void)snprintf(text, CONF_ERROR_MAX, "%s", fault);
    return false;
}

static bool lengths_fit(const struct ca_product *p, char text[CONF_ERROR_MAX]) {
    size_t least =
        prefix_length(p) + ca_check_digit_length((enum ca_check_digit)p->check_digit) + 1;
    if (p->id_max < p->id_min)
        return wrong(text, "id_max: is less than id_min");
    if (p->id_min >= least)
        return true;
    (void)snprintf(text, CONF_ERROR_MAX,
                   "id_min: must be at least %zu: prefix, check digit and one character between",
                   least);
    return false;
}

/* Every character that an ID may have must be one that the check digit is defined over. */
static bool check_digit_covers(const struct ca_product *p, char text[CONF_ERROR_MAX]) {
    enum ca_check_digit kind = (enum ca_check_digit)p->check_digit;
    const char *alphabet = ca_check_digit_alphabet(kind);
    if (kind == CA_CHECK_NONE)
        return true;
    for (char c = '-'; c <= 'z'; c++)
        if (takes(p, c) && !strchr(alphabet, c)) {
            (void)snprintf(text, CONF_ERROR_MAX,
                           "check_digit: %s is over %s only; id_charset and id_characters allow "
                           "more",
                           ca_check_digit_words[kind], alphabet);
            return false;
        }
    return true;
}

bool ca_product_check(const struct ca_product *p, char text[CONF_ERROR_MAX]) {
    if (p->id_prefix && !ca_device_id_valid(p->id_prefix))
        return wrong(text, "id_prefix: a device ID has A-Z a-z 0-9 . - only");
    if (p->id_characters && !ca_device_id_valid(p->id_characters))
        return wrong(text, "id_characters: a device ID has A-Z a-z 0-9 . - only");
    return lengths_fit(p, text) && check_digit_covers(p, text);
}

/* ---- loading ---- */

static enum tm_err finish(const char *text, size_t n, const char *path, struct ca_product *product,
                          char error[CONF_ERROR_MAX]) {
    char fault[CONF_ERROR_MAX];
    product->sku = ca_conf_name(path, "product", error);
    if (!product->sku)
        return TM_EPARSE;
    if (!ca_product_check(product, fault))
        return ca_conf_refuse(text, n, path, fault, error);
    if (!ca_conf_hash("touchmark product 1", product->sku, ca_product_rows, product, product->hash))
        return TM_OK;
    (void)snprintf(error, CONF_ERROR_MAX, "%.200s: SHA-256 failed", path);
    return TM_ECRYPTO;
}

enum tm_err ca_product_load_text(const char *text, size_t n, const char *path,
                                 struct ca_product *ret_product, char error[CONF_ERROR_MAX]) {
    struct ca_product product = {0};
    enum tm_err err =
        conf_load_text(text, n, path, ca_product_rows, &product, sizeof product, error);
    if (!err)
        err = finish(text, n, path, &product, error);
    if (err)
        ca_product_free(&product);
    else
        *ret_product = product;
    return err;
}

enum tm_err ca_product_load(const char *path, struct ca_product *ret_product,
                            char error[CONF_ERROR_MAX]) {
    char *text = NULL;
    size_t n = 0;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (!err)
        err = ca_product_load_text(text, n, path, ret_product, error);
    free(text);
    return err;
}

void ca_product_free(struct ca_product *product) {
    if (!product)
        return;
    free(product->sku);
    conf_free(ca_product_rows, product, sizeof *product);
}
