/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values of a configuration: text into a typed field by the rules of its
 * row, and the words that say what a row allows. Commands read their arguments with it
 * (admin/fields.c). Thread-safe.
 */
#ifndef TOUCHMARK_CONF_VALUE_H
#define TOUCHMARK_CONF_VALUE_H

#include "conf/schema.h"

#define CONF_ALLOWED_MAX 320

/* Smallest and largest value (or length, or count) of a row; the type's own limit where
 * the row has none. */
void conf_value_limits(const struct conf_row *row, uint64_t *ret_min, uint64_t *ret_max);

/* Parses one scalar into the row's field (STRING, PATH, NAME, UINT, BOOL, ENUM,
 * DURATION, SIZE, TIME). folder: what relative paths are relative to. TM_EPARSE: not what
 * the row allows; TM_ENOMEM. */
MUST_USE enum tm_err conf_value_parse(const struct conf_row *row, const char *text,
                                      const char *folder, void *field);

/* The index of a word among row->words. TM_ENOTFOUND. */
MUST_USE enum tm_err conf_value_word(const struct conf_row *row, const char *text,
                                     unsigned *ret_index);

/* What the row allows, to follow "must be": "a number from 0 to 65535". */
void conf_value_allowed(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]);

/* A loaded value, as it would stand in YAML on one line, and nothing for one that was left out
 * where that has no default: values are the same if they are shown the same. */
void conf_value_show(const struct conf_row *row, const void *field, FILE *out);
/* A number of a row, with the largest unit of its type that divides it: "24h". */
#define CONF_UNIT_MAX 32
void conf_value_unit(const struct conf_row *row, uint64_t value, char ret[CONF_UNIT_MAX]);
/* As a double-quoted YAML scalar (YAML 1.2, 7.3.1). */
void conf_put_quoted(FILE *out, const char *text);

/* A value that the row allows, as it would stand in YAML: its example, its default, or one
 * made from the type. Not for GROUP and LIST. */
void conf_value_example(const struct conf_row *row, char ret[CONF_ALLOWED_MAX]);

#endif
