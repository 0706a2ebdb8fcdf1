/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approval (requirement A6): a request under a profile with `approval` waits until an officer says
 * yes or no. What waits is one row per device and profile (struct ca_pending).
 *
 * - An approval holds for one certificate of exactly the request that the officer saw: key, proven
 *   identity and the names that the certificate will have. Another request of the same device and
 *   profile takes the row's place, and the approval is gone.
 * - The transaction that records the certificate removes the row. Until then the approval stands,
 *   also when signing fails or the process dies.
 * - Whoever changes the row raises its version, so that officers, the device's retries and the
 *   issuance serialise.
 */
#ifndef TOUCHMARK_CA_APPROVAL_H
#define TOUCHMARK_CA_APPROVAL_H

#include "ca/build.h"
#include "ca/csr_check.h"
#include "ca/registry.h"

#define CA_APPROVAL_DAY_MS (INT64_C(24) * 3600 * 1000)
/* A device that has not asked for so long is not waiting any more. */
#define CA_APPROVAL_OPEN_MS (30 * CA_APPROVAL_DAY_MS)
/* Devices ask every few minutes. A week is for one that is switched off over a weekend; what is
 * longer would be a certificate in advance for whoever finds the device. */
#define CA_APPROVAL_GRANTED_MS (7 * CA_APPROVAL_DAY_MS)
/* A device that goes on asking is not put before the officers again for so long. */
#define CA_APPROVAL_DENIED_MS (30 * CA_APPROVAL_DAY_MS)
/* The reason stands in the audit beside the request, and in a sentence to the device. */
#define CA_APPROVAL_REASON_MAX 160
#define CA_APPROVAL_REQUEST_SIZE 20 /* octets of ca_pending.request that people see */
#define CA_APPROVAL_REQUEST_TEXT (2 * CA_APPROVAL_REQUEST_SIZE + 1)

/* The request of a row as the audit and the listing name it: hex. */
void ca_approval_request_text(const struct ca_pending *row, char ret[CA_APPROVAL_REQUEST_TEXT]);

/* ---- the officers' part ---- */

struct ca_approval_order {
    const char *tenant;
    const char *device;
    const char *profile;
    bool approve;         /* else denied */
    bool only_open;       /* leaves alone what is decided already */
    struct bytes request; /* first octets of the request's hash; empty: whichever it is */
    int64_t until_ms;     /* only what was asked for before; 0: no bound */
    const char *reason;   /* at most CA_APPROVAL_REASON_MAX; a denial needs one */
    const char *actor;
};

/* Called once: when the decision is durable (TM_OK, with the row), or says in one sentence why it
 * is none: TM_ENOTFOUND nothing waits (any more), TM_EDENIED it is another request, or decided
 * already; others of the store. `row` is NULL then. */
typedef void ca_approval_fn(void *arg, enum tm_err result, const char *text,
                            const struct ca_pending *row);

/* Decides about one row; a decision may be changed as long as no certificate came of it. Copies
 * what it needs; an error return means that `done` is not called: TM_EINVAL, TM_ENOMEM. */
MUST_USE enum tm_err ca_approval_decide(const struct ca_registry *registry,
                                        const struct ca_approval_order *order, ca_approval_fn *done,
                                        void *arg);

/* ---- the request's part, inside of ca/ (ca/request.h) ---- */

/* Not zeroed; valid when ca_approval_look said so. */
struct ca_approval {
    struct ca_pending row;
    enum ca_pending_status before; /* of another request, whose row this one takes; 0: none */
    bool asked;                    /* within the last minute */
    struct ca_leaf added;          /* for a device that registers itself with the request */
    uint8_t san[CA_SAN_MAX];
};

#endif
