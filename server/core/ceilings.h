/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many signatures the tokens' signers make, held against what two officers agreed on
 * (agreed.h): lowering a ceiling takes nobody, raising it above what was agreed takes two. Until
 * then the core gives out no more tickets than were agreed; the signers' own ceilings are the
 * configuration's. The ceilings of a token are called NAME.max_rate and NAME.max_total.
 */
#ifndef TOUCHMARK_SERVER_CORE_CEILINGS_H
#define TOUCHMARK_SERVER_CORE_CEILINGS_H

#include "server/core/agreed.h"

extern const struct core_agreed_kind core_ceiling_kind;

enum core_ceiling { CORE_CEILING_RATE, CORE_CEILING_TOTAL, CORE_CEILINGS };
struct core_ceilings {
    struct core_agreed items[CONF_TOKENS_MAX * CORE_CEILINGS]; /* token by token */
    size_t count;
};

/* What the store says. */
MUST_USE enum tm_err core_ceilings_judge(const struct conf *conf, const struct core_setup *setup,
                                         struct ca_store *store, int64_t now_ms,
                                         struct core_ceilings *ret);
/* How many signatures by a token (its index) were agreed on, where the configuration says more;
 * else 0. */
uint64_t core_ceiling_held(const struct core_ceilings *ceilings, size_t token,
                           enum core_ceiling which);

#endif
