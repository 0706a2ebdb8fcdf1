/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the act by which something may follow on what is in force. An act is for one step, from
 * what its parameter "replaces" says to its own, and good once: what is approved later makes it
 * void, so that nobody can put back what was approved long ago by exchanging a file alone.
 */
#ifndef TOUCHMARK_SERVER_CORE_ACT_SEARCH_H
#define TOUCHMARK_SERVER_CORE_ACT_SEARCH_H

#include "ca/act.h"

#define CORE_REPLACES "replaces"
#define CORE_REPLACES_NOTHING "nothing"

struct core_act_search {
    const char *kind;
    bool (*is_about)(const void *arg, const struct ca_act_params *params);
    const void *arg;
    /* Of the row that is in force: since when, and by which act (zero: none). */
    int64_t since_ms;
    const uint8_t *act;
    int64_t now_ms;
};

/* The act, or the one that waits for signatures to be it. */
struct core_act_word {
    uint8_t act[CA_ACT_ID_SIZE];
    bool approved; /* signed by two */
};

/* TM_ENOTFOUND: there is none. */
MUST_USE enum tm_err core_act_search(struct ca_store *store, const struct core_act_search *search,
                                     struct core_act_word *ret);
/* Has the parameter this value? */
bool core_act_says(const struct ca_act_params *params, const char *name, const char *value);

#endif
