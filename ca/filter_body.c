/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From serials to a filter's body: layer 1 of every bucket, then what passes it by chance, then
 * layer 2, which tells the two apart, then every serial once more to see that it is right.
 */
#include "ca/filter_body.h"

#include <stdlib.h>
#include <string.h>

#include "ca/filter_ribbon.h"

/* Listed serials of a bucket. More: rows of 128 coefficients need more spare slots; fewer: the
 * buckets' table weighs more. */
#define BUCKET_SIZE 3000
#define LOOK_EVERY 65536 /* serials between two looks at `stop` */

struct body {
    uint8_t *p; /* zero from `n` on */
    size_t cap;
    size_t bits; /* written */
};

struct making {
    const struct ca_filter_sides *sides;
    const struct ca_filter_list *listed, *others;
    struct pki_filter_header *header;
    struct ca_filter_groups listed_groups, passed_groups;
    struct ca_filter_list passed; /* hashes of others that layer 1 lets pass */
    struct ca_ribbon ribbon;
    struct body first; /* with layer 1 only */
    struct body whole;
};

static bool stopped(const struct making *m) {
    return m->sides->stop && atomic_load(m->sides->stop);
}

/* ---- writing bits ---- */

static enum tm_err reserve_bits(struct body *body, size_t bits) {
    size_t octets = (body->bits + bits + 7) / 8;
    if (octets > PKI_FILTER_BODY_MAX)
        return TM_ELIMIT;
    if (octets <= body->cap)
        return TM_OK;
    size_t cap = octets + octets / 2;
    uint8_t *grown = realloc(body->p, cap);
    if (!grown)
        return TM_ENOMEM;
    memset(grown + body->cap, 0, cap - body->cap);
    body->p = grown;
    body->cap = cap;
    return TM_OK;
}

static void put_bit(struct body *body, unsigned bit) {
    body->p[body->bits / 8] |= (uint8_t)(bit << (7 - body->bits % 8));
    body->bits++;
}

/* The solution, column after column. */
static enum tm_err put_solution(struct body *body, const struct ca_ribbon *ribbon,
                                unsigned columns) {
    enum tm_err err = reserve_bits(body, (size_t)ribbon->n * columns);
    if (err)
        return err;
    for (unsigned c = columns; c-- > 0;)
        for (uint32_t i = 0; i < ribbon->n; i++)
            put_bit(body, ribbon->slots[i].value >> c & 1);
    return TM_OK;
}

static enum tm_err put_bits_of(struct body *body, const struct body *from, size_t at, size_t n) {
    enum tm_err err = reserve_bits(body, n);
    if (err)
        return err;
    for (size_t i = at; i < at + n; i++)
        put_bit(body, from->p[i / 8] >> (7 - i % 8) & 1);
    return TM_OK;
}

/* ---- the table ---- */

static enum tm_err begin(struct body *body, uint32_t buckets) {
    size_t bits = (size_t)buckets * PKI_FILTER_ENTRY_SIZE * 8;
    enum tm_err err = reserve_bits(body, bits);
    if (!err)
        body->bits = bits;
    return err;
}

/* The bucket's bits begin here, at a whole octet. */
static void put_entry(struct making *m, struct body *body, uint32_t bucket, uint32_t slots,
                      const uint8_t seeds[2]) {
    size_t table = (size_t)m->header->buckets * PKI_FILTER_ENTRY_SIZE;
    body->bits = (body->bits + 7) / 8 * 8;
    struct buf entry = {body->p + (size_t)bucket * PKI_FILTER_ENTRY_SIZE, PKI_FILTER_ENTRY_SIZE, 0,
                        false};
    buf_put_be(&entry, body->bits / 8 - table, 4);
    buf_put_be(&entry, slots, 2);
    buf_put(&entry, (struct bytes){seeds, 2});
}

struct entry {
    size_t at; /* of its first bit */
    uint32_t slots;
    uint8_t seed;
};

static struct entry entry_of(const struct making *m, const struct body *body, uint32_t bucket) {
    struct reader r = {
        .in = {body->p + (size_t)bucket * PKI_FILTER_ENTRY_SIZE, PKI_FILTER_ENTRY_SIZE}};
    size_t table = (size_t)m->header->buckets * PKI_FILTER_ENTRY_SIZE;
    size_t at = (table + (size_t)reader_be(&r, 4)) * 8;
    uint32_t slots = (uint32_t)reader_be(&r, 2);
    return (struct entry){at, slots, (uint8_t)reader_be(&r, 1)};
}

/* ---- layers ---- */

static enum tm_err solve_first(struct making *m, uint32_t bucket) {
    unsigned columns = m->header->columns;
    struct ca_ribbon_rows rows = {.layer = 1, .columns = columns};
    rows.listed_n = ca_filter_groups_at(&m->listed_groups, bucket, &rows.listed);
    enum tm_err err = ca_ribbon_solve(&m->ribbon, &rows);
    if (err)
        return err;
    if (m->ribbon.n > UINT16_MAX)
        return TM_ENOTFOUND;
    put_entry(m, &m->first, bucket, m->ribbon.n, (const uint8_t[]){m->ribbon.seed, 0});
    return put_solution(&m->first, &m->ribbon, columns);
}

static enum tm_err make_first(struct making *m) {
    enum tm_err err = begin(&m->first, m->header->buckets);
    for (uint32_t b = 0; !err && m->header->columns && b < m->header->buckets; b++)
        err = stopped(m) ? TM_ECLOSED : solve_first(m, b);
    return err;
}

static enum tm_err solve_second(struct making *m, uint32_t bucket) {
    struct entry first = entry_of(m, &m->first, bucket);
    size_t first_bits = (size_t)first.slots * m->header->columns;
    struct ca_ribbon_rows rows = {.layer = 2, .columns = 1, .before = first_bits % 8};
    rows.listed_n = ca_filter_groups_at(&m->listed_groups, bucket, &rows.listed);
    rows.others_n = ca_filter_groups_at(&m->passed_groups, bucket, &rows.others);
    enum tm_err err = ca_ribbon_solve(&m->ribbon, &rows);
    if (err)
        return err;
    put_entry(m, &m->whole, bucket, first.slots, (const uint8_t[]){first.seed, m->ribbon.seed});
    err = put_bits_of(&m->whole, &m->first, first.at, first_bits);
    return err ? err : put_solution(&m->whole, &m->ribbon, 1);
}

static enum tm_err make_second(struct making *m) {
    enum tm_err err = begin(&m->whole, m->header->buckets);
    for (uint32_t b = 0; !err && b < m->header->buckets; b++)
        err = stopped(m) ? TM_ECLOSED : solve_second(m, b);
    return err;
}

/* ---- all serials ---- */

static enum tm_err hash_all(const struct making *m, const struct ca_filter_list *serials,
                            struct ca_filter_list *hashes) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < serials->count; i++) {
        uint64_t hash = pki_filter_hash(m->header->seed, ca_filter_list_at(serials, i));
        err = ca_filter_list_add(hashes, &hash);
    }
    return err;
}

static enum tm_err group_listed(struct making *m) {
    struct ca_filter_list hashes = {.item = sizeof(uint64_t)};
    enum tm_err err = hash_all(m, m->listed, &hashes);
    if (!err)
        err = ca_filter_group(&hashes, m->header->buckets, &m->listed_groups);
    ca_filter_list_free(&hashes);
    return err;
}

static enum tm_err group_passed(struct making *m) {
    struct bytes body = {m->first.p, (m->first.bits + 7) / 8};
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < m->others->count; i++) {
        uint64_t hash = pki_filter_hash(m->header->seed, ca_filter_list_at(m->others, i));
        if (pki_filter_maybe(m->header, body, hash))
            err = ca_filter_list_add(&m->passed, &hash);
        if (!err && i % LOOK_EVERY == 0 && stopped(m))
            err = TM_ECLOSED;
    }
    if (!err)
        err = ca_filter_group(&m->passed, m->header->buckets, &m->passed_groups);
    ca_filter_list_free(&m->passed);
    return err;
}

static enum tm_err try_side(const struct making *m, struct bytes body,
                            const struct ca_filter_list *side, bool revoked) {
    for (size_t i = 0; i < side->count; i++) {
        if (pki_filter_revoked(m->header, body, ca_filter_list_at(side, i)) != revoked)
            return TM_ENOTFOUND;
        if (i % LOOK_EVERY == 0 && stopped(m))
            return TM_ECLOSED;
    }
    return TM_OK;
}

static enum tm_err try_all(const struct making *m) {
    struct bytes body = {m->whole.p, m->header->body_n};
    if (pki_filter_body_check(m->header, body))
        return TM_ENOTFOUND;
    enum tm_err err = try_side(m, body, m->sides->revoked, true);
    return err ? err : try_side(m, body, m->sides->good, false);
}

/* ---- the whole ---- */

/* Bits that a filter with so many columns has: each listed serial once per column and once in
 * layer 2, and in layer 2 those that pass by chance. */
static uint64_t bits_with(const struct making *m, unsigned columns) {
    return (uint64_t)m->listed->count * (columns + 1) + (m->others->count >> columns);
}

static enum tm_err choose(struct making *m) {
    struct pki_filter_header *h = m->header;
    h->inverted = m->listed == m->sides->good;
    h->columns = 0;
    h->buckets = (uint32_t)((m->listed->count + BUCKET_SIZE - 1) / BUCKET_SIZE);
    for (unsigned c = 1; c < PKI_FILTER_COLUMNS_MAX && m->listed->count; c++)
        if (bits_with(m, c) < bits_with(m, h->columns))
            h->columns = (uint8_t)c;
    return bits_with(m, h->columns) / 8 > PKI_FILTER_BODY_MAX ? TM_ELIMIT : TM_OK;
}

static enum tm_err make(struct making *m) {
    enum tm_err err = choose(m);
    if (!err && m->header->buckets)
        err = group_listed(m);
    if (!err && m->header->buckets)
        err = make_first(m);
    if (!err && m->header->buckets)
        err = group_passed(m);
    if (!err && m->header->buckets)
        err = make_second(m);
    if (err)
        return err;
    m->header->body_n = (uint32_t)(m->whole.bits / 8);
    return try_all(m);
}

enum tm_err ca_filter_body_make(const struct ca_filter_sides *sides,
                                struct pki_filter_header *header, uint8_t **ret_body) {
    bool inverted = sides->good->count < sides->revoked->count;
    struct making m = {
        .sides = sides,
        .listed = inverted ? sides->good : sides->revoked,
        .others = inverted ? sides->revoked : sides->good,
        .header = header,
        .passed = {.item = sizeof(uint64_t)},
    };
    enum tm_err err = make(&m);
    ca_filter_groups_free(&m.listed_groups);
    ca_filter_groups_free(&m.passed_groups);
    ca_filter_list_free(&m.passed);
    ca_ribbon_free(&m.ribbon);
    free(m.first.p);
    if (err)
        free(m.whole.p);
    else
        *ret_body = m.whole.p;
    return err;
}
