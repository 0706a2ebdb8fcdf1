/* SPDX-License-Identifier: Apache-2.0 */
/* What a row of a configuration allows, in words, and a value that it does: see conf/value.h. */
#include <inttypes.h>
#include <string.h>

#include "conf/value.h"

static void allowed_words(const struct conf_row *row, const char *intro,
                          char ret[CONF_ALLOWED_MAX]) {
    size_t at = (size_t)snprintf(ret, CONF_ALLOWED_MAX, "%s", intro);
    for (unsigned i = 0; row->words[i] && at < CONF_ALLOWED_MAX; i++)
        at +=
            (size_t)snprintf(ret + at, CONF_ALLOWED_MAX - at, "%s%s", i ? ", " : "", row->words[i]);
}

static void allowed_path(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]) {
    size_t at = (size_t)snprintf(ret, CONF_ALLOWED_MAX, "a path");
    for (unsigned i = 0; row->words && row->words[i] && at < CONF_ALLOWED_MAX; i++)
        at += (size_t)snprintf(ret + at, CONF_ALLOWED_MAX - at, " or %s%s", row->words[i],
                               row->words[i][strlen(row->words[i]) - 1] == ':' ? "..." : "");
}

static void allowed_range(const struct conf_row *row, const char *what,
                          char ret[CONF_ALLOWED_MAX]) {
    uint64_t min, max;
    conf_value_limits(row, &min, &max);
    char low[CONF_UNIT_MAX], high[CONF_UNIT_MAX];
    conf_value_unit(row, min, low);
    conf_value_unit(row, max, high);
    (void)snprintf(ret, CONF_ALLOWED_MAX, "%s from %s to %s", what, low, high);
}

static void allowed_number(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]) {
    uint64_t min, max;
    conf_value_limits(row, &min, &max);
    if (max == UINT64_MAX)
        (void)snprintf(ret, CONF_ALLOWED_MAX, "a whole number from %" PRIu64, min);
    else
        (void)snprintf(ret, CONF_ALLOWED_MAX, "a whole number from %" PRIu64 " to %" PRIu64, min,
                       max);
}

static void allowed_count(const struct conf_row *row, const char *what, const char *of,
                          char ret[CONF_ALLOWED_MAX]) {
    uint64_t min, max;
    conf_value_limits(row, &min, &max);
    (void)snprintf(ret, CONF_ALLOWED_MAX, "%s of %" PRIu64 " to %" PRIu64 " %s", what, min, max,
                   of);
}

static void allowed_text(const char *text, char ret[CONF_ALLOWED_MAX]) {
    (void)snprintf(ret, CONF_ALLOWED_MAX, "%s", text);
}

void conf_value_allowed(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]) {
    switch (row->type) {
    case CONF_STRING:
        allowed_count(row, "text", "octets", ret);
        break;
    case CONF_PATH:
        allowed_path(row, ret);
        break;
    case CONF_NAME:
        allowed_text("a name of 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -", ret);
        break;
    case CONF_UINT:
        allowed_number(row, ret);
        break;
    case CONF_BOOL:
        allowed_text("true or false", ret);
        break;
    case CONF_ENUM:
        allowed_words(row, "one of ", ret);
        break;
    case CONF_FLAGS:
        allowed_words(row, "a list of some of ", ret);
        break;
    case CONF_DURATION:
        allowed_range(row, "a duration (ms, s, m, h, d)", ret);
        break;
    case CONF_SIZE:
        allowed_range(row, "a size (KiB, MiB, GiB, TiB)", ret);
        break;
    case CONF_TIME:
        allowed_text("a time in UTC, 2030-01-31T00:00:00Z or 99991231235959Z", ret);
        break;
    case CONF_STRINGS:
        allowed_count(row, "a list", "texts", ret);
        break;
    case CONF_GROUP:
        allowed_text("a mapping of keys", ret);
        break;
    case CONF_LIST:
        allowed_count(row, "a list", "mappings", ret);
        break;
    }
}

static void example_text(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]) {
    size_t n = row->min < CONF_ALLOWED_MAX ? (size_t)row->min : CONF_ALLOWED_MAX - 1;
    (void)snprintf(ret, CONF_ALLOWED_MAX, "text");
    for (size_t i = strlen(ret); i < n; i++) {
        ret[i] = 'x';
        ret[i + 1] = '\0';
    }
}

static void example_by_type(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]) {
    switch (row->type) {
    case CONF_STRING:
        example_text(row, ret);
        break;
    case CONF_PATH:
        allowed_text("/path/to/file", ret);
        break;
    case CONF_NAME:
        allowed_text("name", ret);
        break;
    case CONF_BOOL:
        allowed_text("false", ret);
        break;
    case CONF_ENUM:
        allowed_text(row->words[0], ret);
        break;
    case CONF_FLAGS:
        (void)snprintf(ret, CONF_ALLOWED_MAX, "[%s]", row->words[0]);
        break;
    case CONF_UINT:
    case CONF_DURATION:
    case CONF_SIZE:
        conf_value_unit(row, row->min, ret);
        break;
    case CONF_TIME:
        allowed_text("2030-01-31T00:00:00Z", ret);
        break;
    case CONF_STRINGS:
        allowed_text(row->min > 0 ? "[text]" : "[]", ret);
        break;
    case CONF_GROUP:
    case CONF_LIST:
        allowed_text("", ret);
        break;
    }
}

void conf_value_example(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]) {
    if (row->example)
        allowed_text(row->example, ret);
    else if (row->preset && row->preset[0] != '\0')
        allowed_text(row->preset, ret);
    else
        example_by_type(row, ret);
}
