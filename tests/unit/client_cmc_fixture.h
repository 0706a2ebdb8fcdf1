/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of CMC's two contents share: controls octet by octet, and damage. */
#ifndef TOUCHMARK_TESTS_CLIENT_CMC_FIXTURE_H
#define TOUCHMARK_TESTS_CLIENT_CMC_FIXTURE_H

#include "pki_fixture.h"

#include <openssl/asn1.h>

#include "est/wire/cmc.h"
#include "pki/der.h"

#define B(...) BYTES_OF(((const uint8_t[]){__VA_ARGS__}))
#define STR(literal) ((struct bytes){(const uint8_t *)(literal), sizeof(literal) - 1})
#define CMC(n) 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x07, (n)
#define CSR 0x30, 0x03, 0x02, 0x01, 0x05
#define NONE ((struct bytes){0})
#define SENDER(part) 0x30, 0x12, 0x02, 0x01, (part), CMC(0x06), 0x31, 0x03, 0x04, 0x01, 0xaa

static uint8_t many[300]; /* n for nothing in particular: valid in each string */

UNUSED static int fill_many(void **state) {
    (void)state;
    memset(many, 'n', sizeof many);
    return 0;
}

/* n controls of an unknown type with IDs from 2 on. */
UNUSED static struct bytes unknown_controls(size_t n, uint8_t *memory, size_t cap) {
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

/* n members of cmsSequence or otherMsgSequence. */
UNUSED static struct bytes messages(size_t n, uint8_t *memory, size_t cap) {
    struct der_writer w = der_writer_on(memory, cap);
    for (size_t i = n; i > 0; i--) {
        size_t end = der_mark(&w);
        der_put_small(&w, (uint32_t)i + 100);
        der_wrap(&w, DER_SEQUENCE, end);
    }
    assert_false(w.full);
    return der_written(&w);
}

/* Cuts are refused, octets changed are read without fault, nothing may follow. */
UNUSED static void damage(struct buf *message, enum tm_err (*read)(struct bytes)) {
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

/* OpenSSL has no CMC, but it knows the controls' names and takes DER apart. */
UNUSED static void assert_openssl_names(struct bytes message, const char *const *names, size_t n) {
    char *text;
    BIO *dump = BIO_new(BIO_s_mem());
    assert_int_equal(ASN1_parse_dump(dump, message.p, (long)message.n, 0, 0), 1);
    assert_true(BIO_write(dump, "", 1) == 1);
    assert_true(BIO_get_mem_data(dump, &text) > 0);
    for (size_t i = 0; i < n; i++)
        assert_non_null(strstr(text, names[i]));
    BIO_free(dump);
}

#endif
