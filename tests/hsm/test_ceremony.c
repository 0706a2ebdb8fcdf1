/* SPDX-License-Identifier: Apache-2.0 */
/* The key ceremony on a real SoftHSM: end to end, refusals, and killed after every step. */
#include "ceremony_rig.h"

#include <dirent.h>
#include <fcntl.h>

#include <openssl/evp.h>

#include "admin/ceremony_command.h"
#include "ca/environment.h"
#include "ca/issuer.h"
#include "conf/conf.h"
#include "pkcs11/key.h"
#include "pkcs11/token.h"

/* ---- plans ---- */

static const char intermediates_yaml[] =
    "intermediates:\n"
    "  - name: factory\n"
    "    token: works\n"
    "    key_label: factory-key\n"
    "    subject: [{type: O, value: Acme}, {type: CN, value: Acme Factory}]\n"
    "    years: 30\n"
    "    scope: {product: Kettle, factory: '1', year: 2026}\n"
    "    ocsp_key_label: factory-ocsp\n"
    "  - name: legacy\n"
    "    token: works\n"
    "    key_label: legacy-key\n"
    "    key_type: rsa3072\n"
    "    subject: [{type: CN, value: Acme Legacy}]\n"
    "    years: 5\n";

/* The same with keys that are quickly made. */
static const char quick_yaml[] = "intermediates:\n"
                                 "  - name: factory\n"
                                 "    token: works\n"
                                 "    key_label: factory-key\n"
                                 "    subject: [{type: CN, value: Acme Factory}]\n"
                                 "    years: 30\n"
                                 "    scope: {product: Kettle, factory: '1', year: 2026}\n"
                                 "    ocsp_key_label: factory-ocsp\n"
                                 "  - name: legacy\n"
                                 "    token: works\n"
                                 "    key_label: legacy-key\n"
                                 "    subject: [{type: CN, value: Acme Legacy}]\n"
                                 "    years: 5\n";

static void write_usual_plan(const struct fixture *f) {
    write_plan(f, "environment: test\n", tokens_yaml, root_yaml, intermediates_yaml);
}

static void write_quick_plan(const struct fixture *f) {
    write_plan(f, "environment: test\n", tokens_yaml, root_yaml, quick_yaml);
}

/* ---- what a ceremony leaves ---- */

static void check_extensions(X509 *certificate, long path_len, uint32_t usage) {
    assert_int_equal(X509_get_version(certificate), 2);
    assert_int_equal(X509_check_ca(certificate), 1);
    assert_int_equal(X509_get_pathlen(certificate), path_len);
    assert_int_equal(X509_get_key_usage(certificate), usage);
    static const int critical[] = {NID_basic_constraints, NID_key_usage};
    for (size_t i = 0; i < 2; i++) {
        int at = X509_get_ext_by_NID(certificate, critical[i], -1);
        assert_true(at >= 0);
        assert_true(X509_EXTENSION_get_critical(X509_get_ext(certificate, at)));
    }
    assert_non_null(X509_get0_subject_key_id(certificate));
    assert_non_null(X509_get0_authority_key_id(certificate));
    assert_int_equal(X509_get_ext_count(certificate), 4);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    assert_true(ASN1_STRING_length(serial) >= 8 && ASN1_STRING_length(serial) <= 20);
    assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
    char unit[64];
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                          NID_organizationalUnitName, unit, sizeof unit) > 0);
    assert_string_equal(unit, "Environment test");
}

#define ROOT_USAGE (KU_KEY_CERT_SIGN | KU_CRL_SIGN)
#define ISSUING_USAGE (ROOT_USAGE | KU_DIGITAL_SIGNATURE) /* it signs CMC responses, too */

/* All organizational units, each followed by a bar. */
static void check_units(X509 *certificate, const char *wanted) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    char all[256] = "";
    for (int at = -1;
         (at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) >= 0;) {
        const ASN1_STRING *unit = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        size_t n = strlen(all);
        (void)snprintf(all + n, sizeof all - n, "%s|", (const char *)ASN1_STRING_get0_data(unit));
    }
    assert_string_equal(all, wanted);
}

static void check_certificates(struct fixture *f) {
    AUTO(X509) root = read_pem(f, "ca/root.pem");
    AUTO(X509) factory = read_pem(f, "ca/factory.pem");
    AUTO(X509) legacy = read_pem(f, "ca/legacy.pem");
    check_extensions(root, 1, ROOT_USAGE);
    check_extensions(factory, 0, ISSUING_USAGE);
    check_extensions(legacy, 0, ISSUING_USAGE);
    check_units(factory, "Environment test|Product Kettle|Factory 1|Year 2026|");
    check_units(legacy, "Environment test|");
    check_path(root, root);
    check_path(factory, root);
    check_path(legacy, root);
    assert_true(ASN1_TIME_compare(X509_get0_notAfter(factory), X509_get0_notAfter(root)) <= 0);
    struct ca_issuer issuer;
    char certificate[160], chain[160], text[IPC_TEXT_MAX + 1];
    path_of(f, "ca/factory.pem", certificate);
    path_of(f, "ca/factory-chain.pem", chain);
    assert_int_equal(ca_issuer_load("factory", certificate, chain, &issuer, text), TM_OK);
    assert_true(ca_environment_matches(issuer.view.subject, CONF_ENV_TEST));
    assert_false(ca_environment_matches(issuer.view.subject, CONF_ENV_PROD));
    ca_issuer_free(&issuer);
}

/* The key on the token is the one in the certificate, and signs for it. */
static void check_key(struct fixture *f, const char *token_label, const char *key_label,
                      const char *file) {
    const struct hsm_token_config config = {SOFTHSM_MODULE, token_label};
    char text[HSM_TEXT_MAX];
    struct hsm_token *token = NULL;
    struct hsm_key *key = NULL;
    unsigned char *spki = NULL;
    AUTO(X509) certificate = read_pem(f, file);
    assert_int_equal(hsm_token_open(&config, SOFTHSM_PIN, &token, text), TM_OK);
    assert_int_equal(hsm_key_find(token, key_label, &key, text), TM_OK);
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    assert_int_equal(n, hsm_key_spki(key).n);
    assert_memory_equal(spki, hsm_key_spki(key).p, (size_t)n);
    OPENSSL_free(spki);
    hsm_token_close(token);
}

/* A key that no certificate of the ceremony has. */
static void check_ocsp_key(void) {
    const struct hsm_token_config config = {SOFTHSM_MODULE, "acme-works"};
    char text[HSM_TEXT_MAX];
    struct hsm_token *token = NULL;
    struct hsm_key *key = NULL;
    assert_int_equal(hsm_token_open(&config, SOFTHSM_PIN, &token, text), TM_OK);
    assert_int_equal(hsm_key_find(token, "factory-ocsp", &key, text), TM_OK);
    assert_int_equal(hsm_key_describe(key).type, HSM_KEY_P256);
    assert_false(hsm_key_describe(key).extractable);
    hsm_token_close(token);
}

static void fingerprint(X509 *certificate, char ret[65]) {
    unsigned char hash[32];
    unsigned n = sizeof hash;
    assert_int_equal(X509_digest(certificate, EVP_sha256(), hash, &n), 1);
    assert_int_equal(hex_encode(BYTES_OF(hash), ret, 65), TM_OK);
}

static void check_transcript(struct fixture *f) {
    AUTO_MEM char *text = read_text(f, "transcript.yaml");
    static const char *const certificates[] = {"ca/root.pem", "ca/factory.pem", "ca/legacy.pem"};
    for (size_t i = 0; i < 3; i++) {
        char sha256[65];
        AUTO(X509) certificate = read_pem(f, certificates[i]);
        fingerprint(certificate, sha256);
        assert_non_null(strstr(text, sha256));
    }
    assert_non_null(strstr(text, "host: \"vault \\\"1\\\"\""));
    assert_non_null(strstr(text, "scope: \"product Kettle, factory 1, year 2026\""));
    assert_non_null(strstr(text, "purpose: \"OCSP answers\""));
    assert_int_equal(count_of(text, "never extractable, local"), 4);
    assert_int_equal(count_of(text, "step: ceremony finished"), 1);
    assert_null(strstr(text, SOFTHSM_PIN));
    assert_null(strstr(text, SOFTHSM_SO_PIN));
}

static void end_to_end(void **state) {
    struct fixture *f = *state;
    write_usual_plan(f);
    done(f);
    check_certificates(f);
    check_key(f, "acme-root", "root-key", "ca/root.pem");
    check_key(f, "acme-works", "factory-key", "ca/factory.pem");
    check_key(f, "acme-works", "legacy-key", "ca/legacy.pem");
    check_ocsp_key();
    check_transcript(f);
    AUTO_MEM char *before = read_text(f, "transcript.yaml");
    expect(f, run(f), TM_EEXISTS, "is finished");
    AUTO_MEM char *after = read_text(f, "transcript.yaml");
    assert_string_equal(before, after);
}

/* Each of the ways in which a second ceremony could touch what a first one made. */
static void nothing_is_overwritten(void **state) {
    struct fixture *f = *state;
    char path[160], moved[160];
    write_usual_plan(f);
    done(f);
    path_of(f, "transcript.yaml", path);
    path_of(f, "first.yaml", moved);
    assert_int_equal(rename(path, moved), 0);
    expect(f, run(f), TM_EEXISTS, "ca/root.pem exists already");
    path_of(f, "ca", path);
    path_of(f, "first-ca", moved);
    assert_int_equal(rename(path, moved), 0);
    expect(f, run(f), TM_EEXISTS, "token labelled \"acme-root\" already");
    write_plan(f, "environment: test\n",
               "tokens:\n"
               "  - {name: vault, module: " SOFTHSM_MODULE ", label: acme-root, pin: pin}\n"
               "  - {name: works, module: " SOFTHSM_MODULE ", label: acme-works, pin: pin}\n",
               root_yaml, intermediates_yaml);
    expect(f, run(f), TM_EEXISTS, "\"root-key\" for CA root is occupied");
    assert_false(exists(f, "transcript.yaml"));
    assert_false(exists(f, "ca"));
}

static void another_ceremonys_transcript_is_refused(void **state) {
    struct fixture *f = *state;
    char path[160];
    write_usual_plan(f);
    path_of(f, "transcript.yaml", path);
    write_text(path, "a shopping list\n");
    expect(f, run(f), TM_EPARSE, "is no transcript");
    write_text(path, "# Transcript of a Touchmark key ceremony. Each entry was on disk before the "
                     "next step.\ntranscript:\n\n  - step: ceremony began\n    time: \"x\"\n    "
                     "input_sha256: \"00\"\n\n");
    expect(f, run(f), TM_EEXISTS, "of another ceremony");
    assert_false(exists(f, "ca"));
}

static void an_existing_root_signs_more(void **state) {
    struct fixture *f = *state;
    char path[160], moved[160];
    write_usual_plan(f);
    done(f);
    path_of(f, "transcript.yaml", path);
    path_of(f, "first.yaml", moved);
    assert_int_equal(rename(path, moved), 0);
    static const char tokens[] =
        "tokens:\n"
        "  - {name: vault, module: " SOFTHSM_MODULE ", label: acme-root, pin: pin}\n"
        "  - {name: works, module: " SOFTHSM_MODULE ", label: acme-works, pin: pin}\n";
    static const char next[] = "intermediates:\n"
                               "  - name: next\n"
                               "    token: works\n"
                               "    key_label: next-key\n"
                               "    subject: [{type: CN, value: Acme Factory 2}]\n"
                               "    years: 20\n";
    write_plan(f, "environment: prod\nsofthsm_in_prod: true\n", tokens,
               "root: {name: root, token: vault, key_label: root-key, certificate: ca/root.pem}\n",
               next);
    expect(f, run(f), TM_EDENIED, "not of the environment prod");
    write_plan(f, "environment: test\n", tokens,
               "root: {name: root, token: works, key_label: factory-key, certificate: "
               "ca/root.pem}\n",
               next);
    expect(f, run(f), TM_EPARSE, "no CA has its key there");
    write_plan(f, "environment: test\n", strstr(tokens, "tokens") ? tokens : "",
               "root: {name: root, token: vault, key_label: no-key, certificate: ca/root.pem}\n",
               next);
    expect(f, run(f), TM_ENOTFOUND, "no-key");
    write_plan(
        f, "environment: test\n", tokens,
        "root: {name: root, token: vault, key_label: root-key, certificate: ca/legacy.pem}\n",
        next);
    expect(f, run(f), TM_EDENIED, "does not verify");
    write_plan(f, "environment: test\n", tokens,
               "root: {name: root, token: vault, key_label: root-key, certificate: ca/root.pem}\n",
               next);
    done(f);
    AUTO(X509) root = read_pem(f, "ca/root.pem");
    AUTO(X509) made = read_pem(f, "ca/next.pem");
    check_path(made, root);
    check_extensions(made, 0, ISSUING_USAGE);
    check_key(f, "acme-works", "next-key", "ca/next.pem");
}

static void production_wants_more_than_files(void **state) {
    struct fixture *f = *state;
    write_plan(f, "environment: prod\n", tokens_yaml, root_yaml, intermediates_yaml);
    expect(f, run(f), TM_EDENIED, "softhsm_in_prod");
    assert_false(exists(f, "transcript.yaml"));
    write_plan(f, "environment: prod\nsofthsm_in_prod: true\n", tokens_yaml, root_yaml,
               intermediates_yaml);
    done(f);
    AUTO_MEM char *text = read_text(f, "transcript.yaml");
    assert_non_null(strstr(text, "note: \"softhsm_in_prod"));
}

static void a_root_may_live_in_another_softhsm(void **state) {
    struct fixture *f = *state;
    char conf[160], tokens[160], text[400];
    path_of(f, "vault.conf", conf);
    path_of(f, "vault-tokens", tokens);
    assert_int_equal(mkdir(tokens, 0700), 0);
    (void)snprintf(text, sizeof text, "directories.tokendir = %s\nobjectstore.backend = file\n",
                   tokens);
    write_text(conf, text);
    write_plan(
        f, "environment: test\n",
        "tokens:\n"
        "  - {name: vault, module: " SOFTHSM_MODULE
        ", softhsm_conf: vault.conf, label: acme-root, init: true, pin: pin, so_pin: so-pin}\n"
        "  - {name: works, module: " SOFTHSM_MODULE
        ", label: acme-works, init: true, pin: pin, so_pin: so-pin}\n",
        root_yaml, intermediates_yaml);
    done(f);
    check_certificates(f);
    const struct hsm_token_config root = {SOFTHSM_MODULE, "acme-root"};
    bool there = true, softhsm;
    assert_int_equal(setenv("SOFTHSM2_CONF", f->hsm.conf, 1), 0);
    assert_int_equal(hsm_token_look(&root, &there, &softhsm, text), TM_OK);
    assert_false(there);
    assert_int_equal(setenv("SOFTHSM2_CONF", conf, 1), 0);
    check_key(f, "acme-root", "root-key", "ca/root.pem");
}

static void ed25519_part(void *arg) {
    struct fixture *f = arg;
    static const char one_token[] = "tokens: [{name: vault, module: " SOFTHSM_MODULE
                                    ", label: acme-root, init: true, pin: pin, so_pin: so-pin}]\n";
    write_plan(f, "environment: test\n", one_token,
               "root:\n"
               "  name: root\n"
               "  token: vault\n"
               "  key_label: root-key\n"
               "  key_type: ed25519\n"
               "  subject: [{type: CN, value: Acme Root}]\n"
               "  not_after: 99991231235959Z\n",
               "intermediates:\n"
               "  - name: factory\n"
               "    token: vault\n"
               "    key_label: factory-key\n"
               "    subject: [{type: CN, value: Acme Factory}]\n"
               "    not_after: 99991231235959Z\n");
    done(f);
    AUTO(X509) root = read_pem(f, "ca/root.pem");
    AUTO(X509) factory = read_pem(f, "ca/factory.pem");
    check_path(factory, root);
    const ASN1_TIME *end = X509_get0_notAfter(factory);
    assert_string_equal((const char *)ASN1_STRING_get0_data(end), "99991231235959Z");
}

static void ed25519_is_another_type_of_key(void **state) {
    in_child(ed25519_part, *state);
}

/* ---- what goes wrong with PINs and tokens ---- */

static void bad_pins_make_nothing(void **state) {
    struct fixture *f = *state;
    char pin[160];
    write_usual_plan(f);
    path_of(f, "pin", pin);
    assert_int_equal(chmod(pin, 0644), 0);
    expect(f, run(f), TM_EDENIED, "lets others in");
    assert_int_equal(unlink(pin), 0);
    expect(f, run(f), TM_EIO, "token vault: PIN file");
    assert_false(exists(f, "transcript.yaml"));
    write_text(pin, SOFTHSM_PIN);
    assert_int_equal(chmod(pin, 0600), 0);
    done(f);
    write_text(pin, "another");
    char transcript[160], moved[160];
    path_of(f, "transcript.yaml", transcript);
    path_of(f, "first.yaml", moved);
    assert_int_equal(rename(transcript, moved), 0);
    write_plan(f, "environment: test\n",
               "tokens:\n"
               "  - {name: vault, module: " SOFTHSM_MODULE ", label: acme-root, pin: pin}\n"
               "  - {name: works, module: " SOFTHSM_MODULE ", label: acme-works, pin: pin}\n",
               "root: {name: root, token: vault, key_label: root-key, certificate: ca/root.pem}\n",
               "intermediates:\n"
               "  - name: next\n"
               "    token: works\n"
               "    key_label: next-key\n"
               "    subject: [{type: CN, value: X}]\n"
               "    years: 20\n");
    expect(f, run(f), TM_EDENIED, "token vault: the token refuses the PIN");
    assert_null(strstr(f->error, "another"));
    assert_false(exists(f, "transcript.yaml"));
}

/* ---- bad files ---- */

struct bad_plan {
    const char *head, *tokens, *root, *intermediates; /* NULL: as usual */
    const char *says;                                 /* behind the file's path */
};

#define ROOT(rest) "root:\n  name: root\n  token: vault\n  key_label: k\n" rest
#define SUBJECT "  subject: [{type: CN, value: R}]\n"
#define CA(name, rest)                                                                             \
    "  - name: " name "\n    token: works\n    subject: [{type: CN, value: I}]\n" rest

static const struct bad_plan bad_plans[] = {
    {.head = "environment: lab\n",
     .says = ":1: environment: \"lab\" is not allowed; must be one of"},
    {.head = "", .says = "environment: is missing"},
    {.head = "environment: dev\nsecret: x\n", .says = ":2: secret: unknown key"},
    {.tokens = "tokens: []\n", .says = ":4: tokens: has 0 entries"},
    {.tokens = "tokens:\n  - {name: a, module: m, label: l, init: true, pin: prompt}\n",
     .says = ":5: tokens.init: needs so_pin"},
    {.tokens = "tokens:\n  - {name: a, module: m, label: l, so_pin: prompt, pin: prompt}\n",
     .says = ":5: tokens.so_pin: is only for"},
    {.tokens = "tokens:\n  - {name: a, module: m, label: l, pin: prompt}\n"
               "  - {name: a, module: m, label: m, pin: prompt}\n",
     .says = ":6: tokens.name: another token is called a"},
    {.tokens = "tokens:\n  - {name: a, module: m, label: 012345678901234567890123456789012, pin: "
               "prompt}\n",
     .says = ":5: tokens.label: "},
    {.root = ROOT("  years: 10\n"), .says = ":7: root: subject is missing"},
    {.root = ROOT(SUBJECT), .says = ":7: root: years or not_after is missing"},
    {.root = ROOT(SUBJECT "  years: 3\n  not_after: 99991231235959Z\n"),
     .says = "root.not_after: years is given too"},
    {.root = ROOT(SUBJECT "  years: 300\n"), .says = ":12: root.years: \"300\" is not allowed"},
    {.root = ROOT(SUBJECT "  years: 3\n  key_type: p521\n"), .says = "root.key_type: \"p521\""},
    {.root = "root:\n  name: ../root\n  token: vault\n  key_label: k\n  years: 3\n" SUBJECT,
     .says = ":8: root.name: "},
    {.root = "root:\n  name: .root\n  token: vault\n  key_label: k\n  years: 3\n" SUBJECT,
     .says = ":8: root.name: .root cannot name"},
    {.root = "root:\n  name: a-chain\n  token: vault\n  key_label: k\n  years: 3\n" SUBJECT,
     .says = ":8: root.name: a-chain cannot name"},
    {.root = "root:\n  name: root\n  token: safe\n  key_label: k\n  years: 3\n" SUBJECT,
     .says = ":9: root.token: no token is called safe"},
    {.root = ROOT("  years: 3\n  subject: [{type: XX, value: R}]\n"),
     .says = "root.subject.type: XX is not allowed"},
    {.root = ROOT("  years: 3\n  subject: [{type: C, value: Germany}]\n"),
     .says = "root.subject.value: a name attribute is longer"},
    {.root = ROOT("  years: 3\n  subject: [{type: OU, value: environment prod}]\n"),
     .says = "root.subject.value: the environment is added"},
    {.root = ROOT(SUBJECT "  certificate: r.pem\n"),
     .says = "root.certificate: of a root that exists"},
    {.root = ROOT("  certificate: r.pem\n"), .says = "root.token: its key exists, and init: true"},
    {.root = ROOT("  years: 3\n") "previous_root: {token: vault, key_label: o}\n",
     .says = ":12: previous_root: token, key_label and certificate go together"},
    {.root = ROOT("  years: 3\n") "previous_root: {token: v, key_label: o, certificate: r.pem}\n",
     .says = ":12: previous_root.token: no token is called v"},
    {.root =
         ROOT("  years: 3\n") "previous_root: {token: vault, key_label: k, certificate: r.pem}\n",
     .says = "root.key_label: another key of token vault is labelled k"},
    {.root =
         ROOT("  years: 3\n") "previous_root: {token: vault, key_label: o, certificate: r.pem}\n",
     .says = ":12: previous_root.token: its key exists, and init: true"},
    {.root = ROOT("  certificate: r.pem\n") "previous_root: {token: vault, key_label: o, "
                                            "certificate: r.pem}\n",
     .says = ":12: previous_root: is followed by a root that is made here"},
    {.root = ROOT("  certificate: r.pem\n"),
     .intermediates = "",
     .says = "root.certificate: of a root that exists, and no"},
    {.intermediates = "", .says = ":6: tokens: no CA has its key there"},
    {.intermediates = "intermediates:\n" CA("root", "    key_label: i\n    years: 3\n"),
     .says = ":15: intermediates.name: another CA is called root"},
    {.intermediates = "intermediates:\n" CA("a", "    key_label: i\n    years: 3\n")
         CA("b", "    key_label: i\n    years: 3\n"),
     .says = ":23: intermediates.key_label: another key of token works is labelled i"},
    {.intermediates =
         "intermediates:\n" CA("a", "    key_label: i\n    years: 3\n    path_len: 1\n"),
     .says = ":20: intermediates.path_len: must be less than the root's"},
    {.intermediates =
         "intermediates:\n" CA("a", "    key_label: i\n    ocsp_key_label: i\n    years: 3\n"),
     .says = ":19: intermediates.ocsp_key_label: another key of token works is labelled i"},
    {.intermediates =
         "intermediates:\n" CA("a", "    key_label: i\n    ocsp_key_label: o\n    years: 3\n")
             CA("b", "    key_label: o\n    years: 3\n"),
     .says = "intermediates.key_label: another key of token works is labelled o"},
    {.intermediates = "intermediates:\n" CA("a", "    key_label: i\n    ocsp_key_label: o\n"
                                                 "    tls_key_label: o\n    years: 3\n"),
     .says = ":20: intermediates.tls_key_label: another key of token works is labelled o"},
    {.intermediates =
         "intermediates:\n" CA("a", "    key_label: i\n    tls_key_label: t\n    years: 3\n"
                                    "    key_type: rsa3072\n"),
     .says = "must be P-256 or P-384"},
    {.intermediates =
         "intermediates:\n" CA("a", "    key_label: i\n    years: 3\n    scope: {year: 26}\n"),
     .says = "intermediates.scope.year: has four digits"},
    {.intermediates =
         "intermediates:\n" CA("a", "    key_label: i\n    years: 3\n    scope: {line: 26}\n"),
     .says = ":20: intermediates.scope.line: unknown key"},
    {.intermediates = "intermediates:\n" CA("a-new-with-old", "    key_label: i\n    years: 3\n"),
     .says = "a-new-with-old cannot name"},
    {.intermediates = "intermediates: [unclosed\n", .says = ":1"},
};

static void bad_files_name_their_line(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bad_plans / sizeof bad_plans[0]; i++) {
        const struct bad_plan *bad = &bad_plans[i];
        write_plan(f, bad->head ? bad->head : "environment: test\n",
                   bad->tokens ? bad->tokens : tokens_yaml, bad->root ? bad->root : root_yaml,
                   bad->intermediates ? bad->intermediates : intermediates_yaml);
        assert_int_equal(run(f), TM_EPARSE);
        char file_line[160];
        (void)snprintf(file_line, sizeof file_line, "%s:", f->file);
        if (strncmp(f->error, file_line, strlen(file_line)) != 0 || !strstr(f->error, bad->says))
            fail_msg("%zu: \"%s\" is not in: %s", i, bad->says, f->error);
    }
    assert_false(exists(f, "transcript.yaml"));
    expect(f,
           (write_plan(f, "environment: test\n", tokens_yaml, ROOT(SUBJECT "  years: 3\n"),
                       intermediates_yaml),
            run(f)),
           TM_EDENIED, "CA factory would outlive its root");
}

/* ---- interruptions ---- */

static void check_interrupted(struct fixture *f) {
    check_certificates(f);
    check_ocsp_key();
    check_key(f, "acme-root", "root-key", "ca/root.pem");
    check_key(f, "acme-works", "factory-key", "ca/factory.pem");
    check_transcript(f);
}

/* Killed after every single step, one step further each time; each time a new one goes on. */
static void killed_anywhere_it_goes_on(void **state) {
    struct fixture *outer = *state;
    int steps = 1;
    for (int code = 99; code != 0; steps++) {
        assert_true(steps < 60);
        void *inner = NULL;
        assert_int_equal(setup(&inner), 0);
        struct fixture *f = inner;
        write_quick_plan(f);
        code = run_with_fuse(f, steps);
        if (code != 0)
            assert_int_equal(code, 99);
        if (code == 99 && !exists(f, "transcript.yaml"))
            fail_msg("stopped before anything was recorded");
        AUTO_MEM char *text = read_text(f, "transcript.yaml");
        if (!strstr(text, "ceremony finished")) {
            assert_int_equal(run_with_fuse(f, 0), 0);
            AUTO_MEM char *after = read_text(f, "transcript.yaml");
            assert_int_equal(count_of(after, "step: ceremony resumed"), 1);
            assert_null(strstr(after, "removing")); /* whole keys are taken up */
        }
        check_interrupted(f);
        assert_int_equal(teardown(&inner), 0);
    }
    assert_true(steps > 20);
    assert_int_equal(setenv("SOFTHSM2_CONF", outer->hsm.conf, 1), 0);
}

/* Killed again and again in one and the same ceremony. */
static void killed_many_times_it_ends(void **state) {
    struct fixture *f = *state;
    write_quick_plan(f);
    int code = 99, runs = 0;
    for (int left = 3; code == 99 && runs < 60; runs++, left += runs % 4 == 0)
        code = run_with_fuse(f, left);
    assert_int_equal(code, 0);
    assert_true(runs > 3);
    check_interrupted(f);
}

static void a_torn_entry_is_cut_off(void **state) {
    struct fixture *f = *state;
    char path[160];
    write_quick_plan(f);
    assert_int_equal(run_with_fuse(f, 4), 99);
    path_of(f, "transcript.yaml", path);
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    assert_true(fputs("  - step: key gener", out) >= 0);
    assert_int_equal(fclose(out), 0);
    done(f);
    check_interrupted(f);
}

static void a_resumed_ceremony_trusts_nothing(void **state) {
    struct fixture *f = *state;
    char path[160], other[160];
    write_quick_plan(f);
    /* Each run gets one step further than the last, until the root's certificate is there. */
    bool written = false;
    for (int left = 3; left < 40 && !written; left++) {
        assert_int_equal(run_with_fuse(f, left), 99);
        AUTO_MEM char *text = read_text(f, "transcript.yaml");
        written = strstr(text, "step: certificate written");
    }
    assert_true(written);
    path_of(f, "ca/root.pem", path);
    path_of(f, "root.kept", other);
    assert_int_equal(rename(path, other), 0);
    expect(f, run(f), TM_EIO, "ca/root.pem");
    write_text(path, "not a certificate");
    expect(f, run(f), TM_EPARSE, "ca/root.pem");
    assert_int_equal(rename(other, path), 0);
    /* The input may not change in between. */
    write_plan(f, "environment: dev\n", tokens_yaml, root_yaml, intermediates_yaml);
    expect(f, run(f), TM_EEXISTS, "of another ceremony");
    write_quick_plan(f);
    done(f);
    check_interrupted(f);
}

/* ---- keys that were not finished ---- */

static void stop_at_line(void *arg, const char *line) {
    if (strcmp(line, arg) == 0)
        _exit(99);
}

/* Kills a ceremony when it has recorded this line. */
static void run_until(struct fixture *f, const char *line) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ca_keystore *keystore = NULL;
        struct ca_ceremony_host host = quiet;
        host.step = stop_at_line;
        host.arg = (void *)(uintptr_t)line;
        if (hsm_keystore_new(&keystore))
            _exit(98);
        _exit(run_on(f, keystore, &host) ? 97 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 99);
}

/* The token of the intermediates, with a session that may write. */
struct works {
    struct hsm_token *token;
    CK_FUNCTION_LIST *p11;
    CK_SESSION_HANDLE session;
};

static struct works open_works(void) {
    const struct hsm_token_config config = {SOFTHSM_MODULE, "acme-works"};
    char text[HSM_TEXT_MAX];
    struct works works = {0};
    assert_int_equal(hsm_token_open(&config, SOFTHSM_PIN, &works.token, text), TM_OK);
    works.p11 = works.token->module.f;
    assert_int_equal(works.p11->C_OpenSession(works.token->slot_id,
                                              CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                              &works.session),
                     CKR_OK);
    return works;
}

static void close_works(struct works *works) {
    assert_int_equal(works->p11->C_CloseSession(works->session), CKR_OK);
    hsm_token_close(works->token);
}

static CK_ULONG factory_objects(const struct works *works, CK_OBJECT_CLASS class,
                                CK_OBJECT_HANDLE *ret_first) {
    char label[] = "factory-key";
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},
                               {CKA_LABEL, label, strlen(label)}};
    CK_OBJECT_HANDLE found[4] = {0};
    CK_ULONG count = 0;
    assert_int_equal(hsm_objects_find(works->p11, works->session, template, 2, found, 4, &count),
                     CKR_OK);
    *ret_first = found[0];
    return count;
}

static void expect_factory_objects(CK_ULONG publics, CK_ULONG privates) {
    CK_OBJECT_HANDLE first;
    struct works works = open_works();
    assert_int_equal(factory_objects(&works, CKO_PUBLIC_KEY, &first), publics);
    assert_int_equal(factory_objects(&works, CKO_PRIVATE_KEY, &first), privates);
    close_works(&works);
}

static void destroy_factory_object(const struct works *works, CK_OBJECT_CLASS class) {
    CK_OBJECT_HANDLE object;
    assert_int_equal(factory_objects(works, class, &object), 1);
    assert_int_equal(works->p11->C_DestroyObject(works->session, object), CKR_OK);
}

static void generate_factory_key(const struct works *works) {
    char text[HSM_TEXT_MAX];
    assert_int_equal(hsm_key_generate(works->token, HSM_KEY_P256, "factory-key", text), TM_OK);
}

/* Somebody else's public key, which no ceremony made. */
static void put_foreign_public(const struct works *works) {
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    CK_BBOOL yes = CK_TRUE;
    char label[] = "factory-key";
    uint8_t modulus[256], exponent[] = {1, 0, 1};
    memset(modulus, 0xc5, sizeof modulus);
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},      {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &yes, sizeof yes},          {CKA_LABEL, label, strlen(label)},
        {CKA_MODULUS, modulus, sizeof modulus}, {CKA_PUBLIC_EXPONENT, exponent, sizeof exponent}};
    CK_OBJECT_HANDLE object;
    assert_int_equal(works->p11->C_CreateObject(works->session, template, 6, &object), CKR_OK);
}

/* As SoftHSM leaves a private key that has its label and CKA_ID and not yet its value. */
static void empty_private(const struct works *works) {
    CK_OBJECT_HANDLE public, object;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    char label[] = "factory-key";
    uint8_t id[64], nothing[1] = {0};
    size_t id_n = 0;
    assert_int_equal(factory_objects(works, CKO_PUBLIC_KEY, &public), 1);
    assert_int_equal(
        hsm_attribute(works->p11, works->session, public, CKA_ID, id, sizeof id, &id_n), CKR_OK);
    destroy_factory_object(works, CKO_PRIVATE_KEY);
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
        {CKA_LABEL, label, strlen(label)}, {CKA_ID, id, id_n},
        {CKA_EC_PARAMS, nothing, 0},       {CKA_VALUE, nothing, 0}};
    assert_int_equal(works->p11->C_CreateObject(works->session, template, 10, &object), CKR_OK);
}

enum leftover { PUBLIC_ALONE, PRIVATE_ALONE, PRIVATE_EMPTY, LEFTOVERS };

static void leave_over(enum leftover leftover) {
    struct works works = open_works();
    generate_factory_key(&works);
    if (leftover == PUBLIC_ALONE)
        destroy_factory_object(&works, CKO_PRIVATE_KEY);
    else if (leftover == PRIVATE_ALONE)
        destroy_factory_object(&works, CKO_PUBLIC_KEY);
    else
        empty_private(&works);
    close_works(&works);
}

static void check_made_anew(struct fixture *f) {
    check_interrupted(f);
    expect_factory_objects(1, 1);
    AUTO_MEM char *text = read_text(f, "transcript.yaml");
    assert_int_equal(count_of(text, "step: removing unfinished key\n"), 1);
    assert_int_equal(count_of(text, "step: generating key\n"), 5);
    const char *removal = strstr(text, "step: removing unfinished key\n");
    assert_non_null(strstr(removal, "key_label: \"factory-key\""));
    assert_non_null(strstr(removal, "step: generating key\n"));
}

/* Killed inside of the generation itself, which leaves half a key under the label. */
static void an_unfinished_key_is_made_anew(void **state) {
    struct fixture *outer = *state;
    for (enum leftover leftover = 0; leftover < LEFTOVERS; leftover++) {
        void *inner = NULL;
        assert_int_equal(setup(&inner), 0);
        write_quick_plan(inner);
        run_until(inner, "generating key: factory");
        leave_over(leftover);
        done(inner);
        check_made_anew(inner);
        assert_int_equal(teardown(&inner), 0);
    }
    assert_int_equal(setenv("SOFTHSM2_CONF", outer->hsm.conf, 1), 0);
}

static void killed_at_the_removal_too_it_goes_on(void **state) {
    struct fixture *f = *state;
    write_quick_plan(f);
    run_until(f, "generating key: factory");
    leave_over(PRIVATE_EMPTY);
    run_until(f, "removing unfinished key: factory");
    expect_factory_objects(1, 1);
    /* Between its two objects: the private one went. */
    struct works works = open_works();
    destroy_factory_object(&works, CKO_PRIVATE_KEY);
    close_works(&works);
    done(f);
    AUTO_MEM char *text = read_text(f, "transcript.yaml");
    assert_int_equal(count_of(text, "step: removing unfinished key\n"), 2);
    assert_int_equal(count_of(text, "step: ceremony resumed\n"), 2);
    check_interrupted(f);
    expect_factory_objects(1, 1);
}

static void a_recorded_key_is_never_removed(void **state) {
    struct fixture *f = *state;
    write_quick_plan(f);
    run_until(f, "key generated: factory");
    struct works works = open_works();
    destroy_factory_object(&works, CKO_PRIVATE_KEY);
    close_works(&works);
    expect(f, run(f), TM_ENOTFOUND, "no private key labelled \"factory-key\"");
    expect_factory_objects(1, 0);
}

static void more_than_a_leftover_is_not_removed(void **state) {
    struct fixture *f = *state;
    write_quick_plan(f);
    run_until(f, "generating key: factory");
    leave_over(PUBLIC_ALONE);
    struct works works = open_works();
    put_foreign_public(&works);
    close_works(&works);
    expect(f, run(f), TM_ENOTFOUND, "no private key labelled \"factory-key\"");
    expect_factory_objects(2, 0);
}

static const char old_tokens_yaml[] =
    "tokens:\n"
    "  - {name: vault, module: " SOFTHSM_MODULE ", label: acme-root, pin: pin}\n"
    "  - {name: works, module: " SOFTHSM_MODULE ", label: acme-works, pin: pin}\n";

static void write_plan_on_old_tokens(struct fixture *f) {
    static const char *const labels[] = {"acme-root", "acme-works"};
    char text[HSM_TEXT_MAX];
    for (size_t i = 0; i < 2; i++) {
        const struct hsm_token_config config = {SOFTHSM_MODULE, labels[i]};
        assert_int_equal(hsm_token_init(&config, SOFTHSM_SO_PIN, SOFTHSM_PIN, text), TM_OK);
    }
    write_plan(f, "environment: test\n", old_tokens_yaml, root_yaml, quick_yaml);
}

static void a_foreign_public_key_is_in_the_way(void **state) {
    struct fixture *f = *state;
    write_plan_on_old_tokens(f);
    struct works works = open_works();
    put_foreign_public(&works);
    close_works(&works);
    expect(f, run(f), TM_EEXISTS, "\"factory-key\" for CA factory is occupied");
    assert_false(exists(f, "transcript.yaml"));
    expect_factory_objects(1, 0);
}

static void occupy_at_the_beginning(void *arg, const char *line) {
    (void)arg;
    if (strcmp(line, "ceremony began") != 0)
        return;
    struct works works = open_works();
    put_foreign_public(&works);
    close_works(&works);
}

/* After the check and before the ceremony came to this key; a second run changes nothing. */
static void a_label_that_becomes_occupied_is_refused(void **state) {
    struct fixture *f = *state;
    struct ca_keystore *keystore = NULL;
    struct ca_ceremony_host host = quiet;
    host.step = occupy_at_the_beginning;
    write_plan_on_old_tokens(f);
    assert_int_equal(hsm_keystore_new(&keystore), TM_OK);
    expect(f, run_on(f, keystore, &host), TM_EEXISTS, "CA factory: the key's label has become");
    hsm_keystore_free(keystore);
    expect(f, run(f), TM_EEXISTS, "\"factory-key\" for CA factory is occupied");
    expect_factory_objects(1, 0);
}

/* ---- the command ---- */

/* argp ends the program by exit(); a forked test has nothing to tidy up then. */
static void leave(int code, void *arg) {
    (void)arg;
    (void)fflush(stdout);
    _exit(code);
}

#define OUTPUT_MAX 16384

static int command_on(const char *file_path, const char *option, char output[OUTPUT_MAX]) {
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char word[] = "ceremony", file[160], flag[32];
        (void)snprintf(file, sizeof file, "%s", file_path);
        (void)snprintf(flag, sizeof flag, "%s", option);
        char *argv[] = {word, flag, file, NULL};
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)dup2(fds[1], STDERR_FILENO);
        (void)on_exit(leave, NULL);
        leave(ceremony_command(3, argv), NULL);
    }
    assert_int_equal(close(fds[1]), 0);
    size_t n = 0;
    for (ssize_t got; (got = read(fds[0], output + n, OUTPUT_MAX - 1 - n)) > 0;)
        n += (size_t)got;
    output[n] = '\0';
    assert_int_equal(close(fds[0]), 0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int command(struct fixture *f, const char *option, char output[OUTPUT_MAX]) {
    return command_on(f->file, option, output);
}

static void the_command_says_what_it_does(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX];
    write_usual_plan(f);
    assert_int_equal(command(f, "--check", output), 0);
    assert_non_null(strstr(output, "intermediate factory: key \"factory-key\" on token works"));
    assert_false(exists(f, "transcript.yaml"));
    assert_int_equal(command(f, "--", output), 0);
    assert_non_null(strstr(output, "certificate written: factory\n"));
    assert_null(strstr(output, SOFTHSM_PIN));
    check_certificates(f);
    assert_int_equal(command(f, "--", output), 1);
    assert_non_null(strstr(output, "touchmark ceremony: this ceremony is finished"));
    write_text(f->file, "environment: lab\n");
    assert_int_equal(command(f, "--", output), 78);
    assert_non_null(strstr(output, "ceremony.yaml:1: environment"));
    assert_int_equal(command(f, "--nonsense", output), 64);
}

/* ---- rehearsals ---- */

static size_t files_in(const char *path) {
    DIR *folder = opendir(path);
    size_t count = 0;
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    assert_int_equal(closedir(folder), 0);
    return count - 2;
}

/* Rehearses, and looks that nothing of the fixture is touched and nothing is left in the folder
 * for temporary files. */
static int rehearse(struct fixture *f, char output[OUTPUT_MAX]) {
    char temporary[160], tokens[160];
    path_of(f, "tmp", temporary);
    path_of(f, "tokens", tokens);
    (void)mkdir(temporary, 0700);
    assert_int_equal(setenv("TMPDIR", temporary, 1), 0);
    size_t tokens_before = files_in(tokens);
    int code = command(f, "--rehearse", output);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_int_equal(files_in(temporary), 0);
    assert_int_equal(files_in(tokens), tokens_before);
    assert_false(exists(f, "transcript.yaml"));
    return code;
}

static void a_rehearsal_leaves_nothing(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX];
    /* Tokens of other makers, PINs from a terminal: on the day. */
    write_plan(f, "environment: prod\n",
               "tokens:\n"
               "  - {name: vault, module: /opt/hsm/p11.so, label: same, pin: prompt}\n"
               "  - {name: works, module: /opt/other/p11.so, label: same, pin: prompt}\n",
               root_yaml, quick_yaml);
    assert_int_equal(rehearse(f, output), 0);
    assert_non_null(strstr(output, "certificate written: legacy\n"));
    assert_non_null(strstr(output, "ca/factory.pem: CN=Acme Factory,OU=Year 2026,OU=Factory 1,"
                                   "OU=Product Kettle,OU=Environment test, until "));
    assert_non_null(strstr(output, "key \"factory-ocsp\" on token works: P-256 for CA factory, "
                                   "OCSP answers\n"));
    assert_false(exists(f, "ca"));
}

static void a_rehearsal_refuses_what_the_day_would(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX];
    write_plan(f, "environment: test\n", tokens_yaml, ROOT(SUBJECT "  years: 3\n"), quick_yaml);
    assert_int_equal(rehearse(f, output), 1);
    assert_non_null(strstr(output, "rehearsal: CA factory would outlive its root"));
    char path[160];
    path_of(f, "ca", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(f, "ca/legacy.pem", path);
    write_text(path, "");
    write_quick_plan(f);
    assert_int_equal(rehearse(f, output), 1);
    assert_non_null(strstr(output, "ca/legacy.pem exists already"));
}

/* With the first ceremony's tokens in the safe: certificates are all it needs. */
static void roots_that_exist_are_stood_in_for(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX], path[160], moved[160];
    write_quick_plan(f);
    done(f);
    path_of(f, "transcript.yaml", path);
    path_of(f, "first.yaml", moved);
    assert_int_equal(rename(path, moved), 0);
    static const char tokens[] =
        "tokens:\n"
        "  - {name: vault, module: /opt/hsm/p11.so, label: acme-root, pin: prompt}\n"
        "  - {name: works, module: /opt/hsm/p11.so, label: acme-works, pin: prompt}\n";
    static const char next[] = "intermediates:\n"
                               "  - name: next\n"
                               "    token: works\n"
                               "    key_label: next-key\n"
                               "    subject: [{type: CN, value: Acme Factory 2}]\n"
                               "    years: 20\n";
    write_plan(f, "environment: test\n", tokens,
               "root: {name: root, token: vault, key_label: root-key, certificate: ca/root.pem}\n",
               next);
    assert_int_equal(rehearse(f, output), 0);
    assert_non_null(strstr(output, "ca/next.pem: CN=Acme Factory 2"));
    write_plan(f, "environment: test\n", tokens,
               "root: {name: root-2, token: vault, key_label: root-key-2, years: 30}\n"
               "previous_root: {token: vault, key_label: root-key, certificate: ca/root.pem}\n",
               next);
    assert_int_equal(rehearse(f, output), 0);
    assert_non_null(strstr(output, "ca/root-2-new-with-old.pem: CN=Acme Root,OU=Environment test,"
                                   "O=Acme, until "));
    write_plan(f, "environment: prod\n", tokens,
               "root: {name: root, token: vault, key_label: root-key, certificate: ca/root.pem}\n",
               next);
    assert_int_equal(rehearse(f, output), 1);
    assert_non_null(strstr(output, "is not of the environment prod"));
}

/* ---- transcripts ---- */

static int show(const struct fixture *f, const char *name, char output[OUTPUT_MAX]) {
    char path[160];
    path_of(f, name, path);
    return command_on(path, "--show", output);
}

static void a_transcript_is_held_against_its_files(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX], path[160], other[160];
    write_quick_plan(f);
    done(f);
    assert_int_equal(show(f, "transcript.yaml", output), 0);
    assert_int_equal(count_of(output, "ca/root.pem: as recorded\n"), 1);
    assert_int_equal(count_of(output, ": as recorded\n"), 3);
    assert_non_null(strstr(output, "key \"factory-ocsp\" of CA factory for OCSP answers on token "
                                   "works: P-256\n"));
    assert_non_null(strstr(output, "certificate factory: product Kettle, factory 1, year 2026\n"));
    assert_non_null(strstr(output, "ceremony finished\n"));
    /* Another certificate in the place of one that was made. */
    path_of(f, "ca/legacy.pem", path);
    path_of(f, "legacy.kept", other);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(show(f, "transcript.yaml", output), 0);
    assert_non_null(strstr(output, "ca/legacy.pem: not here\n"));
    AUTO_MEM char *factory = read_text(f, "ca/factory.pem");
    write_text(path, factory);
    assert_int_equal(show(f, "transcript.yaml", output), 1);
    assert_non_null(strstr(output, "ca/legacy.pem: NOT WHAT WAS RECORDED\n"));
}

/* On the auditor's machine it all lies elsewhere. */
static void a_transcript_finds_files_that_moved_with_it(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX], path[160], moved[160];
    write_quick_plan(f);
    done(f);
    path_of(f, "audit", moved);
    assert_int_equal(mkdir(moved, 0700), 0);
    path_of(f, "transcript.yaml", path);
    path_of(f, "audit/t.yaml", moved);
    assert_int_equal(rename(path, moved), 0);
    path_of(f, "ca", path);
    path_of(f, "audit/ca", moved);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(show(f, "audit/t.yaml", output), 0);
    assert_int_equal(count_of(output, ": as recorded\n"), 3);
    assert_int_equal(count_of(output, "audit/ca/"), 3);
}

static void an_unfinished_transcript_says_so(void **state) {
    struct fixture *f = *state;
    char output[OUTPUT_MAX], path[160];
    write_quick_plan(f);
    run_until(f, "certificate written: root");
    path_of(f, "transcript.yaml", path);
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    assert_true(fputs("  - step: torn", out) >= 0);
    assert_int_equal(fclose(out), 0);
    AUTO_MEM char *before = read_text(f, "transcript.yaml");
    assert_int_equal(show(f, "transcript.yaml", output), 1);
    assert_non_null(strstr(output, "the ceremony is NOT FINISHED\n"));
    AUTO_MEM char *after = read_text(f, "transcript.yaml");
    assert_string_equal(before, after);
    done(f);
    assert_int_equal(show(f, "transcript.yaml", output), 0);
    assert_non_null(strstr(output, "ceremony resumed on "));
    assert_int_equal(show(f, "ceremony.yaml", output), 1);
    assert_non_null(strstr(output, "is no transcript"));
}

static void the_sample_is_a_good_plan(void **state) {
    struct fixture *f = *state;
    struct ca_ceremony plan;
    const char *sample = getenv("TM_CEREMONY_SAMPLE");
    assert_non_null(sample);
    if (ca_ceremony_load(sample, &plan, f->error))
        fail_msg("%s", f->error);
    assert_int_equal(plan.tokens.count, 2);
    assert_string_equal(((struct ca_ceremony_token *)plan.tokens.items)[0].pin, "prompt");
    assert_int_equal(strlen(plan.input_sha256), 64);
    ca_ceremony_free(&plan);
}

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(end_to_end, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_overwritten, setup, teardown),
        cmocka_unit_test_setup_teardown(another_ceremonys_transcript_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_existing_root_signs_more, setup, teardown),
        cmocka_unit_test_setup_teardown(production_wants_more_than_files, setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_may_live_in_another_softhsm, setup, teardown),
        cmocka_unit_test_setup_teardown(ed25519_is_another_type_of_key, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_pins_make_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_files_name_their_line, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_anywhere_it_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_many_times_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_entry_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_resumed_ceremony_trusts_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_key_is_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_at_the_removal_too_it_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_recorded_key_is_never_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_a_leftover_is_not_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_foreign_public_key_is_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_label_that_becomes_occupied_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_command_says_what_it_does, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rehearsal_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rehearsal_refuses_what_the_day_would, setup, teardown),
        cmocka_unit_test_setup_teardown(roots_that_exist_are_stood_in_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transcript_is_held_against_its_files, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transcript_finds_files_that_moved_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unfinished_transcript_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(the_sample_is_a_good_plan, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
