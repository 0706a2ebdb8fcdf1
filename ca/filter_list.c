/* SPDX-License-Identifier: Apache-2.0 */
/* Lists in chunks and groups: see ca/filter_list.h. */
#include "ca/filter_list.h"

#include <stdlib.h>
#include <string.h>

#include "pki/filter.h"

#define CHUNK_SIZE ((size_t)1 << 20)
#define CHUNKS_FIRST 16

static enum tm_err add_chunk(struct ca_filter_list *list) {
    if (list->chunk_count == list->chunk_cap) {
        size_t cap = list->chunk_cap ? 2 * list->chunk_cap : CHUNKS_FIRST;
        uint8_t **chunks = reallocarray(list->chunks, cap, sizeof *chunks);
        if (!chunks)
            return TM_ENOMEM;
        list->chunks = chunks;
        list->chunk_cap = cap;
    }
    uint8_t *chunk = malloc(CHUNK_SIZE);
    if (!chunk)
        return TM_ENOMEM;
    list->chunks[list->chunk_count++] = chunk;
    return TM_OK;
}

static uint8_t *place(const struct ca_filter_list *list, size_t i) {
    size_t per_chunk = CHUNK_SIZE / list->item;
    return list->chunks[i / per_chunk] + i % per_chunk * list->item;
}

enum tm_err ca_filter_list_add(struct ca_filter_list *list, const void *item) {
    if (list->count == list->chunk_count * (CHUNK_SIZE / list->item)) {
        enum tm_err err = add_chunk(list);
        if (err)
            return err;
    }
    memcpy(place(list, list->count++), item, list->item);
    return TM_OK;
}

const void *ca_filter_list_at(const struct ca_filter_list *list, size_t i) {
    return place(list, i);
}

void ca_filter_list_free(struct ca_filter_list *list) {
    for (size_t i = 0; i < list->chunk_count; i++)
        free(list->chunks[i]);
    free(list->chunks);
    *list = (struct ca_filter_list){.item = list->item};
}

/* ---- groups ---- */

static uint64_t hash_at(const struct ca_filter_list *hashes, size_t i) {
    uint64_t hash;
    memcpy(&hash, ca_filter_list_at(hashes, i), sizeof hash);
    return hash;
}

/* ends[b] becomes where bucket b begins, and moves on with each hash that is put there. */
static void put_hashes(const struct ca_filter_list *list, uint32_t buckets,
                       const struct ca_filter_groups *groups) {
    size_t begin = 0;
    for (size_t i = 0; i < list->count; i++)
        groups->ends[pki_filter_bucket(hash_at(list, i), buckets)]++;
    for (uint32_t b = 0; b < buckets; b++) {
        size_t n = groups->ends[b];
        groups->ends[b] = begin;
        begin += n;
    }
    for (size_t i = 0; i < list->count; i++) {
        uint64_t hash = hash_at(list, i);
        groups->hashes[groups->ends[pki_filter_bucket(hash, buckets)]++] = hash;
    }
}

enum tm_err ca_filter_group(const struct ca_filter_list *hashes, uint32_t buckets,
                            struct ca_filter_groups *ret_groups) {
    struct ca_filter_groups groups = {
        .hashes = calloc(hashes->count ? hashes->count : 1, sizeof *groups.hashes),
        .ends = calloc(buckets, sizeof *groups.ends),
    };
    if (!groups.hashes || !groups.ends) {
        ca_filter_groups_free(&groups);
        return TM_ENOMEM;
    }
    put_hashes(hashes, buckets, &groups);
    *ret_groups = groups;
    return TM_OK;
}

void ca_filter_groups_free(struct ca_filter_groups *groups) {
    free(groups->hashes);
    free(groups->ends);
    *groups = (struct ca_filter_groups){0};
}

size_t ca_filter_groups_at(const struct ca_filter_groups *groups, uint32_t bucket,
                           const uint64_t **ret_hashes) {
    size_t begin = bucket ? groups->ends[bucket - 1] : 0;
    *ret_hashes = groups->hashes + begin;
    return groups->ends[bucket] - begin;
}
