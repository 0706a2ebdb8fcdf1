/* SPDX-License-Identifier: Apache-2.0 */
/* See ceilings.h. */
#include "server/core/ceilings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/profiles.h"

#define NUMBER_TEXT 21 /* octets of a number in decimal */

static const char *const ends[CORE_CEILINGS] = {
    [CORE_CEILING_RATE] = ".max_rate", [CORE_CEILING_TOTAL] = ".max_total"};

/* ---- numbers; 0 is no ceiling ---- */

static uint64_t number_of(struct bytes value) {
    char text[NUMBER_TEXT] = "";
    if (value.n < sizeof text)
        memcpy(text, value.p, value.n);
    return strtoull(text, NULL, 10);
}

static bool covers(struct bytes agreed, struct bytes value) {
    uint64_t most = number_of(agreed), wanted = number_of(value);
    return !most || (wanted && wanted <= most);
}

uint64_t core_ceiling_held(const struct core_ceilings *ceilings, size_t token,
                           enum core_ceiling which) {
    const struct core_agreed *item = &ceilings->items[token * CORE_CEILINGS + which];
    return item->verdict == CORE_AGREED_NOT ? number_of(item->row.value) : 0;
}

/* ---- judging ---- */

static void name_it(const char *name, const char *said, struct core_agreed *item) {
    const char *none = strcmp(said, "0") == 0 ? ", no ceiling" : "";
    if (item->verdict == CORE_AGREED_NOT)
        (void)snprintf(item->words, sizeof item->words,
                       "%s: the configuration says %s%s, and two officers agreed on %" PRIu64
                       ", which holds",
                       name, said, none, number_of(item->row.value));
    else
        (void)snprintf(item->words, sizeof item->words, "%s: %s%s", name, said, none);
}

static enum tm_err judge(const char *name, uint64_t number, const struct core_setup *setup,
                         struct ca_store *store, int64_t now_ms, struct core_agreed *ret) {
    char said[NUMBER_TEXT];
    (void)snprintf(said, sizeof said, "%" PRIu64, number);
    enum tm_err err = core_agreed_judge(store, &core_ceiling_kind, name, bytes_str(said),
                                        core_profiles_guarded(setup), now_ms, ret);
    if (!err)
        name_it(name, said, ret);
    return err;
}

enum tm_err core_ceilings_judge(const struct conf *conf, const struct core_setup *setup,
                                struct ca_store *store, int64_t now_ms, struct core_ceilings *ret) {
    enum tm_err err = TM_OK;
    ret->count = CORE_CEILINGS * conf_token_count(conf);
    for (size_t i = 0; i < ret->count && !err; i++) {
        const struct conf_signer *token = conf_token(conf, i / CORE_CEILINGS);
        enum core_ceiling which = i % CORE_CEILINGS;
        char name[CA_AGREED_NAME_MAX + 1];
        (void)snprintf(name, sizeof name, "%s%s", token->name, ends[which]);
        err = judge(name, which == CORE_CEILING_RATE ? token->max_rate : token->max_total, setup,
                    store, now_ms, &ret->items[i]);
    }
    return err;
}

/* ---- the act ---- */

static bool is_ceiling(const char *value) {
    const char *end = strrchr(value, '.');
    return end && end > value &&
           (strcmp(end, ends[CORE_CEILING_RATE]) == 0 ||
            strcmp(end, ends[CORE_CEILING_TOTAL]) == 0);
}

/* As it would be printed. */
static bool is_number(const char *value) {
    char again[NUMBER_TEXT];
    (void)snprintf(again, sizeof again, "%" PRIu64, (uint64_t)strtoull(value, NULL, 10));
    return strcmp(again, value) == 0;
}

static const struct ca_act_rule rules[] = {
    {"name", true, is_ceiling, "a token's name and .max_rate or .max_total"},
    {"value", true, is_number, "a number; 0 is no ceiling"},
    {"words", false, NULL, NULL},
    {NULL, false, NULL, NULL}};

static enum tm_err value_of(const struct ca_act_params *params, struct buf *out,
                            char text[IPC_TEXT_MAX + 1]) {
    const char *value = ca_act_param(params, "value");
    (void)snprintf(text, IPC_TEXT_MAX + 1, "there is no value");
    if (!value)
        return TM_EINVAL;
    buf_put(out, bytes_str(value));
    return out->full ? TM_ELIMIT : TM_OK;
}

const struct core_agreed_kind core_ceiling_kind = {.act = "ceiling",
                                                   .prefix = "ceiling:",
                                                   .subject = "name",
                                                   .rules = rules,
                                                   .each = true,
                                                   .plain = true,
                                                   .value_of = value_of,
                                                   .covers = covers};
