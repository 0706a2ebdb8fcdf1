/* SPDX-License-Identifier: Apache-2.0 */
/* PKIResponse and offers: octets computed by hand, what comes back, and each refusal. */
#include "cmc_fixture.h"

#include "est/wire/signed_data.h"

static void assert_same_response(const struct est_cmc_response *a,
                                 const struct est_cmc_response *b) {
    assert_bytes_equal(a->transaction, b->transaction);
    assert_bytes_equal(a->sender_nonce, b->sender_nonce);
    assert_bytes_equal(a->recipient_nonce, b->recipient_nonce);
    assert_bytes_equal(a->request_hash, b->request_hash);
    assert_int_equal(a->has_status, b->has_status);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->part, b->part);
    assert_bytes_equal(a->text, b->text);
    assert_int_equal(a->has_fail, b->has_fail);
    assert_int_equal(a->fail, b->fail);
    assert_bytes_equal(a->pend_token, b->pend_token);
    assert_int_equal(a->pend_time_ms, b->pend_time_ms);
}

#define PEND_TIME_MS INT64_C(1790000000000) /* 2026-09-21 14:13:20 */

static void responses_are_the_octets_of_the_module(void **state) {
    (void)state;
    static const uint8_t failed[] = {
        0x30, 0x3d,                                          /* PKIResponse */
        0x30, 0x37,                                          /* controlSequence */
        0x30, 0x20, 0x02, 0x01, 0x02, CMC(0x19), 0x31, 0x11, /* statusInfoV2 */
        0x30, 0x0f, 0x02, 0x01, 0x02,                        /* failed */
        0x30, 0x03, 0x02, 0x01, 0x01,                        /* bodyList: 1 */
        0x0c, 0x02, 'n',  'o',                               /* statusString */
        0x02, 0x01, 0x09,                                    /* failInfo popFailed */
        0x30, 0x13, 0x02, 0x01, 0x03, CMC(0x05), 0x31, 0x04, /* transactionId */
        0x02, 0x02, 0x00, 0xff,                              /* 255 */
        0x30, 0x00, 0x30, 0x00};
    static const uint8_t pending[] = {
        0x30, 0x38,                                          /* PKIResponse */
        0x30, 0x32,                                          /* controlSequence */
        0x30, 0x30, 0x02, 0x01, 0x02, CMC(0x19), 0x31, 0x21, /* statusInfoV2 */
        0x30, 0x1f, 0x02, 0x01, 0x03,                        /* pending */
        0x30, 0x03, 0x02, 0x01, 0x00,                        /* bodyList: the whole message */
        0x30, 0x15, 0x04, 0x02, 't',  '1',       0x18, 0x0f, /* pendInfo */
        '2',  '0',  '2',  '6',  '0',  '9',       '2',  '1',
        '1',  '4',  '1',  '3',  '2',  '0',       'Z', /* */
        0x30, 0x00, 0x30, 0x00};
    uint8_t memory[256];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response response = {.transaction = B(0xff),
                                        .has_status = true,
                                        .status = EST_CMC_FAILED,
                                        .part = 1,
                                        .text = STR("no"),
                                        .has_fail = true,
                                        .fail = EST_CMC_POP_FAILED};
    assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), BYTES_OF(failed));
    response = (struct est_cmc_response){.has_status = true,
                                         .status = EST_CMC_PENDING,
                                         .pend_token = STR("t1"),
                                         .pend_time_ms = PEND_TIME_MS};
    out.n = 0;
    assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), BYTES_OF(pending));
}

static struct est_cmc_response largest_response(void) {
    return (struct est_cmc_response){.transaction = {many, EST_CMC_TRANSACTION_MAX},
                                     .sender_nonce = {many, EST_CMC_NONCE_MAX},
                                     .recipient_nonce = {many, EST_CMC_NONCE_MAX},
                                     .request_hash = {many, EST_CMC_HASH_SIZE},
                                     .has_status = true,
                                     .status = EST_CMC_FAILED,
                                     .part = UINT32_MAX,
                                     .text = {many, EST_CMC_TEXT_MAX},
                                     .has_fail = true,
                                     .fail = EST_CMC_AUTH_DATA_FAIL};
}

static void assert_response_round_trip(const struct est_cmc_response *response) {
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response back;
    assert_int_equal(est_cmc_response_write(response, &out), TM_OK);
    assert_int_equal(est_cmc_response_read(buf_bytes(&out), &back), TM_OK);
    assert_same_response(&back, response);
}

static void responses_come_back_as_they_were(void **state) {
    (void)state;
    static const enum est_cmc_status all[] = {
        EST_CMC_SUCCESS,          EST_CMC_FAILED,       EST_CMC_PENDING, EST_CMC_NO_SUPPORT,
        EST_CMC_CONFIRM_REQUIRED, EST_CMC_POP_REQUIRED, EST_CMC_PARTIAL};
    struct est_cmc_response response = {0};
    assert_response_round_trip(&response);
    response = largest_response();
    assert_response_round_trip(&response);
    for (uint32_t fail = 0; fail <= EST_CMC_FAIL_LAST; fail++) {
        response.fail = (enum est_cmc_fail)fail;
        assert_response_round_trip(&response);
    }
    response.has_fail = false;
    response.fail = (enum est_cmc_fail)0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        response.status = all[i];
        assert_response_round_trip(&response);
    }
    response.pend_token = STR("token"); /* with PARTIAL, the last of them */
    response.pend_time_ms = INT64_C(2600000000000);
    assert_response_round_trip(&response);
    response.status = EST_CMC_PENDING;
    response.pend_time_ms = -1000; /* 1969: a GeneralizedTime says it */
    assert_response_round_trip(&response);
}

/* A PKIResponse of these contents. */
static enum tm_err read_response(struct bytes controls, struct bytes cms, struct bytes others,
                                 struct est_cmc_response *ret) {
    static uint8_t memory[4096];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t end = der_mark(&w);
    der_put(&w, DER_SEQUENCE, others);
    der_put(&w, DER_SEQUENCE, cms);
    der_put(&w, DER_SEQUENCE, controls);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return est_cmc_response_read(der_written(&w), ret);
}

/* A control of a status: what follows cMCStatus is `rest`. */
static struct bytes status_control(uint8_t oid, uint32_t part, struct bytes status,
                                   struct bytes rest, uint8_t *memory, size_t cap) {
    struct der_writer w = der_writer_on(memory, cap);
    size_t end = der_mark(&w);
    der_raw(&w, rest);
    der_raw(&w, status);
    der_wrap(&w, DER_SEQUENCE, end);
    der_wrap(&w, DER_SET, end);
    der_raw(&w, B(CMC(oid)));
    der_put_small(&w, part);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return der_written(&w);
}

#define V1 0x01
#define V2 0x19
#define LIST 0x30, 0x03, 0x02, 0x01, 0x04
#define TIME 0x18, 0x0f, '2', '0', '2', '6', '0', '9', '2', '1', '1', '4', '1', '3', '2', '0', 'Z'

static enum tm_err read_status(uint8_t oid, uint8_t status, struct bytes rest,
                               struct est_cmc_response *ret) {
    uint8_t memory[1024];
    return read_response(status_control(oid, 2, B(0x02, 0x01, status), rest, memory, sizeof memory),
                         NONE, NONE, ret);
}

static void statuses_are_checked(void **state) {
    (void)state;
    struct est_cmc_response response;
    uint8_t memory[256];
    for (uint8_t oid = V1; oid <= V2; oid += V2 - V1) {
        for (uint8_t status = 0; status < 10; status++)
            assert_int_equal(read_status(oid, status, B(LIST), &response),
                             status == 1 || status > 7 ? TM_EPARSE : TM_OK);
        assert_int_equal(response.has_status, true);
        assert_int_equal(response.part, 4);
        const struct bytes bad[] = {
            STR(""),                                                 /* no bodyList */
            STR("\x30\x00"),                                         /* an empty one */
            STR("\x30\x03\x04\x01\x04"),                             /* of other things */
            STR("\x30\x06\x02\x01\x04\x04\x01\x04"),                 /* */
            STR("\x30\x03\x02\x01\x84"),                             /* a negative one */
            STR("\x30\x03\x02\x01\x04\x0c\x01\xff"),                 /* no UTF-8 */
            STR("\x30\x03\x02\x01\x04\x13\x01\x41"),                 /* PrintableString */
            STR("\x30\x03\x02\x01\x04\x02\x00"),                     /* failInfo: nothing */
            STR("\x30\x03\x02\x01\x04\x02\x02\x00\x01"),             /* not minimal */
            STR("\x30\x03\x02\x01\x04\x02\x01\x01\x02\x01\x01"),     /* two of them */
            STR("\x30\x03\x02\x01\x04\x02\x01\x01\x0c\x01\x41"),     /* out of order */
            STR("\x30\x03\x02\x01\x04\x05\x00"),                     /* another choice */
            STR("\x30\x03\x02\x01\x04\xa2\x03\x06\x01\x2a"),         /* */
            STR("\x30\x03\x02\x01\x04\xa1\x03\x06\x01\x2a"),         /* no failInfoValue */
            STR("\x30\x03\x02\x01\x04\xa1\x05\x02\x01\x2a\x05\x00"), /* no failInfoOID */
            STR("\x30\x03\x02\x01\x04\xa1\x07\x06\x01\x2a\x05\x00\x05\x00"),
            STR("\x30\x03\x02\x01\x04\x30\x04\x04\x00\x05\x00"), /* pendInfo: failed */
        };
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(read_status(oid, EST_CMC_FAILED, bad[i], &response), TM_EPARSE);
    }
    assert_int_equal(
        read_response(status_control(V2, 2, B(0x0a, 0x01, 0x00), B(LIST), memory, sizeof memory),
                      NONE, NONE, &response),
        TM_EPARSE);
    assert_int_equal(
        read_response(B(0x30, 0x0f, 0x02, 0x01, 0x02, CMC(V2), 0x31, 0x00), NONE, NONE, &response),
        TM_EPARSE);
}

/* RFC 5272, 6.1.1: which otherInfo goes with which status, and what an unknown reason means. */
static void other_info_goes_with_its_status(void **state) {
    (void)state;
    struct est_cmc_response response;
    struct bytes fail = B(LIST, 0x02, 0x01, 0x0e),
                 extended = B(LIST, 0xa1, 0x05, 0x06, 0x01, 0x2a, 0x05, 0x00);
    struct bytes pend = B(LIST, 0x0c, 0x01, 'x', 0x30, 0x14, 0x04, 0x01, 't', TIME);
    assert_int_equal(read_status(V2, EST_CMC_FAILED, fail, &response), TM_OK);
    assert_true(response.has_fail);
    assert_int_equal(response.fail, EST_CMC_INTERNAL_CA_ERROR);
    assert_int_equal(read_status(V2, EST_CMC_FAILED, B(LIST, 0x02, 0x01, 0xff), &response), TM_OK);
    assert_int_equal(response.fail, EST_CMC_INTERNAL_CA_ERROR);
    assert_int_equal(read_status(V2, EST_CMC_FAILED, B(LIST, 0x02, 0x01, 0x07), &response), TM_OK);
    assert_int_equal(response.fail, EST_CMC_BAD_IDENTITY);
    assert_int_equal(read_status(V2, EST_CMC_FAILED, extended, &response), TM_OK);
    assert_true(response.has_fail);
    assert_int_equal(response.fail, EST_CMC_INTERNAL_CA_ERROR);
    assert_int_equal(read_status(V1, EST_CMC_FAILED, extended, &response), TM_EPARSE);
    for (uint8_t status = 0; status <= EST_CMC_PARTIAL; status++) {
        if (status == 1)
            continue;
        bool waits = status == EST_CMC_PENDING || status == EST_CMC_PARTIAL;
        assert_int_equal(read_status(V2, status, pend, &response), waits ? TM_OK : TM_EPARSE);
        assert_int_equal(read_status(V2, status, fail, &response),
                         status == EST_CMC_FAILED ? TM_OK : TM_EPARSE);
        assert_int_equal(read_status(V2, status, extended, &response),
                         status == EST_CMC_FAILED ? TM_OK : TM_EPARSE);
    }
    assert_int_equal(read_status(V1, EST_CMC_PENDING, pend, &response), TM_OK);
    assert_bytes_equal(response.pend_token, STR("t"));
    assert_int_equal(response.pend_time_ms, PEND_TIME_MS);
    assert_bytes_equal(response.text, STR("x"));
    const struct bytes bad[] = {
        STR("\x30\x03\x02\x01\x04\x30\x13\x04\x00\x18\x0f"
            "20260921141320Z"), /* a token of nothing */
        STR("\x30\x03\x02\x01\x04\x30\x12\x04\x01t\x17\x0d"
            "260921141320Z"), /* UTCTime */
        STR("\x30\x03\x02\x01\x04\x30\x14\x04\x01t\x18\x0f"
            "20261321141320Z"), /* no such month */
        STR("\x30\x03\x02\x01\x04\x30\x16\x04\x01t\x18\x0f"
            "20260921141320Z\x05\x00"),
        STR("\x30\x03\x02\x01\x04\x30\x03\x04\x01t"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_status(V2, EST_CMC_PENDING, bad[i], &response), TM_EPARSE);
}

static void body_lists_may_hold_paths(void **state) {
    (void)state;
    struct est_cmc_response response;
    struct bytes path =
        B(0x30, 0x0b, 0x30, 0x06, 0x02, 0x01, 0x09, 0x02, 0x01, 0x08, 0x02, 0x01, 0x03);
    assert_int_equal(read_status(V2, EST_CMC_SUCCESS, path, &response), TM_OK);
    assert_int_equal(response.part, 9);
    assert_int_equal(read_status(V1, EST_CMC_SUCCESS, path, &response), TM_EPARSE);
    assert_int_equal(read_status(V2, EST_CMC_SUCCESS,
                                 B(0x30, 0x06, 0x02, 0x01, 0x07, 0x02, 0x01, 0x08), &response),
                     TM_OK);
    assert_int_equal(response.part, 7);
    const struct bytes bad[] = {
        STR("\x30\x02\x30\x00"),
        STR("\x30\x05\x30\x03\x04\x01\x01"),
        STR("\x30\x08\x30\x06\x02\x01\x01\x04\x01\x01"),
        STR("\x30\x07\x30\x05\x30\x03\x02\x01\x01"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_status(V2, EST_CMC_SUCCESS, bad[i], &response), TM_EPARSE);
}

/* RFC 5272, 6.1: clients deal with several; the extended ones are preferred. */
static void the_worst_of_several_statuses_counts(void **state) {
    (void)state;
    static const struct {
        uint8_t oids[2], statuses[2];
        enum est_cmc_status expected;
    } cases[] = {
        {{V2, V2}, {EST_CMC_SUCCESS, EST_CMC_FAILED}, EST_CMC_FAILED},
        {{V2, V2}, {EST_CMC_FAILED, EST_CMC_SUCCESS}, EST_CMC_FAILED},
        {{V2, V2}, {EST_CMC_PENDING, EST_CMC_CONFIRM_REQUIRED}, EST_CMC_PENDING},
        {{V2, V2}, {EST_CMC_CONFIRM_REQUIRED, EST_CMC_SUCCESS}, EST_CMC_CONFIRM_REQUIRED},
        {{V2, V2}, {EST_CMC_NO_SUPPORT, EST_CMC_PARTIAL}, EST_CMC_NO_SUPPORT},
        {{V2, V2}, {EST_CMC_PARTIAL, EST_CMC_POP_REQUIRED}, EST_CMC_POP_REQUIRED},
        {{V2, V2}, {EST_CMC_POP_REQUIRED, EST_CMC_FAILED}, EST_CMC_FAILED},
        {{V1, V2}, {EST_CMC_FAILED, EST_CMC_SUCCESS}, EST_CMC_SUCCESS},
        {{V2, V1}, {EST_CMC_SUCCESS, EST_CMC_FAILED}, EST_CMC_SUCCESS},
        {{V1, V1}, {EST_CMC_SUCCESS, EST_CMC_FAILED}, EST_CMC_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t memory[2][128], both[256];
        struct buf controls = BUF_ON(both);
        struct est_cmc_response response;
        for (size_t k = 0; k < 2; k++)
            buf_put(&controls, status_control(cases[i].oids[k], (uint32_t)k + 2,
                                              B(0x02, 0x01, cases[i].statuses[k]), B(LIST),
                                              memory[k], sizeof memory[k]));
        assert_int_equal(read_response(buf_bytes(&controls), NONE, NONE, &response), TM_OK);
        assert_int_equal(response.status, cases[i].expected);
    }
}

static void long_text_is_cut_at_a_character(void **state) {
    (void)state;
    char text[300];
    struct est_cmc_response response = {.has_status = true}, back;
    uint8_t memory[1024];
    for (size_t lead = 0; lead < 4; lead++) {
        struct buf out = BUF_ON(memory), theirs = BUF_ON((uint8_t[512]){0});
        memset(text, 'a', sizeof text);
        for (size_t i = lead; i + 3 <= sizeof text; i += 3)
            memcpy(text + i, "\xe2\x84\x96", 3);
        response.text = (struct bytes){(const uint8_t *)text, lead + 297 / 3 * 3 - 3};
        assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
        assert_int_equal(est_cmc_response_read(buf_bytes(&out), &back), TM_OK);
        size_t expected = lead + (EST_CMC_TEXT_MAX - lead) / 3 * 3;
        assert_bytes_equal(back.text, (struct bytes){(const uint8_t *)text, expected});
        /* a foreign server does not cut */
        struct der_writer w = der_writer_after(&theirs);
        der_put(&w, DER_UTF8_STRING, response.text);
        der_raw(&w, B(LIST));
        assert_int_equal(read_status(V2, EST_CMC_SUCCESS, der_written(&w), &back), TM_OK);
        assert_int_equal(back.text.n, expected);
    }
}

/* What cut a text within a character, or was no text: the refusal goes out all the same. */
static void text_ends_where_it_is_no_text_any_more(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        {"must be M\xc3", 9}, {"must be \xe2\x84", 8}, {"must be \xf0\x9f\x92", 8}, {"a\xff b", 1},
        {"\xff", 0},          {"M\xc3\xbc", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t memory[256];
        struct buf out = BUF_ON(memory);
        struct est_cmc_response back, response = {.has_status = true,
                                                  .status = EST_CMC_FAILED,
                                                  .text = bytes_str(cases[i].text)};
        assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
        assert_int_equal(est_cmc_response_read(buf_bytes(&out), &back), TM_OK);
        assert_bytes_equal(back.text, (struct bytes){response.text.p, cases[i].n});
    }
}

static void responses_are_checked(void **state) {
    (void)state;
    struct est_cmc_response response = {.part = 77};
    assert_int_equal(read_response(NONE, NONE, NONE, &response), TM_OK);
    assert_false(response.has_status);
    response.part = 77;
    assert_int_equal(read_response(B(SENDER(2), SENDER(3)), NONE, NONE, &response), TM_EPARSE);
    assert_int_equal(read_response(B(SENDER(0)), NONE, NONE, &response), TM_EPARSE);
    assert_int_equal(read_response(B(SENDER(2), 0x30, 0x12, 0x02, 0x01, 0x02, CMC(0x07), 0x31, 0x03,
                                     0x04, 0x01, 0xaa),
                                   NONE, NONE, &response),
                     TM_EPARSE);
    assert_int_equal(read_response(B(0x05, 0x00), NONE, NONE, &response), TM_EPARSE);
    assert_int_equal(read_response(NONE, B(0x05, 0x00), NONE, &response), TM_EPARSE);
    assert_int_equal(response.part, 77);
    /* two sequences, as it was before RFC 5272 added the third, and three with something behind */
    assert_int_equal(est_cmc_response_read(B(0x30, 0x04, 0x30, 0x00, 0x30, 0x00), &response),
                     TM_EPARSE);
    assert_int_equal(est_cmc_response_read(
                         B(0x30, 0x08, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00, 0x30, 0x00), &response),
                     TM_EPARSE);
    uint8_t memory[64];
    static const uint8_t oids[] = {0x05, 0x06, 0x07};
    for (size_t i = 0; i < sizeof oids; i++) {
        struct der_writer w = der_writer_on(memory, sizeof memory);
        size_t end = der_mark(&w);
        der_put(&w, DER_NULL, NONE);
        der_wrap(&w, DER_SET, end);
        der_raw(&w, B(CMC(oids[i])));
        der_put_small(&w, 2);
        der_wrap(&w, DER_SEQUENCE, end);
        assert_int_equal(read_response(der_written(&w), NONE, NONE, &response), TM_EPARSE);
    }
}

static void numbers_of_parts_are_bounded(void **state) {
    (void)state;
    uint8_t memory[1024], others[1024];
    struct est_cmc_response response;
    assert_int_equal(
        read_response(unknown_controls(16, memory, sizeof memory), NONE, NONE, &response), TM_OK);
    assert_int_equal(
        read_response(unknown_controls(17, memory, sizeof memory), NONE, NONE, &response),
        TM_ELIMIT);
    struct bytes most = unknown_controls(16, memory, sizeof memory);
    assert_int_equal(read_response(most, messages(16, others, sizeof others), NONE, &response),
                     TM_OK);
    assert_int_equal(read_response(most, messages(17, others, sizeof others), NONE, &response),
                     TM_ELIMIT);
}

static void responses_that_would_not_be_read_are_not_written(void **state) {
    (void)state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response bad[9];
    size_t n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bad[i] = largest_response();
    bad[n++].sender_nonce.n++;
    bad[n++].recipient_nonce.n++;
    bad[n++].transaction.n++;
    bad[n].has_fail = false;
    bad[n].status = EST_CMC_PENDING;
    bad[n].pend_token = STR("t");
    bad[n++].pend_time_ms = INT64_MAX; /* no GeneralizedTime */
    size_t limits = n;
    bad[n++].status = EST_CMC_PENDING; /* and failInfo */
    bad[n++].status = (enum est_cmc_status)1;
    bad[n++].pend_token = STR("t"); /* and failInfo */
    bad[n].has_fail = false;
    bad[n++].pend_token = STR("t"); /* with failed */
    bad[n++].transaction = B(0x00);
    assert_int_equal(n, sizeof bad / sizeof *bad);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(est_cmc_response_write(&bad[i], &out), i < limits ? TM_ELIMIT : TM_EINVAL);
        assert_int_equal(out.n, 0);
    }
}

static enum tm_err read_exact_response(struct bytes in) {
    struct est_cmc_response response = {0};
    uint8_t *exact = malloc(in.n ? in.n : 1);
    assert_non_null(exact);
    if (in.n > 0)
        memcpy(exact, in.p, in.n);
    enum tm_err err = est_cmc_response_read((struct bytes){exact, in.n}, &response);
    if (err == TM_OK)
        assert_true(response.text.n <= EST_CMC_TEXT_MAX);
    free(exact);
    return err;
}

static void damaged_responses_are_read_without_fault(void **state) {
    (void)state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response response = largest_response();
    assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
    damage(&out, read_exact_response);
    out.n = 0;
    response.status = EST_CMC_PENDING;
    response.has_fail = false;
    response.pend_token = STR("t");
    assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
    damage(&out, read_exact_response);
}

static void full_buffers_are_left_as_they_were(void **state) {
    (void)state;
    uint8_t memory[2048];
    const struct est_cmc_response response = largest_response();
    struct bytes challenge = {many, EST_CMC_NONCE_MAX};
    struct buf whole = BUF_ON(memory), offer = BUF_ON(memory);
    assert_int_equal(est_cmc_response_write(&response, &whole), TM_OK);
    assert_int_equal(est_cmc_offer_write(challenge, NONE, &offer), TM_OK);
    for (size_t cap = 0; cap < whole.n; cap++) {
        struct buf out = {memory, cap, 0, false};
        assert_int_equal(est_cmc_response_write(&response, &out), TM_ELIMIT);
        if (cap < offer.n)
            assert_int_equal(est_cmc_offer_write(challenge, NONE, &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
    }
}

static void openssl_names_what_we_write(void **state) {
    (void)state;
    static const char *const names[] = {"id-cmc-transactionId", "id-cmc-senderNonce",
                                        "id-cmc-recipientNonce", "1.3.6.1.5.5.7.7.25"};
    static const char *const offer_names[] = {"pkcs7-signedData", "id-cct-PKIResponse"};
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    const struct est_cmc_response response = largest_response();
    assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
    assert_openssl_names(buf_bytes(&out), names, sizeof names / sizeof *names);
    out.n = 0;
    assert_int_equal(est_cmc_offer_write(STR("challenge"), NONE, &out), TM_OK);
    assert_openssl_names(buf_bytes(&out), offer_names, 2);
}

/* ---- Offers ---- */

static void offers_come_back_as_they_were(void **state) {
    (void)state;
    static const uint8_t certificates[] = {0x30, 0x00, 0x30, 0x02, 0x05, 0x00};
    uint8_t memory[1024];
    for (size_t i = 0; i < 2; i++) {
        struct bytes challenge = {many, i ? 1 : EST_CMC_NONCE_MAX}, back_challenge, back;
        struct bytes in = i ? NONE : BYTES_OF(certificates);
        struct buf out = BUF_ON(memory);
        assert_int_equal(est_cmc_offer_write(challenge, in, &out), TM_OK);
        assert_int_equal(est_cmc_offer_read(buf_bytes(&out), &back_challenge, &back), TM_OK);
        assert_bytes_equal(back_challenge, challenge);
        assert_bytes_equal(back, in);
    }
    struct buf out = BUF_ON(memory);
    assert_int_equal(est_cmc_offer_write(NONE, BYTES_OF(certificates), &out), TM_EINVAL);
    assert_int_equal(est_cmc_offer_write((struct bytes){many, 65}, NONE, &out), TM_ELIMIT);
    assert_int_equal(est_cmc_offer_write((struct bytes){many, 16}, STR("junk"), &out), TM_EINVAL);
    assert_int_equal(out.n, 0);
}

/* The same message but for what makes it none: whoever takes it would forget a refusal. */
static void what_answers_a_request_is_no_offer(void **state) {
    (void)state;
    static const uint8_t digest[32];
    struct bytes nonce = B(0xaa);
    const struct est_cmc_response responses[] = {
        {.sender_nonce = nonce},
        {.sender_nonce = nonce, .has_status = true, .status = EST_CMC_FAILED},
        {.sender_nonce = nonce, .transaction = nonce},
        {.sender_nonce = nonce, .recipient_nonce = nonce},
        {.has_status = false},
    };
    for (size_t i = 0; i < 8; i++) {
        uint8_t content_memory[256], memory[512], attributes_memory[EST_SIGNED_ATTRIBUTES_MAX];
        struct buf content = BUF_ON(content_memory), out = BUF_ON(memory),
                   attributes = BUF_ON(attributes_memory);
        struct bytes challenge = {NULL, 77}, certificates;
        enum pki_oid type = i == 5 ? PKI_OID_CCT_PKI_DATA : PKI_OID_CCT_PKI_RESPONSE;
        assert_int_equal(est_cmc_response_write(&responses[i < 5 ? i : 0], &content), TM_OK);
        assert_int_equal(est_signed_attributes_write(type, BYTES_OF(digest), 0, &attributes),
                         TM_OK);
        const struct est_signed message = {.content_type = type,
                                           .content = i == 7 ? NONE : buf_bytes(&content),
                                           .has_signer = i == 6,
                                           .signer = {.key_id = nonce},
                                           .digest = PKI_OID_SHA256,
                                           .attributes = buf_bytes(&attributes),
                                           .algorithm = B(0x30, 0x03, 0x06, 0x01, 0x2a),
                                           .signature = nonce};
        assert_int_equal(est_signed_write(&message, &out), TM_OK);
        assert_int_equal(est_cmc_offer_read(buf_bytes(&out), &challenge, &certificates),
                         i == 0 ? TM_OK : TM_EPARSE);
        assert_int_equal(challenge.n, i == 0 ? 1 : 77);
    }
    struct bytes challenge, certificates;
    assert_int_equal(est_cmc_offer_read(STR("junk"), &challenge, &certificates), TM_EPARSE);
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_the_octets_of_the_module),
        cmocka_unit_test(responses_come_back_as_they_were),
        cmocka_unit_test(statuses_are_checked),
        cmocka_unit_test(other_info_goes_with_its_status),
        cmocka_unit_test(body_lists_may_hold_paths),
        cmocka_unit_test(the_worst_of_several_statuses_counts),
        cmocka_unit_test(long_text_is_cut_at_a_character),
        cmocka_unit_test(text_ends_where_it_is_no_text_any_more),
        cmocka_unit_test(responses_are_checked),
        cmocka_unit_test(numbers_of_parts_are_bounded),
        cmocka_unit_test(responses_that_would_not_be_read_are_not_written),
        cmocka_unit_test(damaged_responses_are_read_without_fault),
        cmocka_unit_test(full_buffers_are_left_as_they_were),
        cmocka_unit_test(openssl_names_what_we_write),
        cmocka_unit_test(offers_come_back_as_they_were),
        cmocka_unit_test(what_answers_a_request_is_no_offer),
    };
    return cmocka_run_group_tests(tests, fill_many, NULL);
}
