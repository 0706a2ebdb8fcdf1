/* SPDX-License-Identifier: Apache-2.0 */
/* A private key on a token, and how it signs. Internal to pkcs11/. Constant once found. */
#ifndef TOUCHMARK_PKCS11_KEY_H
#define TOUCHMARK_PKCS11_KEY_H

#include <openssl/evp.h>

#include "pkcs11/session.h"

#define HSM_SPKI_MAX 1200 /* RSA of 8192 bits */

/* How keys of one kind sign. */
struct hsm_scheme {
    enum hsm_key_type type;
    CK_MECHANISM_TYPE mechanism;
    const char *digest;  /* NULL: the token gets the whole message */
    struct bytes prefix; /* before the digest: DigestInfo of PKCS#1 v1.5 */
    struct bytes order;  /* of the curve: r and s are below it */
};

struct hsm_key {
    struct hsm_key *next;
    struct hsm_token *token;
    CK_OBJECT_HANDLE handle;
    const struct hsm_scheme *scheme;
    EVP_MD *md;   /* fetched once: EVP_Digest by name costs 1 us each time; NULL without digest */
    size_t raw_n; /* length of a signature as C_Sign gives it */
    struct hsm_key_info info;
    uint8_t spki_memory[HSM_SPKI_MAX];
    size_t spki_n;
};

/* Reads a whole attribute of an object into ret; *ret_n gets its length. PKCS#11's result. */
MUST_USE CK_RV hsm_attribute(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                             CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *ret, size_t cap,
                             size_t *ret_n);
/* Reads the attributes that say how well a private key is kept. */
MUST_USE enum tm_err hsm_attributes_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                                         CK_OBJECT_HANDLE object, struct hsm_key_info *ret_info,
                                         char text[HSM_TEXT_MAX]);
/* Appends the SubjectPublicKeyInfo that belongs to a private key. */
MUST_USE enum tm_err hsm_public_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                                     CK_OBJECT_HANDLE private, struct buf *out,
                                     char text[HSM_TEXT_MAX]);
/* The objects that fit a template, at most cap of them. */
MUST_USE CK_RV hsm_objects_find(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                                CK_ATTRIBUTE *template, CK_ULONG template_n, CK_OBJECT_HANDLE *ret,
                                CK_ULONG cap, CK_ULONG *ret_n);

#endif
