/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two time forms of certificates (RFC 5280, 4.1.2.5) between text, calendar and milliseconds
 * since 1970. Proleptic Gregorian, UTC, no leap seconds. No state, thread-safe.
 */
#ifndef TOUCHMARK_PKI_TIME_H
#define TOUCHMARK_PKI_TIME_H

#include "base/bytes.h"

#define PKI_TIME_UTC_SIZE 13         /* YYMMDDHHMMSSZ */
#define PKI_TIME_GENERALIZED_SIZE 15 /* YYYYMMDDHHMMSSZ */

struct pki_time {
    int year;
    unsigned month; /* 1..12 */
    unsigned day;   /* 1..31 */
    unsigned hour;
    unsigned minute;
    unsigned second;
};

/* TM_EPARSE: not exactly the form, or no such moment. UTC years are 1950 to 2049. */
MUST_USE enum tm_err pki_time_read(struct bytes text, bool utc, struct pki_time *ret);
/* Writes PKI_TIME_UTC_SIZE or PKI_TIME_GENERALIZED_SIZE octets; years 0 to 9999. */
void pki_time_write(const struct pki_time *t, bool utc, uint8_t *ret);

int64_t pki_time_to_ms(const struct pki_time *t);
/* Fractions of a second are cut off. */
struct pki_time pki_time_from_ms(int64_t wall_ms);

#endif
