/* SPDX-License-Identifier: Apache-2.0 */
/* Parent, session, and the commands between: see tpm_commands.h. */
#include "client/port/tpm_commands.h"

#include <string.h>

#include <tss2/tss2_rc.h>

#include "base/log.h"

#define STORAGE_ROOT_KEY 0x81000001u /* TCG TPM v2.0 Provisioning Guidance */

/* What one operation has in the TPM. */
struct scope {
    ESYS_CONTEXT *esys;
    ESYS_TR parent, session, key;
    bool persistent; /* the parent stays where it is */
};

static enum tm_err result(const char *what, TSS2_RC rc) {
    if (rc == TSS2_RC_SUCCESS)
        return TM_OK;
    log_error("TPM: %s: %s (0x%x)", what, Tss2_RC_Decode(rc), rc);
    return TM_ETOKEN;
}

enum tm_err tm_tpm_startup(ESYS_CONTEXT *esys) {
    TSS2_RC rc = Esys_Startup(esys, TPM2_SU_CLEAR);
    return rc == TPM2_RC_INITIALIZE ? TM_OK : result("Startup", rc);
}

/* ---- parents ---- */

static enum tm_err is_there(ESYS_CONTEXT *esys, TPM2_HANDLE handle, bool *ret) {
    TPMI_YES_NO more;
    TPMS_CAPABILITY_DATA *data = NULL;
    TSS2_RC rc = Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                    TPM2_CAP_HANDLES, handle, 1, &more, &data);
    if (rc == TSS2_RC_SUCCESS) {
        const TPML_HANDLE *handles = &data->data.handles;
        *ret = handles->count > 0 && handles->handle[0] == handle;
    }
    Esys_Free(data);
    return result("GetCapability", rc);
}

static enum tm_err take_persistent(struct scope *scope, TPM2_HANDLE handle) {
    bool there = false;
    enum tm_err err = is_there(scope->esys, handle, &there);
    if (err)
        return err;
    if (!there) {
        log_error("TPM: no key is at 0x%x", handle);
        return TM_ENOTFOUND;
    }
    TSS2_RC rc = Esys_TR_FromTPMPublic(scope->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &scope->parent);
    scope->persistent = true;
    return result("ReadPublic", rc);
}

/* The parent that draft-bottomley-tpm2-keys gives keys of the owner hierarchy. The TPM derives the
 * same key each time. */
static enum tm_err make_primary(struct scope *scope) {
    static const TPM2B_PUBLIC template = {
        .publicArea =
            {
                .type = TPM2_ALG_ECC,
                .nameAlg = TPM2_ALG_SHA256,
                .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                    TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
                .parameters.eccDetail =
                    {
                        .symmetric = {.algorithm = TPM2_ALG_AES,
                                      .keyBits.aes = 128,
                                      .mode.aes = TPM2_ALG_CFB},
                        .scheme.scheme = TPM2_ALG_NULL,
                        .curveID = TPM2_ECC_NIST_P256,
                        .kdf.scheme = TPM2_ALG_NULL,
                    },
            },
    };
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TSS2_RC rc = Esys_CreatePrimary(scope->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                    ESYS_TR_NONE, &sensitive, &template, &outside, &no_pcrs,
                                    &scope->parent, NULL, NULL, NULL, NULL);
    return result("CreatePrimary", rc);
}

/* ---- scopes ---- */

static void flush(ESYS_CONTEXT *esys, ESYS_TR object) {
    if (object != ESYS_TR_NONE && Esys_FlushContext(esys, object) != TSS2_RC_SUCCESS)
        log_error("TPM: an object stays loaded");
}

static void end(struct scope *scope) {
    flush(scope->esys, scope->key);
    flush(scope->esys, scope->session);
    if (scope->persistent)
        (void)Esys_TR_Close(scope->esys, &scope->parent);
    else
        flush(scope->esys, scope->parent);
}

/* Salted to the parent, so that its secret is known to nobody who listens. */
static enum tm_err start_session(struct scope *scope) {
    const TPMT_SYM_DEF aes = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    TSS2_RC rc = Esys_StartAuthSession(scope->esys, scope->parent, ESYS_TR_NONE, ESYS_TR_NONE,
                                       ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &aes,
                                       TPM2_ALG_SHA256, &scope->session);
    return result("StartAuthSession", rc);
}

static enum tm_err begin(ESYS_CONTEXT *esys, uint32_t parent, struct scope *ret) {
    struct scope scope = {esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, false};
    enum tm_err err =
        parent == TPM2_RH_OWNER ? make_primary(&scope) : take_persistent(&scope, parent);
    if (!err)
        err = start_session(&scope);
    if (err)
        end(&scope);
    else
        *ret = scope;
    return err;
}

/* Encrypts what goes there; and what comes back, where the first of it can be encrypted. */
static enum tm_err encrypt(const struct scope *scope, bool answer) {
    TPMA_SESSION wanted = TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT;
    if (answer)
        wanted |= TPMA_SESSION_ENCRYPT;
    return result("session", Esys_TRSess_SetAttributes(scope->esys, scope->session, wanted, 0xff));
}

/* ---- commands ---- */

static enum tm_err create_in(const struct scope *scope, struct tm_tpm_key *ret) {
    static const TPM2B_PUBLIC template = {
        .publicArea =
            {
                .type = TPM2_ALG_ECC,
                .nameAlg = TPM2_ALG_SHA256,
                .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                    TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
                .parameters.eccDetail =
                    {
                        .symmetric.algorithm = TPM2_ALG_NULL,
                        .scheme = {.scheme = TPM2_ALG_ECDSA,
                                   .details.ecdsa.hashAlg = TPM2_ALG_SHA256},
                        .curveID = TPM2_ECC_NIST_P256,
                        .kdf.scheme = TPM2_ALG_NULL,
                    },
            },
    };
    const TPM2B_SENSITIVE_CREATE sensitive = {0};
    const TPM2B_DATA outside = {0};
    const TPML_PCR_SELECTION no_pcrs = {0};
    TPM2B_PRIVATE *private = NULL;
    TPM2B_PUBLIC *public = NULL;
    enum tm_err err = encrypt(scope, true);
    if (err)
        return err;
    TSS2_RC rc =
        Esys_Create(scope->esys, scope->parent, scope->session, ESYS_TR_NONE, ESYS_TR_NONE,
                    &sensitive, &template, &outside, &no_pcrs, &private, &public, NULL, NULL, NULL);
    if (rc == TSS2_RC_SUCCESS) {
        ret->private = *private;
        ret->public = *public;
    }
    Esys_Free(private);
    Esys_Free(public);
    return result("Create", rc);
}

enum tm_err tm_tpm_create(ESYS_CONTEXT *esys, struct tm_tpm_key *ret) {
    bool provisioned = false;
    enum tm_err err = is_there(esys, STORAGE_ROOT_KEY, &provisioned);
    if (err)
        return err;
    struct tm_tpm_key key = {.parent = provisioned ? STORAGE_ROOT_KEY : TPM2_RH_OWNER};
    struct scope scope;
    err = begin(esys, key.parent, &scope);
    if (err)
        return err;
    err = create_in(&scope, &key);
    end(&scope);
    if (!err)
        *ret = key;
    return err;
}

/* Was it wrapped by another parent (TPM 2.0 Library, Part 3, TPM2_Load: TPM_RC_INTEGRITY)? Format-1
 * codes come with the number of the parameter. */
static bool is_foreign(TSS2_RC rc) {
    const TSS2_RC code = TPM2_RC_FMT1 | 0x3f;
    return rc <= 0xfff && (rc & TPM2_RC_FMT1) && (rc & code) == TPM2_RC_INTEGRITY;
}

static enum tm_err load(struct scope *scope, const struct tm_tpm_key *key) {
    enum tm_err err = encrypt(scope, true);
    if (err)
        return err;
    TSS2_RC rc = Esys_Load(scope->esys, scope->parent, scope->session, ESYS_TR_NONE, ESYS_TR_NONE,
                           &key->private, &key->public, &scope->key);
    err = result("Load", rc);
    return is_foreign(rc) ? TM_ENOTFOUND : err;
}

static enum tm_err sign_in(const struct scope *scope, const TPM2B_DIGEST *digest,
                           TPMS_SIGNATURE_ECDSA *ret) {
    const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_ECDSA,
                                    .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
    const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    TPMT_SIGNATURE *signature = NULL;
    enum tm_err err = encrypt(scope, false);
    if (err)
        return err;
    TSS2_RC rc = Esys_Sign(scope->esys, scope->key, scope->session, ESYS_TR_NONE, ESYS_TR_NONE,
                           digest, &scheme, &no_ticket, &signature);
    err = result("Sign", rc);
    if (!err && signature->sigAlg != TPM2_ALG_ECDSA)
        err = TM_ETOKEN;
    if (!err)
        *ret = signature->signature.ecdsa;
    Esys_Free(signature);
    return err;
}

enum tm_err tm_tpm_sign(ESYS_CONTEXT *esys, const struct tm_tpm_key *key,
                        const uint8_t digest[TM_SHA256_SIZE], TPMS_SIGNATURE_ECDSA *ret) {
    TPM2B_DIGEST data = {.size = TM_SHA256_SIZE};
    memcpy(data.buffer, digest, TM_SHA256_SIZE);
    struct scope scope;
    enum tm_err err = begin(esys, key->parent, &scope);
    if (err)
        return err;
    err = load(&scope, key);
    if (!err)
        err = sign_in(&scope, &data, ret);
    end(&scope);
    return err;
}
