/* SPDX-License-Identifier: Apache-2.0 */
/* The bare token: PKCS#11 without a library between. */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "bench/floor.h"

#define SLOTS_MAX 64

AUTO_DEFINE(FILE, fclose)

static CK_FUNCTION_LIST *load(const char *path, void **ret_module) {
    CK_FUNCTION_LIST *list = NULL;
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return NULL;
    /* POSIX lets dlsym's pointer be a function. */
    CK_C_GetFunctionList get;
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (!get || get(&list) != CKR_OK || list->C_Initialize(&args) != CKR_OK) {
        (void)dlclose(module);
        return NULL;
    }
    *ret_module = module;
    return list;
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

static enum tm_err find_slot(CK_FUNCTION_LIST *p11, const char *token, CK_SLOT_ID *ret) {
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    if (p11->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return TM_ETOKEN;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            label_is(info.label, sizeof info.label, token)) {
            *ret = slots[i];
            return TM_OK;
        }
    }
    return TM_ENOTFOUND;
}

static enum tm_err log_in(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, const char *pin_file) {
    unsigned char pin[128];
    AUTO(FILE) f = fopen(pin_file, "r");
    size_t n = f ? fread(pin, 1, sizeof pin, f) : 0;
    while (n > 0 && pin[n - 1] == '\n')
        n--;
    CK_RV rv = n ? p11->C_Login(session, CKU_USER, pin, n) : CKR_PIN_INCORRECT;
    bytes_wipe(pin, sizeof pin);
    return rv == CKR_OK ? TM_OK : TM_EDENIED;
}

static enum tm_err find_key(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, const char *label,
                            CK_OBJECT_HANDLE *ret) {
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    char copy[128];
    size_t n = (size_t)snprintf(copy, sizeof copy, "%s", label);
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, copy, n}};
    CK_ULONG found = 0;
    if (n >= sizeof copy || p11->C_FindObjectsInit(session, wanted, 2) != CKR_OK)
        return TM_ETOKEN;
    CK_RV rv = p11->C_FindObjects(session, ret, 1, &found);
    (void)p11->C_FindObjectsFinal(session);
    return rv == CKR_OK && found == 1 ? TM_OK : TM_ENOTFOUND;
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum tm_err sign_for(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                            unsigned seconds, double *ret_per_second) {
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    unsigned char digest[32] = {1}, signature[256];
    double start = now(), end = start + seconds, t = start;
    unsigned done = 0;
    for (; t < end; t = now()) {
        for (unsigned i = 0; i < 64; i++, done++) {
            CK_ULONG n = sizeof signature;
            digest[0]++;
            if (p11->C_SignInit(session, &mechanism, key) != CKR_OK ||
                p11->C_Sign(session, digest, sizeof digest, signature, &n) != CKR_OK)
                return TM_ETOKEN;
        }
    }
    *ret_per_second = done / (t - start);
    return TM_OK;
}

static enum tm_err measure(CK_FUNCTION_LIST *p11, const struct bench_floor_hsm_config *config,
                           double *ret_per_second, char text[BENCH_TEXT_MAX]) {
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    (void)snprintf(text, BENCH_TEXT_MAX, "no token has the label %s", config->token);
    enum tm_err err = find_slot(p11, config->token, &slot);
    if (err != TM_OK)
        return err;
    (void)snprintf(text, BENCH_TEXT_MAX, "the token %s gives no session", config->token);
    if (p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
        return TM_ETOKEN;
    (void)snprintf(text, BENCH_TEXT_MAX, "the token does not take the PIN in %s", config->pin_file);
    err = log_in(p11, session, config->pin_file);
    if (err != TM_OK)
        return err;
    (void)snprintf(text, BENCH_TEXT_MAX, "no private key has the label %s", config->key_label);
    err = find_key(p11, session, config->key_label, &key);
    if (err != TM_OK)
        return err;
    (void)snprintf(text, BENCH_TEXT_MAX, "the key %s does not sign (CKM_ECDSA)", config->key_label);
    return sign_for(p11, session, key, config->seconds, ret_per_second);
}

enum tm_err bench_floor_hsm(const struct bench_floor_hsm_config *config, double *ret_per_second,
                            char text[BENCH_TEXT_MAX]) {
    void *module = NULL;
    CK_FUNCTION_LIST *p11 = load(config->module, &module);
    if (!p11) {
        (void)snprintf(text, BENCH_TEXT_MAX, "cannot load the PKCS#11 module %s", config->module);
        return TM_ENOTFOUND;
    }
    enum tm_err err = measure(p11, config, ret_per_second, text);
    (void)p11->C_Finalize(NULL);
    (void)dlclose(module);
    return err;
}
