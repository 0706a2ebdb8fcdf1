/* SPDX-License-Identifier: Apache-2.0 */
/* DER elements, their simple types, object identifiers and names in any octets. */
#include <stdlib.h>
#include <string.h>

#include "pki/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 16

static void require(bool condition) {
    if (!condition)
        abort();
}

/* What is read as an integer is written as it was. */
static void integer_again(const struct der *d) {
    struct bytes magnitude;
    uint8_t memory[4096];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    if (d->value.n > sizeof memory / 2 || der_integer(d, &magnitude))
        return;
    der_put_unsigned(&w, magnitude);
    require(bytes_equal((struct bytes){der_written(&w).p + 1, der_written(&w).n - 1},
                        (struct bytes){d->whole.p + 1, d->whole.n - 1}));
}

static void time_again(const struct der *d) {
    int64_t ms, back;
    uint8_t memory[32];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    struct der written;
    if (der_time(d, &ms))
        return;
    der_put_time(&w, ms);
    struct bytes in = der_written(&w);
    require(der_next(&in, &written) == TM_OK && der_time(&written, &back) == TM_OK && back == ms);
}

static void oid_again(struct bytes content) {
    char text[512];
    uint8_t memory[512];
    struct buf out = BUF_ON(memory);
    (void)pki_oid_find(content);
    if (pki_oid_format(content, text, sizeof text))
        return;
    enum tm_err err = pki_oid_parse(text, &out);
    require(err == TM_ELIMIT || (err == TM_OK && bytes_equal(buf_bytes(&out), content)));
}

static void walk_name(struct bytes name) {
    struct pki_attribute attribute;
    char text[64];
    size_t at = 0, attributes = 0;
    enum tm_err err;
    while ((err = pki_name_next(name, &at, &attribute)) == TM_OK)
        attributes++;
    require((err == TM_ENOTFOUND) == pki_name_valid(name));
    require(attributes > 0 || !pki_name_valid(name) || pki_name_empty(name));
    pki_name_format(name, text, sizeof text);
    require(strlen(text) < sizeof text);
    for (const char *p = text; *p; p++)
        require((unsigned char)*p >= 0x20 && *p != 0x7f);
    if (pki_name_equal(name, name))
        require(pki_name_valid(name));
}

static void walk(struct bytes in, unsigned depth) {
    struct der d;
    while (der_next(&in, &d) == TM_OK) {
        bool flag;
        uint32_t small;
        struct bytes octets;
        require(d.whole.n >= d.value.n + 2 && d.whole.p[0] == d.tag);
        require(d.value.p + d.value.n == d.whole.p + d.whole.n);
        (void)!der_boolean(&d, &flag);
        (void)!der_small(&d, &small);
        (void)!der_bits(&d, &octets);
        integer_again(&d);
        time_again(&d);
        oid_again(d.value);
        walk_name(d.whole);
        if ((d.tag & 0x20) && depth < DEPTH_MAX)
            walk(d.value, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    walk((struct bytes){data, size}, 0);
    return 0;
}
