/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 with everything fetched once: EVP_Digest by name looks the algorithm up on
 * every call. A hasher belongs to one thread.
 */
#ifndef TOUCHMARK_CA_HASH_H
#define TOUCHMARK_CA_HASH_H

#include "base/bytes.h"

struct ca_hasher;

MUST_USE enum tm_err ca_hasher_new(struct ca_hasher **ret_hasher);
void ca_hasher_free(struct ca_hasher *hasher); /* NULL-safe */

/* The hash of the parts one after the other; 32 octets to ret. TM_ECRYPTO. */
MUST_USE enum tm_err ca_hash(struct ca_hasher *hasher, const struct bytes *parts, size_t count,
                             uint8_t ret[32]);

#endif
