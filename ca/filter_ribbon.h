/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer of one bucket of a filter, solved: bits for its slots, so that the sum over each
 * serial's row is the value that it is to have (Gaussian elimination; rows reach over
 * PKI_FILTER_WIDTH slots, so it takes time in proportion to the number of rows). Not thread-safe;
 * only for ca/filter*.c.
 */
#ifndef TOUCHMARK_CA_FILTER_RIBBON_H
#define TOUCHMARK_CA_FILTER_RIBBON_H

#include "pki/filter.h"

/* The rows: of `listed`, then of `others`, which only layer 2 has. */
struct ca_ribbon_rows {
    unsigned layer;                  /* 1: values are fingerprints; 2: listed 1, others 0 */
    unsigned columns;                /* bits of a value, 1 to PKI_FILTER_COLUMNS_MAX */
    const uint64_t *listed, *others; /* hashes */
    size_t listed_n, others_n;
    unsigned before; /* layer 2: bits in the last octet before it. What is left of its own last
                        octet becomes slots */
};

struct ca_ribbon_slot {
    uint64_t coefficients[PKI_FILTER_WORDS]; /* the first is this slot's and 1, or all are 0 */
    uint32_t value;
};

/* {0}: an empty one, which may solve many. Once solved, slots[0..n) hold the bits as `value`, of
 * which the least significant one is the last column. */
struct ca_ribbon {
    struct ca_ribbon_slot *slots;
    size_t cap;
    uint32_t n;
    uint8_t seed;
};
/* TM_ENOTFOUND: no seed of this layer solves it with few more slots than rows, or two rows are the
 * same and have other values: another hash is needed. TM_ENOMEM. */
MUST_USE enum tm_err ca_ribbon_solve(struct ca_ribbon *ribbon, const struct ca_ribbon_rows *rows);
void ca_ribbon_free(struct ca_ribbon *ribbon);

#endif
