/* SPDX-License-Identifier: Apache-2.0 */
/* A device's keys on a real SoftHSM: their life, what power cuts leave, sessions and faults. */
#include "keys_rig.h"
#include "softhsm.h"

#include <dlfcn.h>
#include <signal.h>

#include <p11-kit/pkcs11.h>

#include "base/auto.h"
#include "client/port/pkcs11.h"
#include "pkcs11/token.h"

#define LABEL "touchmark"

typedef struct tm_pkcs11 tm_pkcs11;
AUTO_DEFINE(tm_pkcs11, tm_pkcs11_close)

struct fixture {
    struct softhsm hsm;
    struct tm_pkcs11_config config;
    char control[128];
    int said[2]; /* a child says here what it did */
};

static void init_token_part(void *label) {
    const struct hsm_token_config config = {SOFTHSM_MODULE, label};
    char text[HSM_TEXT_MAX];
    assert_int_equal(hsm_token_init(&config, SOFTHSM_SO_PIN, SOFTHSM_PIN, text), TM_OK);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    softhsm_setup(&f->hsm);
    f->config = (struct tm_pkcs11_config){SOFTHSM_MODULE, "works", LABEL, bytes_str(SOFTHSM_PIN)};
    (void)snprintf(f->control, sizeof f->control, "%s/control", f->hsm.folder);
    assert_int_equal(setenv("TM_SHIM_CONTROL", f->control, 1), 0);
    in_child(init_token_part, (void *)(uintptr_t) "works");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    softhsm_teardown(&f->hsm);
    free(f);
    return 0;
}

static struct tm_pkcs11 *open_token(const struct fixture *f) {
    struct tm_pkcs11 *token = NULL;
    assert_int_equal(tm_pkcs11_open(&f->config, &token), TM_OK);
    return token;
}

static void set_fault(const struct fixture *f, const char *fault) {
    char next[160];
    (void)snprintf(next, sizeof next, "%s.next", f->control);
    write_text(next, fault);
    assert_int_equal(rename(next, f->control), 0);
}

/* ---- the module beside the store, in the same process: it is initialised already ---- */

struct raw {
    void *library;
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
};

static struct raw raw_open(void) {
    struct raw raw = {.library = dlopen(SOFTHSM_MODULE, RTLD_NOW | RTLD_LOCAL)};
    assert_non_null(raw.library);
    CK_C_GetFunctionList get = NULL;
    void *symbol = dlsym(raw.library, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    assert_non_null(get);
    assert_int_equal(get(&raw.f), CKR_OK);
    CK_SLOT_ID slots[8];
    CK_ULONG n = 8;
    assert_int_equal(raw.f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    assert_true(n > 0);
    raw.slot = slots[0]; /* the free slot comes last */
    assert_int_equal(raw.f->C_OpenSession(raw.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                          &raw.session),
                     CKR_OK);
    return raw;
}

static void raw_close(const struct raw *raw) {
    (void)raw->f->C_CloseSession(raw->session);
    assert_int_equal(dlclose(raw->library), 0);
}

/* The first object of this class and label, and how many there are. */
static size_t raw_find(const struct raw *raw, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret_first) {
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &class, sizeof class},
                             {CKA_LABEL, (void *)(uintptr_t)LABEL, strlen(LABEL)}};
    CK_OBJECT_HANDLE found[16];
    CK_ULONG n = 0;
    assert_int_equal(raw->f->C_FindObjectsInit(raw->session, wanted, 2), CKR_OK);
    assert_int_equal(raw->f->C_FindObjects(raw->session, found, 16, &n), CKR_OK);
    assert_int_equal(raw->f->C_FindObjectsFinal(raw->session), CKR_OK);
    if (n)
        *ret_first = found[0];
    return n;
}

static void assert_objects(const struct raw *raw, size_t private, size_t public) {
    CK_OBJECT_HANDLE first;
    assert_int_equal(raw_find(raw, CKO_PRIVATE_KEY, &first), private);
    assert_int_equal(raw_find(raw, CKO_PUBLIC_KEY, &first), public);
}

struct raw_pair {
    CK_OBJECT_HANDLE private, public;
};

static struct raw_pair raw_generate(const struct raw *raw, const char *label, struct bytes id) {
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE public[] = {{CKA_TOKEN, &yes, sizeof yes},
                             {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                             {CKA_ID, (void *)(uintptr_t)id.p, id.n},
                             {CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof p256}};
    CK_ATTRIBUTE private[] = {{CKA_TOKEN, &yes, sizeof yes},
                              {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                              {CKA_ID, (void *)(uintptr_t)id.p, id.n},
                              {CKA_SIGN, &yes, sizeof yes}};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    struct raw_pair pair;
    assert_int_equal(raw->f->C_GenerateKeyPair(raw->session, &mechanism, public, 4, private, 4,
                                               &pair.public, &pair.private),
                     CKR_OK);
    return pair;
}

static void raw_destroy(const struct raw *raw, CK_OBJECT_HANDLE object) {
    assert_int_equal(raw->f->C_DestroyObject(raw->session, object), CKR_OK);
}

/* ---- life ---- */

static void keys_live_in_banks(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    banks_live(tm_pkcs11_keys(token));
    generate_in(tm_pkcs11_keys(token), 0);
    bounds_hold(tm_pkcs11_keys(token));
}

/* r and s have leading zero octets once in 128 signatures or so. */
static void every_signature_is_der(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    generate_in(keys, 3);
    for (unsigned i = 0; i < 600; i++)
        assert_signs(keys, 3);
}

static void clients_authenticate(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    generate_in(keys, 1);
    authenticates_in_tls(keys, 1, TLS1_3_VERSION);
    authenticates_in_tls(keys, 1, TLS1_2_VERSION);
}

static void generate_part(void *arg) {
    struct fixture *f = arg;
    struct tm_pkcs11 *token = open_token(f);
    for (unsigned bank = 0; bank < 2; bank++) {
        generate_in(tm_pkcs11_keys(token), bank);
        struct public_key key = public_key_of(tm_pkcs11_keys(token), bank);
        assert_int_equal(write(f->said[1], key.spki, sizeof key.spki), sizeof key.spki);
    }
    tm_pkcs11_close(token);
}

static void keys_outlive_the_process(void **state) {
    struct fixture *f = *state;
    assert_int_equal(pipe(f->said), 0);
    in_child(generate_part, f);
    AUTO(tm_pkcs11) token = open_token(f);
    for (unsigned bank = 0; bank < 2; bank++) {
        struct public_key made, now = public_key_of(tm_pkcs11_keys(token), bank);
        assert_int_equal(read(f->said[0], made.spki, sizeof made.spki), sizeof made.spki);
        assert_true(same_key(&now, &made));
        assert_signs(tm_pkcs11_keys(token), bank);
    }
    (void)close(f->said[0]);
    (void)close(f->said[1]);
}

static void the_private_value_stays_inside(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    generate_in(tm_pkcs11_keys(token), 1);
    struct raw raw = raw_open();
    CK_OBJECT_HANDLE private = CK_INVALID_HANDLE;
    assert_int_equal(raw_find(&raw, CKO_PRIVATE_KEY, &private), 1);
    CK_BBOOL sensitive = CK_FALSE, extractable = CK_TRUE, never = CK_FALSE, derive = CK_TRUE;
    CK_ATTRIBUTE flags[] = {{CKA_SENSITIVE, &sensitive, sizeof sensitive},
                            {CKA_EXTRACTABLE, &extractable, sizeof extractable},
                            {CKA_NEVER_EXTRACTABLE, &never, sizeof never},
                            {CKA_DERIVE, &derive, sizeof derive}};
    assert_int_equal(raw.f->C_GetAttributeValue(raw.session, private, flags, 4), CKR_OK);
    assert_true(sensitive && !extractable && never && !derive);
    uint8_t value[64];
    CK_ATTRIBUTE scalar = {CKA_VALUE, value, sizeof value};
    assert_int_equal(raw.f->C_GetAttributeValue(raw.session, private, &scalar, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
    raw_close(&raw);
}

static void a_new_key_leaves_nothing_of_the_old(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    struct raw raw = raw_open();
    for (unsigned i = 0; i < 3; i++)
        generate_in(keys, 1);
    assert_objects(&raw, 1, 1);
    generate_in(keys, 2);
    assert_objects(&raw, 2, 2);
    assert_int_equal(keys->destroy(keys->self, 1), TM_OK);
    assert_objects(&raw, 1, 1);
    raw_close(&raw);
}

static void devices_share_a_token(void **state) {
    struct fixture *f = *state;
    AUTO(tm_pkcs11) first = open_token(f);
    f->config.label = "touchmark-2";
    struct tm_pkcs11 *second = open_token(f);
    generate_in(tm_pkcs11_keys(first), 1);
    assert_empty(tm_pkcs11_keys(second), 1);
    struct public_key before = public_key_of(tm_pkcs11_keys(first), 1);
    generate_in(tm_pkcs11_keys(second), 1);
    const struct tm_keys *keys = tm_pkcs11_keys(second);
    assert_int_equal(keys->destroy(keys->self, 1), TM_OK);
    tm_pkcs11_close(second);
    struct public_key after = public_key_of(tm_pkcs11_keys(first), 1);
    assert_true(same_key(&before, &after));
    assert_signs(tm_pkcs11_keys(first), 1);
}

static void other_programs_find_a_key_by_its_id(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    uint8_t memory[TM_PKCS11_ID_MAX];
    struct buf id = BUF_ON(memory);
    assert_int_equal(tm_pkcs11_id(token, 1, &id), TM_ENOTFOUND);
    assert_int_equal(tm_pkcs11_id(token, TM_BANKS, &id), TM_EINVAL);
    generate_in(tm_pkcs11_keys(token), 1);
    generate_in(tm_pkcs11_keys(token), 1);
    id.cap = TM_PKCS11_ID_MAX - 1;
    assert_int_equal(tm_pkcs11_id(token, 1, &id), TM_ELIMIT);
    assert_true(id.n == 0 && !id.full);
    id.cap = TM_PKCS11_ID_MAX;
    assert_int_equal(tm_pkcs11_id(token, 1, &id), TM_OK);
    struct raw raw = raw_open();
    CK_ATTRIBUTE wanted = {CKA_ID, memory, id.n};
    CK_OBJECT_HANDLE found[4];
    CK_ULONG n = 0;
    assert_int_equal(raw.f->C_FindObjectsInit(raw.session, &wanted, 1), CKR_OK);
    assert_int_equal(raw.f->C_FindObjects(raw.session, found, 4, &n), CKR_OK);
    assert_int_equal(raw.f->C_FindObjectsFinal(raw.session), CKR_OK);
    assert_int_equal(n, 2); /* private and public */
    raw_close(&raw);
}

/* ---- what a power cut leaves ---- */

static void half_a_pair_is_no_key(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    struct raw raw = raw_open();
    static const uint8_t first[] = {1, 0, 0, 0, 7}, second[] = {1, 0, 0, 0, 8};
    raw_destroy(&raw, raw_generate(&raw, LABEL, BYTES_OF(first)).private);
    assert_empty(keys, 1);
    raw_destroy(&raw, raw_generate(&raw, LABEL, BYTES_OF(second)).public);
    assert_objects(&raw, 1, 1); /* of different keys */
    assert_empty(keys, 1);
    generate_in(keys, 1);
    assert_signs(keys, 1);
    assert_objects(&raw, 1, 1);
    raw_close(&raw);
}

static void an_unfinished_key_does_not_hide_the_old(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    generate_in(keys, 1);
    struct public_key old = public_key_of(keys, 1);
    struct raw raw = raw_open();
    static const uint8_t next[] = {1, 0, 0, 0, 9};
    raw_destroy(&raw, raw_generate(&raw, LABEL, BYTES_OF(next)).private);
    struct public_key now = public_key_of(keys, 1);
    assert_true(same_key(&now, &old));
    assert_signs(keys, 1);
    generate_in(keys, 1);
    now = public_key_of(keys, 1);
    assert_false(same_key(&now, &old));
    assert_signs(keys, 1);
    assert_objects(&raw, 1, 1);
    raw_close(&raw);
}

static void the_newest_of_two_keys_counts(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    struct raw raw = raw_open();
    static const uint8_t newer[] = {1, 0, 0, 1, 0}, older[] = {1, 0, 0, 0, 255};
    (void)raw_generate(&raw, LABEL, BYTES_OF(newer));
    struct public_key alone = public_key_of(keys, 1);
    (void)raw_generate(&raw, LABEL, BYTES_OF(older));
    struct public_key now = public_key_of(keys, 1);
    assert_true(same_key(&now, &alone));
    assert_signs(keys, 1);
    generate_in(keys, 1);
    now = public_key_of(keys, 1);
    assert_false(same_key(&now, &alone));
    assert_objects(&raw, 1, 1);
    raw_close(&raw);
}

static void keys_of_other_tools_are_taken(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    struct raw raw = raw_open();
    static const uint8_t idevid[] = {0}, longer[] = {0, 1, 2, 3, 4, 5}, odd[] = {0, 1};
    (void)raw_generate(&raw, LABEL, BYTES_OF(longer));
    (void)raw_generate(&raw, LABEL, BYTES_OF(odd));
    assert_empty(keys, 0);
    (void)raw_generate(&raw, LABEL, BYTES_OF(idevid));
    assert_signs(keys, 0);
    struct raw_pair twin = raw_generate(&raw, LABEL, BYTES_OF(idevid));
    uint8_t memory[TM_SPKI_MAX];
    struct buf out = BUF_ON(memory);
    assert_int_equal(keys->public_key(keys->self, 0, &out), TM_ECONFLICT);
    raw_destroy(&raw, twin.private);
    raw_destroy(&raw, twin.public);
    assert_signs(keys, 0);
    assert_int_equal(keys->destroy(keys->self, 0), TM_OK);
    assert_objects(&raw, 2, 2); /* what is not ours stays */
    raw_close(&raw);
}

static void generate_for_ever(struct fixture *f) {
    struct tm_pkcs11 *token = NULL;
    (void)close(f->said[0]); /* so that writing ends when the test has ended */
    if (tm_pkcs11_open(&f->config, &token) != TM_OK)
        _exit(1);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    while (keys->generate(keys->self, 1) == TM_OK && write(f->said[1], "g", 1) == 1)
        continue;
    _exit(1);
}

static void look_part(void *arg) {
    struct tm_pkcs11 *token = open_token(arg);
    assert_signs(tm_pkcs11_keys(token), 1);
    tm_pkcs11_close(token);
}

/* A process that is killed while it makes keys, somewhere, leaves a whole one: the first was
 * finished. */
static void killed_while_it_generates(void **state) {
    struct fixture *f = *state;
    for (unsigned round = 0; round < 12; round++) {
        char said[1];
        assert_int_equal(pipe(f->said), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            generate_for_ever(f);
        for (unsigned i = 0; i <= round; i++)
            assert_int_equal(read(f->said[0], said, 1), 1);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        in_child(look_part, f);
        (void)close(f->said[0]);
        (void)close(f->said[1]);
    }
}

/* ---- open ---- */

static void open_says_what_is_wrong(void **state) {
    struct fixture *f = *state;
    struct tm_pkcs11 *token = NULL;
    struct tm_pkcs11_config config = f->config;
    config.pin = bytes_str("4711-wrong");
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_EDENIED);
    config = f->config;
    config.token = "work"; /* a prefix is another label */
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_ENOTFOUND);
    config = f->config;
    config.module = "/nonexistent/module.so";
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_ETOKEN);
    config.module = "libcrypto.so.3";
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_ETOKEN);
    config = f->config;
    config.label = "";
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_EINVAL);
    char longest[TM_PKCS11_LABEL_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[TM_PKCS11_LABEL_MAX + 1] = '\0';
    config.label = longest;
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_EINVAL);
    assert_null(token);
    longest[TM_PKCS11_LABEL_MAX] = '\0';
    assert_int_equal(tm_pkcs11_open(&config, &token), TM_OK);
    generate_in(tm_pkcs11_keys(token), 1);
    assert_signs(tm_pkcs11_keys(token), 1);
    tm_pkcs11_close(token);
    tm_pkcs11_close(NULL);
}

/* A second token of the same label cannot be made by our own tools. */
static void ambiguous_tokens_are_refused(void **state) {
    struct fixture *f = *state;
    in_child(init_token_part, (void *)(uintptr_t) "other");
    struct tm_pkcs11 *token = open_token(f);
    struct raw raw = raw_open();
    CK_SLOT_ID slots[8];
    CK_ULONG n = 8;
    assert_int_equal(raw.f->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    assert_int_equal(n, 3);
    unsigned char label[32] = "works                           ";
    unsigned char pin[] = SOFTHSM_SO_PIN;
    assert_int_equal(raw.f->C_InitToken(slots[2], pin, sizeof pin - 1, label), CKR_OK);
    raw_close(&raw);
    tm_pkcs11_close(token);
    token = NULL;
    assert_int_equal(tm_pkcs11_open(&f->config, &token), TM_ECONFLICT);
    assert_null(token);
}

/* ---- sessions and faults ---- */

/* Closes every session but the raw one: SoftHSM's handles are small numbers. */
static void lose_other_sessions(const struct raw *raw) {
    unsigned lost = 0;
    for (CK_SESSION_HANDLE handle = 1; handle < 64; handle++) {
        if (handle != raw->session && raw->f->C_CloseSession(handle) == CKR_OK)
            lost++;
    }
    assert_int_equal(lost, 1);
}

static void a_lost_session_is_opened_again(void **state) {
    AUTO(tm_pkcs11) token = open_token(*state);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    generate_in(keys, 1);
    struct raw raw = raw_open();
    lose_other_sessions(&raw);
    assert_signs(keys, 1);
    raw_close(&raw);
    assert_signs(keys, 1);
}

static void a_lost_login_needs_the_pin(void **state) {
    struct fixture *f = *state;
    struct tm_pkcs11 *token = open_token(f);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    generate_in(keys, 1);
    struct raw raw = raw_open();
    assert_int_equal(raw.f->C_CloseAllSessions(raw.slot), CKR_OK);
    uint8_t memory[TM_SIGNATURE_MAX], digest[TM_SHA256_SIZE] = {0};
    struct buf out = BUF_ON(memory);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(keys->sign(keys->self, 1, digest, &out), TM_ETOKEN);
        assert_int_equal(keys->generate(keys->self, 1), TM_ETOKEN);
        assert_int_equal(keys->destroy(keys->self, 1), TM_ETOKEN);
    }
    assert_int_equal(out.n, 0);
    raw_close(&raw);
    tm_pkcs11_close(token);
    token = open_token(f);
    assert_signs(tm_pkcs11_keys(token), 1);
    tm_pkcs11_close(token);
}

static void a_failing_module_is_seen(void **state) {
    struct fixture *f = *state;
    f->config.module = getenv("TM_SHIM_PKCS11");
    assert_non_null(f->config.module);
    AUTO(tm_pkcs11) token = open_token(f);
    const struct tm_keys *keys = tm_pkcs11_keys(token);
    generate_in(keys, 1);
    struct public_key before = public_key_of(keys, 1);
    static const char *const faults[] = {"session-lost", "device-removed", "short-signature"};
    uint8_t memory[TM_SIGNATURE_MAX], digest[TM_SHA256_SIZE] = {0};
    struct buf out = BUF_ON(memory);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        set_fault(f, faults[i]);
        assert_int_equal(keys->sign(keys->self, 1, digest, &out), TM_ETOKEN);
        assert_int_equal(out.n, 0);
        set_fault(f, "");
        assert_signs(keys, 1);
    }
    set_fault(f, "extractable");
    assert_int_equal(keys->generate(keys->self, 1), TM_ETOKEN);
    set_fault(f, "");
    struct public_key after = public_key_of(keys, 1);
    assert_true(same_key(&before, &after));
    assert_signs(keys, 1);
}

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_live_in_banks, setup, teardown),
        cmocka_unit_test_setup_teardown(every_signature_is_der, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_authenticate, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_outlive_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(the_private_value_stays_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_key_leaves_nothing_of_the_old, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_share_a_token, setup, teardown),
        cmocka_unit_test_setup_teardown(other_programs_find_a_key_by_its_id, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_pair_is_no_key, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_key_does_not_hide_the_old, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_of_two_keys_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_of_other_tools_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_while_it_generates, setup, teardown),
        cmocka_unit_test_setup_teardown(open_says_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(ambiguous_tokens_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_session_is_opened_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_login_needs_the_pin, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_module_is_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
