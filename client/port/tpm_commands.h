/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TPM commands that a key store needs. An operation loads what it needs and flushes it again.
 * What a TPM answers other than success is logged. One thread at a time; only for
 * client/port/tpm*.c.
 */
#ifndef TOUCHMARK_CLIENT_PORT_TPM_COMMANDS_H
#define TOUCHMARK_CLIENT_PORT_TPM_COMMANDS_H

#include <tss2/tss2_esys.h>

#include "client/port/tpm_key.h"
#include "client/tables.h"

/* TPM2_Startup, for a TPM that no firmware has started. TM_ETOKEN. */
MUST_USE enum tm_err tm_tpm_startup(ESYS_CONTEXT *esys);

/* Makes a key under the storage root key, else under the primary key. TM_ETOKEN. */
MUST_USE enum tm_err tm_tpm_create(ESYS_CONTEXT *esys, struct tm_tpm_key *ret);

/* TM_ENOTFOUND: this TPM cannot load the key; TM_ETOKEN. */
MUST_USE enum tm_err tm_tpm_sign(ESYS_CONTEXT *esys, const struct tm_tpm_key *key,
                                 const uint8_t digest[TM_SHA256_SIZE], TPMS_SIGNATURE_ECDSA *ret);

#endif
