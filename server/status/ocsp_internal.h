/* SPDX-License-Identifier: Apache-2.0 */
/* Between ocsp.c (questions) and ocsp_cache.c (answers). */
#ifndef TOUCHMARK_SERVER_STATUS_OCSP_INTERNAL_H
#define TOUCHMARK_SERVER_STATUS_OCSP_INTERNAL_H

#include "server/front/deadline.h"
#include "server/front/quiet.h"
#include "server/status/ocsp.h"

#define STATUS_OCSP_BUCKETS 16384 /* a power of two */

LIST_HEAD(status_ask_list, status_ask);
LIST_HEAD(status_answer_list, status_answer);
TAILQ_HEAD(status_answer_queue, status_answer);

/* A CertID of which something is known, or asked. */
struct status_answer {
    LIST_ENTRY(status_answer) key_entry, serial_entry;
    TAILQ_ENTRY(status_answer) recent_entry; /* while something is kept */
    struct status_item *kept;                /* or NULL */
    char issuer[IPC_NAME_MAX + 1];           /* of what is kept */
    unsigned link;                           /* by which it came */
    uint64_t id;                             /* of the question under way; 0: none is */
    struct front_deadline deadline;          /* of the question */
    struct status_ask_list asks;
    struct bytes serial; /* in `key`, without leading zeros */
    size_t key_n;
    uint8_t key[]; /* the CertID */
};

struct status_ocsp {
    struct status_ocsp_config config;
    struct ipc_link *link; /* NULL: the core is away */
    unsigned link_number;
    uint64_t next_id;
    size_t asking;
    struct front_deadline_queue deadlines; /* of all questions under way */
    uint64_t seed;
    size_t octets;                     /* of memory for what is kept */
    struct status_answer_queue recent; /* the most recently used first */
    struct status_answer_list by_key[STATUS_OCSP_BUCKETS];
    struct status_answer_list by_serial[STATUS_OCSP_BUCKETS];
    struct front_quiet quiet;
};

/* ---- ocsp_cache.c ---- */

/* NULL: nothing is known of it. */
struct status_answer *status_answer_find(const struct status_ocsp *ocsp, struct bytes key);
MUST_USE enum tm_err status_answer_new(struct status_ocsp *ocsp, const struct pki_ocsp_cert_id *id,
                                       struct status_answer **ret_answer);
/* Frees it unless something is kept or asked. */
void status_answer_settle(struct status_ocsp *ocsp, struct status_answer *answer);

/* Keeps the item, which is taken over, and lets go of others if there is not enough room. */
void status_answer_keep(struct status_ocsp *ocsp, struct status_answer *answer,
                        struct status_item *item, const char *issuer);
void status_answer_let_go(struct status_ocsp *ocsp, struct status_answer *answer);

/* Its nextUpdate has not passed: it can be given when nobody can be asked. */
bool status_answer_is_valid(const struct status_answer *answer);
/* And it came from the core that is asked now, so that nothing newer can be known. Counts as a
 * use. */
bool status_answer_is_current(struct status_ocsp *ocsp, struct status_answer *answer);
/* Little of its life is left: time to ask for the next. */
bool status_answer_is_old(const struct status_answer *answer);

/* All with this serial (INTEGER content octets). The callee may free the one it is called for. */
void status_answer_each(struct status_ocsp *ocsp, struct bytes serial,
                        void (*fn)(struct status_ocsp *ocsp, struct status_answer *answer));

#endif
