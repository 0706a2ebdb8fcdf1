/* SPDX-License-Identifier: Apache-2.0 */
/* The tiles of the audit tree: written with their last leaf, read as nodes of every level, rebuilt
 * when an older store is opened, and held against the leaves by the check. */
#include "audit/tree.h"
#include "store/format.h"
#include "store/tile.h"
#include "tests/unit/store_raw.h"

#define LEAVES (65536 + 256 + 77) /* into the second tile of level 1 */
#define KINDS 240 /* of leaves, in turn: the same do not meet in two tiles' places */

static struct ca_leaf leaves[KINDS];

/* As many as fit into the queue at once. */
static void add_some(struct fixture *f, size_t from, size_t to) {
    static struct job jobs[STORE_GROUP_MAX];
    size_t count = 0;
    for (; from < to; count++) {
        jobs[count] = (struct job){0};
        struct ca_batch *batch = &jobs[count].batch;
        for (; batch->count < CA_BATCH_MAX && from < to; from++)
            batch->changes[batch->count++] = change_leaf(&leaves[from % KINDS]);
        job_submit(f, &jobs[count]);
    }
    fixture_run(f);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(jobs[i].result, TM_OK);
}

static void add_leaves(struct fixture *f, size_t from, size_t to) {
    const size_t most = STORE_GROUP_MAX * CA_BATCH_MAX;
    for (size_t i = 0; i < KINDS; i++) {
        leaves[i] = sample_leaf(CA_EVENT_REFUSED, NULL);
        leaves[i].request = i + 1;
    }
    for (; from < to; from += most)
        add_some(f, from, to - from < most ? to : from + most);
}

static enum tm_err node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    struct ca_store *store = arg;
    return store->ops->audit_node(store, level, index, ret->octets);
}

/* The tree over the leaves by its definition, and all that the store says of it. */
static void assert_tree(struct fixture *f, uint64_t size) {
    struct ca_store *store = f->store;
    const struct audit_nodes nodes = {node, store};
    struct audit_frontier frontier = {0}, got;
    struct audit_hash root, wanted, leaf;
    struct ca_audit_head head;
    for (uint64_t i = 0; i < size; i++) {
        uint8_t octets[4096];
        struct buf out = BUF_ON(octets);
        assert_int_equal(store->ops->leaf_octets(store, i, &out), TM_OK);
        assert_int_equal(audit_leaf_hash(buf_bytes(&out), &leaf), TM_OK);
        assert_int_equal(audit_frontier_add(&frontier, &leaf, NULL), TM_OK);
    }
    assert_int_equal(audit_frontier_root(&frontier, NULL, &wanted), TM_OK);
    assert_int_equal(store->ops->audit_head(store, &head), TM_OK);
    assert_int_equal(head.size, size);
    assert_memory_equal(head.root, wanted.octets, sizeof head.root);
    assert_int_equal(audit_root(&nodes, size, &root), TM_OK);
    assert_true(audit_hash_equal(&root, &wanted));
    assert_int_equal(audit_frontier_of(&nodes, size, &got), TM_OK);
    assert_memory_equal(got.nodes, frontier.nodes, frontier.count * sizeof frontier.nodes[0]);
}

static void assert_proofs(struct fixture *f, uint64_t size, uint64_t step) {
    struct ca_store *store = f->store;
    const struct audit_nodes nodes = {node, store};
    struct audit_hash root, leaf, old_root;
    struct audit_proof proof;
    assert_int_equal(audit_root(&nodes, size, &root), TM_OK);
    for (uint64_t i = 0; i < size; i += step) {
        assert_int_equal(store->ops->audit_node(store, 0, i, leaf.octets), TM_OK);
        assert_int_equal(audit_inclusion_make(&nodes, i, size, &proof), TM_OK);
        assert_int_equal(audit_inclusion_verify(i, size, &leaf, &proof, &root), TM_OK);
        assert_int_equal(audit_root(&nodes, i, &old_root), TM_OK);
        assert_int_equal(audit_consistency_make(&nodes, i, size, &proof), TM_OK);
        assert_int_equal(audit_consistency_verify(i, size, &old_root, &root, &proof), TM_OK);
    }
}

static void the_tree_is_read_at_every_size(void **state) {
    struct fixture *f = *state;
    const struct ca_store_ops *ops = f->store->ops;
    const uint64_t sizes[] = {1, 255, 256, 257, 511, 512, 600};
    uint8_t hash[CA_HASH_SIZE];
    assert_int_equal(ops->audit_node(f->store, 0, 0, hash), TM_ENOTFOUND);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        add_leaves(f, i ? sizes[i - 1] : 0, sizes[i]);
        assert_tree(f, sizes[i]);
        assert_proofs(f, sizes[i], 7);
        assert_sound(f);
        assert_int_equal(ops->audit_node(f->store, 0, sizes[i], hash), TM_ENOTFOUND);
        assert_int_equal(ops->audit_node(f->store, 63, 0, hash), TM_ENOTFOUND);
        assert_int_equal(ops->audit_node(f->store, 64, 0, hash), TM_ENOTFOUND);
    }
}

static void tiles_are_as_the_specification_cuts_them(void **state) {
    struct fixture *f = *state;
    const struct ca_store_ops *ops = f->store->ops;
    uint8_t octets[STORE_TILE_WIDTH * CA_HASH_SIZE], hash[CA_HASH_SIZE];
    struct buf out = BUF_ON(octets);
    add_leaves(f, 0, LEAVES);
    assert_tree(f, LEAVES);
    assert_proofs(f, LEAVES, 3001);
    assert_sound(f);
    const struct {
        uint64_t size;
        unsigned level;
        uint64_t index;
        size_t width;
    } rows[] = {{LEAVES, 0, 0, 256},  {LEAVES, 0, 256, 256}, {LEAVES, 0, 257, 77},
                {LEAVES, 1, 0, 256},  {LEAVES, 1, 1, 1},     {LEAVES, 2, 0, 1},
                {LEAVES, 0, 258, 0},  {LEAVES, 2, 1, 0},     {LEAVES, 3, 0, 0},
                {LEAVES, 9, 0, 0},    {65536, 1, 0, 256},    {65535, 1, 0, 255},
                {65535, 0, 255, 255}, {300, 0, 1, 44},       {300, 1, 0, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        out.n = 0;
        enum tm_err err =
            ops->audit_tile(f->store, rows[i].size, rows[i].level, rows[i].index, &out);
        assert_int_equal(err, rows[i].width ? TM_OK : TM_ENOTFOUND);
        assert_int_equal(out.n, rows[i].width * CA_HASH_SIZE);
        for (size_t h = 0; h < rows[i].width; h += 51) {
            uint64_t index = rows[i].index * 256 + h;
            assert_int_equal(ops->audit_node(f->store, 8 * rows[i].level, index, hash), TM_OK);
            assert_memory_equal(octets + h * CA_HASH_SIZE, hash, sizeof hash);
        }
    }
    assert_int_equal(ops->audit_tile(f->store, LEAVES + 1, 0, 0, &out), TM_ENOTFOUND);
}

/* What an older program would have left. */
static void age_store(struct fixture *f) {
    struct store_env env;
    struct ca_hasher *hasher;
    MDB_txn *txn;
    const struct store_format format = {3, "test", 1700000000000};
    close_store(f);
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_drop(txn, env.dbs[STORE_DB_TILE], 1), 0);
    assert_int_equal(store_format_put(&env, txn, hasher, &format), TM_OK);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_env_close(&env);
    ca_hasher_free(hasher);
}

static void an_older_store_gets_its_tiles(void **state) {
    struct fixture *f = *state;
    add_leaves(f, 0, 900);
    age_store(f);
    fixture_open(f);
    assert_tree(f, 900);
    assert_sound(f);
    add_leaves(f, 900, 1300);
    assert_tree(f, 1300);
    assert_sound(f);
}

/* ---- the check ---- */

static void change_tile(struct fixture *f, unsigned level, uint64_t index,
                        void (*change)(struct store_tiling *tiling, struct bytes key)) {
    struct store_env env;
    struct store_tiling tiling = {.env = &env};
    uint8_t octets[16];
    struct buf key = BUF_ON(octets);
    store_put_tile_key(&key, level, index);
    close_store(f);
    assert_int_equal(ca_hasher_new(&tiling.hasher), TM_OK);
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &tiling.txn), 0);
    change(&tiling, buf_bytes(&key));
    assert_int_equal(mdb_txn_commit(tiling.txn), 0);
    store_env_close(&env);
    ca_hasher_free(tiling.hasher);
    fixture_open(f);
}

static void drop_tile(struct store_tiling *t, struct bytes key) {
    MDB_val k = {key.n, (void *)(uintptr_t)key.p};
    assert_int_equal(mdb_del(t->txn, t->env->dbs[STORE_DB_TILE], &k, NULL), 0);
}

static void put_tile(struct store_tiling *t, struct bytes key, struct store_tile tile) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf value = BUF_ON(octets);
    assert_int_equal(store_seal(t->hasher, key, &store_tile_schema, &tile, &value), TM_OK);
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, value.p};
    assert_int_equal(mdb_put(t->txn, t->env->dbs[STORE_DB_TILE], &k, &v, 0), 0);
}

/* With a record hash of its own: only the leaves show it. */
static void forge_tile(struct store_tiling *t, struct bytes key) {
    uint8_t octets[STORE_TILE_WIDTH * CA_HASH_SIZE];
    struct bytes value;
    struct store_tile tile;
    assert_int_equal(store_get(t->env, t->txn, STORE_DB_TILE, key, &value), TM_OK);
    assert_int_equal(store_unseal(t->hasher, key, value, &store_tile_schema, &tile), TM_OK);
    memcpy(octets, tile.hashes.p, tile.hashes.n);
    octets[tile.hashes.n - 1] ^= 1;
    put_tile(t, key, (struct store_tile){{octets, tile.hashes.n}});
}

static void flip_tile(struct store_tiling *t, struct bytes key) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf copy = BUF_ON(octets);
    struct bytes value;
    assert_int_equal(store_get(t->env, t->txn, STORE_DB_TILE, key, &value), TM_OK);
    buf_put(&copy, value);
    octets[copy.n - 1] ^= 1;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {copy.n, copy.p};
    assert_int_equal(mdb_put(t->txn, t->env->dbs[STORE_DB_TILE], &k, &v, 0), 0);
}

static void surplus_tile(struct store_tiling *t, struct bytes key) {
    put_tile(t, key, (struct store_tile){BYTES_OF("01234567890123456789012345678901")});
}

static void the_check_finds_what_is_wrong_with_tiles(void **state) {
    struct fixture *f = *state;
    const struct {
        unsigned level;
        uint64_t index;
        void (*change)(struct store_tiling *tiling, struct bytes key);
        const char *says;
    } rows[] = {{0, 1, flip_tile, "tile 0/1 of the audit tree is missing, or fails its hash"},
                {0, 0, forge_tile, "tile 0/0 of the audit tree is not that of its leaves"},
                {1, 0, forge_tile, "tile 1/0 of the audit tree is not that of its leaves"},
                {1, 0, drop_tile, "tile 1/0 of the audit tree is missing, or fails its hash"},
                {0, 7, surplus_tile, "the audit tree has 4 tiles, and its leaves come to 3"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct findings found = {0};
        if (i) {
            assert_int_equal(fixture_teardown(state), 0);
            assert_int_equal(fixture_setup(state), 0);
            f = *state;
        }
        add_leaves(f, 0, 600);
        change_tile(f, rows[i].level, rows[i].index, rows[i].change);
        assert_int_equal(f->store->ops->check(f->store, findings_add, &found), TM_ECORRUPT);
        assert_string_equal(found.text[0], rows[i].says);
    }
}

/* ---- who rewrites all of it ---- */

static void put_frontier(struct store_env *env, MDB_txn *txn, struct ca_hasher *hasher,
                         const struct audit_frontier *frontier) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf value = BUF_ON(octets);
    struct bytes key = bytes_str(STORE_KEY_FRONTIER);
    assert_int_equal(store_seal(hasher, key, &store_frontier_schema, frontier, &value), TM_OK);
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, value.p};
    assert_int_equal(mdb_put(txn, env->dbs[STORE_DB_META], &k, &v, 0), 0);
}

/* Leaf 5 tells something else, and everything that follows from it is recomputed. */
static void rewrite(struct fixture *f, uint64_t size) {
    struct store_env env;
    struct store_tiling t = {.env = &env};
    struct audit_frontier frontier = {0};
    close_store(f);
    assert_int_equal(ca_hasher_new(&t.hasher), TM_OK);
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &t.txn), 0);
    for (uint64_t i = 0; i < size; i++) {
        uint8_t key_octets[8], octets[STORE_RECORD_MAX];
        struct buf key = BUF_ON(key_octets), value = BUF_ON(octets);
        struct ca_leaf leaf = leaves[i % KINDS];
        if (i == 5)
            (void)strcpy(leaf.actor, "somebody else");
        store_put_leaf_key(&key, i);
        assert_int_equal(
            store_seal(t.hasher, buf_bytes(&key), store_leaf_schema_of(&leaf), &leaf, &value),
            TM_OK);
        MDB_val k = {key.n, key.p}, v = {value.n, value.p};
        assert_int_equal(mdb_put(t.txn, env.dbs[STORE_DB_LEAF], &k, &v, 0), 0);
        assert_int_equal(
            store_merkle_append(t.hasher, &frontier, store_sealed_record(buf_bytes(&value))),
            TM_OK);
        assert_int_equal(store_tile_grow(&t, frontier.size), TM_OK);
    }
    put_frontier(&env, t.txn, t.hasher, &frontier);
    assert_int_equal(mdb_txn_commit(t.txn), 0);
    store_env_close(&env);
    ca_hasher_free(t.hasher);
    fixture_open(f);
}

/* The check finds damage. Who can write all of the store is found by what it has shown before. */
static void a_rewritten_log_is_sound_and_has_another_root(void **state) {
    struct fixture *f = *state;
    struct ca_audit_head before, after;
    struct audit_hash root;
    add_leaves(f, 0, 600);
    assert_int_equal(f->store->ops->audit_head(f->store, &before), TM_OK);
    rewrite(f, 600);
    assert_sound(f);
    assert_int_equal(f->store->ops->audit_head(f->store, &after), TM_OK);
    assert_int_equal(after.size, before.size);
    assert_memory_not_equal(after.root, before.root, sizeof after.root);
    /* However much is added since: the root at the old size stays another. */
    add_leaves(f, 600, 700);
    const struct audit_nodes nodes = {node, f->store};
    assert_int_equal(audit_root(&nodes, 600, &root), TM_OK);
    assert_memory_not_equal(root.octets, before.root, sizeof before.root);
}

/* ---- two histories ---- */

static struct audit_hash root_at(struct fixture *f, uint64_t size) {
    const struct audit_nodes nodes = {node, f->store};
    struct audit_hash root;
    assert_int_equal(audit_root(&nodes, size, &root), TM_OK);
    return root;
}

/* From one copy on, each store goes its own way and is sound. What one has shown is no beginning of
 * the other: no proof of that verifies. */
static void no_proof_leads_from_one_branch_into_the_other(void **state) {
    enum { COMMON = 300, FIRST = 310, SECOND = 333 };
    struct fixture *f = *state, other;
    struct audit_proof proof;
    fixture_start(&other);
    add_leaves(f, 0, COMMON);
    add_leaves(&other, 0, COMMON);
    struct audit_hash one = root_at(f, COMMON), two = root_at(&other, COMMON);
    assert_true(audit_hash_equal(&one, &two));
    add_leaves(f, COMMON, FIRST);
    const struct ca_leaf mine = {.event = CA_EVENT_ALARM, .time_ms = 1, .reason = "mine"};
    assert_int_equal(COMMIT(&other, NULL, {.kind = CA_ADD_LEAF, .u.leaf = &mine}), TM_OK);
    add_leaves(&other, COMMON + 1, SECOND);
    assert_sound(f);
    assert_sound(&other);
    one = root_at(f, FIRST);
    two = root_at(&other, SECOND);
    const struct audit_nodes nodes = {node, other.store};
    assert_int_equal(audit_consistency_make(&nodes, FIRST, SECOND, &proof), TM_OK);
    assert_int_equal(audit_consistency_verify(FIRST, SECOND, &one, &two, &proof), TM_EDENIED);
    one = root_at(&other, FIRST); /* its own beginning */
    assert_int_equal(audit_consistency_verify(FIRST, SECOND, &one, &two, &proof), TM_OK);
    one = root_at(f, COMMON); /* as far as they are one */
    assert_int_equal(audit_consistency_make(&nodes, COMMON, SECOND, &proof), TM_OK);
    assert_int_equal(audit_consistency_verify(COMMON, SECOND, &one, &two, &proof), TM_OK);
    fixture_end(&other);
}

/* ---- tenants ---- */

static void tenants_are_walked(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"a", "a-b", "ab", "b"};
    char tenant[IPC_NAME_MAX + 1] = "";
    assert_int_equal(f->store->ops->next_tenant(f->store, tenant), TM_ENOTFOUND);
    for (uint64_t i = 0; i < 8; i++) {
        struct ca_device device = sample_device(i + 1);
        (void)strcpy(device.tenant, names[i % 4]);
        assert_int_equal(COMMIT(f, NULL, change_device(&device)), TM_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(f->store->ops->next_tenant(f->store, tenant), TM_OK);
        assert_string_equal(tenant, names[i]);
    }
    assert_int_equal(f->store->ops->next_tenant(f->store, tenant), TM_ENOTFOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_tree_is_read_at_every_size),
        TEST(tiles_are_as_the_specification_cuts_them),
        TEST(an_older_store_gets_its_tiles),
        TEST(the_check_finds_what_is_wrong_with_tiles),
        TEST(a_rewritten_log_is_sound_and_has_another_root),
        TEST(no_proof_leads_from_one_branch_into_the_other),
        TEST(tenants_are_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
