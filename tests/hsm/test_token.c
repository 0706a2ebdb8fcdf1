/* SPDX-License-Identifier: Apache-2.0 */
/* A token on a real SoftHSM: initialising, PINs, keys, signatures, and a module that fails. */
#include "softhsm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/auto.h"
#include "pkcs11/key.h"
#include "pkcs11/token.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

struct fixture {
    struct softhsm hsm;
    struct hsm_token_config config;
    char control[128];
    char text[HSM_TEXT_MAX];
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    softhsm_setup(&f->hsm);
    f->config = (struct hsm_token_config){SOFTHSM_MODULE, "works"};
    (void)snprintf(f->control, sizeof f->control, "%s/control", f->hsm.folder);
    assert_int_equal(setenv("TM_SHIM_CONTROL", f->control, 1), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    softhsm_teardown(&f->hsm);
    free(f);
    return 0;
}

static struct hsm_token *init_and_open(struct fixture *f) {
    struct hsm_token *token = NULL;
    assert_int_equal(hsm_token_init(&f->config, SOFTHSM_SO_PIN, SOFTHSM_PIN, f->text), TM_OK);
    assert_int_equal(hsm_token_open(&f->config, SOFTHSM_PIN, &token, f->text), TM_OK);
    return token;
}

static struct hsm_key *generated(struct fixture *f, struct hsm_token *token, enum hsm_key_type type,
                                 const char *label) {
    struct hsm_key *key = NULL;
    if (hsm_key_generate(token, type, label, f->text) != TM_OK)
        fail_msg("generate %s: %s", label, f->text);
    if (hsm_key_find(token, label, &key, f->text) != TM_OK)
        fail_msg("find %s: %s", label, f->text);
    return key;
}

/* Does OpenSSL accept the signature under the key that the token showed? */
static bool verifies(const struct hsm_key *key, const char *digest, struct bytes tbs,
                     struct bytes signature) {
    struct bytes spki = hsm_key_spki(key);
    const unsigned char *p = spki.p;
    AUTO(EVP_PKEY) public = d2i_PUBKEY(NULL, &p, (long)spki.n);
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    assert_non_null(public);
    assert_ptr_equal(p, spki.p + spki.n);
    assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, public, NULL), 1);
    return EVP_DigestVerify(ctx, signature.p, signature.n, tbs.p, tbs.n) == 1;
}

static void init_refuses_an_existing_label(void **state) {
    struct fixture *f = *state;
    bool exists = true, softhsm = false;
    assert_int_equal(hsm_token_look(&f->config, &exists, &softhsm, f->text), TM_OK);
    assert_false(exists);
    assert_true(softhsm);
    assert_int_equal(hsm_token_init(&f->config, SOFTHSM_SO_PIN, SOFTHSM_PIN, f->text), TM_OK);
    assert_int_equal(hsm_token_look(&f->config, &exists, &softhsm, f->text), TM_OK);
    assert_true(exists);
    assert_int_equal(hsm_token_init(&f->config, SOFTHSM_SO_PIN, SOFTHSM_PIN, f->text), TM_EEXISTS);
    assert_non_null(strstr(f->text, "works"));
    struct hsm_token_config other = {SOFTHSM_MODULE, "second"};
    assert_int_equal(hsm_token_init(&other, SOFTHSM_SO_PIN, SOFTHSM_PIN, f->text), TM_OK);
    struct hsm_token_config too_long = {SOFTHSM_MODULE,
                                        "a label of more than 32 octets is no label"};
    assert_int_equal(hsm_token_init(&too_long, SOFTHSM_SO_PIN, SOFTHSM_PIN, f->text), TM_EINVAL);
    struct hsm_token_config third = {SOFTHSM_MODULE, "third"};
    assert_int_equal(hsm_token_init(&third, SOFTHSM_SO_PIN, "1", f->text), TM_EDENIED);
    assert_non_null(strstr(f->text, "no user PIN"));
}

static void open_says_what_is_wrong(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = NULL;
    assert_int_equal(hsm_token_init(&f->config, SOFTHSM_SO_PIN, SOFTHSM_PIN, f->text), TM_OK);
    assert_int_equal(hsm_token_open(&f->config, "wrong", &token, f->text), TM_EDENIED);
    assert_null(token);
    assert_null(strstr(f->text, "wrong"));
    struct hsm_token_config absent = {SOFTHSM_MODULE, "elsewhere"};
    assert_int_equal(hsm_token_open(&absent, SOFTHSM_PIN, &token, f->text), TM_ENOTFOUND);
    assert_non_null(strstr(f->text, "elsewhere"));
    struct hsm_token_config no_module = {"/nonexistent/module.so", "works"};
    assert_int_equal(hsm_token_open(&no_module, SOFTHSM_PIN, &token, f->text), TM_ENOTFOUND);
    struct hsm_token_config no_pkcs11 = {"libc.so.6", "works"};
    assert_int_equal(hsm_token_open(&no_pkcs11, SOFTHSM_PIN, &token, f->text), TM_ENOTFOUND);
    assert_non_null(strstr(f->text, "not a PKCS#11 module"));
    assert_int_equal(hsm_token_open(&f->config, SOFTHSM_PIN, &token, f->text), TM_OK);
    struct hsm_token_info info;
    assert_int_equal(hsm_token_describe(token, &info, f->text), TM_OK);
    assert_true(info.softhsm);
    assert_int_equal(strlen(info.serial), 16);
    hsm_token_close(token);
}

static void sign_and_verify(struct fixture *f, struct hsm_token *token, enum hsm_key_type type,
                            const char *label, const char *digest) {
    static const char tbs[] = "as if this were a certificate";
    struct hsm_key *key = generated(f, token, type, label);
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    assert_int_equal(hsm_key_sign(key, bytes_str(tbs), &out), TM_OK);
    assert_true(verifies(key, digest, bytes_str(tbs), buf_bytes(&out)));
    assert_false(verifies(key, digest, bytes_str("as if this were another"), buf_bytes(&out)));
    struct hsm_key_info info = hsm_key_describe(key);
    assert_int_equal(info.type, type);
    assert_true(info.sensitive && info.always_sensitive && info.never_extractable && info.local);
    assert_false(info.extractable);
    struct buf small = {memory, 40, 0, false};
    assert_int_equal(hsm_key_sign(key, bytes_str(tbs), &small), TM_ELIMIT);
    assert_int_equal(small.n, 0);
}

static void every_type_signs(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = init_and_open(f);
    sign_and_verify(f, token, HSM_KEY_P256, "p256", "SHA256");
    sign_and_verify(f, token, HSM_KEY_P384, "p384", "SHA384");
    sign_and_verify(f, token, HSM_KEY_RSA3072, "rsa", "SHA256");
    hsm_token_close(token);
}

static void ed25519_part(void *arg) {
    struct fixture *f = arg;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = NULL;
    sign_and_verify(f, token, HSM_KEY_P256, "p256", "SHA256");
    sign_and_verify(f, token, HSM_KEY_ED25519, "ed25519", NULL);
    assert_int_equal(hsm_key_find(token, "p256", &key, f->text), TM_OK);
    hsm_token_close(token);
}

static void ed25519_signs_beside_others(void **state) {
    in_child(ed25519_part, *state);
}

/* Until one came with a shorter r or s, as every 128th does, which DER writes shorter. */
static void every_length_of_signature_is_der(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = generated(f, token, HSM_KEY_P256, "k");
    bool shorter = false;
    for (uint32_t i = 0; i < 200 || (!shorter && i < 20000); i++) {
        uint8_t memory[128];
        struct buf out = BUF_ON(memory);
        struct bytes tbs = {(const uint8_t *)&i, sizeof i};
        assert_int_equal(hsm_key_sign(key, tbs, &out), TM_OK);
        assert_true(verifies(key, "SHA256", tbs, buf_bytes(&out)));
        shorter = shorter || memory[3] < 32 || memory[5 + memory[3]] < 32;
    }
    assert_true(shorter);
    hsm_token_close(token);
}

static void generate_refuses_an_occupied_label(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = generated(f, token, HSM_KEY_P256, "root");
    bool used = false;
    assert_int_equal(hsm_label_used(token, "root", &used, f->text), TM_OK);
    assert_true(used);
    assert_int_equal(hsm_label_used(token, "roo", &used, f->text), TM_OK);
    assert_false(used);
    assert_int_equal(hsm_key_generate(token, HSM_KEY_P384, "root", f->text), TM_EEXISTS);
    assert_int_equal(hsm_key_find(token, "root", &key, f->text), TM_OK);
    assert_int_equal(hsm_key_find(token, "toor", &key, f->text), TM_ENOTFOUND);
    hsm_token_close(token);
}

/* Makes a P-256 key with raw PKCS#11, as some other tool might. */
static void make_loose_key(struct hsm_token *token, const char *label, bool extractable) {
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_FUNCTION_LIST *f = token->module.f;
    CK_BBOOL yes = CK_TRUE, loose = extractable;
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public[] = {{CKA_TOKEN, &yes, 1},
                             {CKA_LABEL, (void *)label, strlen(label)},
                             {CKA_EC_PARAMS, (void *)p256, sizeof p256}};
    CK_ATTRIBUTE private[] = {{CKA_TOKEN, &yes, 1},
                              {CKA_LABEL, (void *)label, strlen(label)},
                              {CKA_SIGN, &yes, 1},
                              {CKA_SENSITIVE, &yes, 1},
                              {CKA_EXTRACTABLE, &loose, 1}};
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE handles[2];
    assert_int_equal(
        f->C_OpenSession(token->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
        CKR_OK);
    assert_int_equal(
        f->C_GenerateKeyPair(session, &mechanism, public, 3, private, 5, &handles[0], &handles[1]),
        CKR_OK);
    assert_int_equal(f->C_CloseSession(session), CKR_OK);
}

static void find_refuses_loose_and_ambiguous_keys(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = NULL;
    make_loose_key(token, "loose", true);
    assert_int_equal(hsm_key_find(token, "loose", &key, f->text), TM_EDENIED);
    assert_non_null(strstr(f->text, "extractable"));
    make_loose_key(token, "twice", false);
    assert_int_equal(hsm_key_find(token, "twice", &key, f->text), TM_OK);
    make_loose_key(token, "twice", false);
    key = NULL;
    assert_int_equal(hsm_key_find(token, "twice", &key, f->text), TM_EDENIED);
    assert_null(key);
    hsm_token_close(token);
}

static void the_private_value_stays_inside(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = generated(f, token, HSM_KEY_P256, "k");
    CK_SESSION_HANDLE session;
    uint8_t value[64];
    size_t n;
    assert_int_equal(hsm_sessions_take(&token->sessions, &session), CKR_OK);
    assert_int_equal(
        hsm_attribute(token->module.f, session, key->handle, CKA_VALUE, value, sizeof value, &n),
        CKR_ATTRIBUTE_SENSITIVE);
    hsm_sessions_put(&token->sessions, session);
    hsm_token_close(token);
}

struct signing {
    struct hsm_key *key;
    uint32_t first;
    size_t good;
};

static void *sign_many(void *arg) {
    struct signing *s = arg;
    for (uint32_t i = s->first; i < s->first + 150; i++) {
        uint8_t memory[128];
        struct buf out = BUF_ON(memory);
        struct bytes tbs = {(const uint8_t *)&i, sizeof i};
        if (hsm_key_sign(s->key, tbs, &out) == TM_OK &&
            verifies(s->key, "SHA256", tbs, buf_bytes(&out)))
            s->good++;
    }
    return NULL;
}

static void threads_share_a_key(void **state) {
    struct fixture *f = *state;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = generated(f, token, HSM_KEY_P256, "k");
    pthread_t threads[20]; /* more than libp11's own 16 sessions */
    struct signing work[20];
    for (uint32_t i = 0; i < 20; i++) {
        work[i] = (struct signing){key, i * 1000, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &work[i]), 0);
    }
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(work[i].good, 150);
    }
    hsm_token_close(token);
}

static void set_fault(const struct fixture *f, const char *fault) {
    char next[160];
    (void)snprintf(next, sizeof next, "%s.next", f->control);
    write_text(next, fault);
    assert_int_equal(rename(next, f->control), 0);
}

static void a_failing_module_is_seen(void **state) {
    struct fixture *f = *state;
    const char *shim = getenv("TM_SHIM_PKCS11");
    assert_non_null(shim);
    f->config.module = shim;
    struct hsm_token *token = init_and_open(f);
    struct hsm_key *key = generated(f, token, HSM_KEY_P256, "k");
    static const char *const faults[] = {"session-lost", "device-removed", "short-signature",
                                         "zero-signature"};
    uint8_t memory[128];
    struct buf out = BUF_ON(memory);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        set_fault(f, faults[i]);
        assert_int_equal(hsm_key_sign(key, bytes_str("tbs"), &out), TM_ETOKEN);
        assert_int_equal(out.n, 0);
    }
    set_fault(f, "wrong-signature"); /* only the pinned key can tell */
    assert_int_equal(hsm_key_sign(key, bytes_str("tbs"), &out), TM_OK);
    assert_false(verifies(key, "SHA256", bytes_str("tbs"), buf_bytes(&out)));
    set_fault(f, "");
    out.n = 0;
    assert_int_equal(hsm_key_sign(key, bytes_str("tbs"), &out), TM_OK);
    assert_true(verifies(key, "SHA256", bytes_str("tbs"), buf_bytes(&out)));
    set_fault(f, "extractable");
    assert_int_equal(hsm_key_generate(token, HSM_KEY_P256, "leaky", f->text), TM_ETOKEN);
    assert_non_null(strstr(f->text, "destroyed"));
    assert_int_equal(hsm_key_find(token, "k", &key, f->text), TM_EDENIED);
    set_fault(f, "");
    bool used = true;
    assert_int_equal(hsm_label_used(token, "leaky", &used, f->text), TM_OK);
    assert_false(used);
    hsm_token_close(token);
}

static void open_part(void *arg) {
    struct fixture *f = arg;
    f->config.module = getenv("TM_SHIM_PKCS11");
    assert_non_null(f->config.module);
    hsm_token_close(init_and_open(f));
    struct hsm_token *token = NULL;
    set_fault(f, "no-session");
    assert_int_equal(hsm_token_open(&f->config, SOFTHSM_PIN, &token, f->text), TM_ETOKEN);
    set_fault(f, "device-removed");
    assert_int_equal(hsm_token_open(&f->config, SOFTHSM_PIN, &token, f->text), TM_ETOKEN);
    assert_non_null(strstr(f->text, "C_GetTokenInfo"));
    assert_null(token);
    set_fault(f, "");
    assert_int_equal(hsm_token_open(&f->config, SOFTHSM_PIN, &token, f->text), TM_OK);
    hsm_token_close(token);
}

static void open_fails_rather_than_hang(void **state) {
    in_child(open_part, *state);
}

static void pins_come_from_files(void **state) {
    struct fixture *f = *state;
    char path[160], pin[HSM_PIN_MAX] = "untouched";
    (void)snprintf(path, sizeof path, "%s/pin", f->hsm.folder);
    assert_int_equal(hsm_pin_read(path, pin, f->text), TM_EIO);
    write_text(path, "12 34\n");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(hsm_pin_read(path, pin, f->text), TM_EDENIED);
    assert_non_null(strstr(f->text, "0640"));
    assert_string_equal(pin, "untouched");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(hsm_pin_read(path, pin, f->text), TM_OK);
    assert_string_equal(pin, "12 34");
    static const char *const bad[] = {"", "\n", "two\nlines\n", "tab\there\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(path, bad[i]);
        assert_int_equal(hsm_pin_read(path, pin, f->text), TM_EPARSE);
    }
    char longest[HSM_PIN_MAX + 2];
    memset(longest, '7', sizeof longest);
    longest[HSM_PIN_MAX - 1] = '\n';
    longest[HSM_PIN_MAX] = '\0';
    write_text(path, longest);
    assert_int_equal(hsm_pin_read(path, pin, f->text), TM_OK);
    assert_int_equal(strlen(pin), HSM_PIN_MAX - 1);
    memset(longest, '7', HSM_PIN_MAX);
    write_text(path, longest);
    assert_int_equal(hsm_pin_read(path, pin, f->text), TM_EPARSE);
    assert_int_equal(hsm_pin_read(f->hsm.folder, pin, f->text), TM_EDENIED);
}

static void pins_come_from_credentials_and_descriptors(void **state) {
    struct fixture *f = *state;
    char path[160], pin[HSM_PIN_MAX];
    (void)snprintf(path, sizeof path, "%s/hsm-pin", f->hsm.folder);
    write_text(path, "credential pin");
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(hsm_pin_read("credential:hsm-pin", pin, f->text), TM_EIO);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->hsm.folder, 1), 0);
    assert_int_equal(hsm_pin_read("credential:hsm-pin", pin, f->text), TM_OK);
    assert_string_equal(pin, "credential pin");
    assert_int_equal(hsm_pin_read("credential:../hsm-pin", pin, f->text), TM_EINVAL);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    int fds[2];
    char source[16];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "piped\n", 6), 6);
    assert_int_equal(close(fds[1]), 0);
    (void)snprintf(source, sizeof source, "fd:%d", fds[0]);
    assert_int_equal(hsm_pin_read(source, pin, f->text), TM_OK);
    assert_string_equal(pin, "piped");
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    assert_int_equal(hsm_pin_read(source, pin, f->text), TM_EIO);
    assert_int_equal(hsm_pin_read("fd:x", pin, f->text), TM_EINVAL);
}

/* The child's terminal is the pseudo terminal; it exits 0 when the right PIN came. */
static void ask_in_child(const char *terminal) {
    char pin[HSM_PIN_MAX], text[HSM_TEXT_MAX];
    (void)setsid();
    int tty = open(terminal, O_RDWR);
    if (tty < 0 || ioctl(tty, TIOCSCTTY, 0) < 0)
        _exit(2);
    bool good = hsm_pin_read_as("PIN of the jig", "prompt", pin, text) == TM_OK &&
                strcmp(pin, "typed-9") == 0;
    _exit(good ? 0 : 1);
}

static void pins_come_from_the_terminal_without_echo(void **state) {
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    char terminal[64], seen[512] = "";
    assert_int_equal(ptsname_r(master, terminal, sizeof terminal), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        ask_in_child(terminal);
    size_t n = 0;
    bool typed = false;
    /* The prompt shows that echo is off; then type. The end of the child is EIO here. */
    for (;;) {
        ssize_t got = read(master, seen + n, sizeof seen - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        seen[n] = '\0';
        if (!typed && strstr(seen, "PIN of the jig: ")) {
            assert_int_equal(write(master, "typed-9\n", 8), 8);
            typed = true;
        }
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(typed);
    assert_null(strstr(seen, "typed-9"));
    assert_int_equal(close(master), 0);
}

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(init_refuses_an_existing_label, setup, teardown),
        cmocka_unit_test_setup_teardown(open_says_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(every_type_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(ed25519_signs_beside_others, setup, teardown),
        cmocka_unit_test_setup_teardown(every_length_of_signature_is_der, setup, teardown),
        cmocka_unit_test_setup_teardown(generate_refuses_an_occupied_label, setup, teardown),
        cmocka_unit_test_setup_teardown(find_refuses_loose_and_ambiguous_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(the_private_value_stays_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_share_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_module_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(open_fails_rather_than_hang, setup, teardown),
        cmocka_unit_test_setup_teardown(pins_come_from_files, setup, teardown),
        cmocka_unit_test_setup_teardown(pins_come_from_credentials_and_descriptors, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(pins_come_from_the_terminal_without_echo, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
