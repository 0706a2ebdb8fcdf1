/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key ceremony's tokens (ca/ceremony.h declares what it needs) on PKCS#11. PINs are
 * read when a token is prepared and kept until the keystore is freed. One thread. Sets
 * SOFTHSM2_CONF in the environment while a token that has softhsm_conf is in use.
 */
#ifndef TOUCHMARK_PKCS11_KEYSTORE_H
#define TOUCHMARK_PKCS11_KEYSTORE_H

#include "ca/ceremony.h"

/* TM_ENOMEM. */
MUST_USE enum tm_err hsm_keystore_new(struct ca_keystore **ret_keystore);
void hsm_keystore_free(struct ca_keystore *keystore); /* NULL-safe; closes and wipes */

#endif
