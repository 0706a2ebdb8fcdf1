/* SPDX-License-Identifier: Apache-2.0 */
/* The issuing service: what becomes of requests, alone, repeated, together, and when parts fail. */
#include "service_rig.h"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "ca/dropped.h"
#include "ca/withdrawal.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct bytes der_of(const struct rig_answer *a) {
    return (struct bytes){a->der, a->der_n};
}

static struct ca_serial serial_of(const struct rig_answer *a) {
    struct pki_cert view;
    struct ca_serial serial = {0};
    assert_int_equal(pki_cert_parse(der_of(a), &view), TM_OK);
    memcpy(serial.octets, view.serial.p, view.serial.n);
    serial.n = (uint8_t)view.serial.n;
    return serial;
}

/* A device with its IDevID. */
struct unit {
    char id[32];
    char secret[CA_SECRET_TEXT];
    EVP_PKEY *key;
    struct rig_answer idevid;
};

static void unit_open(struct rig *rig, const char *id, struct unit *unit) {
    (void)snprintf(unit->id, sizeof unit->id, "%s", id);
    unit->key = EVP_EC_gen("P-256");
    rig_device_add(rig, id, unit->secret);
    rig_enroll(rig,
               &(struct rig_request){.label = "idevid",
                                     .user = unit->id,
                                     .secret = unit->secret,
                                     .key = unit->key,
                                     .cn = unit->id},
               &unit->idevid);
    rig_assert_outcome(&unit->idevid, IPC_ISSUED);
}

static void unit_close(struct unit *unit) {
    EVP_PKEY_free(unit->key);
}

static void test_secret_then_idevid_then_renewal(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer first, second, again;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = unit.id};
    rig_enroll(rig, &q, &first);
    rig_assert_outcome(&first, IPC_ISSUED);
    /* Renewed with the same key: a new certificate; the renewal repeated: the same one. */
    q.reenroll = true;
    q.certificate = der_of(&first);
    rig_enroll(rig, &q, &second);
    rig_assert_outcome(&second, IPC_ISSUED);
    assert_true(first.der_n != second.der_n || memcmp(first.der, second.der, first.der_n) != 0);
    rig_enroll(rig, &q, &again);
    rig_assert_outcome(&again, IPC_REPEATED);
    assert_int_equal(again.der_n, second.der_n);
    assert_memory_equal(again.der, second.der, second.der_n);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 3);
    unit_close(&unit);
}

/* However often the LDevID is renewed, the IDevID stays the device's one and is not issued again.
 */
static void test_renewals_do_not_push_the_idevid_out(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    static struct rig_answer current, next;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = unit.id};
    rig_enroll(rig, &q, &current);
    rig_assert_outcome(&current, IPC_ISSUED);
    q.reenroll = true;
    for (int i = 0; i < CA_DEVICE_CERTS_MAX + 2; i++) {
        q.certificate = der_of(&current);
        rig_enroll(rig, &q, &next);
        rig_assert_outcome(&next, IPC_ISSUED);
        current = next;
    }
    struct rig_request first = {
        .label = "idevid", .user = unit.id, .secret = unit.secret, .key = unit.key, .cn = unit.id};
    rig_enroll(rig, &first, &next);
    rig_assert_outcome(&next, IPC_REPEATED);
    assert_int_equal(next.der_n, unit.idevid.der_n);
    assert_memory_equal(next.der, unit.idevid.der, next.der_n);
    struct ca_device device;
    assert_int_equal(rig->store->ops->device(rig->store, "acme", unit.id, &device), TM_OK);
    size_t live = 0;
    for (size_t i = 0; i < device.cert_count; i++)
        live += device.certs[i].status == CA_CERT_ACTIVE;
    assert_int_equal(live, 2);
    /* An IDevID and as many LDevIDs as there were turns, one more at first: what the record has no
     * room for is not lost. */
    struct ca_serial cursor = {.n = 0};
    struct ca_dropped dropped;
    size_t count = 0;
    while (!ca_dropped_next(rig->store, "acme", unit.id, &cursor, &dropped)) {
        assert_null(ca_device_cert(&device, &dropped.serial));
        count++;
    }
    assert_int_equal(device.cert_count, CA_DEVICE_CERTS_MAX);
    assert_int_equal(count + device.cert_count, 1 + 1 + CA_DEVICE_CERTS_MAX + 2);
    rig_check_store(rig);
    unit_close(&unit);
}

static void test_secret_is_used_once(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer answer;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "idevid", .user = unit.id, .secret = unit.secret, .key = unit.key, .cn = unit.id};
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_REPEATED);
    assert_memory_equal(answer.der, unit.idevid.der, unit.idevid.der_n);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    q.key = other;
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_SECRET_USED);
    q.secret = "0000000000000000000000000000000000000000";
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SECRET);
    q.user = "T-2";
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SECRET);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_REFUSED, IPC_SECRET_USED), 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_REFUSED, IPC_BAD_SECRET), 2);
    EVP_PKEY_free(other);
    unit_close(&unit);
}

/* The secret is used up, but not for the one who used it: no answer is lost for ever. */
static void test_a_secret_brings_its_certificate_again_days_later(void **state) {
    struct rig *rig = *state;
    char secret[CA_SECRET_TEXT];
    static struct rig_answer first, again;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    rig_device_add(rig, "T-1", secret);
    struct rig_request q = {.label = "", .user = "T-1", .secret = secret, .key = key, .cn = "T-1"};
    rig_enroll(rig, &q, &first);
    rig_assert_outcome(&first, IPC_ISSUED);
    rig_set_clock(rig_now_ms() + INT64_C(10) * 86400000);
    rig_enroll(rig, &q, &again);
    rig_assert_outcome(&again, IPC_REPEATED);
    assert_int_equal(again.der_n, first.der_n);
    assert_memory_equal(again.der, first.der, first.der_n);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    EVP_PKEY_free(key);
}

#define CROWD 50

static void test_crowd_of_one_request_gets_one_certificate(void **state) {
    struct rig *rig = *state;
    static struct rig_answer answers[CROWD];
    char secret[CA_SECRET_TEXT];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    rig_device_add(rig, "T-1", secret);
    for (size_t i = 0; i < CROWD; i++)
        rig_send(rig,
                 &(struct rig_request){
                     .label = "idevid", .user = "T-1", .secret = secret, .key = key, .cn = "T-1"},
                 &answers[i]);
    rig_wait(rig, answers, CROWD);
    size_t issued = 0;
    for (size_t i = 0; i < CROWD; i++) {
        issued += answers[i].outcome == IPC_ISSUED;
        assert_true(answers[i].outcome == IPC_ISSUED || answers[i].outcome == IPC_REPEATED);
        assert_int_equal(answers[i].der_n, answers[0].der_n);
        assert_memory_equal(answers[i].der, answers[0].der, answers[0].der_n);
    }
    assert_int_equal(issued, 1);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    EVP_PKEY_free(key);
}

static void test_two_keys_race_for_one_idevid(void **state) {
    struct rig *rig = *state;
    struct rig_answer answers[2];
    char secret[CA_SECRET_TEXT];
    EVP_PKEY *keys[2] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-256")};
    rig_device_add(rig, "T-1", secret);
    for (size_t i = 0; i < 2; i++)
        rig_send(
            rig,
            &(struct rig_request){
                .label = "idevid", .user = "T-1", .secret = secret, .key = keys[i], .cn = "T-1"},
            &answers[i]);
    rig_wait(rig, answers, 2);
    rig_assert_outcome(&answers[0], IPC_ISSUED);
    rig_assert_outcome(&answers[1], IPC_SECRET_USED);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
}

static void test_key_of_another_device(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer answer;
    char secret[CA_SECRET_TEXT];
    unit_open(rig, "T-1", &unit);
    rig_device_add(rig, "T-2", secret);
    rig_enroll(
        rig,
        &(struct rig_request){
            .label = "idevid", .user = "T-2", .secret = secret, .key = unit.key, .cn = "T-2"},
        &answer);
    rig_assert_outcome(&answer, IPC_DUPLICATE_KEY);
    unit_close(&unit);
}

static void test_names(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer ldevid, answer;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "ldevid", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = "T-2"};
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SUBJECT);
    q.cn = "T-1";
    q.dns = "unit.example";
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SAN);
    q.dns = NULL;
    q.cn = NULL;
    rig_enroll(rig, &q, &ldevid);
    rig_assert_outcome(&ldevid, IPC_ISSUED);
    q = (struct rig_request){.label = "ldevid",
                             .reenroll = true,
                             .certificate = der_of(&ldevid),
                             .key = unit.key,
                             .cn = "T-9"};
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SUBJECT);
    q.cn = NULL;
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SUBJECT);
    q.cn = "T-1";
    q.dns = "unit.example";
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_SAN);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 2);
    unit_close(&unit);
}

static void test_credentials(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer ldevid, answer;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {.label = "ldevid", .key = unit.key, .cn = "T-1"};
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_NO_CREDENTIAL);
    q.certificate = der_of(&unit.idevid);
    q.reenroll = true;
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_WRONG_CREDENTIAL);
    q.reenroll = false;
    q.label = "elsewhere";
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_WRONG_TENANT);
    q.label = "nowhere";
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_UNKNOWN_LABEL);
    q.label = "ldevid";
    rig_enroll(rig, &q, &ldevid);
    rig_assert_outcome(&ldevid, IPC_ISSUED);
    /* A certificate that differs in one octet from one that was issued is a stranger's. */
    struct rig_answer forged = ldevid;
    forged.der[forged.der_n - 1] ^= 1;
    q.certificate = der_of(&forged);
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_UNTRUSTED);
    struct ca_serial serial = serial_of(&ldevid);
    rig_revoke(rig, &serial);
    q.certificate = der_of(&ldevid);
    q.reenroll = true;
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_REVOKED);
    unit_close(&unit);
}

static void test_lifecycle_states(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer ldevid, answer;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "ldevid", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = "T-1"};
    rig_transition(rig, "T-1", CA_STOCKED); /* not among the profile's states here */
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_WRONG_STATE);
    rig_transition(rig, "T-1", CA_ACTIVATED);
    rig_enroll(rig, &q, &ldevid);
    rig_assert_outcome(&ldevid, IPC_ISSUED);
    rig_transition(rig, "T-1", CA_SUSPENDED);
    rig_enroll(rig, &q, &answer); /* even the repetition of what was issued */
    rig_assert_outcome(&answer, IPC_WRONG_STATE);
    rig_transition(rig, "T-1", CA_ACTIVATED);
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_REPEATED);
    rig_transition(rig, "T-1", CA_DEVICE_REVOKED);
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_REVOKED);
    unit_close(&unit);
}

/* Also one that its device's record names no more; not even what was issued to it is repeated. */
static void test_withdrawn_with_all_before_it(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer ldevid, answer;
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "ldevid", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = "T-1"};
    rig_enroll(rig, &q, &ldevid);
    rig_assert_outcome(&ldevid, IPC_ISSUED);
    struct ca_withdrawal withdrawal = {
        .selection = {.tenant = "acme", .profile = "idevid", .until_ms = rig_now_ms() + 1}};
    struct ca_withdrawals withdrawals = {NULL};
    ca_withdrawal_begin(&withdrawals, &withdrawal);
    rig->config.withdrawals = &withdrawals;
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_REVOKED);
    q.certificate = der_of(&ldevid); /* of another profile */
    q.reenroll = true;
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    rig->config.withdrawals = NULL;
    unit_close(&unit);
}

static void test_expiry_and_grace(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer ldevid, answer;
    int64_t start = clock_wall_ms();
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {
        .label = "ldevid", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = "T-1"};
    rig_enroll(rig, &q, &ldevid);
    rig_assert_outcome(&ldevid, IPC_ISSUED);
    q.reenroll = true;
    q.certificate = der_of(&ldevid);
    rig_set_clock(start + 400 * DAY_MS); /* 365 days and 30 of grace are over */
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_EXPIRED);
    rig_set_clock(start + 380 * DAY_MS);
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    /* The IDevID brings a device back, and long after the first time that is a new certificate. */
    rig_set_clock(start + 4000 * DAY_MS);
    q = (struct rig_request){
        .label = "ldevid", .certificate = der_of(&unit.idevid), .key = unit.key, .cn = "T-1"};
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    unit_close(&unit);
}

static void test_linking(void **state) {
    struct rig *rig = *state;
    struct unit unit;
    struct rig_answer answer;
    uint8_t exporter[32], other[32];
    char challenge[64];
    assert_int_equal(RAND_bytes(exporter, sizeof exporter), 1);
    assert_int_equal(RAND_bytes(other, sizeof other), 1);
    (void)EVP_EncodeBlock((unsigned char *)challenge, exporter, sizeof exporter);
    unit_open(rig, "T-1", &unit);
    struct rig_request q = {.label = "strict",
                            .certificate = der_of(&unit.idevid),
                            .key = unit.key,
                            .cn = "T-1",
                            .exporter = {exporter, sizeof exporter}};
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_NOT_LINKED);
    q.challenge = challenge;
    q.exporter = BYTES_OF(other);
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_LINK);
    q.label = "ldevid"; /* optional: what is there must be right */
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_BAD_LINK);
    q.label = "strict";
    q.exporter = BYTES_OF(exporter);
    rig_enroll(rig, &q, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    unit_close(&unit);
}

static void test_tickets_wait_for_the_next_signer(void **state) {
    struct rig *rig = *state;
    struct rig_answer answers[3];
    char secrets[3][CA_SECRET_TEXT];
    EVP_PKEY *keys[3];
    const char *ids[] = {"T-1", "T-2", "T-3"};
    for (size_t i = 0; i < 3; i++) {
        keys[i] = EVP_EC_gen("P-256");
        rig_device_add(rig, ids[i], secrets[i]);
    }
    rig_signer_stop(rig);
    for (size_t i = 0; i < 3; i++)
        rig_send(rig,
                 &(struct rig_request){.label = "idevid",
                                       .user = ids[i],
                                       .secret = secrets[i],
                                       .key = keys[i],
                                       .cn = ids[i]},
                 &answers[i]);
    rig_signer_start(rig);
    rig_wait(rig, answers, 3);
    for (size_t i = 0; i < 3; i++) {
        rig_assert_outcome(&answers[i], IPC_ISSUED);
        EVP_PKEY_free(keys[i]);
    }
    assert_int_equal(rig_count(rig, CA_CERT_BURNED), 0);
}

/* The device is revoked after the decision and before the record: the signature is worth nothing.
 */
static void test_device_revoked_on_the_way(void **state) {
    struct rig *rig = *state;
    struct rig_answer answer;
    char secret[CA_SECRET_TEXT];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    rig_device_add(rig, "T-1", secret);
    rig_signer_stop(rig);
    rig_send(rig,
             &(struct rig_request){
                 .label = "idevid", .user = "T-1", .secret = secret, .key = key, .cn = "T-1"},
             &answer);
    rig_transition(rig, "T-1", CA_DEVICE_REVOKED);
    rig_signer_start(rig);
    rig_wait(rig, &answer, 1);
    rig_assert_outcome(&answer, IPC_REVOKED);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 0);
    assert_int_equal(rig_count(rig, CA_CERT_BURNED), 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_BURNED, 0), 1);
    EVP_PKEY_free(key);
}

static void test_refusals_beyond_the_ceiling_are_counted(void **state) {
    struct rig *rig = *state;
    static struct rig_answer answers[40];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    rig->config.refusals_per_second = 10;
    rig_set_clock(INT64_C(1800000000000));
    for (size_t i = 0; i < 40; i++)
        rig_send(rig, &(struct rig_request){.label = "ldevid", .key = key, .cn = "T-1"},
                 &answers[i]);
    rig_wait(rig, answers, 40);
    rig_set_clock(INT64_C(1800000001000));
    ca_service_tick(rig->service);
    rig_send(rig, &(struct rig_request){.label = "ldevid", .key = key, .cn = "T-1"}, &answers[0]);
    rig_wait(rig, answers, 1);
    assert_int_equal(rig_leaves(rig, CA_EVENT_REFUSED, IPC_NO_CREDENTIAL), 11);
    assert_int_equal(rig_leaves(rig, CA_EVENT_REFUSED_MANY, 0), 1);
    EVP_PKEY_free(key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, rig_setup, rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(secret_then_idevid_then_renewal),
        TEST(renewals_do_not_push_the_idevid_out),
        TEST(secret_is_used_once),
        TEST(a_secret_brings_its_certificate_again_days_later),
        TEST(crowd_of_one_request_gets_one_certificate),
        TEST(two_keys_race_for_one_idevid),
        TEST(key_of_another_device),
        TEST(names),
        TEST(credentials),
        TEST(lifecycle_states),
        TEST(withdrawn_with_all_before_it),
        TEST(expiry_and_grace),
        TEST(linking),
        TEST(tickets_wait_for_the_next_signer),
        TEST(device_revoked_on_the_way),
        TEST(refusals_beyond_the_ceiling_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
