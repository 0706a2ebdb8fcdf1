/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys officers may have, and which signatures are theirs. */
#include "officer_fixture.h"

static const struct bytes message = {(const uint8_t *)"touchmark act 1\n", 16};
static const struct bytes other = {(const uint8_t *)"touchmark act 2\n", 16};

static const struct {
    const char *kind, *digest, *wrong_digest;
} taken[] = {{"P-256", "SHA256", "SHA384"},
             {"P-384", "SHA384", "SHA256"},
             {"ED25519", NULL, NULL},
             {"RSA:2048", "SHA256", "SHA512"},
             {"RSA:4096", "SHA256", "SHA384"}};

static void each_algorithm_has_one_rule(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        struct ca_officer officer = {.name = "alice"};
        char text[IPC_TEXT_MAX + 1] = "";
        uint8_t octets[CA_HASH_SIZE * 32];
        EVP_PKEY *key = make_key(taken[i].kind), *foreign = make_key(taken[i].kind);
        assert_int_equal(load_key(&officer, key, PUBLIC_FILE, text), TM_OK);

        struct bytes signature = {octets, sign_with(key, taken[i].digest, message, octets)};
        assert_int_equal(ca_officer_verify(&officer, message, signature), TM_OK);
        assert_int_equal(ca_officer_verify(&officer, other, signature), TM_ECRYPTO);
        struct bytes cut = {signature.p, signature.n - 1}, none = {octets, 0};
        assert_int_equal(ca_officer_verify(&officer, message, cut), TM_ECRYPTO);
        assert_int_equal(ca_officer_verify(&officer, message, none), TM_ECRYPTO);
        octets[signature.n - 1] ^= 1;
        assert_int_equal(ca_officer_verify(&officer, message, signature), TM_ECRYPTO);

        signature.n = sign_with(foreign, taken[i].digest, message, octets);
        assert_int_equal(ca_officer_verify(&officer, message, signature), TM_ECRYPTO);
        if (taken[i].wrong_digest) {
            signature.n = sign_with(key, taken[i].wrong_digest, message, octets);
            assert_int_equal(ca_officer_verify(&officer, message, signature), TM_ECRYPTO);
        }
        ca_officer_free_key(&officer);
        EVP_PKEY_free(key);
        EVP_PKEY_free(foreign);
    }
}

static void rsa_is_not_pss(void **state) {
    (void)state;
    struct ca_officer officer = {.name = "alice"};
    char text[IPC_TEXT_MAX + 1] = "";
    uint8_t octets[CA_HASH_SIZE * 32];
    size_t n = sizeof octets;
    EVP_PKEY *key = make_key("RSA:2048");
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    assert_int_equal(load_key(&officer, key, PUBLIC_FILE, text), TM_OK);
    assert_int_equal(EVP_DigestSignInit(ctx, &parameters, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_DigestSign(ctx, octets, &n, message.p, message.n), 1);
    assert_int_equal(ca_officer_verify(&officer, message, (struct bytes){octets, n}), TM_ECRYPTO);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ca_officer_free_key(&officer);
}

static void other_keys_are_refused(void **state) {
    (void)state;
    static const char *const kinds[] = {"P-521", "P-224", "RSA:1024", "X25519", "ED448"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct ca_officer officer = {.name = "alice"};
        char text[IPC_TEXT_MAX + 1] = "";
        EVP_PKEY *key = make_key(kinds[i]);
        assert_int_equal(load_key(&officer, key, PUBLIC_FILE, text), TM_EINVAL);
        assert_non_null(strstr(text, "P-256, P-384, Ed25519 or RSA"));
        assert_null(officer.key);
        EVP_PKEY_free(key);
    }
}

/* Who put a private key there should hear of it, not be served. */
static void only_public_keys_are_read(void **state) {
    (void)state;
    struct ca_officer officer = {.name = "alice"};
    char text[IPC_TEXT_MAX + 1] = "";
    EVP_PKEY *key = make_key("P-256");
    assert_int_equal(load_key(&officer, key, PRIVATE_FILE, text), TM_EPARSE);
    assert_non_null(strstr(text, "there is no public key"));
    assert_int_equal(ca_officer_load_key(&officer, "/nowhere/at/all.pem", text), TM_EIO);
    assert_non_null(strstr(text, "/nowhere/at/all.pem"));
    assert_null(officer.key);
    assert_int_equal(ca_officer_verify(&officer, message, other), TM_EDENIED);
    EVP_PKEY_free(key);
}

static void the_audit_names_them(void **state) {
    (void)state;
    const struct ca_officer officer = {.name = "alice", .uid = 1000};
    char actor[IPC_TEXT_MAX + 1];
    ca_officer_actor(&officer, actor);
    assert_string_equal(actor, "alice uid:1000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_has_one_rule), cmocka_unit_test(rsa_is_not_pss),
        cmocka_unit_test(other_keys_are_refused),      cmocka_unit_test(only_public_keys_are_read),
        cmocka_unit_test(the_audit_names_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
