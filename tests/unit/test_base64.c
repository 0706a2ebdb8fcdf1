/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 against OpenSSL's, in the layouts that EST clients send and read. */
#include "pki_fixture.h"

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "est/wire/base64.h"

#define DATA_MAX 1200

static void fill(uint8_t *p, size_t n) {
    uint32_t seed = 7;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)(seed >> 24);
    }
}

static void one_line_is_openssls(void **state) {
    (void)state;
    static uint8_t data[DATA_MAX], memory[DATA_MAX * 2], back[DATA_MAX];
    static unsigned char theirs[DATA_MAX * 2];
    fill(data, sizeof data);
    for (size_t n = 0; n <= 400; n++) {
        struct buf out = BUF_ON(memory), decoded = BUF_ON(back);
        int expect = EVP_EncodeBlock(theirs, data, (int)n);
        assert_int_equal(est_base64_encode((struct bytes){data, n}, 0, &out), TM_OK);
        assert_bytes_equal(buf_bytes(&out), (struct bytes){theirs, (size_t)expect});
        assert_int_equal(est_base64_size(n, 0), out.n);
        assert_int_equal(est_base64_decode(buf_bytes(&out), &decoded), TM_OK);
        assert_bytes_equal(buf_bytes(&decoded), (struct bytes){data, n});
    }
}

/* OpenSSL's own wrapping is at 64, each line ended by LF. */
static void wrapped_lines_are_openssls(void **state) {
    (void)state;
    static uint8_t data[DATA_MAX], memory[DATA_MAX * 2], back[DATA_MAX];
    static unsigned char theirs[DATA_MAX * 2];
    fill(data, sizeof data);
    for (size_t n = 0; n <= 400; n++) {
        struct buf out = BUF_ON(memory), decoded = BUF_ON(back);
        EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
        int length = 0, rest = 0;
        EVP_EncodeInit(ctx);
        assert_true(EVP_EncodeUpdate(ctx, theirs, &length, data, (int)n) || n == 0);
        EVP_EncodeFinal(ctx, theirs + length, &rest);
        EVP_ENCODE_CTX_free(ctx);
        assert_int_equal(est_base64_encode((struct bytes){data, n}, 64, &out), TM_OK);
        assert_bytes_equal(buf_bytes(&out), (struct bytes){theirs, (size_t)(length + rest)});
        assert_int_equal(est_base64_size(n, 64), out.n);
        assert_int_equal(est_base64_decode(buf_bytes(&out), &decoded), TM_OK);
        assert_bytes_equal(buf_bytes(&decoded), (struct bytes){data, n});
    }
}

static void any_wrapping_has_the_size_that_was_said(void **state) {
    (void)state;
    static uint8_t data[100], memory[400];
    fill(data, sizeof data);
    for (size_t wrap = 1; wrap <= 80; wrap++)
        for (size_t n = 0; n <= sizeof data; n += 7) {
            size_t size = est_base64_size(n, wrap);
            struct buf exact = {memory, size, 0, false};
            assert_int_equal(est_base64_encode((struct bytes){data, n}, wrap, &exact), TM_OK);
            assert_int_equal(exact.n, size);
            if (size == 0)
                continue;
            assert_int_equal(memory[size - 1], '\n');
            struct buf less = {memory, size - 1, 0, false};
            assert_int_equal(est_base64_encode((struct bytes){data, n}, wrap, &less), TM_ELIMIT);
            assert_int_equal(less.n, 0);
        }
    assert_true(est_base64_size(SIZE_MAX, 0) == SIZE_MAX);
}

static enum tm_err decode(const char *text, bool lenient, struct buf *out) {
    size_t n = strlen(text);
    uint8_t *exact = malloc(n + 1);
    assert_non_null(exact);
    memcpy(exact, text, n + 1);
    struct bytes in = {exact, n};
    enum tm_err err = lenient ? est_base64_decode_lenient(in, out) : est_base64_decode(in, out);
    free(exact);
    return err;
}

static void white_space_is_skipped_anywhere(void **state) {
    (void)state;
    static const char *const good[] = {
        "aGVsbG8=",         "aGVsbG8=\r\n",         "\r\n\t aGVsbG8=",
        "aGVs\nbG8=\n",     "aGVs\r\nbG8=\r\n\r\n", "a G V s b G 8 =",
        "aGVsb\tG8\n=\t\n", "aGVsbG8=\n\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (int lenient = 0; lenient < 2; lenient++) {
            uint8_t memory[8];
            struct buf out = BUF_ON(memory);
            assert_int_equal(decode(good[i], lenient, &out), TM_OK);
            assert_bytes_equal(buf_bytes(&out), bytes_str("hello"));
        }
    uint8_t memory[1];
    struct buf out = BUF_ON(memory);
    assert_int_equal(decode(" \r\n", true, &out), TM_OK);
    assert_int_equal(out.n, 0);
}

static void what_is_not_base64_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "a",         /* one digit is no octet */
        "aGVsbG8",   /* padding is missing */
        "aGVsbG8==", /* and too much of it */
        "aGVsbA=",    "aGVsbA===",  "=",         "====",      "aGVsbG8=aGVs", /* data behind padding
                                                                                 (junk) */
        "aGVsbG8=x",  "aGVsbG8= x", "aGVsbG9=", /* bits behind the last octet (RFC 4648, 3.5) */
        "aGVsbB==",   "aGV-bG8=",   "aGV_bG8=",  "aGVs,bG8=", "aGVs\x01G8=",  "aGVs\xc3\xa9==",
        "aGVs\vbG8=", "{}",         "-----BEGIN"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int lenient = 0; lenient < 2; lenient++) {
            uint8_t memory[16] = {0};
            struct buf out = BUF_ON(memory);
            buf_put_u8(&out, 0x55);
            assert_int_equal(decode(bad[i], lenient, &out), TM_EPARSE);
            assert_int_equal(out.n, 1);
            assert_false(out.full);
        }
}

static void too_small_a_buffer_is_left_as_it_was(void **state) {
    (void)state;
    for (size_t cap = 0; cap <= 5; cap++) {
        uint8_t *exact = malloc(cap + 1);
        assert_non_null(exact);
        struct buf out = {exact, cap, 0, false};
        assert_int_equal(decode("aGVsbG8=", false, &out), cap < 5 ? TM_ELIMIT : TM_OK);
        assert_int_equal(out.n, cap < 5 ? 0 : 5);
        assert_false(out.full);
        free(exact);
    }
}

static void pem_of_openssl_is_read(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    X509_REQ *request = fixture_request(key, "SN-1");
    struct fixture_der der = fixture_sign_request(request, key);
    for (int new_label = 0; new_label < 2; new_label++) {
        uint8_t memory[1024];
        char *pem;
        BIO *bio = BIO_new(BIO_s_mem());
        assert_true(new_label ? PEM_write_bio_X509_REQ_NEW(bio, request)
                              : PEM_write_bio_X509_REQ(bio, request));
        struct bytes text = {NULL, (size_t)BIO_get_mem_data(bio, &pem)};
        text.p = (const uint8_t *)pem;
        struct buf out = BUF_ON(memory);
        assert_int_equal(est_base64_decode(text, &out), TM_EPARSE);
        assert_int_equal(est_base64_decode_lenient(text, &out), TM_OK);
        assert_bytes_equal(buf_bytes(&out), fixture_bytes(&der));
        BIO_free(bio);
    }
    fixture_free(&der);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

static void armour_is_whole_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum tm_err err;
    } cases[] = {
        {"-----BEGIN X-----\naGVsbG8=\n-----END X-----\n", TM_OK},
        {"\n  -----BEGIN X-----\r\naGVs\r\nbG8=\r\n-----END X-----\r\n\r\n", TM_OK},
        {"-----BEGIN X Y-----  \naGVsbG8=\n-----END X Y-----", TM_OK},
        {"-----BEGIN X-----\naGVsbG8=\n-----END Y-----\n", TM_EPARSE},
        {"-----BEGIN X-----\naGVsbG8=\n", TM_EPARSE},
        {"aGVsbG8=\n-----END X-----\n", TM_EPARSE},
        {"-----BEGIN -----\naGVsbG8=\n-----END -----\n", TM_EPARSE},
        {"-----BEGIN X----\naGVsbG8=\n-----END X----\n", TM_EPARSE},
        {"-----BEGIN X-----\naGVsbG8=\n-----END X-----\njunk", TM_EPARSE},
        {"junk\n-----BEGIN X-----\naGVsbG8=\n-----END X-----\n", TM_EPARSE},
        {"-----BEGIN X-----\nProc-Type: 4\n\naGVsbG8=\n-----END X-----\n", TM_EPARSE},
        {"-----BEGIN X-----\naGVsbG8=\n-----END X-----\n-----BEGIN X-----\naGVsbG8=\n-----END "
         "X-----",
         TM_EPARSE},
        {"-----BEGIN X----------END X-----", TM_EPARSE},
        {"-----BEGIN ", TM_EPARSE},
        {"-----BEGIN -", TM_EPARSE},
        {"-----BEGIN ----\n-----END ----", TM_EPARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t memory[16];
        struct buf out = BUF_ON(memory);
        assert_int_equal(decode(cases[i].text, true, &out), cases[i].err);
        assert_int_equal(out.n, cases[i].err == TM_OK ? 5 : 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_is_openssls),
        cmocka_unit_test(wrapped_lines_are_openssls),
        cmocka_unit_test(any_wrapping_has_the_size_that_was_said),
        cmocka_unit_test(white_space_is_skipped_anywhere),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(too_small_a_buffer_is_left_as_it_was),
        cmocka_unit_test(pem_of_openssl_is_read),
        cmocka_unit_test(armour_is_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
