/* SPDX-License-Identifier: Apache-2.0 */
/* The full check on administrative rows, and on what revoked certificates and their index say of
 * each other. */
#include "tests/unit/store_raw.h"
#include "tests/unit/store_rows.h"

/* Certificates 1 .. 4, of which this one is revoked; a row in every table. */
enum { REVOKED = 3, ACTIVE = 1, NOBODY = 77 };

static int setup(void **state) {
    (void)fixture_setup(state);
    struct fixture *f = *state;
    struct row_memory memory;
    issue_many(f, 1, 4);
    revoke_one(f, REVOKED);
    for (enum ca_table table = CA_TABLE_PENDING; table <= CA_TABLE_LAST;
         table = next_table(table)) {
        union store_row row = sound_row(table, 1, &memory);
        assert_int_equal(COMMIT(f, NULL, change_row(table, &row)), TM_OK);
    }
    return 0;
}

/* ---- the kinds of damage, done to the closed store ---- */

static struct bytes revoked_key(struct buf *out, const char *issuer, uint64_t n) {
    struct ca_serial serial = sample_serial(n);
    out->n = 0;
    store_put_revoked_key(out, issuer, &serial);
    return buf_bytes(out);
}

static struct bytes row_key(struct buf *out, enum ca_table table, const void *row) {
    out->n = 0;
    assert_int_equal(store_put_row_key(out, table, row), TM_OK);
    return buf_bytes(out);
}

static void put_sealed(struct fixture *f, enum store_db db, struct bytes key,
                       const struct codec_schema *schema, const void *record) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf value = BUF_ON(octets);
    struct ca_hasher *hasher;
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    assert_int_equal(store_seal(hasher, key, schema, record, &value), TM_OK);
    ca_hasher_free(hasher);
    put_raw(f, db, key, buf_bytes(&value));
}

static void delete_raw(struct fixture *f, enum store_db db, struct bytes key) {
    struct store_env env;
    MDB_txn *txn;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p};
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_del(txn, env.dbs[db], &k, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_env_close(&env);
}

static void put_entry(struct fixture *f, const char *issuer, uint64_t n, uint8_t reason) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_certificate certificate = sample_revocation(n);
    certificate.not_after_ms = 1800000000000;
    struct ca_revoked entry = store_revoked_of(&certificate);
    entry.reason = reason ? reason : entry.reason;
    put_sealed(f, STORE_DB_REVOKED, revoked_key(&key, issuer, n), &store_revoked_schema, &entry);
}

static void missing_entry(struct fixture *f) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    delete_raw(f, STORE_DB_REVOKED, revoked_key(&key, "factory", REVOKED));
}
static void entry_of_active(struct fixture *f) {
    put_entry(f, "factory", ACTIVE, 0);
}
static void entry_of_nobody(struct fixture *f) {
    put_entry(f, "factory", NOBODY, 0);
}
static void entry_of_another_issuer(struct fixture *f) {
    put_entry(f, "plant", REVOKED, 0);
}
static void other_reason(struct fixture *f) {
    put_entry(f, "factory", REVOKED, 9);
}
static void damaged_entry(struct fixture *f) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    put_raw(f, STORE_DB_REVOKED, revoked_key(&key, "factory", REVOKED),
            bytes_str("sixteen octets and then some"));
}
static void entry_under_no_key(struct fixture *f) {
    const struct ca_revoked entry = {.revoked_ms = 1};
    put_sealed(f, STORE_DB_REVOKED, bytes_str("no-serial-and-no-NUL"), &store_revoked_schema,
               &entry);
}
static void entry_under_a_long_key(struct fixture *f) {
    const struct ca_revoked entry = {.revoked_ms = 1};
    put_sealed(f, STORE_DB_REVOKED, BYTES_OF("factory\0a serial of too many octets"),
               &store_revoked_schema, &entry);
}
static void certificate_that_was_put_back(struct fixture *f) {
    uint8_t der[SAMPLE_DER];
    struct store_certificate record = {sample_certificate(REVOKED, der, sizeof der), 6};
    put_sealed(f, STORE_DB_CERT, store_serial_key(&record.certificate.serial),
               &store_certificate_schema, &record);
}

static void damaged_row(struct fixture *f) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct row_memory memory;
    union store_row row = sample_row(CA_TABLE_PENDING, 1, &memory);
    put_raw(f, STORE_DB_ROW, row_key(&key, CA_TABLE_PENDING, &row),
            bytes_str("sixteen octets and then some"));
}
static void row_under_anothers_key(struct fixture *f) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_published one = sample_published(1), two = sample_published(2);
    put_sealed(f, STORE_DB_ROW, row_key(&key, CA_TABLE_PUBLISHED, &two),
               store_row_schema(CA_TABLE_PUBLISHED), &one);
}
static void row_of_another_table(struct fixture *f) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_profile_row profile = sample_profile(1);
    struct ca_issuer_row issuer = sample_issuer(1);
    put_sealed(f, STORE_DB_ROW, row_key(&key, CA_TABLE_PROFILE, &profile),
               store_row_schema(CA_TABLE_ISSUER), &issuer);
}
static void row_of_no_table(struct fixture *f) {
    struct ca_profile_row profile = sample_profile(1);
    put_sealed(f, STORE_DB_ROW, bytes_str("\x7fprofile-0001"), store_row_schema(CA_TABLE_PROFILE),
               &profile);
}
static void row_without_version(struct fixture *f) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct row_memory memory;
    struct ca_act act = sample_act(1, &memory, 5);
    act.version = 0;
    put_sealed(f, STORE_DB_ROW, row_key(&key, CA_TABLE_ACT, &act), store_row_schema(CA_TABLE_ACT),
               &act);
}

static void put_foreign(struct fixture *f, uint64_t of, uint64_t leads_to) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct row_memory memory;
    union store_row row = sound_row(CA_TABLE_FOREIGN, of, &memory);
    row.foreign.serial = sample_serial(leads_to);
    put_sealed(f, STORE_DB_ROW, row_key(&key, CA_TABLE_FOREIGN, &row),
               store_row_schema(CA_TABLE_FOREIGN), &row);
}
static void foreign_that_leads_nowhere(struct fixture *f) {
    put_foreign(f, 1, NOBODY);
}
static void foreign_that_leads_to_another(struct fixture *f) {
    put_foreign(f, 1, 2);
}

static void put_dropped(struct fixture *f, uint64_t of, uint64_t leads_to) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_dropped row = sample_dropped(of);
    row.serial = sample_serial(leads_to);
    put_sealed(f, STORE_DB_ROW, row_key(&key, CA_TABLE_DROPPED, &row),
               store_row_schema(CA_TABLE_DROPPED), &row);
}
static void dropped_that_leads_nowhere(struct fixture *f) {
    put_dropped(f, 1, NOBODY);
}
static void dropped_of_another_device(struct fixture *f) {
    put_dropped(f, 1, 2);
}

struct damage {
    const char *name;
    void (*make)(struct fixture *f);
    const char *says; /* a part of one of the sentences */
    size_t faults;    /* sentences in all */
};

static const struct damage DAMAGES[] = {
    {"missing entry", missing_entry, "is revoked, and not among the revoked of its issuer factory",
     1},
    {"entry of an active one", entry_of_active, " is active in its own record", 1},
    {"entry of nobody", entry_of_nobody, " is not stored", 1},
    {"entry of another issuer", entry_of_another_issuer, " is of issuer factory", 1},
    {"other reason", other_reason, "has another reason or other dates in its own record", 1},
    {"damaged entry", damaged_entry, "revoked certificate 01", 1},
    {"entry under no key", entry_under_no_key, "is not stored", 1},
    {"entry under a long key", entry_under_a_long_key, "stands under a key that is none", 1},
    {"certificate put back", certificate_that_was_put_back,
     "device acme/dev-00000003: certificate 01", 2},
    {"certificate put back, its entry", certificate_that_was_put_back,
     " is active in its own record", 2},
    {"damaged row", damaged_row,
     "pending request acme/dev-00000001/idevid: the record fails its hash", 1},
    {"row under another's key", row_under_anothers_key,
     "publication factory/crl-0002: the record is of another key", 1},
    {"row of another table", row_of_another_table,
     "profile profile-0001: the record fails its hash", 1},
    {"row of no table", row_of_no_table, "a row stands in table 127, which is none", 1},
    {"row without version", row_without_version,
     "act 01000100000000000000000000000000: it has no version", 1},
    {"another CA's certificate leads nowhere", foreign_that_leads_nowhere,
     "of another CA is not stored", 1},
    {"another CA's certificate leads to another", foreign_that_leads_to_another,
     "of another CA leads to another certificate", 1},
    {"dropped certificate of nobody", dropped_that_leads_nowhere, "dropped certificate 01", 1},
    {"dropped certificate of another device", dropped_of_another_device, " is another device's", 1},
};

static bool says(const struct findings *found, const char *wanted) {
    for (size_t i = 0; i < found->count && i < 32; i++)
        if (strstr(found->text[i], wanted))
            return true;
    return false;
}

static void assert_found(struct fixture *f, const struct damage *damage) {
    struct findings found = {0};
    enum tm_err err = f->store->ops->check(f->store, findings_add, &found);
    bool named = says(&found, damage->says);
    if (!named || found.count != damage->faults)
        for (size_t i = 0; i < found.count && i < 32; i++)
            print_error("%s: %s\n", damage->name, found.text[i]);
    assert_true(named);
    assert_int_equal(found.count, damage->faults);
    assert_int_equal(err, TM_ECORRUPT);
}

static void a_sound_store_passes(void **state) {
    (void)setup(state);
    assert_sound(*state);
    (void)fixture_teardown(state);
}

static void every_kind_of_damage_is_named(void **state) {
    for (size_t i = 0; i < sizeof DAMAGES / sizeof DAMAGES[0]; i++) {
        (void)setup(state);
        struct fixture *f = *state;
        close_store(f);
        DAMAGES[i].make(f);
        fixture_open(f);
        assert_found(f, &DAMAGES[i]);
        (void)fixture_teardown(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_store_passes),
        cmocka_unit_test(every_kind_of_damage_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
