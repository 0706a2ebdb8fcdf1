/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocation filters of any octets, asked about certificates of any octets. The hash is always zero
 * here and signatures are good or bad by a hash of what they are about, so that inputs get beyond
 * both.
 *
 * Input: two octets of length, so many octets of the issuer's certificate, the same for the
 * certificate that is asked about, then the file.
 */
#include <string.h>

#include "client/filter.h"
#include "client/verify_facts.h"
#include "pki/filter.h"
#include "verify_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1893456000000) /* 2030-01-01 */

static enum tm_err zero_hash(void *self, const struct bytes *parts, size_t count,
                             uint8_t ret[TM_SHA256_SIZE]) {
    (void)self, (void)parts, (void)count;
    memset(ret, 0, TM_SHA256_SIZE);
    return TM_OK;
}

/* Whatever a body that was checked says about a serial, it says it twice. */
static void look_up(const struct pki_filter_header *header, struct bytes body) {
    uint8_t serial[PKI_FILTER_SERIAL_SIZE] = {0};
    for (unsigned i = 0; i < 64; i++) {
        memset(serial, (int)(i * 37), sizeof serial);
        serial[i % sizeof serial] ^= (uint8_t)(header->seed >> i % 8);
        bool first = pki_filter_revoked(header, body, serial);
        require(first == pki_filter_revoked(header, body, serial));
        require(header->buckets > 0 || first == (header->inverted != 0));
    }
}

static void try_parts(struct bytes file) {
    uint8_t memory[PKI_FILTER_HEADER_MAX];
    struct buf out = BUF_ON(memory);
    struct pki_filter_file parts;
    struct pki_filter_header header;
    if (pki_filter_file_read(file, &parts))
        return;
    require(parts.header.n + 2 + parts.signature.n + parts.body.n == file.n);
    if (pki_filter_header_read(parts.header, &header))
        return;
    require(pki_filter_header_write(&header, &out) == TM_OK);
    require(bytes_equal(buf_bytes(&out), parts.header));
    if (pki_filter_body_check(&header, parts.body) == TM_OK)
        look_up(&header, parts.body);
}

/* It was said to be good, or revoked: is all true that this takes? */
static void check_answer(const struct tm_crypto *crypto, const struct tm_filter *filter,
                         struct bytes issuer, struct bytes certificate,
                         enum tm_filter_answer answer) {
    struct tm_facts ca, leaf;
    require(tm_facts_read(issuer, &ca) == TM_OK && tm_facts_read(certificate, &leaf) == TM_OK);
    require(bytes_equal(leaf.issuer_key_id, ca.key_id) && leaf.issuer_key_id.n > 0);
    require(leaf.serial.n == PKI_FILTER_SERIAL_SIZE);
    require(crypto->verify(crypto->self, ca.spki, leaf.algorithm, leaf.tbs, leaf.signature) ==
            TM_OK);
    if (answer == TM_FILTER_GOOD)
        require(filter->made_ms <= NOW_MS && NOW_MS <= filter->next_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_crypto fuzz;
    (void)fuzz_crypto_init(&fuzz);
    fuzz.table.sha256 = zero_hash;
    struct reader in = {.in = {data, size}};
    struct bytes issuer = reader_take(&in, (size_t)reader_be(&in, 2));
    struct bytes certificate = reader_take(&in, (size_t)reader_be(&in, 2));
    struct bytes file = reader_take(&in, reader_left(&in));
    if (in.bad)
        return 0;
    try_parts(file);
    struct tm_filter filter = {.number = 99};
    const char *why = NULL;
    if (tm_filter_open(&filter, &fuzz.table, file, issuer)) {
        require(filter.number == 99 && filter.body.p == NULL);
        return 0;
    }
    enum tm_filter_answer answer =
        tm_filter_ask(&filter, &fuzz.table, NOW_MS, 0, certificate, &why);
    require(why != NULL && *why != '\0');
    if (answer != TM_FILTER_UNKNOWN)
        check_answer(&fuzz.table, &filter, issuer, certificate, answer);
    return 0;
}
