/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/check_digit.h"

#include <stdio.h>
#include <string.h>

static const char alphanumeric[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char digits[] = "0123456789";

const char *const ca_check_digit_words[] = {
    "none", "luhn", "iso7064-mod11-10", "iso7064-mod37-36", "damm", "mod97-10", NULL};

size_t ca_check_digit_length(enum ca_check_digit kind) {
    return kind == CA_CHECK_NONE ? 0 : kind == CA_CHECK_MOD97_10 ? 2 : 1;
}

const char *ca_check_digit_alphabet(enum ca_check_digit kind) {
    switch (kind) {
    case CA_CHECK_NONE:
        return "";
    case CA_CHECK_LUHN:
    case CA_CHECK_MOD11_10:
    case CA_CHECK_DAMM:
        return digits;
    case CA_CHECK_MOD37_36:
    case CA_CHECK_MOD97_10:
        return alphanumeric;
    }
    return "";
}

/* Values of the characters, which are all of the alphabet. */
static unsigned value_of(uint8_t c) {
    return (unsigned)(strchr(alphanumeric, c) - alphanumeric);
}

/* Every second digit, from the last on, counts twice. */
static unsigned luhn(struct bytes text) {
    unsigned sum = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = value_of(text.p[text.n - 1 - i]) * (i % 2 ? 1 : 2);
        sum += digit / 10 + digit % 10;
    }
    return (10 - sum % 10) % 10;
}

/* ISO/IEC 7064: P = (P + a) mod M, 0 as M, doubled, mod M + 1; the last sum must be 1 mod M. */
static unsigned hybrid(struct bytes text, unsigned m) {
    unsigned p = m;
    for (size_t i = 0; i < text.n; i++) {
        p = (p + value_of(text.p[i])) % m;
        p = (p ? p : m) * 2 % (m + 1);
    }
    return (m + 1 - p) % m;
}

static unsigned damm(struct bytes text) {
    static const uint8_t quasigroup[10][10] = {
        {0, 3, 1, 7, 5, 9, 8, 6, 4, 2}, {7, 0, 9, 2, 1, 5, 4, 8, 6, 3},
        {4, 2, 0, 6, 8, 7, 1, 3, 5, 9}, {1, 7, 5, 0, 9, 8, 3, 4, 2, 6},
        {6, 1, 2, 3, 0, 4, 5, 9, 7, 8}, {3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
        {5, 8, 6, 9, 7, 2, 0, 1, 3, 4}, {8, 9, 4, 5, 3, 6, 2, 0, 1, 7},
        {9, 4, 3, 8, 6, 1, 7, 2, 0, 5}, {2, 5, 8, 1, 4, 3, 6, 7, 9, 0}};
    unsigned interim = 0;
    for (size_t i = 0; i < text.n; i++)
        interim = quasigroup[interim][value_of(text.p[i])];
    return interim;
}

/* The number followed by its two check digits is 1 mod 97. */
static unsigned mod97(struct bytes text) {
    unsigned rest = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned value = value_of(text.p[i]);
        rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
    }
    return 98 - rest * 100 % 97;
}

static bool is_of(struct bytes text, const char *alphabet) {
    for (size_t i = 0; i < text.n; i++)
        if (!text.p[i] || !strchr(alphabet, text.p[i]))
            return false;
    return true;
}

bool ca_check_digit(enum ca_check_digit kind, struct bytes text,
                    char ret[CA_CHECK_DIGITS_MAX + 1]) {
    if (kind != CA_CHECK_NONE && !is_of(text, ca_check_digit_alphabet(kind)))
        return false;
    unsigned value = 0;
    switch (kind) {
    case CA_CHECK_NONE:
        ret[0] = '\0';
        return true;
    case CA_CHECK_LUHN:
        value = luhn(text);
        break;
    case CA_CHECK_MOD11_10:
        value = hybrid(text, 10);
        break;
    case CA_CHECK_MOD37_36:
        value = hybrid(text, 36);
        break;
    case CA_CHECK_DAMM:
        value = damm(text);
        break;
    case CA_CHECK_MOD97_10:
        (void)snprintf(ret, CA_CHECK_DIGITS_MAX + 1, "%02u", mod97(text) % 100);
        return true;
    }
    ret[0] = alphanumeric[value];
    ret[1] = '\0';
    return true;
}
