/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted on jobs, in the store's transactions: no quota is exceeded, whatever is under
 * way. */
#include "tests/unit/store_rows.h"

static struct ca_job a_job(uint32_t quota) {
    struct ca_job job = {.version = 1,
                         .tenant = "acme",
                         .name = "line-4",
                         .status = CA_JOB_OPEN,
                         .terms = 1,
                         .profile_count = 2,
                         .profiles = {{"idevid", quota, 0}, {"ldevid", 1, 0}}};
    return job;
}

static void put_job(struct fixture *f, struct ca_job *job) {
    assert_int_equal(COMMIT(f, NULL, change_row(CA_TABLE_JOB, job)), TM_OK);
}

static struct ca_job stored(struct fixture *f) {
    struct ca_job job = {.tenant = "acme", .name = "line-4"};
    assert_int_equal(f->store->ops->row(f->store, CA_TABLE_JOB, &job, NULL), TM_OK);
    return job;
}

static struct ca_grant spending(int certificates) {
    return (struct ca_grant){.tenant = "acme",
                             .job = "line-4",
                             .terms = 1,
                             .profile = "idevid",
                             .certificates = certificates};
}

static void a_hundred_at_once_get_what_there_is(void **state) {
    struct fixture *f = *state;
    enum { ASKING = 100, QUOTA = 10 };
    static struct job jobs[ASKING];
    static struct ca_intent intents[ASKING];
    struct ca_job job = a_job(QUOTA);
    size_t granted = 0, before = 0;
    put_job(f, &job);
    for (size_t i = 0; i < ASKING; i++) {
        intents[i] = sample_intent(i + 1);
        jobs[i] = (struct job){.batch = {.count = 2}};
        jobs[i].batch.changes[0] = change_intent(&intents[i]);
        jobs[i].batch.changes[1] = change_grant(spending(1));
        job_submit(f, &jobs[i]);
    }
    fixture_run(f);
    for (size_t i = 0; i < ASKING; i++) {
        granted += jobs[i].result == TM_OK;
        before += jobs[i].result == TM_OK && i < QUOTA;
        if (jobs[i].result) {
            assert_int_equal(jobs[i].result, TM_ECONFLICT);
            assert_int_equal(jobs[i].batch.failed, 1);
        }
    }
    assert_int_equal(granted, QUOTA);
    assert_int_equal(before, QUOTA);
    assert_int_equal(stored(f).profiles[0].spent, QUOTA);
    size_t open = 0;
    struct ca_serial cursor = {0};
    struct ca_intent intent;
    while (!f->store->ops->next_intent(f->store, &cursor, &intent))
        open++;
    assert_int_equal(open, QUOTA);
}

static void what_came_to_nothing_comes_back(void **state) {
    struct fixture *f = *state;
    struct ca_job job = a_job(2);
    put_job(f, &job);
    assert_int_equal(COMMIT(f, NULL, change_grant(spending(1))), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_grant(spending(1))), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_grant(spending(1))), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, NULL, change_grant(spending(-1))), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_grant(spending(1))), TM_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(COMMIT(f, NULL, change_grant(spending(-1))), TM_OK);
    assert_int_equal(stored(f).profiles[0].spent, 0);
    /* The end of an intent must never be stuck: not for a job that is no more. */
    struct ca_grant gone = spending(-1);
    gone.job = "elsewhere";
    assert_int_equal(COMMIT(f, NULL, change_grant(gone)), TM_OK);
}

static void only_an_open_job_of_these_terms_is_spent(void **state) {
    struct fixture *f = *state;
    struct ca_job job = a_job(5);
    struct ca_grant grant = spending(1);
    assert_int_equal(COMMIT(f, NULL, change_grant(grant)), TM_ECONFLICT);
    put_job(f, &job);
    grant.profile = "elsewhere";
    assert_int_equal(COMMIT(f, NULL, change_grant(grant)), TM_ECONFLICT);
    grant = spending(1);
    grant.terms = 2;
    assert_int_equal(COMMIT(f, NULL, change_grant(grant)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, NULL, change_grant(spending(1))), TM_OK);
    for (unsigned status = CA_JOB_STOPPED; status <= CA_JOB_CLOSED; status++) {
        job = stored(f);
        job.version++;
        job.status = (uint8_t)status;
        put_job(f, &job);
        assert_int_equal(COMMIT(f, NULL, change_grant(spending(1))), TM_ECONFLICT);
        assert_int_equal(COMMIT(f, NULL, change_grant(spending(-1))), TM_OK);
    }
}

/* Who changes the terms does not race with issuance, and takes nothing back that was counted. */
static void counts_outlive_a_change_of_terms(void **state) {
    struct fixture *f = *state;
    struct ca_job job = a_job(5), before;
    struct ca_grant report = {.tenant = "acme", .job = "line-4", .passed = 1};
    put_job(f, &job);
    before = stored(f);
    struct ca_grant first = spending(1);
    first.begun = 1;
    assert_int_equal(COMMIT(f, NULL, change_grant(first)), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_grant(report)), TM_OK);
    before.version++;
    before.terms++;
    before.profiles[0].quota = 7;
    put_job(f, &before);
    job = stored(f);
    assert_int_equal(job.terms, 2);
    assert_int_equal(job.profiles[0].quota, 7);
    assert_int_equal(job.profiles[0].spent, 1);
    assert_int_equal(job.begun, 1);
    assert_int_equal(job.passed, 1);
    report = (struct ca_grant){.tenant = "acme", .job = "line-4", .passed = -1, .scrapped = 1};
    assert_int_equal(COMMIT(f, NULL, change_grant(report)), TM_OK);
    job = stored(f);
    assert_int_equal(job.passed, 0);
    assert_int_equal(job.scrapped, 1);
    job.version++;
    job.status = CA_JOB_CLOSED;
    put_job(f, &job);
    assert_int_equal(COMMIT(f, NULL, change_grant(report)), TM_ECONFLICT);
    assert_sound(f);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_hundred_at_once_get_what_there_is),
        TEST(what_came_to_nothing_comes_back),
        TEST(only_an_open_job_of_these_terms_is_spent),
        TEST(counts_outlive_a_change_of_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
