/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core role: policy, registry, LMDB and audit behind links; no network. Inside of
 * server/core/ only; touchmarkd sees core_start and core_stop (server/role.h).
 *
 *   core.c         the role's life: set up, recover, serve, drain
 *   setup.c        configuration to the CA's small structs
 *   trust.c        which issuers tenants have, and what their devices are told to trust
 *   issuers.c      a name is one key's: issuers held against the store
 *   agreed.h       what takes two officers to change: who signs for a tenant (assignments.h), how
 *                  much is signed (ceilings.h)
 *   changes.h      what a start changes in the store, and tells
 *   profiles.h     profiles held against the store, and the act that changes one
 *   products.h     products, and what the store knows of them
 *   restored.h     a store that is older than what was published from it
 *   catalog.c      what labels serve without asking, for faces
 *   faces.c        links to fronts and other faces
 *   events.c       the audit log as events for the bridge
 *   import.h       devices by the hundred
 *   publish.h      CRLs and filters, made on the thread of worker.h
 *   key_uses.h     how often keys signed what, in the audit
 *   ocsp.h         OCSP answers, and certificates of OCSP keys
 *   tls_key.h      signatures of the TLS server's key when it is on a token
 *   checkpoint.h   signed checkpoints of the audit log, proofs, cosignatures
 *   signers.c      ca/signer.h over the links to the signer processes, one per token
 *   signer_health.c how the tokens are
 *   signer_link.h  one of these links
 *   alarm.h        what is wrong, in the audit
 *   breaker.h      when a token that failed is asked again
 *   job_acts.h     what of production jobs takes two officers
 *   station.h      what stations ask for beside certificates
 *   upstream_link.c  ca/upstream.h over the link to the upstream process
 *   acts.h         acts that take two officers, and who carries them out
 *   index.h        the index of devices
 *   cloud.h        proofs for clouds that a CA's key is ours
 *   officers.c     who may use the administration socket
 *   metrics.h      its numbers, and whether it can do its work
 *   admin.c        the administration socket
 *   admin_json.c   records as JSON, for people and scripts
 */
#ifndef TOUCHMARK_SERVER_CORE_CORE_H
#define TOUCHMARK_SERVER_CORE_CORE_H

#include "audit/note.h"
#include "ca/officer.h"
#include "ca/product.h"
#include "ca/registry.h"
#include "ca/service.h"
#include "server/core/breaker.h"
#include "server/role.h"

/* What an issuer is to tenants (conf/managed.h). */
enum core_issuer_state {
    CORE_ISSUER_RETIRED,
    CORE_ISSUER_STANDBY,
    CORE_ISSUER_OVERLAP,
    CORE_ISSUER_ACTIVE,
};
struct core_issuer {
    size_t token; /* of setup.tokens; no standby */
    const char *key_label;
    const char *ocsp_key_label; /* NULL: none */
    const char *upstream_url;   /* NULL: its key is on the token */
    enum core_issuer_state state;
};
/* A token, by its position in the configuration (conf_token). */
struct core_token {
    const char *name;
    int64_t watchdog_ms;
    size_t primary; /* the token that it stands by for; itself: none */
    size_t standby; /* the one that stands by for it; itself: none */
};
#define CORE_ALSO_MAX 16
struct core_trust {
    const struct ca_issuer *also[CORE_ALSO_MAX]; /* besides the one that signs */
    size_t also_count;
    struct bytes cacerts;  /* owned DER certificates, one after the other */
    struct bytes rollover; /* owned: those that certify the root of the issuer that signs */
};

/* The audit log's key, and who cosigns its checkpoints. */
#define CORE_WITNESSES_MAX 16
struct core_audit {
    bool on;
    size_t token;         /* no standby */
    struct audit_key key; /* its name is the log's origin */
    struct audit_key witnesses[CORE_WITNESSES_MAX];
    size_t witness_count;
};

/* Everything that the configuration names, loaded and constant. */
struct core_setup {
    struct ca_issuer *issuers;
    size_t issuer_count;
    struct core_token *tokens;
    size_t token_count;
    struct core_audit audit;
    bool has_tls_key;            /* the TLS server's key is on a token */
    size_t tls_token;            /* which; no standby */
    struct core_issuer *uses;    /* by issuer */
    struct core_trust *trust;    /* by tenant */
    struct ca_profile *profiles; /* those of labels, and of what is touchmarkd's own */
    size_t profile_count;
    struct ca_tenant *tenants;
    struct bytes *anchors; /* owned DER per tenant */
    size_t tenant_count;
    struct ca_label *labels;
    size_t label_count;
    const struct ca_profile *ocsp_profile;  /* NULL: no status service */
    const struct ca_profile *proof_profile; /* NULL: no proofs for clouds */
    struct ca_label server;                 /* valid when has_server */
    bool has_server;
    struct ca_officer *officers;
    size_t officer_count; /* 0: whoever reaches the administration socket may use it */
};
/* Logs what is wrong. TM_EPARSE, TM_EIO, TM_ENOMEM. */
MUST_USE enum tm_err core_setup_load(const struct conf *conf, struct core_setup *ret);
void core_setup_free(struct core_setup *setup);
/* NULL: there is none. */
const struct ca_issuer *core_issuer_named(const struct core_setup *setup, const char *name);
/* Which issuers tenants have: core_setup_load does it, after issuers and tenants. */
MUST_USE enum tm_err core_trust_load(const struct conf *conf, struct core_setup *setup);
void core_trust_free(struct core_setup *setup);
/* The section `audit`: core_setup_load does it. */
MUST_USE enum tm_err core_audit_load(const struct conf *conf, struct core_setup *setup);
const char *core_issuer_state_name(enum core_issuer_state state); /* never NULL */
/* Can nothing be served without its key? Others may be on the token or not: a mistake made in
 * adding one must not stop those that work. */
bool core_issuer_required(const struct core_setup *setup, size_t issuer);
/* The officers of it: core_setup_load does it. */
MUST_USE enum tm_err core_officers_load(const struct conf *conf, struct core_setup *setup);
void core_officers_free(struct core_setup *setup);
/* NULL: there is none with this system user. */
const struct ca_officer *core_officer_of(const struct core_setup *setup, uid_t uid);

/* The tenant of touchmarkd's own pseudo-devices. None of the configuration can be called so, and so
 * they stay what they are, whoever an issuer signs for. */
#define CORE_OWN_TENANT "$server"

/* Links to status faces: a successor is there beside the old one for a while. */
#define CORE_LINKS_MAX 4
struct core_links {
    size_t count;
    struct ipc_link *items[CORE_LINKS_MAX];
};
/* One more than fit takes the place of the oldest. */
void core_links_add(struct core_links *links, struct ipc_link *link);
void core_links_remove(struct core_links *links, const struct ipc_link *link);

/* The signers over their links. Tickets wait while no token can take them, and are sent again when
 * one can. */
struct core_signer;
struct core_key_uses;
struct core_signer_config {
    struct loop *loop;
    const struct core_setup *setup;
    size_t queue;               /* tickets at once */
    struct core_key_uses *uses; /* where signatures are counted; NULL: nowhere */
    /* This token's signer is not to be believed, or does not answer: end it, start another. */
    void (*distrust)(void *arg, unsigned token);
    void (*alarm)(void *arg, const char *text); /* for log and audit; NULL: the log is enough */
    void *arg;
};
MUST_USE enum tm_err core_signer_new(const struct core_signer_config *config,
                                     struct core_signer **ret_signer);
void core_signer_free(struct core_signer *signer);
struct ca_signer *core_signer_interface(struct core_signer *signer);
/* From now on the token (its index) gets no more tickets than these per second, and in all; 0: no
 * ceiling. Beyond them `sign` says TM_EFULL. */
void core_signer_limit(struct core_signer *signer, size_t token, uint64_t rate, uint64_t total);
/* Takes fd over: the link to the signer of this token (its index). */
void core_signer_linked(struct core_signer *signer, unsigned token, int fd);
/* Call it every 100 ms. */
void core_signer_tick(struct core_signer *signer);
enum core_signer_state {
    CORE_SIGNER_DOWN,
    CORE_SIGNER_PARTLY, /* some issuers' tokens are out, and their standbys */
    CORE_SIGNER_READY,
};
enum core_signer_state core_signer_state(const struct core_signer *signer);
const char *core_signer_state_name(enum core_signer_state state); /* never NULL */
/* Has the token that signs for this issuer shown all keys that it must have? */
bool core_signer_knows(const struct core_signer *signer, const char *issuer);
/* Has it shown the right key for this issuer (its index)? */
bool core_signer_shows(const struct core_signer *signer, size_t issuer);
/* SubjectPublicKeyInfo of an issuer's OCSP key, valid until a signer is linked again. Known when
 * the issuer's signer is. TM_ENOTFOUND: none was shown. */
MUST_USE enum tm_err core_signer_ocsp_key(const struct core_signer *signer, const char *issuer,
                                          struct bytes *ret_spki);
/* The same of the TLS server's key. */
MUST_USE enum tm_err core_signer_tls_key(const struct core_signer *signer, struct bytes *ret_spki);
struct core_token_health {
    const char *name;
    const char *standby_for; /* NULL: it is no standby */
    bool ready;              /* its signer is linked and has shown its keys */
    bool in_use;             /* tickets go to it */
    enum breaker_state breaker;
    size_t waiting;
    uint64_t failures;                  /* since this core started */
    uint64_t signatures, signatures_ms; /* likewise, and how long they took in all */
    double mean_ms; /* of the signatures of the last minute; negative: there were none */
};
/* False: no key that is used is there, and no signer runs. */
bool core_signer_health(const struct core_signer *signer, size_t token,
                        struct core_token_health *ret);

/* Other CAs over the link to the upstream process. Not having any is NULL, which all but _new take.
 */
struct core_upstream;
MUST_USE enum tm_err core_upstream_new(struct loop *loop, const struct conf *conf,
                                       const struct core_setup *setup,
                                       struct core_upstream **ret_upstream);
void core_upstream_free(struct core_upstream *upstream);
struct ca_upstream *core_upstream_interface(struct core_upstream *upstream); /* NULL for NULL */
/* Takes fd over. */
void core_upstream_linked(struct core_upstream *upstream, int fd);
/* Does the CA of this issuer (its index) answer, as far as is known? */
bool core_upstream_answers(const struct core_upstream *upstream, size_t issuer);
/* Gives up what is late; call it every 100 ms. */
void core_upstream_tick(struct core_upstream *upstream);

/* Events: every leaf of the audit log to the bridge, at least once and in order, from where a
 * cursor in the store says. Not having any is NULL, which all but _new and _next take. */
#define CORE_EVENTS_WINDOW 64 /* sent and not acknowledged */
struct core_events;
/* The store must outlive it in use, and be closed before it is freed. Errors are logged. */
MUST_USE enum tm_err core_events_new(struct ca_store *store, struct core_events **ret_events);
void core_events_free(struct core_events *events);
/* A bridge is there, or this one is gone. */
void core_events_link(struct core_events *events, struct ipc_link *link);
void core_events_unlink(struct core_events *events, const struct ipc_link *link);
/* False: it acknowledges what is not there. */
bool core_events_ack(struct core_events *events, uint64_t sequence);
/* Sends what there is to send: after everything that may have added leaves. */
void core_events_pump(struct core_events *events);
/* Saves the cursor when it is time; call it every 100 ms. */
void core_events_tick(struct core_events *events);
/* Saves it now. True: it is durable, nothing is under way. */
bool core_events_settle(struct core_events *events);
/* The first leaf that the broker has not got. */
uint64_t core_events_next(const struct core_events *events);

/* Faces: each link belongs to one face process. */
struct core_faces;
struct core_publish;
struct core_ocsp;
struct core_tls;
struct core_station;
struct core_faces_config {
    struct loop *loop;
    const struct core_setup *setup;
    struct ca_service *service;
    struct core_events *events;   /* NULL: nobody wants any */
    struct core_publish *publish; /* NULL: there is no status service */
    struct core_ocsp *ocsp;       /* NULL: as before */
    struct core_tls *tls;         /* NULL: the TLS server's key is on no token */
    struct core_station *station;
    size_t queue;
};
MUST_USE enum tm_err core_faces_new(const struct core_faces_config *config,
                                    struct core_faces **ret_faces);
void core_faces_free(struct core_faces *faces);
void core_faces_linked(struct core_faces *faces, enum ipc_role peer, unsigned index, int fd);
/* How many faces of this role are there? */
size_t core_faces_count(const struct core_faces *faces, enum ipc_role role);
/* Reads nothing more from any face: draining. */
void core_faces_pause(struct core_faces *faces);

/* Administration. listen_fd stays the caller's. */
struct core_admin;
struct core_assignments;
struct core_ceilings;
struct core_index;
struct core_restored;
struct core_checkpoint;
struct core_admin_config {
    struct ca_store *store;
    const struct ca_registry *registry;
    struct ca_service *service;
    struct core_acts *acts;
    struct ca_jobs *jobs;
    struct ca_stations *stations;
    const struct core_setup *setup;
    const struct ca_products *products;
    const struct core_assignments *assignments;
    const struct core_ceilings *ceilings;
    struct core_restored *restored;
    struct core_checkpoint *checkpoint; /* NULL: no checkpoints are signed */
    const struct core_signer *signer;
    const struct core_upstream *upstream; /* NULL: no issuer's key is elsewhere */
    const struct core_faces *faces;
    const struct core_events *events; /* NULL: there are none */
    struct core_publish *publish;     /* NULL: there is no status service */
    const struct core_ocsp *ocsp;     /* NULL: as before */
    struct core_index *index;
    bool bridge; /* there should be one */
    const char *environment;
    const char *default_tenant; /* when a request names none */
    int64_t (*now_ms)(void);
    int64_t started_ms;
    bool (*reload)(void *arg); /* asks the supervisor; false: it cannot be reached */
    void *reload_arg;
};
MUST_USE enum tm_err core_admin_new(struct loop *loop, int listen_fd,
                                    const struct core_admin_config *config,
                                    struct core_admin **ret_admin);
void core_admin_free(struct core_admin *admin);
/* Looks after who waits for events; call it every 100 ms. NULL-safe. */
void core_admin_tick(struct core_admin *admin);
/* Tell who waits for a reload what came of it: it was refused, or this core's successor comes.
 * NULL-safe. */
void core_admin_reload_refused(struct core_admin *admin, const char *text);
void core_admin_reload_begun(struct core_admin *admin);
/* Is this cursor of the store that of a consumer with a name, "events:NAME"? There are at most 64.
 */
bool core_admin_is_consumer(const char *cursor);
/* Devices that were imported since the start. */
uint64_t core_admin_imported(const struct core_admin *admin);

/* Sends every catalog entry of one generation over a link. */
MUST_USE enum tm_err core_catalog_send(const struct core_setup *setup, uint32_t generation,
                                       struct ipc_link *link);

#endif
