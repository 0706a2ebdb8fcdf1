/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left under a label when a process dies inside C_GenerateKeyPair: PKCS#11 does not
 * promise that both halves appear at once, and SoftHSM stores them one after the other, each
 * label and CKA_ID before the key itself.
 */
#include <stdio.h>
#include <string.h>

#include "pkcs11/key.h"

#define ID_MAX 256
#define MATERIAL_MAX 1024 /* RSA of 8192 bits */

/* The objects under one label, or elsewhere with the same CKA_ID. 0 is no handle. */
struct remains {
    CK_OBJECT_HANDLE public, private;
    bool torn;
};

static CK_RV sort_object(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                         struct remains *remains, bool *ret_other) {
    CK_OBJECT_CLASS class = 0;
    size_t n = 0;
    CK_RV rv = hsm_attribute(f, session, object, CKA_CLASS, &class, sizeof class, &n);
    if (rv != CKR_OK)
        return rv;
    if (class == CKO_PUBLIC_KEY && !remains->public)
        remains->public = object;
    else if (class == CKO_PRIVATE_KEY && !remains->private)
        remains->private = object;
    else
        *ret_other = true;
    return CKR_OK;
}

/* Public keys with the private one's CKA_ID, whatever their label. */
static CK_RV find_partner(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE private,
                          bool *ret_tied, CK_OBJECT_HANDLE *ret_public) {
    uint8_t id[ID_MAX];
    size_t id_n = 0;
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_ULONG count = 0;
    CK_OBJECT_HANDLE found = 0;
    CK_RV rv = hsm_attribute(f, session, private, CKA_ID, id, sizeof id, &id_n);
    if (rv != CKR_OK)
        return rv;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, id, id_n}};
    rv = hsm_objects_find(f, session, template, 2, &found, 1, &count);
    if (rv != CKR_OK)
        return rv;
    *ret_tied = id_n > 0; /* every key that was generated here has one */
    *ret_public = count > 0 ? found : 0;
    return CKR_OK;
}

/* A private key object that never got its key: not an imported one, which has it. */
static CK_RV is_hollow(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE private,
                       bool *ret_hollow) {
    uint8_t material[MATERIAL_MAX];
    size_t n = 0;
    CK_KEY_TYPE type = 0;
    CK_BBOOL local = CK_TRUE;
    CK_RV rv = hsm_attribute(f, session, private, CKA_KEY_TYPE, &type, sizeof type, &n);
    if (rv == CKR_OK)
        rv = hsm_attribute(f, session, private, CKA_LOCAL, &local, sizeof local, &n);
    if (rv == CKR_OK)
        rv = hsm_attribute(f, session, private, type == CKK_RSA ? CKA_MODULUS : CKA_EC_PARAMS,
                           material, sizeof material, &n);
    if (rv == CKR_OK)
        *ret_hollow = n == 0 && local == CK_FALSE;
    return rv;
}

static CK_RV judge_private(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                           struct remains *remains) {
    CK_OBJECT_HANDLE partner = 0;
    bool tied = false, hollow = false;
    CK_RV rv = find_partner(f, session, remains->private, &tied, &partner);
    if (rv == CKR_OK && partner && partner == remains->public)
        rv = is_hollow(f, session, remains->private, &hollow);
    if (rv == CKR_OK)
        remains->torn = hollow || (tied && !partner && !remains->public);
    return rv;
}

static CK_RV look_under(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, const char *label,
                        struct remains *ret_remains) {
    struct remains remains = {0};
    CK_ATTRIBUTE template = {CKA_LABEL, (void *)label, strlen(label)};
    CK_OBJECT_HANDLE objects[3];
    CK_ULONG count = 0;
    bool other = false;
    CK_RV rv = hsm_objects_find(f, session, &template, 1, objects, 3, &count);
    for (CK_ULONG i = 0; i < count && rv == CKR_OK; i++)
        rv = sort_object(f, session, objects[i], &remains, &other);
    if (rv != CKR_OK)
        return rv;
    if (remains.private && !other)
        rv = judge_private(f, session, &remains);
    else
        remains.torn = remains.public && !other;
    if (rv == CKR_OK)
        *ret_remains = remains;
    return rv;
}

/* The private one first: without it the rest is still seen as torn when this is cut short too. */
static CK_RV remove_objects(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                            const struct remains *remains) {
    CK_RV rv = CKR_OK;
    if (remains->private)
        rv = f->C_DestroyObject(session, remains->private);
    if (rv == CKR_OK && remains->public)
        rv = f->C_DestroyObject(session, remains->public);
    return rv;
}

enum tm_err hsm_key_torn(struct hsm_token *token, const char *label, bool *ret_torn,
                         char text[HSM_TEXT_MAX]) {
    CK_SESSION_HANDLE session;
    struct remains remains;
    CK_RV rv = hsm_sessions_take(&token->sessions, &session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_OpenSession", text);
    rv = look_under(token->module.f, session, label, &remains);
    hsm_sessions_put(&token->sessions, session);
    if (rv == CKR_OK)
        *ret_torn = remains.torn;
    return hsm_module_result(rv, "looking at what is left of the key", text);
}

enum tm_err hsm_key_remove_torn(struct hsm_token *token, const char *label,
                                char text[HSM_TEXT_MAX]) {
    CK_FUNCTION_LIST *f = token->module.f;
    CK_SESSION_HANDLE session;
    struct remains remains = {0};
    CK_RV rv =
        f->C_OpenSession(token->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_OpenSession", text);
    rv = look_under(f, session, label, &remains);
    bool torn = rv == CKR_OK && remains.torn;
    if (torn)
        rv = remove_objects(f, session, &remains);
    (void)f->C_CloseSession(session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "removing what is left of the key", text);
    if (!torn) {
        (void)snprintf(text, HSM_TEXT_MAX, "what is labelled \"%s\" is no unfinished key", label);
        return TM_EDENIED;
    }
    return TM_OK;
}
