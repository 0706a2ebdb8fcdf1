/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and initialising a token. */
#include "pkcs11/token.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/auto.h"
#include "pkcs11/session.h"

#define LABEL_SIZE 32 /* CK_TOKEN_INFO.label, padded with blanks */
#define SLOTS_MAX 256

typedef struct hsm_token hsm_token;
AUTO_DEFINE(hsm_token, hsm_token_close)

/* libp11 leaves PKCS#11's own result in OpenSSL's error queue. */
static enum tm_err libp11_result(const char *what, char text[HSM_TEXT_MAX]) {
    unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    CK_RV rv = code && ERR_GET_LIB(code) == ERR_get_CKR_code() ? (CK_RV)ERR_GET_REASON(code)
                                                               : CKR_GENERAL_ERROR;
    return hsm_module_result(rv, what, text);
}

/* Whether each token in a slot says what it is. libp11 0.4.12 does not free what it read of a slot
 * whose token does not, so it is not asked about tokens that are away. */
static enum tm_err ask_tokens(CK_FUNCTION_LIST *f, char text[HSM_TEXT_MAX]) {
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_RV rv = f->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_GetSlotList", text);
    for (CK_ULONG i = 0; i < count && rv == CKR_OK; i++) {
        CK_TOKEN_INFO info;
        rv = f->C_GetTokenInfo(slots[i], &info);
        if (rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_TOKEN_NOT_RECOGNIZED)
            rv = CKR_OK; /* another's empty slot */
    }
    return hsm_module_result(rv, "C_GetTokenInfo", text);
}

/* The module loaded and initialised, and its slots. */
static enum tm_err load(const struct hsm_token_config *config, hsm_token *token,
                        char text[HSM_TEXT_MAX]) {
    enum tm_err err = hsm_module_open(config->module, &token->module, text);
    if (err)
        return err;
    token->ctx = PKCS11_CTX_new();
    if (!token->ctx) {
        (void)snprintf(text, HSM_TEXT_MAX, "out of memory");
        return TM_ENOMEM;
    }
    if (PKCS11_CTX_load(token->ctx, config->module) < 0) {
        err = libp11_result("PKCS#11 module does not initialise", text);
        PKCS11_CTX_free(TAKE(token->ctx));
        return err;
    }
    err = hsm_module_start(&token->module, text);
    if (!err)
        err = ask_tokens(token->module.f, text);
    if (err)
        return err;
    if (PKCS11_enumerate_slots(token->ctx, &token->slots, &token->slot_count) < 0)
        return libp11_result("the slots cannot be listed", text);
    return TM_OK;
}

static enum tm_err new_token(const struct hsm_token_config *config, hsm_token **ret_token,
                             char text[HSM_TEXT_MAX]) {
    AUTO(hsm_token) token = calloc(1, sizeof *token);
    if (!token) {
        (void)snprintf(text, HSM_TEXT_MAX, "out of memory");
        return TM_ENOMEM;
    }
    enum tm_err err = load(config, token, text);
    if (!err)
        *ret_token = TAKE(token);
    return err;
}

static bool is_labelled(const PKCS11_SLOT *slot, const char *label) {
    return slot->token && slot->token->initialized && strcmp(slot->token->label, label) == 0;
}

static size_t count_labelled(const hsm_token *token, const char *label, PKCS11_SLOT **ret_last) {
    size_t count = 0;
    for (unsigned i = 0; i < token->slot_count; i++) {
        if (is_labelled(&token->slots[i], label)) {
            *ret_last = &token->slots[i];
            count++;
        }
    }
    return count;
}

static enum tm_err choose_token(hsm_token *token, const char *label, char text[HSM_TEXT_MAX]) {
    size_t count = count_labelled(token, label, &token->slot);
    if (count == 0) {
        (void)snprintf(text, HSM_TEXT_MAX, "the module has no token labelled \"%s\"", label);
        return TM_ENOTFOUND;
    }
    if (count > 1) {
        (void)snprintf(text, HSM_TEXT_MAX, "%zu tokens are labelled \"%s\": which one?", count,
                       label);
        return TM_EDENIED;
    }
    token->slot_id = PKCS11_get_slotid_from_slot(token->slot);
    hsm_sessions_init(&token->sessions, token->module.f, token->slot_id);
    return TM_OK;
}

/* Logging in is libp11's, after a session of our own could be opened: libp11 0.4.12 waits
 * for ever when its own first one cannot. */
static enum tm_err log_in(hsm_token *token, const char *pin, char text[HSM_TEXT_MAX]) {
    if (PKCS11_open_session(token->slot, 0) < 0)
        return libp11_result("no session with the token", text);
    CK_SESSION_HANDLE session;
    enum tm_err err =
        hsm_module_result(hsm_sessions_take(&token->sessions, &session), "C_OpenSession", text);
    if (err)
        return err;
    hsm_sessions_put(&token->sessions, session);
    ERR_clear_error();
    if (PKCS11_login(token->slot, 0, pin) < 0)
        return libp11_result("the token refuses the PIN", text);
    return TM_OK;
}

enum tm_err hsm_token_open(const struct hsm_token_config *config, const char *pin,
                           hsm_token **ret_token, char text[HSM_TEXT_MAX]) {
    AUTO(hsm_token) token = NULL;
    enum tm_err err = new_token(config, &token, text);
    if (!err)
        err = choose_token(token, config->label, text);
    if (!err)
        err = log_in(token, pin, text);
    if (!err)
        *ret_token = TAKE(token);
    return err;
}

/* Closing all sessions logs out (PKCS#11 v2.40, 5.6), so libp11's own log-out, which
 * may wait for a session, is not needed. */
void hsm_token_close(hsm_token *token) {
    if (!token)
        return;
    hsm_keys_free(token->keys);
    if (token->slot) {
        (void)token->module.f->C_CloseAllSessions(token->slot_id);
        hsm_sessions_deinit(&token->sessions);
    }
    if (token->slots)
        PKCS11_release_all_slots(token->ctx, token->slots, token->slot_count);
    if (token->ctx) {
        PKCS11_CTX_unload(token->ctx);
        PKCS11_CTX_free(token->ctx);
    }
    hsm_module_close(&token->module);
    free(token);
}

static bool is_softhsm(const CK_UTF8CHAR *manufacturer) {
    return memcmp(manufacturer, "SoftHSM", 7) == 0;
}

enum tm_err hsm_token_look(const struct hsm_token_config *config, bool *ret_exists,
                           bool *ret_softhsm, char text[HSM_TEXT_MAX]) {
    AUTO(hsm_token) token = NULL;
    enum tm_err err = new_token(config, &token, text);
    if (err)
        return err;
    CK_INFO library;
    err = hsm_module_result(token->module.f->C_GetInfo(&library), "C_GetInfo", text);
    if (err)
        return err;
    PKCS11_SLOT *last;
    *ret_exists = count_labelled(token, config->label, &last) > 0;
    *ret_softhsm = is_softhsm(library.manufacturerID);
    return TM_OK;
}

/* SoftHSM gives a new, empty slot as soon as the last one became a token. */
static enum tm_err find_free_slot(const hsm_token *token, CK_SLOT_ID *ret_slot,
                                  char text[HSM_TEXT_MAX]) {
    for (unsigned i = 0; i < token->slot_count; i++) {
        if (token->slots[i].token && !token->slots[i].token->initialized) {
            *ret_slot = PKCS11_get_slotid_from_slot(&token->slots[i]);
            return TM_OK;
        }
    }
    (void)snprintf(text, HSM_TEXT_MAX, "the module has no uninitialised token");
    return TM_EFULL;
}

/* C_InitToken by ourselves: libp11 0.4.12 hands over the label without its padding. */
static enum tm_err init_token(CK_FUNCTION_LIST *f, CK_SLOT_ID slot, const char *label,
                              const char *so_pin, char text[HSM_TEXT_MAX]) {
    CK_UTF8CHAR padded[LABEL_SIZE];
    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    CK_RV rv = f->C_InitToken(slot, (CK_UTF8CHAR *)so_pin, strlen(so_pin), padded);
    return hsm_module_result(rv, "C_InitToken", text);
}

static enum tm_err set_user_pin(CK_FUNCTION_LIST *f, CK_SLOT_ID slot, const char *so_pin,
                                const char *pin, char text[HSM_TEXT_MAX]) {
    CK_SESSION_HANDLE session;
    CK_RV rv = f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "token made, but no session with it: C_OpenSession", text);
    rv = f->C_Login(session, CKU_SO, (CK_UTF8CHAR *)so_pin, strlen(so_pin));
    if (rv == CKR_OK)
        rv = f->C_InitPIN(session, (CK_UTF8CHAR *)pin, strlen(pin));
    (void)f->C_CloseSession(session);
    return hsm_module_result(rv, "token made, but it has no user PIN: C_InitPIN", text);
}

enum tm_err hsm_token_init(const struct hsm_token_config *config, const char *so_pin,
                           const char *pin, char text[HSM_TEXT_MAX]) {
    size_t n = strlen(config->label);
    if (n == 0 || n > LABEL_SIZE) {
        (void)snprintf(text, HSM_TEXT_MAX, "a token's label has 1 to %d octets", LABEL_SIZE);
        return TM_EINVAL;
    }
    AUTO(hsm_token) token = NULL;
    enum tm_err err = new_token(config, &token, text);
    if (err)
        return err;
    PKCS11_SLOT *last;
    if (count_labelled(token, config->label, &last) > 0) {
        (void)snprintf(text, HSM_TEXT_MAX, "a token labelled \"%s\" exists", config->label);
        return TM_EEXISTS;
    }
    CK_SLOT_ID slot;
    err = find_free_slot(token, &slot, text);
    if (!err)
        err = init_token(token->module.f, slot, config->label, so_pin, text);
    if (!err)
        err = set_user_pin(token->module.f, slot, so_pin, pin, text);
    return err;
}

/* A blank-padded field of PKCS#11 as a string; odd octets become '?'. */
static void copy_padded(char *ret, size_t cap, const CK_UTF8CHAR *field, size_t n) {
    while (n > 0 && (field[n - 1] == ' ' || field[n - 1] == '\0'))
        n--;
    if (n >= cap)
        n = cap - 1;
    for (size_t i = 0; i < n; i++)
        ret[i] = field[i] >= 0x20 && field[i] < 0x7f ? (char)field[i] : '?';
    ret[n] = '\0';
}

enum tm_err hsm_token_describe(hsm_token *token, struct hsm_token_info *ret_info,
                               char text[HSM_TEXT_MAX]) {
    CK_INFO library;
    CK_TOKEN_INFO t;
    enum tm_err err = hsm_module_result(token->module.f->C_GetInfo(&library), "C_GetInfo", text);
    if (!err)
        err = hsm_module_result(token->module.f->C_GetTokenInfo(token->slot_id, &t),
                                "C_GetTokenInfo", text);
    if (err)
        return err;
    struct hsm_token_info info = {0};
    char description[33];
    copy_padded(description, sizeof description, library.libraryDescription,
                sizeof library.libraryDescription);
    (void)snprintf(info.library, sizeof info.library, "%s %u.%u", description,
                   library.libraryVersion.major, library.libraryVersion.minor);
    copy_padded(info.manufacturer, sizeof info.manufacturer, t.manufacturerID,
                sizeof t.manufacturerID);
    copy_padded(info.model, sizeof info.model, t.model, sizeof t.model);
    copy_padded(info.serial, sizeof info.serial, t.serialNumber, sizeof t.serialNumber);
    info.softhsm = is_softhsm(library.manufacturerID) || is_softhsm(t.manufacturerID);
    *ret_info = info;
    return TM_OK;
}
