/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that seals what the store must not hold in clear: the MAC keys of one-time secrets
 * (identityProofV2, RFC 5272, 6.2.1), and private keys that were generated for devices (RFC 7030,
 * 4.4) while they may be asked for again. AES-256-GCM with a random nonce; the key is a file of its
 * own outside the store, so that a copy of the store alone is worth nothing. One thread.
 */
#ifndef TOUCHMARK_CA_WRAP_H
#define TOUCHMARK_CA_WRAP_H

#include "ca/types.h"

struct ca_wrap;

/* Reads the key file (exactly 32 octets, not readable by others), or makes it, mode 0600, synced,
 * when it is not there. The sentence that says what is wrong goes to `text`. TM_EIO, TM_EDENIED
 * (open to others), TM_EPARSE (not a key), TM_ENOMEM. */
MUST_USE enum tm_err ca_wrap_open(const char *path, struct ca_wrap **ret,
                                  char text[IPC_TEXT_MAX + 1]);
void ca_wrap_free(struct ca_wrap *wrap); /* NULL-safe; wipes the key */

/* Seals 32 octets for one secret of one device: tenant, device and the secret's salt are bound to
 * it. TM_ECRYPTO. */
MUST_USE enum tm_err ca_wrap_seal(struct ca_wrap *wrap, const char *tenant, const char *device,
                                  const uint8_t salt[16], const uint8_t key[32],
                                  uint8_t ret[CA_PROOF_SIZE]);
/* TM_ECRYPTO: not what was sealed for this. The caller wipes ret. */
MUST_USE enum tm_err ca_wrap_unseal(struct ca_wrap *wrap, const char *tenant, const char *device,
                                    const uint8_t salt[16], const uint8_t proof[CA_PROOF_SIZE],
                                    uint8_t ret[32]);

#define CA_WRAP_OVERHEAD 28 /* octets that sealing adds: nonce and tag */

/* Seals any octets; appends. What the `count` parts of `bound` hold is bound to them, one after the
 * other: names with their NUL, so that no two of them are the same octets. TM_ELIMIT, TM_ECRYPTO.
 */
MUST_USE enum tm_err ca_wrap_seal_octets(struct ca_wrap *wrap, const struct bytes *bound,
                                         size_t count, struct bytes value, struct buf *out);
/* The way back; appends. TM_ECRYPTO: not what was sealed for this. TM_ELIMIT. The caller wipes. */
MUST_USE enum tm_err ca_wrap_unseal_octets(struct ca_wrap *wrap, const struct bytes *bound,
                                           size_t count, struct bytes sealed, struct buf *out);

#endif
