/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP answers: kept as long as they are good, and asked of the core when they are not. Equal
 * questions are asked once. While the core is away, and when it has no time, what is kept serves
 * until its nextUpdate. A new link to a core makes everything be asked again when it is next
 * wanted: what the old one had to say of it may have been lost with it. One thread.
 */
#ifndef TOUCHMARK_SERVER_STATUS_OCSP_H
#define TOUCHMARK_SERVER_STATUS_OCSP_H

#include <sys/queue.h>

#include "base/loop.h"
#include "ipc/link.h"
#include "ipc/messages.h"
#include "pki/ocsp.h"
#include "server/status/item.h"

struct status_ocsp;
struct status_answer;

/* Embedded in who waits; zeros wait for nothing. */
struct status_ask {
    LIST_ENTRY(status_ask) entry;
    struct status_answer *answer;
};

struct status_ocsp_config {
    struct loop *loop;
    size_t octets_max; /* of memory for what is kept */
    size_t asking_max; /* different questions under way */
    int64_t timeout_ms;
    /* The end of the waiting. `item` is borrowed; NULL: `error` is the answer, an OCSPResponse
     * that is not signed. */
    void (*answered)(void *arg, struct status_ask *ask, struct status_item *item,
                     struct bytes error);
    void *arg;
};

/* The unsigned OCSPResponse (RFC 6960, 4.2.1) that says so. */
enum status_ocsp_error {
    STATUS_OCSP_MALFORMED = 1,
    STATUS_OCSP_TRY_LATER = 3,
    STATUS_OCSP_UNAUTHORIZED = 6, /* RFC 5019, 2.2.3: cannot be answered here */
};
struct bytes status_ocsp_error(enum status_ocsp_error error);

MUST_USE enum tm_err status_ocsp_new(const struct status_ocsp_config *config,
                                     struct status_ocsp **ret_ocsp);
void status_ocsp_free(struct status_ocsp *ocsp); /* NULL-safe; nobody waits any more */

/* From now on the core is asked by this link, which is the caller's; NULL: it is away. */
void status_ocsp_link(struct status_ocsp *ocsp, struct ipc_link *link);

/* TM_OK: *ret_item, borrowed; TM_EAGAIN: `answered` follows, unless `ask` is forgotten; TM_EFULL:
 * try later. */
MUST_USE enum tm_err status_ocsp_ask(struct status_ocsp *ocsp, const struct pki_ocsp_cert_id *id,
                                     struct status_ask *ask, struct status_item **ret_item);
void status_ocsp_forget(struct status_ask *ask); /* idempotent */

/* What the core says. */
void status_ocsp_answer(struct status_ocsp *ocsp, const struct ipc_ocsp_answer *message);
void status_ocsp_drop(struct status_ocsp *ocsp, const struct ipc_ocsp_drop *message);

#endif
