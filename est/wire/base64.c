/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 and PEM armour (RFC 4648, 4; RFC 7468, 2). */
#include "est/wire/base64.h"

#include <string.h>

#define PAD 0x40
#define SPACE 0x41
#define BAD 0x42

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value of each ASCII character. */
static const uint8_t values[128] = {
    /* clang-format off */
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, SPACE, SPACE, BAD, BAD, SPACE, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    SPACE, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, 62, BAD, BAD, BAD, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, BAD, BAD, BAD, PAD, BAD, BAD,
    BAD, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, BAD, BAD, BAD, BAD, BAD,
    BAD, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, BAD, BAD, BAD, BAD, BAD,
    /* clang-format on */
};

/* What is read of the four characters that make up to three octets. */
struct quantum {
    uint32_t bits;
    unsigned digits;
    unsigned padding;
};

static enum tm_err take_digit(struct quantum *q, uint8_t value, struct buf *out) {
    if (q->padding > 0)
        return TM_EPARSE; /* data after padding */
    q->bits = q->bits << 6 | value;
    if (++q->digits == 4) {
        buf_put_be(out, q->bits, 3);
        *q = (struct quantum){0};
    }
    return TM_OK;
}

/* RFC 4648, 4: padding stands for the third and fourth character only. */
static enum tm_err take_padding(struct quantum *q) {
    q->padding++;
    return q->digits < 2 || q->digits + q->padding > 4 ? TM_EPARSE : TM_OK;
}

/* RFC 4648, 3.2 and 3.5: the padding is there, and the bits that make no octet are zero. */
static enum tm_err finish(const struct quantum *q, struct buf *out) {
    if (q->digits == 0)
        return TM_OK;
    if (q->digits + q->padding != 4)
        return TM_EPARSE;
    unsigned unused = 2 * q->padding;
    if (q->bits & ((1u << unused) - 1))
        return TM_EPARSE;
    buf_put_be(out, q->bits >> unused, q->digits - 1);
    return TM_OK;
}

enum tm_err est_base64_decode(struct bytes text, struct buf *out) {
    struct quantum q = {0};
    struct buf b = *out;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < text.n && err == TM_OK; i++) {
        uint8_t value = text.p[i] < sizeof values ? values[text.p[i]] : BAD;
        if (value < PAD)
            err = take_digit(&q, value, &b);
        else if (value == PAD)
            err = take_padding(&q);
        else if (value == BAD)
            err = TM_EPARSE;
    }
    if (err == TM_OK)
        err = finish(&q, &b);
    if (err == TM_OK && b.full)
        err = TM_ELIMIT;
    if (err == TM_OK)
        *out = b;
    return err;
}

static bool is_space(uint8_t c) {
    return c < sizeof values && values[c] == SPACE;
}

static struct bytes trim(struct bytes text) {
    for (; text.n > 0 && is_space(text.p[0]); text.n--)
        text.p++;
    while (text.n > 0 && is_space(text.p[text.n - 1]))
        text.n--;
    return text;
}

static bool starts_with(struct bytes text, struct bytes prefix) {
    return text.n >= prefix.n && memcmp(text.p, prefix.p, prefix.n) == 0;
}

/* The first line of *text without its end, which *text then begins behind. */
static struct bytes take_line(struct bytes *text) {
    size_t n = 0;
    while (n < text->n && text->p[n] != '\r' && text->p[n] != '\n')
        n++;
    struct bytes line = {text->p, n};
    text->p += n;
    text->n -= n;
    return trim(line);
}

/* The label of "-----BEGIN label-----" or "-----END label-----". Empty: not such a line. */
static struct bytes armour_label(struct bytes line, const char *opening) {
    struct bytes head = bytes_str(opening), dashes = bytes_str("-----");
    if (!starts_with(line, head) || line.n <= head.n + dashes.n ||
        memcmp(line.p + line.n - dashes.n, dashes.p, dashes.n) != 0)
        return (struct bytes){0};
    return (struct bytes){line.p + head.n, line.n - head.n - dashes.n};
}

/* The last line of *text, which then ends before it. */
static struct bytes take_last_line(struct bytes *text) {
    size_t n = text->n;
    while (n > 0 && text->p[n - 1] != '\r' && text->p[n - 1] != '\n')
        n--;
    struct bytes line = {text->p + n, text->n - n};
    text->n = n;
    return line;
}

enum tm_err est_base64_decode_lenient(struct bytes text, struct buf *out) {
    struct bytes inside = trim(text);
    if (!starts_with(inside, bytes_str("-----BEGIN ")))
        return est_base64_decode(text, out);
    struct bytes begin = armour_label(take_line(&inside), "-----BEGIN ");
    struct bytes end = armour_label(take_last_line(&inside), "-----END ");
    if (begin.n == 0 || !bytes_equal(begin, end))
        return TM_EPARSE;
    return est_base64_decode(inside, out);
}

size_t est_base64_size(size_t n, size_t wrap) {
    if (n > SIZE_MAX / 4)
        return SIZE_MAX; /* more than any buffer holds */
    size_t characters = (n + 2) / 3 * 4;
    size_t lines = wrap ? (characters + wrap - 1) / wrap : 0;
    return characters + lines;
}

/* The four characters for up to three octets. */
static void encode_quantum(const uint8_t *p, size_t n, char ret[4]) {
    uint32_t bits = (uint32_t)p[0] << 16;
    if (n > 1)
        bits |= (uint32_t)p[1] << 8;
    if (n > 2)
        bits |= p[2];
    for (unsigned i = 0; i < 4; i++)
        ret[i] = alphabet[bits >> (18 - 6 * i) & 63];
    for (size_t i = n + 1; i < 4; i++)
        ret[i] = '=';
}

enum tm_err est_base64_encode(struct bytes data, size_t wrap, struct buf *out) {
    if (out->full || est_base64_size(data.n, wrap) > out->cap - out->n)
        return TM_ELIMIT;
    size_t column = 0;
    uint8_t *at = out->p + out->n;
    for (size_t i = 0; i < data.n; i += 3) {
        char characters[4];
        encode_quantum(data.p + i, data.n - i < 3 ? data.n - i : 3, characters);
        for (size_t k = 0; k < 4; k++) {
            *at++ = (uint8_t)characters[k];
            if (++column == wrap) {
                *at++ = '\n';
                column = 0;
            }
        }
    }
    if (wrap && column > 0)
        *at++ = '\n';
    out->n = (size_t)(at - out->p);
    return TM_OK;
}
