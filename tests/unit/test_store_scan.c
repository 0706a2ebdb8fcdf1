/* SPDX-License-Identifier: Apache-2.0 */
/* The index of revoked certificates, and walks over the store beside loop and writer. */
#include <pthread.h>
#include <stdatomic.h>

#include "store/scan.h"
#include "tests/unit/store_raw.h"

static struct ca_scan *open_scan(struct fixture *f) {
    struct ca_scan *scan;
    assert_int_equal(f->store->ops->scan_open(f->store, &scan), TM_OK);
    return scan;
}

/* ---- the index ---- */

/* The certificate, and its device's record with it. */
static void set_status(struct fixture *f, uint64_t n, uint64_t version,
                       const struct ca_certificate *change) {
    struct ca_device owner = sample_owner(n);
    owner.version = version;
    owner.certs[0].status = change->status;
    assert_int_equal(COMMIT(f, NULL, change_status(change), change_device(&owner)), TM_OK);
}

/* All revoked ones of an issuer, `width` at a time. */
static size_t scan_all(struct fixture *f, const char *issuer, struct ca_revoked *rows, size_t most,
                       size_t width) {
    struct ca_scan *scan = open_scan(f);
    struct ca_serial cursor = {.n = 0};
    size_t count = 0, n = 1;
    for (size_t i = 0; n && i <= most; i++) {
        size_t room = most - count < width ? most - count : width;
        assert_int_equal(
            f->store->ops->scan_revoked(scan, issuer, &cursor, &rows[count], room ? room : 1, &n),
            TM_OK);
        assert_true(n <= room);
        count += n;
        if (n)
            assert_true(ca_serial_equal(&cursor, &rows[count - 1].serial));
    }
    assert_int_equal(n, 0);
    f->store->ops->scan_close(scan);
    return count;
}

static void a_revoked_certificate_is_among_its_issuers(void **state) {
    struct fixture *f = *state;
    struct ca_revoked rows[20];
    issue_many(f, 1, 9);
    assert_int_equal(scan_all(f, "factory", rows, 20, 4), 0);
    static const uint64_t order[] = {7, 2, 9, 4, 3};
    for (size_t i = 0; i < 5; i++)
        revoke_one(f, order[i]);
    static const uint64_t sorted[] = {2, 3, 4, 7, 9};
    for (size_t width = 1; width <= 6; width++) {
        assert_int_equal(scan_all(f, "factory", rows, 20, width), 5);
        for (size_t i = 0; i < 5; i++) {
            struct ca_certificate wanted = sample_revocation(sorted[i]);
            assert_true(ca_serial_equal(&rows[i].serial, &wanted.serial));
            assert_int_equal(rows[i].revoked_ms, wanted.revoked_ms);
            assert_int_equal(rows[i].reason, wanted.revoked_reason);
            assert_int_equal(rows[i].not_after_ms, 1800000000000);
        }
    }
    assert_sound(f);
    fixture_reopen(f);
    assert_int_equal(scan_all(f, "factory", rows, 20, 2), 5);
}

/* One that was on hold leaves the list; another reason shows in it. */
static void the_index_follows_the_certificate(void **state) {
    struct fixture *f = *state;
    struct ca_revoked rows[4];
    issue_many(f, 1, 2);
    struct ca_certificate change = sample_revocation(1);
    set_status(f, 1, 3, &change);
    revoke_one(f, 2);
    change.revoked_reason = 6;
    change.revoked_ms = 99;
    set_status(f, 1, 4, &change);
    assert_int_equal(scan_all(f, "factory", rows, 4, 4), 2);
    assert_int_equal(rows[0].reason, 6);
    assert_int_equal(rows[0].revoked_ms, 99);
    assert_sound(f);
    change = (struct ca_certificate){.serial = sample_serial(1), .status = CA_CERT_ACTIVE};
    set_status(f, 1, 5, &change);
    assert_int_equal(scan_all(f, "factory", rows, 4, 4), 1);
    struct ca_serial second = sample_serial(2);
    assert_true(ca_serial_equal(&rows[0].serial, &second));
    set_status(f, 1, 6, &change); /* once more changes nothing */
    assert_int_equal(scan_all(f, "factory", rows, 4, 4), 1);
    assert_sound(f);
}

/* A revocation that does not become durable is in no list. */
static void the_index_shares_the_batchs_fate(void **state) {
    struct fixture *f = *state;
    struct ca_revoked rows[4];
    issue_many(f, 1, 1);
    const struct ca_certificate change = sample_revocation(1);
    struct ca_device stale = sample_owner(1); /* has this version already */
    assert_int_equal(COMMIT(f, NULL, change_status(&change), change_device(&stale)), TM_ECONFLICT);
    assert_int_equal(scan_all(f, "factory", rows, 4, 4), 0);
    /* One that was revoked when it was recorded is. */
    uint8_t octets[32];
    struct ca_certificate late = sample_certificate(2, octets, sizeof octets);
    late.status = CA_CERT_REVOKED;
    late.revoked_ms = 5;
    assert_int_equal(COMMIT(f, NULL, change_cert(&late)), TM_OK);
    assert_int_equal(scan_all(f, "factory", rows, 4, 4), 1);
    assert_int_equal(rows[0].revoked_ms, 5);
}

/* Names that begin with each other are other issuers still. */
static void each_issuer_has_its_own(void **state) {
    struct fixture *f = *state;
    static const char *const issuers[] = {"factory", "fact", "factory2", "a", "zz"};
    struct ca_revoked rows[8];
    for (uint64_t n = 0; n < 10; n++) {
        uint8_t octets[32];
        struct ca_certificate c = sample_certificate(n, octets, sizeof octets);
        (void)strcpy(c.issuer, issuers[n % 5]);
        c.status = CA_CERT_REVOKED;
        c.revoked_ms = 1 + (int64_t)n;
        assert_int_equal(COMMIT(f, NULL, change_cert(&c)), TM_OK);
    }
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(scan_all(f, issuers[i], rows, 8, 3), 2);
        for (uint64_t k = 0; k < 2; k++) {
            struct ca_serial wanted = sample_serial(i + 5 * k);
            assert_true(ca_serial_equal(&rows[k].serial, &wanted));
        }
    }
    assert_int_equal(scan_all(f, "factor", rows, 8, 3), 0);
}

/* ---- walks ---- */

static void a_page_is_what_its_arguments_say(void **state) {
    struct fixture *f = *state;
    const struct ca_store_ops *ops = f->store->ops;
    struct ca_scan *scan = open_scan(f);
    struct ca_serial cursor = {.n = 0}, absurd = {.n = CA_SERIAL_MAX + 1};
    struct ca_summary rows[2];
    struct ca_revoked revoked[2];
    struct ca_device *devices = calloc(2, sizeof *devices);
    char name[IPC_NAME_MAX + 1] = "";
    size_t n = 77;
    assert_non_null(devices);
    assert_int_equal(ops->scan_certificates(scan, &cursor, rows, 0, &n), TM_EINVAL);
    assert_int_equal(ops->scan_certificates(scan, &absurd, rows, 2, &n), TM_EINVAL);
    assert_int_equal(ops->scan_revoked(scan, "", &cursor, revoked, 2, &n), TM_EINVAL);
    assert_int_equal(ops->scan_devices(scan, "", name, devices, 2, &n), TM_EINVAL);
    assert_int_equal(n, 77);
    assert_int_equal(ops->scan_certificates(scan, &cursor, rows, 2, &n), TM_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ops->scan_devices(scan, "acme", name, devices, 2, &n), TM_OK);
    assert_int_equal(n, 0);
    ops->scan_close(scan);
    ops->scan_close(NULL);
    free(devices);
}

static void certificates_are_walked_in_pages(void **state) {
    struct fixture *f = *state;
    enum { COUNT = 2 * STORE_SCAN_PAGE + 10, BURNED = 100000 };
    for (uint64_t n = 0; n < COUNT; n += 100)
        issue_many(f, n, COUNT - n < 100 ? COUNT - n : 100);
    struct ca_certificate burned = sample_burned(BURNED);
    assert_int_equal(COMMIT(f, NULL, change_cert(&burned)), TM_OK);
    revoke_one(f, 7);
    struct ca_scan *scan = open_scan(f);
    struct ca_summary *rows = calloc(COUNT + 2, sizeof *rows);
    struct ca_serial cursor = {.n = 0};
    size_t total = 0, n = 1, pages = 0;
    assert_non_null(rows);
    for (; n && pages < 10; pages++) {
        assert_int_equal(
            f->store->ops->scan_certificates(scan, &cursor, &rows[total], COUNT + 2 - total, &n),
            TM_OK);
        assert_true(n <= STORE_SCAN_PAGE);
        total += n;
    }
    assert_int_equal(total, COUNT + 1);
    assert_int_equal(pages, 4);
    for (uint64_t i = 0; i < total; i++) {
        uint64_t number = i < COUNT ? i : BURNED;
        uint8_t octets[SAMPLE_DER];
        struct ca_certificate c = sample_certificate(number, octets, sizeof octets);
        assert_true(ca_serial_equal(&rows[i].serial, &c.serial));
        assert_int_equal(rows[i].status, i == COUNT ? CA_CERT_BURNED
                                         : i == 7   ? CA_CERT_REVOKED
                                                    : CA_CERT_ACTIVE);
        assert_string_equal(rows[i].tenant, "acme");
        assert_string_equal(rows[i].device, c.device);
        assert_string_equal(rows[i].profile, "idevid");
        assert_string_equal(rows[i].issuer, "factory");
        assert_int_equal(rows[i].issued_ms, c.issued_ms);
        assert_int_equal(rows[i].not_after_ms, c.not_after_ms);
    }
    f->store->ops->scan_close(scan);
    free(rows);
}

static void a_tenants_devices_are_walked(void **state) {
    struct fixture *f = *state;
    static const char *const tenants[] = {"acme", "acme", "abba", "zeta", "acme", "acmf"};
    static const char *const ids[] = {"m", "a", "x", "y", "zz", "z"};
    for (size_t i = 0; i < 6; i++) {
        struct ca_device d = sample_device(i);
        (void)strcpy(d.tenant, tenants[i]);
        (void)strcpy(d.id, ids[i]);
        (void)strcpy(d.job, ids[i]);
        assert_int_equal(COMMIT(f, NULL, change_device(&d)), TM_OK);
    }
    struct ca_scan *scan = open_scan(f);
    struct ca_device *rows = calloc(2, sizeof *rows);
    char cursor[IPC_NAME_MAX + 1] = "";
    size_t n;
    assert_non_null(rows);
    assert_int_equal(f->store->ops->scan_devices(scan, "acme", cursor, rows, 2, &n), TM_OK);
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].id, "a");
    assert_string_equal(rows[0].job, "a");
    assert_string_equal(rows[1].id, "m");
    assert_string_equal(cursor, "m");
    assert_int_equal(f->store->ops->scan_devices(scan, "acme", cursor, rows, 2, &n), TM_OK);
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].id, "zz");
    assert_int_equal(f->store->ops->scan_devices(scan, "acme", cursor, rows, 2, &n), TM_OK);
    assert_int_equal(n, 0);
    assert_string_equal(cursor, "zz");
    assert_int_equal(f->store->ops->scan_device(scan, "acmf", "z", rows), TM_OK);
    assert_string_equal(rows[0].job, "z");
    assert_int_equal(f->store->ops->scan_device(scan, "acme", "z", rows), TM_ENOTFOUND);
    f->store->ops->scan_close(scan);
    free(rows);
}

/* What is committed between two pages is in the later one. */
static void each_page_is_a_look_of_its_own(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 4);
    struct ca_scan *scan = open_scan(f), *other = open_scan(f);
    struct ca_summary rows[10];
    struct ca_serial cursor = {.n = 0}, behind = {.n = 0};
    size_t n;
    assert_int_equal(f->store->ops->scan_certificates(scan, &cursor, rows, 2, &n), TM_OK);
    assert_int_equal(n, 2);
    revoke_one(f, 4);
    issue_many(f, 5, 3);
    assert_int_equal(f->store->ops->scan_certificates(scan, &cursor, rows, 10, &n), TM_OK);
    assert_int_equal(n, 5);
    assert_int_equal(rows[1].status, CA_CERT_REVOKED);
    assert_int_equal(f->store->ops->scan_certificates(other, &behind, rows, 10, &n), TM_OK);
    assert_int_equal(n, 7);
    f->store->ops->scan_close(other);
    f->store->ops->scan_close(scan);
}

static void a_damaged_record_ends_the_walk(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 6);
    close_store(f);
    flip_certificate(f, 4);
    fixture_open(f);
    struct ca_scan *scan = open_scan(f);
    struct ca_summary rows[10];
    struct ca_serial cursor = {.n = 0}, third = sample_serial(3);
    size_t n;
    assert_int_equal(f->store->ops->scan_certificates(scan, &cursor, rows, 10, &n), TM_OK);
    assert_int_equal(n, 3);
    assert_true(ca_serial_equal(&cursor, &third));
    assert_int_equal(f->store->ops->scan_certificates(scan, &cursor, rows, 10, &n), TM_ECORRUPT);
    assert_int_equal(n, 3);
    assert_true(ca_serial_equal(&cursor, &third));
    f->store->ops->scan_close(scan);
}

/* ---- beside loop and writer ---- */

enum { THREADS = 3, ISSUED = 1500 };

struct walker {
    struct fixture *fixture;
    struct ca_scan *scan;
    pthread_t thread;
    atomic_bool *stop;
    size_t walks;
    size_t certificates, revoked, devices; /* of the last walk */
    const char *fault;                     /* the first */
};

static void fault(struct walker *w, const char *text) {
    if (!w->fault)
        w->fault = text;
}

/* Issued with the certificate, so it is there as well. */
static void look_up(struct walker *w, const struct ca_summary *row) {
    struct ca_device device;
    if (w->fixture->store->ops->scan_device(w->scan, row->tenant, row->device, &device) ||
        strcmp(device.id, row->device) != 0)
        fault(w, "a certificate's device cannot be looked up");
}

static void walk_certificates(struct walker *w, struct ca_summary *rows) {
    struct ca_serial cursor = {.n = 0}, last = {.n = 0};
    size_t n = 1, before = w->certificates;
    for (w->certificates = 0; n && !w->fault; w->certificates += n) {
        if (w->fixture->store->ops->scan_certificates(w->scan, &cursor, rows, 100, &n)) {
            fault(w, "certificates cannot be scanned");
            return;
        }
        if (n)
            look_up(w, &rows[n - 1]);
        for (size_t i = 0; i < n; i++) {
            if (memcmp(rows[i].serial.octets, last.octets, CA_SERIAL_MAX) <= 0)
                fault(w, "a certificate comes twice or out of order");
            if (strcmp(rows[i].issuer, "factory") != 0)
                fault(w, "a certificate is not whole");
            last = rows[i].serial;
        }
    }
    if (w->certificates < before)
        fault(w, "certificates vanished");
}

static void walk_revoked(struct walker *w, struct ca_revoked *rows) {
    struct ca_serial cursor = {.n = 0};
    size_t n = 1, before = w->revoked;
    for (w->revoked = 0; n && !w->fault; w->revoked += n) {
        if (w->fixture->store->ops->scan_revoked(w->scan, "factory", &cursor, rows, 100, &n)) {
            fault(w, "revoked certificates cannot be scanned");
            return;
        }
        for (size_t i = 0; i < n; i++)
            if (rows[i].reason == 0 || rows[i].revoked_ms < 1750000000000)
                fault(w, "a revoked certificate is not whole");
    }
    if (w->revoked < before)
        fault(w, "revoked certificates vanished");
}

static void walk_devices(struct walker *w, struct ca_device *rows) {
    char cursor[IPC_NAME_MAX + 1] = "";
    size_t n = 1;
    for (w->devices = 0; n && !w->fault; w->devices += n)
        if (w->fixture->store->ops->scan_devices(w->scan, "acme", cursor, rows, 20, &n)) {
            fault(w, "devices cannot be scanned");
            return;
        }
}

static void *walk(void *arg) {
    struct walker *w = arg;
    struct ca_summary *certificates = calloc(100, sizeof *certificates);
    struct ca_revoked *revoked = calloc(100, sizeof *revoked);
    struct ca_device *devices = calloc(20, sizeof *devices);
    if (!certificates || !revoked || !devices)
        fault(w, "there is no memory");
    for (bool last = false; !last && !w->fault; w->walks++) {
        last = atomic_load(w->stop); /* one whole walk after everything was done */
        walk_certificates(w, certificates);
        walk_revoked(w, revoked);
        walk_devices(w, devices);
    }
    free(devices);
    free(revoked);
    free(certificates);
    return NULL;
}

static void walks_go_on_while_the_store_grows(void **state) {
    struct fixture *f = *state;
    f->config.map_size = STORE_MAP_LEAST;
    fixture_reopen(f);
    atomic_bool stop;
    struct walker walkers[THREADS];
    struct store_stats before, after;
    atomic_init(&stop, false);
    store_stats(f->store, &before);
    for (size_t i = 0; i < THREADS; i++) {
        walkers[i] = (struct walker){.fixture = f, .scan = open_scan(f), .stop = &stop};
        assert_int_equal(pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]), 0);
    }
    for (uint64_t n = 0; n < ISSUED; n += 50) {
        issue_many(f, n, 50);
        for (uint64_t i = 0; i < 5; i++)
            revoke_one(f, n + i);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(walkers[i].thread, NULL), 0);
        f->store->ops->scan_close(walkers[i].scan);
        if (walkers[i].fault)
            fail_msg("walker %zu: %s", i, walkers[i].fault);
        assert_true(walkers[i].walks >= 1);
        assert_int_equal(walkers[i].certificates, ISSUED);
        assert_int_equal(walkers[i].revoked, ISSUED / 10);
        assert_int_equal(walkers[i].devices, ISSUED);
    }
    store_stats(f->store, &after);
    assert_true(after.map_size > before.map_size);
    assert_sound(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_revoked_certificate_is_among_its_issuers),
        TEST(the_index_follows_the_certificate),
        TEST(the_index_shares_the_batchs_fate),
        TEST(each_issuer_has_its_own),
        TEST(a_page_is_what_its_arguments_say),
        TEST(certificates_are_walked_in_pages),
        TEST(a_tenants_devices_are_walked),
        TEST(each_page_is_a_look_of_its_own),
        TEST(a_damaged_record_ends_the_walk),
        TEST(walks_go_on_while_the_store_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
