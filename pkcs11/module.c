/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a PKCS#11 module and naming its results. */
#include "pkcs11/module.h"

#include <dlfcn.h>
#include <stdio.h>

#include <p11-kit/p11-kit.h>

enum tm_err hsm_module_open(const char *path, struct hsm_module *ret_module,
                            char text[HSM_TEXT_MAX]) {
    struct hsm_module module = {.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (!module.library) {
        (void)snprintf(text, HSM_TEXT_MAX, "PKCS#11 module cannot be loaded: %s", dlerror());
        return TM_ENOTFOUND;
    }
    /* POSIX says how an object pointer becomes a function pointer: through memory. */
    CK_C_GetFunctionList get = NULL;
    void *symbol = dlsym(module.library, "C_GetFunctionList");
    __builtin_memcpy(&get, &symbol, sizeof get);
    if (!get || get(&module.f) != CKR_OK || !module.f) {
        (void)snprintf(text, HSM_TEXT_MAX, "%s is not a PKCS#11 module", path);
        hsm_module_close(&module);
        return TM_ENOTFOUND;
    }
    *ret_module = module;
    return TM_OK;
}

enum tm_err hsm_module_start(const struct hsm_module *module, char text[HSM_TEXT_MAX]) {
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_RV rv = module->f->C_Initialize(&args);
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return TM_OK;
    return hsm_module_result(rv, "C_Initialize", text);
}

void hsm_module_close(struct hsm_module *module) {
    if (module->library)
        (void)dlclose(module->library);
    *module = (struct hsm_module){0};
}

static bool is_about_the_pin(CK_RV rv) {
    switch (rv) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LOCKED:
    case CKR_USER_PIN_NOT_INITIALIZED:
        return true;
    default:
        return false;
    }
}

enum tm_err hsm_module_result(CK_RV rv, const char *what, char text[HSM_TEXT_MAX]) {
    if (rv == CKR_OK)
        return TM_OK;
    (void)snprintf(text, HSM_TEXT_MAX, "%s: %s (0x%lx)", what, p11_kit_strerror(rv), rv);
    return is_about_the_pin(rv) ? TM_EDENIED : TM_ETOKEN;
}
