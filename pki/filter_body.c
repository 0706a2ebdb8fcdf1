/* SPDX-License-Identifier: Apache-2.0 */
/* Looking a serial up in a filter's body: see pki/filter.h. */
#include "pki/filter.h"

#define STEP UINT64_C(0x9e3779b97f4a7c15) /* 2^64 over the golden ratio */
#define TIME_SIZE 6

/* A finalizer: every bit of the input moves every bit of the output with a chance of a half. */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t be(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* `x` stands for a fraction of 2^32: that fraction of `n`. */
static uint32_t share(uint32_t x, uint32_t n) {
    return (uint32_t)((uint64_t)x * n >> 32);
}

bool pki_filter_covers(const struct pki_filter_header *header, struct bytes serial) {
    if (serial.n != PKI_FILTER_SERIAL_SIZE)
        return false;
    uint64_t time = be(serial.p, TIME_SIZE);
    return header->from_ms <= time && time <= header->until_ms;
}

/* ---- rows ---- */

uint64_t pki_filter_hash(uint64_t seed, const uint8_t serial[PKI_FILTER_SERIAL_SIZE]) {
    return mix(be(serial + 8, 8) ^ mix(be(serial, 8) ^ seed));
}

uint32_t pki_filter_bucket(uint64_t hash, uint32_t buckets) {
    return share((uint32_t)(hash >> 32), buckets);
}

/* The first `slots` of word number `i` of a row. */
static uint64_t slots_of_word(uint32_t slots, unsigned i) {
    uint32_t before = i * 64;
    if (slots <= before)
        return 0;
    return slots - before >= 64 ? UINT64_MAX : ~(UINT64_MAX >> (slots - before));
}

void pki_filter_row(uint64_t hash, unsigned layer, uint8_t seed, uint32_t slots,
                    struct pki_filter_row *ret) {
    uint64_t own = mix(hash ^ ((uint64_t)layer << 8 | seed) * STEP);
    uint32_t starts = slots > PKI_FILTER_WIDTH ? slots - PKI_FILTER_WIDTH + 1 : 1;
    ret->start = share((uint32_t)(own >> 32), starts);
    ret->fingerprint = (uint32_t)own;
    for (unsigned i = 0; i < PKI_FILTER_WORDS; i++)
        ret->coefficients[i] = mix(own + (i + 1) * STEP) & slots_of_word(slots, i);
    ret->coefficients[0] |= UINT64_C(1) << 63;
}

/* ---- buckets ---- */

struct bucket {
    uint64_t at; /* of the first bit of layer 1 in the body */
    uint32_t slots[2];
    uint8_t seeds[2];
};

static uint32_t start_of(const struct pki_filter_header *header, struct bytes body,
                         uint32_t index) {
    size_t table_n = (size_t)header->buckets * PKI_FILTER_ENTRY_SIZE;
    if (index == header->buckets)
        return (uint32_t)(body.n - table_n);
    return (uint32_t)be(body.p + (size_t)index * PKI_FILTER_ENTRY_SIZE, 4);
}

static struct bucket bucket_at(const struct pki_filter_header *header, struct bytes body,
                               uint32_t index) {
    const uint8_t *entry = body.p + (size_t)index * PKI_FILTER_ENTRY_SIZE;
    uint32_t start = start_of(header, body, index);
    uint32_t n = start_of(header, body, index + 1) - start;
    uint32_t slots = (uint32_t)be(entry + 4, 2);
    return (struct bucket){
        .at = ((uint64_t)header->buckets * PKI_FILTER_ENTRY_SIZE + start) * 8,
        .slots = {slots, n * 8 - slots * header->columns},
        .seeds = {entry[6], entry[7]},
    };
}

static bool bucket_fits(const struct pki_filter_header *header, struct bytes body, uint32_t index) {
    uint32_t end = start_of(header, body, header->buckets);
    uint32_t start = start_of(header, body, index), next = start_of(header, body, index + 1);
    uint64_t slots = be(body.p + (size_t)index * PKI_FILTER_ENTRY_SIZE + 4, 2);
    if (next < start || next > end || (index == 0 && start != 0))
        return false;
    if (header->columns == 0)
        return slots == 0;
    return slots * header->columns <= (uint64_t)(next - start) * 8;
}

enum tm_err pki_filter_body_check(const struct pki_filter_header *header, struct bytes body) {
    if (body.n != header->body_n || body.n / PKI_FILTER_ENTRY_SIZE < header->buckets)
        return TM_EPARSE;
    for (uint32_t i = 0; i < header->buckets; i++)
        if (!bucket_fits(header, body, i))
            return TM_EPARSE;
    return TM_OK;
}

/* ---- sums ---- */

/* 64 bits from bit `at` on; 0 beyond the body. */
static uint64_t bits_at(struct bytes body, uint64_t at) {
    size_t i = (size_t)(at / 8);
    unsigned shift = at % 8;
    uint64_t v = 0;
    for (size_t end = i + 8; i < end; i++)
        v = v << 8 | (i < body.n ? body.p[i] : 0);
    uint64_t last = i < body.n ? body.p[i] : 0;
    return shift ? v << shift | last >> (8 - shift) : v;
}

/* Small processors have no instruction for it. */
static unsigned parity(uint64_t x) {
    for (unsigned half = 32; half > 0; half /= 2)
        x ^= x >> half;
    return x & 1;
}

static unsigned sum(struct bytes body, uint64_t column, const struct pki_filter_row *row) {
    uint64_t chosen = 0;
    for (unsigned i = 0; i < PKI_FILTER_WORDS; i++)
        if (row->coefficients[i])
            chosen ^= row->coefficients[i] & bits_at(body, column + row->start + i * 64);
    return parity(chosen);
}

static bool maybe(const struct pki_filter_header *header, struct bytes body,
                  const struct bucket *bucket, uint64_t hash) {
    struct pki_filter_row row;
    if (header->columns == 0)
        return true;
    if (bucket->slots[0] == 0)
        return false;
    pki_filter_row(hash, 1, bucket->seeds[0], bucket->slots[0], &row);
    for (uint32_t i = 0; i < header->columns; i++)
        if (sum(body, bucket->at + (uint64_t)i * bucket->slots[0], &row) !=
            (row.fingerprint >> (31 - i) & 1))
            return false;
    return true;
}

bool pki_filter_maybe(const struct pki_filter_header *header, struct bytes body, uint64_t hash) {
    struct bucket bucket = bucket_at(header, body, pki_filter_bucket(hash, header->buckets));
    return maybe(header, body, &bucket, hash);
}

static bool listed(const struct pki_filter_header *header, struct bytes body, uint64_t hash) {
    struct pki_filter_row row;
    if (header->buckets == 0)
        return false;
    struct bucket bucket = bucket_at(header, body, pki_filter_bucket(hash, header->buckets));
    if (!maybe(header, body, &bucket, hash) || bucket.slots[1] == 0)
        return false;
    pki_filter_row(hash, 2, bucket.seeds[1], bucket.slots[1], &row);
    return sum(body, bucket.at + (uint64_t)bucket.slots[0] * header->columns, &row) != 0;
}

bool pki_filter_revoked(const struct pki_filter_header *header, struct bytes body,
                        const uint8_t serial[PKI_FILTER_SERIAL_SIZE]) {
    return listed(header, body, pki_filter_hash(header->seed, serial)) != (header->inverted != 0);
}
