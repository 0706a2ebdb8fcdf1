/* SPDX-License-Identifier: Apache-2.0 */
#include "service_rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "store/store.h"

static int64_t wall_override;

int64_t rig_now_ms(void) {
    return wall_override ? wall_override : clock_wall_ms();
}
void rig_set_clock(int64_t wall_ms) {
    wall_override = wall_ms;
}

/* ---- a CA whose key is on the token, under a root in memory ---- */

static void extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_true(X509_add_ext(cert, e, -1));
    X509_EXTENSION_free(e);
}

static X509 *ca_certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                            long serial) {
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_true(X509_set_version(cert, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
    assert_non_null(X509_time_adj_ex(X509_getm_notAfter(cert), 365 * 20, 0, NULL));
    assert_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                           (const unsigned char *)name, -1, -1, 0));
    assert_true(X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)));
    assert_true(X509_set_pubkey(cert, key));
    extension(cert, issuer ? issuer : cert, NID_basic_constraints, "critical,CA:TRUE");
    extension(cert, issuer ? issuer : cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    extension(cert, issuer ? issuer : cert, NID_subject_key_identifier, "hash");
    extension(cert, issuer ? issuer : cert, NID_authority_key_identifier, "keyid");
    assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

static void write_pem(const char *folder, const char *name, X509 *cert, char path[192]) {
    (void)snprintf(path, 192, "%s/%s.pem", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(PEM_write_X509(f, cert));
    assert_int_equal(fclose(f), 0);
}

static EVP_PKEY *token_key(struct rig *rig) {
    char text[HSM_TEXT_MAX];
    struct hsm_token_config config = {SOFTHSM_MODULE, "issuing"};
    struct hsm_token *token;
    struct hsm_key *key;
    (void)rig;
    assert_int_equal(hsm_token_init(&config, SOFTHSM_SO_PIN, SOFTHSM_PIN, text), TM_OK);
    assert_int_equal(hsm_token_open(&config, SOFTHSM_PIN, &token, text), TM_OK);
    assert_int_equal(hsm_key_generate(token, HSM_KEY_P256, "mfg", text), TM_OK);
    assert_int_equal(hsm_key_find(token, "mfg", &key, text), TM_OK);
    const unsigned char *p = hsm_key_spki(key).p;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &p, (long)hsm_key_spki(key).n);
    assert_non_null(public);
    hsm_token_close(token);
    return public;
}

static void make_issuer(struct rig *rig) {
    char cert_path[192], root_path[192], text[IPC_TEXT_MAX + 1];
    EVP_PKEY *root_key = EVP_EC_gen("P-256"), *key = token_key(rig);
    X509 *root = ca_certificate("Test Root", root_key, NULL, root_key, 1);
    X509 *cert = ca_certificate("Test Manufacturing CA", key, root, root_key, 2);
    write_pem(rig->hsm.folder, "root", root, root_path);
    write_pem(rig->hsm.folder, "mfg", cert, cert_path);
    rig->setup.issuers = calloc(1, sizeof *rig->setup.issuers);
    assert_int_equal(ca_issuer_load("mfg", cert_path, root_path, &rig->setup.issuers[0], text),
                     TM_OK);
    rig->setup.issuer_count = 1;
    rig->setup.uses = calloc(1, sizeof *rig->setup.uses);
    rig->setup.tokens = calloc(1, sizeof *rig->setup.tokens);
    assert_non_null(rig->setup.uses);
    assert_non_null(rig->setup.tokens);
    rig->setup.tokens[0] = (struct core_token){.name = "issuing", .watchdog_ms = 5000};
    rig->setup.token_count = 1;
    X509_free(root);
    X509_free(cert);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(key);
}

/* ---- labels ---- */

static const char idevid_yaml[] =
    "kind: idevid\nkeys: [p256, p384]\nsubject:\n  - {type: CN, value: \"{id}\"}\n"
    "  - {type: serialNumber, value: \"{id}\"}\n"
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\n"
    "not_after: 99991231235959Z\ncredentials: [secret]\nlink: optional\n"
    "states: [registered, provisioning]\nnext_state: manufactured\n"
    "existing: refuse\nreenroll: false\n";
#define LDEVID_YAML                                                                                \
    "kind: ldevid\nkeys: [p256, p384]\nsubject:\n  - {type: CN, value: \"{id}\"}\n"                \
    "  - {type: serialNumber, value: \"{id}\"}\n"                                                  \
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 365d\n"                 \
    "credentials: [secret, idevid, ldevid]\n"                                                      \
    "states: [registered, manufactured, activated]\nnext_state: activated\n"                       \
    "existing: supersede\nreenroll: true\nrenew_by_enroll: true\ngrace: 30d\nretry_window: 24h\n"
#define KEYGEN_YAML                                                                                \
    "kind: ldevid\nsubject:\n  - {type: CN, value: \"{id}\"}\next_key_usage: [clientAuth]\n"       \
    "validity: 365d\ncredentials: [secret, idevid, ldevid]\nexisting: supersede\n"                 \
    "states: [registered, manufactured, activated]\nnext_state: activated\nreenroll: true\n"       \
    "retry_window: 24h\n"
static const char keygen_yaml[] =
    KEYGEN_YAML "keys: [p256, p384, ed25519]\nkey_usage: [digitalSignature]\nserver_keygen: tls\n";
static const char sealed_yaml[] = KEYGEN_YAML
    "keys: [p256, p384]\nkey_usage: [digitalSignature, keyAgreement]\nserver_keygen: encrypted\n";
static const char rsa_yaml[] =
    KEYGEN_YAML "keys: [rsa2048]\nkey_usage: [digitalSignature, keyEncipherment]\n";
/* A station's own certificate, and what stations have issued. */
static const char station_yaml[] =
    "kind: ldevid\nkeys: [p256]\nsubject:\n  - {type: CN, value: \"{id}\"}\n"
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth, cmcRA]\nvalidity: 365d\n"
    "credentials: [secret]\nlink: 'off'\nstates: [registered, activated]\n"
    "next_state: activated\nexisting: supersede\nreenroll: true\n";
static const char factory_yaml[] =
    "kind: idevid\nkeys: [p256]\nsubject:\n  - {type: CN, value: \"{id}\"}\n"
    "  - {type: serialNumber, value: \"{id}\"}\n"
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\n"
    "not_after: 99991231235959Z\ncredentials: [ra]\nlink: 'off'\n"
    "states: [registered, provisioning]\nnext_state: manufactured\n"
    "existing: refuse\nreenroll: false\n";
static const char ldevid_yaml[] = LDEVID_YAML "link: optional\n";
static const char strict_yaml[] = LDEVID_YAML "link: required\n";

static void load_profile(struct rig *rig, size_t i, const char *path, const char *yaml) {
    char error[CONF_ERROR_MAX];
    enum tm_err err =
        ca_profile_load_text(yaml, strlen(yaml), path, &rig->setup.profiles[i], error);
    if (err)
        fail_msg("%s", error);
    rig->setup.profile_count++;
}

static void make_labels(struct rig *rig) {
    struct core_setup *s = &rig->setup;
    s->profiles = calloc(8, sizeof *s->profiles);
    s->tenants = calloc(2, sizeof *s->tenants);
    s->anchors = calloc(2, sizeof *s->anchors);
    s->labels = calloc(9, sizeof *s->labels);
    load_profile(rig, 0, "idevid.yaml", idevid_yaml);
    load_profile(rig, 1, "ldevid.yaml", ldevid_yaml);
    load_profile(rig, 2, "strict.yaml", strict_yaml);
    load_profile(rig, 3, "keygen.yaml", keygen_yaml);
    load_profile(rig, 4, "sealed.yaml", sealed_yaml);
    load_profile(rig, 5, "rsa.yaml", rsa_yaml);
    load_profile(rig, 6, "station.yaml", station_yaml);
    load_profile(rig, 7, "factory.yaml", factory_yaml);
    s->tenants[0] = (struct ca_tenant){.name = "acme", .issuer = &s->issuers[0]};
    s->tenants[1] = (struct ca_tenant){.name = "other", .issuer = &s->issuers[0]};
    s->tenant_count = 2;
    s->labels[0] = (struct ca_label){"idevid", &s->tenants[0], &s->profiles[0], false};
    s->labels[1] = (struct ca_label){"ldevid", &s->tenants[0], &s->profiles[1], true};
    s->labels[2] = (struct ca_label){"strict", &s->tenants[0], &s->profiles[2], false};
    s->labels[3] = (struct ca_label){"elsewhere", &s->tenants[1], &s->profiles[1], false};
    s->labels[4] = (struct ca_label){"keygen", &s->tenants[0], &s->profiles[3], false};
    s->labels[5] = (struct ca_label){"sealed", &s->tenants[0], &s->profiles[4], false};
    s->labels[6] = (struct ca_label){"rsa", &s->tenants[0], &s->profiles[5], false};
    s->labels[7] = (struct ca_label){"station", &s->tenants[0], &s->profiles[6], false};
    s->labels[8] = (struct ca_label){"factory", &s->tenants[0], &s->profiles[7], false};
    s->label_count = 9;
}

/* ---- the signer ---- */

static void signer_dead(void *arg, const char *text) {
    (void)arg;
    (void)fprintf(stderr, "signer: %s\n", text);
    abort();
}

static void count_distrust(void *arg, unsigned token) {
    assert_int_equal(token, 0);
    ((struct rig *)arg)->distrusted++;
}

void rig_signer_start(struct rig *rig) {
    char text[HSM_TEXT_MAX];
    int fds[2];
    rig->hsm_issuer =
        (struct hsm_signer_issuer){.issuer = &rig->setup.issuers[0], .key_label = "mfg"};
    struct hsm_signer_config config = {.token = {SOFTHSM_MODULE, "issuing"},
                                       .issuers = &rig->hsm_issuer,
                                       .issuer_count = 1,
                                       .profiles = rig->setup.profiles,
                                       .profile_count = rig->setup.profile_count,
                                       .threads = 2,
                                       .watchdog_ms = 20000,
                                       .dead = signer_dead};
    enum tm_err err = hsm_signer_open(&config, SOFTHSM_PIN, &rig->signer, text);
    if (err)
        fail_msg("%s", text);
    assert_int_equal(ipc_pair(fds), TM_OK);
    assert_int_equal(hsm_signer_link(rig->signer, fds[0]), TM_OK);
    core_signer_linked(rig->signer_link, 0, fds[1]);
}

void rig_signer_stop(struct rig *rig) {
    hsm_signer_close(rig->signer);
    rig->signer = NULL;
}

/* ---- the whole ---- */

static void store_fatal(void *arg, const char *text) {
    (void)arg;
    fail_msg("store: %s", text);
}

static void set_flag(void *arg, enum tm_err result) {
    assert_int_equal(result, TM_OK);
    *(bool *)arg = true;
}

/* Runs the loop until *done, at most a minute. */
struct until {
    struct loop *loop;
    bool (*done)(void *arg);
    void *arg;
    int64_t give_up;
    bool late;
};

static void until_round(void *arg) {
    struct until *until = arg;
    until->late = clock_mono_ms() > until->give_up;
    if (until->done(until->arg) || until->late)
        loop_stop(until->loop);
}

static void until_timer(void *arg) {
    (void)arg;
}

static void run_until(struct loop *loop, bool (*done)(void *), void *arg) {
    if (done(arg))
        return;
    struct until until = {loop, done, arg, clock_mono_ms() + 60000, false};
    struct loop_timer timer = {.fn = until_timer};
    assert_int_equal(loop_timer_set(loop, &timer, until.give_up + 1), TM_OK);
    loop_after_round(loop, until_round, &until);
    assert_int_equal(loop_run(loop), TM_OK);
    loop_after_round(loop, NULL, NULL);
    loop_timer_stop(loop, &timer);
    assert_false(until.late);
}

static bool flag_set(void *arg) {
    return *(bool *)arg;
}

static void count_alarm(void *arg, const char *text) {
    assert_true(text[0]);
    ((struct rig *)arg)->alarms++;
}

void rig_open(struct rig *rig) {
    char text[IPC_TEXT_MAX + 1];
    memset(rig, 0, sizeof *rig);
    softhsm_setup(&rig->hsm);
    (void)snprintf(rig->store_path, sizeof rig->store_path, "%s/store", rig->hsm.folder);
    make_issuer(rig);
    make_labels(rig);
    assert_int_equal(loop_new(&rig->loop), TM_OK);
    assert_int_equal(store_create(rig->store_path, "test", text), TM_OK);
    struct store_config store = {.path = rig->store_path,
                                 .environment = "test",
                                 .map_size = 16 << 20,
                                 .max_map_size = 64 << 20,
                                 .queue_max = 4096,
                                 .fatal = store_fatal};
    assert_int_equal(store_open(rig->loop, &store, &rig->store, text), TM_OK);
    const struct core_signer_config signer = {.loop = rig->loop,
                                              .setup = &rig->setup,
                                              .queue = 256,
                                              .distrust = count_distrust,
                                              .arg = rig};
    assert_int_equal(core_signer_new(&signer, &rig->signer_link), TM_OK);
    char key_path[192];
    (void)snprintf(key_path, sizeof key_path, "%s/wrap.key", rig->hsm.folder);
    assert_int_equal(ca_wrap_open(key_path, &rig->wrap, text), TM_OK);
    rig->registry =
        (struct ca_registry){.store = rig->store, .wrap = rig->wrap, .now_ms = rig_now_ms};
    const struct ca_jobs_config jobs = {.store = rig->store,
                                        .registry = &rig->registry,
                                        .now_ms = rig_now_ms,
                                        .alarm = count_alarm,
                                        .arg = rig};
    assert_int_equal(ca_jobs_new(&jobs, &rig->jobs), TM_OK);
    assert_int_equal(ca_jobs_load(rig->jobs), TM_OK);
    rig->config = (struct ca_service_config){.labels = rig->setup.labels,
                                             .label_count = rig->setup.label_count,
                                             .wrap = rig->wrap,
                                             .jobs = rig->jobs,
                                             .queue = 256,
                                             .refusals_per_second = 1000,
                                             .request_timeout_ms = 60000,
                                             .now_ms = rig_now_ms};
    assert_int_equal(ca_service_new(&rig->config, rig->store,
                                    core_signer_interface(rig->signer_link), &rig->service),
                     TM_OK);
    rig_signer_start(rig);
    bool ready = false;
    assert_int_equal(ca_service_recover(rig->service, set_flag, &ready), TM_OK);
    run_until(rig->loop, flag_set, &ready);
}

void rig_close(struct rig *rig) {
    assert_int_equal(ca_service_active(rig->service), 0);
    store_close(rig->store);
    hsm_signer_close(rig->signer);
    core_signer_free(rig->signer_link);
    ca_service_free(rig->service);
    ca_jobs_free(rig->jobs);
    ca_wrap_free(rig->wrap);
    core_setup_free(&rig->setup);
    loop_free(rig->loop);
    softhsm_teardown(&rig->hsm);
    rig_set_clock(0);
}

int rig_setup(void **state) {
    struct rig *rig = malloc(sizeof *rig);
    assert_non_null(rig);
    rig_open(rig);
    *state = rig;
    return 0;
}

int rig_teardown(void **state) {
    rig_check_store(*state);
    rig_close(*state);
    free(*state);
    return 0;
}

/* ---- devices ---- */

struct registry_answer {
    bool done;
    char secret[CA_SECRET_TEXT];
};

static void registry_done(void *arg, enum tm_err result, const char *text,
                          const struct ca_device *device, const char *secret) {
    struct registry_answer *answer = arg;
    if (result)
        fail_msg("%s", text);
    assert_non_null(device);
    (void)snprintf(answer->secret, sizeof answer->secret, "%s", secret ? secret : "");
    answer->done = true;
}

void rig_device_add(struct rig *rig, const char *id, char ret_secret[CA_SECRET_TEXT]) {
    struct ca_device device;
    struct registry_answer answer = {0};
    memset(&device, 0, sizeof device);
    (void)snprintf(device.tenant, sizeof device.tenant, "acme");
    (void)snprintf(device.id, sizeof device.id, "%s", id);
    assert_int_equal(ca_registry_add(&rig->registry, &device, "test", registry_done, &answer),
                     TM_OK);
    run_until(rig->loop, flag_set, &answer.done);
    answer.done = false;
    assert_int_equal(
        ca_registry_secret(&rig->registry, "acme", id, 3600000, "test", registry_done, &answer),
        TM_OK);
    run_until(rig->loop, flag_set, &answer.done);
    (void)strcpy(ret_secret, answer.secret);
}

void rig_transition(struct rig *rig, const char *id, enum ca_state to) {
    struct registry_answer answer = {0};
    assert_int_equal(
        ca_registry_transition(&rig->registry, "acme", id, to, "", "test", registry_done, &answer),
        TM_OK);
    run_until(rig->loop, flag_set, &answer.done);
}

void rig_revoke(struct rig *rig, const struct ca_serial *serial) {
    struct registry_answer answer = {0};
    assert_int_equal(
        ca_registry_revoke(&rig->registry, serial, 1, "test", "test", registry_done, &answer),
        TM_OK);
    run_until(rig->loop, flag_set, &answer.done);
}

/* ---- requests ---- */

static void set_subject(X509_REQ *req, const char *cn) {
    X509_NAME *name = X509_REQ_get_subject_name(req);
    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
                                           -1, 0));
    assert_true(X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_UTF8,
                                           (const unsigned char *)cn, -1, -1, 0));
}

static void ask_extension(X509_REQ *req, int nid, const char *value) {
    STACK_OF(X509_EXTENSION) *list = NULL;
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    assert_non_null(X509v3_add_ext(&list, e, -1));
    assert_true(X509_REQ_add_extensions(req, list));
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    X509_EXTENSION_free(e);
}

static void ask_dns(X509_REQ *req, const char *dns) {
    char value[128];
    (void)snprintf(value, sizeof value, "DNS:%s", dns);
    ask_extension(req, NID_subject_alt_name, value);
}

static void ask_key_id(X509_REQ *req, struct bytes key_id) {
    char hex[80];
    assert_int_equal(hex_encode(key_id, hex, sizeof hex), TM_OK);
    ask_extension(req, NID_subject_key_identifier, hex);
}

size_t rig_make_csr(const struct rig_request *wish, struct bytes key_id, uint8_t **ret) {
    X509_REQ *req = X509_REQ_new();
    assert_non_null(req);
    if (wish->cn)
        set_subject(req, wish->cn);
    if (wish->dns)
        ask_dns(req, wish->dns);
    if (key_id.n)
        ask_key_id(req, key_id);
    if (wish->challenge)
        assert_true(X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, MBSTRING_UTF8,
                                              (const unsigned char *)wish->challenge, -1));
    assert_true(X509_REQ_set_pubkey(req, wish->key));
    assert_true(X509_REQ_sign(req, wish->key, EVP_sha256()) > 0);
    *ret = NULL;
    int n = i2d_X509_REQ(req, ret);
    assert_true(n > 0);
    X509_REQ_free(req);
    return (size_t)n;
}

static void take_answer(void *arg, const struct ipc_reply *reply) {
    struct rig_answer *answer = arg;
    assert_false(answer->done);
    answer->outcome = (enum ipc_outcome)reply->outcome;
    answer->retry_after_s = reply->retry_after_s;
    (void)strcpy(answer->text, reply->text);
    assert_true(reply->certificate.n <= sizeof answer->der);
    if (reply->certificate.n)
        memcpy(answer->der, reply->certificate.p, reply->certificate.n);
    answer->der_n = reply->certificate.n;
    assert_true(reply->cmc.n <= sizeof answer->cmc);
    if (reply->cmc.n)
        memcpy(answer->cmc, reply->cmc.p, reply->cmc.n);
    answer->cmc_n = reply->cmc.n;
    assert_true(reply->key.n <= sizeof answer->key);
    if (reply->key.n)
        memcpy(answer->key, reply->key.p, reply->key.n);
    answer->key_n = reply->key.n;
    answer->key_encrypted = reply->key_encrypted;
    answer->done = true;
}

static uint64_t next_id(void) {
    static uint64_t id;
    return ++id;
}

void rig_send_cmc(struct rig *rig, const char *label, struct bytes message, struct bytes tls_leaf,
                  struct rig_answer *answer) {
    struct ipc_enroll enroll = {.id = next_id(),
                                .operation = IPC_OP_FULLCMC,
                                .origin = tls_leaf.n ? IPC_ORIGIN_HTTPS : IPC_ORIGIN_MQTT,
                                .peer_leaf = tls_leaf,
                                .csr = message};
    (void)snprintf(enroll.label, sizeof enroll.label, "%s", label);
    (void)snprintf(enroll.remote, sizeof enroll.remote, "plant/line");
    memset(answer, 0, sizeof *answer);
    ca_service_enroll(rig->service, &enroll, take_answer, answer);
}

void rig_send(struct rig *rig, const struct rig_request *request, struct rig_answer *answer) {
    uint8_t *der = NULL;
    struct ipc_enroll message = {.id = next_id(),
                                 .operation = request->keygen     ? IPC_OP_SERVERKEYGEN
                                              : request->reenroll ? IPC_OP_REENROLL
                                                                  : IPC_OP_ENROLL,
                                 .origin = IPC_ORIGIN_HTTPS,
                                 .peer_leaf = request->certificate,
                                 .tls_exporter = request->exporter,
                                 .csr = request->csr};
    if (!message.csr.n) {
        message.csr.n = rig_make_csr(request, (struct bytes){0}, &der);
        message.csr.p = der;
    }
    (void)snprintf(message.label, sizeof message.label, "%s", request->label);
    (void)snprintf(message.remote, sizeof message.remote, "192.0.2.1:4711");
    if (request->user)
        (void)snprintf(message.user, sizeof message.user, "%s", request->user);
    if (request->secret)
        message.secret = bytes_str(request->secret);
    memset(answer, 0, sizeof *answer);
    ca_service_enroll(rig->service, &message, take_answer, answer);
    OPENSSL_free(der);
}

struct answers {
    struct rig_answer *items;
    size_t n;
};

static bool all_there(void *arg) {
    const struct answers *answers = arg;
    for (size_t i = 0; i < answers->n; i++)
        if (!answers->items[i].done)
            return false;
    return true;
}

void rig_wait(struct rig *rig, struct rig_answer *answers, size_t n) {
    struct answers all = {answers, n};
    run_until(rig->loop, all_there, &all);
}

void rig_enroll(struct rig *rig, const struct rig_request *request, struct rig_answer *answer) {
    rig_send(rig, request, answer);
    rig_wait(rig, answer, 1);
}

void rig_assert_outcome(const struct rig_answer *answer, enum ipc_outcome outcome) {
    if (answer->outcome != outcome)
        fail_msg("%s (%s), not %s", ipc_outcome_name(answer->outcome), answer->text,
                 ipc_outcome_name(outcome));
}

/* ---- what is in the store ---- */

size_t rig_count(struct rig *rig, enum ca_cert_status status) {
    struct ca_serial cursor = {0};
    struct ca_certificate certificate;
    uint8_t der[IPC_CERT_MAX];
    size_t n = 0;
    for (;;) {
        struct buf buf = BUF_ON(der);
        if (rig->store->ops->next_certificate(rig->store, &cursor, &certificate, &buf))
            return n;
        n += certificate.status == status;
    }
}

size_t rig_leaves(struct rig *rig, enum ca_event event, enum ipc_outcome outcome) {
    struct ca_leaf leaf;
    size_t n = 0;
    for (uint64_t i = 0; !rig->store->ops->leaf(rig->store, i, &leaf); i++)
        n += leaf.event == event && leaf.outcome == outcome;
    return n;
}

struct ca_leaf rig_last_leaf(struct rig *rig, enum ca_event event) {
    struct ca_leaf leaf, found = {0};
    for (uint64_t i = 0; !rig->store->ops->leaf(rig->store, i, &leaf); i++)
        if (leaf.event == event)
            found = leaf;
    assert_int_equal(found.event, event);
    return found;
}

static void print_fault(void *arg, const char *text) {
    (void)arg;
    (void)fprintf(stderr, "store: %s\n", text);
}

void rig_check_store(struct rig *rig) {
    assert_int_equal(rig->store->ops->check(rig->store, print_fault, NULL), TM_OK);
}
