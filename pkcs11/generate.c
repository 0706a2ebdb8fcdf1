/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key generation by C_GenerateKeyPair itself: libp11 0.4.12 makes RSA keys only and takes
 * no attributes.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "pkcs11/key.h"

/* DER of the named curves' identifiers: ecParameters of PKCS#11's CKA_EC_PARAMS. */
static const uint8_t p256_params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t p384_params[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
/* id-Ed25519 (RFC 8410), one of the forms of PKCS#11 v3.0, 2.3.10. */
static const uint8_t ed25519_params[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t rsa_exponent[] = {0x01, 0x00, 0x01};

struct recipe {
    CK_MECHANISM_TYPE mechanism;
    CK_ATTRIBUTE parameters[2]; /* of the public key */
    CK_ULONG parameter_count;
};

static struct recipe recipe_for(enum hsm_key_type type, CK_ULONG *rsa_bits) {
    switch (type) {
    case HSM_KEY_P256:
        return (struct recipe){
            CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, (void *)p256_params, sizeof p256_params}}, 1};
    case HSM_KEY_P384:
        return (struct recipe){
            CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, (void *)p384_params, sizeof p384_params}}, 1};
    case HSM_KEY_ED25519:
        return (struct recipe){CKM_EC_EDWARDS_KEY_PAIR_GEN,
                               {{CKA_EC_PARAMS, (void *)ed25519_params, sizeof ed25519_params}},
                               1};
    case HSM_KEY_RSA3072:
        break;
    }
    return (struct recipe){CKM_RSA_PKCS_KEY_PAIR_GEN,
                           {{CKA_MODULUS_BITS, rsa_bits, sizeof *rsa_bits},
                            {CKA_PUBLIC_EXPONENT, (void *)rsa_exponent, sizeof rsa_exponent}},
                           2};
}

struct key_pair {
    CK_OBJECT_HANDLE public, private;
};

static CK_RV make_pair(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, enum hsm_key_type type,
                       const char *label, struct bytes id, struct key_pair *ret_pair) {
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG rsa_bits = 3072;
    struct recipe recipe = recipe_for(type, &rsa_bits);
    CK_ATTRIBUTE public[9] = {
        {CKA_TOKEN, &yes, sizeof yes},  {CKA_PRIVATE, &no, sizeof no},
        {CKA_VERIFY, &yes, sizeof yes}, {CKA_LABEL, (void *)label, strlen(label)},
        {CKA_ID, (void *)id.p, id.n},   recipe.parameters[0],
        recipe.parameters[1],
    };
    CK_ATTRIBUTE private[] = {
        {CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
        {CKA_SIGN, &yes, sizeof yes},      {CKA_DECRYPT, &no, sizeof no},
        {CKA_UNWRAP, &no, sizeof no},      {CKA_SIGN_RECOVER, &no, sizeof no},
        {CKA_DERIVE, &no, sizeof no},      {CKA_LABEL, (void *)label, strlen(label)},
        {CKA_ID, (void *)id.p, id.n},
    };
    CK_MECHANISM mechanism = {recipe.mechanism, NULL, 0};
    return f->C_GenerateKeyPair(session, &mechanism, public, 7 + recipe.parameter_count, private,
                                sizeof private / sizeof private[0], &ret_pair -> public,
                                &ret_pair->private);
}

/* A module may ignore what it was told; then the key must not stay. */
static enum tm_err check_pair(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                              const struct key_pair *pair, char text[HSM_TEXT_MAX]) {
    struct hsm_key_info info = {0};
    enum tm_err err = hsm_attributes_read(f, session, pair->private, &info, text);
    if (!err && !(info.sensitive && info.always_sensitive && !info.extractable &&
                  info.never_extractable && info.local)) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "the token made a key that is not local, sensitive and never extractable; "
                       "it was destroyed");
        err = TM_ETOKEN;
    }
    if (err) {
        (void)f->C_DestroyObject(session, pair->private);
        (void)f->C_DestroyObject(session, pair->public);
    }
    return err;
}

static enum tm_err generate_in(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                               enum hsm_key_type type, const char *label, char text[HSM_TEXT_MAX]) {
    uint8_t id[16]; /* CKA_ID ties the two objects of the pair together */
    if (RAND_bytes(id, sizeof id) != 1) {
        (void)snprintf(text, HSM_TEXT_MAX, "no random numbers");
        return TM_ECRYPTO;
    }
    struct key_pair pair;
    CK_RV rv = make_pair(f, session, type, label, BYTES_OF(id), &pair);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_GenerateKeyPair", text);
    return check_pair(f, session, &pair, text);
}

enum tm_err hsm_key_generate(struct hsm_token *token, enum hsm_key_type type, const char *label,
                             char text[HSM_TEXT_MAX]) {
    bool used;
    enum tm_err err = hsm_label_used(token, label, &used, text);
    if (err)
        return err;
    if (used) {
        (void)snprintf(text, HSM_TEXT_MAX, "the label \"%s\" is occupied on the token", label);
        return TM_EEXISTS;
    }
    CK_FUNCTION_LIST *f = token->module.f;
    CK_SESSION_HANDLE session;
    CK_RV rv =
        f->C_OpenSession(token->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_OpenSession", text);
    err = generate_in(f, session, type, label, text);
    (void)f->C_CloseSession(session);
    return err;
}
