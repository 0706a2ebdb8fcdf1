/* SPDX-License-Identifier: Apache-2.0 */
/* PKIData: octets computed by hand, what comes back, and each refusal. */
#include "cmc_fixture.h"

static const uint8_t csr[] = {CSR};
/* CN=x */
static const uint8_t name[] = {0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06,
                               0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, 'x'};

static void assert_same_request(const struct est_cmc_request *a, const struct est_cmc_request *b) {
    assert_bytes_equal(a->transaction, b->transaction);
    assert_bytes_equal(a->sender_nonce, b->sender_nonce);
    assert_bytes_equal(a->recipient_nonce, b->recipient_nonce);
    assert_bytes_equal(a->identification, b->identification);
    assert_bytes_equal(a->witness, b->witness);
    assert_int_equal(a->has_label, b->has_label);
    assert_bytes_equal(a->label, b->label);
    assert_bytes_equal(a->accept_issuer, b->accept_issuer);
    assert_bytes_equal(a->accept_serial, b->accept_serial);
    assert_bytes_equal(a->csr, b->csr);
}

static void a_request_is_the_octets_of_the_module(void **state) {
    (void)state;
    static const uint8_t expected[] = {
        0x30, 0x58,                                               /* PKIData */
        0x30, 0x46,                                               /* controlSequence */
        0x30, 0x13, 0x02, 0x01, 0x02, CMC(0x05), 0x31, 0x04,      /* transactionId */
        0x02, 0x02, 0x01, 0x02,                                   /* 258 */
        0x30, 0x15, 0x02, 0x01, 0x03, CMC(0x06), 0x31, 0x06,      /* senderNonce */
        0x04, 0x04, 0xaa, 0xbb, 0xcc, 0xdd,                       /* */
        0x30, 0x18, 0x02, 0x01, 0x07, CMC(0x12), 0x31, 0x09,      /* regInfo */
        0x04, 0x07, 'l',  'a',  'b',  'e',       'l',  '=',  'a', /* */
        0x30, 0x0a, 0xa0, 0x08, 0x02, 0x01,      0x01, CSR,       /* reqSequence: tcr [0] */
        0x30, 0x00,                                               /* cmsSequence */
        0x30, 0x00,                                               /* otherMsgSequence */
    };
    uint8_t memory[256];
    struct buf out = BUF_ON(memory);
    struct est_cmc_request back, request = {.transaction = B(0x01, 0x02),
                                            .sender_nonce = B(0xaa, 0xbb, 0xcc, 0xdd),
                                            .has_label = true,
                                            .label = STR("a"),
                                            .csr = BYTES_OF(csr)};
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), BYTES_OF(expected));
    assert_int_equal(est_cmc_request_read(buf_bytes(&out), &back), TM_OK);
    assert_same_request(&back, &request);
    assert_int_equal(back.part, 1);
    assert_bytes_equal(back.req_sequence, (struct bytes){memory + 74, 12});
    /* what the witness is made of is what stands in the message (RFC 5272, 6.2.1) */
    struct buf sequence = BUF_ON(memory);
    sequence.n = 100;
    assert_int_equal(est_cmc_req_sequence_write(&request, &sequence), TM_OK);
    assert_bytes_equal((struct bytes){memory + 100, sequence.n - 100}, back.req_sequence);
}

static void an_acceptance_is_the_octets_of_the_module(void **state) {
    (void)state;
    static const uint8_t whole[] = {
        0x30, 0x2d,                                          /* PKIData */
        0x30, 0x25,                                          /* controlSequence */
        0x30, 0x23, 0x02, 0x01, 0x08, CMC(0x18), 0x31, 0x14, /* confirmCertAcceptance */
        0x30, 0x12, 0x30, 0x0c, 0x31, 0x0a,      0x30, 0x08, 0x06, 0x03,
        0x55, 0x04, 0x03, 0x0c, 0x01, 'x',       0x02, 0x02, 0x00, 0x81, /* issuerAndSerialNumber */
        0x30, 0x00, 0x30, 0x00, 0x30, 0x00,
    };
    uint8_t memory[256];
    struct buf out = BUF_ON(memory);
    struct est_cmc_request back,
        request = {.accept_issuer = BYTES_OF(name), .accept_serial = B(0x00, 0x81)};
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), BYTES_OF(whole));
    assert_int_equal(est_cmc_request_read(buf_bytes(&out), &back), TM_OK);
    assert_same_request(&back, &request);
    assert_int_equal(back.part, 8);
    assert_false(back.has_label);
}

/* All that a request can hold, as large as it may be. */
static struct est_cmc_request largest(void) {
    return (struct est_cmc_request){.transaction = {many, EST_CMC_TRANSACTION_MAX},
                                    .sender_nonce = {many, EST_CMC_NONCE_MAX},
                                    .recipient_nonce = {many, EST_CMC_NONCE_MAX},
                                    .identification = {many, EST_CMC_ID_MAX},
                                    .witness = {many, 32},
                                    .label = {many, EST_CMC_LABEL_MAX},
                                    .has_label = true,
                                    .csr = BYTES_OF(csr)};
}

static void assert_round_trip(const struct est_cmc_request *request) {
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_request back;
    assert_int_equal(est_cmc_request_write(request, &out), TM_OK);
    assert_int_equal(est_cmc_request_read(buf_bytes(&out), &back), TM_OK);
    assert_same_request(&back, request);
}

static void requests_come_back_as_they_were(void **state) {
    (void)state;
    struct est_cmc_request request = largest();
    assert_round_trip(&request);
    request = (struct est_cmc_request){.csr = BYTES_OF(csr)};
    assert_round_trip(&request);
    request.has_label = true; /* the default label */
    assert_round_trip(&request);
    request.label = STR("a.B_9~-");
    assert_round_trip(&request);
    request.identification = STR("Ger\xc3\xa4t \xe2\x84\x96 7");
    assert_round_trip(&request);
    request.transaction = B(0xff, 0x00);
    assert_round_trip(&request);
    request.csr = (struct bytes){0};
    request.accept_issuer = BYTES_OF(name);
    request.accept_serial = B(0x01);
    assert_round_trip(&request);
    /* a magnitude is a number */
    uint8_t memory[256];
    struct buf out = BUF_ON(memory);
    struct est_cmc_request back;
    request.transaction = B(0x00, 0x00, 0x80);
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    assert_int_equal(est_cmc_request_read(buf_bytes(&out), &back), TM_OK);
    assert_bytes_equal(back.transaction, B(0x80));
}

/* A PKIData of these contents. */
static struct bytes pki_data(struct bytes controls, struct bytes requests, struct bytes messages,
                             struct bytes others, uint8_t *memory, size_t cap) {
    struct der_writer w = der_writer_on(memory, cap);
    size_t end = der_mark(&w);
    der_put(&w, DER_SEQUENCE, others);
    der_put(&w, DER_SEQUENCE, messages);
    der_put(&w, DER_SEQUENCE, requests);
    der_put(&w, DER_SEQUENCE, controls);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return der_written(&w);
}

static enum tm_err read_data(struct bytes controls, struct bytes requests, struct bytes messages,
                             struct bytes others) {
    uint8_t memory[2048];
    struct est_cmc_request request = {.part = 77};
    enum tm_err err = est_cmc_request_read(
        pki_data(controls, requests, messages, others, memory, sizeof memory), &request);
    if (err)
        assert_int_equal(request.part, 77);
    return err;
}

#define ONE_CSR B(0xa0, 0x08, 0x02, 0x01, 0x01, CSR)
#define ACCEPTANCE                                                                                 \
    0x30, 0x16, 0x02, 0x01, 0x09, CMC(0x18), 0x31, 0x07, 0x30, 0x05, 0x30, 0x00, 0x02, 0x01, 0x07

static void the_data_is_checked(void **state) {
    (void)state;
    assert_int_equal(read_data(NONE, ONE_CSR, NONE, NONE), TM_OK);
    assert_int_equal(read_data(B(SENDER(2)), ONE_CSR, NONE, NONE), TM_OK);
    assert_int_equal(read_data(B(ACCEPTANCE), NONE, NONE, NONE), TM_OK);
    /* neither, both, two */
    assert_int_equal(read_data(B(SENDER(2)), NONE, NONE, NONE), TM_EPARSE);
    assert_int_equal(read_data(B(ACCEPTANCE), ONE_CSR, NONE, NONE), TM_EPARSE);
    assert_int_equal(
        read_data(NONE, B(0xa0, 0x08, 0x02, 0x01, 0x01, CSR, 0xa0, 0x08, 0x02, 0x01, 0x02, CSR),
                  NONE, NONE),
        TM_EPARSE);
    /* crm [1], orm [2]; tcr is IMPLICIT; a body part and one SEQUENCE */
    assert_int_equal(read_data(NONE, B(0xa1, 0x08, 0x02, 0x01, 0x01, CSR), NONE, NONE), TM_EPARSE);
    assert_int_equal(read_data(NONE, B(0xa2, 0x08, 0x02, 0x01, 0x01, CSR), NONE, NONE), TM_EPARSE);
    assert_int_equal(read_data(NONE, B(0xa0, 0x0a, 0x30, 0x08, 0x02, 0x01, 0x01, CSR), NONE, NONE),
                     TM_EPARSE);
    assert_int_equal(read_data(NONE, B(0xa0, 0x05, CSR), NONE, NONE), TM_EPARSE);
    assert_int_equal(read_data(NONE, B(0xa0, 0x03, 0x02, 0x01, 0x01), NONE, NONE), TM_EPARSE);
    assert_int_equal(read_data(NONE, B(0xa0, 0x05, 0x02, 0x01, 0x01, 0x31, 0x00), NONE, NONE),
                     TM_EPARSE);
    assert_int_equal(read_data(NONE, B(0xa0, 0x0a, 0x02, 0x01, 0x01, CSR, 0x05, 0x00), NONE, NONE),
                     TM_EPARSE);
}

/* RFC 5272, 3.2.2: unique in one message, and 0 is the message itself. */
static void body_parts_are_unique(void **state) {
    (void)state;
    const struct bytes bad_ids[] = {
        STR("\x02\x01\x00"), STR("\x02\x01\x81"),         STR("\x02\x02\x00\x01"),
        STR("\x04\x01\x01"), STR("\x02\x05\x01\0\0\0\0"), STR("\x02\x00"),
    };
    const struct bytes good_ids[] = {STR("\x02\x01\x01"), STR("\x02\x05\x00\xff\xff\xff\xff")};
    uint8_t memory[64];
    for (size_t i = 0; i < 8; i++) {
        struct der_writer w = der_writer_on(memory, sizeof memory);
        size_t end = der_mark(&w);
        der_raw(&w, BYTES_OF(csr));
        der_raw(&w, i < 6 ? bad_ids[i] : good_ids[i - 6]);
        der_wrap(&w, 0xa0, end);
        assert_int_equal(read_data(NONE, der_written(&w), NONE, NONE), i < 6 ? TM_EPARSE : TM_OK);
    }
    assert_int_equal(read_data(B(SENDER(1)), ONE_CSR, NONE, NONE), TM_EPARSE);
    assert_int_equal(read_data(B(SENDER(0)), ONE_CSR, NONE, NONE), TM_EPARSE);
    /* what no control refers to is passed over (3.2.1), but it has its IDs */
    struct bytes message = B(0x30, 0x05, 0x02, 0x01, 0x05, 0x30, 0x00);
    struct bytes other = B(0x30, 0x03, 0x02, 0x01, 0x06);
    assert_int_equal(read_data(B(SENDER(2)), ONE_CSR, message, other), TM_OK);
    assert_int_equal(read_data(B(SENDER(5)), ONE_CSR, message, other), TM_EPARSE);
    assert_int_equal(read_data(B(SENDER(6)), ONE_CSR, message, other), TM_EPARSE);
    assert_int_equal(read_data(NONE, ONE_CSR, message, message), TM_EPARSE);
    assert_int_equal(read_data(NONE, ONE_CSR, B(0x05, 0x00), NONE), TM_EPARSE);
    assert_int_equal(read_data(NONE, ONE_CSR, NONE, B(0x30, 0x00)), TM_EPARSE);
}

/* One control with this OID and these attrValues, beside a PKCS#10 request. */
static enum tm_err read_control(uint8_t oid, struct bytes values) {
    uint8_t memory[1024];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t end = der_mark(&w);
    der_put(&w, DER_SET, values);
    der_raw(&w, B(CMC(oid)));
    der_put_small(&w, 2);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return read_data(der_written(&w), ONE_CSR, NONE, NONE);
}

static enum tm_err read_string(uint8_t oid, uint8_t tag, struct bytes octets) {
    uint8_t memory[512];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    der_put(&w, tag, octets);
    return read_control(oid, der_written(&w));
}

static void controls_are_checked(void **state) {
    (void)state;
    static const uint8_t nonces[] = {0x06, 0x07};
    for (size_t i = 0; i < 2; i++) {
        uint8_t oid = nonces[i];
        assert_int_equal(read_string(oid, 0x04, (struct bytes){many, 64}), TM_OK);
        assert_int_equal(read_string(oid, 0x04, (struct bytes){many, 65}), TM_ELIMIT);
        assert_int_equal(read_string(oid, 0x04, NONE), TM_EPARSE);
        assert_int_equal(read_string(oid, 0x0c, STR("nonce")), TM_EPARSE);
        assert_int_equal(read_control(oid, NONE), TM_EPARSE);
        assert_int_equal(read_control(oid, B(0x04, 0x01, 0xaa, 0x04, 0x01, 0xaa)), TM_EPARSE);
    }
    /* transactionId */
    assert_int_equal(read_string(0x05, 0x02, (struct bytes){many, 20}), TM_OK);
    assert_int_equal(read_string(0x05, 0x02, (struct bytes){many, 21}), TM_ELIMIT);
    assert_int_equal(read_control(0x05, B(0x02, 0x01, 0x00)), TM_EPARSE);
    assert_int_equal(read_control(0x05, B(0x02, 0x01, 0x81)), TM_EPARSE);
    assert_int_equal(read_control(0x05, B(0x02, 0x02, 0x00, 0x01)), TM_EPARSE);
    assert_int_equal(read_control(0x05, B(0x04, 0x01, 0x01)), TM_EPARSE);
    assert_int_equal(read_control(0x05, NONE), TM_EPARSE);
    /* identification */
    assert_int_equal(read_string(0x02, 0x0c, (struct bytes){many, 64}), TM_OK);
    assert_int_equal(read_string(0x02, 0x0c, (struct bytes){many, 65}), TM_ELIMIT);
    const struct bytes bad[] = {STR("a\0b"),     STR("a\nb"), STR("a\x7f"),
                                STR("\xc2\x85"), STR("\xff"), STR("")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_string(0x02, 0x0c, bad[i]), TM_EPARSE);
    assert_int_equal(read_string(0x02, 0x13, STR("id")), TM_EPARSE);
}

static void reg_info_is_one_label(void **state) {
    (void)state;
    const struct {
        struct bytes octets;
        enum tm_err expected;
    } cases[] = {
        {STR("label="), TM_OK},
        {STR("label=line-7"), TM_OK},
        {STR("label"), TM_EPARSE},
        {STR("Label=a"), TM_EPARSE},
        {STR("version=1"), TM_EPARSE},
        {STR("label=a/b"), TM_EPARSE},
        {STR("label=a\0"), TM_EPARSE},
        {STR("label=\0"), TM_EPARSE},
        {STR("label=fullcmc"), TM_EPARSE},
        {STR("label=.."), TM_EPARSE},
        {STR("label=a b"), TM_EPARSE},
        {STR(""), TM_EPARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_string(0x12, 0x04, cases[i].octets), cases[i].expected);
    uint8_t memory[128] = "label=";
    memset(memory + 6, 'x', sizeof memory - 6);
    assert_int_equal(read_string(0x12, 0x04, (struct bytes){memory, 6 + 64}), TM_OK);
    assert_int_equal(read_string(0x12, 0x04, (struct bytes){memory, 6 + 65}), TM_ELIMIT);
    assert_int_equal(read_string(0x12, 0x0c, STR("label=a")), TM_EPARSE);
}

#define OID_SHA1 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a
#define OID_SHA256 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01
#define OID_HMAC_SHA256 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09

static enum tm_err read_proof(struct bytes hash, struct bytes mac, struct bytes witness,
                              struct bytes end) {
    uint8_t memory[256];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t mark = der_mark(&w);
    der_raw(&w, end);
    der_put(&w, DER_OCTET_STRING, witness);
    der_raw(&w, mac);
    der_raw(&w, hash);
    der_wrap(&w, DER_SEQUENCE, mark);
    return read_control(0x22, der_written(&w));
}

static void identity_proofs_are_hmac_sha256(void **state) {
    (void)state;
    struct bytes hash = B(0x30, 0x0b, OID_SHA256), mac = B(0x30, 0x0a, OID_HMAC_SHA256),
                 witness = {many, 32};
    assert_int_equal(read_proof(hash, mac, witness, NONE), TM_OK);
    assert_int_equal(read_proof(B(0x30, 0x0d, OID_SHA256, 0x05, 0x00),
                                B(0x30, 0x0c, OID_HMAC_SHA256, 0x05, 0x00), witness, NONE),
                     TM_OK);
    assert_int_equal(read_proof(B(0x30, 0x07, OID_SHA1), mac, witness, NONE), TM_EPARSE);
    assert_int_equal(read_proof(hash, hash, witness, NONE), TM_EPARSE);
    assert_int_equal(read_proof(mac, hash, witness, NONE), TM_EPARSE);
    assert_int_equal(read_proof(B(0x30, 0x0e, OID_SHA256, 0x02, 0x01, 0x00), mac, witness, NONE),
                     TM_EPARSE);
    assert_int_equal(read_proof(hash, mac, (struct bytes){many, 31}, NONE), TM_EPARSE);
    assert_int_equal(read_proof(hash, mac, (struct bytes){many, 33}, NONE), TM_EPARSE);
    assert_int_equal(read_proof(hash, mac, witness, B(0x05, 0x00)), TM_EPARSE);
    assert_int_equal(read_proof(hash, NONE, witness, NONE), TM_EPARSE);
    assert_int_equal(read_control(0x22, NONE), TM_EPARSE);
}

static void acceptances_name_one_certificate(void **state) {
    (void)state;
    const struct bytes bad[] = {
        STR("\x30\x00"),
        STR("\x30\x02\x30\x00"),
        STR("\x30\x05\x31\x00\x02\x01\x07"),
        STR("\x30\x07\x30\x02\x05\x00\x02\x01\x07"),
        STR("\x30\x06\x30\x00\x02\x02\x00\x07"),
        STR("\x30\x04\x30\x00\x02\x00"),
        STR("\x30\x07\x30\x00\x02\x01\x07\x05\x00"),
        STR("\x02\x01\x07"),
        STR(""),
    };
    uint8_t memory[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct der_writer w = der_writer_on(memory, sizeof memory);
        size_t end = der_mark(&w);
        der_put(&w, DER_SET, bad[i]);
        der_raw(&w, B(CMC(0x18)));
        der_put_small(&w, 2);
        der_wrap(&w, DER_SEQUENCE, end);
        assert_int_equal(read_data(der_written(&w), NONE, NONE, NONE), TM_EPARSE);
    }
}

/* RFC 5272, 3.2.1.1: the final server fails the whole request. */
static void controls_that_are_not_known_are_refused(void **state) {
    (void)state;
    static const uint8_t oids[] = {0x01, 0x03, 0x04, 0x08, 0x0f, 0x11, 0x15, 0x19, 0x21, 0x63};
    for (size_t i = 0; i < sizeof oids; i++)
        assert_int_equal(read_control(oids[i], B(0x04, 0x01, 0xaa)), TM_EPARSE);
    /* broken ones: no OID, no SET, no SEQUENCE, something behind */
    const struct bytes broken[] = {
        STR("\x30\x06\x02\x01\x02\x31\x01\x05"),
        STR("\x30\x0f\x02\x01\x02\x06\x08\x2b\x06\x01\x05\x05\x07\x07\x06\x30\x00"),
        STR("\x31\x00"),
        STR("\x30\x14\x02\x01\x02\x06\x08\x2b\x06\x01\x05\x05\x07\x07\x06\x31\x03\x04\x01\xaa"
            "\x05\x00"),
        STR("\x30\x09\x02\x01\x02\x06\x02\x80\x01\x31\x00"),
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_int_equal(read_data(broken[i], ONE_CSR, NONE, NONE), TM_EPARSE);
}

/* Each control of a whole request once more, under an ID of its own. */
static void a_control_twice_is_refused(void **state) {
    (void)state;
    struct est_cmc_request requests[] = {
        largest(), {.accept_issuer = BYTES_OF(name), .accept_serial = B(0x01)}};
    size_t seen = 0;
    for (size_t i = 0; i < 2; i++) {
        uint8_t memory[1024], twice[2048];
        struct buf out = BUF_ON(memory);
        struct der data, controls, control;
        assert_int_equal(est_cmc_request_write(&requests[i], &out), TM_OK);
        assert_int_equal(der_only(buf_bytes(&out), DER_SEQUENCE, &data), TM_OK);
        assert_int_equal(der_expect(&data.value, DER_SEQUENCE, &controls), TM_OK);
        for (struct bytes in = controls.value; in.n > 0; seen++) {
            assert_int_equal(der_next(&in, &control), TM_OK);
            struct der_writer w = der_writer_on(twice, sizeof twice);
            size_t end = der_mark(&w);
            der_raw(&w, data.value);
            size_t mark = der_mark(&w);
            der_raw(&w, (struct bytes){control.value.p + 3, control.value.n - 3});
            der_put_small(&w, 100);
            der_wrap(&w, DER_SEQUENCE, mark);
            der_raw(&w, controls.value);
            der_wrap(&w, DER_SEQUENCE, mark);
            der_wrap(&w, DER_SEQUENCE, end);
            struct est_cmc_request request;
            assert_int_equal(est_cmc_request_read(der_written(&w), &request), TM_EPARSE);
        }
    }
    assert_int_equal(seen, 7);
}
static void numbers_of_parts_are_bounded(void **state) {
    (void)state;
    uint8_t memory[1024];
    assert_int_equal(read_data(NONE, ONE_CSR, messages(31, memory, sizeof memory), NONE), TM_OK);
    assert_int_equal(read_data(NONE, ONE_CSR, messages(32, memory, sizeof memory), NONE),
                     TM_ELIMIT);
}

static void what_would_not_be_read_is_not_written(void **state) {
    (void)state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct {
        struct est_cmc_request request;
        enum tm_err expected;
    } bad[16];
    size_t n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bad[i].request = largest();
        bad[i].expected = i < 4 ? TM_ELIMIT : TM_EINVAL;
    }
    bad[n++].request.sender_nonce.n++;
    bad[n++].request.recipient_nonce.n++;
    bad[n++].request.identification.n++;
    bad[n++].request.label.n++;
    bad[n++].request.label = STR("a/b");
    bad[n++].request.identification = STR("\xff");
    bad[n++].request.witness.n--;
    bad[n++].request.csr = NONE;
    bad[n++].request.csr = bytes_str("junk");
    bad[n++].request.csr.n--;
    bad[n++].request.transaction = B(0x00);
    bad[n++].request.accept_issuer = BYTES_OF(name);
    for (size_t i = n; i < sizeof bad / sizeof *bad; i++)
        bad[i].request =
            (struct est_cmc_request){.accept_issuer = BYTES_OF(name), .accept_serial = B(0x01)};
    bad[n++].request.accept_serial = NONE;
    bad[n++].request.accept_serial = B(0x00, 0x01);
    bad[n++].request.accept_issuer = bytes_str("junk");
    bad[n++].request.accept_issuer.n--;
    assert_int_equal(n, sizeof bad / sizeof *bad);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(est_cmc_request_write(&bad[i].request, &out), bad[i].expected);
        assert_int_equal(out.n, 0);
    }
    struct est_cmc_request request = largest();
    request.transaction.n++;
    assert_int_equal(est_cmc_request_write(&request, &out), TM_ELIMIT);
}

static enum tm_err read_exact_request(struct bytes in) {
    struct est_cmc_request request = {0};
    uint8_t *exact = malloc(in.n ? in.n : 1);
    assert_non_null(exact);
    if (in.n > 0)
        memcpy(exact, in.p, in.n);
    enum tm_err err = est_cmc_request_read((struct bytes){exact, in.n}, &request);
    if (err == TM_OK)
        assert_true(request.csr.n > 0 || request.accept_issuer.n > 0);
    free(exact);
    return err;
}

static void damaged_requests_are_read_without_fault(void **state) {
    (void)state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_request request = largest();
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    damage(&out, read_exact_request);
    out.n = 0;
    request = (struct est_cmc_request){.accept_issuer = BYTES_OF(name), .accept_serial = B(0x01)};
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    damage(&out, read_exact_request);
}

static void full_buffers_are_left_as_they_were(void **state) {
    (void)state;
    uint8_t memory[2048];
    const struct est_cmc_request request = largest();
    struct buf whole = BUF_ON(memory), sequence = BUF_ON(memory);
    assert_int_equal(est_cmc_request_write(&request, &whole), TM_OK);
    assert_int_equal(est_cmc_req_sequence_write(&request, &sequence), TM_OK);
    for (size_t cap = 0; cap < whole.n; cap++) {
        struct buf out = {memory, cap, 0, false};
        assert_int_equal(est_cmc_request_write(&request, &out), TM_ELIMIT);
        if (cap < sequence.n)
            assert_int_equal(est_cmc_req_sequence_write(&request, &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
    }
}

static void openssl_names_what_we_write(void **state) {
    (void)state;
    static const char *const names[] = {"id-cmc-transactionId",  "id-cmc-senderNonce",
                                        "id-cmc-recipientNonce", "id-cmc-identification",
                                        "1.3.6.1.5.5.7.7.34",    "sha256",
                                        "hmacWithSHA256",        "id-cmc-regInfo"};
    static const char *const acceptance_names[] = {"id-cmc-confirmCertAcceptance", "commonName"};
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_request request = largest();
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    assert_openssl_names(buf_bytes(&out), names, sizeof names / sizeof *names);
    out.n = 0;
    request = (struct est_cmc_request){.accept_issuer = BYTES_OF(name), .accept_serial = B(0x01)};
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    assert_openssl_names(buf_bytes(&out), acceptance_names, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_the_octets_of_the_module),
        cmocka_unit_test(an_acceptance_is_the_octets_of_the_module),
        cmocka_unit_test(requests_come_back_as_they_were),
        cmocka_unit_test(the_data_is_checked),
        cmocka_unit_test(body_parts_are_unique),
        cmocka_unit_test(controls_are_checked),
        cmocka_unit_test(reg_info_is_one_label),
        cmocka_unit_test(identity_proofs_are_hmac_sha256),
        cmocka_unit_test(acceptances_name_one_certificate),
        cmocka_unit_test(controls_that_are_not_known_are_refused),
        cmocka_unit_test(a_control_twice_is_refused),
        cmocka_unit_test(numbers_of_parts_are_bounded),
        cmocka_unit_test(what_would_not_be_read_is_not_written),
        cmocka_unit_test(damaged_requests_are_read_without_fault),
        cmocka_unit_test(full_buffers_are_left_as_they_were),
        cmocka_unit_test(openssl_names_what_we_write),
    };
    return cmocka_run_group_tests(tests, fill_many, NULL);
}
