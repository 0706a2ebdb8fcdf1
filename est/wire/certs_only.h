/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "certs-only" CMS SignedData (RFC 5652 5.1; RFC 7030, 4.1.3): no signers, only
 * certificates. No allocation, thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_CERTS_ONLY_H
#define TOUCHMARK_EST_WIRE_CERTS_ONLY_H

#include "base/bytes.h"

/* certificates: DER, one after the other, in the order in which they are to stand
 * (the writer keeps it). Appends the ContentInfo to out. TM_EPARSE, TM_ELIMIT. */
MUST_USE enum tm_err est_certs_only_write(struct bytes certificates, struct buf *out);

/* The certificates inside, borrowed, DER one after the other. TM_EPARSE: not a
 * certs-only message. */
MUST_USE enum tm_err est_certs_only_read(struct bytes content_info, struct bytes *ret_certificates);

#endif
