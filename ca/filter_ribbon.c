/* SPDX-License-Identifier: Apache-2.0 */
/* Banded Gaussian elimination over GF(2): see ca/filter_ribbon.h. */
#include "ca/filter_ribbon.h"

#include <stdlib.h>
#include <string.h>

#define SEEDS 256
/* With a 200th more slots than rows about one seed of five solves a bucket; more slots are given
 * only when so many seeds in turn did not. */
#define SPARE 200
#define SEEDS_PER_SIZE 8

static enum tm_err reserve(struct ca_ribbon *ribbon, uint32_t slots) {
    if (slots > ribbon->cap) {
        size_t cap = slots + slots / 8;
        struct ca_ribbon_slot *grown = reallocarray(ribbon->slots, cap, sizeof *grown);
        if (!grown)
            return TM_ENOMEM;
        ribbon->slots = grown;
        ribbon->cap = cap;
    }
    if (slots > 0)
        memset(ribbon->slots, 0, slots * sizeof *ribbon->slots);
    ribbon->n = slots;
    return TM_OK;
}

/* ---- elimination ---- */

/* Moves the row's first coefficient to the front; returns by how many slots. */
static uint32_t advance(uint64_t coefficients[PKI_FILTER_WORDS]) {
    uint32_t moved = 0;
    while (coefficients[0] == 0) {
        for (unsigned i = 0; i + 1 < PKI_FILTER_WORDS; i++)
            coefficients[i] = coefficients[i + 1];
        coefficients[PKI_FILTER_WORDS - 1] = 0;
        moved += 64;
    }
    unsigned shift = (unsigned)__builtin_clzll(coefficients[0]);
    if (shift == 0)
        return moved;
    for (unsigned i = 0; i + 1 < PKI_FILTER_WORDS; i++)
        coefficients[i] = coefficients[i] << shift | coefficients[i + 1] >> (64 - shift);
    coefficients[PKI_FILTER_WORDS - 1] <<= shift;
    return moved + shift;
}

/* False: the rows before it say otherwise. */
static bool put_row(struct ca_ribbon *ribbon, struct pki_filter_row *row, uint32_t value) {
    for (uint32_t at = row->start;; at += advance(row->coefficients)) {
        struct ca_ribbon_slot *slot = &ribbon->slots[at];
        if (slot->coefficients[0] == 0) {
            memcpy(slot->coefficients, row->coefficients, sizeof slot->coefficients);
            slot->value = value;
            return true;
        }
        uint64_t left = 0;
        for (unsigned i = 0; i < PKI_FILTER_WORDS; i++)
            left |= row->coefficients[i] ^= slot->coefficients[i];
        value ^= slot->value;
        if (left == 0)
            return value == 0;
    }
}

static bool put_rows(struct ca_ribbon *ribbon, const struct ca_ribbon_rows *rows) {
    struct pki_filter_row row;
    for (size_t i = 0; i < rows->listed_n; i++) {
        pki_filter_row(rows->listed[i], rows->layer, ribbon->seed, ribbon->n, &row);
        uint32_t value = rows->layer == 1 ? row.fingerprint >> (32 - rows->columns) : 1;
        if (!put_row(ribbon, &row, value))
            return false;
    }
    for (size_t i = 0; i < rows->others_n; i++) {
        pki_filter_row(rows->others[i], rows->layer, ribbon->seed, ribbon->n, &row);
        if (!put_row(ribbon, &row, 0))
            return false;
    }
    return true;
}

/* From the last slot to the first, each slot's value becomes its bits; a slot without a row is 0.
 */
static void substitute_back(struct ca_ribbon *ribbon) {
    for (uint32_t at = ribbon->n; at-- > 0;) {
        struct ca_ribbon_slot *slot = &ribbon->slots[at];
        for (unsigned i = 0; i < PKI_FILTER_WORDS; i++) {
            uint64_t left =
                i == 0 ? slot->coefficients[0] & (UINT64_MAX >> 1) : slot->coefficients[i];
            for (; left; left &= left - 1)
                slot->value ^= slot[i * 64 + 63 - (unsigned)__builtin_ctzll(left)].value;
        }
    }
}

/* ---- sizes and seeds ---- */

static uint32_t whole_octets(const struct ca_ribbon_rows *rows, size_t slots) {
    if (rows->layer == 2)
        slots += (8 - (rows->before + slots) % 8) % 8;
    return (uint32_t)slots;
}

enum tm_err ca_ribbon_solve(struct ca_ribbon *ribbon, const struct ca_ribbon_rows *rows) {
    size_t n = rows->listed_n + rows->others_n;
    size_t slots = n + n / SPARE;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        if (seed > 0 && seed % SEEDS_PER_SIZE == 0)
            slots += 1 + n / (4 * SPARE);
        enum tm_err err = reserve(ribbon, whole_octets(rows, slots));
        if (err)
            return err;
        ribbon->seed = (uint8_t)seed;
        if (put_rows(ribbon, rows)) {
            substitute_back(ribbon);
            return TM_OK;
        }
    }
    return TM_ENOTFOUND;
}

void ca_ribbon_free(struct ca_ribbon *ribbon) {
    free(ribbon->slots);
    *ribbon = (struct ca_ribbon){0};
}
