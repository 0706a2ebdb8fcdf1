/* SPDX-License-Identifier: Apache-2.0 */
/* What is public, from PEM files: certificates as DER. Thread-safe. */
#ifndef TOUCHMARK_CA_PEM_H
#define TOUCHMARK_CA_PEM_H

#include "base/bytes.h"
#include "ipc/messages.h"

/* For OpenSSL's PEM functions: what is to be public is not encrypted, and nobody is asked for a
 * password on a terminal. */
int ca_pem_no_password(char *buf, int size, int rwflag, void *arg);

/* Every CERTIFICATE of the file, DER one after the other, in allocated memory (free
 * ret->p). The sentence that says what is wrong goes to `text`. TM_EIO, TM_EPARSE (none, or one
 * that cannot be read), TM_ELIMIT (over 1 MiB), TM_ENOMEM. */
MUST_USE enum tm_err ca_pem_load(const char *path, struct bytes *ret, char text[IPC_TEXT_MAX + 1]);

#endif
