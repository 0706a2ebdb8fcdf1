/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves against tiles, root and earlier checkpoints: see auditor.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"

#define WIDTH 256
#define LEVELS 8
#define BUNDLE_MAX ((size_t)WIDTH * (2 + UINT16_MAX))

struct walk {
    struct auditor *a;
    struct audit_frontier frontier;
    uint64_t counts[LEVELS]; /* hashes of each level so far */
    struct audit_hash hashes[LEVELS][WIDTH];
    uint8_t *exported; /* a tile's file */
};

static void fold(struct audit_hash *hashes, size_t count) {
    for (; count > 1; count /= 2)
        for (size_t i = 0; i < count / 2; i++)
            if (audit_node_hash(&hashes[2 * i], &hashes[2 * i + 1], &hashes[i]))
                abort(); /* SHA-256 does not fail */
}

/* ---- tiles ---- */

static size_t width_of(const struct walk *w, unsigned level, uint64_t index) {
    uint64_t hashes = w->a->size >> (8 * level), left = hashes - index * WIDTH;
    return left < WIDTH ? (size_t)left : WIDTH;
}

static bool read_tile(const struct walk *w, unsigned level, uint64_t index, struct bytes *ret) {
    char path[AUDITOR_PATH_MAX];
    size_t width = width_of(w, level, index);
    auditor_tile_path(w->a->dir, (int)level, index, width, path);
    if (!auditor_read(path, WIDTH * AUDIT_HASH_SIZE, NULL, ret))
        return false;
    if (ret->n == width * AUDIT_HASH_SIZE)
        return true;
    free((void *)(uintptr_t)ret->p);
    return false;
}

static void check_tile(struct walk *w, unsigned level, uint64_t index) {
    struct bytes exported;
    if (!read_tile(w, level, index, &exported)) {
        auditor_find(&w->a->report, AUDITOR_LOG, "tile %u/%" PRIu64 " is missing, or not whole",
                     level, index);
        return;
    }
    if (memcmp(exported.p, w->hashes[level], exported.n) != 0)
        auditor_find(&w->a->report, AUDITOR_LOG, "tile %u/%" PRIu64 " is not that of the leaves",
                     level, index);
    free((void *)(uintptr_t)exported.p);
}

static void add_to_tiles(struct walk *w, const struct audit_hash *leaf) {
    struct audit_hash node = *leaf;
    for (unsigned level = 0; level < LEVELS; level++) {
        size_t at = (size_t)(w->counts[level]++ % WIDTH);
        w->hashes[level][at] = node;
        if (at + 1 < WIDTH)
            return;
        check_tile(w, level, w->counts[level] / WIDTH - 1);
        fold(w->hashes[level], WIDTH);
        node = w->hashes[level][0];
    }
}

static void check_last_tiles(struct walk *w) {
    for (unsigned level = 0; level < LEVELS; level++)
        if (w->counts[level] % WIDTH)
            check_tile(w, level, w->counts[level] / WIDTH);
}

/* ---- what stands before the first leaf of the export ---- */

static enum tm_err edge_node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    const struct walk *w = arg;
    struct audit_hash hashes[WIDTH];
    size_t first = (size_t)((index << level % 8) % WIDTH), count = (size_t)1 << level % 8;
    memcpy(hashes, &w->hashes[level / 8][first], count * sizeof hashes[0]);
    fold(hashes, count);
    *ret = hashes[0];
    return TM_OK;
}

/* Its hashes are taken from the export; that they are right, the checkpoint's root shows. */
static bool begin(struct walk *w) {
    const struct audit_nodes nodes = {edge_node, w};
    for (unsigned level = 0; level < LEVELS; level++) {
        struct bytes tile;
        uint64_t before = w->a->from >> (8 * level);
        w->counts[level] = before;
        if (before % WIDTH == 0)
            continue;
        if (!read_tile(w, level, before / WIDTH, &tile)) {
            auditor_find(&w->a->report, AUDITOR_LOG, "tile %u/%" PRIu64 " is missing, or not whole",
                         level, before / WIDTH);
            return false;
        }
        memcpy(w->hashes[level], tile.p, (size_t)(before % WIDTH) * AUDIT_HASH_SIZE);
        free((void *)(uintptr_t)tile.p);
    }
    return audit_frontier_of(&nodes, w->a->from, &w->frontier) == TM_OK;
}

/* ---- leaves ---- */

static void meet_evidence(struct walk *w) {
    struct auditor *a = w->a;
    struct audit_hash root;
    for (size_t i = 0; i < a->evidence_count; i++) {
        struct auditor_evidence *e = &a->evidence[i];
        if (e->size != w->frontier.size || e->met)
            continue;
        e->met = true;
        if (audit_frontier_root(&w->frontier, NULL, &root) || !audit_hash_equal(&root, &e->root))
            auditor_find(&a->report, AUDITOR_HISTORY,
                         "the first %" PRIu64 " leaves are not those that %s shows", e->size,
                         e->file);
    }
}

static void take_leaf(struct walk *w, struct bytes leaf) {
    struct audit_hash hash;
    if (audit_leaf_hash(leaf, &hash) || audit_frontier_add(&w->frontier, &hash, NULL))
        abort(); /* neither SHA-256 nor the size, which was checked, fail */
    add_to_tiles(w, &hash);
    auditor_replay(w->a, w->frontier.size - 1, leaf);
    meet_evidence(w);
}

/* As many leaves as there are in it. */
static void take_bundle(struct walk *w, struct bytes bundle, size_t wanted) {
    struct reader r = {bundle, 0, false};
    size_t count = 0;
    for (; count < wanted && reader_left(&r); count++) {
        struct bytes leaf = reader_take(&r, (size_t)reader_be(&r, 2));
        if (r.bad)
            break;
        take_leaf(w, leaf);
    }
    if (count < wanted || r.bad || reader_left(&r))
        auditor_find(&w->a->report, AUDITOR_LOG,
                     "the bundle of leaf %" PRIu64 " does not hold %zu leaves",
                     w->frontier.size - (w->frontier.size > 0), wanted);
}

static bool walk_leaves(struct walk *w) {
    while (w->frontier.size < w->a->size) {
        char path[AUDITOR_PATH_MAX];
        struct bytes bundle;
        uint64_t first = w->frontier.size;
        size_t width = width_of(w, 0, first / WIDTH);
        auditor_tile_path(w->a->dir, -1, first / WIDTH, width, path);
        if (!auditor_read(path, BUNDLE_MAX, NULL, &bundle)) {
            auditor_find(&w->a->report, AUDITOR_LOG, "the leaves from %" PRIu64 " on are missing",
                         first);
            return false;
        }
        take_bundle(w, bundle, width);
        free((void *)(uintptr_t)bundle.p);
        if (w->frontier.size != first + width)
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static void name_unmet(struct auditor *a) {
    for (size_t i = 0; i < a->evidence_count; i++) {
        const struct auditor_evidence *e = &a->evidence[i];
        if (e->size > a->size)
            auditor_find(&a->report, AUDITOR_HISTORY,
                         "%s shows a log of %" PRIu64 " leaves; the export has %" PRIu64, e->file,
                         e->size, a->size);
        else if (!e->met)
            auditor_find(&a->report, AUDITOR_HISTORY,
                         "%s is of %" PRIu64 " leaves, which the export has not all: nothing "
                         "follows from it",
                         e->file, e->size);
    }
}

static void check_root(struct walk *w) {
    struct audit_hash root;
    if (audit_frontier_root(&w->frontier, NULL, &root) || !audit_hash_equal(&root, &w->a->root))
        auditor_find(&w->a->report, AUDITOR_LOG,
                     "the leaves do not come to the root of the checkpoint");
}

void auditor_verify_log(struct auditor *a) {
    struct walk *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->a = a;
    bool whole = begin(w);
    if (whole) {
        meet_evidence(w);
        whole = walk_leaves(w);
    }
    if (whole) {
        check_last_tiles(w);
        check_root(w);
    }
    name_unmet(a);
    free(w);
}
