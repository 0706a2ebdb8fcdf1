/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structural damage: DER written again with one element removed, renamed, or given one more, all
 * lengths right. Damage of single octets hardly ever gets that far.
 */
#ifndef TOUCHMARK_TESTS_DER_REWRITE_H
#define TOUCHMARK_TESTS_DER_REWRITE_H

#include "pki_fixture.h"

#include "pki/der.h"

#define REWRITE_ELEMENTS_MAX 64

enum rewrite_kind { REWRITE_APPEND, REWRITE_REMOVE, REWRITE_RETAG };

struct rewrite {
    enum rewrite_kind kind;
    size_t target; /* number of the element */
    size_t seen;
    bool applied;
    struct der element; /* the one that was hit */
    unsigned depth;     /* 0 = outermost */
};

static void rewrite_elements(struct der_writer *w, struct bytes in, unsigned depth,
                             struct rewrite *r);

static void rewrite_one(struct der_writer *w, const struct der *d, unsigned depth,
                        struct rewrite *r) {
    bool constructed = d->tag & 0x20, hit = r->seen++ == r->target;
    if (hit) {
        r->element = *d;
        r->depth = depth;
        r->applied = r->kind != REWRITE_APPEND || constructed;
    }
    if (hit && r->kind == REWRITE_REMOVE)
        return;
    size_t end = der_mark(w);
    if (hit && r->applied && r->kind == REWRITE_APPEND)
        der_put(w, DER_NULL, (struct bytes){0});
    if (constructed)
        rewrite_elements(w, d->value, depth + 1, r);
    else
        der_raw(w, d->value);
    der_wrap(w, hit && r->kind == REWRITE_RETAG ? d->tag ^ 0x40 : d->tag, end);
}

static void rewrite_elements(struct der_writer *w, struct bytes in, unsigned depth,
                             struct rewrite *r) {
    struct der elements[REWRITE_ELEMENTS_MAX];
    size_t count = 0;
    for (; in.n > 0; count++) {
        assert_true(count < REWRITE_ELEMENTS_MAX);
        assert_int_equal(der_next(&in, &elements[count]), TM_OK);
    }
    for (size_t i = count; i > 0; i--)
        rewrite_one(w, &elements[i - 1], depth, r);
}

/* `in` with the damage, in memory. When there is no element of that number, r->seen <= r->target.
 */
UNUSED static struct bytes rewrite_der(struct bytes in, struct rewrite *r, uint8_t *memory,
                                       size_t cap) {
    struct der_writer w = der_writer_on(memory, cap);
    rewrite_elements(&w, in, 0, r);
    assert_false(w.full);
    return der_written(&w);
}

/* The number of elements, at all depths. */
UNUSED static size_t rewrite_count(struct bytes in) {
    struct der d;
    size_t count = 0;
    for (; in.n > 0; count++) {
        assert_int_equal(der_next(&in, &d), TM_OK);
        if (d.tag & 0x20)
            count += rewrite_count(d.value);
    }
    return count;
}

#endif
