/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device asks with a fixed key, nonce and transactionId, and any octets are taken as an offer and
 * as the response, with any octets as trust anchors. Hashes are all alike, and signatures are good
 * or bad by a hash of what they are about, so that the input gets past both.
 *
 * Input: flags, two octets of length, so many octets of the anchors (which are the slot's chain,
 * too), then the message.
 */
#include <string.h>

#include "client/cmc.h"
#include "client/request.h"
#include "client/verify_path.h"
#include "est/wire/certs_only.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"
#include "verify_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WITH_TIME 0x01
#define WITH_SLOT 0x02 /* the slot signs; else the requested key, with the secret */
#define CONFIRM 0x04   /* PROBE */
#define OWN_CHALLENGE 0x08
#define NOW_MS INT64_C(1893456000000) /* 2030-01-01 */
#define HASH_OCTET 0xd1
#define NONCE_OCTET 0x4e
/* For the signer, and for the certificate. */
#define VERIFIED_MAX (2 * TM_PATH_SIGNATURES)

/* The base point of P-256, which is a key like any other. */
static const uint8_t spki[TM_SPKI_MAX] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1,
    0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe,
    0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
    0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
};

struct device {
    struct fuzz_crypto fuzz;
    struct tm_crypto crypto;
    struct tm_keys keys;
    struct tm_storage storage;
    struct bytes anchors;
    struct tm_cmc cmc;
    uint8_t work[TM_CMC_WORK_SIZE];
    uint8_t pkcs10[512], request[TM_CMC_REQUEST_MAX], out[TM_CMC_RESPONSE_MAX + 64];
};

static enum tm_err all_alike(void *self, const struct bytes *parts, size_t count,
                             uint8_t ret[TM_SHA256_SIZE]) {
    (void)self;
    require(parts && count > 0);
    memset(ret, HASH_OCTET, TM_SHA256_SIZE);
    return TM_OK;
}

static enum tm_err no_chance(void *self, uint8_t *ret, size_t n) {
    (void)self;
    memset(ret, NONCE_OCTET, n);
    return TM_OK;
}

static enum tm_err sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                        struct buf *out) {
    (void)self;
    (void)bank;
    buf_put(out, (struct bytes){digest, TM_SHA256_SIZE});
    return TM_OK;
}

static enum tm_err read_item(void *self, enum tm_item item, struct buf *out) {
    const struct device *device = self;
    struct bytes credential = {(const uint8_t *)"pump-17\0secret", 14};
    buf_put(out, item == TM_ITEM_BOOTSTRAP ? credential : device->anchors);
    return out->full ? TM_ELIMIT : TM_OK;
}

static void start(struct device *device, struct bytes anchors) {
    (void)fuzz_crypto_init(&device->fuzz);
    device->crypto = device->fuzz.table;
    device->crypto.self = &device->fuzz;
    device->crypto.sha256 = all_alike;
    device->crypto.random = no_chance;
    device->keys = (struct tm_keys){.version = TM_TABLE_VERSION, .self = device, .sign = sign};
    device->storage =
        (struct tm_storage){.version = TM_TABLE_VERSION, .self = device, .read = read_item};
    device->anchors = anchors;
    const struct tm_cmc_config config = {"pump-17", &device->keys, &device->storage,
                                         &device->crypto};
    require(tm_cmc_init(&device->cmc, &config, device->work, sizeof device->work) == TM_OK);
}

static struct bytes write_pkcs10(struct device *device) {
    uint8_t memory[256];
    struct buf info = BUF_ON(memory), out = BUF_ON(device->pkcs10);
    const struct tm_request request = {
        .device_id = "pump-17", .spki = BYTES_OF(spki), .key_id = bytes_str("key")};
    require(tm_request_info(&request, &info) == TM_OK);
    require(tm_request_finish(buf_bytes(&info), bytes_str("signature"), &out) == TM_OK);
    return buf_bytes(&out);
}

static struct tm_exchange exchange_of(struct device *device, uint8_t flags) {
    bool slot = flags & (WITH_SLOT | CONFIRM);
    return (struct tm_exchange){.operation = flags & CONFIRM ? TM_OP_PROBE : TM_OP_ENROLL,
                                .label = "",
                                .slot = slot ? TM_SLOT_CURRENT : TM_SLOT_NONE,
                                .secret = !slot,
                                .body = write_pkcs10(device)};
}

/* What the library writes, the server's reader takes. */
static bool ask(struct device *device, const struct tm_exchange *exchange) {
    struct buf out = BUF_ON(device->request);
    struct est_signed message;
    struct est_cmc_request request;
    if (tm_cmc_request(&device->cmc, exchange, &out)) {
        require(out.n == 0);
        return false;
    }
    require(est_signed_read(buf_bytes(&out), &message) == TM_OK);
    require(est_cmc_request_read(message.content, &request) == TM_OK);
    require(request.sender_nonce.n == TM_CMC_NONCE_SIZE);
    return true;
}

static void check_certificate(struct device *device, struct bytes body) {
    struct bytes certificates;
    struct tm_facts facts;
    char text[TM_TEXT_MAX];
    require(est_certs_only_read(body, &certificates) == TM_OK);
    require(tm_facts_next(&certificates, &facts) == TM_OK && certificates.n == 0);
    require(bytes_equal(facts.spki, BYTES_OF(spki)));
    require(tm_verify_path(&device->crypto, 0, device->anchors, facts.whole, text) == TM_OK);
}

static void check_taken(struct device *device, const struct tm_exchange *exchange,
                        struct bytes message, const struct tm_answer *answer,
                        const struct buf *out) {
    require(memmem(message.p, message.n, device->cmc.nonce, TM_CMC_NONCE_SIZE));
    require(memchr(answer->text, '\0', sizeof answer->text));
    require(answer->result == TM_RESULT_OK || answer->text[0] != '\0');
    require(answer->result == TM_RESULT_OK || answer->result == TM_RESULT_LATER ||
            answer->result == TM_RESULT_DENIED || answer->result == TM_RESULT_REFUSED);
    require(!device->cmc.asked);
    bool issued = answer->result == TM_RESULT_OK && exchange->operation == TM_OP_ENROLL;
    require(issued == (out->n > 0) && answer->body.n == out->n);
    if (issued)
        check_certificate(device, answer->body);
}

static void judge(struct device *device, const struct tm_exchange *exchange, int64_t wall_ms,
                  struct bytes message) {
    struct buf out = BUF_ON(device->out);
    struct tm_answer answer, before;
    memset(&before, 0xa5, sizeof before);
    answer = before;
    device->fuzz.verified = 0;
    enum tm_err err = tm_cmc_response(&device->cmc, exchange, wall_ms, message, &out, &answer);
    require(device->fuzz.verified <= VERIFIED_MAX);
    if (err == TM_OK) {
        check_taken(device, exchange, message, &answer, &out);
        return;
    }
    require(out.n == 0 && device->cmc.asked);
    if (err == TM_EDENIED) {
        require(memchr(answer.text, '\0', sizeof answer.text) && answer.text[0] != '\0');
        memcpy(answer.text, before.text, sizeof answer.text);
    }
    require(memcmp(&answer, &before, sizeof answer) == 0);
}

static void take_offer(struct device *device, struct bytes message) {
    struct buf out = BUF_ON(device->out);
    struct bytes certificates;
    enum tm_err err = tm_cmc_offer(&device->cmc, message, &out);
    require(tm_cmc_ready(&device->cmc) == (err == TM_OK));
    require(err ? out.n == 0 : est_certs_only_read(buf_bytes(&out), &certificates) == TM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct device device;
    struct reader in = {.in = {data, size}};
    uint8_t flags = (uint8_t)reader_be(&in, 1);
    struct bytes anchors = reader_take(&in, (size_t)reader_be(&in, 2));
    struct bytes message = reader_take(&in, reader_left(&in));
    if (in.bad)
        return 0;
    start(&device, anchors);
    take_offer(&device, message);
    if (flags & OWN_CHALLENGE)
        memset(device.cmc.challenge, 'c', device.cmc.challenge_n = sizeof device.cmc.challenge);
    struct tm_exchange exchange = exchange_of(&device, flags);
    if (ask(&device, &exchange))
        judge(&device, &exchange, flags & WITH_TIME ? NOW_MS : 0, message);
    return 0;
}
