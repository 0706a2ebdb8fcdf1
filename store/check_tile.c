/* SPDX-License-Identifier: Apache-2.0 */
/* The tiles of the audit tree, held against those that the leaves come to: see store/checker.h. */
#include <inttypes.h>
#include <string.h>

#include "store/checker.h"

static struct store_tiling tiling(const struct store_checker *c) {
    return (struct store_tiling){c->reader->env, c->reader->txn, c->reader->hasher};
}

static void check_tile(struct store_checker *c, unsigned level, size_t count) {
    const struct store_tiling t = tiling(c);
    struct audit_hash kept[STORE_TILE_WIDTH];
    uint64_t index = c->tiles.counts[level] / STORE_TILE_WIDTH - (count == STORE_TILE_WIDTH);
    size_t width = 0;
    c->tiles.wanted++;
    if (store_tile_read(&t, c->next_leaf, level, index, kept, &width) || width != count)
        store_fault(c, "tile %u/%" PRIu64 " of the audit tree is missing, or fails its hash", level,
                    index);
    else if (memcmp(kept, c->tiles.hashes[level], count * sizeof kept[0]) != 0)
        store_fault(c, "tile %u/%" PRIu64 " of the audit tree is not that of its leaves", level,
                    index);
}

void store_check_tile_leaf(struct store_checker *c, const struct audit_hash *leaf) {
    struct store_tiles *tiles = &c->tiles;
    struct audit_hash node = *leaf;
    bool full = true;
    for (unsigned level = 0; full && !tiles->lost && level < STORE_TILE_LEVELS; level++) {
        size_t at = (size_t)(tiles->counts[level]++ % STORE_TILE_WIDTH);
        tiles->hashes[level][at] = node;
        full = at + 1 == STORE_TILE_WIDTH;
        if (!full)
            break;
        check_tile(c, level, STORE_TILE_WIDTH);
        if (store_tile_fold(c->reader->hasher, tiles->hashes[level], STORE_TILE_WIDTH))
            tiles->lost = true;
        node = tiles->hashes[level][0];
    }
}

void store_check_tiles(struct store_checker *c) {
    MDB_stat stat;
    for (unsigned level = 1; !c->tiles.lost && level < STORE_TILE_LEVELS; level++) {
        size_t count = (size_t)(c->tiles.counts[level] % STORE_TILE_WIDTH);
        if (count)
            check_tile(c, level, count);
    }
    if (mdb_stat(c->reader->txn, c->reader->env->dbs[STORE_DB_TILE], &stat))
        store_fault(c, "the tiles of the audit tree cannot be counted");
    else if (!c->tiles.lost && stat.ms_entries != c->tiles.wanted)
        store_fault(c, "the audit tree has %zu tiles, and its leaves come to %" PRIu64,
                    stat.ms_entries, c->tiles.wanted);
}
