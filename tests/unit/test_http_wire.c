/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, media types and Basic credentials as they stand in HTTP requests. */
#include "pki_fixture.h"

#include <ctype.h>

#include "est/wire/http.h"

static void paths_name_an_operation_and_a_label(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum est_operation operation;
        const char *label;
    } good[] = {
        {"/.well-known/est/cacerts", EST_CACERTS, ""},
        {"/.well-known/est/simpleenroll", EST_SIMPLEENROLL, ""},
        {"/.well-known/est/simplereenroll", EST_SIMPLEREENROLL, ""},
        {"/.well-known/est/fullcmc", EST_FULLCMC, ""},
        {"/.well-known/est/serverkeygen", EST_SERVERKEYGEN, ""},
        {"/.well-known/est/csrattrs", EST_CSRATTRS, ""},
        {"/.well-known/est/acme-idevid/cacerts", EST_CACERTS, "acme-idevid"},
        {"/.well-known/est/A.z_0~9-/csrattrs", EST_CSRATTRS, "A.z_0~9-"},
        {"/.well-known/est/Cacerts/cacerts", EST_CACERTS, "Cacerts"},
        {"/.well-known/est/.../cacerts", EST_CACERTS, "..."},
        {"/.well-known/est/0123456789012345678901234567890123456789012345678901234567890123/"
         "cacerts",
         EST_CACERTS, "0123456789012345678901234567890123456789012345678901234567890123"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct est_path path;
        assert_int_equal(est_path_parse(good[i].path, &path), TM_OK);
        assert_int_equal(path.operation, good[i].operation);
        assert_string_equal(path.label, good[i].label);
    }
}

static void other_paths_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum tm_err err;
    } bad[] = {
        {"", TM_ENOTFOUND},
        {"/", TM_ENOTFOUND},
        {"/favicon.ico", TM_ENOTFOUND},
        {"/.well-known/acme/cacerts", TM_ENOTFOUND},
        {"/.well-known/estx/cacerts", TM_ENOTFOUND},
        {"/.Well-Known/est/cacerts", TM_ENOTFOUND},
        {"//.well-known/est/cacerts", TM_ENOTFOUND},
        {"/%2ewell-known/est/cacerts", TM_ENOTFOUND},
        {"/.well-known/est", TM_EPARSE},
        {"/.well-known/est/", TM_EPARSE},
        {"/.well-known/est//cacerts", TM_EPARSE},
        {"/.well-known/est/cacerts/", TM_EPARSE},
        {"/.well-known/est/CACERTS", TM_EPARSE},
        {"/.well-known/est/cacertsx", TM_EPARSE},
        {"/.well-known/est/label", TM_EPARSE},
        {"/.well-known/est/label/", TM_EPARSE},
        {"/.well-known/est/label/other", TM_EPARSE},
        {"/.well-known/est/a/b/cacerts", TM_EPARSE},
        {"/.well-known/est/simpleenroll/cacerts", TM_EPARSE}, /* RFC 7030, 3.2.2 */
        {"/.well-known/est/cacerts/cacerts", TM_EPARSE},
        {"/.well-known/est/./cacerts", TM_EPARSE},
        {"/.well-known/est/../cacerts", TM_EPARSE},
        {"/.well-known/est/la%62el/cacerts", TM_EPARSE},
        {"/.well-known/est/%63acerts", TM_EPARSE},
        {"/.well-known/est/la bel/cacerts", TM_EPARSE},
        {"/.well-known/est/caf\xc3\xa9/cacerts", TM_EPARSE},
        {"/.well-known/est/cacerts?x=1", TM_EPARSE},
        {"/.well-known/est/01234567890123456789012345678901234567890123456789012345678901234/"
         "cacerts",
         TM_EPARSE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct est_path path = {.operation = EST_CSRATTRS};
        assert_int_equal(est_path_parse(bad[i].path, &path), bad[i].err);
        assert_int_equal(path.operation, EST_CSRATTRS);
    }
}

static void operations_have_their_names(void **state) {
    (void)state;
    assert_string_equal(est_operation_name(EST_SIMPLEREENROLL), "simplereenroll");
    assert_string_equal(est_operation_name((enum est_operation)99), "unknown");
    assert_true(est_is_operation_name("csrattrs"));
    assert_false(est_is_operation_name("csrattr"));
    assert_false(est_is_operation_name(""));
    assert_true(est_label_valid("factory-1"));
    for (int c = 1; c < 256; c++) {
        char label[] = {(char)c, '\0'};
        bool unreserved = c < 0x80 && (isalnum(c) || strchr("-_~", c));
        assert_int_equal(est_label_valid(label), unreserved);
    }
    assert_false(est_label_valid("cacerts"));
    assert_false(est_label_valid(""));
}

static void media_types_are_compared_whole(void **state) {
    (void)state;
    static const char *const good[] = {
        "application/pkcs10",
        "Application/PKCS10",
        " application/pkcs10 ",
        "application/pkcs10;charset=utf-8",
        "application/pkcs10 ; charset=\"utf-8\"",
        "application/pkcs10;",
        "application/pkcs10;; a=b;",
        "application/pkcs10; a=\"q;\\\"x\"; b=c",
        "application/pkcs10; smime-type=certs-only",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(est_media_type_is(good[i], "application/pkcs10"));
    static const char *const bad[] = {
        "",
        "application",
        "application/",
        "/pkcs10",
        "application/pkcs10x",
        "application/pkcs1",
        "application/pkcs10-mime",
        "application/pkcs10 x",
        "application/pkcs10, text/plain",
        "xapplication/pkcs10",
        "application /pkcs10",
        "application/pkcs10; a",
        "application/pkcs10; a=",
        "application/pkcs10; =b",
        "application/pkcs10; a=\"b",
        "application/pkcs10; a=\"b\\",
        "application/pkcs10; a=b c",
        "application/pkcs10/x",
        "text/plain; application/pkcs10",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(est_media_type_is(bad[i], "application/pkcs10"));
    assert_false(est_media_type_is(NULL, "application/pkcs10"));
}

static void named_parameters_count(void **state) {
    (void)state;
    const char *expect = "application/pkcs7-mime; smime-type=CMC-request";
    assert_true(est_media_type_is("application/pkcs7-mime;smime-type=cmc-request", expect));
    assert_true(
        est_media_type_is("application/pkcs7-mime; x=y; SMIME-Type=\"CMC-Request\"", expect));
    assert_false(est_media_type_is("application/pkcs7-mime", expect));
    assert_false(est_media_type_is("application/pkcs7-mime; smime-type=certs-only", expect));
    assert_false(est_media_type_is("application/pkcs7-mime; smime-typ=CMC-request", expect));
    assert_false(est_media_type_is("application/pkcs7-mime; x=\"smime-type=CMC-request\"", expect));
}

static void basic_credentials_are_read(void **state) {
    (void)state;
    static const struct {
        const char *header, *user, *password;
    } good[] = {
        {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"}, /* RFC 7617, 2 */
        {"basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"},
        {"BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"},
        {"Basic dTphOmI=", "u", "a:b"}, /* only the first colon parts */
        {"Basic dTo=", "u", ""},
        {"Basic dTrDqQ==", "u", "\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char user[16];
        uint8_t memory[16];
        struct buf password = BUF_ON(memory);
        assert_int_equal(est_basic_parse(good[i].header, user, sizeof user, &password), TM_OK);
        assert_string_equal(user, good[i].user);
        assert_bytes_equal(buf_bytes(&password), bytes_str(good[i].password));
    }
}

static void other_credentials_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum tm_err err;
    } bad[] = {
        {"", TM_ENOTFOUND},
        {"Bearer abc", TM_ENOTFOUND},
        {"Digest username=\"u\"", TM_ENOTFOUND},
        {"Basically dTpw", TM_ENOTFOUND},
        {"Basic", TM_EPARSE},
        {"Basic ", TM_EPARSE},
        {"Basic dTpw dTpw", TM_EPARSE},
        {"Basic dTpw\r\n", TM_EPARSE},
        {"Basic dTpw!", TM_EPARSE},
        {"Basic dXA=", TM_EPARSE},             /* "up": no colon */
        {"Basic OnA=", TM_EPARSE},             /* ":p": no user */
        {"Basic dQpiOnA=", TM_EPARSE},         /* "u\nb:p" */
        {"Basic dQBiOnA=", TM_EPARSE},         /* "u\0b:p" */
        {"Basic dTpwAA==", TM_EPARSE},         /* "u:p\0" */
        {"Basic gDpw", TM_EPARSE},             /* 0x80 for a user */
        {"Basic ZWlnaHRjaHI6cA==", TM_ELIMIT}, /* "eightchr:p" has no room for its NUL */
        {"Basic w6k6cA==", TM_EPARSE},         /* not ASCII */
        {"Basic bG9uZ2VydXNlcjpw", TM_ELIMIT}, /* "longeruser:p" */
        {"Basic dTpsb25nZXJwYXNz", TM_ELIMIT}, /* "u:longerpass" */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char user[8] = "before";
        uint8_t memory[8];
        struct buf password = BUF_ON(memory);
        assert_int_equal(est_basic_parse(bad[i].header, user, sizeof user, &password), bad[i].err);
        assert_string_equal(user, "before");
        assert_int_equal(password.n, 0);
        assert_false(password.full);
    }
    char huge[2000] = "Basic ", user[8];
    memset(huge + 6, 'a', sizeof huge - 8);
    uint8_t memory[8];
    struct buf password = BUF_ON(memory);
    assert_int_equal(est_basic_parse(huge, user, sizeof user, &password), TM_ELIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_name_an_operation_and_a_label),
        cmocka_unit_test(other_paths_are_refused),
        cmocka_unit_test(operations_have_their_names),
        cmocka_unit_test(media_types_are_compared_whole),
        cmocka_unit_test(named_parameters_count),
        cmocka_unit_test(basic_credentials_are_read),
        cmocka_unit_test(other_credentials_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
