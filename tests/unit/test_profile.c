/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: what the shipped ones say, what a wrong one is told, what the hash covers. */
#include "ca_fixture.h"

#include "ca/lifecycle.h"
#include "conf/value.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct ca_profile shipped(const char *file) {
    char path[512], error[CONF_ERROR_MAX] = "";
    struct ca_profile profile = {0};
    (void)snprintf(path, sizeof path, "%s/%s", SHIPPED_PROFILES, file);
    if (ca_profile_load(path, &profile, error))
        fail_msg("%s", error);
    return profile;
}

static void assert_attribute(const struct ca_profile *p, size_t i, const char *type,
                             const char *value) {
    const struct ca_profile_attribute *attributes = p->subject.items;
    assert_true(i < p->subject.count);
    assert_string_equal(attributes[i].type, type);
    assert_string_equal(attributes[i].value, value);
}

static void assert_one_purpose(const struct ca_profile *p, enum pki_oid purpose) {
    enum pki_oid purposes[PKI_EKU_MAX];
    assert_int_equal(ca_profile_purposes(p, purposes), 1);
    assert_int_equal(purposes[0], purpose);
}

static void shipped_idevid_is_for_life(void **ctx) {
    (void)ctx;
    struct ca_profile p = shipped("idevid.yaml");
    assert_string_equal(p.name, "idevid");
    assert_int_equal(p.kind, CA_KIND_IDEVID);
    assert_int_equal(p.keys, CA_KEY_P256 | CA_KEY_P384);
    assert_int_equal(p.subject.count, 2);
    assert_attribute(&p, 0, "CN", "{id}");
    assert_attribute(&p, 1, "serialNumber", "{id}");
    assert_true(p.not_after == INT64_C(253402300799000));
    assert_true(p.validity == 0);
    assert_null(p.hw_type);
    assert_null(p.crl_url);
    assert_int_equal(ca_profile_key_usage(&p), PKI_KU_DIGITAL_SIGNATURE);
    assert_one_purpose(&p, PKI_OID_KP_CLIENT_AUTH);
    assert_int_equal(p.credentials, CA_CRED_SECRET | CA_CRED_FOREIGN);
    assert_int_equal(p.states, 1u << CA_REGISTERED | 1u << CA_PROVISIONING);
    assert_int_equal(p.next_state, CA_MANUFACTURED);
    assert_int_equal(p.existing, CA_EXISTING_REFUSE);
    assert_int_equal(p.link, CA_LINK_OPTIONAL);
    assert_false(p.reenroll);
    assert_false(p.renew_by_enroll);
    ca_profile_free(&p);
}

static void shipped_ldevid_renews(void **ctx) {
    (void)ctx;
    struct ca_profile p = shipped("ldevid.yaml");
    assert_int_equal(p.kind, CA_KIND_LDEVID);
    assert_attribute(&p, 0, "CN", "{id}");
    assert_attribute(&p, 1, "serialNumber", "{id}");
    assert_true(p.validity == 365 * DAY_MS);
    assert_true(p.grace == 30 * DAY_MS);
    assert_true(p.retry_window == DAY_MS);
    assert_int_equal(p.san_uri.count, 0);
    assert_false(p.san_from_request);
    assert_one_purpose(&p, PKI_OID_KP_CLIENT_AUTH);
    assert_int_equal(p.credentials,
                     CA_CRED_SECRET | CA_CRED_IDEVID | CA_CRED_LDEVID | CA_CRED_FOREIGN);
    assert_int_equal(p.states, 1u << CA_REGISTERED | 1u << CA_MANUFACTURED | 1u << CA_STOCKED |
                                   1u << CA_SHIPPED | 1u << CA_ACTIVATED | 1u << CA_REFURBISHED);
    assert_int_equal(p.next_state, CA_ACTIVATED);
    assert_int_equal(p.existing, CA_EXISTING_SUPERSEDE);
    assert_true(p.reenroll);
    assert_true(p.renew_by_enroll);
    assert_false(p.change_subject);
    ca_profile_free(&p);
}

static void shipped_tls_server_is_for_nobody_else(void **ctx) {
    (void)ctx;
    struct ca_profile p = shipped("tls-server.yaml");
    assert_string_equal(p.name, "tls-server");
    assert_int_equal(p.kind, CA_KIND_TLS_SERVER);
    assert_true(p.validity == 90 * DAY_MS);
    assert_true(p.san_from_request);
    assert_one_purpose(&p, PKI_OID_KP_SERVER_AUTH);
    assert_int_equal(p.credentials, 0);
    assert_int_equal(p.states, 1u << CA_ACTIVATED);
    assert_int_equal(p.next_state, 0);
    ca_profile_free(&p);
}

static void shipped_cloud_proof_says_a_code_and_soon_nothing(void **ctx) {
    (void)ctx;
    struct ca_profile p = shipped("cloud-proof.yaml");
    assert_string_equal(p.name, "cloud-proof");
    assert_int_equal(p.kind, CA_KIND_PROOF);
    assert_int_equal(p.subject.count, 1);
    assert_attribute(&p, 0, "CN", "{id}");
    assert_true(p.validity == 7 * DAY_MS);
    assert_true(p.retry_window == p.validity);
    assert_int_equal(p.credentials, 0);
    assert_int_equal(p.ext_key_usage, 0);
    ca_profile_free(&p);
}

/* The kind proof, with one line replaced. */
static void a_proof_is_for_nothing_else(void **ctx) {
    (void)ctx;
    static const struct {
        const char *line, *says; /* the line whose key it has is left out */
    } rows[] = {
        {"subject: [{type: CN, value: \"x{id}\"}]", "CN \"{id}\" alone"},
        {"subject: [{type: UID, value: \"{id}\"}]", "CN \"{id}\" alone"},
        {"subject: [{type: CN, value: \"{id}\"}, {type: O, value: W}]", "CN \"{id}\" alone"},
        {"keys: [p256, p384]", "p256"},
        {"keys: [p384]", "p256"},
        {"key_usage: [digitalSignature, keyAgreement]", "digitalSignature"},
        {"ext_key_usage: [clientAuth]", "ext_key_usage"},
        {"san_uri: [\"urn:a:{id}\"]", "san_uri"},
        {"hw_type: 1.2.3", "hw_type"},
        {"san_from_request: true", "san_from_request"},
        {"crl_url: \"http://a.example/a.crl\"", "no URLs"},
        {"credentials: [secret]", "nobody can ask"},
        {"validity: 8d", "at most 7d"},
        {"retry_window: 1h", "retry_window"},
    };
    static const char *const good[] = {"keys: [p256]",
                                       "subject: [{type: CN, value: \"{id}\"}]",
                                       "key_usage: [digitalSignature]",
                                       "validity: 7d",
                                       "retry_window: 7d",
                                       "states: [activated]",
                                       "kind: proof"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[512], error[CONF_ERROR_MAX] = "";
        struct ca_profile profile = {0};
        size_t n = (size_t)snprintf(yaml, sizeof yaml, "%s\n", rows[i].line);
        for (size_t j = 0; j < sizeof good / sizeof good[0]; j++)
            if (strncmp(good[j], rows[i].line, strcspn(good[j], ":") + 1) != 0)
                n += (size_t)snprintf(yaml + n, sizeof yaml - n, "%s\n", good[j]);
        if (!ca_profile_load_text(yaml, n, "proof.yaml", &profile, error))
            fail_msg("accepted: %s", rows[i].line);
        assert_contains(error, rows[i].says);
    }
}

static void usage_and_purposes_keep_their_order(void **ctx) {
    (void)ctx;
    struct ca_profile p = ca_fixture_profile(
        "x.yaml", "kind: ldevid\nkeys: [rsa2048]\nsubject: [{type: CN, value: \"{id}\"}]\n"
                  "key_usage: [dataEncipherment, digitalSignature, keyEncipherment]\n"
                  "ext_key_usage: [cmcRA, codeSigning, serverAuth, clientAuth]\nvalidity: 1d\n"
                  "credentials: [secret]\nstates: [registered]\n");
    assert_int_equal(ca_profile_key_usage(&p),
                     PKI_KU_DIGITAL_SIGNATURE | PKI_KU_KEY_ENCIPHERMENT | PKI_KU_DATA_ENCIPHERMENT);
    enum pki_oid purposes[PKI_EKU_MAX];
    assert_int_equal(ca_profile_purposes(&p, purposes), 4);
    assert_int_equal(purposes[0], PKI_OID_KP_CLIENT_AUTH);
    assert_int_equal(purposes[1], PKI_OID_KP_SERVER_AUTH);
    assert_int_equal(purposes[2], PKI_OID_KP_CODE_SIGNING);
    assert_int_equal(purposes[3], PKI_OID_KP_CMC_RA);
    assert_string_equal(ca_profile_key_word(CA_KEY_P384), "p384");
    assert_string_equal(ca_profile_key_word(CA_KEY_RSA2048), "rsa2048");
    ca_profile_free(&p);
}

/* A good profile with one line replaced; `line` is the one that starts so. */
static void with_line(const char *line, const char *by, char *ret, size_t cap) {
    static const char good[] = "kind: ldevid\n"
                               "keys: [p256]\n"
                               "subject: [{type: CN, value: \"{id}\"}]\n"
                               "key_usage: [digitalSignature]\n"
                               "ext_key_usage: [clientAuth]\n"
                               "validity: 30d\n"
                               "credentials: [secret]\n"
                               "states: [manufactured]\n"
                               "next_state: activated\n"
                               "reenroll: true\n";
    size_t n = 0;
    bool found = false;
    for (const char *p = good; *p; p = strchr(p, '\n') + 1) {
        int length = (int)(strchr(p, '\n') - p);
        bool here = line && strncmp(p, line, strlen(line)) == 0;
        found |= here;
        n += (size_t)snprintf(ret + n, cap - n, "%.*s\n", here ? (int)strlen(by) : length,
                              here ? by : p);
    }
    if (!found && by)
        n += (size_t)snprintf(ret + n, cap - n, "%s\n", by);
    assert_true(n < cap);
}

static void what_cannot_be_issued_is_refused(void **ctx) {
    (void)ctx;
    static const struct {
        const char *line, *by, *says;
    } rows[] = {
        {"kind:", "kind: root", "kind"},
        {"kind:", "kind: idevid", "serialNumber"},
        {"keys:", "keys: []", "keys: none"},
        {"keys:", "keys: [dsa]", "p256"},
        {"subject:", "subject: []", "subject"},
        {"subject:", "subject: [{type: DC, value: \"{id}\"}]", "DC is not a type"},
        {"subject:", "subject: [{type: CN, value: \"{serial}\"}]", "unknown placeholder"},
        {"subject:", "subject: [{type: CN, value: \"{id\"}]", "unknown placeholder"},
        {"subject:", "subject: [{type: CN, value: \"id}\"}]", "unknown placeholder"},
        {"subject:", "subject: [{type: O, value: Works}]", "{id}"},
        {"subject:", "subject: [{type: CN, value: \"{id}\"}, {type: C, value: DEU}]",
         "longer than its upper bound"},
        {"subject:", "subject: [{type: CN, value: \"{id}\"}, {type: C, value: D}]", "too short"},
        {"subject:", "subject: [{type: serialNumber, value: \"{id}_x\"}]", "string type"},
        {"subject:", "subject: [{type: serialNumber, value: \"é{id}\"}]", "string type"},
        {"subject:",
         "subject: [{type: O, value: "
         "\"0123456789012345678901234567890123456789012345678901234567890123{id}\"}]",
         "upper bound"},
        {"hw_type:", "hw_type: acme", "hw_type"},
        {"hw_type:", "hw_type: 3.1.2", "hw_type"},
        {"san_uri:", "san_uri: [\"{id}\"]", "not absolute"},
        {"san_uri:", "san_uri: [\"urn:x:a b\"]", "character"},
        {"san_uri:", "san_uri: [\"urn:{name}\"]", "placeholder"},
        {"key_usage:", "key_usage: []", "key_usage"},
        {"key_usage:", "key_usage: [digitalSignature, keyCertSign]", "keyCertSign"},
        {"key_usage:", "key_usage: [digitalSignature, keyEncipherment]", "RFC 8813"},
        {"ext_key_usage:", "ext_key_usage: [serverAuth]", "clientAuth"},
        {"ext_key_usage:", "ext_key_usage: [any]", "clientAuth"},
        {"validity:", "backdate: 1m", "validity, not_after"},
        {"not_after:", "not_after: 2040-01-01T00:00:00Z", "validity, not_after"},
        {"validity:", "validity: 5s", "validity"},
        {"crl_url:", "crl_url: https://pki.example.com/a.crl", "RFC 5280, 8"},
        {"ocsp_url:", "ocsp_url: ldap://pki.example.com", "ocsp_url"},
        {"issuers_url:", "issuers_url: \"http://pki example\"", "issuers_url"},
        {"crl_url:", "crl_url: \"http://a.example/{id}.crl\"", "crl_url"},
        {"crl_url:", "crl_url: \"http://a.example/{shard.crl\"", "crl_url"},
        {"crl_url:", "crl_url: \"{issuer}/{shard}.crl\"", "not an http address"},
        {"ocsp_url:", "ocsp_url: \"http://a.example/{shard}\"", "ocsp_url"},
        {"issuers_url:", "issuers_url: \"http://a.example/{shard}\"", "issuers_url"},
        {"credentials:", "credentials: []", "credentials"},
        {"both:", "both: true", "both"},
        {"states:", "states: []", "states"},
        {"states:", "states: [suspended]", "suspended gets no certificate"},
        {"states:", "states: [stay]", "registered"},
        {"states:", "states: [provisioning]", "provisioning cannot become activated"},
        {"reenroll:", "grace: 30d", "grace"},
        {"reenroll:", "change_subject: true", "change_subject"},
        {"color:", "color: red", "color"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[1024], error[CONF_ERROR_MAX] = "";
        struct ca_profile profile = {.kind = 77};
        with_line(rows[i].line, rows[i].by, yaml, sizeof yaml);
        if (!ca_profile_load_text(yaml, strlen(yaml), "/etc/x/field.yaml", &profile, error))
            fail_msg("accepted: %s", rows[i].by);
        assert_contains(error, "field.yaml");
        assert_contains(error, rows[i].says);
        assert_int_equal(profile.kind, 77);
    }
}

static void kinds_have_demands_of_their_own(void **ctx) {
    (void)ctx;
    static const struct {
        const char *rest, *says;
    } rows[] = {
        {"kind: tls-server\next_key_usage: [serverAuth]\nvalidity: 1d\n", "RFC 9525"},
        {"kind: tls-server\nsan_from_request: true\next_key_usage: [clientAuth]\nvalidity: 1d\n",
         "needs serverAuth"},
        {"kind: tls-server\nsan_from_request: true\next_key_usage: [serverAuth]\nvalidity: 1d\n"
         "approval: true\n",
         "no approval could hold"},
        {"kind: idevid\nvalidity: 7300d\n", "IEEE 802.1AR, 8.5"},
        {"kind: idevid\nnot_after: 2099-01-01T00:00:00Z\n", "IEEE 802.1AR, 8.5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[512], error[CONF_ERROR_MAX] = "";
        struct ca_profile profile = {0};
        (void)snprintf(yaml, sizeof yaml,
                       "keys: [p256]\nsubject: [{type: serialNumber, value: \"{id}\"}]\n"
                       "key_usage: [digitalSignature]\ncredentials: [secret]\n"
                       "states: [registered]\n%s",
                       rows[i].rest);
        assert_int_equal(ca_profile_load_text(yaml, strlen(yaml), "k.yaml", &profile, error),
                         TM_EPARSE);
        assert_contains(error, rows[i].says);
    }
}

static void kinds_of_keys_bound_key_usage(void **ctx) {
    (void)ctx;
    static const struct {
        const char *keys, *usage, *says; /* NULL: good */
    } rows[] = {
        {"p256, p384", "digitalSignature, keyAgreement", NULL},
        {"rsa2048", "digitalSignature, keyEncipherment, dataEncipherment", NULL},
        {"ed25519", "digitalSignature, nonRepudiation", NULL},
        {"p256, rsa2048", "digitalSignature, nonRepudiation", NULL},
        {"rsa2048", "keyAgreement", "RFC 3279"},
        {"p256, rsa2048", "keyEncipherment", "RFC 8813"},
        {"p384", "dataEncipherment", "RFC 8813"},
        {"ed25519", "keyAgreement", "RFC 9295"},
        {"ed25519", "keyEncipherment", "RFC 9295"},
        {"mldsa65", "digitalSignature, keyAgreement", "RFC 9881"},
        {"p256, mldsa44", "keyAgreement", "RFC 9881"},
        {"mldsa87, rsa2048", "keyEncipherment", "RFC 9881"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[512], error[CONF_ERROR_MAX] = "";
        struct ca_profile profile = {0};
        (void)snprintf(yaml, sizeof yaml,
                       "kind: ldevid\nkeys: [%s]\nsubject: [{type: CN, value: \"{id}\"}]\n"
                       "key_usage: [%s]\nvalidity: 1d\ncredentials: [secret]\n"
                       "states: [registered]\n",
                       rows[i].keys, rows[i].usage);
        enum tm_err err = ca_profile_load_text(yaml, strlen(yaml), "k.yaml", &profile, error);
        if (!err != !rows[i].says)
            fail_msg("%s with %s: %s", rows[i].keys, rows[i].usage, error);
        if (rows[i].says)
            assert_contains(error, rows[i].says);
        ca_profile_free(&profile);
    }
}

static void the_file_names_the_profile(void **ctx) {
    (void)ctx;
    char yaml[1024], error[CONF_ERROR_MAX] = "";
    struct ca_profile profile = {0};
    with_line(NULL, NULL, yaml, sizeof yaml);
    static const char *const good[] = {"a.b_c~d-2.yaml", "/x/y/a.b_c~d-2.yaml", "a.b_c~d-2"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ca_profile_load_text(yaml, strlen(yaml), good[i], &profile, error), TM_OK);
        assert_string_equal(profile.name, "a.b_c~d-2");
        ca_profile_free(&profile);
        assert_null(profile.name);
    }
    static const char *const bad[] = {
        "a b.yaml", "/x/", "", "käse.yaml",
        "01234567890123456789012345678901234567890123456789012345678901234.yaml"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(ca_profile_load_text(yaml, strlen(yaml), bad[i], &profile, error),
                             TM_OK);
}

static void load_hash(const char *path, const char *yaml, uint8_t ret[CA_HASH_SIZE]) {
    struct ca_profile p = ca_fixture_profile(path, yaml);
    memcpy(ret, p.hash, CA_HASH_SIZE);
    ca_profile_free(&p);
}

static void hash_is_over_what_is_said_and_not_how(void **ctx) {
    (void)ctx;
    uint8_t base[CA_HASH_SIZE], other[CA_HASH_SIZE], zero[CA_HASH_SIZE] = {0};
    char yaml[1024];
    with_line(NULL, NULL, yaml, sizeof yaml);
    load_hash("p.yaml", yaml, base);
    assert_memory_not_equal(base, zero, sizeof base);
    load_hash("/else/where/p.yaml",
              "# other order, comments, defaults spelled out\n"
              "reenroll: true\nnext_state: activated\nstates:\n  - manufactured\n"
              "credentials: [secret]\nvalidity: 720h\nlink: optional\nbackdate: 300s\n"
              "ext_key_usage: [clientAuth]\nkey_usage: [digitalSignature]\n"
              "subject:\n  - value: \"{id}\"\n    type: CN\nkeys: [p256]\nkind: ldevid\n",
              other);
    assert_memory_equal(base, other, sizeof base);
    load_hash("q.yaml", yaml, other);
    assert_memory_not_equal(base, other, sizeof base);
}

#define EITHER_KIND                                                                                \
    "keys: [p256]\nsubject: [{type: CN, value: \"{id}\"}]\nsan_from_request: true\n"               \
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth, serverAuth]\nvalidity: 1d\n"       \
    "credentials: [secret]\nstates: [activated]\n"

static const struct {
    const char *key, *line, *by; /* line: which one is replaced, if not the key's own */
} changes[] = {
    {"keys:", NULL, "keys: [p256, p384]"},
    {"subject:", NULL, "subject: [{type: UID, value: \"{id}\"}]"},
    {"subject:", NULL, "subject: [{type: CN, value: \"x{id}\"}]"},
    {"subject:", NULL, "subject: [{type: CN, value: \"{id}\"}, {type: O, value: W}]"},
    {"hw_type:", NULL, "hw_type: 1.2.3"},
    {"san_uri:", NULL, "san_uri: [\"urn:a:{id}\"]"},
    {"san_uri:", NULL, "san_uri: [\"urn:a:{id}\", \"urn:b:{id}\"]"},
    {"san_from_request:", NULL, "san_from_request: true"},
    {"key_usage:", NULL, "key_usage: [digitalSignature, nonRepudiation]"},
    {"ext_key_usage:", NULL, "ext_key_usage: [clientAuth, codeSigning]"},
    {"validity:", NULL, "validity: 31d"},
    {"not_after:", "validity:", "not_after: 2040-01-01T00:00:00Z"},
    {"backdate:", NULL, "backdate: 1m"},
    {"crl_url:", NULL, "crl_url: http://a.example"},
    {"ocsp_url:", NULL, "ocsp_url: http://a.example"},
    {"issuers_url:", NULL, "issuers_url: http://a.example"},
    {"credentials:", NULL, "credentials: [secret, ldevid]"},
    {"both:", "credentials:", "credentials: [secret, ldevid]\nboth: true"},
    {"link:", NULL, "link: required"},
    {"states:", NULL, "states: [manufactured, stocked]"},
    {"next_state:", NULL, "next_state: stocked"},
    {"existing:", NULL, "existing: supersede"},
    {"reenroll:", NULL, "reenroll: false"},
    {"renew_by_enroll:", NULL, "renew_by_enroll: true"},
    {"change_subject:", NULL, "change_subject: true"},
    {"grace:", NULL, "grace: 1d"},
    {"retry_window:", NULL, "retry_window: 1h"},
    {"approval:", NULL, "approval: true"},
    {"server_keygen:", NULL, "server_keygen: tls"},
    {"server_keygen:", NULL, "server_keygen: encrypted"},
};
enum { CHANGE_COUNT = sizeof changes / sizeof changes[0] };

static void hash_changes_with_every_key(void **ctx) {
    (void)ctx;
    uint8_t hashes[CHANGE_COUNT + 1][CA_HASH_SIZE], kinds[2][CA_HASH_SIZE];
    char yaml[1024];
    with_line(NULL, NULL, yaml, sizeof yaml);
    load_hash("p.yaml", yaml, hashes[CHANGE_COUNT]);
    for (size_t i = 0; i < CHANGE_COUNT; i++) {
        with_line(changes[i].line ? changes[i].line : changes[i].key, changes[i].by, yaml,
                  sizeof yaml);
        load_hash("p.yaml", yaml, hashes[i]);
    }
    for (size_t i = 0; i <= CHANGE_COUNT; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(hashes[i], hashes[j], CA_HASH_SIZE) == 0)
                fail_msg("change %zu hashes as %zu: %s", i, j, changes[j].by);
    load_hash("p.yaml", "kind: ldevid\n" EITHER_KIND, kinds[0]);
    load_hash("p.yaml", "kind: tls-server\n" EITHER_KIND, kinds[1]);
    assert_memory_not_equal(kinds[0], kinds[1], CA_HASH_SIZE);
}

/* A key that nobody listed above would not be missed there. */
static void every_key_is_in_the_list(void **ctx) {
    (void)ctx;
    for (const struct conf_row *row = ca_profile_rows; row->key; row++) {
        size_t i = 0, n = strlen(row->key);
        while (i < CHANGE_COUNT && strncmp(changes[i].key, row->key, n) != 0)
            i++;
        if (i == CHANGE_COUNT && strcmp(row->key, "kind") != 0)
            fail_msg("no change of %s is tried", row->key);
    }
}

static void urls_must_fit_the_issuer(void **ctx) {
    (void)ctx;
    static const struct {
        const char *url; /* crl_url */
        unsigned shards;
        const char *status_url;
        const char *says; /* NULL: it fits */
    } rows[] = {
        {"http://a.example/{issuer}.crl", 0, "http://b.example", NULL},
        {"http://a.example/{issuer}-{shard}.crl", 7, NULL, NULL},
        {"http://a.example/{issuer}-{shard}.crl", 7, "http://a.example", NULL},
        {"http://a.example/{issuer}-{shard}.crl", 0, NULL, "crl_shards"},
        {"http://a.example/{issuer}-{shard}.crl", 7, "http://b.example", "published as http://b"},
        {"http://a.example/{shard}-{issuer}.crl", 7, "http://a.example", "published as http://a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[1024], line[128], error[CONF_ERROR_MAX] = "";
        struct ca_issuer issuer = {.name = "factory", .crl_shards = rows[i].shards};
        (void)snprintf(line, sizeof line, "crl_url: \"%s\"", rows[i].url);
        with_line("crl_url:", line, yaml, sizeof yaml);
        struct ca_profile profile = ca_fixture_profile("field.yaml", yaml);
        assert_int_equal(ca_profile_check_issuer(&profile, &issuer, rows[i].status_url, error),
                         rows[i].says == NULL);
        if (rows[i].says)
            assert_contains(error, rows[i].says);
        ca_profile_free(&profile);
    }
    struct ca_issuer long_name = {.crl_shards = 1};
    char yaml[1024], error[CONF_ERROR_MAX] = "", url[256] = "crl_url: \"http://a.example/";
    for (int i = 0; i < 20; i++)
        (void)strcat(url, "{issuer}");
    with_line("crl_url:", strcat(url, "\""), yaml, sizeof yaml);
    memset(long_name.name, 'n', sizeof long_name.name - 1);
    struct ca_profile profile = ca_fixture_profile("field.yaml", yaml);
    assert_false(ca_profile_check_issuer(&profile, &long_name, NULL, error));
    assert_contains(error, "too long");
    ca_profile_free(&profile);
}

/* Shown row by row and loaded again, a profile is the same: nothing of it is lost in showing it. */
static void what_is_shown_of_a_profile_is_all_of_it(void **ctx) {
    (void)ctx;
    static const char *const texts[] = {CA_FIXTURE_IDEVID, CA_FIXTURE_LDEVID, CA_FIXTURE_SERVER,
                                        CA_FIXTURE_LDEVID "backdate: 90s\ngrace: 36h\n"
                                                          "both: true\nlink: required\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ca_profile loaded = {0}, again;
        char error[CONF_ERROR_MAX] = "", yaml[4096];
        size_t n = 0;
        assert_int_equal(conf_load_text(texts[i], strlen(texts[i]), "x.yaml", ca_profile_rows,
                                        &loaded, sizeof loaded, error),
                         TM_OK);
        for (const struct conf_row *row = ca_profile_rows; row->key; row++) {
            char value[1024] = "";
            FILE *out = fmemopen(value, sizeof value, "w");
            assert_non_null(out);
            conf_value_show(row, (const char *)&loaded + row->offset, out);
            assert_int_equal(fclose(out), 0);
            if (value[0])
                n += (size_t)snprintf(yaml + n, sizeof yaml - n, "%s: %s\n", row->key, value);
            assert_true(n < sizeof yaml);
        }
        struct ca_profile first = ca_fixture_profile("x.yaml", texts[i]);
        again = ca_fixture_profile("x.yaml", yaml);
        assert_memory_equal(again.hash, first.hash, CA_HASH_SIZE);
        conf_free(ca_profile_rows, &loaded, sizeof loaded);
        ca_profile_free(&first);
        ca_profile_free(&again);
    }
}

static void a_missing_file_is_an_io_error(void **ctx) {
    (void)ctx;
    char error[CONF_ERROR_MAX] = "";
    struct ca_profile profile = {.kind = 5};
    assert_int_equal(ca_profile_load(SHIPPED_PROFILES "/nothing.yaml", &profile, error), TM_EIO);
    assert_contains(error, "nothing.yaml");
    assert_int_equal(profile.kind, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_idevid_is_for_life),
        cmocka_unit_test(shipped_ldevid_renews),
        cmocka_unit_test(shipped_tls_server_is_for_nobody_else),
        cmocka_unit_test(shipped_cloud_proof_says_a_code_and_soon_nothing),
        cmocka_unit_test(a_proof_is_for_nothing_else),
        cmocka_unit_test(usage_and_purposes_keep_their_order),
        cmocka_unit_test(what_cannot_be_issued_is_refused),
        cmocka_unit_test(kinds_have_demands_of_their_own),
        cmocka_unit_test(kinds_of_keys_bound_key_usage),
        cmocka_unit_test(the_file_names_the_profile),
        cmocka_unit_test(hash_is_over_what_is_said_and_not_how),
        cmocka_unit_test(hash_changes_with_every_key),
        cmocka_unit_test(every_key_is_in_the_list),
        cmocka_unit_test(urls_must_fit_the_issuer),
        cmocka_unit_test(what_is_shown_of_a_profile_is_all_of_it),
        cmocka_unit_test(a_missing_file_is_an_io_error),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
