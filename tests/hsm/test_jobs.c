/* SPDX-License-Identifier: Apache-2.0 */
/* What a station may have, on real parts: jobs, quotas, quarantine and what stops a job. */
#include "base/clock.h"
#include "ca/csr_check.h"
#include "ca/jobs.h"
#include "ca/operator.h"
#include "ca/station.h"
#include "ca/withdrawal.h"
#include "service_rig.h"

#define JOB "line-4"
#define STATION "ST-1"
#define TURNS_MAX 20000

static const char job_yaml[] = "job: " JOB "\nproduct: gw-100\nbatch: b7\nsite: plant-2\n"
                               "profiles:\n  - {profile: factory, quota: 10}\n"
                               "ids: {first: GW0001, last: GW0200}\n"
                               "until: 2100-01-01T00:00:00Z\nnetworks: [192.0.2.0/24]\n"
                               "stations: [" STATION ", ST-2]\noperator: false\n";

struct bench {
    struct rig rig;
    struct ca_jobs *jobs; /* the rig's */
    EVP_PKEY *key;
    struct rig_answer station;
};

/* ---- waiting for changes ---- */

struct said {
    bool done;
    enum tm_err result;
    char text[IPC_TEXT_MAX + 1];
    struct ca_job job;
};

static void heard(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    struct said *said = arg;
    said->result = result;
    (void)snprintf(said->text, sizeof said->text, "%s", text);
    if (job)
        said->job = *job;
    said->done = true;
}

static void turn(void *arg) {
    loop_stop(arg);
}

/* Two milliseconds of the loop's life. */
static void live_a_while(struct bench *b) {
    struct loop_timer timer = {.fn = turn, .arg = b->rig.loop};
    assert_int_equal(loop_timer_set(b->rig.loop, &timer, clock_mono_ms() + 2), TM_OK);
    assert_int_equal(loop_run(b->rig.loop), TM_OK);
    loop_timer_stop(b->rig.loop, &timer);
    ca_jobs_tick(b->jobs);
}

static void wait_for(struct bench *b, const bool *done) {
    for (unsigned i = 0; !*done && i < TURNS_MAX; i++)
        live_a_while(b);
    assert_true(*done);
}

static void good(struct bench *b, struct said *said) {
    wait_for(b, &said->done);
    if (said->result)
        fail_msg("%s: %s", tm_err_name(said->result), said->text);
}

static void open_job(struct bench *b, const char *yaml) {
    char error[CONF_ERROR_MAX];
    struct ca_job terms;
    struct said kept = {0}, opened = {0};
    if (ca_job_read(yaml, strlen(yaml), "job.yaml", rig_now_ms(), &terms, error))
        fail_msg("%s", error);
    (void)strcpy(terms.tenant, "acme");
    assert_int_equal(ca_jobs_propose(b->jobs, &terms, heard, &kept), TM_OK);
    good(b, &kept);
    assert_int_equal(ca_jobs_agree(b->jobs, "acme", kept.job.name, NULL, "test", heard, &opened),
                     TM_OK);
    good(b, &opened);
}

static struct ca_job stored(struct bench *b) {
    struct ca_job job;
    assert_int_equal(ca_jobs_read(b->jobs, "acme", JOB, &job), TM_OK);
    return job;
}

/* ---- the bench ---- */

static void enroll_station(struct bench *b) {
    char secret[CA_SECRET_TEXT];
    b->key = EVP_EC_gen("P-256");
    rig_device_add(&b->rig, STATION, secret);
    const struct rig_request request = {
        .label = "station", .user = STATION, .secret = secret, .key = b->key, .cn = STATION};
    rig_enroll(&b->rig, &request, &b->station);
    rig_assert_outcome(&b->station, IPC_ISSUED);
}

static int setup(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    rig_open(&b->rig);
    b->jobs = b->rig.jobs;
    enroll_station(b);
    *state = b;
    return 0;
}

static int teardown(void **state) {
    struct bench *b = *state;
    rig_check_store(&b->rig);
    EVP_PKEY_free(b->key);
    rig_close(&b->rig);
    free(b);
    return 0;
}

/* ---- asking ---- */

static struct rig_request wish(const struct bench *b, const char *id, EVP_PKEY *key) {
    return (struct rig_request){.label = "factory",
                                .certificate = {b->station.der, b->station.der_n},
                                .key = key,
                                .cn = id};
}

static void ask(struct bench *b, const char *id, EVP_PKEY *key, struct rig_answer *answer) {
    const struct rig_request request = wish(b, id, key);
    rig_enroll(&b->rig, &request, answer);
}

static void asserts(struct bench *b, const char *id, EVP_PKEY *key, enum ipc_outcome outcome,
                    const char *sentence) {
    struct rig_answer *answer = malloc(sizeof *answer);
    assert_non_null(answer);
    ask(b, id, key, answer);
    rig_assert_outcome(answer, outcome);
    if (!strstr(answer->text, sentence))
        fail_msg("\"%s\" does not say \"%s\"", answer->text, sentence);
    free(answer);
}

/* With a key of its own. */
static void tries(struct bench *b, const char *id, enum ipc_outcome outcome, const char *sentence) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    asserts(b, id, key, outcome, sentence);
    EVP_PKEY_free(key);
}

/* ---- tests ---- */

static void test_without_a_job_a_station_gets_nothing(void **state) {
    struct bench *b = *state;
    tries(b, "GW0001", IPC_UNKNOWN_DEVICE, "no job of station " STATION);
    struct ca_leaf leaf = rig_last_leaf(&b->rig, CA_EVENT_REFUSED);
    assert_string_equal(leaf.station, STATION);
    assert_string_equal(leaf.job, "");
}

static void test_a_unit_becomes_the_jobs(void **state) {
    struct bench *b = *state;
    struct ca_device device;
    struct ca_unit unit = {.tenant = "acme", .job = JOB, .device = "GW0007"};
    struct rig_answer *answers = calloc(2, sizeof *answers);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    open_job(b, job_yaml);
    ask(b, "GW0007", key, &answers[0]);
    rig_assert_outcome(&answers[0], IPC_ISSUED);
    ask(b, "GW0007", key, &answers[1]); /* its answer got lost */
    rig_assert_outcome(&answers[1], IPC_REPEATED);
    assert_memory_equal(answers[0].der, answers[1].der, answers[0].der_n);
    struct ca_store *store = b->rig.store;
    assert_int_equal(store->ops->device(store, "acme", "GW0007", &device), TM_OK);
    assert_int_equal(device.state, CA_MANUFACTURED);
    assert_string_equal(device.job, JOB);
    assert_string_equal(device.station, STATION);
    assert_string_equal(device.sku, "gw-100");
    assert_string_equal(device.batch, "b7");
    assert_string_equal(device.site, "plant-2");
    assert_int_equal(store->ops->row(store, CA_TABLE_UNIT, &unit, NULL), TM_OK);
    assert_string_equal(unit.station, STATION);
    struct ca_job job = stored(b);
    assert_int_equal(job.profiles[0].spent, 1);
    assert_int_equal(job.begun, 1);
    struct ca_leaf leaf = rig_last_leaf(&b->rig, CA_EVENT_ISSUED);
    assert_string_equal(leaf.job, JOB);
    assert_string_equal(leaf.station, STATION);
    assert_string_equal(leaf.site, "plant-2");
    EVP_PKEY_free(key);
    free(answers);
}

static void test_what_the_terms_do_not_hold(void **state) {
    struct bench *b = *state;
    open_job(b, job_yaml);
    const char *outside[] = {"GW0000", "GW0201", "GW001", "GX0001", "GW00011", "gw0001"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        tries(b, outside[i], IPC_UNKNOWN_DEVICE, "no job of station");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct rig_request other = wish(b, "GW0002", key);
    struct rig_answer *answer = calloc(1, sizeof *answer);
    other.label = "idevid"; /* takes no registration authorities, and is none of the job's */
    rig_enroll(&b->rig, &other, answer);
    rig_assert_outcome(answer, IPC_DENIED);
    EVP_PKEY_free(key);
    free(answer);
    rig_set_clock(INT64_C(4102444800000));      /* 2100-01-01: the window is over */
    tries(b, "GW0003", IPC_EXPIRED, "expired"); /* and so is the station's certificate */
    rig_set_clock(0);
    assert_int_equal(stored(b).profiles[0].spent, 0);
    assert_int_equal(rig_count(&b->rig, CA_CERT_ACTIVE), 1);
}

static void test_a_hundred_at_once_get_ten(void **state) {
    struct bench *b = *state;
    enum { ASKING = 100, QUOTA = 10 };
    struct rig_answer *answers = calloc(ASKING, sizeof *answers);
    EVP_PKEY *keys[ASKING];
    size_t issued = 0;
    open_job(b, job_yaml);
    for (size_t i = 0; i < ASKING; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "GW%04zu", i + 1);
        keys[i] = EVP_EC_gen("P-256");
        const struct rig_request request = wish(b, id, keys[i]);
        rig_send(&b->rig, &request, &answers[i]);
    }
    rig_wait(&b->rig, answers, ASKING);
    for (size_t i = 0; i < ASKING; i++) {
        issued += answers[i].outcome == IPC_ISSUED;
        if (answers[i].outcome != IPC_ISSUED && answers[i].outcome != IPC_WRONG_STATE)
            rig_assert_outcome(&answers[i], IPC_DENIED);
        EVP_PKEY_free(keys[i]);
    }
    assert_int_equal(issued, QUOTA);
    assert_int_equal(stored(b).profiles[0].spent, QUOTA);
    assert_int_equal(stored(b).begun, QUOTA);
    assert_int_equal(rig_count(&b->rig, CA_CERT_ACTIVE), QUOTA + 1);
    free(answers);
}

static void test_one_key_and_one_certificate_for_each(void **state) {
    struct bench *b = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    open_job(b, job_yaml);
    asserts(b, "GW0001", key, IPC_ISSUED, "");
    asserts(b, "GW0002", key, IPC_DUPLICATE_KEY, "belongs to another device");
    tries(b, "GW0001", IPC_ALREADY_ISSUED, "for another key");
    struct ca_job job = stored(b);
    assert_int_equal(job.profiles[0].spent, 1);
    assert_int_equal(job.begun, 1);
    assert_int_equal(job.status, CA_JOB_OPEN); /* a mis-scan stops no line */
    EVP_PKEY_free(key);
}

/* What was spent for a certificate that never was comes back. */
static void test_a_burned_serial_costs_nothing(void **state) {
    struct bench *b = *state;
    open_job(b, job_yaml);
    core_signer_limit(b->rig.signer_link, 0, 0, 1);
    tries(b, "GW0001", IPC_ISSUED, "");
    tries(b, "GW0002", IPC_BUSY, "later");
    assert_int_equal(rig_count(&b->rig, CA_CERT_BURNED), 1);
    struct ca_job job = stored(b);
    assert_int_equal(job.profiles[0].spent, 1);
    assert_int_equal(job.begun, 2);
    assert_string_equal(rig_last_leaf(&b->rig, CA_EVENT_BURNED).job, JOB);
    core_signer_limit(b->rig.signer_link, 0, 0, 0);
    tries(b, "GW0002", IPC_ISSUED, "");
    assert_int_equal(stored(b).profiles[0].spent, 2);
    assert_int_equal(stored(b).begun, 2);
}

static void wait_stopped(struct bench *b, const char *reason) {
    struct ca_job job = stored(b);
    for (unsigned i = 0; job.status != CA_JOB_STOPPED && i < TURNS_MAX; i++) {
        live_a_while(b);
        job = stored(b);
    }
    assert_int_equal(job.status, CA_JOB_STOPPED);
    if (!strstr(job.reason, reason))
        fail_msg("\"%s\" does not say \"%s\"", job.reason, reason);
    assert_int_equal(rig_leaves(&b->rig, CA_EVENT_JOB_STOPPED, (enum ipc_outcome)0), 1);
    assert_int_equal(b->rig.alarms, 1);
}

static void test_unknown_ids_stop_it(void **state) {
    struct bench *b = *state;
    open_job(b, job_yaml);
    for (unsigned i = 0; i < 10; i++)
        tries(b, "GW9999", IPC_UNKNOWN_DEVICE, "no job");
    tries(b, "GW0001", IPC_WRONG_STATE, "stopped: unknown_ids");
    wait_stopped(b, "unknown_ids: 10");
    assert_int_equal(stored(b).profiles[0].spent, 0);
}

static void test_copies_stop_it_and_officers_resume_it(void **state) {
    struct bench *b = *state;
    open_job(b, job_yaml);
    tries(b, "GW0001", IPC_ISSUED, "");
    for (unsigned i = 0; i < 5; i++)
        tries(b, "GW0001", IPC_ALREADY_ISSUED, "another key");
    wait_stopped(b, "duplicate_ids: 5");
    tries(b, "GW0002", IPC_WRONG_STATE, "stopped");
    struct said said = {0};
    assert_int_equal(ca_jobs_resume(b->jobs, "acme", JOB, 9, NULL, "", "test", heard, &said),
                     TM_OK);
    wait_for(b, &said.done);
    assert_int_equal(said.result, TM_EDENIED); /* not the terms that it was stopped with */
    said = (struct said){0};
    assert_int_equal(ca_jobs_resume(b->jobs, "acme", JOB, 1, NULL, "seen", "test", heard, &said),
                     TM_OK);
    good(b, &said);
    tries(b, "GW0002", IPC_ISSUED, "");
}

static void test_too_fast(void **state) {
    struct bench *b = *state;
    char yaml[sizeof job_yaml + 64];
    (void)snprintf(yaml, sizeof yaml, "%srate: 2\nstop: {rate: 2}\n", job_yaml);
    open_job(b, yaml);
    rig_set_clock(clock_wall_ms());
    tries(b, "GW0001", IPC_ISSUED, "");
    tries(b, "GW0002", IPC_ISSUED, "");
    tries(b, "GW0003", IPC_BUSY, "faster than its rate");
    rig_set_clock(rig_now_ms() + 30000);
    tries(b, "GW0003", IPC_ISSUED, "");
    for (unsigned i = 0; i < 3; i++)
        tries(b, "GW0004", IPC_BUSY, "faster");
    wait_stopped(b, "rate: 4");
    rig_set_clock(0);
}

static void unit_reported(struct ca_batch *batch, enum tm_err result) {
    assert_int_equal(result, TM_OK);
    *(bool *)batch->arg = true;
}

/* Minted at home, it is of no use before the counts agree. */
static void test_quarantine_until_it_is_closed(void **state) {
    struct bench *b = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256"), *scrap = EVP_EC_gen("P-256"), *own = EVP_EC_gen("P-256");
    struct rig_answer *answers = calloc(3, sizeof *answers);
    open_job(b, job_yaml);
    ask(b, "GW0001", key, &answers[0]);
    ask(b, "GW0002", scrap, &answers[1]);
    rig_assert_outcome(&answers[0], IPC_ISSUED);
    rig_assert_outcome(&answers[1], IPC_ISSUED);
    const struct rig_request ldevid = {.label = "ldevid",
                                       .certificate = {answers[0].der, answers[0].der_n},
                                       .key = own,
                                       .cn = "GW0001"};
    rig_enroll(&b->rig, &ldevid, &answers[2]);
    rig_assert_outcome(&answers[2], IPC_WRONG_STATE);
    assert_non_null(strstr(answers[2].text, "quarantine until job " JOB " is closed"));
    const struct ca_job_counts wrong = {2, 0, 0}, right = {1, 0, 1};
    struct said said = {0};
    assert_int_equal(ca_jobs_close(b->jobs, "acme", JOB, &wrong, "test", heard, &said), TM_OK);
    wait_for(b, &said.done);
    assert_int_equal(said.result, TM_EDENIED);
    assert_non_null(strstr(said.text, "2 without a result"));
    /* What a station reports is tested beside its messages. */
    struct ca_unit units[2] = {{.tenant = "acme", .job = JOB, .device = "GW0001"},
                               {.tenant = "acme", .job = JOB, .device = "GW0002"}};
    struct ca_store *store = b->rig.store;
    struct ca_batch batch = {.count = 3};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(store->ops->row(store, CA_TABLE_UNIT, &units[i], NULL), TM_OK);
        units[i].version++;
        units[i].result = i ? CA_UNIT_SCRAPPED : CA_UNIT_PASSED;
        batch.changes[i] =
            (struct ca_change){.kind = CA_PUT_ROW, .u.row = {CA_TABLE_UNIT, &units[i]}};
    }
    batch.changes[2] =
        (struct ca_change){.kind = CA_SPEND_GRANT,
                           .u.grant = {.tenant = "acme", .job = JOB, .passed = 1, .scrapped = 1}};
    bool reported = false;
    batch.done = unit_reported;
    batch.arg = &reported;
    assert_int_equal(store->ops->submit(store, &batch), TM_OK);
    wait_for(b, &reported);
    said = (struct said){0};
    assert_int_equal(ca_jobs_close(b->jobs, "acme", JOB, &right, "test", heard, &said), TM_OK);
    good(b, &said);
    for (unsigned i = 0; ca_jobs_find(b->jobs, "acme", JOB) && i < TURNS_MAX; i++)
        live_a_while(b);
    assert_int_equal(stored(b).status, CA_JOB_CLOSED);
    struct ca_device device;
    assert_int_equal(store->ops->device(store, "acme", "GW0001", &device), TM_OK);
    assert_int_equal(device.state, CA_STOCKED);
    assert_int_equal(store->ops->device(store, "acme", "GW0002", &device), TM_OK);
    assert_int_equal(device.state, CA_RETIRED);
    assert_int_equal(device.certs[0].status, CA_CERT_REVOKED);
    assert_int_equal(rig_last_leaf(&b->rig, CA_EVENT_JOB_CLOSED).count, 1);
    tries(b, "GW0003", IPC_UNKNOWN_DEVICE, "no job");
    EVP_PKEY_free(key);
    EVP_PKEY_free(scrap);
    EVP_PKEY_free(own);
    free(answers);
}

/* ---- certificates that are withdrawn ---- */

/* The outcome of asking by the station's operations. */
static enum ipc_outcome identified(struct bench *b, const struct ca_withdrawals *withdrawals) {
    const struct ca_stations_config config = {
        .store = b->rig.store, .jobs = b->jobs, .withdrawals = withdrawals, .now_ms = rig_now_ms};
    struct ca_stations *stations = NULL;
    struct ca_station station;
    struct ca_refusal refusal = {0};
    assert_int_equal(ca_stations_new(&config, &stations), TM_OK);
    bool is = ca_station_identify(stations, (struct bytes){b->station.der, b->station.der_n},
                                  "127.0.0.1", &station, &refusal);
    ca_stations_free(stations);
    assert_int_equal(is, refusal.outcome == 0);
    return refusal.outcome;
}

/* As after a rework at which the certificate did not stand in the station's record any more. */
static void count_from(struct bench *b, int64_t ms) {
    struct ca_store *store = b->rig.store;
    struct ca_device device;
    bool put = false;
    assert_int_equal(store->ops->device(store, "acme", STATION, &device), TM_OK);
    device.version++;
    device.certs_from_ms = ms;
    struct ca_batch batch = {.count = 1,
                             .changes = {{.kind = CA_PUT_DEVICE, .u.device = &device}},
                             .done = unit_reported,
                             .arg = &put};
    assert_int_equal(store->ops->submit(store, &batch), TM_OK);
    wait_for(b, &put);
}

static void test_a_withdrawn_station_gets_nothing(void **state) {
    struct bench *b = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct ca_withdrawals withdrawals = {NULL};
    struct ca_withdrawal others = {.selection = {.tenant = "acme", .device = "ST-2"}};
    struct ca_withdrawal own = {
        .selection = {.tenant = "acme", .profile = "station", .until_ms = rig_now_ms() + 1}};
    b->rig.config.withdrawals = &withdrawals;
    open_job(b, job_yaml);
    asserts(b, "GW0001", key, IPC_ISSUED, "");
    ca_withdrawal_begin(&withdrawals, &others);
    asserts(b, "GW0001", key, IPC_REPEATED, "");
    assert_int_equal(identified(b, &withdrawals), 0);
    ca_withdrawal_begin(&withdrawals, &own);
    asserts(b, "GW0001", key, IPC_REVOKED, "withdrawn");
    assert_int_equal(identified(b, &withdrawals), IPC_REVOKED);
    ca_withdrawal_end(&withdrawals, &own);
    asserts(b, "GW0001", key, IPC_REPEATED, "");
    count_from(b, rig_now_ms() + 1);
    asserts(b, "GW0001", key, IPC_REVOKED, "withdrawn");
    tries(b, "GW0002", IPC_REVOKED, "withdrawn");
    assert_int_equal(identified(b, NULL), IPC_REVOKED);
    count_from(b, 0);
    asserts(b, "GW0001", key, IPC_REPEATED, "");
    ca_withdrawal_end(&withdrawals, &others);
    assert_null(withdrawals.first);
    EVP_PKEY_free(key);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_job_a_station_gets_nothing),
        TEST(test_a_unit_becomes_the_jobs),
        TEST(test_what_the_terms_do_not_hold),
        TEST(test_a_hundred_at_once_get_ten),
        TEST(test_one_key_and_one_certificate_for_each),
        TEST(test_a_burned_serial_costs_nothing),
        TEST(test_unknown_ids_stop_it),
        TEST(test_copies_stop_it_and_officers_resume_it),
        TEST(test_too_fast),
        TEST(test_quarantine_until_it_is_closed),
        TEST(test_a_withdrawn_station_gets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
