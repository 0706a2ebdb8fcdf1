/* SPDX-License-Identifier: Apache-2.0 */
/* Character decoding for names: UTF-8 (RFC 3629), fixed-width types, ASCII subsets. */
#include "pki/chars.h"

#include "pki/der.h"

#define SURROGATE_FIRST 0xd800
#define SURROGATE_LAST 0xdfff
#define UNICODE_LAST 0x10ffff

bool chars_is_string(uint8_t tag) {
    switch (tag) {
    case DER_UTF8_STRING:
    case DER_PRINTABLE_STRING:
    case DER_T61_STRING:
    case DER_IA5_STRING:
    case DER_UNIVERSAL_STRING:
    case DER_BMP_STRING:
        return true;
    default:
        return false;
    }
}

bool chars_printable(uint32_t c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    switch (c) {
    case ' ':
    case '\'':
    case '(':
    case ')':
    case '+':
    case ',':
    case '-':
    case '.':
    case '/':
    case ':':
    case '=':
    case '?':
        return true;
    default:
        return false;
    }
}

static bool is_scalar(uint32_t c) {
    return c <= UNICODE_LAST && (c < SURROGATE_FIRST || c > SURROGATE_LAST);
}

/* RFC 3629, 3: shortest form only. */
static enum tm_err utf8_next(struct bytes *in, uint32_t *ret_char) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = in->p[0];
    size_t n = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (n == 0 || n > in->n)
        return TM_EPARSE;
    uint32_t c = n == 1 ? first : first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((in->p[i] & 0xc0) != 0x80)
            return TM_EPARSE;
        c = c << 6 | (in->p[i] & 0x3fu);
    }
    if (c < least[n] || !is_scalar(c) || first > 0xf4)
        return TM_EPARSE;
    in->p += n;
    in->n -= n;
    *ret_char = c;
    return TM_OK;
}

static enum tm_err wide_next(struct bytes *in, size_t width, uint32_t *ret_char) {
    uint32_t c = 0;
    if (in->n < width)
        return TM_EPARSE;
    for (size_t i = 0; i < width; i++)
        c = c << 8 | in->p[i];
    if (!is_scalar(c))
        return TM_EPARSE;
    in->p += width;
    in->n -= width;
    *ret_char = c;
    return TM_OK;
}

enum tm_err chars_next(uint8_t tag, struct bytes *in, uint32_t *ret_char) {
    if (in->n == 0)
        return TM_ENOTFOUND;
    uint8_t first = in->p[0];
    switch (tag) {
    case DER_UTF8_STRING:
        return utf8_next(in, ret_char);
    case DER_BMP_STRING:
        return wide_next(in, 2, ret_char);
    case DER_UNIVERSAL_STRING:
        return wide_next(in, 4, ret_char);
    case DER_PRINTABLE_STRING:
        return chars_printable(first) ? wide_next(in, 1, ret_char) : TM_EPARSE;
    case DER_IA5_STRING:
        return first < 0x80 ? wide_next(in, 1, ret_char) : TM_EPARSE;
    case DER_T61_STRING:
        return wide_next(in, 1, ret_char);
    default:
        return TM_EPARSE;
    }
}

size_t chars_utf8(uint32_t c, uint8_t ret[4]) {
    if (c < 0x80) {
        ret[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        ret[i] = (uint8_t)(0x80 | (c & 0x3f));
    ret[0] = (uint8_t)(0xf00u >> n | c);
    return n;
}
