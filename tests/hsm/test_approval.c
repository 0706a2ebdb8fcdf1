/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Approval (requirement A6) on a real store and a real token: what an officer's word is good for,
 * how long, and for which request alone.
 */
#include "ca/approval.h"

#include <openssl/x509v3.h>

#include "base/clock.h"
#include "cmc_rig.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

static struct bytes der_of(const struct rig_answer *a) {
    return (struct bytes){a->der, a->der_n};
}

/* ---- a device that asks ---- */

struct unit {
    char id[32];
    char secret[CA_SECRET_TEXT];
    EVP_PKEY *key;
    struct rig_request wish; /* of an LDevID, which takes approval */
    struct rig_answer answer;
    struct rig_answer idevid;
};

static void unit_open(struct rig *rig, const char *id, struct unit *u) {
    memset(u, 0, sizeof *u);
    (void)snprintf(u->id, sizeof u->id, "%s", id);
    u->key = EVP_EC_gen("P-256");
    rig_device_add(rig, id, u->secret);
    u->wish = (struct rig_request){
        .label = "ldevid", .user = u->id, .secret = u->secret, .key = u->key, .cn = u->id};
}

/* One that asks by its IDevID. */
static void unit_made(struct rig *rig, const char *id, struct unit *u) {
    unit_open(rig, id, u);
    u->wish.label = "idevid";
    rig_enroll(rig, &u->wish, &u->idevid);
    rig_assert_outcome(&u->idevid, IPC_ISSUED);
    u->wish = (struct rig_request){
        .label = "ldevid", .certificate = der_of(&u->idevid), .key = u->key, .cn = u->id};
}

static void unit_close(struct unit *u) {
    EVP_PKEY_free(u->key);
}

static void ask(struct rig *rig, struct unit *u, enum ipc_outcome outcome) {
    rig_enroll(rig, &u->wish, &u->answer);
    rig_assert_outcome(&u->answer, outcome);
}

/* ---- the officers ---- */

static uint8_t row_memory[CA_ROW_MEMORY_MAX];

/* Profiles have the names of their labels. */
static enum tm_err find_row_under(struct rig *rig, const char *id, const char *profile,
                                  struct ca_pending *ret) {
    struct buf memory = BUF_ON(row_memory);
    memset(ret, 0, sizeof *ret);
    TEXT_SET(ret->tenant, "acme");
    TEXT_SET(ret->device, id);
    TEXT_SET(ret->profile, profile);
    return rig->store->ops->row(rig->store, CA_TABLE_PENDING, ret, &memory);
}

static enum tm_err find_row(struct rig *rig, const char *id, struct ca_pending *ret) {
    return find_row_under(rig, id, "ldevid", ret);
}

static struct ca_pending row_of(struct rig *rig, const struct unit *u) {
    struct ca_pending row;
    assert_int_equal(find_row_under(rig, u->id, u->wish.label, &row), TM_OK);
    return row;
}

static void assert_no_row(struct rig *rig, const char *id) {
    struct ca_pending row;
    assert_int_equal(find_row(rig, id, &row), TM_ENOTFOUND);
}

struct word {
    struct rig_answer waits; /* rig_wait waits for its `done` */
    enum tm_err result;
    char text[IPC_TEXT_MAX + 1];
};

static void take_word(void *arg, enum tm_err result, const char *text,
                      const struct ca_pending *row) {
    struct word *word = arg;
    assert_int_equal(row != NULL, result == TM_OK);
    word->result = result;
    TEXT_SET(word->text, text);
    word->waits.done = true;
}

static struct ca_approval_order order_for(const struct unit *u, bool approve) {
    return (struct ca_approval_order){.tenant = "acme",
                                      .device = u->id,
                                      .profile = u->wish.label ? u->wish.label : "ldevid",
                                      .approve = approve,
                                      .reason = approve ? "" : "wrong label on the box",
                                      .actor = "alice uid:1000"};
}

static void say(struct rig *rig, const struct ca_approval_order *order, struct word *word) {
    memset(word, 0, sizeof *word);
    assert_int_equal(ca_approval_decide(&rig->registry, order, take_word, word), TM_OK);
}

static enum tm_err decided(struct rig *rig, const struct ca_approval_order *order) {
    static struct word word;
    say(rig, order, &word);
    rig_wait(rig, &word.waits, 1);
    return word.result;
}

static void approve(struct rig *rig, const struct unit *u) {
    struct ca_approval_order order = order_for(u, true);
    assert_int_equal(decided(rig, &order), TM_OK);
}

static void deny(struct rig *rig, const struct unit *u) {
    struct ca_approval_order order = order_for(u, false);
    assert_int_equal(decided(rig, &order), TM_OK);
}

/* One that asks by its secret and was approved. */
static void unit_approved(struct rig *rig, const char *id, struct unit *u) {
    unit_open(rig, id, u);
    ask(rig, u, IPC_PENDING);
    approve(rig, u);
}

static int setup(void **state) {
    int failed = rig_setup(state);
    struct rig *rig = *state;
    if (failed)
        return failed;
    rig->setup.profiles[1].approval = true;
    rig->setup.profiles[1].san_from_request = true;
    rig_set_clock(clock_wall_ms());
    return 0;
}

static int teardown(void **state) {
    int failed = rig_teardown(state);
    rig_set_clock(0);
    return failed;
}

static void pass(int64_t ms) {
    rig_set_clock(rig_now_ms() + ms);
}

/* ---- the way through ---- */

static void test_an_officer_approves_one_certificate(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    assert_in_range(u.answer.retry_after_s, 30, 60);
    struct ca_pending row = row_of(rig, &u);
    assert_int_equal(row.status, CA_PENDING_OPEN);
    assert_non_null(strstr(row.subject, "CN=A-1"));
    assert_string_equal(row.key_word, "p256");
    assert_string_equal(row.actor, "secret:A-1");
    assert_string_equal(row.remote, "192.0.2.1:4711");
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 1);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 0);

    approve(rig, &u);
    struct ca_leaf leaf = rig_last_leaf(rig, CA_EVENT_APPROVED);
    assert_string_equal(leaf.actor, "alice uid:1000");
    char request[CA_APPROVAL_REQUEST_TEXT];
    ca_approval_request_text(&row, request);
    assert_non_null(strstr(leaf.reason, request));
    ask(rig, &u, IPC_ISSUED);
    assert_no_row(rig, u.id);
    leaf = rig_last_leaf(rig, CA_EVENT_ISSUED);
    assert_string_equal(leaf.reason, "approved by alice uid:1000");
    static struct rig_answer first;
    first = u.answer;
    ask(rig, &u, IPC_REPEATED);
    assert_true(bytes_equal(der_of(&u.answer), der_of(&first)));
    assert_no_row(rig, u.id);

    /* The next certificate is another matter. */
    EVP_PKEY *next = EVP_EC_gen("P-256");
    u.wish = (struct rig_request){.label = "ldevid",
                                  .reenroll = true,
                                  .certificate = der_of(&first),
                                  .key = next,
                                  .cn = u.id};
    ask(rig, &u, IPC_PENDING);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 2);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    EVP_PKEY_free(next);
    unit_close(&u);
}

static void test_asking_again_costs_little(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    struct ca_pending first = row_of(rig, &u);
    for (int i = 0; i < 5; i++)
        ask(rig, &u, IPC_PENDING);
    assert_int_equal(row_of(rig, &u).version, first.version);
    pass(MINUTE_MS);
    ask(rig, &u, IPC_PENDING);
    struct ca_pending later = row_of(rig, &u);
    assert_int_equal(later.version, first.version + 1);
    assert_int_equal(later.asked_ms, first.asked_ms + MINUTE_MS);
    assert_int_equal(later.expires_ms, first.expires_ms + MINUTE_MS);
    assert_int_equal(later.created_ms, first.created_ms);
    pass(8 * MINUTE_MS); /* a quarter of 9 minutes, and jitter */
    ask(rig, &u, IPC_PENDING);
    assert_in_range(u.answer.retry_after_s, 135, 270);
    pass(HOUR_MS / 2);
    ask(rig, &u, IPC_PENDING);
    assert_in_range(u.answer.retry_after_s, 240, 480);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_REFUSED, 0), 0);
    unit_close(&u);
}

#define CROWD 20

static void test_a_crowd_of_one_request_waits_once(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct rig_answer answers[CROWD];
    unit_open(rig, "A-1", &u);
    for (size_t i = 0; i < CROWD; i++)
        rig_send(rig, &u.wish, &answers[i]);
    rig_wait(rig, answers, CROWD);
    for (size_t i = 0; i < CROWD; i++)
        rig_assert_outcome(&answers[i], IPC_PENDING);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 1);
    approve(rig, &u);
    size_t issued = 0;
    for (size_t i = 0; i < CROWD; i++)
        rig_send(rig, &u.wish, &answers[i]);
    rig_wait(rig, answers, CROWD);
    for (size_t i = 0; i < CROWD; i++)
        issued += answers[i].outcome == IPC_ISSUED;
    assert_int_equal(issued, 1);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

static void test_denied_with_the_reason(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    struct ca_approval_order order = order_for(&u, false);
    order.reason = "";
    assert_int_equal(ca_approval_decide(&rig->registry, &order, take_word, NULL), TM_EINVAL);
    deny(rig, &u);
    ask(rig, &u, IPC_DENIED);
    assert_non_null(strstr(u.answer.text, "wrong label on the box"));
    assert_int_equal(u.answer.retry_after_s, 0);
    assert_int_equal(rig_leaves(rig, CA_EVENT_DENIED, 0), 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_REFUSED, IPC_DENIED), 1);
    order = order_for(&u, false); /* no second time */
    assert_int_equal(decided(rig, &order), TM_EDENIED);
    /* The box got the right label. */
    approve(rig, &u);
    ask(rig, &u, IPC_ISSUED);
    unit_close(&u);
}

/* ---- what an approval is good for ---- */

static void test_another_key_ends_the_approval(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    struct ca_pending seen = row_of(rig, &u);
    approve(rig, &u);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    u.wish.key = other;
    ask(rig, &u, IPC_PENDING);
    assert_non_null(strstr(rig_last_leaf(rig, CA_EVENT_PENDING).reason, "approval is gone"));
    struct ca_pending now = row_of(rig, &u);
    assert_int_equal(now.status, CA_PENDING_OPEN);
    assert_string_equal(now.officer, "");
    /* An officer who means what was listed before does not approve what came since. */
    struct ca_approval_order order = order_for(&u, true);
    order.request = (struct bytes){seen.request, CA_APPROVAL_REQUEST_SIZE};
    assert_int_equal(decided(rig, &order), TM_EDENIED);
    order.request = (struct bytes){0};
    order.until_ms = now.created_ms;
    assert_int_equal(decided(rig, &order), TM_EDENIED);
    u.wish.key = u.key;
    ask(rig, &u, IPC_PENDING);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 3);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 0);
    EVP_PKEY_free(other);
    unit_close(&u);
}

static bool has_text(struct bytes in, const char *text) {
    return in.n && memmem(in.p, in.n, text, strlen(text));
}

static void test_other_names_end_the_approval(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "A-1", &u);
    u.wish.dns = "unit.example";
    ask(rig, &u, IPC_PENDING);
    assert_true(has_text(row_of(rig, &u).san, "unit.example"));
    approve(rig, &u);
    u.wish.dns = "bank.example"; /* same key, subject and identity */
    ask(rig, &u, IPC_PENDING);
    struct ca_pending row = row_of(rig, &u);
    assert_int_equal(row.status, CA_PENDING_OPEN);
    assert_true(has_text(row.san, "bank.example"));
    u.wish.dns = "unit.example";
    ask(rig, &u, IPC_PENDING);
    approve(rig, &u);
    ask(rig, &u, IPC_ISSUED);
    assert_true(has_text(der_of(&u.answer), "unit.example"));
    unit_close(&u);
}

static void test_approvals_and_requests_end(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_made(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    pass(CA_APPROVAL_OPEN_MS - 1);
    ask(rig, &u, IPC_PENDING); /* who goes on asking goes on waiting */
    pass(CA_APPROVAL_OPEN_MS);
    struct ca_approval_order order = order_for(&u, true);
    assert_int_equal(decided(rig, &order), TM_ENOTFOUND);
    ask(rig, &u, IPC_PENDING);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 2);
    approve(rig, &u);
    pass(CA_APPROVAL_GRANTED_MS);
    ask(rig, &u, IPC_PENDING);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 3);
    deny(rig, &u);
    pass(CA_APPROVAL_DENIED_MS - 1);
    ask(rig, &u, IPC_DENIED);
    pass(1);
    ask(rig, &u, IPC_PENDING);
    approve(rig, &u);
    pass(CA_APPROVAL_GRANTED_MS - 1);
    ask(rig, &u, IPC_ISSUED);
    unit_close(&u);
}

/* It was in time; the officer was not. */
static void test_a_secret_may_end_while_its_request_waits(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    pass(2 * HOUR_MS); /* it was for one */
    EVP_PKEY *other = EVP_EC_gen("P-256");
    u.wish.key = other;
    ask(rig, &u, IPC_SECRET_USED);
    u.wish.key = u.key;
    ask(rig, &u, IPC_PENDING);
    approve(rig, &u);
    ask(rig, &u, IPC_ISSUED);
    EVP_PKEY_free(other);
    unit_close(&u);
}

static void test_nobody_is_asked_about_a_key_of_another_device(void **state) {
    struct rig *rig = *state;
    static struct unit u, v;
    unit_made(rig, "A-1", &u);
    unit_open(rig, "A-2", &v);
    v.wish.key = u.key;
    ask(rig, &v, IPC_DUPLICATE_KEY);
    assert_no_row(rig, "A-2");
    unit_close(&u);
    unit_close(&v);
}

/* A yes to the device's own key is none to one that is made here. */
static void test_a_key_that_is_made_here_is_approved_before_it_is(void **state) {
    struct rig *rig = *state;
    static const uint8_t none[CA_HASH_SIZE];
    static struct unit u;
    rig->setup.profiles[3].approval = true;
    unit_open(rig, "A-1", &u);
    u.wish.label = "keygen";
    ask(rig, &u, IPC_PENDING);
    approve(rig, &u);
    u.wish.keygen = true;
    ask(rig, &u, IPC_PENDING);
    struct ca_pending row = row_of(rig, &u);
    assert_int_equal(row.status, CA_PENDING_OPEN);
    assert_string_equal(row.key_word, "p256, made here");
    assert_memory_equal(row.spki_sha256, none, sizeof none);
    approve(rig, &u);
    ask(rig, &u, IPC_ISSUED);
    assert_true(u.answer.key_n > 0);
    static struct rig_answer first;
    first = u.answer;
    ask(rig, &u, IPC_REPEATED);
    assert_true(bytes_equal(der_of(&u.answer), der_of(&first)));
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

/* ---- what comes between ---- */

/* Time for something to happen between the decision and the certificate. */
static void ask_the_stopped_signer(struct rig *rig, struct unit *u) {
    rig_signer_stop(rig);
    rig_send(rig, &u->wish, &u->answer);
}

static void let_it_sign(struct rig *rig, struct unit *u, enum ipc_outcome outcome) {
    rig_signer_start(rig);
    rig_wait(rig, &u->answer, 1);
    rig_assert_outcome(&u->answer, outcome);
}

static void test_a_burned_serial_leaves_the_approval(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_approved(rig, "A-1", &u);
    ask_the_stopped_signer(rig, &u);
    rig_transition(rig, "A-1", CA_MANUFACTURED); /* the certificate is for the device before */
    let_it_sign(rig, &u, IPC_ISSUED);
    assert_int_equal(rig_count(rig, CA_CERT_BURNED), 1);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    assert_no_row(rig, "A-1");
    unit_close(&u);
}

static void test_denied_while_it_is_signed(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_approved(rig, "A-1", &u);
    ask_the_stopped_signer(rig, &u);
    deny(rig, &u);
    let_it_sign(rig, &u, IPC_DENIED);
    assert_int_equal(rig_count(rig, CA_CERT_BURNED), 1);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 0);
    unit_close(&u);
}

static void test_two_officers_at_once(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct word words[2];
    unit_open(rig, "A-1", &u);
    ask(rig, &u, IPC_PENDING);
    struct ca_approval_order yes = order_for(&u, true), no = order_for(&u, false);
    yes.only_open = no.only_open = true;
    say(rig, &yes, &words[0]);
    say(rig, &no, &words[1]);
    rig_wait(rig, &words[0].waits, 1);
    rig_wait(rig, &words[1].waits, 1);
    assert_int_equal(words[0].result, TM_OK);
    assert_int_equal(words[1].result, TM_EDENIED);
    assert_non_null(strstr(words[1].text, "is approved already"));
    assert_int_equal(rig_leaves(rig, CA_EVENT_DENIED, 0), 0);
    ask(rig, &u, IPC_ISSUED);
    unit_close(&u);
}

/* ---- a device that nobody registered ---- */

struct maker {
    EVP_PKEY *key, *device_key;
    X509 *ca, *device;
    uint8_t ca_der[1024], device_der[1024];
    struct bytes ca_bytes, device_bytes;
};

static void extend(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer ? issuer : cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_true(X509_add_ext(cert, e, -1));
    X509_EXTENSION_free(e);
}

static X509 *certificate(const char *cn, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key) {
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_true(X509_set_version(cert, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer ? 2 : 1));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
    assert_non_null(X509_time_adj_ex(X509_getm_notAfter(cert), 365, 0, NULL));
    assert_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                           (const unsigned char *)cn, -1, -1, 0));
    assert_true(X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)));
    assert_true(X509_set_pubkey(cert, key));
    extend(cert, issuer, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
    extend(cert, issuer, NID_key_usage,
           issuer ? "critical,digitalSignature" : "critical,keyCertSign");
    extend(cert, issuer, NID_subject_key_identifier, "hash");
    if (issuer)
        extend(cert, issuer, NID_authority_key_identifier, "keyid");
    assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

static struct bytes encode(X509 *cert, uint8_t *room) {
    uint8_t *p = room;
    int n = i2d_X509(cert, &p);
    assert_true(n > 0 && n <= 1024);
    return (struct bytes){room, (size_t)n};
}

static void maker_open(const char *device, struct maker *m) {
    m->key = EVP_EC_gen("P-256");
    m->device_key = EVP_EC_gen("P-256");
    m->ca = certificate("Maker", m->key, NULL, m->key);
    m->device = certificate(device, m->device_key, m->ca, m->key);
    m->ca_bytes = encode(m->ca, m->ca_der);
    m->device_bytes = encode(m->device, m->device_der);
}

static void maker_close(struct maker *m) {
    X509_free(m->ca);
    X509_free(m->device);
    EVP_PKEY_free(m->key);
    EVP_PKEY_free(m->device_key);
}

/* The configuration is read again: another maker's devices register themselves. */
static void take_makers_devices(struct rig *rig, const struct maker *m) {
    rig->setup.profiles[1].credentials |= CA_CRED_FOREIGN;
    rig->setup.tenants[0].anchors = m->ca_bytes;
    rig->setup.tenants[0].register_unknown = true;
    ca_service_free(rig->service);
    assert_int_equal(ca_service_new(&rig->config, rig->store,
                                    core_signer_interface(rig->signer_link), &rig->service),
                     TM_OK);
}

static void test_an_unknown_device_is_registered_with_its_request(void **state) {
    struct rig *rig = *state;
    static struct maker m;
    static struct unit u = {.id = "F-1"};
    struct ca_device device;
    maker_open("F-1", &m);
    take_makers_devices(rig, &m);
    u.key = EVP_EC_gen("P-256");
    u.wish = (struct rig_request){
        .label = "ldevid", .certificate = m.device_bytes, .key = u.key, .cn = "F-1"};
    ask(rig, &u, IPC_PENDING);
    assert_int_equal(rig->store->ops->device(rig->store, "acme", "F-1", &device), TM_OK);
    assert_int_equal(device.state, CA_REGISTERED);
    assert_int_equal(rig_leaves(rig, CA_EVENT_DEVICE_ADDED, 0), 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 1);
    approve(rig, &u);
    ask(rig, &u, IPC_ISSUED);
    assert_int_equal(rig_leaves(rig, CA_EVENT_DEVICE_ADDED, 0), 1);
    rig_check_store(rig);
    unit_close(&u);
    maker_close(&m);
}

/* ---- CMC ---- */

static struct bytes cmc_of(const struct rig_answer *a) {
    return (struct bytes){a->cmc, a->cmc_n};
}

static struct cmc_wish cmc_wish(struct rig *rig, struct unit *u, struct cmc_challenge *challenge) {
    cmc_challenge(rig, "ldevid", u->id, challenge);
    return (struct cmc_wish){.label = "ldevid",
                             .device = u->id,
                             .key = u->key,
                             .secret = u->secret,
                             .challenge = cmc_challenge_bytes(challenge),
                             .transaction = "first",
                             .nonce = "nonce-1"};
}

static void test_cmc_says_until_when_it_is_pending(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct cmc_message message, again;
    static struct cmc_view view;
    struct cmc_challenge challenge;
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = cmc_wish(rig, &u, &challenge);
    cmc_make(&wish, &message);
    cmc_ask(rig, &message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_PENDING);
    cmc_view(rig, cmc_of(&u.answer), &view);
    assert_true(view.message.has_signer);
    assert_int_equal(view.response.status, EST_CMC_PENDING);
    assert_true(bytes_equal(view.response.pend_token, bytes_str("first")));
    assert_in_range(view.response.pend_time_ms - rig_now_ms(), 29000, 61000);
    approve(rig, &u);
    /* The very message, by its challenge, which was not used up by waiting. */
    cmc_ask(rig, &message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    assert_no_row(rig, "M-1");
    cmc_view(rig, cmc_of(&u.answer), &view);
    assert_true(view.leaf.n > 0);
    pass(1);
    wish = cmc_wish(rig, &u, &challenge);
    wish.transaction = "second";
    cmc_make(&wish, &again);
    cmc_ask(rig, &again, &u.answer);
    rig_assert_outcome(&u.answer, IPC_REPEATED);
    assert_int_equal(rig_leaves(rig, CA_EVENT_PENDING, 0), 1);
    unit_close(&u);
}

/* By a new message of the same transaction, after the challenge was refused and another given. The
 * signer has a clock of its own: the days are those before. */
static void test_cmc_asks_again_days_later(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct cmc_message message;
    static struct cmc_view view;
    struct cmc_challenge challenge;
    pass(-3 * CA_APPROVAL_DAY_MS);
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = cmc_wish(rig, &u, &challenge);
    cmc_make(&wish, &message);
    cmc_ask(rig, &message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_PENDING);
    pass(3 * CA_APPROVAL_DAY_MS);
    approve(rig, &u);
    cmc_ask(rig, &message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_BAD_CHALLENGE);
    cmc_view(rig, cmc_of(&u.answer), &view);
    challenge.n = view.response.sender_nonce.n;
    memcpy(challenge.octets, view.response.sender_nonce.p, challenge.n);
    wish.challenge = cmc_challenge_bytes(&challenge);
    wish.nonce = "nonce-2";
    cmc_make(&wish, &message);
    cmc_ask(rig, &message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    unit_close(&u);
}

static void test_cmc_is_told_that_it_was_denied(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct cmc_message message;
    static struct cmc_view view;
    struct cmc_challenge challenge;
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = cmc_wish(rig, &u, &challenge);
    cmc_make(&wish, &message);
    cmc_ask(rig, &message, &u.answer);
    deny(rig, &u);
    cmc_ask(rig, &message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_DENIED);
    cmc_view(rig, cmc_of(&u.answer), &view);
    assert_int_equal(view.response.status, EST_CMC_FAILED);
    assert_true(has_text(view.response.text, "wrong label on the box"));
    unit_close(&u);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_officer_approves_one_certificate),
        TEST(asking_again_costs_little),
        TEST(a_crowd_of_one_request_waits_once),
        TEST(denied_with_the_reason),
        TEST(another_key_ends_the_approval),
        TEST(other_names_end_the_approval),
        TEST(approvals_and_requests_end),
        TEST(a_secret_may_end_while_its_request_waits),
        TEST(nobody_is_asked_about_a_key_of_another_device),
        TEST(a_key_that_is_made_here_is_approved_before_it_is),
        TEST(a_burned_serial_leaves_the_approval),
        TEST(denied_while_it_is_signed),
        TEST(two_officers_at_once),
        TEST(an_unknown_device_is_registered_with_its_request),
        TEST(cmc_says_until_when_it_is_pending),
        TEST(cmc_asks_again_days_later),
        TEST(cmc_is_told_that_it_was_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
