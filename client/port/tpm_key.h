/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wrapped TPM key as a file holds it: DER TPMKey (draft-bottomley-tpm2-keys, 3.1) with the type
 * id-loadablekey and without password or policy. One encoder, one decoder. Thread-safe; only for
 * client/port/tpm*.c.
 */
#ifndef TOUCHMARK_CLIENT_PORT_TPM_KEY_H
#define TOUCHMARK_CLIENT_PORT_TPM_KEY_H

#include <tss2/tss2_tpm2_types.h>

#include "base/bytes.h"

#define TM_TPM_KEY_MAX 1024 /* octets of the file; a P-256 key takes about 250 */

struct tm_tpm_key {
    uint32_t parent; /* a persistent handle, or TPM2_RH_OWNER: the primary key of the hierarchy */
    TPM2B_PUBLIC public;
    TPM2B_PRIVATE private;
};

/* Appends. TM_ELIMIT; TM_EINVAL: the TSS cannot marshal it. */
MUST_USE enum tm_err tm_tpm_key_encode(const struct tm_tpm_key *key, struct buf *out);
/* TM_EPARSE: not that, or not a P-256 key that may sign. */
MUST_USE enum tm_err tm_tpm_key_decode(struct bytes der, struct tm_tpm_key *ret);

#endif
