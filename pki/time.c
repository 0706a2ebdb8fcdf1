/* SPDX-License-Identifier: Apache-2.0 */
/* Calendar arithmetic and the digits of UTCTime and GeneralizedTime. */
#include "pki/time.h"

#define MS_PER_SECOND 1000
#define SECONDS_PER_DAY 86400
#define DAYS_PER_ERA 146097     /* 400 Gregorian years */
#define DAYS_BEFORE_1970 719468 /* from 0000-03-01, where the eras begin */

static bool leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(int year, unsigned month) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && leap(year) ? 29 : days[month - 1];
}

static bool valid(const struct pki_time *t) {
    if (t->month < 1 || t->month > 12 || t->day < 1)
        return false;
    return t->day <= days_in_month(t->year, t->month) && t->hour < 24 && t->minute < 60 &&
           t->second < 60;
}

/* The next `count` decimal digits at *p, which moves on. */
static unsigned digits(const uint8_t **p, unsigned count) {
    unsigned value = 0;
    for (; count > 0; count--)
        value = value * 10 + (unsigned)(*(*p)++ - '0');
    return value;
}

static bool well_formed(struct bytes text, bool utc) {
    if (text.n != (utc ? PKI_TIME_UTC_SIZE : PKI_TIME_GENERALIZED_SIZE))
        return false;
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return text.p[text.n - 1] == 'Z';
}

enum tm_err pki_time_read(struct bytes text, bool utc, struct pki_time *ret) {
    if (!well_formed(text, utc))
        return TM_EPARSE;
    const uint8_t *p = text.p;
    struct pki_time t;
    t.year = (int)digits(&p, utc ? 2 : 4);
    if (utc) /* RFC 5280, 4.1.2.5.1 */
        t.year += t.year >= 50 ? 1900 : 2000;
    t.month = digits(&p, 2);
    t.day = digits(&p, 2);
    t.hour = digits(&p, 2);
    t.minute = digits(&p, 2);
    t.second = digits(&p, 2);
    if (!valid(&t))
        return TM_EPARSE;
    *ret = t;
    return TM_OK;
}

static uint8_t *put_two(uint8_t *p, unsigned value) {
    p[0] = (uint8_t)('0' + value / 10 % 10);
    p[1] = (uint8_t)('0' + value % 10);
    return p + 2;
}

void pki_time_write(const struct pki_time *t, bool utc, uint8_t *ret) {
    uint8_t *p = ret;
    if (!utc)
        p = put_two(p, (unsigned)t->year / 100);
    p = put_two(p, (unsigned)t->year % 100);
    p = put_two(p, t->month);
    p = put_two(p, t->day);
    p = put_two(p, t->hour);
    p = put_two(p, t->minute);
    p = put_two(p, t->second);
    *p = 'Z';
}

/* Years are counted from March, so that the leap day is the last of its year. */
int64_t pki_time_to_ms(const struct pki_time *t) {
    int64_t year = t->month <= 2 ? t->year - 1 : t->year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = t->month > 2 ? t->month - 3 : t->month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + t->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * DAYS_PER_ERA + day_of_era - DAYS_BEFORE_1970;
    int64_t seconds = t->hour * 3600 + t->minute * 60 + t->second;
    return (days * SECONDS_PER_DAY + seconds) * MS_PER_SECOND;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

struct pki_time pki_time_from_ms(int64_t wall_ms) {
    int64_t seconds = floor_div(wall_ms, MS_PER_SECOND);
    int64_t day_number = floor_div(seconds, SECONDS_PER_DAY);
    unsigned second_of_day = (unsigned)(seconds - day_number * SECONDS_PER_DAY);
    int64_t days = day_number + DAYS_BEFORE_1970;
    int64_t era = floor_div(days, DAYS_PER_ERA);
    int64_t doe = days - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t day_of_year = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct pki_time t = {.hour = second_of_day / 3600,
                         .minute = second_of_day / 60 % 60,
                         .second = second_of_day % 60};
    t.day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    t.month = (unsigned)(month < 10 ? month + 3 : month - 9);
    t.year = (int)(yoe + era * 400 + (t.month <= 2));
    return t;
}
