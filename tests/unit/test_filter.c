/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation filters: right for every serial that was issued, as small as they have to be, and no
 * octet read as what it is not. */
#include "filter_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/sha.h>

struct opened {
    struct bytes octets;
    struct pki_filter_file file;
    struct pki_filter_header header;
};

static int open_issuer(void **state) {
    struct ca_fixture *f = malloc(sizeof *f);
    assert_non_null(f);
    ca_fixture_open(f, "P-256");
    *state = f;
    return 0;
}

static int close_issuer(void **state) {
    ca_fixture_close(*state);
    free(*state);
    return 0;
}

static struct opened open_filter(const struct ca_fixture *f, struct ca_filter *filter) {
    struct opened o = {.octets = ff_finish(f, filter)};
    uint8_t hash[32];
    assert_int_equal(pki_filter_file_read(o.octets, &o.file), TM_OK);
    assert_int_equal(pki_filter_header_read(o.file.header, &o.header), TM_OK);
    assert_int_equal(pki_filter_body_check(&o.header, o.file.body), TM_OK);
    SHA256(o.file.body.p, o.file.body.n, hash);
    assert_memory_equal(hash, o.header.body_sha256, sizeof hash);
    return o;
}

static bool revoked_by(const struct opened *o, const struct ca_serial *serial) {
    assert_true(pki_filter_covers(&o->header, (struct bytes){serial->octets, serial->n}));
    return pki_filter_revoked(&o->header, o->file.body, serial->octets);
}

/* ---- exactness and size ---- */

/* The fewest octets that can say which of them are revoked. */
static double bound(const struct ff_universe *u) {
    double n = (double)u->issued, r = (double)u->revoked;
    return (lgamma(n + 1) - lgamma(r + 1) - lgamma(n - r + 1)) / log(2) / 8;
}

static void check_universe(const struct ca_fixture *f, const struct ff_universe *u) {
    struct opened o = open_filter(f, ff_filled(&f->issuer, u));
    struct ff_walk walk = ff_walk(u);
    struct ca_serial serial;
    size_t revoked_n = 0;
    for (bool revoked; ff_next(&walk, &serial, &revoked); revoked_n += revoked)
        if (revoked_by(&o, &serial) != revoked)
            fail_msg("%zu of %zu: wrong at %zu", u->revoked, u->issued, walk.at - 1);
    assert_int_equal(walk.at, u->issued);
    assert_int_equal(revoked_n, u->revoked);
    if ((double)o.file.body.n > 1.12 * bound(u) + 32)
        fail_msg("%zu of %zu: %zu octets, the bound is %.0f", u->revoked, u->issued, o.file.body.n,
                 bound(u));
    ff_free(o.octets);
}

static void every_issued_serial_has_its_own_answer(void **state) {
    static const size_t sizes[] = {0, 1, 2, 3, 64, 127, 128, 129, 1000, 8191, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i];
        const size_t revoked[] = {0, 1, n / 1000, n / 10, n / 3, n / 2, n - n / 4, n - n / 1000, n};
        for (size_t k = 0; k < sizeof revoked / sizeof revoked[0]; k++)
            if (revoked[k] <= n)
                check_universe(*state, &(struct ff_universe){n, revoked[k], n + k});
    }
}

static void small_universes_are_right_whatever_the_seed(void **state) {
    for (uint64_t seed = 0; seed < 300; seed++)
        check_universe(*state, &(struct ff_universe){1 + seed % 40, seed % (2 + seed % 40), seed});
}

static void a_million_with_a_thousand_revoked_fit_into_kilobytes(void **state) {
    const struct ff_universe u = {1000000, 1000, 1};
    struct opened o = open_filter(*state, ff_filled(&((struct ca_fixture *)*state)->issuer, &u));
    assert_in_range(o.octets.n, bound(&u), 1800);
    ff_free(o.octets);
    check_universe(*state, &u);
}

static void nothing_revoked_and_all_revoked_need_no_body(void **state) {
    const struct ff_universe none = {5000, 0, 1}, all = {5000, 5000, 2};
    const struct ff_universe *universes[] = {&none, &all};
    for (size_t i = 0; i < 2; i++) {
        struct opened o =
            open_filter(*state, ff_filled(&((struct ca_fixture *)*state)->issuer, universes[i]));
        assert_int_equal(o.file.body.n, 0);
        assert_int_equal(o.header.inverted, i);
        ff_free(o.octets);
    }
}

/* ---- what goes in ---- */

static void burned_serials_are_never_good(void **state) {
    const struct ca_fixture *f = *state;
    struct ca_filter *filter = ff_new(&f->issuer);
    uint64_t seed = 7;
    for (size_t i = 0; i < 3000; i++) {
        struct ca_serial serial = ff_serial(i, &seed);
        enum ca_filter_kind kind = i % 5 == 0   ? CA_FILTER_BURNED
                                   : i % 7 == 0 ? CA_FILTER_REVOKED
                                                : CA_FILTER_GOOD;
        assert_int_equal(ca_filter_add(filter, &serial, kind), TM_OK);
    }
    struct ca_filter_counts counts = ca_filter_counts(filter);
    assert_int_equal(counts.burned, 600);
    assert_int_equal(counts.revoked, 343);
    assert_int_equal(counts.good, 2057);
    struct opened o = open_filter(f, filter);
    seed = 7;
    for (size_t i = 0; i < 3000; i++) {
        struct ca_serial serial = ff_serial(i, &seed);
        assert_int_equal(revoked_by(&o, &serial), i % 5 == 0 || i % 7 == 0);
    }
    ff_free(o.octets);
}

static void the_coverage_is_what_the_terms_say(void **state) {
    const struct ca_fixture *f = *state;
    struct ca_filter_terms terms = ff_terms(&f->issuer);
    terms.from_ms = FF_FROM + 100;
    terms.until_ms = FF_FROM + 200;
    struct ca_filter *filter;
    uint64_t seed = 3;
    assert_int_equal(ca_filter_new(&terms, &filter), TM_OK);
    for (int64_t t = 99; t <= 201; t++) {
        struct ca_serial serial = ff_serial_at(FF_FROM + t, &seed), other = serial;
        other.n = 15;
        assert_int_equal(ca_filter_add(filter, &serial, CA_FILTER_GOOD), TM_OK);
        assert_int_equal(ca_filter_add(filter, &other, CA_FILTER_GOOD), TM_OK);
    }
    assert_int_equal(ca_filter_counts(filter).good, 101);
    struct opened o = open_filter(f, filter);
    seed = 3;
    for (int64_t t = 99; t <= 201; t++) {
        struct ca_serial s = ff_serial_at(FF_FROM + t, &seed);
        assert_int_equal(pki_filter_covers(&o.header, (struct bytes){s.octets, 16}),
                         t >= 100 && t <= 200);
        assert_false(pki_filter_covers(&o.header, (struct bytes){s.octets, 15}));
        assert_false(pki_filter_covers(&o.header, (struct bytes){s.octets, 17}));
    }
    assert_int_equal(o.header.number, terms.number);
    assert_int_equal(o.header.made_ms, terms.made_ms);
    assert_int_equal(o.header.next_ms, terms.next_ms);
    assert_bytes_equal(o.header.key_id, f->issuer.key_id);
    ff_free(o.octets);
}

static void serials_out_of_order_are_refused(void **state) {
    struct ca_filter *filter = ff_new(&((struct ca_fixture *)*state)->issuer);
    uint64_t seed = 1;
    struct ca_serial first = ff_serial(0, &seed), second = ff_serial(2, &seed);
    assert_int_equal(ca_filter_add(filter, &second, CA_FILTER_GOOD), TM_OK);
    assert_int_equal(ca_filter_add(filter, &second, CA_FILTER_REVOKED), TM_EINVAL);
    assert_int_equal(ca_filter_add(filter, &first, CA_FILTER_GOOD), TM_EINVAL);
    assert_int_equal(ca_filter_header(filter).n, 0);
    assert_int_equal(ca_filter_build(filter, NULL), TM_OK);
    struct ca_serial third = ff_serial(4, &seed);
    assert_int_equal(ca_filter_add(filter, &third, CA_FILTER_GOOD), TM_EINVAL);
    assert_int_equal(ca_filter_build(filter, NULL), TM_EINVAL);
    ca_filter_free(filter);
    ca_filter_free(NULL);
}

static void terms_without_sense_are_refused(void **state) {
    const struct ca_filter_terms good = ff_terms(&((struct ca_fixture *)*state)->issuer);
    uint8_t long_id[PKI_FILTER_KEY_ID_MAX + 1] = {0};
    struct ca_filter_terms bad[] = {good, good, good, good, good, good, good};
    bad[0].key_id.n = 0;
    bad[1].key_id = BYTES_OF(long_id);
    bad[2].made_ms = 0;
    bad[3].next_ms = good.made_ms - 1;
    bad[4].from_ms = good.until_ms + 1;
    bad[5].from_ms = -1;
    bad[6].until_ms = (int64_t)PKI_FILTER_TIME_MAX + 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ca_filter *filter = NULL;
        assert_int_equal(ca_filter_new(&bad[i], &filter), TM_EINVAL);
        assert_null(filter);
    }
}

static void building_stops_when_it_is_told_to(void **state) {
    const struct ff_universe u = {20000, 2000, 1};
    struct ca_filter *filter = ff_filled(&((struct ca_fixture *)*state)->issuer, &u);
    atomic_bool stop = true;
    assert_int_equal(ca_filter_build(filter, &stop), TM_ECLOSED);
    assert_int_equal(ca_filter_header(filter).n, 0);
    atomic_store(&stop, false);
    assert_int_equal(ca_filter_build(filter, &stop), TM_OK);
    ca_filter_free(filter);
}

/* ---- the file ---- */

static void only_the_issuers_signature_makes_a_file(void **state) {
    const struct ca_fixture *f = *state;
    const struct ff_universe u = {1000, 100, 1};
    struct ca_filter *filter = ff_filled(&f->issuer, &u);
    struct ca_filter_file file = {.fd = -7};
    uint8_t signature[128];
    struct bytes header = ca_filter_header(filter);
    assert_int_equal(ca_filter_seal(filter, &f->issuer, BYTES_OF(signature), &file), TM_EINVAL);
    assert_int_equal(ca_filter_build(filter, NULL), TM_OK);
    header = ca_filter_header(filter);
    assert_in_range(header.n, 1, IPC_FILTER_HEADER_MAX);
    struct bytes by_root = {signature,
                            ca_fixture_sign(f->root_key, header, signature, sizeof signature)};
    assert_int_equal(ca_filter_seal(filter, &f->issuer, by_root, &file), TM_ECRYPTO);
    struct bytes good = {signature, ca_fixture_sign(f->key, header, signature, sizeof signature)};
    struct ca_issuer other = f->issuer;
    other.key_id.n--;
    assert_int_equal(ca_filter_seal(filter, &other, good, &file), TM_EINVAL);
    assert_int_equal(file.fd, -7);
    assert_int_equal(ca_filter_seal(filter, &f->issuer, good, &file), TM_OK);
    assert_int_equal(ca_filter_counts(filter).body_n, file.size - header.n - 2 - good.n);
    close(file.fd);
    ca_filter_free(filter);
}

static void the_file_is_whole_and_nobody_can_change_it(void **state) {
    const struct ca_fixture *f = *state;
    const struct ff_universe u = {1000, 100, 1};
    struct ca_filter *filter = ff_filled(&f->issuer, &u);
    uint8_t signature[128], hash[32];
    struct ca_filter_file file;
    assert_int_equal(ca_filter_build(filter, NULL), TM_OK);
    struct bytes header = ca_filter_header(filter);
    size_t n = ca_fixture_sign(f->key, header, signature, sizeof signature);
    assert_int_equal(ca_filter_seal(filter, &f->issuer, (struct bytes){signature, n}, &file),
                     TM_OK);
    struct bytes octets = ff_read(&file);
    SHA256(octets.p, octets.n, hash);
    assert_memory_equal(hash, file.sha256, sizeof hash);
    assert_memory_equal(octets.p, "TMFILTER", 8);
    assert_memory_equal(octets.p, header.p, header.n);
    assert_int_equal(lseek(file.fd, 0, SEEK_END), file.size);
    assert_int_equal(pwrite(file.fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(file.fd, 1), -1);
    assert_int_equal(fcntl(file.fd, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(fcntl(file.fd, F_GETFD), FD_CLOEXEC);
    close(file.fd);
    ff_free(octets);
    ca_filter_free(filter);
}

/* ---- headers ---- */

static uint8_t some_key_id[20] = {1, 2, 3};

static struct pki_filter_header some_header(void) {
    return (struct pki_filter_header){.key_id = BYTES_OF(some_key_id),
                                      .number = 3,
                                      .made_ms = 1000,
                                      .next_ms = 2000,
                                      .from_ms = 1,
                                      .until_ms = 900,
                                      .columns = 3,
                                      .buckets = 2,
                                      .seed = 5,
                                      .body_n = 40};
}

static void headers_come_back_as_they_were(void **state) {
    (void)state;
    uint8_t memory[PKI_FILTER_HEADER_MAX], again[PKI_FILTER_HEADER_MAX];
    struct buf out = BUF_ON(memory), second = BUF_ON(again);
    struct pki_filter_header header = some_header(), read;
    assert_int_equal(pki_filter_header_write(&header, &out), TM_OK);
    assert_int_equal(pki_filter_header_read(buf_bytes(&out), &read), TM_OK);
    assert_int_equal(pki_filter_header_write(&read, &second), TM_OK);
    assert_bytes_equal(buf_bytes(&out), buf_bytes(&second));
    assert_int_equal(read.number, 3);
    assert_int_equal(read.until_ms, 900);
    assert_int_equal(read.body_n, 40);
}

static void headers_that_are_cut_or_longer_are_refused(void **state) {
    (void)state;
    uint8_t memory[PKI_FILTER_HEADER_MAX];
    struct buf out = BUF_ON(memory);
    struct pki_filter_header header = some_header(), read = {.number = 99};
    assert_int_equal(pki_filter_header_write(&header, &out), TM_OK);
    for (size_t n = 0; n < out.n; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, memory, n);
        assert_int_equal(pki_filter_header_read((struct bytes){exact, n}, &read), TM_EPARSE);
        free(exact);
    }
    memory[out.n] = 0;
    assert_int_equal(pki_filter_header_read((struct bytes){memory, out.n + 1}, &read), TM_EPARSE);
    for (size_t i = 0; i < 13; i++) { /* magic, length, type, version */
        memory[i] ^= 0x40;
        assert_int_equal(pki_filter_header_read(buf_bytes(&out), &read), TM_EPARSE);
        memory[i] ^= 0x40;
    }
    assert_int_equal(read.number, 99);
    struct buf small = {memory, out.n - 1, 0, false};
    assert_int_equal(pki_filter_header_write(&header, &small), TM_ELIMIT);
    assert_int_equal(small.n, 0);
}

static void headers_without_sense_are_neither_written_nor_read(void **state) {
    (void)state;
    uint8_t memory[PKI_FILTER_HEADER_MAX], long_id[PKI_FILTER_KEY_ID_MAX + 1] = {0};
    struct pki_filter_header bad[12];
    for (size_t i = 0; i < 12; i++)
        bad[i] = some_header();
    bad[0].key_id.n = 0;
    bad[1].key_id = BYTES_OF(long_id);
    bad[2].made_ms = 0;
    bad[3].next_ms = 999;
    bad[4].until_ms = 0;
    bad[5].until_ms = PKI_FILTER_TIME_MAX + 1;
    bad[6].inverted = 2;
    bad[7].columns = PKI_FILTER_COLUMNS_MAX + 1;
    bad[8].buckets = 6; /* 48 octets of table */
    bad[9].buckets = 0;
    bad[10].body_n = PKI_FILTER_BODY_MAX + 1;
    bad[11].buckets = UINT32_MAX;
    for (size_t i = 0; i < 12; i++) {
        struct buf out = BUF_ON(memory);
        assert_int_equal(pki_filter_header_write(&bad[i], &out), TM_EINVAL);
        assert_int_equal(out.n, 0);
    }
    /* The same in octets: the last ones are columns, buckets, seed, length and hash. */
    struct buf out = BUF_ON(memory);
    struct pki_filter_header header = some_header(), read;
    assert_int_equal(pki_filter_header_write(&header, &out), TM_OK);
    uint8_t *end = memory + out.n, *columns = end - 32 - 4 - 8 - 4 - 1, *buckets = columns + 1;
    assert_int_equal(*columns, 3);
    *columns = PKI_FILTER_COLUMNS_MAX + 1;
    assert_int_equal(pki_filter_header_read(buf_bytes(&out), &read), TM_EPARSE);
    *columns = 3;
    buckets[3] = 6;
    assert_int_equal(pki_filter_header_read(buf_bytes(&out), &read), TM_EPARSE);
    buckets[3] = 5;
    assert_int_equal(pki_filter_header_read(buf_bytes(&out), &read), TM_OK);
    buckets[3] = 0;
    assert_int_equal(pki_filter_header_read(buf_bytes(&out), &read), TM_EPARSE);
}

/* ---- bodies ---- */

static void put_entry(uint8_t *body, unsigned bucket, uint32_t start, uint16_t slots) {
    struct buf out = {body + bucket * PKI_FILTER_ENTRY_SIZE, PKI_FILTER_ENTRY_SIZE, 0, false};
    buf_put_be(&out, start, 4);
    buf_put_be(&out, slots, 2);
}

/* Two buckets of 12 octets, 3 columns: 96 bits each. */
static void bodies_whose_table_is_wrong_are_refused(void **state) {
    (void)state;
    static const struct {
        uint32_t starts[2];
        uint16_t slots[2];
        enum tm_err result;
    } rows[] = {
        {{0, 12}, {32, 32}, TM_OK},
        {{0, 12}, {0, 0}, TM_OK},
        {{0, 24}, {64, 0}, TM_OK},
        {{0, 0}, {0, 64}, TM_OK},
        {{0, 12}, {33, 32}, TM_EPARSE},
        {{0, 12}, {32, 33}, TM_EPARSE},
        {{1, 12}, {1, 1}, TM_EPARSE},
        {{0, 25}, {1, 0}, TM_EPARSE},
        {{12, 0}, {1, 1}, TM_EPARSE},
        {{0, UINT32_MAX}, {1, 1}, TM_EPARSE},
        {{0, 12}, {UINT16_MAX, 1}, TM_EPARSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t body[40] = {0};
        struct pki_filter_header header = some_header();
        put_entry(body, 0, rows[i].starts[0], rows[i].slots[0]);
        put_entry(body, 1, rows[i].starts[1], rows[i].slots[1]);
        assert_int_equal(pki_filter_body_check(&header, BYTES_OF(body)), rows[i].result);
        assert_int_equal(pki_filter_body_check(&header, (struct bytes){body, 39}), TM_EPARSE);
        header.columns = 0;
        assert_int_equal(pki_filter_body_check(&header, BYTES_OF(body)),
                         rows[i].slots[0] || rows[i].slots[1] || rows[i].result ? TM_EPARSE
                                                                                : TM_OK);
    }
}

static void files_that_are_cut_before_the_body_are_refused(void **state) {
    const struct ff_universe u = {300, 30, 1};
    struct opened o = open_filter(*state, ff_filled(&((struct ca_fixture *)*state)->issuer, &u));
    size_t front = o.octets.n - o.file.body.n;
    struct pki_filter_file file;
    for (size_t n = 0; n < front; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, o.octets.p, n);
        assert_int_equal(pki_filter_file_read((struct bytes){exact, n}, &file), TM_EPARSE);
        free(exact);
    }
    for (size_t n = front; n < o.octets.n; n++) {
        assert_int_equal(pki_filter_file_read((struct bytes){o.octets.p, n}, &file), TM_OK);
        assert_int_equal(pki_filter_body_check(&o.header, file.body), TM_EPARSE);
    }
    ff_free(o.octets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_issued_serial_has_its_own_answer),
        cmocka_unit_test(small_universes_are_right_whatever_the_seed),
        cmocka_unit_test(a_million_with_a_thousand_revoked_fit_into_kilobytes),
        cmocka_unit_test(nothing_revoked_and_all_revoked_need_no_body),
        cmocka_unit_test(burned_serials_are_never_good),
        cmocka_unit_test(the_coverage_is_what_the_terms_say),
        cmocka_unit_test(serials_out_of_order_are_refused),
        cmocka_unit_test(terms_without_sense_are_refused),
        cmocka_unit_test(building_stops_when_it_is_told_to),
        cmocka_unit_test(only_the_issuers_signature_makes_a_file),
        cmocka_unit_test(the_file_is_whole_and_nobody_can_change_it),
        cmocka_unit_test(headers_come_back_as_they_were),
        cmocka_unit_test(headers_that_are_cut_or_longer_are_refused),
        cmocka_unit_test(headers_without_sense_are_neither_written_nor_read),
        cmocka_unit_test(bodies_whose_table_is_wrong_are_refused),
        cmocka_unit_test(files_that_are_cut_before_the_body_are_refused),
    };
    return cmocka_run_group_tests(tests, open_issuer, close_issuer);
}
