/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys on P-256 as key stores give them, for the ports. Thread-safe. */
#ifndef TOUCHMARK_CLIENT_PORT_P256_H
#define TOUCHMARK_CLIENT_PORT_P256_H

#include "base/bytes.h"

#define TM_P256_SIZE 32 /* octets of a coordinate */

/* Appends the SubjectPublicKeyInfo (RFC 5480, 2) of the point with these big endian coordinates,
 * of at most TM_P256_SIZE octets. TM_EPARSE: longer; TM_ELIMIT. */
MUST_USE enum tm_err tm_p256_spki(struct bytes x, struct bytes y, struct buf *out);

#endif
