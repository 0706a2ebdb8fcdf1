/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the registry on a real store: what a transition does to certificates by the product's
 * policy, in one transaction, and when an ID is another device's. */
#include "store_rows.h"

#include "ca/dropped.h"
#include "ca/registry.h"

static int64_t the_time = 1700000100000;
static int64_t now_ms(void) {
    return the_time;
}

struct answer {
    struct fixture *f;
    bool done, waited_for;
    enum tm_err result;
    char text[IPC_TEXT_MAX + 1];
    struct ca_device device;
};

static void answered(void *arg, enum tm_err result, const char *text,
                     const struct ca_device *device, const char *secret) {
    struct answer *answer = arg;
    (void)secret;
    answer->result = result;
    TEXT_SET(answer->text, text);
    if (device)
        answer->device = *device;
    answer->done = true;
    if (answer->waited_for)
        fixture_count_down(answer->f);
}

/* What is refused is answered at once. */
static void wait_for(struct answer *answer) {
    answer->waited_for = true;
    answer->f->expected = !answer->done;
    fixture_run(answer->f);
}

static size_t told; /* certificates whose revocation somebody was told of */
static void tell(void *arg, const struct ca_certificate *certificate) {
    (void)arg;
    assert_int_equal(certificate->status, CA_CERT_REVOKED);
    told++;
}

static struct ca_product product = {.sku = (char[]){"gw"},
                                    .id_min = 1,
                                    .id_max = 64,
                                    .rework = CA_POLICY_REISSUE,
                                    .rma = CA_POLICY_REVOKE,
                                    .refurbishment = CA_POLICY_REUSE,
                                    .max_reworks = 2,
                                    .max_rmas = 1,
                                    .id_reuse = CA_ID_OUT_OF_USE};
static const struct ca_products products = {.items = &product, .count = 1};

static struct ca_registry registry_of(struct fixture *f) {
    told = 0;
    return (struct ca_registry){
        .store = f->store, .products = &products, .now_ms = now_ms, .revoked = tell};
}

static struct answer moved(struct fixture *f, const char *id, enum ca_state to, unsigned who) {
    struct ca_registry registry = registry_of(f);
    struct answer answer = {.f = f};
    const struct ca_registry_move move = {
        .tenant = "acme", .device = id, .to = to, .who = who, .reason = "test"};
    assert_int_equal(ca_registry_move(&registry, &move, "test", answered, &answer), TM_OK);
    wait_for(&answer);
    return answer;
}

/* A device in this state with as many certificates as its record names. */
static struct ca_device put_device(struct fixture *f, const char *id, enum ca_state state) {
    struct ca_device device = {.version = 1, .state = (uint8_t)state, .created_ms = 1};
    struct ca_change changes[CA_DEVICE_CERTS_MAX + 1];
    struct ca_certificate certificates[CA_DEVICE_CERTS_MAX];
    static uint8_t octets[CA_DEVICE_CERTS_MAX][16];
    TEXT_SET(device.tenant, "acme");
    TEXT_SET(device.id, id);
    TEXT_SET(device.sku, "gw");
    device.secret.set = true;
    device.pinned = true;
    for (size_t i = 0; i < CA_DEVICE_CERTS_MAX; i++) {
        certificates[i] =
            sample_certificate(100 * (uint64_t)id[0] + i, octets[i], sizeof octets[i]);
        certificates[i].status = i == 3 ? CA_CERT_REVOKED : CA_CERT_ACTIVE;
        TEXT_SET(certificates[i].tenant, "acme");
        TEXT_SET(certificates[i].device, id);
        device.certs[i] = (struct ca_cert_ref){.serial = certificates[i].serial,
                                               .status = i == 3   ? CA_CERT_REVOKED
                                                         : i == 4 ? CA_CERT_SUPERSEDED
                                                                  : CA_CERT_ACTIVE};
        (void)snprintf(device.certs[i].profile, sizeof device.certs[i].profile, "p-%zu", i);
        TEXT_SET(certificates[i].profile, device.certs[i].profile);
        changes[i] = change_cert(&certificates[i]);
    }
    device.cert_count = CA_DEVICE_CERTS_MAX;
    changes[CA_DEVICE_CERTS_MAX] = change_device(&device);
    assert_int_equal(commit_changes(f, changes, CA_DEVICE_CERTS_MAX + 1, NULL), TM_OK);
    return device;
}

static uint64_t leaves_now(struct fixture *f) {
    struct ca_audit_head head;
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    return head.size;
}

static void assert_status(struct fixture *f, const struct ca_serial *serial, uint8_t status) {
    struct ca_certificate certificate;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    assert_int_equal(f->store->ops->certificate(f->store, serial, &certificate, &buf), TM_OK);
    assert_int_equal(certificate.status, status);
    if (status == CA_CERT_REVOKED)
        assert_true(certificate.revoked_ms != 0);
}

static void a_return_revokes_all_in_one_transaction(void **state) {
    struct fixture *f = *state;
    struct ca_device device = put_device(f, "A", CA_ACTIVATED);
    uint64_t leaves = leaves_now(f);
    struct store_stats before, after;
    store_stats(f->store, &before);
    struct answer answer = moved(f, "A", CA_RETURNED, CA_BY_OPERATOR);
    store_stats(f->store, &after);
    assert_int_equal(answer.result, TM_OK);
    assert_int_equal(after.batches - before.batches, 1);
    assert_int_equal(told, CA_DEVICE_CERTS_MAX - 1);
    /* One of each certificate that was not revoked before, then that of the transition. */
    assert_int_equal(leaves_now(f) - leaves, CA_DEVICE_CERTS_MAX);
    struct ca_leaf leaf;
    assert_int_equal(f->store->ops->leaf(f->store, leaves, &leaf), TM_OK);
    assert_int_equal(leaf.event, CA_EVENT_REVOKED);
    assert_true(ca_serial_equal(&leaf.serial, &device.certs[0].serial));
    assert_int_equal(f->store->ops->leaf(f->store, leaves_now(f) - 1, &leaf), TM_OK);
    assert_int_equal(leaf.event, CA_EVENT_TRANSITION);
    assert_int_equal(leaf.from_state, CA_ACTIVATED);
    assert_int_equal(leaf.to_state, CA_RETURNED);
    for (size_t i = 0; i < CA_DEVICE_CERTS_MAX; i++) {
        if (i != 3)
            assert_status(f, &device.certs[i].serial, CA_CERT_REVOKED);
        assert_int_equal(answer.device.certs[i].status, CA_CERT_REVOKED);
    }
    assert_int_equal(answer.device.rma_count, 1);
    assert_int_equal(answer.device.certs_from_ms, the_time);
    assert_false(answer.device.secret.set);
    assert_false(answer.device.pinned);
}

/* ---- certificates that the record names no more ---- */

#define DROPPED 25u
enum { EXPIRED = 4, REVOKED_BEFORE = 17 }; /* of them */

static struct ca_certificate dropped_certificate(const char *id, uint64_t n, uint8_t octets[16]) {
    struct ca_certificate c = sample_certificate(100 * (uint64_t)id[0] + 50 + n, octets, 16);
    TEXT_SET(c.tenant, "acme");
    TEXT_SET(c.device, id);
    c.status = n == REVOKED_BEFORE ? CA_CERT_REVOKED : CA_CERT_ACTIVE;
    c.revoked_ms = n == REVOKED_BEFORE;
    if (n == EXPIRED)
        c.not_after_ms = the_time - 1;
    return c;
}

static struct ca_dropped dropped_row(const struct ca_certificate *c) {
    struct ca_dropped row = {.version = 1, .serial = c->serial, .not_after_ms = c->not_after_ms};
    TEXT_SET(row.tenant, c->tenant);
    TEXT_SET(row.device, c->device);
    return row;
}

static void put_dropped(struct fixture *f, const char *id) {
    for (uint64_t i = 0; i < DROPPED; i++) {
        uint8_t octets[16];
        struct ca_certificate c = dropped_certificate(id, i, octets);
        struct ca_dropped row = dropped_row(&c);
        assert_int_equal(COMMIT(f, NULL, change_cert(&c), change_row(CA_TABLE_DROPPED, &row)),
                         TM_OK);
    }
}

static size_t rows_of(struct fixture *f, const char *id) {
    struct ca_serial cursor = {.n = 0};
    struct ca_dropped row;
    size_t count = 0;
    while (!ca_dropped_next(f->store, "acme", id, &cursor, &row))
        count++;
    return count;
}

static void assert_dropped(struct fixture *f, const char *id) {
    for (uint64_t i = 0; i < DROPPED; i++) {
        uint8_t octets[16];
        struct ca_certificate c = dropped_certificate(id, i, octets);
        assert_status(f, &c.serial, i == EXPIRED ? CA_CERT_ACTIVE : CA_CERT_REVOKED);
    }
    assert_int_equal(rows_of(f, id), 0);
}

static void what_dropped_out_is_revoked_as_well(void **state) {
    struct fixture *f = *state;
    struct ca_device device = put_device(f, "F", CA_ACTIVATED);
    (void)put_device(f, "G", CA_ACTIVATED);
    put_dropped(f, "F");
    put_dropped(f, "G");
    uint64_t leaves = leaves_now(f);
    struct answer answer = moved(f, "F", CA_RETURNED, CA_BY_OPERATOR);
    assert_int_equal(answer.result, TM_OK);
    assert_int_equal(told, CA_DEVICE_CERTS_MAX - 1 + DROPPED - 2);
    assert_int_equal(leaves_now(f) - leaves, CA_DEVICE_CERTS_MAX + DROPPED - 2);
    assert_dropped(f, "F");
    assert_status(f, &device.certs[0].serial, CA_CERT_REVOKED);
    assert_int_equal(answer.device.rma_count, 1);
    assert_int_equal(rows_of(f, "G"), DROPPED);
}

/* Whatever its product says, or though it has none. */
static void the_end_of_a_device_is_that_of_its_certificates(void **state) {
    struct fixture *f = *state;
    static const enum ca_state ends[] = {CA_RETIRED, CA_DEVICE_REVOKED};
    product.rma = CA_POLICY_REUSE;
    for (size_t i = 0; i < 2; i++) {
        const char *id = i ? "I" : "H";
        struct ca_device device = put_device(f, id, CA_ACTIVATED);
        put_dropped(f, id);
        struct answer answer = moved(f, id, ends[i], CA_BY_OFFICER);
        assert_int_equal(answer.result, TM_OK);
        assert_int_equal(told, CA_DEVICE_CERTS_MAX - 1 + DROPPED - 2);
        assert_status(f, &device.certs[0].serial, CA_CERT_REVOKED);
        assert_dropped(f, id);
    }
    product.rma = CA_POLICY_REVOKE;
}

static void a_limit_is_told_before_anything_is_revoked(void **state) {
    struct fixture *f = *state;
    (void)put_device(f, "J", CA_RETURNED);
    product.max_rmas = 1;
    product.refurbishment = CA_POLICY_REVOKE;
    put_dropped(f, "J");
    uint64_t leaves = leaves_now(f);
    assert_int_equal(moved(f, "J", CA_REFURBISHED, CA_BY_DEVICE).result, TM_EDENIED);
    assert_int_equal(leaves_now(f), leaves);
    assert_int_equal(rows_of(f, "J"), DROPPED);
    product.refurbishment = CA_POLICY_REUSE;
}

static void one_that_dropped_out_is_revoked_by_its_serial(void **state) {
    struct fixture *f = *state;
    struct ca_registry registry = registry_of(f);
    struct answer answer = {.f = f};
    uint8_t octets[16];
    struct ca_certificate c = dropped_certificate("K", 0, octets);
    (void)put_device(f, "K", CA_ACTIVATED);
    put_dropped(f, "K");
    assert_int_equal(
        ca_registry_revoke(&registry, &c.serial, 1, "stolen", "test", answered, &answer), TM_OK);
    wait_for(&answer);
    assert_int_equal(answer.result, TM_OK);
    assert_status(f, &c.serial, CA_CERT_REVOKED);
    assert_int_equal(rows_of(f, "K"), DROPPED - 1);
}

/* The rows of a device that goes on for ever do not pile up. */
static void a_row_goes_when_its_certificate_has_expired(void **state) {
    struct fixture *f = *state;
    struct ca_device device = put_device(f, "L", CA_ACTIVATED);
    int64_t now = the_time;
    for (size_t i = 0; i < CA_DEVICE_CERTS_MAX; i++)
        device.certs[i].status = CA_CERT_ACTIVE;
    for (uint64_t i = 0; i < 40; i++) {
        struct ca_batch batch = {.count = 0};
        struct ca_dropping dropping;
        size_t at = device.cert_count - 1;
        struct ca_cert_ref ref = {.serial = sample_serial(9000 + i),
                                  .status = CA_CERT_SUPERSEDED,
                                  .not_after_ms = now + 5 * 60000};
        device.certs[at] = ref;
        assert_int_equal(ca_dropped_choose(&device, now), at);
        ca_dropped_out(f->store, &device, at, now, &dropping, &batch);
        assert_int_equal(device.cert_count, at);
        assert_int_equal(commit_changes(f, batch.changes, batch.count, NULL), TM_OK);
        device.cert_count++;
        assert_true(rows_of(f, "L") <= 6);
        now += 60000;
    }
    assert_int_equal(rows_of(f, "L"), 6);
}

static void what_drops_out_is_the_least_useful(void **state) {
    (void)state;
    struct ca_device device = {.cert_count = CA_DEVICE_CERTS_MAX};
    for (size_t i = 0; i < CA_DEVICE_CERTS_MAX; i++)
        device.certs[i] = (struct ca_cert_ref){
            .status = i % 2 ? CA_CERT_SUPERSEDED : CA_CERT_ACTIVE, .not_after_ms = the_time + 1};
    assert_int_equal(ca_dropped_choose(&device, the_time), 11);
    device.certs[5].not_after_ms = the_time - 1;
    assert_int_equal(ca_dropped_choose(&device, the_time), 5);
    device.certs[7].status = CA_CERT_REVOKED;
    assert_int_equal(ca_dropped_choose(&device, the_time), 7);
    device.certs[10].not_after_ms = the_time - 1; /* in use, for its grace */
    assert_int_equal(ca_dropped_choose(&device, the_time), 7);
}

static void a_rework_supersedes(void **state) {
    struct fixture *f = *state;
    struct ca_device device = put_device(f, "B", CA_STOCKED);
    struct answer answer = moved(f, "B", CA_PROVISIONING, CA_BY_OPERATOR);
    assert_int_equal(answer.result, TM_OK);
    assert_int_equal(told, 0);
    assert_status(f, &device.certs[0].serial, CA_CERT_ACTIVE);
    assert_int_equal(answer.device.certs[0].status, CA_CERT_SUPERSEDED);
    assert_int_equal(answer.device.certs[3].status, CA_CERT_REVOKED);
    assert_int_equal(answer.device.rework_count, 1);
    assert_false(answer.device.pinned);
    assert_int_equal(answer.device.certs_from_ms, 0);
}

static void limits_hold(void **state) {
    struct fixture *f = *state;
    (void)put_device(f, "C", CA_MANUFACTURED);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(moved(f, "C", CA_PROVISIONING, CA_BY_STATION).result, TM_OK);
        assert_int_equal(moved(f, "C", CA_MANUFACTURED, CA_BY_DEVICE).result, TM_OK);
    }
    struct answer answer = moved(f, "C", CA_PROVISIONING, CA_BY_STATION);
    assert_int_equal(answer.result, TM_EDENIED);
    assert_string_equal(answer.text, "device C was reworked 2 times, and product gw allows 2");
    /* It comes back as often as it does; it is made good again once. */
    assert_int_equal(moved(f, "C", CA_RETURNED, CA_BY_OPERATOR).result, TM_OK);
    assert_int_equal(moved(f, "C", CA_REFURBISHED, CA_BY_OPERATOR).result, TM_OK);
    assert_int_equal(moved(f, "C", CA_RETURNED, CA_BY_OPERATOR).result, TM_OK);
    answer = moved(f, "C", CA_REFURBISHED, CA_BY_OPERATOR);
    assert_int_equal(answer.result, TM_EDENIED);
    assert_string_equal(answer.text, "device C was returned 2 times, and product gw allows 1");
}

static void who_may_not_is_told_who_may(void **state) {
    struct fixture *f = *state;
    (void)put_device(f, "D", CA_ACTIVATED);
    struct answer answer = moved(f, "D", CA_RETIRED, CA_BY_OPERATOR);
    assert_int_equal(answer.result, TM_EDENIED);
    assert_string_equal(answer.text,
                        "device D is activated; retired is not yours to say, but: officer");
    assert_int_equal(moved(f, "D", CA_SUSPENDED, CA_BY_DEVICE).result, TM_EDENIED);
    assert_int_equal(moved(f, "D", CA_RETIRED, CA_BY_OPERATOR | CA_BY_OFFICER).result, TM_OK);
}

static struct answer added(struct fixture *f, const char *id, bool replaces) {
    struct ca_registry registry = registry_of(f);
    struct answer answer = {.f = f};
    struct ca_device device = {.sku = "gw", .batch = "new"};
    TEXT_SET(device.tenant, "acme");
    TEXT_SET(device.id, id);
    assert_int_equal((replaces ? ca_registry_replace : ca_registry_add)(&registry, &device, "test",
                                                                        answered, &answer),
                     TM_OK);
    wait_for(&answer);
    return answer;
}

static void an_id_is_another_devices_where_the_product_says_so(void **state) {
    struct fixture *f = *state;
    struct ca_device device = put_device(f, "E", CA_ACTIVATED);
    assert_non_null(strstr(added(f, "E", true).text, "already, activated: it is in use"));
    assert_int_equal(moved(f, "E", CA_RETIRED, 0).result, TM_OK);
    assert_int_equal(told, CA_DEVICE_CERTS_MAX - 1);
    assert_non_null(strstr(added(f, "E", false).text, "only an officer gives its ID to another"));
    product.id_reuse = CA_ID_NEVER;
    assert_non_null(strstr(added(f, "E", true).text, "its ID is never given to another"));
    product.id_reuse = CA_ID_OUT_OF_USE;
    struct answer answer = added(f, "E", true);
    assert_int_equal(answer.result, TM_OK);
    assert_int_equal(told, 0);
    assert_status(f, &device.certs[0].serial, CA_CERT_REVOKED);
    assert_int_equal(answer.device.state, CA_REGISTERED);
    assert_int_equal(answer.device.certs[0].status, CA_CERT_REVOKED);
    assert_int_equal(answer.device.certs_from_ms, the_time);
    assert_string_equal(answer.device.batch, "new");
    assert_non_null(strstr(added(f, "E", true).text, "it is in use"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_return_revokes_all_in_one_transaction, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_dropped_out_is_revoked_as_well, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_device_is_that_of_its_certificates,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_limit_is_told_before_anything_is_revoked, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(one_that_dropped_out_is_revoked_by_its_serial,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_row_goes_when_its_certificate_has_expired, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_drops_out_is_the_least_useful, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_rework_supersedes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(limits_hold, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(who_may_not_is_told_who_may, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(an_id_is_another_devices_where_the_product_says_so,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
