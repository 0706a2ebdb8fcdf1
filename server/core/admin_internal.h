/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the administration socket: a client, how it is answered, and the handlers by verb.
 *
 *   admin.c            clients, who they are, which handler is whose
 *   admin_answer.c     answers and rows
 *   admin_acts.c       acts that take two officers
 *   admin_registry.c   devices, secrets, single revocations
 *   admin_import.c     import and export of devices
 *   admin_publish.c    CRLs and filters
 *   admin_questions.c  status, listings, the store's check
 *   admin_jobs.c       production jobs
 *   admin_stations.c   stations and operators
 *   admin_pending.c    requests that wait for an officer
 *   admin_cloud.c      proofs for clouds
 *   admin_products.c   products
 *   admin_profiles.c   profiles
 *   admin_audit.c      checkpoints, proofs, cosignatures, the audit log as it is hashed
 *   admin_find.c       questions to the index of devices
 *   admin_report.c     the health of certificates
 *   admin_events.c     the audit log for consumers
 *   admin_restored.c   accepting a restored store
 */
#ifndef TOUCHMARK_SERVER_CORE_ADMIN_INTERNAL_H
#define TOUCHMARK_SERVER_CORE_ADMIN_INTERNAL_H

#include <jansson.h>

#include "ca/index.h"
#include "ipc/admin.h"
#include "server/core/admin_json.h"
#include "server/core/core.h"

#define ADMIN_ROWS_MAX 1000

struct core_admin {
    struct core_admin_config config;
    struct loop *loop;
    int listen_fd;
    struct loop_fd *watch;
    struct client *first;
    size_t count;
    uint64_t imported; /* devices */
};

struct client {
    struct core_admin *admin;
    struct client *prev, *next;
    struct ipc_link *link;
    const struct ca_officer *officer; /* NULL: the configuration names none */
    bool stranger;                    /* it names some, and this is none of them */
    uid_t uid;
    enum conf_officer_role role;  /* what it may do */
    char actor[IPC_TEXT_MAX + 1]; /* for the audit: "uid:1000", "alice uid:1000" */
    unsigned acts;                /* changes under way that will answer to this client */
    bool reloads;                 /* waits for the supervisor's word on a reload */
    bool gone;                    /* closed while an act was under way: freed with its answer */
    bool awaits;                  /* the leaf `awaited`, until awaits_until */
    uint64_t awaited;
    int64_t awaits_until;
};

/* One act more will answer later, by admin_act_ends. In between the client may close. */
void admin_act_begins(struct client *client);
/* What the call that was to begin it returned: after an error nothing will answer but this. */
void admin_act_begun(struct client *client, enum tm_err err);
/* False: the client is gone, and must not be touched any more. */
MUST_USE bool admin_act_ends(struct client *client);

/* ---- admin_answer.c: each request gets one answer, or rows and their end ---- */

void admin_send(struct client *client, const struct ipc_admin_reply *reply);
/* Says no: one sentence. */
void admin_refuse(struct client *client, const char *text);
void admin_refuse_format(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same to who may not, or is wrong about an act; this goes into the audit. */
void admin_deny(struct client *client, const char *text);
void admin_deny_format(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes the reference to object over. */
void admin_send_object(struct client *client, json_t *object, bool more, const char *cursor,
                       struct bytes secret, struct bytes der);
void admin_answer(struct client *client, json_t *object);
void admin_row(struct client *client, json_t *object);
/* The end of a listing; cursor "" = there is no more. */
void admin_end_rows(struct client *client, const char *cursor);
uint32_t admin_rows_wanted(const struct ipc_admin_request *request);
/* The serial of a request. False: it is none. */
MUST_USE bool admin_serial(const struct ipc_admin_request *request, struct ca_serial *ret);
/* For ca/registry.h: answers the client that is `arg`, after admin_act_begins. */
void admin_registry_done(void *arg, enum tm_err result, const char *text,
                         const struct ca_device *device, const char *secret);

/* ---- admin_audit_rows.c ---- */

/* Exports a table of rows. False: what the request names in its state is none. */
bool admin_audit_rows(struct client *client, const struct ipc_admin_request *request);

/* ---- admin_find.c, admin_events.c ---- */

/* {"complete_to": .., "of": .., "behind_ms": ..}: how much of the audit log the index knows. */
json_t *admin_json_fresh(const struct ca_fresh *fresh);
/* Answers a client that awaits a leaf which is there now, or has waited long enough. */
void admin_events_tick(struct client *client);

/* ---- admin_acts.c: what others have to do with acts that take two officers ---- */

/* The one whose ID the request names by its serial. False: the client is told that there is none.
 */
MUST_USE bool admin_act_find(struct client *client, const struct ipc_admin_request *request,
                             struct buf *memory, struct ca_act *ret);
/* For ca/act.h: answers the client that is `arg`, after admin_act_begins. */
void admin_act_done(void *arg, enum tm_err result, const char *text, const struct ca_act *act);

/* ---- handlers ---- */

typedef void admin_handler_fn(struct client *client, const struct ipc_admin_request *request);

admin_handler_fn admin_device_add, admin_device_transition, admin_device_secret, admin_cert_revoke;
admin_handler_fn admin_status, admin_device_show, admin_device_list, admin_cert_show,
    admin_cert_list, admin_intent_list, admin_audit_list, admin_audit_head, admin_store_check;
admin_handler_fn admin_pending_list, admin_pending_decide;
admin_handler_fn admin_publish, admin_published;
admin_handler_fn admin_keys, admin_reload;
admin_handler_fn admin_cloud_proof, admin_store_accept;
admin_handler_fn admin_profiles;
admin_handler_fn admin_checkpoint, admin_prove, admin_cosign, admin_audit_export;
admin_handler_fn admin_job_list, admin_job_show, admin_job_open, admin_job_stop, admin_job_resume,
    admin_job_close, admin_job_scrap;
admin_handler_fn admin_station_list, admin_operator_put;
admin_handler_fn admin_products, admin_profiles;
admin_handler_fn admin_device_import, admin_device_export;
admin_handler_fn admin_device_find, admin_report, admin_events;
admin_handler_fn admin_act_propose, admin_act_list, admin_act_show, admin_act_sign,
    admin_act_withdraw, admin_revoke_preview;

#endif
