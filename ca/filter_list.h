/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Millions of small items for who makes filters: kept in chunks, so that a list grows without being
 * copied, and grouped by bucket. Not thread-safe; only for ca/filter*.c.
 */
#ifndef TOUCHMARK_CA_FILTER_LIST_H
#define TOUCHMARK_CA_FILTER_LIST_H

#include "base/bytes.h"

/* {.item = octets of an item} is an empty list. */
struct ca_filter_list {
    size_t item;
    size_t count;
    uint8_t **chunks;
    size_t chunk_count, chunk_cap;
};
MUST_USE enum tm_err ca_filter_list_add(struct ca_filter_list *list, const void *item);
const void *ca_filter_list_at(const struct ca_filter_list *list, size_t i);
void ca_filter_list_free(struct ca_filter_list *list);

/* Hashes by bucket: those of bucket b are hashes[ends[b - 1]] up to hashes[ends[b]]. */
struct ca_filter_groups {
    uint64_t *hashes;
    size_t *ends;
};
/* `hashes`: items of 8 octets. TM_ENOMEM. */
MUST_USE enum tm_err ca_filter_group(const struct ca_filter_list *hashes, uint32_t buckets,
                                     struct ca_filter_groups *ret_groups);
void ca_filter_groups_free(struct ca_filter_groups *groups);
/* How many the bucket has; *ret_hashes is the first of them. */
size_t ca_filter_groups_at(const struct ca_filter_groups *groups, uint32_t bucket,
                           const uint64_t **ret_hashes);

#endif
