/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated unit's cryptography, by OpenSSL; keys are PKCS#8 DER. Thread-safe. */
#ifndef TOUCHMARK_DUT_KEYS_H
#define TOUCHMARK_DUT_KEYS_H

#include "client/station/wire/wire.h"

#define DUT_KEY_MAX 2048

/* All append. TM_ECRYPTO; TM_ELIMIT: out is too small. */
MUST_USE enum tm_err dut_key_make(enum wire_key kind, struct buf *out);
/* Whole SubjectPublicKeyInfo. */
MUST_USE enum tm_err dut_key_public(struct bytes key, struct buf *out);
/* PKCS#10 with CN and, where it can hold the ID, serialNumber. */
MUST_USE enum tm_err dut_key_request(struct bytes key, const char *subject, struct buf *out);
/* By the key's own algorithm (docs/stations.md, "The challenge"). */
MUST_USE enum tm_err dut_key_sign(struct bytes key, struct bytes data, struct buf *out);
/* Is it a key of that kind? */
bool dut_key_fits(struct bytes key, enum wire_key kind);

#endif
