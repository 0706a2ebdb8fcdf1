/* SPDX-License-Identifier: Apache-2.0 */
/* An open PKCS#11 token and the key objects on it; only for client/port/pkcs11*.c. */
#ifndef TOUCHMARK_CLIENT_PORT_PKCS11_INTERNAL_H
#define TOUCHMARK_CLIENT_PORT_PKCS11_INTERNAL_H

#include <p11-kit/pkcs11.h>

#include "client/port/pkcs11.h"

struct tm_pkcs11 {
    void *library;
    CK_FUNCTION_LIST *f;
    bool finalize; /* this one initialised the module */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* CK_INVALID_HANDLE: lost */
    char label[TM_PKCS11_LABEL_MAX + 1];
    struct tm_keys keys;
};

/* The objects of one class that a bank has. */
#define TM_PKCS11_OBJECTS_MAX 32
struct tm_pkcs11_objects {
    size_t n;
    struct tm_pkcs11_object {
        CK_OBJECT_HANDLE handle;
        uint32_t generation;
    } at[TM_PKCS11_OBJECTS_MAX];
};

/* Logs the result of the call `what`, unless it is CKR_OK; then the answer is TM_OK. */
MUST_USE enum tm_err tm_pkcs11_result(const char *what, CK_RV rv);

struct tm_pkcs11_pair {
    CK_OBJECT_HANDLE private, public;
};

/* Of `class` (CKO_PRIVATE_KEY, CKO_PUBLIC_KEY) in this bank. TM_ETOKEN. */
MUST_USE enum tm_err tm_pkcs11_list(struct tm_pkcs11 *token, CK_OBJECT_CLASS class, unsigned bank,
                                    struct tm_pkcs11_objects *ret);
/* The bank's key. TM_ENOTFOUND, TM_ECONFLICT, TM_ETOKEN. */
MUST_USE enum tm_err tm_pkcs11_find(struct tm_pkcs11 *token, unsigned bank,
                                    struct tm_pkcs11_pair *ret);
/* Makes the pair and destroys what else the bank has. TM_ETOKEN. */
MUST_USE enum tm_err tm_pkcs11_replace(struct tm_pkcs11 *token, unsigned bank);
/* Destroys what the bank has below this generation. TM_ETOKEN. */
MUST_USE enum tm_err tm_pkcs11_clear(struct tm_pkcs11 *token, unsigned bank,
                                     uint64_t below_generation);

#endif
