/* SPDX-License-Identifier: Apache-2.0 */
/* Single values of a configuration; see conf/value.h. */
#include "conf/value.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"

#define TEXT_LIMIT 1024u
#define PATH_LIMIT 4000u
#define NAME_LIMIT 64u
#define DURATION_LIMIT (100u * UINT64_C(365) * 24 * 3600 * 1000)
#define SIZE_LIMIT (UINT64_C(1) << 50)
#define STRINGS_LIMIT 256u
#define LIST_LIMIT 4096u

struct unit {
    const char *name;
    uint64_t factor;
};

/* Smallest first; NULL-terminated. */
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit size_units[] = {{"", 1},
                                         {"KiB", UINT64_C(1) << 10},
                                         {"MiB", UINT64_C(1) << 20},
                                         {"GiB", UINT64_C(1) << 30},
                                         {"TiB", UINT64_C(1) << 40},
                                         {NULL, 0}};

static uint64_t type_limit(enum conf_type type) {
    switch (type) {
    case CONF_STRING:
        return TEXT_LIMIT;
    case CONF_PATH:
        return PATH_LIMIT;
    case CONF_NAME:
        return NAME_LIMIT;
    case CONF_UINT:
        return UINT64_MAX;
    case CONF_DURATION:
        return DURATION_LIMIT;
    case CONF_SIZE:
        return SIZE_LIMIT;
    case CONF_STRINGS:
        return STRINGS_LIMIT;
    case CONF_LIST:
        return LIST_LIMIT;
    case CONF_BOOL:
    case CONF_ENUM:
    case CONF_FLAGS:
    case CONF_TIME:
    case CONF_GROUP:
        break;
    }
    return 0;
}

void conf_value_limits(const struct conf_row *row, uint64_t *ret_min, uint64_t *ret_max) {
    *ret_min = row->min;
    *ret_max = row->max ? row->max : type_limit(row->type);
}

static bool within(const struct conf_row *row, uint64_t value) {
    uint64_t min, max;
    conf_value_limits(row, &min, &max);
    return value >= min && value <= max;
}

/* Decimal digits at *at, which moves behind them. */
static bool read_number(const char **at, uint64_t *ret) {
    const char *p = *at;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return false;
    if (p == *at)
        return false;
    *at = p;
    *ret = value;
    return true;
}

static bool read_with_unit(const char *text, const struct unit *units, uint64_t *ret) {
    uint64_t value;
    if (!read_number(&text, &value))
        return false;
    for (const struct unit *u = units; u->name; u++)
        if (strcmp(text, u->name) == 0)
            return !__builtin_mul_overflow(value, u->factor, ret);
    return false;
}

static bool read_digits(const char *text, size_t n, int *ret) {
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *ret = value;
    return true;
}

/* The fields of a time as their offsets in one of the two spellings. */
static bool read_fields(const char *text, const char *form, struct tm *ret) {
    if (strlen(text) != strlen(form))
        return false;
    int parts[6] = {0};
    size_t at = 0;
    for (size_t part = 0; part < 6; part++) {
        size_t n = part == 0 ? 4 : 2;
        if (!read_digits(text + at, n, &parts[part]))
            return false;
        for (at += n; form[at] != '\0' && form[at] != '0'; at++)
            if (text[at] != form[at])
                return false;
    }
    *ret = (struct tm){.tm_year = parts[0] - 1900,
                       .tm_mon = parts[1] - 1,
                       .tm_mday = parts[2],
                       .tm_hour = parts[3],
                       .tm_min = parts[4],
                       .tm_sec = parts[5]};
    return true;
}

static bool same_fields(const struct tm *a, const struct tm *b) {
    return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
           a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

static bool read_time(const char *text, int64_t *ret_ms) {
    struct tm given, back;
    if (!read_fields(text, "0000-00-00T00:00:00Z", &given) &&
        !read_fields(text, "00000000000000Z", &given))
        return false;
    struct tm copy = given;
    time_t seconds = timegm(&copy);
    /* timegm() turns a 31st of June into a 1st of July: what comes back must be what was given. */
    if (!gmtime_r(&seconds, &back) || !same_fields(&given, &back))
        return false;
    *ret_ms = (int64_t)seconds * 1000;
    return true;
}

static bool is_name(const char *text) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

static bool may_be_empty(const struct conf_row *row) {
    return row->type == CONF_STRING ? row->min == 0 : row->preset && row->preset[0] == '\0';
}

static enum tm_err store_text(const char *text, char **field) {
    char *copy = strdup(text);
    if (!copy)
        return TM_ENOMEM;
    *field = copy;
    return TM_OK;
}

static bool is_kept(const struct conf_row *row, const char *text) {
    for (const char *const *word = row->words; word && *word; word++)
        if (strncmp(text, *word, strlen(*word)) == 0)
            return true;
    return false;
}

static enum tm_err store_path(const struct conf_row *row, const char *text, const char *folder,
                              char **field) {
    if (text[0] == '/' || is_kept(row, text))
        return store_text(text, field);
    while (strncmp(text, "./", 2) == 0)
        text += 2;
    AUTO_MEM char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, text) < 0) {
        path = NULL;
        return TM_ENOMEM;
    }
    if (!within(row, strlen(path)))
        return TM_EPARSE;
    *field = TAKE(path);
    return TM_OK;
}

static enum tm_err parse_text(const struct conf_row *row, const char *text, const char *folder,
                              char **field) {
    if (text[0] == '\0' && may_be_empty(row))
        return TM_OK;
    if (text[0] == '\0' && row->type != CONF_STRING)
        return TM_EPARSE;
    if (!within(row, strlen(text)) || (row->type == CONF_NAME && !is_name(text)))
        return TM_EPARSE;
    return row->type == CONF_PATH ? store_path(row, text, folder, field) : store_text(text, field);
}

static bool parse_uint(const char *text, uint64_t *ret) {
    return read_number(&text, ret) && *text == '\0';
}

static enum tm_err parse_bool(const char *text, bool *ret) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return TM_EPARSE;
    *ret = yes;
    return TM_OK;
}

static enum tm_err parse_number(const struct conf_row *row, const char *text, void *field) {
    uint64_t value;
    bool good =
        row->type == CONF_UINT
            ? parse_uint(text, &value)
            : read_with_unit(text, row->type == CONF_SIZE ? size_units : duration_units, &value);
    if (!good || !within(row, value))
        return TM_EPARSE;
    if (row->type == CONF_DURATION)
        *(int64_t *)field = (int64_t)value;
    else
        *(uint64_t *)field = value;
    return TM_OK;
}

enum tm_err conf_value_word(const struct conf_row *row, const char *text, unsigned *ret_index) {
    for (unsigned i = 0; row->words[i]; i++)
        if (strcmp(row->words[i], text) == 0) {
            *ret_index = i;
            return TM_OK;
        }
    return TM_ENOTFOUND;
}

enum tm_err conf_value_parse(const struct conf_row *row, const char *text, const char *folder,
                             void *field) {
    switch (row->type) {
    case CONF_STRING:
    case CONF_PATH:
    case CONF_NAME:
        return parse_text(row, text, folder, field);
    case CONF_UINT:
    case CONF_DURATION:
    case CONF_SIZE:
        return parse_number(row, text, field);
    case CONF_BOOL:
        return parse_bool(text, field);
    case CONF_ENUM:
        return conf_value_word(row, text, field) == TM_OK ? TM_OK : TM_EPARSE;
    case CONF_TIME:
        return read_time(text, field) ? TM_OK : TM_EPARSE;
    case CONF_FLAGS:
    case CONF_STRINGS:
    case CONF_GROUP:
    case CONF_LIST:
        break;
    }
    return TM_EINVAL;
}

void conf_value_unit(const struct conf_row *row, uint64_t value, char ret[CONF_UNIT_MAX]) {
    static const struct unit none[] = {{"", 1}, {NULL, 0}};
    const struct unit *units = row->type == CONF_DURATION ? duration_units
                               : row->type == CONF_SIZE   ? size_units
                                                          : none;
    const struct unit *best = units;
    for (const struct unit *u = units; u->name; u++)
        if (value != 0 && value % u->factor == 0)
            best = u;
    if (value == 0 && units == duration_units)
        best = &units[1];
    (void)snprintf(ret, CONF_UNIT_MAX, "%" PRIu64 "%s", value / best->factor, best->name);
}
