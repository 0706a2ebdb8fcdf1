/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the issuing service: one request under way, and the steps it takes. Not for
 * other folders; they use ca/service.h.
 *
 *   admit.c     a message becomes a request, or is turned away
 *   service.c   the device lock, the steps, replies
 *   identity.c  who asks: credentials to a device
 *   decide.c    may it have what it asks: repeat, issue or refusal
 *   grant.c     what a station may have: the job, its terms, its quota; quarantine
 *   device_rules.c  what the registry says of a device beyond its state
 *   approval.c  what officers said of it, and waiting for them
 *   server_names.c  what the server may call itself
 *   delegate.c  certificates for keys of the own token, and for one that nobody keeps
 *   issue.c     intent, build, lint, ticket, verification
 *   record.c    the record of what came of it
 *   cmc.h       what a request that came as CMC has beside all this
 *   remote.h    the same for one that another CA signs
 *   keygen.h    the same for one that wants its key made here
 *   refusal.c   refusals and their audit leaves
 *   recover.c   open intents of an earlier process
 *   counts.c    how many of what
 */
#ifndef TOUCHMARK_CA_REQUEST_H
#define TOUCHMARK_CA_REQUEST_H

#include "ca/anchors.h"
#include "ca/approval.h"
#include "ca/challenge.h"
#include "ca/csr_check.h"
#include "ca/dropped.h"
#include "ca/hash.h"
#include "ca/service.h"

#define CA_TBS_MAX 6144
#define CA_PROOF_SPKI_MAX 96 /* a P-256 key's SubjectPublicKeyInfo has 91 octets */

/* Who asks, once it is proven. */
struct ca_identity {
    unsigned credential; /* CA_CRED_* bits proven; 0 only for touchmarkd itself */
    bool renews;         /* by a certificate of the label's own profile */
    char device[IPC_NAME_MAX + 1];
    char authority[IPC_NAME_MAX + 1];  /* CA_CRED_RA: which device asks for `device` */
    char actor[IPC_TEXT_MAX + 1];      /* as the audit names it */
    uint8_t fingerprint[CA_HASH_SIZE]; /* of the certificate, zero = none */
    struct ca_certificate own;         /* a certificate issued here; der in own_der */
};

/* A request of a station: the job that it is for, and what it costs. */
struct ca_granted {
    char station[IPC_NAME_MAX + 1]; /* "": no station asks */
    char job[IPC_NAME_MAX + 1];     /* "": it has none for this */
    char operator_name[IPC_NAME_MAX + 1];
    char product[IPC_NAME_MAX + 1];
    char batch[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    uint32_t terms;
    bool unknown; /* no job of the station has the ID */
    bool begins;  /* the unit is not known yet */
    struct ca_unit unit;
};

struct ca_cmc;
struct ca_generated;
struct ca_remote;

struct ca_request {
    struct ca_service *service;
    struct ca_cmc *cmc;             /* operation FULLCMC; else NULL */
    struct ca_generated *generated; /* operation SERVERKEYGEN; else NULL */
    struct ca_remote *remote;       /* another CA is asked; else NULL */
    struct ca_request *prev, *next; /* all that are under way */
    struct ca_request *waiting;     /* requests for the same device, behind this one */
    struct ca_request *bucket_next; /* the device table's */
    bool delegate;                /* for a key of touchmarkd's own token: message.csr is its SPKI */
    bool proof;                   /* for a key that is made for it and thrown away */
    char local[IPC_NAME_MAX + 1]; /* IPC_ORIGIN_LOCAL: as which device */
    char by[IPC_TEXT_MAX + 1];    /* IPC_ORIGIN_LOCAL: who wants it, for the audit */
    bool holds_device;
    size_t bucket;               /* where, while it does */
    char held[IPC_NAME_MAX + 1]; /* which device, while it does */

    ca_reply_fn *reply; /* NULL: nobody waits any more */
    void *reply_arg;
    int64_t deadline_ms; /* monotonic */

    struct ipc_enroll message; /* pointers into `payload` */
    const struct ca_label *label;
    int64_t now_ms;
    struct ca_identity who;
    struct ca_granted granted;
    bool paced;              /* the job's rate has let it pass */
    struct ca_device device; /* as stored; then as it will be stored */
    bool secret_checked;
    struct pki_csr csr;
    uint8_t key[CA_HASH_SIZE]; /* the request key: what makes two requests the same */
    struct bytes requested_san;
    struct bytes keep_san; /* of the certificate being renewed */
    struct bytes keep_subject;
    unsigned attempts;               /* times that it was sent back to the start */
    enum ca_pending_status standing; /* of this very request with the officers; 0: not asked yet */
    int64_t waited_ms;               /* for an officer */

    struct ca_intent intent;
    struct ca_certificate certificate;
    struct ca_leaf leaf;
    struct ca_batch batch;
    struct ca_ticket ticket;
    struct ca_refusal end; /* what to answer once a burned serial is durable */

    /* Not zeroed; lengths say what is valid. */
    struct ca_approval approval;
    struct ca_dropping dropping;
    size_t tbs_n;
    uint8_t tbs[CA_TBS_MAX];
    uint8_t proof_spki[CA_PROOF_SPKI_MAX];
    uint8_t certificate_der[IPC_CERT_MAX];
    uint8_t own_der[IPC_CERT_MAX];
    uint8_t payload[];
};

struct ca_service {
    const struct ca_service_config *config;
    struct ca_store *store;
    struct ca_signer *signer;
    struct ca_hasher *hasher;
    struct ca_checker *checker;
    struct ca_challenger *challenger;
    struct ca_anchors **anchors; /* per label, NULL = none */
    struct ca_request *first;    /* under way */
    size_t active;
    struct ca_request **buckets; /* requests that hold their device, by device */
    size_t bucket_mask;
    struct ca_service_counts counts;
    struct ca_profile_counts *profiles; /* by label, and one more: see counts.c */
    int64_t serials_from_ms;

    /* Refusal leaves this second, and those that were only counted. */
    int64_t refusal_second;
    uint32_t refusal_leaves;
    uint32_t refusals_counted;

    /* The walk over generated keys: where it is, and when the next one begins. */
    int64_t sweep_at_ms;
    size_t sweep_n;
    uint8_t sweep_key[CA_ROW_KEY_MAX];
};

/* identity.c: fills who and, for a known device, device. false = `ret` says why not. */
MUST_USE bool ca_identify(struct ca_request *r, struct ca_refusal *ret);

/* decide.c */
enum ca_decision { CA_DECIDE_ISSUE, CA_DECIDE_REPEAT, CA_DECIDE_WAIT, CA_DECIDE_REFUSE };
/* On REPEAT r->certificate holds the certificate; on REFUSE `ret` says why. */
MUST_USE enum ca_decision ca_decide(struct ca_request *r, struct ca_refusal *ret);

/* grant.c */
/* The job for which the station asks for who.device: fills granted. */
MUST_USE bool ca_grant_find(struct ca_request *r, const char *station, struct ca_refusal *ret);
/* The device becomes one of the job's, in r->device. */
MUST_USE bool ca_grant_fits_device(struct ca_request *r, struct ca_refusal *ret);
/* May one more be issued now: by rate and quota; or, for who asks itself, out of quarantine? */
MUST_USE bool ca_grant_permits(struct ca_request *r, struct ca_refusal *ret);
/* Adds to r->batch, which makes the intent, what it costs. */
MUST_USE bool ca_grant_spend(struct ca_request *r, struct ca_refusal *ret);
/* What came of it, for the rules that stop a job. */
void ca_grant_refused(struct ca_request *r, enum ipc_outcome outcome);
void ca_grant_went_well(struct ca_request *r);
/* device_rules.c: its product and its keys. */
MUST_USE bool ca_device_rules_fit(struct ca_request *r, struct ca_refusal *ret);

/* delegate.c: fills csr.spki from the token's word, or with a new key's. */
MUST_USE bool ca_delegate_fits(struct ca_request *r, struct ca_refusal *ret);
MUST_USE bool ca_proof_fits(struct ca_request *r, struct ca_refusal *ret);

/* approval.c */
/* What the officers have said of this very request: r->standing. The device is held. */
MUST_USE bool ca_approval_look(struct ca_request *r, struct ca_refusal *ret);
/* May it be issued, does it wait, or was it denied? After ca_approval_look. */
MUST_USE enum ca_decision ca_approval_judge(struct ca_request *r, struct ca_refusal *ret);
/* Writes down that the request waits; answers when that is durable. */
void ca_approval_wait(struct ca_request *r);
/* Adds to r->batch, which records the certificate, that the approval is used up by it. */
void ca_approval_spend(struct ca_request *r);

/* server_names.c: for IPC_ORIGIN_LOCAL; fills requested_san. */
MUST_USE bool ca_server_names_fit(struct ca_request *r, struct ca_refusal *ret);

/* issue.c: from the decision on; answers by ca_request_end. */
void ca_issue(struct ca_request *r);
/* The signer did not sign: burns the intent's serial and answers. */
void ca_sign_failed(struct ca_request *r, enum ipc_sign_status status);

/* record.c */
/* The certificate that was made and verified; answers when it is durable. */
void ca_record(struct ca_request *r);
/* Ends the intent without one; r->end says what to answer afterwards. */
void ca_burn(struct ca_request *r);
/* The changes that end an intent as a burned serial and give its job back what it cost. The leaf
 * may be filled beforehand. */
void ca_burn_fill(const struct ca_intent *intent, const char *issuer, int64_t now_ms,
                  const char *reason, struct ca_certificate *certificate, struct ca_leaf *leaf,
                  struct ca_batch *batch);

/* Wants another try, since the device changed meanwhile: false when there were enough of them. */
bool ca_request_retries(struct ca_request *r);

/* service.c */
/* waited_ms: how long it has been pending. 0: no reason to wait. */
uint32_t ca_retry_after_s(enum ipc_outcome outcome, uint64_t id, int64_t waited_ms);
void ca_request_run(struct ca_request *r); /* from the start, again if the device changed */
void ca_request_end(struct ca_request *r, enum ipc_outcome outcome, const char *text,
                    struct bytes certificate); /* answers and frees r, for CMC when it is signed */
void ca_request_free(struct ca_request *r);    /* without an answer */

/* counts.c */
MUST_USE enum tm_err ca_counts_open(struct ca_service *s);
/* Of a request that never was one. label NULL: none. */
void ca_count(struct ca_service *s, const struct ca_label *label, uint8_t operation,
              enum ipc_outcome outcome);
void ca_count_end(const struct ca_request *r, enum ipc_outcome outcome);

/* admit.c */
/* The label of this name, "": the default one. NULL when there is none. */
const struct ca_label *ca_service_label(const struct ca_service *s, const char *name);

/* refusal.c */
/* Writes the leaf, answers when it is durable, frees r. */
void ca_request_refuse(struct ca_request *r, const struct ca_refusal *refusal);
/* The store did not take r's batch: fills r->end. */
void ca_refuse_unstored(struct ca_request *r, enum tm_err err);
/* From the start again, where the device changed meanwhile (r->end: IPC_CONFLICT) and there were
 * not enough tries; else refuses r by r->end. */
void ca_request_retry_or_refuse(struct ca_request *r);
/* Leaf fields that every leaf about r has. */
void ca_request_leaf(const struct ca_request *r, enum ca_event event, struct ca_leaf *ret);
/* May a refusal leaf be written now, or is it only counted? */
bool ca_refusal_admit(struct ca_service *s, int64_t now_ms);
/* Once a second: writes what was only counted. */
void ca_refusals_flush(struct ca_service *s, int64_t now_ms);

#endif
