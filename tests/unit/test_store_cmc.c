/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions (the outbox), unconfirmed certificates and consumers' cursors. */
#include "tests/unit/store_fixture.h"

static enum tm_err read_transaction(struct fixture *f, const char *id, struct ca_transaction *ret,
                                    struct buf *response) {
    return f->store->ops->transaction(f->store, "acme", id, ret, response);
}

static enum tm_err do_job(struct fixture *f, struct job *job) {
    job_submit(f, job);
    fixture_run(f);
    return job->result;
}

static void assert_stored(struct fixture *f, const struct ca_transaction *wanted) {
    uint8_t octets[CA_RESPONSE_MAX];
    struct buf out = BUF_ON(octets);
    struct ca_transaction got;
    assert_int_equal(read_transaction(f, wanted->device, &got, &out), TM_OK);
    assert_true(got.response.p == octets);
    assert_same(&store_transaction_schema, &got, wanted);
}

/* An issuance by CMC and its confirmation; each state is sound, and outlives the process. */
static void a_transaction_goes_with_its_certificate(void **state) {
    struct fixture *f = *state;
    struct issuance s;
    issuance_by_cmc(&s, 5);
    assert_int_equal(do_job(f, &s.begin), TM_OK);
    assert_int_equal(do_job(f, &s.end), TM_OK);
    assert_stored(f, &s.transaction);
    assert_sound(f);
    fixture_reopen(f);
    assert_stored(f, &s.transaction);
    assert_int_equal(do_job(f, &s.confirm), TM_OK);
    assert_stored(f, &s.transaction);
    assert_sound(f);
}

static void a_new_transaction_replaces_the_old(void **state) {
    struct fixture *f = *state;
    uint8_t octets[2][CA_RESPONSE_MAX];
    struct ca_transaction first = sample_transaction(1, octets[0], CA_RESPONSE_MAX),
                          second = sample_transaction(1, octets[1], 1),
                          other = sample_transaction(2, octets[1], 1);
    second.id_n = CA_TRANSACTION_ID_MAX;
    second.created_ms++;
    assert_int_equal(COMMIT(f, NULL, change_transaction(&first)), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_transaction(&other)), TM_OK);
    assert_stored(f, &first);
    assert_int_equal(COMMIT(f, NULL, change_transaction(&second)), TM_OK);
    assert_stored(f, &second);
    assert_stored(f, &other);
    /* Two at once contradict each other. */
    assert_int_equal(COMMIT(f, NULL, change_transaction(&first), change_transaction(&second)),
                     TM_ECONFLICT);
}

static void a_failed_batch_leaves_the_transaction(void **state) {
    struct fixture *f = *state;
    uint8_t octets[2][100];
    struct ca_transaction first = sample_transaction(1, octets[0], 100),
                          second = sample_transaction(1, octets[1], 90);
    struct ca_device device = sample_device(1);
    size_t failed = 99;
    assert_int_equal(COMMIT(f, NULL, change_device(&device), change_transaction(&first)), TM_OK);
    assert_int_equal(COMMIT(f, &failed, change_transaction(&second), change_cursor("mqtt", 1),
                            change_device(&device)),
                     TM_ECONFLICT);
    assert_int_equal(failed, 2);
    assert_stored(f, &first);
    uint64_t next;
    assert_int_equal(f->store->ops->cursor(f->store, "mqtt", &next), TM_ENOTFOUND);
}

static void a_response_that_does_not_fit_is_refused(void **state) {
    struct fixture *f = *state;
    uint8_t octets[100], memory[109];
    struct ca_transaction stored = sample_transaction(1, octets, 100), got, before;
    assert_int_equal(COMMIT(f, NULL, change_transaction(&stored)), TM_OK);
    memset(&got, 0x5a, sizeof got);
    before = got;
    struct buf out = {memory, 99, 0, false};
    assert_int_equal(read_transaction(f, stored.device, &got, &out), TM_ELIMIT);
    assert_memory_equal(&got, &before, sizeof before);
    assert_int_equal(out.n, 0);
    out = (struct buf){memory, sizeof memory, 9, false};
    assert_int_equal(read_transaction(f, stored.device, &got, &out), TM_OK);
    assert_true(got.response.p == memory + 9);
    assert_int_equal(out.n, 109);
}

static void what_is_not_there_is_not_found(void **state) {
    struct fixture *f = *state;
    uint8_t octets[16];
    struct buf out = BUF_ON(octets);
    struct ca_transaction transaction;
    struct ca_device device = sample_device(1);
    uint64_t next = 7;
    char long_name[IPC_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name);
    long_name[IPC_NAME_MAX + 1] = 0;
    assert_int_equal(COMMIT(f, NULL, change_device(&device)), TM_OK);
    const char *const names[] = {device.id, "nobody", "", long_name};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_transaction(f, names[i], &transaction, &out), TM_ENOTFOUND);
        assert_int_equal(f->store->ops->cursor(f->store, names[i], &next), TM_ENOTFOUND);
    }
    assert_int_equal(next, 7);
}

static void values_out_of_bounds_are_refused(void **state) {
    struct fixture *f = *state;
    static uint8_t octets[CA_RESPONSE_MAX + 1];
    char long_name[IPC_NAME_MAX + 2];
    memset(long_name, 'x', sizeof long_name);
    long_name[IPC_NAME_MAX + 1] = 0;
    const struct ca_transaction good = sample_transaction(1, octets, 10);
    struct ca_transaction bad[5];
    for (size_t i = 0; i < 5; i++)
        bad[i] = good;
    bad[0].response.n = 0;
    bad[1] = sample_transaction(1, octets, sizeof octets);
    bad[2].id_n = CA_TRANSACTION_ID_MAX + 1;
    bad[3].device[0] = 0;
    memset(bad[4].tenant, 't', sizeof bad[4].tenant);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(COMMIT(f, NULL, change_transaction(&bad[i])), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_cursor("", 0)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_cursor(long_name, 0)), TM_ELIMIT);
    /* Whether a device has confirmed is its record's to say, not the certificate's. */
    struct ca_certificate certificate = sample_certificate(1, octets, 32);
    certificate.status = CA_CERT_UNCONFIRMED;
    assert_int_equal(COMMIT(f, NULL, change_cert(&certificate)), TM_ELIMIT);
    issue_many(f, 1, 1);
    assert_int_equal(COMMIT(f, NULL, change_status(&certificate)), TM_ELIMIT);
}

static void the_largest_batch_fits(void **state) {
    struct fixture *f = *state;
    static uint8_t octets[CA_BATCH_MAX][CA_RESPONSE_MAX];
    static struct ca_transaction all[CA_BATCH_MAX];
    struct ca_change changes[CA_BATCH_MAX];
    for (size_t i = 0; i < CA_BATCH_MAX; i++) {
        all[i] = sample_transaction(i, octets[i], CA_RESPONSE_MAX);
        memset(all[i].device, 'd', IPC_NAME_MAX);
        all[i].device[0] = (char)('A' + i);
        changes[i] = change_transaction(&all[i]);
    }
    assert_int_equal(commit_changes(f, changes, CA_BATCH_MAX, NULL), TM_OK);
    assert_stored(f, &all[0]);
    assert_stored(f, &all[CA_BATCH_MAX - 1]);
}

static void a_cursor_moves(void **state) {
    struct fixture *f = *state;
    const char *longest = "consumer-consumer-consumer-consumer-consumer-consumer-consumer-c";
    uint64_t next;
    assert_int_equal(strlen(longest), IPC_NAME_MAX);
    issue_many(f, 1, 2); /* four leaves */
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 0), change_cursor(longest, 3)), TM_OK);
    assert_int_equal(f->store->ops->cursor(f->store, "mqtt", &next), TM_OK);
    assert_int_equal(next, 0);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", 4)), TM_OK);
    fixture_reopen(f);
    assert_int_equal(f->store->ops->cursor(f->store, "mqtt", &next), TM_OK);
    assert_int_equal(next, 4);
    assert_int_equal(f->store->ops->cursor(f->store, longest, &next), TM_OK);
    assert_int_equal(next, 3);
    assert_sound(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_transaction_goes_with_its_certificate),
        TEST(a_new_transaction_replaces_the_old),
        TEST(a_failed_batch_leaves_the_transaction),
        TEST(a_response_that_does_not_fit_is_refused),
        TEST(what_is_not_there_is_not_found),
        TEST(values_out_of_bounds_are_refused),
        TEST(the_largest_batch_fits),
        TEST(a_cursor_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
