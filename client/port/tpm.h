/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys in a TPM 2.0 (swtpm in tests): P-256 signing keys made in the TPM under a storage root key
 * of the owner hierarchy; the wrapped blobs, useless elsewhere, stand in a folder as
 * "tpm-key-<bank>". fixedTPM, fixedParent, sensitiveDataOrigin.
 */
#ifndef TOUCHMARK_CLIENT_PORT_TPM_H
#define TOUCHMARK_CLIENT_PORT_TPM_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tm_tpm_config {
    const char *tcti; /* e.g. "device:/dev/tpmrm0", "swtpm:port=2321"; NULL: the system's default */
    const char *folder; /* of the wrapped keys */
};

struct tm_tpm;
/* TM_ETOKEN: no TPM answers, or it refuses; TM_EIO: the folder. */
MUST_USE enum tm_err tm_tpm_open(const struct tm_tpm_config *config, struct tm_tpm **ret);
void tm_tpm_close(struct tm_tpm *tpm); /* NULL-safe */
const struct tm_keys *tm_tpm_keys(struct tm_tpm *tpm);

#ifdef __cplusplus
}
#endif
#endif
