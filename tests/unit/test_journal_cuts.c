/* SPDX-License-Identifier: Apache-2.0 */
/* The journal on a storage in memory whose power is cut in any write, in any way that
 * client/tables.h allows: the old record or the new one, never something else. */
#include "journal_fixture.h"

#include <openssl/evp.h>

#define ITEM_MAX (TM_SHA256_SIZE + TM_JOURNAL_MAX)
#define COMMITS 5

/* ---- a storage whose writes can go wrong ---- */

struct item {
    bool there;
    size_t n;
    uint8_t octets[ITEM_MAX + 64];
};

enum left { LEFT_OLD, LEFT_NEW, LEFT_ABSENT, LEFT_EMPTY, LEFT_PART, LEFT_MIXED, LEFT_GARBAGE };
#define LEFT_COUNT (LEFT_GARBAGE + 1)

struct memory {
    struct item items[TM_ITEM_COUNT];
    unsigned writes;
    unsigned fails_at; /* the write, counted from 1, that goes wrong; 0: none */
    enum left left;    /* what it leaves */
    size_t octets;     /* PART and MIXED: of the new data that were written */
    bool cut;          /* the power goes with it */
    bool dead;
    bool whole; /* what it left is all of the new data */
    unsigned erases;
    enum tm_err read_error[TM_ITEM_COUNT];
};

static enum tm_err memory_read(void *self, enum tm_item item, struct buf *out) {
    struct memory *m = self;
    const struct item *from = &m->items[item];
    if (m->dead || m->read_error[item])
        return m->dead ? TM_EIO : m->read_error[item];
    if (!from->there)
        return TM_ENOTFOUND;
    if (from->n > out->cap - out->n)
        return TM_ELIMIT;
    buf_put(out, (struct bytes){from->octets, from->n});
    return TM_OK;
}

static void put(struct item *item, struct bytes data) {
    struct item next = {.there = true, .n = data.n};
    assert_true(data.n <= sizeof next.octets);
    if (data.n > 0)
        memcpy(next.octets, data.p, data.n);
    *item = next;
}

static void leave(const struct memory *m, struct item *item, struct bytes data) {
    size_t part = m->octets < data.n ? m->octets : data.n;
    switch (m->left) {
    case LEFT_OLD:
        return;
    case LEFT_NEW:
        put(item, data);
        return;
    case LEFT_ABSENT:
        item->there = false;
        return;
    case LEFT_EMPTY:
    case LEFT_PART:
        put(item, (struct bytes){data.p, m->left == LEFT_EMPTY ? 0 : part});
        return;
    case LEFT_MIXED: /* written over the old octets from the front */
        memcpy(item->octets, data.p, part);
        item->n = !item->there || item->n < part ? part : item->n;
        item->there = true;
        return;
    case LEFT_GARBAGE: /* longer than any item, too */
        memset(item->octets, 0xff, sizeof item->octets);
        item->n = sizeof item->octets;
        item->there = true;
        return;
    }
}

static enum tm_err memory_write(void *self, enum tm_item item, struct bytes data) {
    struct memory *m = self;
    if (m->dead)
        return TM_EIO;
    if (++m->writes != m->fails_at) {
        put(&m->items[item], data);
        return TM_OK;
    }
    struct item *at = &m->items[item];
    leave(m, at, data);
    m->whole = at->there && bytes_equal((struct bytes){at->octets, at->n}, data);
    m->dead = m->cut;
    return TM_EIO;
}

static enum tm_err memory_erase(void *self, enum tm_item item) {
    struct memory *m = self;
    if (m->dead)
        return TM_EIO;
    m->erases++;
    m->items[item].there = false;
    return TM_OK;
}

static struct tm_storage storage_on(struct memory *m) {
    return (struct tm_storage){.version = TM_TABLE_VERSION,
                               .self = m,
                               .read = memory_read,
                               .write = memory_write,
                               .erase = memory_erase};
}

static enum tm_err sha256(void *self, const struct bytes *parts, size_t count,
                          uint8_t ret[TM_SHA256_SIZE]) {
    const enum tm_err *error = self;
    if (error && *error)
        return *error;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_true(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
    for (size_t i = 0; i < count; i++)
        assert_true(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n));
    assert_true(EVP_DigestFinal_ex(ctx, ret, NULL));
    EVP_MD_CTX_free(ctx);
    return TM_OK;
}

static const struct tm_crypto CRYPTO = {.version = TM_TABLE_VERSION, .sha256 = sha256};

/* The n-th record of a life: provisioned, requested, to be probed, soaking, at rest. */
static struct tm_journal nth(unsigned n) {
    static const enum tm_phase PHASES[COMMITS] = {TM_PHASE_IDLE, TM_PHASE_REQUEST, TM_PHASE_PROBE,
                                                  TM_PHASE_SOAK, TM_PHASE_IDLE};
    struct tm_journal j = in_phase(PHASES[n - 1]);
    j.sequence = n;
    j.time_floor_ms = n;
    return j;
}

/* Loads what must be the n-th record; n = 0: the device is new. */
static void assert_loads(struct memory *m, unsigned n) {
    struct tm_storage storage = storage_on(m);
    struct tm_journal loaded, wanted;
    enum tm_err err = tm_journal_load(&storage, &CRYPTO, &loaded);
    assert_int_equal(err, n ? TM_OK : TM_ENOTFOUND);
    if (n) {
        wanted = nth(n);
        assert_same(&loaded, &wanted);
    }
}

/* Makes the records behind the n-th true until one cannot be; returns the last that was. */
static unsigned commit_from(struct memory *m, unsigned n) {
    struct tm_storage storage = storage_on(m);
    for (; n < COMMITS; n++) {
        struct tm_journal next = nth(n + 1);
        next.sequence = n;
        enum tm_err err = tm_journal_commit(&storage, &CRYPTO, &next);
        assert_int_equal(next.sequence, err ? n : n + 1);
        if (err)
            return n;
        assert_loads(m, n + 1);
    }
    return n;
}

static void cut_next(struct memory *m, unsigned fails_at, unsigned left, size_t octets) {
    m->fails_at = fails_at;
    m->writes = 0;
    m->left = (enum left)left;
    m->octets = octets;
    m->cut = true;
}

/* Starts again after a cut in the write of record n + 1, which left `left`. */
static unsigned restart(struct memory *m, unsigned n) {
    assert_true(m->dead);
    m->dead = false;
    m->fails_at = 0;
    assert_true(m->whole || m->left != LEFT_NEW);
    if (m->whole)
        n++;
    assert_loads(m, n);
    return n;
}

static void a_cut_leaves_the_old_record_or_the_new_one(void **state) {
    (void)state;
    for (unsigned at = 1; at <= COMMITS; at++)
        for (unsigned left = 0; left < LEFT_COUNT; left++)
            for (unsigned again = 0; again < LEFT_COUNT; again++) {
                struct memory m = {0};
                cut_next(&m, at, left, ITEM_MAX / 2);
                assert_int_equal(commit_from(&m, 0), at - 1);
                unsigned n = restart(&m, at - 1);
                cut_next(&m, 1, again, 100);
                if (n < COMMITS) { /* and power fails again in the next write */
                    assert_int_equal(commit_from(&m, n), n);
                    n = restart(&m, n);
                }
                m.fails_at = 0;
                assert_int_equal(commit_from(&m, n), COMMITS);
                assert_int_equal(m.erases, 0);
            }
}

static void a_cut_at_any_octet_leaves_the_old_record(void **state) {
    (void)state;
    static const enum left KINDS[] = {LEFT_PART, LEFT_MIXED};
    struct memory whole = {0};
    assert_int_equal(commit_from(&whole, 0), COMMITS);
    size_t size = whole.items[TM_ITEM_JOURNAL_A].n;
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned at = 1; at <= COMMITS; at++)
            for (size_t octets = 0; octets < size; octets++) {
                struct memory m = {0};
                cut_next(&m, at, KINDS[kind], octets);
                assert_int_equal(commit_from(&m, 0), at - 1);
                unsigned n = restart(&m, at - 1);
                assert_int_equal(commit_from(&m, n), COMMITS);
            }
}

static void a_write_that_fails_changes_nothing(void **state) {
    (void)state;
    for (unsigned at = 1; at <= COMMITS; at++)
        for (unsigned left = 0; left < LEFT_COUNT; left++) {
            struct memory m = {0};
            cut_next(&m, at, left, ITEM_MAX / 2);
            m.cut = false;
            assert_int_equal(commit_from(&m, 0), at - 1);
            assert_loads(&m, at - 1);
            assert_int_equal(commit_from(&m, at - 1), COMMITS);
        }
}

/* ---- what is no cut ---- */

static enum tm_err load(struct memory *m, struct tm_journal *ret) {
    struct tm_storage storage = storage_on(m);
    return tm_journal_load(&storage, &CRYPTO, ret);
}

static void damage_of_any_octet_is_seen(void **state) {
    (void)state;
    struct memory m = {0};
    assert_int_equal(commit_from(&m, 0), COMMITS);
    struct item *newest = &m.items[TM_ITEM_JOURNAL_A]; /* 5 is odd */
    for (size_t i = 0; i < newest->n; i++) {
        newest->octets[i] ^= 0x10;
        assert_loads(&m, COMMITS - 1);
        newest->octets[i] ^= 0x10;
    }
    assert_loads(&m, COMMITS);
    put(newest, (struct bytes){newest->octets, newest->n + 1});
    assert_loads(&m, COMMITS - 1);
}

/* A torn first item alone is a first write that was cut; the same in any other place is damage. */
static void a_damaged_journal_is_not_a_new_device(void **state) {
    (void)state;
    struct memory good = {0};
    struct tm_journal loaded = {.sequence = 77};
    assert_int_equal(commit_from(&good, 0), COMMITS);
    for (unsigned a = 0; a < 2; a++)
        for (unsigned b = 0; b < 2; b++) {
            struct memory m = good;
            m.items[TM_ITEM_JOURNAL_A].octets[0] ^= 1;
            m.items[TM_ITEM_JOURNAL_B].octets[0] ^= 1;
            m.items[TM_ITEM_JOURNAL_A].there = a;
            m.items[TM_ITEM_JOURNAL_B].there = b;
            assert_int_equal(load(&m, &loaded), b ? TM_ECORRUPT : TM_ENOTFOUND);
        }
    struct memory moved = good; /* a record in the other's place was never written there */
    moved.items[TM_ITEM_JOURNAL_B] = moved.items[TM_ITEM_JOURNAL_A];
    moved.items[TM_ITEM_JOURNAL_A].there = false;
    assert_int_equal(load(&moved, &loaded), TM_ECORRUPT);
    assert_int_equal(loaded.sequence, 77);
}

/* Whole, so no cut left it: it must not look like a device that was never provisioned. */
static void a_newer_librarys_record_is_not_a_new_device(void **state) {
    (void)state;
    struct memory m = {0};
    struct item *item = &m.items[TM_ITEM_JOURNAL_A];
    struct tm_journal loaded;
    assert_int_equal(commit_from(&m, 0), COMMITS);
    m.items[TM_ITEM_JOURNAL_B].there = false;
    item->octets[TM_SHA256_SIZE + 2]++; /* the codec's version */
    struct bytes record = {item->octets + TM_SHA256_SIZE, item->n - TM_SHA256_SIZE};
    assert_int_equal(sha256(NULL, &record, 1, item->octets), TM_OK);
    assert_int_equal(load(&m, &loaded), TM_ECORRUPT);
}

static void what_cannot_be_read_is_not_passed_over(void **state) {
    (void)state;
    struct memory m = {0};
    struct tm_journal loaded, next = nth(1);
    assert_int_equal(commit_from(&m, 0), COMMITS);
    for (unsigned item = TM_ITEM_JOURNAL_A; item <= TM_ITEM_JOURNAL_B; item++) {
        m.read_error[item] = TM_EIO;
        assert_int_equal(load(&m, &loaded), TM_EIO);
        m.read_error[item] = TM_OK;
    }
    enum tm_err error = TM_ECRYPTO;
    struct tm_crypto broken = {.version = TM_TABLE_VERSION, .self = &error, .sha256 = sha256};
    struct tm_storage storage = storage_on(&m);
    assert_int_equal(tm_journal_load(&storage, &broken, &loaded), TM_ECRYPTO);
    next.sequence = COMMITS;
    assert_int_equal(tm_journal_commit(&storage, &broken, &next), TM_ECRYPTO);
    assert_int_equal(next.sequence, COMMITS);
    assert_loads(&m, COMMITS);
}

static void what_could_not_be_read_back_is_not_written(void **state) {
    (void)state;
    struct memory m = {0};
    struct tm_storage storage = storage_on(&m);
    struct tm_journal last = nth(1), wrong = nth(1);
    last.sequence = UINT64_MAX;
    assert_int_equal(tm_journal_commit(&storage, &CRYPTO, &last), TM_ELIMIT);
    assert_true(last.sequence == UINT64_MAX);
    wrong.phase = TM_PHASE_PROBE;
    assert_int_equal(tm_journal_commit(&storage, &CRYPTO, &wrong), TM_EINVAL);
    assert_int_equal(wrong.sequence, 1);
    assert_int_equal(m.writes + m.erases, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_leaves_the_old_record_or_the_new_one),
        cmocka_unit_test(a_cut_at_any_octet_leaves_the_old_record),
        cmocka_unit_test(a_write_that_fails_changes_nothing),
        cmocka_unit_test(damage_of_any_octet_is_seen),
        cmocka_unit_test(a_damaged_journal_is_not_a_new_device),
        cmocka_unit_test(a_newer_librarys_record_is_not_a_new_device),
        cmocka_unit_test(what_cannot_be_read_is_not_passed_over),
        cmocka_unit_test(what_could_not_be_read_back_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
