/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request whose issuer's key is not here: what it has beside struct ca_request, and the steps
 * that take the place of build, lint, ticket and verification. Not for other folders; ca/upstream.h
 * is what they see.
 *
 *   remote.c        the question: durable before it is asked, and with what end
 *   remote_check.c  what comes back, before any of it is recorded or released
 */
#ifndef TOUCHMARK_CA_REMOTE_H
#define TOUCHMARK_CA_REMOTE_H

#include "ca/request.h"
#include "ca/upstream.h"

struct ca_remote {
    struct ca_ask ask;
    struct ca_ask_row row; /* as it will be stored */
    bool received;         /* a certificate came; until it is recorded it may be lost again */
    bool refused;          /* it said no: there is nothing to ask again */
    uint32_t retry_after_s;
    struct ca_foreign_row foreign;
    char serial[2 * CA_SERIAL_MAX + 1]; /* hex, as the other CA gave it */
    uint8_t csr[CA_ROW_MEMORY_MAX];     /* of the row */
};

/* ---- remote.c ---- */

void ca_remote_free(struct ca_remote *remote); /* NULL-safe */
/* Is this something that a registration authority can have signed elsewhere? */
MUST_USE bool ca_remote_offered(const struct ca_request *r, struct ca_refusal *ret);
/* Before the intent: may it be asked? Adds to r->batch, which makes the intent, what is asked. */
MUST_USE bool ca_remote_prepare(struct ca_request *r, struct ca_refusal *ret);
/* The intent is durable: asks. */
void ca_remote_ask(struct ca_request *r);
/* Adds to r->batch, which burns the intent, how the question ended. */
void ca_remote_burn(struct ca_request *r);
/* Adds to r->batch, which records the certificate, that it is found by its fingerprint and that the
 * question is over; the leaf names the other CA's serial. */
void ca_remote_record(struct ca_request *r);

/* ---- remote_check.c ---- */

/* Is it the certificate that was asked for, by the pinned issuer, and nothing that the profile does
 * not take? Nothing of it was looked at before. view: of `der`. */
MUST_USE bool ca_remote_fits(const struct ca_request *r, struct bytes der, struct pki_cert *view,
                             struct ca_refusal *ret);

#endif
