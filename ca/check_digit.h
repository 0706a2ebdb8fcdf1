/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check digits of device IDs. Pure; thread-safe.
 *
 *   luhn             digits; ISO/IEC 7812-1, annex B
 *   iso7064-mod11-10 digits; ISO/IEC 7064, hybrid system MOD 11,10
 *   iso7064-mod37-36 digits and upper-case letters; ISO/IEC 7064, hybrid system MOD 37,36
 *   damm             digits; H. M. Damm, "Total anti-symmetrische Quasigruppen", 2004
 *   mod97-10         digits and upper-case letters, two digits; ISO/IEC 7064, MOD 97-10, letters
 *                    as the numbers 10 to 35, as ISO 17442 takes them
 */
#ifndef TOUCHMARK_CA_CHECK_DIGIT_H
#define TOUCHMARK_CA_CHECK_DIGIT_H

#include "base/bytes.h"

enum ca_check_digit {
    CA_CHECK_NONE,
    CA_CHECK_LUHN,
    CA_CHECK_MOD11_10,
    CA_CHECK_MOD37_36,
    CA_CHECK_DAMM,
    CA_CHECK_MOD97_10,
};
#define CA_CHECK_DIGITS_MAX 2

/* Their names by value, NULL-terminated, as words of an option table. */
extern const char *const ca_check_digit_words[];

/* How many characters it has: 0, 1 or 2. */
size_t ca_check_digit_length(enum ca_check_digit kind);
/* The characters that it is defined over; "" for none, which takes every one. */
const char *ca_check_digit_alphabet(enum ca_check_digit kind);
/* The check digits to follow `text`, NUL-terminated. False: a character is outside the alphabet. */
MUST_USE bool ca_check_digit(enum ca_check_digit kind, struct bytes text,
                             char ret[CA_CHECK_DIGITS_MAX + 1]);

#endif
