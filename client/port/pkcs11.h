/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys on a PKCS#11 token (any module; SoftHSM in tests): P-256 pairs generated there, not
 * extractable, CKA_ID one octet: the bank, CKA_LABEL `label`.
 */
#ifndef TOUCHMARK_CLIENT_PORT_PKCS11_H
#define TOUCHMARK_CLIENT_PORT_PKCS11_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tm_pkcs11_config {
    const char *module; /* path of the shared object */
    const char *token;  /* token label */
    const char
        *label; /* CKA_LABEL of the keys, e.g. "touchmark"; several devices may share a token */
    struct bytes pin; /* user PIN; not kept after open */
};

struct tm_pkcs11;
/* TM_ENOTFOUND: no such token; TM_EDENIED: the PIN; TM_ETOKEN: the module failed. */
MUST_USE enum tm_err tm_pkcs11_open(const struct tm_pkcs11_config *config, struct tm_pkcs11 **ret);
void tm_pkcs11_close(struct tm_pkcs11 *token); /* NULL-safe */
const struct tm_keys *tm_pkcs11_keys(struct tm_pkcs11 *token);

#ifdef __cplusplus
}
#endif
#endif
