/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects by tables, only for client/station/wire/. Thread-safe. */
#ifndef TOUCHMARK_STATION_WIRE_MEMBERS_H
#define TOUCHMARK_STATION_WIRE_MEMBERS_H

#include <jansson.h>

#include "client/station/wire/wire.h"

enum member_type {
    MEMBER_INTEGER, /* uint64_t, up to WIRE_INTEGER_MAX */
    MEMBER_BOOL,    /* bool */
    MEMBER_NAME,    /* char[WIRE_NAME_MAX + 1], one that a file may have */
    MEMBER_ID,      /* char[WIRE_NAME_MAX + 1], not empty */
    MEMBER_TEXT,    /* char[WIRE_TEXT_MAX + 1] */
    MEMBER_WORD,    /* unsigned: index into words */
    MEMBER_OCTETS,  /* struct bytes, base64, not empty */
    MEMBER_CHAIN,   /* struct bytes[WIRE_CHAIN_MAX], their count at `count` */
    MEMBER_TESTS,   /* struct wire_test[WIRE_TESTS_MAX], likewise */
};

struct member {
    const char *key; /* NULL ends a table */
    enum member_type type;
    size_t offset, count;
    const char *const *words;
};

/* Adds the members of the struct. TM_EINVAL, TM_ENOMEM. */
MUST_USE enum tm_err members_write(const struct member *table, const void *s, json_t *object);
/* Reads them; all must be there and right. *ret_n: how many they are. TM_EPARSE: *ret_text says
 * what is wrong. */
MUST_USE enum tm_err members_read(const struct member *table, const json_t *object,
                                  struct buf *room, void *s, size_t *ret_n,
                                  char ret_text[WIRE_TEXT_MAX + 1]);

/* Index of the word; TM_ENOTFOUND. */
MUST_USE enum tm_err member_word(const char *const *words, const char *word, unsigned *ret);

#endif
