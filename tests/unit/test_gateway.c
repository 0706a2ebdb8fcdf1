/* SPDX-License-Identifier: Apache-2.0 */
/* client/examples/gateway.c: a filter, an issuer and a certificate in files, an answer as exit
 * status. */
#include "filter_fixture.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

struct rig {
    struct ca_fixture ca;
    char filter[64], issuer[64], certificate[64];
};

static void write_file(const char *path, struct bytes octets) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(octets.p, 1, octets.n, f), octets.n);
    assert_int_equal(fclose(f), 0);
}

static struct ca_serial serial_at(int64_t time_ms) {
    uint64_t seed = (uint64_t)time_ms;
    return ff_serial_at(time_ms, &seed);
}

/* Two certificates a minute apart, the second revoked. */
static void write_filter(struct rig *r, int64_t now_ms, int64_t next_ms) {
    struct ca_filter_terms terms = ff_terms(&r->ca.issuer);
    struct ca_filter *filter;
    struct ca_serial good = serial_at(FF_FROM), revoked = serial_at(FF_FROM + 60000);
    terms.made_ms = now_ms;
    terms.next_ms = next_ms;
    terms.until_ms = FF_FROM + FF_HOUR;
    assert_int_equal(ca_filter_new(&terms, &filter), TM_OK);
    assert_int_equal(ca_filter_add(filter, &good, CA_FILTER_GOOD), TM_OK);
    assert_int_equal(ca_filter_add(filter, &revoked, CA_FILTER_REVOKED), TM_OK);
    struct bytes file = ff_finish(&r->ca, filter);
    write_file(r->filter, file);
    ff_free(file);
}

static void write_certificate(struct rig *r, int64_t serial_ms) {
    struct ca_serial serial = serial_at(serial_ms);
    struct fixture_der der;
    X509 *cert = ca_fixture_make(&(struct ca_fixture_cert){.name = "pump-17",
                                                           .key = r->ca.root_key,
                                                           .issuer = r->ca.cert,
                                                           .issuer_key = r->ca.key,
                                                           .to_s = CA_FIXTURE_YEAR});
    BIGNUM *number = BN_bin2bn(serial.octets, serial.n, NULL);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    assert_true(X509_sign(cert, r->ca.key, EVP_sha256()) > 0);
    FIXTURE_I2D(&der, X509, cert);
    write_file(r->certificate, fixture_bytes(&der));
    fixture_free(&der);
    BN_free(number);
    X509_free(cert);
}

static int setup(void **state) {
    struct rig *r = malloc(sizeof *r);
    assert_non_null(r);
    ca_fixture_open(&r->ca, "P-384");
    (void)snprintf(r->filter, sizeof r->filter, "%s/factory.filter", r->ca.folder);
    (void)snprintf(r->issuer, sizeof r->issuer, "%s/factory.cer", r->ca.folder);
    (void)snprintf(r->certificate, sizeof r->certificate, "%s/device.der", r->ca.folder);
    write_file(r->issuer, r->ca.issuer.der);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    struct rig *r = *state;
    (void)unlink(r->filter);
    (void)unlink(r->issuer);
    (void)unlink(r->certificate);
    ca_fixture_close(&r->ca);
    free(r);
    return 0;
}

/* Its exit status. */
static int ask(struct rig *r, const char *issuer) {
    char *const argv[] = {(char *)(uintptr_t)GATEWAY, r->filter, (char *)(uintptr_t)issuer,
                          r->certificate, NULL};
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, GATEWAY, NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void the_exit_status_is_the_answer(void **state) {
    struct rig *r = *state;
    int64_t now_ms = clock_wall_ms();
    write_filter(r, now_ms, now_ms + FF_HOUR);
    write_certificate(r, FF_FROM);
    assert_int_equal(ask(r, r->issuer), 0);
    write_certificate(r, FF_FROM + 60000);
    assert_int_equal(ask(r, r->issuer), 1);
    write_certificate(r, FF_FROM + FF_HOUR + 1);
    assert_int_equal(ask(r, r->issuer), 2);
    assert_int_equal(ask(r, r->certificate), 3);
    assert_int_equal(ask(r, "/nonexistent"), 3);
}

static void a_filter_that_is_long_overdue_says_nothing_good(void **state) {
    struct rig *r = *state;
    int64_t now_ms = clock_wall_ms();
    write_filter(r, now_ms - 3 * FF_HOUR, now_ms - 2 * FF_HOUR);
    write_certificate(r, FF_FROM);
    assert_int_equal(ask(r, r->issuer), 2);
    write_certificate(r, FF_FROM + 60000);
    assert_int_equal(ask(r, r->issuer), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_the_answer),
        cmocka_unit_test(a_filter_that_is_long_overdue_says_nothing_good),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
