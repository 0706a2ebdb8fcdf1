/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed byte strings, the bounded writer and the bounded reader. */
#include "base/bytes.h"

#include <string.h>

struct bytes bytes_str(const char *s) {
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

bool bytes_equal(struct bytes a, struct bytes b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_equal_secret(struct bytes a, struct bytes b) {
    if (a.n != b.n)
        return false;
    /* volatile: the compiler may not leave the loop at the first difference. */
    volatile uint8_t different = 0;
    for (size_t i = 0; i < a.n; i++)
        different = (uint8_t)(different | (a.p[i] ^ b.p[i]));
    return different == 0;
}

void bytes_wipe(void *p, size_t n) {
    if (n)
        explicit_bzero(p, n);
}

/* The place for n more octets, or NULL after marking the buffer full. */
static uint8_t *buf_claim(struct buf *b, size_t n) {
    if (b->full || n > b->cap - b->n) {
        b->full = true;
        return NULL;
    }
    uint8_t *at = b->p + b->n;
    b->n += n;
    return at;
}

void buf_put(struct buf *b, struct bytes data) {
    if (data.n == 0)
        return;
    uint8_t *at = buf_claim(b, data.n);
    if (at)
        memcpy(at, data.p, data.n);
}

void buf_put_u8(struct buf *b, uint8_t v) {
    uint8_t *at = buf_claim(b, 1);
    if (at)
        *at = v;
}

void buf_put_be(struct buf *b, uint64_t v, size_t width) {
    uint8_t *at = buf_claim(b, width);
    for (size_t i = width; at && i > 0; i--) {
        at[i - 1] = (uint8_t)v;
        v >>= 8;
    }
}

struct bytes buf_bytes(const struct buf *b) {
    return (struct bytes){b->p, b->n};
}

struct bytes reader_take(struct reader *r, size_t n) {
    if (r->bad || n > r->in.n - r->at) {
        r->bad = true;
        return (struct bytes){NULL, 0};
    }
    if (n == 0)
        return (struct bytes){NULL, 0};
    struct bytes taken = {r->in.p + r->at, n};
    r->at += n;
    return taken;
}

uint64_t reader_be(struct reader *r, size_t width) {
    struct bytes b = reader_take(r, width);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return v;
}

size_t reader_left(const struct reader *r) {
    return r->bad ? 0 : r->in.n - r->at;
}

void text_copy(char *ret, size_t cap, const char *text) {
    size_t n = strnlen(text, cap - 1);
    memcpy(ret, text, n);
    ret[n] = '\0';
}
