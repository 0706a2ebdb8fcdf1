/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The issuing service: an enrollment message in, an answer out, by way of registry,
 * policy, intent, lint, ticket, verification and record. It runs on one loop's thread,
 * asks store and signer through their interfaces, and knows no sockets.
 */
#ifndef TOUCHMARK_CA_SERVICE_H
#define TOUCHMARK_CA_SERVICE_H

#include "ca/issuer.h"
#include "ca/jobs.h"
#include "ca/product.h"
#include "ca/profile.h"
#include "ca/signer.h"
#include "ca/store.h"
#include "ca/upstream.h"
#include "ca/wrap.h"

struct ca_service;

struct ca_withdrawals;
struct ca_tenant {
    const char *name;
    const struct ca_issuer *issuer;
    struct bytes anchors; /* DER certificates one after the other, may be empty */
    /* The same: what leads who knows only another root to the issuer's (RFC 4210, 4.4). */
    struct bytes rollover;
    bool register_unknown;
    struct conf_strings authorities; /* devices that may ask for others (RFC 7030, 3.7) */
};
struct ca_label {
    const char *label; /* "" never; the default one is flagged */
    const struct ca_tenant *tenant;
    const struct ca_profile *profile;
    bool is_default;
};
struct ca_service_config {
    const struct ca_label *labels;
    size_t label_count;
    const struct ca_label *server;    /* for IPC_ORIGIN_LOCAL: tenant and profile; NULL = none */
    struct conf_strings server_names; /* DNS names and addresses that ORIGIN_LOCAL may ask for */
    size_t queue;                     /* requests under way at once */
    struct ca_wrap *wrap; /* seals secrets' MAC keys, and private keys that are made here; NULL: CMC
                             takes no one-time secrets, and no profile may make keys */
    struct ca_jobs *jobs; /* what stations may have; NULL: there are no stations */
    struct ca_upstream *upstream;       /* asks other CAs; NULL: no issuer's key is elsewhere */
    const struct ca_products *products; /* NULL: there are none */
    uint32_t refusals_per_second;
    int64_t request_timeout_ms;
    int64_t (*now_ms)(void);                  /* wall clock */
    const struct ca_withdrawals *withdrawals; /* under way; NULL: none ever is */
    const bool *held; /* while it is true nothing new is issued; NULL: it never is */
    /* May no device have a certificate under this ID? NULL: all may. */
    bool (*reserved)(void *arg, const char *device);
    void *reserved_arg;
};

/* All pointers must outlive the service. TM_EINVAL: a profile makes keys, and there is no wrap. */
MUST_USE enum tm_err ca_service_new(const struct ca_service_config *config, struct ca_store *store,
                                    struct ca_signer *signer, struct ca_service **ret);
void ca_service_free(struct ca_service *service); /* nothing may be under way */

/* Resolves every open intent of an earlier process to a burned serial, then calls
 * `ready` once (TM_OK) or reports what failed. Before that nothing may be asked. */
MUST_USE enum tm_err ca_service_recover(struct ca_service *service,
                                        void (*ready)(void *arg, enum tm_err result), void *arg);

/* Takes a request; copies what it needs. `reply` is called once, maybe at once; the
 * pointers in its message are valid during the call. Answers only when what they say is
 * durable. */
typedef void ca_reply_fn(void *arg, const struct ipc_reply *reply);
void ca_service_enroll(struct ca_service *service, const struct ipc_enroll *request,
                       ca_reply_fn *reply, void *arg);
/* A certificate for a key of touchmarkd's own token, as that of the pseudo-device `device`, under a
 * label of touchmarkd's own (tenant and profile; not among the config's, outlives the service). The
 * same key gets the same certificate for the profile's retry_window, then a new one. */
void ca_service_delegate(struct ca_service *service, const struct ca_label *label,
                         const char *device, struct bytes spki, ca_reply_fn *reply, void *arg);
/* The same for a key that is made for it and thrown away: a certificate that proves to a cloud, by
 * its signature, that the issuer's key is ours. `code`, a device ID, is its subject; code and
 * issuer have one such certificate for the profile's retry_window. actor: who wants it, for the
 * audit. */
void ca_service_prove(struct ca_service *service, const struct ca_label *label, const char *code,
                      const char *actor, ca_reply_fn *reply, void *arg);
/* Serials made from now on have times from this on, also when the clock steps back: what a filter
 * says of a time that it covers stays true. */
void ca_service_serials_from(struct ca_service *service, int64_t ms);
/* Is a request under way that was decided on before then? Its certificate may be recorded yet. */
bool ca_service_busy_since(const struct ca_service *service, int64_t ms);
/* Forgets who waits (a face went away): work goes on, replies to `arg` are dropped. */
void ca_service_forget(struct ca_service *service, void *arg);
/* A device was born (MQTT): what to send it, if anything; at once. room: memory of at least
 * IPC_CMC_MAX octets that ret->cmc borrows. */
void ca_service_birth(struct ca_service *service, const struct ipc_birth *birth, struct buf *room,
                      struct ipc_offer *ret);
/* Records a refusal that a face made itself. */
void ca_service_refused(struct ca_service *service, const struct ipc_refused *refused);
/* Records one that somebody else made, as CA_EVENT_REFUSED. */
void ca_service_refused_leaf(struct ca_service *service, const struct ca_leaf *leaf);
/* Records a refusal at the administration socket. */
void ca_service_refused_admin(struct ca_service *service, const char *actor, const char *text);

/* What became of requests since the start, by outcome; serials burned; certificates issued to who
 * showed the one before; and how long those took that were issued, from the request until all was
 * durable: how many no longer than each bound, and longer than the one before it. */
#define CA_TIME_BOUNDS 14
extern const unsigned ca_time_bounds_ms[CA_TIME_BOUNDS]; /* rising */
struct ca_service_counts {
    uint64_t outcomes[IPC_OUTCOME_LAST + 1];
    uint64_t burned;
    uint64_t renewed;
    uint64_t times[CA_TIME_BOUNDS + 1]; /* the last: longer than all */
    uint64_t times_sum_ms;
};
const struct ca_service_counts *ca_service_counts(const struct ca_service *service);

/* The outcomes again, by profile and operation (enum ipc_operation). */
struct ca_profile_counts {
    const char *profile; /* "": of no label, or touchmarkd's own */
    uint64_t outcomes[IPC_OP_LAST + 1][IPC_OUTCOME_LAST + 1];
};
/* Calls fn for each profile that a label has, once, and for "". */
void ca_service_each_profile(const struct ca_service *service,
                             void (*fn)(void *arg, const struct ca_profile_counts *counts),
                             void *arg);

/* Requests under way. */
size_t ca_service_active(const struct ca_service *service);
/* Ends requests that wait longer than request_timeout with UNAVAILABLE; call it at least
 * every 100 ms. Their work goes on, so that a retry finds the result. */
void ca_service_tick(struct ca_service *service);

#endif
