/* SPDX-License-Identifier: Apache-2.0 */
/* The full check: a sound store passes, and each kind of damage is named. */
#include "store/env.h"
#include "store/records.h"
#include "tests/unit/store_fixture.h"

/* Devices 0..2 with a certificate each, device 3 with an open intent, a burned serial (50), device
 * 4 with a certificate that it has not confirmed and device 5 with one that it has. A consumer has
 * all leaves. */
enum { OPEN = 3, UNCONFIRMED = 4, CONFIRMED = 5, BURNED = 50, LEAVES = 13 };

/* A closed store, changed past the code under test. */
struct edit {
    struct store_env env;
    MDB_txn *txn;
    struct ca_hasher *hasher;
};

static struct bytes device_key(struct buf *out, uint64_t n) {
    out->n = 0;
    store_put_device_key(out, "acme", sample_device(n).id);
    return buf_bytes(out);
}

static struct bytes leaf_key(struct buf *out, uint64_t sequence) {
    out->n = 0;
    store_put_leaf_key(out, sequence);
    return buf_bytes(out);
}

static struct bytes raw_get(struct edit *e, enum store_db db, struct bytes key) {
    struct bytes value;
    assert_int_equal(store_get(&e->env, e->txn, db, key, &value), TM_OK);
    return value;
}

static void raw_put(struct edit *e, enum store_db db, struct bytes key, struct bytes value) {
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, (void *)(uintptr_t)value.p};
    assert_int_equal(mdb_put(e->txn, e->env.dbs[db], &k, &v, 0), 0);
}

static void raw_delete(struct edit *e, enum store_db db, struct bytes key) {
    MDB_val k = {key.n, (void *)(uintptr_t)key.p};
    assert_int_equal(mdb_del(e->txn, e->env.dbs[db], &k, NULL), 0);
}

static void get(struct edit *e, enum store_db db, struct bytes key,
                const struct codec_schema *schema, void *ret) {
    assert_int_equal(store_unseal(e->hasher, key, raw_get(e, db, key), schema, ret), TM_OK);
}

static void put(struct edit *e, enum store_db db, struct bytes key,
                const struct codec_schema *schema, const void *record) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf value = BUF_ON(octets);
    assert_int_equal(store_seal(e->hasher, key, schema, record, &value), TM_OK);
    raw_put(e, db, key, buf_bytes(&value));
}

/* Flips one bit in the middle of a stored value. */
static void flip(struct edit *e, enum store_db db, struct bytes key) {
    uint8_t octets[STORE_RECORD_MAX];
    struct bytes value = raw_get(e, db, key);
    memcpy(octets, value.p, value.n);
    octets[value.n / 2] ^= 0x20;
    raw_put(e, db, key, (struct bytes){octets, value.n});
}

/* ---- the kinds of damage ---- */

static void flipped_device(struct edit *e) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    flip(e, STORE_DB_DEVICE, device_key(&key, 1));
}

static void flipped_certificate(struct edit *e) {
    struct ca_serial serial = sample_serial(1);
    flip(e, STORE_DB_CERT, store_serial_key(&serial));
}

static void flipped_intent(struct edit *e) {
    struct ca_serial serial = sample_serial(OPEN);
    flip(e, STORE_DB_INTENT, store_serial_key(&serial));
}

static void flipped_key(struct edit *e) {
    struct ca_change claim = change_key(1, "x");
    flip(e, STORE_DB_KEY, BYTES_OF(claim.u.key.spki_hash));
}

static void flipped_leaf(struct edit *e) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    flip(e, STORE_DB_LEAF, leaf_key(&key, 4));
}

static void swapped_devices(struct edit *e) {
    uint8_t octets[2][STORE_KEY_MAX];
    struct buf a = BUF_ON(octets[0]), b = BUF_ON(octets[1]);
    raw_put(e, STORE_DB_DEVICE, device_key(&a, 1), raw_get(e, STORE_DB_DEVICE, device_key(&b, 2)));
}

/* The three that are sealed for the key under which they stand, and yet another's. */
static void strange_device(struct edit *e) {
    uint8_t octets[2][STORE_KEY_MAX];
    struct buf a = BUF_ON(octets[0]), b = BUF_ON(octets[1]);
    struct ca_device device;
    get(e, STORE_DB_DEVICE, device_key(&a, 1), &store_device_schema, &device);
    put(e, STORE_DB_DEVICE, device_key(&b, 9), &store_device_schema, &device);
}

static void strange_certificate(struct edit *e) {
    struct ca_serial from = sample_serial(1), to = sample_serial(9);
    struct store_certificate record;
    get(e, STORE_DB_CERT, store_serial_key(&from), &store_certificate_schema, &record);
    put(e, STORE_DB_CERT, store_serial_key(&to), &store_certificate_schema, &record);
}

static void strange_intent(struct edit *e) {
    struct ca_serial to = sample_serial(9);
    struct ca_intent intent = sample_intent(OPEN);
    put(e, STORE_DB_INTENT, store_serial_key(&to), &store_intent_schema, &intent);
}

static void edit_ref(struct edit *e, void (*change)(struct ca_device *device)) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_device device;
    get(e, STORE_DB_DEVICE, device_key(&key, 1), &store_device_schema, &device);
    change(&device);
    put(e, STORE_DB_DEVICE, device_key(&key, 1), &store_device_schema, &device);
}

static void set_status(struct ca_device *device) {
    device->certs[0].status = CA_CERT_REVOKED;
}
static void set_profile(struct ca_device *device) {
    (void)strcpy(device->certs[0].profile, "ldevid");
}
static void set_date(struct ca_device *device) {
    device->certs[0].not_after_ms++;
}
static void set_serial(struct ca_device *device) {
    device->certs[0].serial = sample_serial(2);
}
static void drop_certs(struct ca_device *device) {
    device->cert_count = 0;
}

static void other_status(struct edit *e) {
    edit_ref(e, set_status);
}
static void other_profile(struct edit *e) {
    edit_ref(e, set_profile);
}
static void other_date(struct edit *e) {
    edit_ref(e, set_date);
}
static void anothers_certificate(struct edit *e) {
    edit_ref(e, set_serial);
}
static void unnamed_certificate(struct edit *e) {
    edit_ref(e, drop_certs);
}

static void missing_certificate(struct edit *e) {
    struct ca_serial serial = sample_serial(1);
    raw_delete(e, STORE_DB_CERT, store_serial_key(&serial));
}

static void missing_device(struct edit *e) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    raw_delete(e, STORE_DB_DEVICE, device_key(&key, 1));
}

static void missing_device_of_intent(struct edit *e) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    raw_delete(e, STORE_DB_DEVICE, device_key(&key, OPEN));
}

static void edit_certificate(struct edit *e, uint64_t n,
                             void (*change)(struct store_certificate *record)) {
    struct ca_serial serial = sample_serial(n);
    struct store_certificate record;
    struct bytes key = store_serial_key(&serial);
    get(e, STORE_DB_CERT, key, &store_certificate_schema, &record);
    change(&record);
    put(e, STORE_DB_CERT, key, &store_certificate_schema, &record);
}

static void set_fingerprint(struct store_certificate *record) {
    record->certificate.fingerprint[0] ^= 1;
}
static void set_der(struct store_certificate *record) {
    record->certificate.der = bytes_str("a certificate after all");
}
static void set_no_leaf(struct store_certificate *record) {
    record->leaf = 0;
}
static void set_other_leaf(struct store_certificate *record) {
    record->leaf = 1;
}

static void other_fingerprint(struct edit *e) {
    edit_certificate(e, 1, set_fingerprint);
}
static void burned_with_der(struct edit *e) {
    edit_certificate(e, BURNED, set_der);
}
static void certificate_without_leaf(struct edit *e) {
    edit_certificate(e, 1, set_no_leaf);
}
static void burned_without_leaf(struct edit *e) {
    edit_certificate(e, BURNED, set_no_leaf);
}
static void certificate_of_other_leaf(struct edit *e) {
    edit_certificate(e, 1, set_other_leaf);
}

static void intent_of_certificate(struct edit *e) {
    struct ca_intent intent = sample_intent(1);
    put(e, STORE_DB_INTENT, store_serial_key(&intent.serial), &store_intent_schema, &intent);
}

static void intent_of_burned(struct edit *e) {
    struct ca_intent intent = sample_intent(BURNED);
    (void)strcpy(intent.device, sample_device(0).id);
    put(e, STORE_DB_INTENT, store_serial_key(&intent.serial), &store_intent_schema, &intent);
}

static void key_of_nobody(struct edit *e) {
    struct ca_change claim = change_key(1, "x");
    struct store_owner owner = {"acme", "nobody"};
    put(e, STORE_DB_KEY, BYTES_OF(claim.u.key.spki_hash), &store_owner_schema, &owner);
}

/* A leaf that was rewritten by somebody who knows the record hash. */
static void rewritten_leaf(struct edit *e) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    struct ca_leaf leaf;
    get(e, STORE_DB_LEAF, leaf_key(&key, 0), &store_leaf_schema, &leaf);
    (void)strcpy(leaf.actor, "somebody else");
    put(e, STORE_DB_LEAF, leaf_key(&key, 0), &store_leaf_schema, &leaf);
}

/* As many leaves as before, but not in a row. */
static void missing_leaf(struct edit *e) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_REFUSED, NULL);
    raw_delete(e, STORE_DB_LEAF, leaf_key(&key, 2));
    put(e, STORE_DB_LEAF, leaf_key(&key, 900), &store_leaf_schema, &leaf);
}

static void leaf_of_no_sequence(struct edit *e) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_REFUSED, NULL);
    raw_delete(e, STORE_DB_LEAF, leaf_key(&key, 0));
    put(e, STORE_DB_LEAF, bytes_str("\xff"), &store_leaf_schema, &leaf);
}

static void other_frontier(struct edit *e) {
    struct audit_frontier frontier;
    struct bytes key = bytes_str(STORE_KEY_FRONTIER);
    get(e, STORE_DB_META, key, &store_frontier_schema, &frontier);
    frontier.nodes[frontier.count - 1].octets[5] ^= 1;
    put(e, STORE_DB_META, key, &store_frontier_schema, &frontier);
}

/* ---- transactions and cursors ---- */

static void edit_transaction(struct edit *e, uint64_t n,
                             void (*change)(struct ca_transaction *transaction)) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_transaction t;
    get(e, STORE_DB_TRANSACTION, device_key(&key, n), &store_transaction_schema, &t);
    change(&t);
    put(e, STORE_DB_TRANSACTION, device_key(&key, n), &store_transaction_schema, &t);
}

static void set_response(struct ca_transaction *t) {
    t->response.n = 0;
}
static void set_no_certificate(struct ca_transaction *t) {
    t->serial = sample_serial(77);
}
static void set_anothers_certificate(struct ca_transaction *t) {
    t->serial = sample_serial(1);
}

static void flipped_transaction(struct edit *e) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    flip(e, STORE_DB_TRANSACTION, device_key(&key, UNCONFIRMED));
}
static void strange_transaction(struct edit *e) {
    uint8_t octets[2][STORE_KEY_MAX];
    struct buf a = BUF_ON(octets[0]), b = BUF_ON(octets[1]);
    struct ca_transaction t;
    get(e, STORE_DB_TRANSACTION, device_key(&a, CONFIRMED), &store_transaction_schema, &t);
    put(e, STORE_DB_TRANSACTION, device_key(&b, 1), &store_transaction_schema, &t);
}
static void transaction_of_nobody(struct edit *e) {
    uint8_t octets[STORE_KEY_MAX], response[8];
    struct buf key = BUF_ON(octets);
    struct ca_transaction t = sample_transaction(88, response, sizeof response);
    put(e, STORE_DB_TRANSACTION, device_key(&key, 88), &store_transaction_schema, &t);
}
static void transaction_without_response(struct edit *e) {
    edit_transaction(e, CONFIRMED, set_response);
}
static void transaction_of_no_certificate(struct edit *e) {
    edit_transaction(e, UNCONFIRMED, set_no_certificate);
}
static void transaction_of_anothers(struct edit *e) {
    edit_transaction(e, UNCONFIRMED, set_anothers_certificate);
}
static void missing_transaction(struct edit *e) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    raw_delete(e, STORE_DB_TRANSACTION, device_key(&key, UNCONFIRMED));
}
static void set_unconfirmed(struct ca_device *device) {
    device->certs[0].status = CA_CERT_UNCONFIRMED;
}
static void unconfirmed_without_transaction(struct edit *e) {
    edit_ref(e, set_unconfirmed);
}
static void flipped_cursor(struct edit *e) {
    flip(e, STORE_DB_CURSOR, bytes_str("mqtt"));
}
static void cursor_beyond_the_log(struct edit *e) {
    const struct store_cursor cursor = {LEAVES + 1};
    put(e, STORE_DB_CURSOR, bytes_str("mqtt"), &store_cursor_schema, &cursor);
}

struct damage {
    const char *name;
    void (*make)(struct edit *e);
    const char *says; /* a part of one of the sentences; %s: the serial of certificate 1 */
    size_t faults;    /* sentences in all */
};

static const struct damage DAMAGES[] = {
    {"flipped device", flipped_device, "device acme/dev-00000001: the record fails its hash", 1},
    {"flipped certificate", flipped_certificate, "certificate %s: the record fails its hash", 1},
    {"flipped intent", flipped_intent, "the record fails its hash", 1},
    {"flipped key", flipped_key, "key ", 1},
    {"flipped leaf", flipped_leaf, "audit leaf 4: the record fails its hash", 2},
    {"swapped devices", swapped_devices, "device acme/dev-00000001: the record fails its hash", 1},
    {"strange device", strange_device, "device acme/dev-00000009: the record is of another device",
     1},
    {"strange certificate", strange_certificate, "the record is of another serial", 1},
    {"strange intent", strange_intent, "the record is of another serial", 1},
    {"other status", other_status,
     "device acme/dev-00000001: certificate %s is revoked here and active in its own record", 1},
    {"other profile", other_profile, "certificate %s has another profile than its own record", 1},
    {"other date", other_date, "certificate %s has other dates than its own record", 1},
    {"another's certificate", anothers_certificate, "device acme/dev-00000001 names certificate",
     2},
    {"unnamed certificate", unnamed_certificate,
     "certificate %s: its device acme/dev-00000001 does not name it", 1},
    {"missing certificate", missing_certificate,
     "device acme/dev-00000001 names certificate %s, which is not stored", 2},
    {"missing certificate's leaf", missing_certificate, "(issued): serial %s is not stored", 2},
    {"missing device", missing_device, "certificate %s: its device acme/dev-00000001 is not stored",
     2},
    {"missing device's key", missing_device, ": its device acme/dev-00000001 is not stored", 2},
    {"missing device of an intent", missing_device_of_intent,
     ": its device acme/dev-00000003 is not stored", 2},
    {"other fingerprint", other_fingerprint,
     "certificate %s: the fingerprint is not that of its DER", 2},
    {"burned with DER", burned_with_der, "the serial is burned and has a certificate", 1},
    {"certificate without leaf", certificate_without_leaf,
     "certificate %s: no audit leaf says that it was issued", 2},
    {"burned without leaf", burned_without_leaf, "no audit leaf says that it was burned", 2},
    {"certificate of another leaf", certificate_of_other_leaf,
     "certificate %s: audit leaf 0 does not say that it was issued", 2},
    {"intent of a certificate", intent_of_certificate,
     "intent %s is open, and its serial is a certificate already", 1},
    {"intent of a burned serial", intent_of_burned, "is open, and its serial is burned already", 1},
    {"key of nobody", key_of_nobody, ": its device acme/nobody is not stored", 1},
    {"rewritten leaf", rewritten_leaf, "the audit tree's frontier is not that of its leaves", 1},
    {"missing leaf", missing_leaf, "audit leaves 2 to 2 are missing", 3},
    {"leaf of no sequence", leaf_of_no_sequence,
     "an audit leaf stands under a key that is no sequence number", 3},
    {"other frontier", other_frontier, "the audit tree's frontier is not that of its leaves", 1},
    {"flipped transaction", flipped_transaction,
     "transaction of acme/dev-00000004: the record fails its hash", 1},
    {"strange transaction", strange_transaction,
     "transaction of acme/dev-00000001: the record is of another device", 1},
    {"transaction of nobody", transaction_of_nobody,
     "transaction of acme/dev-00000088: its device is not stored", 1},
    {"transaction without response", transaction_without_response,
     "transaction of acme/dev-00000005: it has no response", 1},
    {"transaction of no certificate", transaction_of_no_certificate,
     "transaction of acme/dev-00000004: its certificate", 1},
    {"transaction of another's certificate", transaction_of_anothers,
     "transaction of acme/dev-00000004: its certificate %s is another device's", 1},
    {"missing transaction", missing_transaction, "device acme/dev-00000004: certificate", 1},
    {"unconfirmed without transaction", unconfirmed_without_transaction,
     "device acme/dev-00000001: certificate %s is unconfirmed, and there is no transaction", 1},
    {"flipped cursor", flipped_cursor, "cursor of mqtt: the record fails its hash", 1},
    {"cursor beyond the log", cursor_beyond_the_log,
     "cursor of mqtt: it stands at audit leaf 14 of 13", 1},
};

/* ---- running them ---- */

static void issue_by_cmc(struct fixture *f, uint64_t n, bool confirm) {
    struct issuance s;
    issuance_by_cmc(&s, n);
    job_submit(f, &s.begin);
    job_submit(f, &s.end);
    if (confirm)
        job_submit(f, &s.confirm);
    fixture_run(f);
    assert_int_equal(s.end.result, TM_OK);
    assert_int_equal(s.confirm.result, TM_OK);
}

static int setup(void **state) {
    (void)fixture_setup(state);
    struct fixture *f = *state;
    issue_many(f, 0, 3);
    struct issuance open;
    issuance_init(&open, OPEN);
    job_submit(f, &open.begin);
    fixture_run(f);
    struct ca_certificate burned = sample_burned(BURNED);
    (void)strcpy(burned.device, sample_device(0).id);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_BURNED, &burned);
    assert_int_equal(COMMIT(f, NULL, change_cert(&burned), change_leaf(&leaf)), TM_OK);
    issue_by_cmc(f, UNCONFIRMED, false);
    issue_by_cmc(f, CONFIRMED, true);
    assert_int_equal(COMMIT(f, NULL, change_cursor("mqtt", LEAVES)), TM_OK);
    return 0;
}

static void tamper(struct fixture *f, void (*make)(struct edit *e)) {
    char text[IPC_TEXT_MAX + 1];
    struct edit e;
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(ca_hasher_new(&e.hasher), TM_OK);
    assert_int_equal(store_env_open(&e.env, f->path, 8 * MIB, 8 * MIB, false, text), TM_OK);
    assert_int_equal(mdb_txn_begin(e.env.env, NULL, 0, &e.txn), 0);
    make(&e);
    assert_int_equal(mdb_txn_commit(e.txn), 0);
    store_env_close(&e.env);
    ca_hasher_free(e.hasher);
    fixture_open(f);
}

static void assert_says(const struct findings *found, const char *name, const char *says) {
    char serial[2 * CA_SERIAL_MAX + 1], wanted[IPC_TEXT_MAX + 1];
    struct ca_serial first = sample_serial(1);
    assert_int_equal(hex_encode(store_serial_key(&first), serial, sizeof serial), TM_OK);
    const char *at = strstr(says, "%s");
    (void)snprintf(wanted, sizeof wanted, "%.*s%s%s", at ? (int)(at - says) : (int)strlen(says),
                   says, at ? serial : "", at ? at + 2 : "");
    for (size_t i = 0; i < found->count && i < 32; i++)
        if (strstr(found->text[i], wanted))
            return;
    for (size_t i = 0; i < found->count && i < 32; i++)
        print_error("found: %s\n", found->text[i]);
    fail_msg("%s: none of %zu findings says \"%s\"", name, found->count, wanted);
}

static void check_finds(struct fixture *f, const char *name, const char *says, size_t faults) {
    struct findings found = {0};
    enum tm_err err = f->store->ops->check(f->store, findings_add, &found);
    if (err != TM_ECORRUPT)
        fail_msg("%s: check says %s", name, tm_err_name(err));
    assert_says(&found, name, says);
    if (found.count != faults)
        for (size_t i = 0; i < found.count && i < 32; i++)
            print_error("%s: %s\n", name, found.text[i]);
    assert_int_equal(found.count, faults);
}

static void a_sound_store_passes(void **state) {
    (void)setup(state);
    struct fixture *f = *state;
    assert_sound(f);
    fixture_reopen(f);
    assert_sound(f);
    (void)fixture_teardown(state);
}

static void every_kind_of_damage_is_named(void **state) {
    for (size_t i = 0; i < sizeof DAMAGES / sizeof DAMAGES[0]; i++) {
        (void)setup(state);
        tamper(*state, DAMAGES[i].make);
        check_finds(*state, DAMAGES[i].name, DAMAGES[i].says, DAMAGES[i].faults);
        (void)fixture_teardown(state);
    }
}

/* What the interface itself lets through when the core forgets a leaf, or writes one too many. */
static void a_certificate_and_its_leaf_belong_together(void **state) {
    (void)setup(state);
    struct fixture *f = *state;
    struct ca_certificate c = sample_certificate(1, NULL, 0), burned = sample_burned(BURNED);
    uint8_t octets[32];
    struct ca_leaf issued = sample_leaf(CA_EVENT_ISSUED, &c);
    assert_int_equal(COMMIT(f, NULL, change_leaf(&issued)), TM_OK);
    check_finds(f, "second leaf", "(issued): serial %s has another such leaf", 1);

    struct ca_leaf wrong = sample_leaf(CA_EVENT_ISSUED, &burned);
    assert_int_equal(COMMIT(f, NULL, change_leaf(&wrong)), TM_OK);
    check_finds(f, "issued and burned", "is burned", 2);

    struct ca_leaf nothing = sample_leaf(CA_EVENT_ISSUED, NULL);
    assert_int_equal(COMMIT(f, NULL, change_leaf(&nothing)), TM_OK);
    check_finds(f, "issued nothing", "is not stored", 3);

    struct ca_certificate silent = sample_certificate(7, octets, sizeof octets);
    (void)strcpy(silent.device, sample_device(0).id);
    assert_int_equal(COMMIT(f, NULL, change_cert(&silent)), TM_OK);
    check_finds(f, "without leaf", "no audit leaf says that it was issued", 5);

    /* In a batch of its own the leaf comes too late. */
    struct ca_leaf late = sample_leaf(CA_EVENT_ISSUED, &silent);
    assert_int_equal(COMMIT(f, NULL, change_leaf(&late)), TM_OK);
    check_finds(f, "late leaf", "no audit leaf says that it was issued", 6);
    (void)fixture_teardown(state);
}

/* That a newer one exists is a fact of the device's record alone. */
static void a_superseded_certificate_is_sound(void **state) {
    (void)setup(state);
    struct fixture *f = *state;
    struct ca_device device = sample_owner(1);
    device.version = 3;
    device.certs[0].status = CA_CERT_SUPERSEDED;
    assert_int_equal(COMMIT(f, NULL, change_device(&device)), TM_OK);
    assert_sound(f);
    struct ca_certificate c = {.serial = sample_serial(1), .status = CA_CERT_SUPERSEDED};
    assert_int_equal(COMMIT(f, NULL, change_status(&c)), TM_ELIMIT);
    c.status = CA_CERT_REVOKED; /* and the device's record is left as it was */
    assert_int_equal(COMMIT(f, NULL, change_status(&c)), TM_OK);
    check_finds(f, "revoked", "certificate %s is superseded here and revoked in its own record", 1);
    (void)fixture_teardown(state);
}

/* Older certificates drop out of a device's record once it is full. */
static void a_full_device_record_need_not_name_all(void **state) {
    (void)setup(state);
    struct fixture *f = *state;
    static uint8_t octets[CA_DEVICE_CERTS_MAX + 2][32];
    struct ca_device device = sample_owner(0);
    for (uint64_t i = 0; i < CA_DEVICE_CERTS_MAX + 2; i++) {
        struct ca_certificate c = sample_certificate(100 + i, octets[i], 32);
        (void)strcpy(c.device, device.id);
        struct ca_leaf leaf = sample_leaf(CA_EVENT_ISSUED, &c);
        if (device.cert_count == CA_DEVICE_CERTS_MAX)
            device.cert_count--;
        memmove(&device.certs[1], &device.certs[0], device.cert_count * sizeof device.certs[0]);
        device.cert_count++;
        device.certs[0].serial = c.serial;
        device.version++;
        assert_int_equal(
            COMMIT(f, NULL, change_cert(&c), change_device(&device), change_leaf(&leaf)), TM_OK);
    }
    assert_int_equal(device.cert_count, CA_DEVICE_CERTS_MAX);
    assert_sound(f);
    (void)fixture_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_store_passes),
        cmocka_unit_test(every_kind_of_damage_is_named),
        cmocka_unit_test(a_certificate_and_its_leaf_belong_together),
        cmocka_unit_test(a_superseded_certificate_is_sound),
        cmocka_unit_test(a_full_device_record_need_not_name_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
