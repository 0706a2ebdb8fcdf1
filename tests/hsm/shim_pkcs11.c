/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A faulty PKCS#11 module for tests: it hands every call on to a real module and, while it
 * is told to, fails the way that hardware and drivers fail.
 *
 * TM_SHIM_MODULE   the real module; default /usr/lib/softhsm/libsofthsm2.so
 * TM_SHIM_CONTROL  a file with one line, the fault that is on now. It is read again at each
 *                  call that a fault could touch, so a test can write it (write a new file, then
 *                  rename) while a signer runs. No file or an empty one: no fault.
 *                  "beside": the file $SOFTHSM2_CONF.fault, so that each token has its own.
 *
 * Faults:
 *   session-lost     calls on a session answer CKR_SESSION_HANDLE_INVALID
 *   device-removed   calls on a session or slot answer CKR_DEVICE_REMOVED
 *   no-session       C_OpenSession answers CKR_SESSION_COUNT
 *   slow N           C_Sign takes N ms more
 *   hang             C_Sign does not return; first it makes the file of the same name and .hanging
 *   hang-login       C_Login likewise
 *   wrong-signature  C_Sign succeeds; one bit of the signature is changed
 *   short-signature  C_Sign succeeds; the signature lacks its last octet
 *   zero-signature   C_Sign succeeds; the signature is all zero
 *   wrong-key        C_SignInit takes another private key of the token, as a stale handle may
 *   extractable      a private key's CKA_EXTRACTABLE reads as true
 *
 * SoftHSM 2.6.1 forgets the name of an Edwards curve, an ASN1_STRING of 24 and 13 octets, in each
 * C_SignInit and C_GenerateKeyPair with such a key, whoever calls it. It is unloaded when leaks are
 * looked for, so that no suppression by name could meet it. So LeakSanitizer, where it is there,
 * passes over what SoftHSM allocates within these two calls, and over nothing else.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define PATH_SIZE 512

/* ---- what SoftHSM forgets ---- */

extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

static bool forgets(const CK_MECHANISM *mechanism) {
    return __lsan_disable && __lsan_enable &&
           (mechanism->mechanism == CKM_EDDSA ||
            mechanism->mechanism == CKM_EC_EDWARDS_KEY_PAIR_GEN);
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
    bool passes = forgets(mechanism);
    if (passes)
        __lsan_disable();
    CK_RV rv = real->C_SignInit(session, mechanism, key);
    if (passes)
        __lsan_enable();
    return rv;
}

static CK_RV shim_generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                                CK_ATTRIBUTE *public_template, CK_ULONG public_n,
                                CK_ATTRIBUTE *private_template, CK_ULONG private_n,
                                CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key) {
    bool passes = forgets(mechanism);
    if (passes)
        __lsan_disable();
    CK_RV rv = real->C_GenerateKeyPair(session, mechanism, public_template, public_n,
                                       private_template, private_n, public_key, private_key);
    if (passes)
        __lsan_enable();
    return rv;
}

/* ---- faults ---- */

static void control_path(char ret[PATH_SIZE]) {
    const char *control = getenv("TM_SHIM_CONTROL"), *conf = getenv("SOFTHSM2_CONF");
    if (control && conf && strcmp(control, "beside") == 0)
        (void)snprintf(ret, PATH_SIZE, "%s.fault", conf);
    else
        (void)snprintf(ret, PATH_SIZE, "%s", control ? control : "");
}

static void read_control(char *ret, size_t cap) {
    char path[PATH_SIZE];
    control_path(path);
    int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? 0 : read(fd, ret, cap - 1);
    if (fd >= 0)
        (void)close(fd);
    ret[n > 0 ? n : 0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
}

static bool fault_is(const char *name) {
    char control[64];
    read_control(control, sizeof control);
    return strcmp(control, name) == 0;
}

static CK_RV session_fault(void) {
    char control[64];
    read_control(control, sizeof control);
    if (strcmp(control, "session-lost") == 0)
        return CKR_SESSION_HANDLE_INVALID;
    if (strcmp(control, "device-removed") == 0)
        return CKR_DEVICE_REMOVED;
    return CKR_OK;
}

/* poll and nothing else: a sandboxed signer may do that. */
static void wait_ms(int ms) {
    do
        (void)poll(NULL, 0, ms);
    while (ms < 0);
}

static void hang(void) {
    char path[PATH_SIZE], flag[PATH_SIZE + 16];
    control_path(path);
    (void)snprintf(flag, sizeof flag, "%s.hanging", path);
    int fd = open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    wait_ms(-1);
}

static CK_RV shim_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
                               CK_SESSION_HANDLE *session) {
    if (fault_is("no-session"))
        return CKR_SESSION_COUNT;
    if (fault_is("device-removed"))
        return CKR_DEVICE_REMOVED;
    return real->C_OpenSession(slot, flags, app, notify, session);
}

static CK_RV shim_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
    if (fault_is("device-removed"))
        return CKR_DEVICE_REMOVED;
    return real->C_GetTokenInfo(slot, info);
}

static CK_RV shim_get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info) {
    CK_RV fault = session_fault();
    return fault ? fault : real->C_GetSessionInfo(session, info);
}

static CK_RV shim_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin,
                        CK_ULONG n) {
    if (fault_is("hang-login"))
        hang();
    CK_RV fault = session_fault();
    return fault ? fault : real->C_Login(session, user, pin, n);
}

static CK_RV shim_find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG n) {
    CK_RV fault = session_fault();
    return fault ? fault : real->C_FindObjectsInit(session, template, n);
}

static CK_RV shim_get_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                 CK_ATTRIBUTE *template, CK_ULONG n) {
    CK_RV rv = session_fault();
    if (rv == CKR_OK)
        rv = real->C_GetAttributeValue(session, object, template, n);
    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
        if (template[i].type == CKA_EXTRACTABLE && template[i].pValue && fault_is("extractable"))
            *(CK_BBOOL *)template[i].pValue = CK_TRUE;
    return rv;
}

/* Some other private key that the session can see; the same one if there is none. */
static CK_OBJECT_HANDLE another_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class}};
    CK_OBJECT_HANDLE found[8];
    CK_ULONG n = 0;
    if (real->C_FindObjectsInit(session, template, 1) != CKR_OK)
        return key;
    (void)real->C_FindObjects(session, found, sizeof found / sizeof found[0], &n);
    (void)real->C_FindObjectsFinal(session);
    for (CK_ULONG i = 0; i < n; i++)
        if (found[i] != key)
            return found[i];
    return key;
}

static CK_RV shim_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                            CK_OBJECT_HANDLE key) {
    CK_RV fault = session_fault();
    if (fault)
        return fault;
    return sign_init(session, mechanism, fault_is("wrong-key") ? another_key(session, key) : key);
}

static CK_RV shim_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_n,
                       CK_BYTE *signature, CK_ULONG *signature_n) {
    char control[64];
    read_control(control, sizeof control);
    CK_RV fault = session_fault();
    if (fault)
        return fault;
    if (strcmp(control, "hang") == 0)
        hang();
    if (strncmp(control, "slow ", 5) == 0)
        wait_ms((int)strtoul(control + 5, NULL, 10));
    CK_RV rv = real->C_Sign(session, data, data_n, signature, signature_n);
    if (rv != CKR_OK || !signature || *signature_n < 2)
        return rv;
    if (strcmp(control, "wrong-signature") == 0)
        signature[*signature_n - 1] ^= 0x01;
    if (strcmp(control, "short-signature") == 0)
        *signature_n -= 1;
    if (strcmp(control, "zero-signature") == 0)
        memset(signature, 0, *signature_n);
    return rv;
}

static void load_real(void) {
    const char *path = getenv("TM_SHIM_MODULE");
    void *library = dlopen(path ? path : "/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = NULL;
    void *symbol = library ? dlsym(library, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof get);
    if (!get || get(&real) != CKR_OK)
        return;
    list = *real;
    list.C_OpenSession = shim_open_session;
    list.C_GetTokenInfo = shim_get_token_info;
    list.C_GetSessionInfo = shim_get_session_info;
    list.C_Login = shim_login;
    list.C_FindObjectsInit = shim_find_init;
    list.C_GetAttributeValue = shim_get_attributes;
    list.C_GenerateKeyPair = shim_generate_pair;
    list.C_SignInit = shim_sign_init;
    list.C_Sign = shim_sign;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret_list);
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret_list) {
    (void)pthread_once(&once, load_real);
    if (!real)
        return CKR_GENERAL_ERROR;
    *ret_list = &list;
    return CKR_OK;
}
