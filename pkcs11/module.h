/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PKCS#11 module's own functions, beside libp11's use of the same module in the same
 * process: for what libp11 0.4.12 cannot do (attributes at key generation, C_InitToken with a
 * padded label, EdDSA) or does more slowly (C_Sign). Internal to pkcs11/.
 */
#ifndef TOUCHMARK_PKCS11_MODULE_H
#define TOUCHMARK_PKCS11_MODULE_H

#include <p11-kit/pkcs11.h>

#include "pkcs11/token.h"

struct hsm_module {
    void *library;
    CK_FUNCTION_LIST *f;
};

/* Loads the library; does not initialise it. TM_ENOTFOUND with the reason in text. */
MUST_USE enum tm_err hsm_module_open(const char *path, struct hsm_module *ret_module,
                                     char text[HSM_TEXT_MAX]);
/* Initialises this function list with CKF_OS_LOCKING_OK, after libp11 did: for most modules it
 * is libp11's own and already is; a proxy gives every caller one of its own. */
MUST_USE enum tm_err hsm_module_start(const struct hsm_module *module, char text[HSM_TEXT_MAX]);
void hsm_module_close(struct hsm_module *module); /* NULL-safe inside; never C_Finalize */

/* Says "what: reason" in text and gives the error class: TM_EDENIED for the PIN's own faults,
 * TM_ETOKEN for the rest, TM_OK (text untouched) for CKR_OK. */
MUST_USE enum tm_err hsm_module_result(CK_RV rv, const char *what, char text[HSM_TEXT_MAX]);

#endif
