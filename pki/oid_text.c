/* SPDX-License-Identifier: Apache-2.0 */
/* Object identifiers between content octets and dotted decimal. Apart from oid.c and without
 * snprintf, which a small device would link for this alone. */
#include <string.h>

#include "pki/oid.h"

/* The subidentifier at *in, which moves on. TM_ELIMIT: it has more than 63 bits. */
static enum tm_err next_arc(struct bytes *in, uint64_t *ret_arc) {
    uint64_t arc = 0;
    for (size_t i = 0; i < in->n; i++) {
        if (arc >> 56)
            return TM_ELIMIT;
        arc = arc << 7 | (in->p[i] & 0x7f);
        if (!(in->p[i] & 0x80)) {
            in->p += i + 1;
            in->n -= i + 1;
            *ret_arc = arc;
            return TM_OK;
        }
    }
    return TM_EPARSE;
}

static void put_decimal(struct buf *out, uint64_t value) {
    uint8_t digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(out, (struct bytes){digits + at, sizeof digits - at});
}

enum tm_err pki_oid_format(struct bytes content, char *ret, size_t cap) {
    uint8_t room[256];
    struct buf text = BUF_ON(room);
    if (!pki_oid_valid(content))
        return TM_EPARSE;
    while (content.n > 0) {
        uint64_t arc;
        if (next_arc(&content, &arc) != TM_OK)
            return TM_ELIMIT;
        if (text.n == 0) { /* X.690, 8.19.4: the first two arcs share one subidentifier */
            uint64_t root = arc < 80 ? arc / 40 : 2;
            put_decimal(&text, root);
            arc -= 40 * root;
        }
        buf_put_u8(&text, '.');
        put_decimal(&text, arc);
    }
    buf_put_u8(&text, '\0');
    if (text.full || text.n > cap)
        return TM_ELIMIT;
    memcpy(ret, room, text.n);
    return TM_OK;
}

/* One decimal arc without leading zeros at *p, which moves behind it. */
static enum tm_err read_arc(const char **p, uint64_t *ret_arc) {
    const char *s = *p;
    uint64_t arc = 0;
    if (*s < '0' || *s > '9' || (s[0] == '0' && s[1] >= '0' && s[1] <= '9'))
        return TM_EPARSE;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (arc >= UINT64_C(1) << 58)
            return TM_ELIMIT;
        arc = arc * 10 + (uint64_t)(*s - '0');
    }
    *p = s;
    *ret_arc = arc;
    return TM_OK;
}

static void put_arc(struct buf *out, uint64_t arc) {
    unsigned shift = 0;
    while (arc >> (shift + 7))
        shift += 7;
    for (; shift > 0; shift -= 7)
        buf_put_u8(out, (uint8_t)(0x80 | (arc >> shift & 0x7f)));
    buf_put_u8(out, (uint8_t)(arc & 0x7f));
}

static enum tm_err parse_arcs(const char *dotted, struct buf *out) {
    uint64_t root, arc;
    enum tm_err err = read_arc(&dotted, &root);
    if (err == TM_OK && (root > 2 || *dotted++ != '.'))
        err = TM_EPARSE;
    if (err == TM_OK)
        err = read_arc(&dotted, &arc);
    if (err != TM_OK)
        return err;
    if (root < 2 && arc >= 40)
        return TM_EPARSE;
    put_arc(out, root * 40 + arc);
    while (*dotted == '.') {
        dotted++;
        err = read_arc(&dotted, &arc);
        if (err != TM_OK)
            return err;
        put_arc(out, arc);
    }
    return *dotted == '\0' ? TM_OK : TM_EPARSE;
}

enum tm_err pki_oid_parse(const char *dotted, struct buf *out) {
    struct buf b = *out;
    enum tm_err err = parse_arcs(dotted, &b);
    if (err != TM_OK)
        return err;
    if (b.full)
        return TM_ELIMIT;
    *out = b;
    return TM_OK;
}
