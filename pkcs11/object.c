/* SPDX-License-Identifier: Apache-2.0 */
/* Objects on a token: finding them and reading their attributes. */
#include <stdio.h>
#include <string.h>

#include "pkcs11/key.h"

CK_RV hsm_attribute(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                    CK_ATTRIBUTE_TYPE type, void *ret, size_t cap, size_t *ret_n) {
    CK_ATTRIBUTE attribute = {type, ret, cap};
    CK_RV rv = f->C_GetAttributeValue(session, object, &attribute, 1);
    if (rv != CKR_OK)
        return rv;
    if (attribute.ulValueLen > cap)
        return CKR_GENERAL_ERROR;
    *ret_n = attribute.ulValueLen;
    return CKR_OK;
}

enum tm_err hsm_attributes_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                                CK_OBJECT_HANDLE object, struct hsm_key_info *ret_info,
                                char text[HSM_TEXT_MAX]) {
    struct hsm_key_info info = *ret_info;
    const struct {
        CK_ATTRIBUTE_TYPE type;
        bool *value;
        const char *name;
    } wanted[] = {
        {CKA_SENSITIVE, &info.sensitive, "CKA_SENSITIVE"},
        {CKA_ALWAYS_SENSITIVE, &info.always_sensitive, "CKA_ALWAYS_SENSITIVE"},
        {CKA_EXTRACTABLE, &info.extractable, "CKA_EXTRACTABLE"},
        {CKA_NEVER_EXTRACTABLE, &info.never_extractable, "CKA_NEVER_EXTRACTABLE"},
        {CKA_LOCAL, &info.local, "CKA_LOCAL"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        CK_BBOOL value = CK_FALSE;
        size_t n = 0;
        CK_RV rv = hsm_attribute(f, session, object, wanted[i].type, &value, sizeof value, &n);
        if (rv != CKR_OK || n != sizeof value)
            return hsm_module_result(rv ? rv : CKR_GENERAL_ERROR, wanted[i].name, text);
        *wanted[i].value = value != CK_FALSE;
    }
    *ret_info = info;
    return TM_OK;
}

CK_RV hsm_objects_find(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_ATTRIBUTE *template,
                       CK_ULONG template_n, CK_OBJECT_HANDLE *ret, CK_ULONG cap, CK_ULONG *ret_n) {
    CK_RV rv = f->C_FindObjectsInit(session, template, template_n);
    if (rv != CKR_OK)
        return rv;
    CK_ULONG n = 0;
    rv = f->C_FindObjects(session, ret, cap, &n);
    CK_RV final = f->C_FindObjectsFinal(session);
    if (rv == CKR_OK)
        rv = final;
    if (rv == CKR_OK)
        *ret_n = n;
    return rv;
}

enum tm_err hsm_label_used(struct hsm_token *token, const char *label, bool *ret_used,
                           char text[HSM_TEXT_MAX]) {
    CK_FUNCTION_LIST *f = token->module.f;
    CK_SESSION_HANDLE session;
    CK_RV rv = hsm_sessions_take(&token->sessions, &session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_OpenSession", text);
    CK_ATTRIBUTE template = {CKA_LABEL, (void *)label, strlen(label)};
    CK_OBJECT_HANDLE object;
    CK_ULONG count = 0;
    rv = hsm_objects_find(f, session, &template, 1, &object, 1, &count);
    hsm_sessions_put(&token->sessions, session);
    if (rv == CKR_OK)
        *ret_used = count > 0;
    return hsm_module_result(rv, "looking for the label", text);
}
