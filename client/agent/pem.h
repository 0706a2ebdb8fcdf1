/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates between PEM (RFC 7468), which people and services have, and DER, which the library
 * takes. Thread-safe. */
#ifndef TOUCHMARK_AGENT_PEM_H
#define TOUCHMARK_AGENT_PEM_H

#include "base/bytes.h"

/* Appends the DER of each certificate in a file, one after the other. Failures are logged: TM_EIO:
 * it cannot be read; TM_EPARSE: no certificate in it, or something else; TM_ELIMIT: more of them
 * than fit. */
MUST_USE enum tm_err agent_pem_read(const char *path, struct buf *out);

/* Room for the PEM of so much DER in certificates of 100 octets or more. */
#define AGENT_PEM_MAX(der_max) ((der_max)*2)

/* Appends each certificate of `der` (one after the other) as PEM. TM_EPARSE, TM_ELIMIT,
 * TM_ENOMEM. */
MUST_USE enum tm_err agent_pem_put(struct bytes der, struct buf *out);

#endif
