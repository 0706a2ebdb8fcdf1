/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's inside, shared by its parts: signer.c owns it, signer_keys.c finds its keys,
 * serve.c's threads serve tickets with it. Internal to pkcs11/. */
#ifndef TOUCHMARK_PKCS11_SERVE_H
#define TOUCHMARK_PKCS11_SERVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/guard.h"
#include "pkcs11/order.h"
#include "pkcs11/signer.h"

/* One core's socket. Closed and freed by the last of its users, under the signer's lock. */
struct hsm_link {
    int socket;
    unsigned users;
    struct hsm_window window; /* ticket IDs are single-use per link */
};

struct hsm_worker {
    struct hsm_signer *signer;
    pthread_t thread;
    _Atomic int64_t busy_since; /* monotonic ms at which the token was called, 0 = it is not */
    uint8_t in[IPC_MESSAGE_MAX];
    struct hsm_order order;
    uint8_t signature[IPC_SIGNATURE_MAX];
};

struct hsm_signer {
    struct hsm_signer_config config;
    struct hsm_token *token;
    struct hsm_key **keys;            /* by issuer */
    struct hsm_key **ocsp_keys;       /* by issuer; NULL: it has none */
    struct hsm_ocsp_name *ocsp_names; /* by issuer */
    struct hsm_key *tls_key;          /* NULL: it is not on this token */
    struct hsm_key *checkpoint_key;   /* likewise */
    const struct ca_issuer **issuers; /* by issuer */
    struct hsm_rules rules;
    struct hsm_worker *workers; /* config.threads of them, worker_count run */
    unsigned worker_count;
    atomic_bool died;
    pthread_mutex_t lock;  /* for all below, and the links' windows */
    pthread_cond_t linked; /* a link came, or the signer closes */
    pthread_cond_t ended;  /* a thread did */
    unsigned running;      /* threads */
    struct hsm_link *link; /* NULL: no core */
    bool closing;
    struct hsm_ceiling ceiling;
    struct hsm_ceiling proofs;
    struct hsm_numbers numbers; /* of CRLs and filters */
    struct hsm_checkpoint checkpoint;
};

/* Certificates of the kind proof in a day (give or take: of the monotonic clock). With them
 * somebody registers a CA with a cloud, which is done a few times in a CA's life: whoever has taken
 * the core over gets no more. */
#define HSM_PROOFS_MAX 16
#define HSM_PROOFS_PERIOD_MS (INT64_C(24) * 3600 * 1000)

/* After the token is open. What is wrong with which key stands in text: see hsm_signer_open. */
MUST_USE enum tm_err hsm_signer_find_keys(struct hsm_signer *signer, char text[HSM_TEXT_MAX]);

/* A thread's main: serves links until the signer closes. arg: struct hsm_worker. */
void *hsm_serve(void *arg);

/* One user less. Under the signer's lock, or when no thread is left. */
void hsm_link_drop(struct hsm_link *link);

/* Calls `dead` if nobody did. */
void hsm_signer_die(struct hsm_signer *signer, const char *text);

#endif
