/* SPDX-License-Identifier: Apache-2.0 */
/* A root that follows another, on a real SoftHSM: what devices that know either verify. */
#include "ceremony_rig.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "pkcs11/token.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

/* ---- plans ---- */

/* The first root; path_len and subject are its own matter. */
static const char old_root_yaml[] = "root:\n"
                                    "  name: root\n"
                                    "  token: vault\n"
                                    "  key_label: root-key\n"
                                    "  subject: [{type: O, value: Acme}, {type: CN, value: Root}]\n"
                                    "  years: 20\n";
static const char factory_yaml[] = "intermediates:\n"
                                   "  - name: factory\n"
                                   "    token: works\n"
                                   "    key_label: factory-key\n"
                                   "    subject: [{type: CN, value: Acme Factory}]\n"
                                   "    years: 20\n";
static const char new_tokens_yaml[] =
    "tokens:\n"
    "  - {name: vault, module: " SOFTHSM_MODULE ", label: acme-root, pin: pin}\n"
    "  - {name: next-vault, module: " SOFTHSM_MODULE
    ", label: acme-root-2, init: true, pin: pin, so_pin: so-pin}\n"
    "  - {name: works, module: " SOFTHSM_MODULE ", label: acme-works, pin: pin}\n";
#define NEW_ROOT(rest)                                                                             \
    "root:\n"                                                                                      \
    "  name: root-2\n"                                                                             \
    "  token: next-vault\n"                                                                        \
    "  key_label: root-key-2\n"                                                                    \
    "  years: 40\n" rest
#define PREVIOUS "previous_root: {token: vault, key_label: root-key, certificate: ca/root.pem}\n"
static const char next_yaml[] = "intermediates:\n"
                                "  - name: next\n"
                                "    token: works\n"
                                "    key_label: next-key\n"
                                "    subject: [{type: CN, value: Acme Factory 2}]\n"
                                "    years: 40\n";

static void move(const struct fixture *f, const char *from, const char *to) {
    char before[160], after[160];
    path_of(f, from, before);
    path_of(f, to, after);
    assert_int_equal(rename(before, after), 0);
}

/* The first ceremony, and the plan of the second. */
static void hold_first(struct fixture *f, const char *old_root, const char *new_root) {
    write_plan(f, "environment: test\n", tokens_yaml, old_root, factory_yaml);
    done(f);
    move(f, "transcript.yaml", "first.yaml");
    write_plan(f, "environment: test\n", new_tokens_yaml, new_root, next_yaml);
}

/* ---- devices ---- */

static X509 *unsigned_leaf(X509 *issuer) {
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    X509 *leaf = X509_new();
    assert_non_null(key);
    assert_non_null(leaf);
    assert_int_equal(X509_set_version(leaf, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(leaf), 4711), 1);
    assert_int_equal(X509_set_issuer_name(leaf, X509_get_subject_name(issuer)), 1);
    X509_NAME *subject = X509_get_subject_name(leaf);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)"device", -1, -1, 0),
                     1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(leaf), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(leaf), 3600));
    assert_int_equal(X509_set_pubkey(leaf, key), 1);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, leaf, NULL, NULL, 0);
    static const char *const extensions[][2] = {{"subjectKeyIdentifier", "hash"},
                                                {"authorityKeyIdentifier", "keyid"}};
    for (size_t i = 0; i < 2; i++) {
        X509_EXTENSION *extension = X509V3_EXT_conf(NULL, &ctx, extensions[i][0], extensions[i][1]);
        assert_non_null(extension);
        assert_int_equal(X509_add_ext(leaf, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    return leaf;
}

/* A device's certificate by a P-256 key on the works' token. */
static X509 *device_under(const struct fixture *f, const char *key_label, const char *file) {
    const struct hsm_token_config config = {SOFTHSM_MODULE, "acme-works"};
    char text[HSM_TEXT_MAX];
    struct hsm_token *token = NULL;
    struct hsm_key *key = NULL;
    unsigned char *tbs = NULL;
    uint8_t memory[128];
    struct buf signature = BUF_ON(memory);
    AUTO(X509) issuer = read_pem(f, file);
    X509 *leaf = unsigned_leaf(issuer);
    const X509_ALGOR *outer;
    const ASN1_BIT_STRING *bits;
    X509_get0_signature(&bits, &outer, leaf);
    X509_ALGOR_set0((X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(leaf),
                    OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF, NULL);
    X509_ALGOR_set0((X509_ALGOR *)(uintptr_t)outer, OBJ_nid2obj(NID_ecdsa_with_SHA256),
                    V_ASN1_UNDEF, NULL);
    int n = i2d_re_X509_tbs(leaf, &tbs);
    assert_true(n > 0);
    assert_int_equal(setenv("SOFTHSM2_CONF", f->hsm.conf, 1), 0);
    assert_int_equal(hsm_token_open(&config, SOFTHSM_PIN, &token, text), TM_OK);
    assert_int_equal(hsm_key_find(token, key_label, &key, text), TM_OK);
    assert_int_equal(hsm_key_sign(key, (struct bytes){tbs, (size_t)n}, &signature), TM_OK);
    hsm_token_close(token);
    OPENSSL_free(tbs);
    ASN1_BIT_STRING *place = (ASN1_BIT_STRING *)(uintptr_t)bits;
    assert_int_equal(ASN1_BIT_STRING_set(place, memory, (int)signature.n), 1);
    place->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
    place->flags |= ASN1_STRING_FLAG_BITS_LEFT;
    return leaf;
}

/* Does it verify from this anchor on, with what else the peer sends? */
static bool verifies(const struct fixture *f, X509 *leaf, const char *anchor,
                     const char *const others[2]) {
    AUTO(X509) root = read_pem(f, anchor);
    AUTO(X509_STORE) store = X509_STORE_new();
    AUTO(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    for (size_t i = 0; i < 2 && others[i]; i++)
        assert_true(sk_X509_push(untrusted, read_pem(f, others[i])) > 0);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, untrusted), 1);
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    bool good = X509_verify_cert(ctx) == 1;
    sk_X509_pop_free(untrusted, X509_free);
    return good;
}

static void check_devices(const struct fixture *f) {
    AUTO(X509) old = device_under(f, "factory-key", "ca/factory.pem");
    AUTO(X509) new = device_under(f, "next-key", "ca/next.pem");
    const char *const old_way[2] = {"ca/factory.pem"}, *const new_way[2] = {"ca/next.pem"};
    const char *const over_new[2] = {"ca/next.pem", "ca/root-2-new-with-old.pem"};
    const char *const over_old[2] = {"ca/factory.pem", "ca/root-2-old-with-new.pem"};
    assert_true(verifies(f, old, "ca/root.pem", old_way));
    assert_true(verifies(f, new, "ca/root-2.pem", new_way));
    /* Who knows the old root only, and who knows the new one only. */
    assert_false(verifies(f, new, "ca/root.pem", new_way));
    assert_true(verifies(f, new, "ca/root.pem", over_new));
    assert_false(verifies(f, old, "ca/root-2.pem", old_way));
    assert_true(verifies(f, old, "ca/root-2.pem", over_old));
}

static int compare(X509 *a, bool a_end, X509 *b, bool b_end) {
    return ASN1_TIME_compare(a_end ? X509_get0_notAfter(a) : X509_get0_notBefore(a),
                             b_end ? X509_get0_notAfter(b) : X509_get0_notBefore(b));
}

/* RFC 4210, 4.4.1: from when the certified key was made until the old root ends. */
static void check_validity(const struct fixture *f) {
    AUTO(X509) old = read_pem(f, "ca/root.pem");
    AUTO(X509) new = read_pem(f, "ca/root-2.pem");
    AUTO(X509) old_with_new = read_pem(f, "ca/root-2-old-with-new.pem");
    AUTO(X509) new_with_old = read_pem(f, "ca/root-2-new-with-old.pem");
    assert_int_equal(compare(old_with_new, false, old, false), 0);
    assert_int_equal(compare(old_with_new, true, old, true), 0);
    assert_int_equal(compare(new_with_old, false, new, false), 0);
    assert_int_equal(compare(new_with_old, true, old, true), 0);
    assert_int_equal(compare(new, true, old, true), 1);
    assert_int_equal(X509_get_key_usage(new_with_old), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(
        ASN1_STRING_cmp(X509_get0_subject_key_id(old_with_new), X509_get0_subject_key_id(old)), 0);
}

/* ---- tests ---- */

static void old_and_new_devices_verify_both(void **state) {
    struct fixture *f = *state;
    hold_first(f, old_root_yaml, NEW_ROOT(PREVIOUS));
    done(f);
    check_devices(f);
    check_validity(f);
    AUTO(X509) old = read_pem(f, "ca/root.pem");
    AUTO(X509) new = read_pem(f, "ca/root-2.pem");
    assert_int_equal(X509_NAME_cmp(X509_get_subject_name(old), X509_get_subject_name(new)), 0);
    AUTO_MEM char *text = read_text(f, "transcript.yaml");
    assert_int_equal(count_of(text, "step: certificate written"), 4);
    assert_non_null(strstr(text, "ca: \"root-2-new-with-old\""));
    assert_non_null(strstr(text, "ca: \"root-2-old-with-new\""));
    expect(f, run(f), TM_EEXISTS, "is finished");
}

static void on_one_token_it_works_as_well(void **state) {
    struct fixture *f = *state;
    hold_first(f, old_root_yaml, "");
    write_plan(f, "environment: test\n",
               "tokens:\n"
               "  - {name: vault, module: " SOFTHSM_MODULE ", label: acme-root, pin: pin}\n"
               "  - {name: works, module: " SOFTHSM_MODULE ", label: acme-works, pin: pin}\n",
               "root: {name: root-2, token: vault, key_label: root-key-2, years: 40}\n" PREVIOUS,
               next_yaml);
    done(f);
    check_devices(f);
    check_validity(f);
}

#define NAMED "  subject: [{type: CN, value: Another Root}]\n"

static void another_name_needs_room(void **state) {
    struct fixture *f = *state;
    hold_first(f, old_root_yaml, NEW_ROOT(NAMED "  path_len: 2\n" PREVIOUS));
    expect(f, run(f), TM_EDENIED, "leaves no room for NewWithOld under another name");
    assert_false(exists(f, "transcript.yaml"));
    assert_false(exists(f, "ca/root-2.pem"));
}

static void another_name_that_has_room_is_good(void **state) {
    struct fixture *f = *state;
    char deep[400];
    (void)snprintf(deep, sizeof deep, "%s  path_len: 2\n", old_root_yaml);
    hold_first(f, deep, NEW_ROOT(NAMED PREVIOUS));
    expect(f, run(f), TM_EDENIED, "root.path_len must be at least 2");
    write_plan(f, "environment: test\n", new_tokens_yaml,
               NEW_ROOT(NAMED "  path_len: 2\n" PREVIOUS), next_yaml);
    done(f);
    check_devices(f);
    check_validity(f);
}

static void the_wrong_old_root_is_refused(void **state) {
    struct fixture *f = *state;
    hold_first(f, old_root_yaml,
               NEW_ROOT("previous_root: {token: vault, key_label: x, certificate: ca/root.pem}\n"));
    expect(f, run(f), TM_ENOTFOUND, "token vault: ");
    write_plan(f, "environment: test\n", new_tokens_yaml,
               NEW_ROOT("previous_root: {token: works, key_label: factory-key, certificate: "
                        "ca/root.pem}\n"),
               next_yaml);
    expect(f, run(f), TM_EPARSE, "no CA has its key there");
    write_plan(f, "environment: test\n", new_tokens_yaml,
               NEW_ROOT("previous_root: {token: vault, key_label: root-key, certificate: "
                        "ca/factory.pem}\n"),
               next_yaml);
    expect(f, run(f), TM_EDENIED, "does not verify");
    write_plan(f, "environment: prod\nsofthsm_in_prod: true\n", new_tokens_yaml, NEW_ROOT(PREVIOUS),
               next_yaml);
    expect(f, run(f), TM_EDENIED, "not of the environment prod");
    assert_false(exists(f, "transcript.yaml"));
    move(f, "ca/factory.pem", "ca/root-2-new-with-old.pem");
    write_plan(f, "environment: test\n", new_tokens_yaml, NEW_ROOT(PREVIOUS), next_yaml);
    expect(f, run(f), TM_EEXISTS, "root-2-new-with-old.pem exists already");
}

static void killed_anywhere_it_goes_on(void **state) {
    struct fixture *outer = *state;
    int steps = 1;
    for (int code = 99; code != 0; steps++) {
        assert_true(steps < 60);
        void *inner = NULL;
        assert_int_equal(setup(&inner), 0);
        struct fixture *f = inner;
        hold_first(f, old_root_yaml, NEW_ROOT(PREVIOUS));
        code = run_with_fuse(f, steps);
        if (code != 0)
            assert_int_equal(code, 99);
        AUTO_MEM char *text = read_text(f, "transcript.yaml");
        if (!strstr(text, "ceremony finished"))
            assert_int_equal(run_with_fuse(f, 0), 0);
        check_devices(f);
        assert_int_equal(teardown(&inner), 0);
    }
    assert_true(steps > 20);
    assert_int_equal(setenv("SOFTHSM2_CONF", outer->hsm.conf, 1), 0);
}

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(old_and_new_devices_verify_both, setup, teardown),
        cmocka_unit_test_setup_teardown(on_one_token_it_works_as_well, setup, teardown),
        cmocka_unit_test_setup_teardown(another_name_needs_room, setup, teardown),
        cmocka_unit_test_setup_teardown(another_name_that_has_room_is_good, setup, teardown),
        cmocka_unit_test_setup_teardown(the_wrong_old_root_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_anywhere_it_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
