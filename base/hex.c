/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal text, declared in base/bytes.h. */
#include <string.h>

#include "base/bytes.h"

enum tm_err hex_encode(struct bytes in, char *ret, size_t cap) {
    static const char digits[] = "0123456789abcdef";
    if (cap == 0 || in.n > (cap - 1) / 2)
        return TM_ELIMIT;
    for (size_t i = 0; i < in.n; i++) {
        ret[2 * i] = digits[in.p[i] >> 4];
        ret[2 * i + 1] = digits[in.p[i] & 15];
    }
    ret[2 * in.n] = '\0';
    return TM_OK;
}

/* 0..15, or -1 for what is no hex digit. */
static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum tm_err hex_decode(const char *hex, uint8_t *ret, size_t cap, size_t *ret_n) {
    size_t n = strlen(hex);
    if (n % 2)
        return TM_EPARSE;
    for (size_t i = 0; i < n; i++)
        if (hex_digit(hex[i]) < 0)
            return TM_EPARSE;
    if (n / 2 > cap)
        return TM_ELIMIT;
    for (size_t i = 0; i < n / 2; i++)
        ret[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    *ret_n = n / 2;
    return TM_OK;
}
