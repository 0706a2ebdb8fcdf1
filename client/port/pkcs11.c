/* SPDX-License-Identifier: Apache-2.0 */
/* A key store on a PKCS#11 token: module, session, and the table of functions. */
#include "client/port/pkcs11.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/p11-kit.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/p256.h"
#include "client/port/pkcs11_internal.h"
#include "client/request.h"
#include "pki/der.h"
#include "pki/oid.h"

#define SLOTS_MAX 64
#define RAW_SIGNATURE_SIZE (2 * TM_P256_SIZE) /* r and s: PKCS#11, CKM_ECDSA */

typedef struct tm_pkcs11 tm_pkcs11;
AUTO_DEFINE(tm_pkcs11, tm_pkcs11_close)

enum tm_err tm_pkcs11_result(const char *what, CK_RV rv) {
    if (rv == CKR_OK)
        return TM_OK;
    log_error("PKCS#11: %s: %s (0x%lx)", what, p11_kit_strerror(rv), rv);
    return TM_ETOKEN;
}

/* ---- module and session ---- */

static enum tm_err load(struct tm_pkcs11 *token, const char *module) {
    token->library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (!token->library) {
        log_error("PKCS#11 module: %s", dlerror());
        return TM_ETOKEN;
    }
    /* POSIX says how an object pointer becomes a function pointer: through memory. */
    CK_C_GetFunctionList get = NULL;
    void *symbol = dlsym(token->library, "C_GetFunctionList");
    __builtin_memcpy(&get, &symbol, sizeof get);
    CK_FUNCTION_LIST *f = NULL;
    if (!get || get(&f) != CKR_OK || !f) {
        log_error("%s is not a PKCS#11 module", module);
        return TM_ETOKEN;
    }
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_RV rv = f->C_Initialize(&args);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return tm_pkcs11_result("C_Initialize", rv);
    token->f = f;
    token->finalize = rv == CKR_OK;
    return TM_OK;
}

/* PKCS#11 labels are padded with spaces. */
static bool label_is(const unsigned char *field, size_t size, const char *label) {
    size_t n = strlen(label);
    if (n > size || memcmp(field, label, n) != 0)
        return false;
    while (n < size && field[n] == ' ')
        n++;
    return n == size;
}

static enum tm_err find_slot(struct tm_pkcs11 *token, const char *label) {
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    enum tm_err err =
        tm_pkcs11_result("C_GetSlotList", token->f->C_GetSlotList(CK_TRUE, slots, &count));
    if (err)
        return err;
    bool found = false;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (token->f->C_GetTokenInfo(slots[i], &info) != CKR_OK ||
            !label_is(info.label, sizeof info.label, label))
            continue;
        if (found) {
            log_error("several PKCS#11 tokens have the label \"%s\"", label);
            return TM_ECONFLICT;
        }
        token->slot = slots[i];
        found = true;
    }
    if (!found)
        log_error("no PKCS#11 token has the label \"%s\"", label);
    return found ? TM_OK : TM_ENOTFOUND;
}

static enum tm_err open_session(struct tm_pkcs11 *token) {
    CK_SESSION_HANDLE session;
    CK_RV rv = token->f->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                       &session);
    if (rv == CKR_OK)
        token->session = session;
    return tm_pkcs11_result("C_OpenSession", rv);
}

static enum tm_err log_in(struct tm_pkcs11 *token, struct bytes pin) {
    /* C_Login takes the PIN without promising to leave it alone. */
    CK_RV rv =
        token->f->C_Login(token->session, CKU_USER, (unsigned char *)(uintptr_t)pin.p, pin.n);
    switch (rv) {
    case CKR_OK:
    case CKR_USER_ALREADY_LOGGED_IN:
        return TM_OK;
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LOCKED:
    case CKR_USER_PIN_NOT_INITIALIZED:
        return tm_pkcs11_result("C_Login", rv) ? TM_EDENIED : TM_OK;
    default:
        return tm_pkcs11_result("C_Login", rv);
    }
}

static CK_RV check_session(const struct tm_pkcs11 *token) {
    CK_SESSION_INFO info;
    CK_RV rv = token->f->C_GetSessionInfo(token->session, &info);
    if (rv == CKR_OK && info.state != CKS_RW_USER_FUNCTIONS)
        rv = CKR_USER_NOT_LOGGED_IN;
    return rv;
}

/* A session that was lost is opened again: it is logged in if the token still takes this process
 * as logged in. */
static enum tm_err ready(struct tm_pkcs11 *token, unsigned bank) {
    if (bank >= TM_BANKS)
        return TM_EINVAL;
    CK_RV rv = check_session(token);
    if (rv != CKR_SESSION_HANDLE_INVALID && rv != CKR_SESSION_CLOSED)
        return tm_pkcs11_result("session", rv);
    token->session = CK_INVALID_HANDLE;
    enum tm_err err = open_session(token);
    return err ? err : tm_pkcs11_result("session opened again", check_session(token));
}

/* ---- the table ---- */

static enum tm_err token_generate(void *self, unsigned bank) {
    struct tm_pkcs11 *token = self;
    enum tm_err err = ready(token, bank);
    return err ? err : tm_pkcs11_replace(token, bank);
}

static enum tm_err token_destroy(void *self, unsigned bank) {
    struct tm_pkcs11 *token = self;
    enum tm_err err = ready(token, bank);
    return err ? err : tm_pkcs11_clear(token, bank, UINT64_MAX);
}

static enum tm_err find(struct tm_pkcs11 *token, unsigned bank, struct tm_pkcs11_pair *ret) {
    enum tm_err err = ready(token, bank);
    return err ? err : tm_pkcs11_find(token, bank, ret);
}

static bool is_p256(struct bytes params) {
    struct der curve;
    return der_only(params, DER_OID, &curve) == TM_OK &&
           pki_oid_find(curve.value) == PKI_OID_PRIME256V1;
}

/* CKA_EC_POINT is an OCTET STRING round the point; some modules give the point itself. */
static bool point_of(struct bytes attribute, struct bytes *ret_x, struct bytes *ret_y) {
    struct der string;
    struct bytes point = attribute;
    if (point.n != 1 + 2 * TM_P256_SIZE && der_only(attribute, DER_OCTET_STRING, &string) == TM_OK)
        point = string.value;
    if (point.n != 1 + 2 * TM_P256_SIZE || point.p[0] != 0x04)
        return false;
    *ret_x = (struct bytes){point.p + 1, TM_P256_SIZE};
    *ret_y = (struct bytes){point.p + 1 + TM_P256_SIZE, TM_P256_SIZE};
    return true;
}

static enum tm_err token_public_key(void *self, unsigned bank, struct buf *out) {
    struct tm_pkcs11 *token = self;
    struct tm_pkcs11_pair pair;
    enum tm_err err = find(token, bank, &pair);
    if (err)
        return err;
    uint8_t params[32], point[TM_SPKI_MAX];
    CK_ATTRIBUTE attributes[] = {
        {CKA_EC_PARAMS, params, sizeof params},
        {CKA_EC_POINT, point, sizeof point},
    };
    CK_RV rv = token->f->C_GetAttributeValue(token->session, pair.public, attributes, 2);
    if (rv != CKR_OK)
        return tm_pkcs11_result("public key", rv);
    struct bytes x, y;
    if (attributes[0].ulValueLen > sizeof params || attributes[1].ulValueLen > sizeof point ||
        !is_p256((struct bytes){params, attributes[0].ulValueLen}) ||
        !point_of((struct bytes){point, attributes[1].ulValueLen}, &x, &y)) {
        log_error("PKCS#11: the key of bank %u is not an uncompressed point on P-256", bank);
        return TM_ETOKEN;
    }
    return tm_p256_spki(x, y, out);
}

static enum tm_err token_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                              struct buf *out) {
    struct tm_pkcs11 *token = self;
    struct tm_pkcs11_pair pair;
    enum tm_err err = find(token, bank, &pair);
    if (err)
        return err;
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    uint8_t data[TM_SHA256_SIZE], raw[2 * RAW_SIGNATURE_SIZE];
    CK_ULONG n = sizeof raw;
    memcpy(data, digest, sizeof data);
    CK_RV rv = token->f->C_SignInit(token->session, &mechanism, pair.private);
    if (rv == CKR_OK)
        rv = token->f->C_Sign(token->session, data, sizeof data, raw, &n);
    if (rv == CKR_OK && n != RAW_SIGNATURE_SIZE)
        rv = CKR_SIGNATURE_LEN_RANGE;
    err = tm_pkcs11_result("C_Sign", rv);
    if (err)
        return err;
    return tm_ecdsa_signature((struct bytes){raw, TM_P256_SIZE},
                              (struct bytes){raw + TM_P256_SIZE, TM_P256_SIZE}, out);
}

enum tm_err tm_pkcs11_id(struct tm_pkcs11 *token, unsigned bank, struct buf *out) {
    struct tm_pkcs11_pair pair;
    enum tm_err err = find(token, bank, &pair);
    if (err)
        return err;
    uint8_t id[TM_PKCS11_ID_MAX];
    CK_ATTRIBUTE attribute = {CKA_ID, id, sizeof id};
    CK_RV rv = token->f->C_GetAttributeValue(token->session, pair.private, &attribute, 1);
    if (rv != CKR_OK)
        return tm_pkcs11_result("CKA_ID", rv);
    if (out->full || out->cap - out->n < attribute.ulValueLen)
        return TM_ELIMIT;
    buf_put(out, (struct bytes){id, attribute.ulValueLen});
    return TM_OK;
}

/* ---- open and close ---- */

enum tm_err tm_pkcs11_open(const struct tm_pkcs11_config *config, struct tm_pkcs11 **ret) {
    size_t n = strlen(config->label);
    if (n == 0 || n > TM_PKCS11_LABEL_MAX)
        return TM_EINVAL;
    AUTO(tm_pkcs11) token = calloc(1, sizeof *token);
    if (!token)
        return TM_ENOMEM;
    TEXT_SET(token->label, config->label);
    token->session = CK_INVALID_HANDLE;
    token->keys = (struct tm_keys){
        .version = TM_TABLE_VERSION,
        .self = token,
        .generate = token_generate,
        .public_key = token_public_key,
        .sign = token_sign,
        .destroy = token_destroy,
    };
    enum tm_err err = load(token, config->module);
    if (!err)
        err = find_slot(token, config->token);
    if (!err)
        err = open_session(token);
    if (!err)
        err = log_in(token, config->pin);
    if (!err)
        *ret = TAKE(token);
    return err;
}

void tm_pkcs11_close(struct tm_pkcs11 *token) {
    if (!token)
        return;
    if (token->session != CK_INVALID_HANDLE)
        (void)token->f->C_CloseSession(token->session);
    if (token->finalize)
        (void)token->f->C_Finalize(NULL);
    if (token->library)
        (void)dlclose(token->library);
    free(token);
}

const struct tm_keys *tm_pkcs11_keys(struct tm_pkcs11 *token) {
    return &token->keys;
}
