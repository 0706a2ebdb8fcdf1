/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher: CRLs (full and in shards), revocation filters and CA certificates of every issuer,
 * made, signed, recorded and handed to the status face when they are due or when something was
 * revoked (requirements G1, G4, G5). The long work is done on the worker's thread.
 *
 * A number is durable before it is signed and never used again, so numbers rise whatever dies in
 * between. What was revoked before a CRL's thisUpdate is in it.
 *
 *   publish.c        what there is, when it is due, links, alarms
 *   publish_run.c    one run: numbers, work, signatures, records
 *   publish_crl.c    what the thread does for CRLs
 *   publish_filter.c and for filters
 *
 * On the loop's thread, all of it. Not having any is NULL, which all but _new take.
 */
#ifndef TOUCHMARK_SERVER_CORE_PUBLISH_H
#define TOUCHMARK_SERVER_CORE_PUBLISH_H

#include "conf/conf.h"
#include "server/core/core.h"
#include "server/core/worker.h"

struct core_publish;

struct core_publish_config {
    struct ca_store *store;
    struct ca_service *service;
    struct ca_signer *signer;
    struct core_worker *worker;
    const struct core_setup *setup;
    const struct conf_status *conf;
    int64_t (*now_ms)(void);
};

MUST_USE enum tm_err core_publish_new(const struct core_publish_config *config,
                                      struct core_publish **ret_publish);
/* After the worker is freed and before the store is closed: what is under way ends without a
 * release. */
void core_publish_stop(struct core_publish *publish);
/* After the store is closed. */
void core_publish_free(struct core_publish *publish);

/* A status face is there and is given all there is, or this one is gone. */
void core_publish_link(struct core_publish *publish, struct ipc_link *link);
void core_publish_unlink(struct core_publish *publish, const struct ipc_link *link);
/* What the status face says of something that it was given. False: it makes no sense. */
MUST_USE bool core_publish_acknowledged(struct core_publish *publish,
                                        const struct ipc_published *published);

/* A certificate of this issuer is revoked, durably. */
void core_publish_revoked(struct core_publish *publish, const struct ca_certificate *certificate);
/* Everything of this issuer, NULL: of all, is due now. False: there is no such issuer. */
bool core_publish_now(struct core_publish *publish, const char *issuer);
/* The store has this row of what is published now: numbers go on from there. */
void core_publish_raise(struct core_publish *publish, const struct ca_published *row);
/* Begins what is due and raises alarms; call it every 100 ms. */
void core_publish_tick(struct core_publish *publish);

/* What is published, for people. */
struct core_publish_view {
    const struct ca_published *row; /* as recorded; number 0: never */
    bool served;                    /* the status face has it */
    bool behind;                    /* something was revoked since */
    bool late;                      /* it should have been there by now */
};
void core_publish_each(const struct core_publish *publish,
                       void (*fn)(void *arg, const struct core_publish_view *view), void *arg);

#endif
