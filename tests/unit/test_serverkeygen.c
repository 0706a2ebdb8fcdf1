/* SPDX-License-Identifier: Apache-2.0 */
/* The multipart response of serverkeygen (RFC 7030, 4.4.2), ours and others'. */
#include "pki_fixture.h"

#include "est/wire/base64.h"
#include "est/wire/http.h"
#include "est/wire/serverkeygen.h"

#define MIXED "multipart/mixed; boundary=b"
#define KEY_PART "Content-Type: application/pkcs8\r\n\r\na2V5\r\n"
#define CERT_PART "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n\r\nY2VydA==\r\n"

static void assert_bytes(struct bytes found, const char *text) {
    assert_int_equal(found.n, strlen(text));
    assert_memory_equal(found.p, text, found.n);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 47, 48, 49, 121, 8192};
    static uint8_t octets[8192], text[40000], memory[20000];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct est_serverkeygen parts = {i % 2, {octets, sizes[i]}, {octets + 1, 1000}}, back;
        struct buf body = BUF_ON(text), out = BUF_ON(memory);
        assert_int_equal(est_serverkeygen_write(&parts, &body), TM_OK);
        assert_int_equal(
            est_serverkeygen_read(EST_SERVERKEYGEN_TYPE, buf_bytes(&body), &out, &back), TM_OK);
        assert_int_equal(back.encrypted, parts.encrypted);
        assert_true(bytes_equal(back.key, parts.key));
        assert_true(bytes_equal(back.issued, parts.issued));
    }
}

/* What other readers look for stands there, and in this order. */
static void the_parts_say_what_they_are(void **state) {
    (void)state;
    static const char expected[] =
        "--touchmark-part\r\nContent-Type: application/pkcs7-mime; "
        "smime-type=server-generated-key\r\nContent-Transfer-Encoding: base64\r\n\r\na2V5\n\r\n"
        "--touchmark-part\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nY2VydA==\n\r\n--touchmark-part--\r\n";
    uint8_t text[1024];
    struct buf body = BUF_ON(text);
    struct est_serverkeygen parts = {true, bytes_str("key"), bytes_str("cert")};
    assert_int_equal(est_serverkeygen_write(&parts, &body), TM_OK);
    assert_bytes(buf_bytes(&body), expected);
    parts.encrypted = false;
    body.n = 0;
    assert_int_equal(est_serverkeygen_write(&parts, &body), TM_OK);
    assert_non_null(memmem(text, body.n, "Content-Type: application/pkcs8\r\n", 33));
    for (size_t cap = 0; cap < body.n; cap++) {
        struct buf small = {text, cap, 0, false};
        assert_int_equal(est_serverkeygen_write(&parts, &small), TM_ELIMIT);
        assert_int_equal(small.n, 0);
    }
}

static const struct {
    const char *type, *body;
} good[] = {
    {MIXED, "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b--\r\n"},
    {MIXED, "--b\r\n" CERT_PART "--b\r\n" KEY_PART "--b--\r\n"}, /* the other way round */
    {MIXED, "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b--"},
    {"Multipart/Mixed; charset=x; Boundary=\"b\"",
     "who reads this\r\n--b  \r\n" KEY_PART "\r\n--b\r\n" CERT_PART "--b--\t\r\nnor this: --b"},
    {MIXED, "--b\nContent-Type: application/pkcs8\n\na2\nV5\n--b\nX-Y: z\ncontent-type:\n "
            "application/pkcs7-mime;\n\tsmime-type=certs-only\n\nY2Vy dA==\n--b--\n"},
};

static void others_write_it_in_other_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint8_t memory[64];
        struct buf out = BUF_ON(memory);
        struct est_serverkeygen parts;
        enum tm_err err =
            est_serverkeygen_read(good[i].type, bytes_str(good[i].body), &out, &parts);
        if (err)
            fail_msg("%zu: %s", i, tm_err_name(err));
        assert_false(parts.encrypted);
        assert_bytes(parts.key, "key");
        assert_bytes(parts.issued, "cert");
    }
}

static const struct {
    const char *type, *body;
} bad[] = {
    {NULL, "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b--\r\n"},
    {"multipart/mixed", "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b--\r\n"},
    {"multipart/mixed; boundary=\"\"", "--\r\n" KEY_PART "--\r\n" CERT_PART "----\r\n"},
    {"multipart/related; boundary=b", "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b--\r\n"},
    {"multipart/mixed; boundary=c", "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b--\r\n"},
    {MIXED, ""},
    {MIXED, "--b--\r\n"},
    {MIXED, "--b\r\n" KEY_PART "--b\r\n" CERT_PART},            /* not closed */
    {MIXED, "--b\r\n" KEY_PART "--b--\r\n"},                    /* no certificate */
    {MIXED, "--b\r\n" CERT_PART "--b--\r\n"},                   /* no key */
    {MIXED, "--b\r\n" KEY_PART "--b\r\n" KEY_PART "--b--\r\n"}, /* two keys */
    {MIXED, "--b\r\n" KEY_PART "--b\r\n" CERT_PART "--b\r\n" CERT_PART "--b--\r\n"},
    {MIXED, "--b\r\nContent-Type: application/pkcs8\r\n\r\n\r\n--b\r\n" CERT_PART "--b--\r\n"},
    {MIXED, "--b\r\nContent-Type: application/pkcs8\r\n\r\n?\r\n--b\r\n" CERT_PART "--b--\r\n"},
    {MIXED, "--b\r\n\r\na2V5\r\n--b\r\n" CERT_PART "--b--\r\n"}, /* a part of no type */
    {MIXED, "--b\r\nContent-Type: text/plain\r\n\r\na2V5\r\n--b\r\n" CERT_PART "--b--\r\n"},
    {MIXED, "--b\r\nContent-Type: application/pkcs8\r\nContent-Type: application/pkcs8\r\n\r\n"
            "a2V5\r\n--b\r\n" CERT_PART "--b--\r\n"},
};

static void what_is_no_answer_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t memory[64];
        struct buf out = BUF_ON(memory);
        struct est_serverkeygen parts;
        memset(&parts, 0x5a, sizeof parts);
        if (est_serverkeygen_read(bad[i].type, bytes_str(bad[i].body), &out, &parts) != TM_EPARSE)
            fail_msg("%zu: %s", i, bad[i].body);
        assert_int_equal(out.n, 0);
        assert_int_equal(*(uint8_t *)&parts.key.n, 0x5a);
    }
}

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    uint8_t memory[6];
    char body[1024];
    struct buf out = BUF_ON(memory);
    struct est_serverkeygen parts;
    memset(memory, 0, sizeof memory);
    assert_int_equal(est_serverkeygen_read(MIXED, bytes_str(good[0].body), &out, &parts),
                     TM_ELIMIT);
    assert_int_equal(out.n, 0);
    assert_int_equal(memory[0] | memory[1] | memory[2], 0); /* no key is left in it */
    (void)snprintf(body, sizeof body,
                   "--b\r\nContent-Type: application/pkcs8; x=%0300d\r\n\r\na2V5\r\n--b--", 1);
    assert_int_equal(est_serverkeygen_read(MIXED, bytes_str(body), &out, &parts), TM_ELIMIT);
}

static void parameters_of_a_media_type(void **state) {
    (void)state;
    char value[5];
    static const char type[] = "a/b; x=y; Long=\"a b\"; longer=12345";
    assert_int_equal(est_media_type_parameter(type, "X", value, sizeof value), TM_OK);
    assert_string_equal(value, "y");
    assert_int_equal(est_media_type_parameter(type, "long", value, sizeof value), TM_OK);
    assert_string_equal(value, "a b");
    assert_int_equal(est_media_type_parameter(type, "longer", value, sizeof value), TM_ELIMIT);
    assert_int_equal(est_media_type_parameter(type, "lon", value, sizeof value), TM_ENOTFOUND);
    assert_int_equal(est_media_type_parameter("a/b; x", "x", value, sizeof value), TM_EPARSE);
    assert_int_equal(est_media_type_parameter(NULL, "x", value, sizeof value), TM_EPARSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_parts_say_what_they_are),
        cmocka_unit_test(others_write_it_in_other_ways),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(parameters_of_a_media_type),
    };
    return cmocka_run_group_tests_name("serverkeygen", tests, NULL, NULL);
}
