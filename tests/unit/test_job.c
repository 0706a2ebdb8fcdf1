/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of jobs: what they hold, what is none, and that their hash says all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ca/job.h"
#include "ca/operator.h"

static void ranges(void **state) {
    struct ca_job job = {.first = "GW0098", .last = "GW0102"};
    (void)state;
    const char *in[] = {"GW0098", "GW0099", "GW0100", "GW0102"};
    const char *out[] = {"GW0097", "GW0103", "GW00100", "GW010", "gw0100", "GW010a", "GW0:00", ""};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
        assert_true(ca_job_in_range(&job, in[i]));
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
        assert_false(ca_job_in_range(&job, out[i]));
    assert_true(ca_job_range_valid("A1", "A1"));
    assert_true(ca_job_range_valid("A-1X9", "A-1X9"));
    assert_false(ca_job_range_valid("A2", "A1"));
    assert_false(ca_job_range_valid("A1", "A01"));
    assert_false(ca_job_range_valid("A1B", "A2B")); /* what differs is no number to the end */
    assert_false(ca_job_range_valid("", ""));
    job.listed = 1;
    assert_false(ca_job_in_range(&job, "GW0099"));
}

static struct ca_job from(const char *network) {
    struct ca_job job = {.network_count = 1};
    TEXT_SET(job.networks[0].text, network);
    return job;
}

static void networks(void **state) {
    static const struct {
        const char *network, *remote;
        bool in;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255:1", true},
        {"192.0.2.0/24", "192.0.3.0:1", false},
        {"192.0.2.128/25", "192.0.2.127:1", false},
        {"192.0.2.7/32", "192.0.2.7:65535", true},
        {"0.0.0.0/0", "203.0.113.9:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"192.0.2.0/24", "[::ffff:192.0.2.9]:1", true},
        {"2001:db8::/32", "[2001:db8:ffff::1]:1", true},
        {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
        {"::/0", "[2001:db8::1]:1", true},
        {"192.0.2.0/24", "plant/line/unit", false},
        {"192.0.2.0/24", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ca_job job = from(cases[i].network);
        if (ca_job_in_network(&job, cases[i].remote) != cases[i].in)
            fail_msg("%s, %s", cases[i].network, cases[i].remote);
    }
    const char *none[] = {
        "192.0.2.1/24", "192.0.2.0",  "192.0.2.0/33", "2001:db8::/129", "/8",
        "x/8",          "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/0x8",  "192.0.2.0/24/8"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(ca_job_network_valid(none[i]));
    assert_true(ca_job_network_valid("192.0.2.0/24"));
    assert_true(ca_job_network_valid("2001:db8::/32"));
}

#define FILE_HEAD "job: j\nprofiles:\n  - {profile: idevid, quota: 5}\n"
#define FILE_REST "until: 2100-01-01T00:00:00Z\nstations: [ST-1]\n"

static enum tm_err read_job(const char *text, struct ca_job *ret, char error[CONF_ERROR_MAX]) {
    return ca_job_read(text, strlen(text), "/job.yaml", 1000, ret, error);
}

static void files(void **state) {
    char error[CONF_ERROR_MAX];
    struct ca_job job;
    (void)state;
    assert_int_equal(read_job(FILE_HEAD "ids: {first: A1, last: A5}\n" FILE_REST, &job, error),
                     TM_OK);
    assert_string_equal(job.of, "j");
    assert_int_equal(job.from_ms, 1000);
    assert_true(job.operator_required);
    const uint32_t standard[CA_RULE_COUNT] = {5, 3, 10, 10, 30};
    assert_memory_equal(job.limits, standard, sizeof standard);
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {FILE_HEAD "ids: {first: A5, last: A1}\n" FILE_REST, "ids: first and last"},
        {FILE_HEAD "ids: {first: A1}\n" FILE_REST, "ids: first and last"},
        {FILE_HEAD "ids: {first: 'a b1', last: 'a b2'}\n" FILE_REST, "ids.first"},
        {FILE_HEAD "networks: [192.0.2.1/24]\n" FILE_REST, "networks must be a network"},
        {FILE_HEAD "until: 1960-01-01T00:00:00Z\nstations: [ST-1]\n", "until must be after from"},
        {FILE_HEAD "until: 2100-01-01T00:00:00Z\nstations: ['a b']\n", "stations must be"},
        {FILE_HEAD "until: 2100-01-01T00:00:00Z\nstations: []\n", "stations"},
        {"job: j\nprofiles:\n  - {profile: x, quota: 1}\n  - {profile: x, quota: 1}\n" FILE_REST,
         "stands there twice"},
        {"job: j\nprofiles:\n  - {profile: x, quota: 0}\n" FILE_REST, "quota"},
        {FILE_HEAD FILE_REST "rates: 5\n", "rates"},
        {"job: 0123456789012345678901234567890123456789012345678\n"
         "profiles:\n  - {profile: x, quota: 1}\n" FILE_REST,
         "at most 48 octets"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(read_job(wrong[i].text, &job, error), TM_EPARSE);
        if (!strstr(error, wrong[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error, wrong[i].says);
    }
}

/* Nobody signs terms that the hash does not cover. */
static void every_term_changes_the_hash(void **state) {
    static const char *const more[] = {
        "",
        "product: p\n",
        "batch: b\n",
        "site: s\n",
        "ids: {first: A1, last: A2}\n",
        "ids: {first: A1, last: A3}\n",
        "from: 2000-01-01T00:00:00Z\n",
        "networks: [192.0.2.0/24]\n",
        "networks: [192.0.2.0/25]\n",
        "rate: 5\n",
        "operator: false\n",
        "stop: {errors: 1}\n",
        "stop: {rate: 0}\n",
        "stop: {duplicate_ids: 0}\n",
    };
    enum { COUNT = sizeof more / sizeof more[0] };
    uint8_t hashes[COUNT + 3][CA_HASH_SIZE];
    char text[512], error[CONF_ERROR_MAX];
    struct ca_job job;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, FILE_HEAD "%s" FILE_REST, more[i]);
        if (read_job(text, &job, error))
            fail_msg("%s", error);
        assert_int_equal(ca_job_hash(&job, hashes[i]), TM_OK);
    }
    TEXT_SET(job.tenant, "acme");
    assert_int_equal(ca_job_hash(&job, hashes[COUNT]), TM_OK);
    job.terms++;
    assert_int_equal(ca_job_hash(&job, hashes[COUNT + 1]), TM_OK);
    job.profiles[0].quota++;
    assert_int_equal(ca_job_hash(&job, hashes[COUNT + 2]), TM_OK);
    for (size_t i = 0; i < COUNT + 3; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(hashes[i], hashes[j], CA_HASH_SIZE);
    job.profiles[0].spent++; /* no term */
    job.begun++;
    assert_int_equal(ca_job_hash(&job, hashes[0]), TM_OK);
    assert_memory_equal(hashes[0], hashes[COUNT + 2], CA_HASH_SIZE);
}

static void longest(void *arg, const char *name, const char *value) {
    size_t *count = arg;
    assert_true(strlen(name) <= IPC_NAME_MAX);
    assert_true(strlen(value) <= IPC_TEXT_MAX);
    ++*count;
}

/* The largest job's terms are shown whole, and fit into an act beside three more parameters. */
static void the_largest_job_fits_into_an_act(void **state) {
    struct ca_job job = {.profile_count = CA_JOB_PROFILES_MAX,
                         .network_count = CA_JOB_NETWORKS_MAX,
                         .station_count = CA_JOB_STATIONS_MAX};
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < CA_JOB_STATIONS_MAX; i++)
        memset(job.stations[i].text, 'A' + (int)i, IPC_NAME_MAX);
    for (size_t i = 0; i < CA_JOB_NETWORKS_MAX; i++)
        memset(job.networks[i].text, 'a' + (int)i, 43);
    ca_job_describe(&job, longest, &count);
    assert_true(count + 3 <= 32);
}

/* ---- as text ---- */

static struct ca_job largest(void) {
    struct ca_job job = {.status = CA_JOB_OPEN,
                         .terms = UINT32_MAX,
                         .listed = UINT32_MAX,
                         .from_ms = 253402300799999,
                         .until_ms = 253402300799999,
                         .rate = UINT32_MAX,
                         .operator_required = true,
                         .profile_count = CA_JOB_PROFILES_MAX,
                         .network_count = CA_JOB_NETWORKS_MAX,
                         .station_count = CA_JOB_STATIONS_MAX};
    char *const names[] = {job.tenant, job.name, job.product, job.batch, job.site};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        memset(names[i], 'n', IPC_NAME_MAX);
    for (size_t i = 0; i < CA_JOB_PROFILES_MAX; i++) {
        memset(job.profiles[i].name, 'p', IPC_NAME_MAX);
        job.profiles[i].quota = UINT32_MAX;
    }
    for (size_t i = 0; i < CA_JOB_STATIONS_MAX; i++)
        memset(job.stations[i].text, 'A' + (int)i, IPC_NAME_MAX);
    for (size_t i = 0; i < CA_JOB_NETWORKS_MAX; i++)
        memset(job.networks[i].text, 'a' + (int)i, IPC_NAME_MAX);
    memset(job.list, 0xab, sizeof job.list);
    for (size_t i = 0; i < CA_RULE_COUNT; i++)
        job.limits[i] = UINT32_MAX;
    return job;
}

static void assert_read_again(const struct ca_job *job) {
    uint8_t octets[CA_TERMS_MAX], first[CA_HASH_SIZE], second[CA_HASH_SIZE];
    struct buf text = BUF_ON(octets);
    struct ca_job again;
    assert_int_equal(ca_job_terms_put(job, &text), TM_OK);
    assert_int_equal(ca_job_terms_read(buf_bytes(&text), &again), TM_OK);
    assert_int_equal(ca_job_hash(job, first), TM_OK);
    assert_int_equal(ca_job_hash(&again, second), TM_OK);
    assert_memory_equal(first, second, CA_HASH_SIZE);
    assert_string_equal(again.tenant, job->tenant);
    assert_int_equal(again.from_ms, job->from_ms);
    assert_int_equal(again.until_ms, job->until_ms);
    assert_int_equal(again.station_count, job->station_count);
    assert_memory_equal(again.stations, job->stations, sizeof job->stations);
    assert_memory_equal(again.networks, job->networks, sizeof job->networks);
    assert_memory_equal(again.profiles, job->profiles, sizeof job->profiles);
    assert_memory_equal(again.limits, job->limits, sizeof job->limits);
}

static void terms_are_read_again(void **state) {
    struct ca_job job = largest(), small = {.status = CA_JOB_OPEN, .terms = 1};
    (void)state;
    assert_read_again(&job);
    TEXT_SET(small.tenant, "acme");
    TEXT_SET(small.name, "j");
    TEXT_SET(small.first, "A1");
    TEXT_SET(small.last, "A9");
    small.from_ms = 1700000000123;
    small.until_ms = 4102444800000;
    assert_read_again(&small);
}

static void what_was_not_written_is_not_read(void **state) {
    struct ca_job job = {.status = CA_JOB_OPEN, .terms = 1}, ret;
    uint8_t octets[CA_TERMS_MAX];
    struct buf text = BUF_ON(octets);
    (void)state;
    TEXT_SET(job.tenant, "acme");
    TEXT_SET(job.name, "j");
    TEXT_SET(job.first, "A1");
    TEXT_SET(job.last, "A9");
    assert_int_equal(ca_job_terms_put(&job, &text), TM_OK);
    for (size_t n = 0; n < text.n; n++) /* cut anywhere */
        assert_int_equal(ca_job_terms_read((struct bytes){text.p, n}, &ret), TM_EPARSE);
    for (size_t i = 0; i < text.n; i++) { /* an octet that says the same must not be another */
        struct ca_job as;
        text.p[i] ^= 1;
        if (!ca_job_terms_read(buf_bytes(&text), &as))
            assert_true(memcmp(&as, &job, sizeof as) != 0);
        text.p[i] ^= 1;
    }
    static const char *const none[] = {"", "x", "x\n", "=\n", "terms=1\n", "tenant=a\njob=b\n"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(ca_job_terms_read(bytes_str(none[i]), &ret), TM_EPARSE);
}

static void waiting_for_a_login(void **state) {
    (void)state;
    assert_int_equal(ca_login_wait_ms(0), 0);
    assert_int_equal(ca_login_wait_ms(CA_LOGIN_FREE), 0);
    assert_int_equal(ca_login_wait_ms(CA_LOGIN_FREE + 1), 1000);
    assert_int_equal(ca_login_wait_ms(CA_LOGIN_FREE + 4), 8000);
    assert_int_equal(ca_login_wait_ms(UINT32_MAX), CA_LOGIN_WAIT_MAX_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(networks),
        cmocka_unit_test(files),
        cmocka_unit_test(every_term_changes_the_hash),
        cmocka_unit_test(the_largest_job_fits_into_an_act),
        cmocka_unit_test(terms_are_read_again),
        cmocka_unit_test(what_was_not_written_is_not_read),
        cmocka_unit_test(waiting_for_a_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
