/* SPDX-License-Identifier: Apache-2.0 */
/* See ceilings.h. */
#include "server/core/ceilings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/profiles.h"

#define NUMBER_TEXT 21 /* octets of a number in decimal */

static const char *const names[CORE_CEILINGS] = {
    [CORE_CEILING_RATE] = "signer.max_rate", [CORE_CEILING_TOTAL] = "signer.max_total"};

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

uint64_t core_ceiling_held(const struct core_ceilings *ceilings, enum core_ceiling which) {
    const struct core_agreed *item = &ceilings->items[which];
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

enum tm_err core_ceilings_judge(const struct conf_signer *conf, const struct core_setup *setup,
                                struct ca_store *store, int64_t now_ms, struct core_ceilings *ret) {
    const uint64_t values[CORE_CEILINGS] = {
        [CORE_CEILING_RATE] = conf->max_rate, [CORE_CEILING_TOTAL] = conf->max_total};
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < CORE_CEILINGS && !err; i++) {
        char said[NUMBER_TEXT];
        (void)snprintf(said, sizeof said, "%" PRIu64, values[i]);
        err = core_agreed_judge(store, &core_ceiling_kind, names[i], bytes_str(said),
                                core_profiles_guarded(setup), now_ms, &ret->items[i]);
        name_it(names[i], said, &ret->items[i]);
    }
    return err;
}

/* ---- the act ---- */

static bool is_ceiling(const char *value) {
    return strcmp(value, names[CORE_CEILING_RATE]) == 0 ||
           strcmp(value, names[CORE_CEILING_TOTAL]) == 0;
}

/* As it would be printed. */
static bool is_number(const char *value) {
    char again[NUMBER_TEXT];
    (void)snprintf(again, sizeof again, "%" PRIu64, (uint64_t)strtoull(value, NULL, 10));
    return strcmp(again, value) == 0;
}

static const struct ca_act_rule rules[] = {
    {"name", true, is_ceiling, "signer.max_rate or signer.max_total"},
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
