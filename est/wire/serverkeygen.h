/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The response of serverkeygen (RFC 7030, 4.4.2; RFC 8951, 3.2.4): multipart/mixed (RFC 2046, 5.1)
 * of two parts, the private key and its certificate, both base64 of DER. Each part says
 * Content-Transfer-Encoding for MIME readers, and who reads here goes by no such header (RFC
 * 8951, 3). Shared by server and devices: no allocation, bounded, thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_SERVERKEYGEN_H
#define TOUCHMARK_EST_WIRE_SERVERKEYGEN_H

#include "base/bytes.h"

/* Content-Type of what est_serverkeygen_write makes. No line of base64 begins with "--". */
#define EST_SERVERKEYGEN_TYPE "multipart/mixed; boundary=touchmark-part"

struct est_serverkeygen {
    bool encrypted;      /* the key is a CMS ContentInfo of EnvelopedData, else PKCS#8 */
    struct bytes key;    /* DER */
    struct bytes issued; /* DER of a certs-only message (est/wire/certs_only.h) */
};

/* Appends the body. TM_ELIMIT. */
MUST_USE enum tm_err est_serverkeygen_write(const struct est_serverkeygen *parts, struct buf *out);

/* content_type: the response's header. Appends both parts, decoded, to out, which *ret borrows and
 * the caller wipes. The parts may come in either order. TM_EPARSE: not multipart/mixed with a
 * boundary, or not one part of each kind; TM_ELIMIT: out is too small, or there is a header line
 * that is too long. */
MUST_USE enum tm_err est_serverkeygen_read(const char *content_type, struct bytes body,
                                           struct buf *out, struct est_serverkeygen *ret);

#endif
