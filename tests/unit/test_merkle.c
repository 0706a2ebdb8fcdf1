/* SPDX-License-Identifier: Apache-2.0 */
/* The audit tree against the definition of RFC 6962, 2.1, and known trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <openssl/sha.h>
#include <string.h>

#include "store/merkle.h"

#define LEAF_MAX 300 /* leaves of the largest tree tried */

static int setup(void **state) {
    struct ca_hasher *hasher;
    assert_int_equal(ca_hasher_new(&hasher), TM_OK);
    *state = hasher;
    return 0;
}

static int teardown(void **state) {
    ca_hasher_free(*state);
    return 0;
}

/* RFC 6962, 2.1, as it stands there: "The hash of an n-element list D[n], k the largest power of
 * two smaller than n: SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))". */
static void definition(const struct bytes *leaves, size_t n, uint8_t ret[CA_HASH_SIZE]) {
    uint8_t data[1 + 2 * CA_HASH_SIZE] = {0x01};
    if (n == 0) {
        (void)SHA256(data, 0, ret);
        return;
    }
    if (n == 1) {
        uint8_t leaf[1 + 64] = {0x00};
        if (leaves[0].n)
            memcpy(leaf + 1, leaves[0].p, leaves[0].n);
        (void)SHA256(leaf, 1 + leaves[0].n, ret);
        return;
    }
    size_t k = 1;
    while (2 * k < n)
        k *= 2;
    definition(leaves, k, data + 1);
    definition(leaves + k, n - k, data + 1 + CA_HASH_SIZE);
    (void)SHA256(data, sizeof data, ret);
}

static void every_size_is_as_the_rfc_defines(void **state) {
    static uint8_t octets[LEAF_MAX][8];
    static struct bytes leaves[LEAF_MAX];
    struct audit_frontier frontier = {0};
    uint8_t root[CA_HASH_SIZE], wanted[CA_HASH_SIZE];
    for (size_t n = 0; n <= LEAF_MAX; n++) {
        assert_int_equal(frontier.size, n);
        assert_int_equal(store_merkle_root(*state, &frontier, root), TM_OK);
        definition(leaves, n, wanted);
        assert_memory_equal(root, wanted, sizeof root);
        if (n == LEAF_MAX)
            break;
        memset(octets[n], (int)(n & 0xff), sizeof octets[n]);
        leaves[n] = (struct bytes){octets[n], n % sizeof octets[n]};
        assert_int_equal(store_merkle_append(*state, &frontier, leaves[n]), TM_OK);
    }
}

/* The roots that Certificate Transparency logs are tested with. */
static void known_trees(void **state) {
    static const char *const leaves[] = {"",
                                         "00",
                                         "10",
                                         "2021",
                                         "3031",
                                         "40414243",
                                         "5051525354555657",
                                         "606162636465666768696a6b6c6d6e6f"};
    static const char *const roots[] = {
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
    struct audit_frontier frontier = {0};
    for (size_t i = 0; i < 8; i++) {
        uint8_t octets[16], root[CA_HASH_SIZE];
        size_t n;
        char text[2 * CA_HASH_SIZE + 1];
        assert_int_equal(hex_decode(leaves[i], octets, sizeof octets, &n), TM_OK);
        assert_int_equal(store_merkle_append(*state, &frontier, (struct bytes){octets, n}), TM_OK);
        assert_int_equal(store_merkle_root(*state, &frontier, root), TM_OK);
        assert_int_equal(hex_encode(BYTES_OF(root), text, sizeof text), TM_OK);
        assert_string_equal(text, roots[i]);
    }
}

/* A damaged frontier is refused, not walked past its end. */
static void a_frontier_that_does_not_fit_is_refused(void **state) {
    struct audit_frontier frontier = {.size = 3, .count = 1}, before = frontier;
    uint8_t root[CA_HASH_SIZE];
    assert_int_equal(store_merkle_append(*state, &frontier, bytes_str("x")), TM_ELIMIT);
    assert_int_equal(store_merkle_root(*state, &frontier, root), TM_ELIMIT);
    assert_memory_equal(&frontier, &before, sizeof before);
    frontier = (struct audit_frontier){.size = UINT64_MAX, .count = 64};
    assert_int_equal(store_merkle_append(*state, &frontier, bytes_str("x")), TM_ELIMIT);
    assert_int_equal(store_merkle_root(*state, &frontier, root), TM_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_as_the_rfc_defines),
        cmocka_unit_test(known_trees),
        cmocka_unit_test(a_frontier_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
