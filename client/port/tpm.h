/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys in a TPM 2.0 (swtpm in tests): P-256 signing keys made in the TPM under a storage key of the
 * owner hierarchy (fixedTPM, fixedParent, sensitiveDataOrigin, noDA; without password). The wrapped
 * keys, useless elsewhere, stand in a folder as "tpm-key-<bank>": DER TPMKey (TCG's loadable key,
 * 2.23.133.10.1.3), which other programs for TPM keys read and write as well, e.g. tpm2-openssl; so
 * an IDevID's key may come from one of them.
 *
 * The parent is the storage root key at 0x81000001 (TCG TPM v2.0 Provisioning Guidance) if there is
 * one when a key is made, else a primary key on P-256 that the TPM derives anew for each operation;
 * that needs an owner hierarchy without password. Nothing stays loaded in the TPM between two
 * operations, so a reset of the TPM does no harm; clearing it destroys the keys. After TM_ETOKEN
 * the next operation connects anew and starts the TPM if need be.
 *
 * What goes over the bus is authenticated and, where TPM commands allow it, encrypted with a
 * session salted to the parent. That keeps a listener out, not somebody who stands between from the
 * first command on.
 *
 * One thread at a time. Open sets TSS2_LOG=all+NONE in the environment unless TSS2_LOG is set,
 * because the TSS would write to stderr: no other thread may use the environment meanwhile.
 * Without a resource manager (use /dev/tpmrm0) a process that is killed leaves its objects in the
 * TPM until the next reset.
 */
#ifndef TOUCHMARK_CLIENT_PORT_TPM_H
#define TOUCHMARK_CLIENT_PORT_TPM_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tm_tpm_config {
    const char *tcti; /* e.g. "device:/dev/tpmrm0", "swtpm:port=2321"; NULL: the system's default */
    const char *folder; /* of the wrapped keys; may be that of client/port/files.h. Made (0700) when
                           its parent exists */
};

struct tm_tpm;
/* TM_ETOKEN: no TPM answers, or it refuses; TM_EIO: the folder; TM_EDENIED: others may write to it.
 */
MUST_USE enum tm_err tm_tpm_open(const struct tm_tpm_config *config, struct tm_tpm **ret);
void tm_tpm_close(struct tm_tpm *tpm); /* NULL-safe */
/* Valid until close. TM_ENOTFOUND of sign: also when the TPM does not take the wrapped key any
 * more, because it or its parent belongs to another TPM or the TPM was cleared; public_key does not
 * ask the TPM. TM_ECORRUPT: the file is no such key. */
const struct tm_keys *tm_tpm_keys(struct tm_tpm *tpm);

#ifdef __cplusplus
}
#endif
#endif
