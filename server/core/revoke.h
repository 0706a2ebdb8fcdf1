/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revoking many certificates at once: the kind of act "revoke-many", and what a selection would
 * come to. Some certificates are under way at a time, so that issuance goes on beside it.
 *
 *   revoke.c      the kind, counting
 *   revoke_run.c  carrying it out
 */
#ifndef TOUCHMARK_SERVER_CORE_REVOKE_H
#define TOUCHMARK_SERVER_CORE_REVOKE_H

#include "ca/jobs.h"
#include "ca/service.h"
#include "ca/withdrawal.h"
#include "server/core/worker.h"

struct core_revoke;
struct core_revoke_config {
    struct loop *loop;
    struct ca_store *store;
    struct core_worker *worker;
    const struct ca_registry *registry;
    const struct ca_service *service; /* what is under way when an act begins */
    struct ca_jobs *jobs;
    struct ca_withdrawals *withdrawals; /* those of acts under way */
};

/* Adds the kind to the acts. */
MUST_USE enum tm_err core_revoke_new(const struct core_revoke_config *config, struct ca_acts *acts,
                                     struct core_revoke **ret_revoke);
/* When the acts are stopped and the worker has ended, before the store is closed. NULL-safe. */
void core_revoke_stop(struct core_revoke *revoke);
/* After the store is closed. NULL-safe. */
void core_revoke_free(struct core_revoke *revoke);

/* Counts the certificates that a selection takes: good ones, and those that are revoked. Called
 * once, now or later; TM_EFULL: too many are being counted. `text` says what is wrong. */
typedef void core_revoke_counted_fn(void *arg, enum tm_err result, const char *text, uint64_t good,
                                    uint64_t revoked);
void core_revoke_count(struct core_revoke *revoke, const struct ca_selection *selection,
                       core_revoke_counted_fn *counted, void *arg);

#endif
