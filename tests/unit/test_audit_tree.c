/* SPDX-License-Identifier: Apache-2.0 */
/* Roots and proofs of every tree up to a size against RFC 6962's own definitions, and known trees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <openssl/sha.h>
#include <string.h>

#include "audit/tree.h"

#define LEAVES 130

static struct audit_hash leaf_hashes[LEAVES];

/* RFC 6962, 2.1: "MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))". */
static struct audit_hash definition(size_t from, size_t to) {
    uint8_t data[1 + 2 * AUDIT_HASH_SIZE] = {0x01};
    struct audit_hash hash;
    if (to - from == 1)
        return leaf_hashes[from];
    size_t k = 1;
    while (2 * k < to - from)
        k *= 2;
    hash = definition(from, from + k);
    memcpy(data + 1, hash.octets, AUDIT_HASH_SIZE);
    hash = definition(from + k, to);
    memcpy(data + 1 + AUDIT_HASH_SIZE, hash.octets, AUDIT_HASH_SIZE);
    (void)SHA256(data, sizeof data, hash.octets);
    return hash;
}

static struct audit_hash root_of(size_t size) {
    struct audit_hash empty;
    (void)SHA256((const uint8_t *)"", 0, empty.octets);
    return size ? definition(0, size) : empty;
}

/* 2.1.1: "PATH(m, D[n]) = PATH(m, D[0:k]) : MTH(D[k:n]) for m < k; and PATH(m - k, D[k:n]) :
 * MTH(D[0:k]) for m >= k". */
static void path(size_t m, size_t from, size_t to, struct audit_proof *proof) {
    if (to - from == 1)
        return;
    size_t k = 1;
    while (2 * k < to - from)
        k *= 2;
    path(m < k ? m : m - k, m < k ? from : from + k, m < k ? from + k : to, proof);
    proof->hashes[proof->count++] = m < k ? definition(from + k, to) : definition(from, from + k);
}

/* 2.1.2: SUBPROOF(m, D[n], b). */
static void subproof(size_t m, size_t from, size_t to, bool b, struct audit_proof *proof) {
    if (m == to - from) {
        if (!b)
            proof->hashes[proof->count++] = definition(from, to);
        return;
    }
    size_t k = 1;
    while (2 * k < to - from)
        k *= 2;
    if (m <= k)
        subproof(m, from, from + k, b, proof);
    else
        subproof(m - k, from + k, to, false, proof);
    proof->hashes[proof->count++] = m <= k ? definition(from + k, to) : definition(from, from + k);
}

static enum tm_err node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    size_t size = *(size_t *)arg, from = (size_t)index << level, to = (size_t)(index + 1) << level;
    assert_true(to <= size); /* only complete subtrees may be asked for */
    *ret = definition(from, to);
    return TM_OK;
}

static int setup(void **state) {
    (void)state;
    for (size_t i = 0; i < LEAVES; i++) {
        uint8_t octets[] = {(uint8_t)i, (uint8_t)(i >> 3)};
        assert_int_equal(audit_leaf_hash(BYTES_OF(octets), &leaf_hashes[i]), TM_OK);
    }
    return 0;
}

static void assert_proof(const struct audit_proof *got, const struct audit_proof *wanted) {
    assert_int_equal(got->count, wanted->count);
    assert_memory_equal(got->hashes, wanted->hashes, wanted->count * sizeof wanted->hashes[0]);
}

static void roots_are_as_defined(void **state) {
    struct audit_frontier frontier = {0}, built;
    struct audit_hash got, wanted;
    (void)state;
    for (size_t size = 0; size <= LEAVES; size++) {
        const struct audit_nodes nodes = {node, &size};
        wanted = root_of(size);
        assert_int_equal(audit_root(&nodes, size, &got), TM_OK);
        assert_true(audit_hash_equal(&got, &wanted));
        assert_int_equal(audit_frontier_root(&frontier, NULL, &got), TM_OK);
        assert_true(audit_hash_equal(&got, &wanted));
        assert_int_equal(audit_frontier_of(&nodes, size, &built), TM_OK);
        assert_int_equal(built.count, frontier.count);
        assert_memory_equal(built.nodes, frontier.nodes, built.count * sizeof built.nodes[0]);
        if (size < LEAVES)
            assert_int_equal(audit_frontier_add(&frontier, &leaf_hashes[size], NULL), TM_OK);
    }
}

/* One hash changed, missing or too many, or another place: none of it proves anything. */
static void refuse_others(size_t index, size_t size, struct audit_proof *proof,
                          const struct audit_hash *root) {
    const struct audit_hash *leaf = &leaf_hashes[index];
    for (size_t i = 0; i < proof->count; i++) {
        proof->hashes[i].octets[i % 32] ^= 1;
        assert_int_equal(audit_inclusion_verify(index, size, leaf, proof, root), TM_EDENIED);
        proof->hashes[i].octets[i % 32] ^= 1;
    }
    for (size_t other = 0; other <= size; other += 1 + size / 7)
        if (other != index)
            assert_int_equal(audit_inclusion_verify(other, size, leaf, proof, root), TM_EDENIED);
    proof->count++;
    assert_int_equal(audit_inclusion_verify(index, size, leaf, proof, root), TM_EDENIED);
    proof->count--;
    if (proof->count--)
        assert_int_equal(audit_inclusion_verify(index, size, leaf, proof, root), TM_EDENIED);
}

static void every_leaf_of_every_tree_is_proven(void **state) {
    (void)state;
    for (size_t size = 1; size <= LEAVES; size += size < 70 ? 1 : 7) {
        const struct audit_nodes nodes = {node, &size};
        struct audit_hash root = root_of(size);
        for (size_t i = 0; i < size; i++) {
            struct audit_proof got, wanted = {0};
            path(i, 0, size, &wanted);
            assert_int_equal(audit_inclusion_make(&nodes, i, size, &got), TM_OK);
            assert_proof(&got, &wanted);
            assert_int_equal(audit_inclusion_verify(i, size, &leaf_hashes[i], &got, &root), TM_OK);
            refuse_others(i, size, &got, &root);
        }
        struct audit_proof untouched;
        assert_int_equal(audit_inclusion_make(&nodes, size, size, &untouched), TM_EINVAL);
    }
}

static void refuse_other_growth(size_t old, size_t size, struct audit_proof *proof) {
    struct audit_hash old_root = root_of(old), root = root_of(size), other = old_root;
    other.octets[5] ^= 1;
    assert_int_equal(audit_consistency_verify(old, size, &other, &root, proof), TM_EDENIED);
    other = root;
    other.octets[31] ^= 0x80;
    if (old) /* any tree begins with none */
        assert_int_equal(audit_consistency_verify(old, size, &old_root, &other, proof), TM_EDENIED);
    for (size_t i = 0; i < proof->count; i++) {
        proof->hashes[i].octets[i % 32] ^= 1;
        assert_int_equal(audit_consistency_verify(old, size, &old_root, &root, proof), TM_EDENIED);
        proof->hashes[i].octets[i % 32] ^= 1;
    }
    proof->count++;
    assert_int_equal(audit_consistency_verify(old, size, &old_root, &root, proof), TM_EDENIED);
    proof->count--;
    if (proof->count--)
        assert_int_equal(audit_consistency_verify(old, size, &old_root, &root, proof), TM_EDENIED);
}

static void every_growth_is_proven(void **state) {
    (void)state;
    for (size_t size = 0; size <= LEAVES; size += size < 40 || size > 125 ? 1 : 9) {
        const struct audit_nodes nodes = {node, &size};
        for (size_t old = 0; old <= size; old++) {
            struct audit_hash old_root = root_of(old), root = root_of(size);
            struct audit_proof got, wanted = {0};
            if (old)
                subproof(old, 0, size, true, &wanted);
            assert_int_equal(audit_consistency_make(&nodes, old, size, &got), TM_OK);
            assert_proof(&got, &wanted);
            assert_int_equal(audit_consistency_verify(old, size, &old_root, &root, &got), TM_OK);
            refuse_other_growth(old, size, &got);
        }
        struct audit_proof untouched;
        assert_int_equal(audit_consistency_make(&nodes, size + 1, size, &untouched), TM_EINVAL);
        assert_int_equal(
            audit_consistency_verify(size + 1, size, &leaf_hashes[0], &leaf_hashes[0], &untouched),
            TM_EDENIED);
    }
}

/* The roots of the eight leaves that the tests of Certificate Transparency's first implementation
 * use. */
static void known_trees(void **state) {
    static const struct {
        const char *leaf, *root;
    } rows[] = {
        {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
        {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
        {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
        {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
        {"606162636465666768696a6b6c6d6e6f",
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
    };
    struct audit_frontier frontier = {0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t octets[16];
        size_t n = 0;
        struct audit_hash leaf, root;
        char text[65];
        assert_int_equal(hex_decode(rows[i].leaf, octets, sizeof octets, &n), TM_OK);
        assert_int_equal(audit_leaf_hash((struct bytes){octets, n}, &leaf), TM_OK);
        assert_int_equal(audit_frontier_add(&frontier, &leaf, NULL), TM_OK);
        assert_int_equal(audit_frontier_root(&frontier, NULL, &root), TM_OK);
        assert_int_equal(hex_encode(BYTES_OF(root.octets), text, sizeof text), TM_OK);
        assert_string_equal(text, rows[i].root);
    }
}

static enum tm_err any_node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    (void)arg;
    memset(ret, 0, sizeof *ret);
    ret->octets[0] = (uint8_t)level;
    memcpy(ret->octets + 1, &index, sizeof index);
    return TM_OK;
}

static enum tm_err no_node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    (void)arg, (void)level, (void)index, (void)ret;
    return TM_ECORRUPT;
}

static void the_largest_tree_has_proofs_too(void **state) {
    const struct audit_nodes nodes = {any_node, NULL}, broken = {no_node, NULL};
    const uint64_t sizes[] = {AUDIT_SIZE_MAX, AUDIT_SIZE_MAX - 1, (AUDIT_SIZE_MAX >> 1) + 1};
    struct audit_proof proof;
    struct audit_hash root, leaf, old_root;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint64_t size = sizes[i];
        assert_int_equal(any_node(NULL, 0, size - 2, &leaf), TM_OK);
        assert_int_equal(audit_root(&nodes, size, &root), TM_OK);
        assert_int_equal(audit_inclusion_make(&nodes, size - 2, size, &proof), TM_OK);
        assert_true(proof.count <= AUDIT_PROOF_MAX);
        assert_int_equal(audit_root(&nodes, size - 1, &old_root), TM_OK);
        assert_int_equal(audit_consistency_make(&nodes, size - 1, size, &proof), TM_OK);
    }
    assert_int_equal(audit_root(&nodes, AUDIT_SIZE_MAX + 1, &root), TM_ELIMIT);
    assert_int_equal(audit_inclusion_make(&nodes, 0, AUDIT_SIZE_MAX + 1, &proof), TM_ELIMIT);
    assert_int_equal(audit_consistency_make(&nodes, 0, UINT64_MAX, &proof), TM_ELIMIT);
    assert_int_equal(audit_root(&broken, 3, &root), TM_ECORRUPT);
    assert_int_equal(audit_consistency_make(&broken, 3, 7, &proof), TM_ECORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_as_defined),
        cmocka_unit_test(every_leaf_of_every_tree_is_proven),
        cmocka_unit_test(every_growth_is_proven),
        cmocka_unit_test(known_trees),
        cmocka_unit_test(the_largest_tree_has_proofs_too),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
