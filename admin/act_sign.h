/* SPDX-License-Identifier: Apache-2.0 */
/* An officer's signature, made here with a private key, or elsewhere. Returns exit codes; what is
 * wrong is said on standard error. */
#ifndef TOUCHMARK_ADMIN_ACT_SIGN_H
#define TOUCHMARK_ADMIN_ACT_SIGN_H

#include "base/bytes.h"

#define ADMIN_SIGNATURE_MAX 512

/* Signs with the key of a PEM file; if that is encrypted, the terminal is asked for its passphrase.
 * Which digest goes with which key: ca/officer.h. */
int admin_sign(const char *key_path, struct bytes message, struct buf *out);
/* The octets of a file. */
int admin_read_signature(const char *path, struct buf *out);

#endif
