/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link to one token's signer process. Tickets stand in one list, oldest first, until they are
 * answered or taken away: what is not sent yet, or was sent to a signer that died, goes out over
 * the next link under rising IDs. While the breaker is not closed, only one at a time goes out.
 *
 * Who decides which link a ticket goes to, and what follows from a failure, is signers.c.
 */
#ifndef TOUCHMARK_SERVER_CORE_SIGNER_LINK_H
#define TOUCHMARK_SERVER_CORE_SIGNER_LINK_H

#include "ca/signer.h"
#include "ipc/link.h"
#include "pkcs11/guard.h"
#include "server/core/breaker.h"
#include "server/core/core.h"

struct signer_link;

struct signer_link_events {
    /* The answer to a ticket, which has left the list. */
    void (*answered)(struct signer_link *link, struct ca_ticket *ticket,
                     enum ipc_sign_status status, const char *text, struct bytes signature);
    /* The signer has shown one more key. */
    void (*shown)(struct signer_link *link);
    /* The signer is gone; all tickets wait again. */
    void (*lost)(struct signer_link *link, const char *why);
    /* It answers what is no answer: the same, and it should be ended. */
    void (*mad)(struct signer_link *link, const char *why);
};

/* What the signer has shown of an issuer's keys. */
struct signer_keys {
    bool own;
    uint8_t *spki; /* of the OCSP key, or the TLS server's; NULL: none */
    size_t n;
};

/* Signing times of the last minute, by second. */
#define SIGNER_SECONDS 60
struct signer_times {
    struct {
        int64_t second;
        uint64_t count, ms;
    } slots[SIGNER_SECONDS];
};

struct signer_link {
    const struct signer_link_events *events;
    void *arg; /* the owner's */
    struct loop *loop;
    const struct core_setup *setup;
    size_t index; /* of the token */
    const char *name;
    size_t queue;
    struct ipc_link *link;
    struct signer_keys *keys; /* by issuer */
    struct signer_keys tls;   /* the TLS server's key; `own` has no meaning */
    uint64_t next_id;
    struct ca_ticket *first, **last;
    size_t waiting;
    struct ca_ticket *unsent; /* the first that the link has not taken */
    struct ca_ticket *probe;  /* the only one that is out, while the breaker is half-open */
    struct breaker breaker;
    struct hsm_ceiling ceiling; /* of new tickets */
    int64_t
        busy_since;    /* monotonic ms: the last answer, or when a ticket went out after none was */
    unsigned sessions; /* links that ended */
    bool failed;       /* a failure of this session was counted */
    bool missed;       /* that it is not there was said */
    int64_t gone_since; /* monotonic ms; while it is not ready */
    uint64_t failures;
    uint64_t signatures, signatures_ms; /* since this core started, and how long they took */
    struct signer_times times;
};

/* Zeroed but for what the caller set: events, arg, loop, setup, index, name, queue. TM_ENOMEM. */
MUST_USE enum tm_err signer_link_init(struct signer_link *link);
void signer_link_deinit(struct signer_link *link);
/* Takes fd over. */
void signer_link_open(struct signer_link *link, int fd);
/* Ends the session; tickets stay. */
void signer_link_end(struct signer_link *link);
/* Has it shown the right key for every issuer of its token that signs? */
bool signer_link_ready(const struct signer_link *link);
/* Appends the ticket; flush sends it. */
void signer_link_add(struct signer_link *link, struct ca_ticket *ticket);
/* All tickets, in order, linked by `next`; the list is empty then. */
struct ca_ticket *signer_link_take_all(struct signer_link *link);
/* Sends what waits, as far as link and breaker let it. */
void signer_link_flush(struct signer_link *link);
/* For how long has it owed an answer without giving any? 0: it owes none. */
int64_t signer_link_silent_ms(const struct signer_link *link, int64_t now_ms);
/* Mean of the last minute in ms; negative: nothing was signed. */
double signer_link_mean_ms(const struct signer_link *link, int64_t now_ms);

#endif
