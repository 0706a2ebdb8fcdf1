/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS server's key on a token, in the core: questions of fronts and of the tlscert role become
 * tickets, and what the token signs is verified with the key that it showed before it is given on.
 * On the loop's thread. Not having any is NULL, which all but _new take.
 */
#ifndef TOUCHMARK_SERVER_CORE_TLS_KEY_H
#define TOUCHMARK_SERVER_CORE_TLS_KEY_H

#include "server/core/core.h"

struct core_tls;

/* Answers that are on their way when it is freed are never given; the signer is freed before. */
MUST_USE enum tm_err core_tls_new(struct core_signer *signer, struct core_tls **ret_tls);
void core_tls_free(struct core_tls *tls);

/* Answers over the link that it came by. False: this role does not ask that. */
MUST_USE bool core_tls_asked(struct core_tls *tls, enum ipc_role role, struct ipc_link *link,
                             const struct ipc_tls_ask *ask);
void core_tls_unlink(struct core_tls *tls, const struct ipc_link *link);

#endif
