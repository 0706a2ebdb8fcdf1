/* SPDX-License-Identifier: Apache-2.0 */
/* Serials as a CA gives them out, and filters over them, made, signed and read back as a file. */
#ifndef TOUCHMARK_TESTS_FILTER_FIXTURE_H
#define TOUCHMARK_TESTS_FILTER_FIXTURE_H

#include "ca_fixture.h"

#include "ca/filter.h"

#define FF_FROM INT64_C(1760000000000) /* first serial's time */
#define FF_STEP 40                     /* ms from one to the next */
#define FF_NOW INT64_C(1893456000000)  /* 2030-01-01 */
#define FF_HOUR INT64_C(3600000)

/* The same numbers in every run (SplitMix64). */
UNUSED static uint64_t ff_random(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

UNUSED static struct ca_serial ff_serial_at(int64_t time_ms, uint64_t *state) {
    struct ca_serial serial = {.n = PKI_FILTER_SERIAL_SIZE};
    struct buf out = {serial.octets, serial.n, 0, false};
    buf_put_be(&out, (uint64_t)time_ms, 6);
    buf_put_be(&out, ff_random(state), 8);
    buf_put_be(&out, ff_random(state) >> 48, 2);
    return serial;
}

/* Serial number i of a universe. Every third pair shares its millisecond. */
UNUSED static struct ca_serial ff_serial(size_t i, uint64_t *state) {
    struct ca_serial serial = ff_serial_at(FF_FROM + (int64_t)(i - i % 3 % 2) * FF_STEP, state);
    serial.octets[6] = (uint8_t)(i % 3 % 2 ? serial.octets[6] | 0x80 : serial.octets[6] & 0x7f);
    return serial;
}

struct ff_universe {
    size_t issued, revoked;
    uint64_t seed;
};

/* Walks over it: which serial is it, and is it one of the revoked ones? */
struct ff_walk {
    const struct ff_universe *universe;
    size_t at, revoked_left;
    uint64_t state;
};
UNUSED static struct ff_walk ff_walk(const struct ff_universe *universe) {
    return (struct ff_walk){universe, 0, universe->revoked, universe->seed};
}
UNUSED static bool ff_next(struct ff_walk *walk, struct ca_serial *ret_serial, bool *ret_revoked) {
    size_t left = walk->universe->issued - walk->at;
    if (left == 0)
        return false;
    *ret_serial = ff_serial(walk->at++, &walk->state);
    *ret_revoked = ff_random(&walk->state) % left < walk->revoked_left;
    walk->revoked_left -= *ret_revoked;
    return true;
}

UNUSED static struct ca_filter_terms ff_terms(const struct ca_issuer *issuer) {
    return (struct ca_filter_terms){.key_id = issuer->key_id,
                                    .number = 17,
                                    .made_ms = FF_NOW,
                                    .next_ms = FF_NOW + FF_HOUR,
                                    .until_ms = FF_NOW - FF_HOUR};
}

UNUSED static struct ca_filter *ff_new(const struct ca_issuer *issuer) {
    struct ca_filter_terms terms = ff_terms(issuer);
    struct ca_filter *filter = NULL;
    assert_int_equal(ca_filter_new(&terms, &filter), TM_OK);
    return filter;
}

UNUSED static struct ca_filter *ff_filled(const struct ca_issuer *issuer,
                                          const struct ff_universe *universe) {
    struct ca_filter *filter = ff_new(issuer);
    struct ff_walk walk = ff_walk(universe);
    struct ca_serial serial;
    for (bool revoked; ff_next(&walk, &serial, &revoked);)
        assert_int_equal(
            ca_filter_add(filter, &serial, revoked ? CA_FILTER_REVOKED : CA_FILTER_GOOD), TM_OK);
    return filter;
}

/* As the signer does it, whose digest goes with the key. */
UNUSED static size_t ff_sign(EVP_PKEY *key, struct bytes data, uint8_t *ret, size_t cap) {
    if (EVP_PKEY_get_bits(key) != 521)
        return ca_fixture_sign(key, data, ret, cap);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha512(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, ret, &cap, data.p, data.n), 1);
    EVP_MD_CTX_free(ctx);
    return cap;
}

/* The file's octets in memory of their exact size; free them. */
UNUSED static struct bytes ff_read(const struct ca_filter_file *file) {
    uint8_t *p = malloc(file->size);
    assert_non_null(p);
    assert_int_equal(pread(file->fd, p, file->size, 0), file->size);
    return (struct bytes){p, file->size};
}

/* Builds, signs and seals; frees the filter. */
UNUSED static struct bytes ff_finish(const struct ca_fixture *f, struct ca_filter *filter) {
    uint8_t signature[1024];
    struct ca_filter_file file;
    assert_int_equal(ca_filter_build(filter, NULL), TM_OK);
    size_t n = ff_sign(f->key, ca_filter_header(filter), signature, sizeof signature);
    assert_int_equal(ca_filter_seal(filter, &f->issuer, (struct bytes){signature, n}, &file),
                     TM_OK);
    struct bytes octets = ff_read(&file);
    close(file.fd);
    ca_filter_free(filter);
    return octets;
}

UNUSED static void ff_free(struct bytes octets) {
    free((void *)(uintptr_t)octets.p);
}

#endif
