/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys on a PKCS#11 token (any module; SoftHSM in tests): P-256 pairs generated there, sensitive
 * and not extractable. Both objects of a pair have the CKA_LABEL `label` and the CKA_ID bank (one
 * octet) and generation (four octets, big endian, one more with each new key). The bank's key is
 * the pair of the highest generation that has both its objects, whatever a power cut left beside
 * it. A pair that was put there by other means counts as generation 0 when its CKA_ID is the
 * bank's octet alone. Objects with another label or ID are not touched.
 *
 * A new pair is made before the old one is destroyed: the token has to have room for TM_BANKS + 1
 * pairs for each label. How durable a key is when generate returns is the module's affair; SoftHSM
 * does not wait for the disk.
 *
 * A session that was lost is opened again while the token still takes this process as logged in.
 * When it does not (removed, reset, logged out), everything is TM_ETOKEN until the token is closed
 * and opened with the PIN again.
 *
 * One thread at a time. Open after fork, not before. A module is initialised once in a process:
 * of several tokens open on the same module the one that was opened first is closed last.
 */
#ifndef TOUCHMARK_CLIENT_PORT_PKCS11_H
#define TOUCHMARK_CLIENT_PORT_PKCS11_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TM_PKCS11_LABEL_MAX 64

struct tm_pkcs11_config {
    const char *module; /* path of the shared object */
    const char *token;  /* token label */
    const char *label;  /* CKA_LABEL of the keys, 1 to TM_PKCS11_LABEL_MAX octets, e.g. "touchmark";
                           several devices may share a token */
    struct bytes pin;   /* user PIN; not kept after open */
};

struct tm_pkcs11;
/* TM_ENOTFOUND: no such token; TM_ECONFLICT: several tokens have this label; TM_EDENIED: the PIN;
 * TM_ETOKEN: the module failed; TM_EINVAL: the label. */
MUST_USE enum tm_err tm_pkcs11_open(const struct tm_pkcs11_config *config, struct tm_pkcs11 **ret);
void tm_pkcs11_close(struct tm_pkcs11 *token); /* NULL-safe */
/* Valid until close. TM_ETOKEN: the token failed, or what it made is not what was asked for;
 * TM_ECONFLICT: two keys claim the bank with one CKA_ID. */
const struct tm_keys *tm_pkcs11_keys(struct tm_pkcs11 *token);

/* Appends the CKA_ID of the bank's key, 1 to TM_PKCS11_ID_MAX octets, for other programs to find it
 * by. TM_ENOTFOUND, TM_ECONFLICT, TM_ETOKEN; TM_ELIMIT: out is too small. */
#define TM_PKCS11_ID_MAX 5
MUST_USE enum tm_err tm_pkcs11_id(struct tm_pkcs11 *token, unsigned bank, struct buf *out);

#ifdef __cplusplus
}
#endif
#endif
