/* SPDX-License-Identifier: Apache-2.0 */
/* What signers.c, which gives tickets out, and signer_health.c, which tells how tokens are, share.
 */
#ifndef TOUCHMARK_SERVER_CORE_SIGNERS_INTERNAL_H
#define TOUCHMARK_SERVER_CORE_SIGNERS_INTERNAL_H

#include "server/core/signer_link.h"

struct core_signer {
    struct ca_signer base;
    struct core_signer_config config;
    struct signer_link *links; /* by token */
    size_t in_use;             /* tokens that are named, standbys not counted */
};

const struct core_token *signers_token(const struct signer_link *link);
/* The other of the pair; NULL: there is none. */
struct signer_link *signers_other(const struct core_signer *signer, const struct signer_link *link);
/* Its keys are there and its breaker is closed. NULL-safe. */
bool signers_in_order(const struct signer_link *link);
/* The index of an issuer; issuer_count: there is none of this name. */
size_t signers_issuer(const struct core_signer *signer, const char *name);
/* Has any issuer, or the TLS server, its keys on this token? */
bool signers_used(const struct core_signer *signer, size_t token);

#endif
