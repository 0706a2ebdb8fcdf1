/* SPDX-License-Identifier: Apache-2.0 */
/* Writing DER, back to front. */
#include <string.h>

#include "pki/der.h"
#include "pki/time.h"

#define LENGTH_BITS 32 /* what der_next reads back */

struct der_writer der_writer_on(uint8_t *p, size_t cap) {
    return (struct der_writer){.p = p, .cap = cap, .at = cap};
}

struct der_writer der_writer_after(const struct buf *out) {
    struct der_writer w = der_writer_on(out->p + out->n, out->cap - out->n);
    w.full = out->full;
    return w;
}

enum tm_err der_append(const struct der_writer *w, struct buf *out) {
    if (w->p != out->p + out->n)
        return TM_EINVAL;
    if (w->full)
        return TM_ELIMIT;
    memmove(out->p + out->n, w->p + w->at, w->cap - w->at);
    out->n += w->cap - w->at;
    return TM_OK;
}

struct bytes der_written(const struct der_writer *w) {
    if (w->full)
        return (struct bytes){0};
    return (struct bytes){w->p + w->at, w->cap - w->at};
}

size_t der_mark(const struct der_writer *w) {
    return w->at;
}

void der_raw(struct der_writer *w, struct bytes raw) {
    if (w->full || raw.n > w->at) {
        w->full = true;
        return;
    }
    if (raw.n == 0)
        return;
    w->at -= raw.n;
    memcpy(w->p + w->at, raw.p, raw.n);
}

static void put_octet(struct der_writer *w, uint8_t v) {
    der_raw(w, (struct bytes){&v, 1});
}

void der_header(struct der_writer *w, uint8_t tag, size_t length) {
    if ((uint64_t)length >> LENGTH_BITS) {
        w->full = true;
        return;
    }
    size_t rest = length;
    uint8_t octets = 0;
    if (length >= 0x80)
        for (; rest > 0; rest >>= 8, octets++)
            put_octet(w, (uint8_t)rest);
    put_octet(w, octets ? (uint8_t)(0x80 | octets) : (uint8_t)length);
    put_octet(w, tag);
}

void der_wrap(struct der_writer *w, uint8_t tag, size_t mark) {
    if (!w->full)
        der_header(w, tag, mark - w->at);
}

void der_put(struct der_writer *w, uint8_t tag, struct bytes value) {
    size_t mark = der_mark(w);
    der_raw(w, value);
    der_wrap(w, tag, mark);
}

void der_put_small(struct der_writer *w, uint32_t value) {
    uint8_t octets[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                         (uint8_t)value};
    der_put_unsigned(w, BYTES_OF(octets));
}

void der_put_unsigned(struct der_writer *w, struct bytes magnitude) {
    while (magnitude.n > 0 && magnitude.p[0] == 0) {
        magnitude.p++;
        magnitude.n--;
    }
    size_t mark = der_mark(w);
    der_raw(w, magnitude);
    if (magnitude.n == 0 || (magnitude.p[0] & 0x80))
        put_octet(w, 0);
    der_wrap(w, DER_INTEGER, mark);
}

void der_put_boolean(struct der_writer *w, bool value) {
    uint8_t octet = value ? 0xff : 0x00;
    der_put(w, DER_BOOLEAN, (struct bytes){&octet, 1});
}

void der_put_bits(struct der_writer *w, struct bytes octets) {
    size_t mark = der_mark(w);
    der_raw(w, octets);
    put_octet(w, 0);
    der_wrap(w, DER_BIT_STRING, mark);
}

/* X.690, 11.2.2: trailing zero bits of a named bit list are left out. */
void der_put_named_bits(struct der_writer *w, uint16_t bits) {
    uint8_t content[3] = {0, (uint8_t)(bits >> 8), (uint8_t)bits};
    size_t octets = content[2] ? 2 : content[1] ? 1 : 0;
    if (octets > 0)
        content[0] = (uint8_t)__builtin_ctz(content[octets]);
    der_put(w, DER_BIT_STRING, (struct bytes){content, 1 + octets});
}

void der_put_time(struct der_writer *w, int64_t wall_ms) {
    uint8_t text[PKI_TIME_GENERALIZED_SIZE];
    struct pki_time t = pki_time_from_ms(wall_ms);
    if (t.year < 0 || t.year > 9999) {
        w->full = true;
        return;
    }
    bool utc = t.year >= 1950 && t.year <= 2049;
    pki_time_write(&t, utc, text);
    der_put(w, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME,
            (struct bytes){text, utc ? PKI_TIME_UTC_SIZE : PKI_TIME_GENERALIZED_SIZE});
}
