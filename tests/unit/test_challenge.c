/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges: for one device, one process and some minutes; and the seal of what the store keeps.
 */
#include "ca/challenge.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ca/wrap.h"

#define NOW_MS INT64_C(1790000000000)

static struct bytes whole(const uint8_t octets[CA_CHALLENGE_SIZE]) {
    return (struct bytes){octets, CA_CHALLENGE_SIZE};
}

static void test_good_for_its_device_and_time(void **state) {
    (void)state;
    struct ca_challenger *c;
    uint8_t challenge[CA_CHALLENGE_SIZE];
    int64_t made = 0;
    assert_int_equal(ca_challenger_new(&c), TM_OK);
    assert_int_equal(ca_challenge_make(c, "acme", "M-1", NOW_MS, challenge), TM_OK);
    assert_int_equal(ca_challenge_check(c, "acme", "M-1", NOW_MS, whole(challenge), &made), TM_OK);
    assert_int_equal(made, NOW_MS);
    assert_int_equal(
        ca_challenge_check(c, "acme", "M-1", NOW_MS + CA_CHALLENGE_MS, whole(challenge), &made),
        TM_OK);
    assert_int_equal(
        ca_challenge_check(c, "acme", "M-1", NOW_MS + CA_CHALLENGE_MS + 1, whole(challenge), &made),
        TM_ETIMEOUT);
    assert_int_equal(ca_challenge_check(c, "acme", "M-1", NOW_MS - 1, whole(challenge), &made),
                     TM_ETIMEOUT);
    ca_challenger_free(c);
}

static void test_nobody_elses(void **state) {
    (void)state;
    struct ca_challenger *c, *other;
    uint8_t challenge[CA_CHALLENGE_SIZE];
    int64_t made;
    assert_int_equal(ca_challenger_new(&c), TM_OK);
    assert_int_equal(ca_challenger_new(&other), TM_OK);
    assert_int_equal(ca_challenge_make(c, "acme", "M-1", NOW_MS, challenge), TM_OK);
    const struct {
        struct ca_challenger *c;
        const char *tenant, *device;
    } wrong[] = {
        {c, "acme", "M-2"}, {c, "acm", "eM-1"}, {c, "other", "M-1"}, {other, "acme", "M-1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(ca_challenge_check(wrong[i].c, wrong[i].tenant, wrong[i].device, NOW_MS,
                                            whole(challenge), &made),
                         TM_EDENIED);
    for (size_t i = 0; i < sizeof challenge; i++) {
        challenge[i] ^= 1;
        assert_int_equal(ca_challenge_check(c, "acme", "M-1", NOW_MS, whole(challenge), &made),
                         TM_EDENIED);
        challenge[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof challenge; n++)
        assert_int_equal(
            ca_challenge_check(c, "acme", "M-1", NOW_MS, (struct bytes){challenge, n}, &made),
            TM_EDENIED);
    ca_challenger_free(c);
    ca_challenger_free(other);
}

/* ---- the seal ---- */

struct place {
    char folder[32];
    char path[64];
};

static int open_place(void **state) {
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)strcpy(place->folder, "/tmp/wrap-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof place->path, "%s/key", place->folder);
    *state = place;
    return 0;
}

static int close_place(void **state) {
    struct place *place = *state;
    (void)unlink(place->path);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static const uint8_t salt[16] = {1, 2, 3};
static const uint8_t value[32] = {9, 8, 7};

static void test_sealed_values_open_again(void **state) {
    const struct place *place = *state;
    char text[IPC_TEXT_MAX + 1];
    struct ca_wrap *wrap, *again;
    uint8_t proof[CA_PROOF_SIZE], other[CA_PROOF_SIZE], opened[32] = {0};
    struct stat st;
    assert_int_equal(ca_wrap_open(place->path, &wrap, text), TM_OK);
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 32);
    assert_int_equal(ca_wrap_seal(wrap, "acme", "M-1", salt, value, proof), TM_OK);
    assert_int_equal(ca_wrap_seal(wrap, "acme", "M-1", salt, value, other), TM_OK);
    assert_memory_not_equal(proof, other, sizeof proof);
    assert_int_equal(ca_wrap_open(place->path, &again, text), TM_OK);
    assert_int_equal(ca_wrap_unseal(again, "acme", "M-1", salt, proof, opened), TM_OK);
    assert_memory_equal(opened, value, sizeof value);
    ca_wrap_free(wrap);
    ca_wrap_free(again);
}

static void test_sealed_values_open_nowhere_else(void **state) {
    const struct place *place = *state;
    char text[IPC_TEXT_MAX + 1];
    struct ca_wrap *wrap, *other;
    uint8_t proof[CA_PROOF_SIZE], opened[32] = {0}, untouched[32] = {0}, salt2[16] = {4};
    assert_int_equal(ca_wrap_open(place->path, &wrap, text), TM_OK);
    assert_int_equal(ca_wrap_seal(wrap, "acme", "M-1", salt, value, proof), TM_OK);
    assert_int_equal(ca_wrap_unseal(wrap, "acme", "M-2", salt, proof, opened), TM_ECRYPTO);
    assert_int_equal(ca_wrap_unseal(wrap, "acm", "M-1", salt, proof, opened), TM_ECRYPTO);
    assert_int_equal(ca_wrap_unseal(wrap, "acme", "M-1", salt2, proof, opened), TM_ECRYPTO);
    for (size_t i = 0; i < sizeof proof; i++) {
        proof[i] ^= 1;
        assert_int_equal(ca_wrap_unseal(wrap, "acme", "M-1", salt, proof, opened), TM_ECRYPTO);
        proof[i] ^= 1;
    }
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(ca_wrap_open(place->path, &other, text), TM_OK);
    assert_int_equal(ca_wrap_unseal(other, "acme", "M-1", salt, proof, opened), TM_ECRYPTO);
    assert_memory_equal(opened, untouched, sizeof opened);
    ca_wrap_free(wrap);
    ca_wrap_free(other);
}

static void test_sealed_octets(void **state) {
    const struct place *place = *state;
    const struct bytes names[] = {bytes_str("a"), bytes_str("bc")},
                       others[] = {bytes_str("x"), names[1]};
    static uint8_t octets[5000], room[5000 + CA_WRAP_OVERHEAD], back[5000];
    struct buf sealed = BUF_ON(room), opened = BUF_ON(back), small = {back, 4999, 0, false};
    char text[IPC_TEXT_MAX + 1];
    struct ca_wrap *wrap;
    memset(octets, 7, sizeof octets);
    assert_int_equal(ca_wrap_open(place->path, &wrap, text), TM_OK);
    assert_int_equal(ca_wrap_seal_octets(wrap, names, 2, BYTES_OF(octets), &sealed), TM_OK);
    assert_int_equal(sealed.n, sizeof room);
    assert_null(memmem(room, sizeof room, octets, 16));
    assert_int_equal(ca_wrap_unseal_octets(wrap, others, 2, buf_bytes(&sealed), &opened),
                     TM_ECRYPTO);
    assert_int_equal(ca_wrap_unseal_octets(wrap, names, 1, buf_bytes(&sealed), &opened),
                     TM_ECRYPTO);
    assert_int_equal(ca_wrap_unseal_octets(wrap, names, 2, buf_bytes(&sealed), &small), TM_ELIMIT);
    assert_int_equal(
        ca_wrap_unseal_octets(wrap, names, 2, (struct bytes){room, CA_WRAP_OVERHEAD - 1}, &opened),
        TM_ECRYPTO);
    room[sizeof room / 2] ^= 1;
    assert_int_equal(ca_wrap_unseal_octets(wrap, names, 2, buf_bytes(&sealed), &opened),
                     TM_ECRYPTO);
    assert_int_equal(back[0] | back[4999], 0); /* what was not verified does not stay */
    room[sizeof room / 2] ^= 1;
    assert_int_equal(ca_wrap_unseal_octets(wrap, names, 2, buf_bytes(&sealed), &opened), TM_OK);
    assert_int_equal(opened.n, sizeof octets);
    assert_memory_equal(back, octets, sizeof octets);
    sealed = (struct buf){room, sizeof room - 1, 0, false};
    assert_int_equal(ca_wrap_seal_octets(wrap, names, 2, BYTES_OF(octets), &sealed), TM_ELIMIT);
    ca_wrap_free(wrap);
}

static void write_file(const char *path, size_t n, mode_t mode) {
    static const uint8_t octets[64];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, octets, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void test_key_files_that_are_none(void **state) {
    const struct place *place = *state;
    char text[IPC_TEXT_MAX + 1];
    struct ca_wrap *wrap;
    write_file(place->path, 31, 0600);
    assert_int_equal(ca_wrap_open(place->path, &wrap, text), TM_EPARSE);
    assert_non_null(strstr(text, "exactly 32 octets"));
    write_file(place->path, 33, 0600);
    assert_int_equal(ca_wrap_open(place->path, &wrap, text), TM_EPARSE);
    write_file(place->path, 32, 0640);
    assert_int_equal(ca_wrap_open(place->path, &wrap, text), TM_EDENIED);
    assert_non_null(strstr(text, "0600"));
    assert_int_equal(ca_wrap_open("/nonexistent/folder/key", &wrap, text), TM_EIO);
}

int main(void) {
#define PLACED(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_for_its_device_and_time),
        cmocka_unit_test(test_nobody_elses),
        PLACED(test_sealed_values_open_again),
        PLACED(test_sealed_values_open_nowhere_else),
        PLACED(test_sealed_octets),
        PLACED(test_key_files_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
