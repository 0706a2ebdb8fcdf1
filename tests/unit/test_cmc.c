/* SPDX-License-Identifier: Apache-2.0 */
/* PKIData, PKIResponse and offers: octets computed by hand, what comes back, and each refusal. */
#include "pki_fixture.h"

#include <openssl/asn1.h>

#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"
#include "pki/der.h"

#define B(...) BYTES_OF(((const uint8_t[]){__VA_ARGS__}))
#define STR(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})
#define CMC(n) 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x07, (n)
#define CSR 0x30, 0x03, 0x02, 0x01, 0x05

static uint8_t many[300]; /* n for nothing in particular: valid in each string */
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

static void assert_same_response(const struct est_cmc_response *a,
                                 const struct est_cmc_response *b) {
    assert_bytes_equal(a->transaction, b->transaction);
    assert_bytes_equal(a->sender_nonce, b->sender_nonce);
    assert_bytes_equal(a->recipient_nonce, b->recipient_nonce);
    assert_int_equal(a->has_status, b->has_status);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->part, b->part);
    assert_bytes_equal(a->text, b->text);
    assert_int_equal(a->has_fail, b->has_fail);
    assert_int_equal(a->fail, b->fail);
    assert_bytes_equal(a->pend_token, b->pend_token);
    assert_int_equal(a->pend_time_ms, b->pend_time_ms);
}

/* ---- Requests ---- */

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

#define NONE ((struct bytes){0})
#define ONE_CSR B(0xa0, 0x08, 0x02, 0x01, 0x01, CSR)
#define SENDER(part) 0x30, 0x12, 0x02, 0x01, (part), CMC(0x06), 0x31, 0x03, 0x04, 0x01, 0xaa
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

/* n controls of an unknown type with IDs from 2 on. */
static struct bytes unknown_controls(size_t n, uint8_t *memory, size_t cap) {
    struct der_writer w = der_writer_on(memory, cap);
    for (size_t i = n; i > 0; i--) {
        size_t end = der_mark(&w);
        der_put(&w, DER_SET, NONE);
        der_raw(&w, B(CMC(0x63)));
        der_put_small(&w, (uint32_t)i + 1);
        der_wrap(&w, DER_SEQUENCE, end);
    }
    assert_false(w.full);
    return der_written(&w);
}

static struct bytes messages(size_t n, uint8_t *memory, size_t cap) {
    struct der_writer w = der_writer_on(memory, cap);
    for (size_t i = n; i > 0; i--) {
        size_t end = der_mark(&w);
        der_put_small(&w, (uint32_t)i + 100);
        der_wrap(&w, DER_SEQUENCE, end);
    }
    assert_false(w.full);
    return der_written(&w);
}

static enum tm_err read_response(struct bytes controls, struct bytes messages_, struct bytes others,
                                 struct est_cmc_response *ret) {
    static uint8_t memory[4096];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t end = der_mark(&w);
    der_put(&w, DER_SEQUENCE, others);
    der_put(&w, DER_SEQUENCE, messages_);
    der_put(&w, DER_SEQUENCE, controls);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return est_cmc_response_read(der_written(&w), ret);
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
    assert_int_equal(read_data(NONE, ONE_CSR, messages(31, others, sizeof others), NONE), TM_OK);
    assert_int_equal(read_data(NONE, ONE_CSR, messages(32, others, sizeof others), NONE),
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

/* Cuts are refused, octets changed are read without fault, nothing may follow. */
static void damage(struct buf *message, enum tm_err (*read)(struct bytes)) {
    static const uint8_t flips[] = {0x01, 0x20, 0x80, 0x81, 0xff};
    for (size_t n = 0; n < message->n; n++)
        assert_int_equal(read((struct bytes){message->p, n}), TM_EPARSE);
    for (size_t i = 0; i < message->n * sizeof flips; i++) {
        uint8_t *octet = &message->p[i / sizeof flips], kept = *octet;
        *octet ^= flips[i % sizeof flips];
        (void)read(buf_bytes(message));
        *octet = kept;
    }
    assert_int_equal(read(buf_bytes(message)), TM_OK);
    buf_put_u8(message, 0);
    assert_int_equal(read(buf_bytes(message)), TM_EPARSE);
}

/* ---- Responses ---- */

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

static void responses_that_would_not_be_read_are_not_written(void **state) {
    (void)state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response bad[10];
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
    bad[n++].text = STR("\xff");
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

static void damaged_messages_are_read_without_fault(void **state) {
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
    out.n = 0;
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
    const struct est_cmc_request request = largest();
    const struct est_cmc_response response = largest_response();
    struct bytes challenge = {many, EST_CMC_NONCE_MAX};
    struct buf whole[4] = {BUF_ON(memory), BUF_ON(memory), BUF_ON(memory), BUF_ON(memory)};
    assert_int_equal(est_cmc_request_write(&request, &whole[0]), TM_OK);
    assert_int_equal(est_cmc_response_write(&response, &whole[1]), TM_OK);
    assert_int_equal(est_cmc_req_sequence_write(&request, &whole[2]), TM_OK);
    assert_int_equal(est_cmc_offer_write(challenge, NONE, &whole[3]), TM_OK);
    for (size_t i = 0; i < 4; i++) {
        for (size_t cap = 0; cap < whole[i].n; cap++) {
            struct buf out = {memory, cap, 0, false};
            enum tm_err err = i == 0   ? est_cmc_request_write(&request, &out)
                              : i == 1 ? est_cmc_response_write(&response, &out)
                              : i == 2 ? est_cmc_req_sequence_write(&request, &out)
                                       : est_cmc_offer_write(challenge, NONE, &out);
            assert_int_equal(err, TM_ELIMIT);
            assert_int_equal(out.n, 0);
        }
    }
}

/* OpenSSL has no CMC, but it knows the controls' names and takes DER apart. */
static void openssl_names_what_we_write(void **state) {
    (void)state;
    static const char *const names[] = {
        "id-cmc-transactionId",  "id-cmc-senderNonce",           "id-cmc-recipientNonce",
        "id-cmc-identification", "1.3.6.1.5.5.7.7.34",           "id-cmc-regInfo",
        "hmacWithSHA256",        "id-cmc-confirmCertAcceptance", "1.3.6.1.5.5.7.7.25"};
    uint8_t memory[2048];
    char *text;
    struct buf out = BUF_ON(memory);
    BIO *dump = BIO_new(BIO_s_mem());
    const struct est_cmc_request request = largest(), acceptance = {.accept_issuer = BYTES_OF(name),
                                                                    .accept_serial = B(0x01)};
    const struct est_cmc_response response = largest_response();
    assert_int_equal(est_cmc_request_write(&request, &out), TM_OK);
    assert_int_equal(est_cmc_request_write(&acceptance, &out), TM_OK);
    assert_int_equal(est_cmc_response_write(&response, &out), TM_OK);
    assert_int_equal(ASN1_parse_dump(dump, memory, (long)out.n, 0, 0), 1);
    assert_true(BIO_write(dump, "", 1) == 1);
    assert_true(BIO_get_mem_data(dump, &text) > 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(strstr(text, names[i]));
    BIO_free(dump);
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

static int fill_many(void **state) {
    (void)state;
    memset(many, 'n', sizeof many);
    return 0;
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
        cmocka_unit_test(responses_are_the_octets_of_the_module),
        cmocka_unit_test(responses_come_back_as_they_were),
        cmocka_unit_test(statuses_are_checked),
        cmocka_unit_test(other_info_goes_with_its_status),
        cmocka_unit_test(body_lists_may_hold_paths),
        cmocka_unit_test(the_worst_of_several_statuses_counts),
        cmocka_unit_test(long_text_is_cut_at_a_character),
        cmocka_unit_test(responses_are_checked),
        cmocka_unit_test(responses_that_would_not_be_read_are_not_written),
        cmocka_unit_test(damaged_messages_are_read_without_fault),
        cmocka_unit_test(full_buffers_are_left_as_they_were),
        cmocka_unit_test(openssl_names_what_we_write),
        cmocka_unit_test(offers_come_back_as_they_were),
        cmocka_unit_test(what_answers_a_request_is_no_offer),
    };
    return cmocka_run_group_tests(tests, fill_many, NULL);
}
