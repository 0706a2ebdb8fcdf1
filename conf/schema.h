/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML into C structs by one table per kind of file. The same rows make the loader,
 * the sample file and the manual page, so that none can say what the others do not.
 * Every error names file, line, the offending key or value and what is allowed.
 *
 * A row is a key of a mapping. Nested mappings (GROUP) and lists of mappings (LIST)
 * name their own rows. Memory of strings and lists belongs to the loaded struct:
 * free it with conf_free over the same rows. Not thread-safe per struct.
 */
#ifndef TOUCHMARK_CONF_SCHEMA_H
#define TOUCHMARK_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum conf_type {
    CONF_STRING,   /* char *; min..max octets */
    CONF_PATH,     /* char *; relative ones are made absolute against the file's folder, but
                      what begins with one of `words` ("credential:") is kept as it is */
    CONF_NAME,     /* char *; 1..64 of A-Z a-z 0-9 . _ ~ - */
    CONF_UINT,     /* uint64_t; min..max */
    CONF_BOOL,     /* bool; true or false */
    CONF_ENUM,     /* unsigned; one of `words`, its index */
    CONF_FLAGS,    /* unsigned; list of `words`, bit set */
    CONF_DURATION, /* int64_t milliseconds; "250ms", "10s", "5m", "24h", "365d"; min..max in ms */
    CONF_SIZE,     /* uint64_t octets; "512", "64KiB", "16MiB", "4GiB" */
    CONF_TIME,     /* int64_t wall ms; RFC 3339 in UTC or "99991231235959Z" */
    CONF_STRINGS,  /* struct conf_strings; list of strings */
    CONF_GROUP,    /* nested struct in place; `rows` */
    CONF_LIST,     /* struct conf_list of nested structs; `rows`, elem_size */
};

struct conf_strings {
    char **items;
    size_t count;
};
struct conf_list {
    void *items; /* array of elem_size objects */
    size_t count;
};

struct conf_row {
    const char *key;
    enum conf_type type;
    size_t offset;
    const char *preset;          /* default, as it would stand in YAML; NULL: the key is required */
    uint64_t min, max;           /* by type; max 0 = the type's own limit */
    const char *const *words;    /* ENUM and FLAGS: the allowed words, NULL-terminated; PATH */
    const struct conf_row *rows; /* GROUP and LIST: ends with a row whose key is NULL */
    size_t elem_size;            /* LIST */
    const char *help;            /* one sentence, with units */
    const char *example;         /* YAML for the sample; NULL: the preset, or made from the type */
};
/* A preset of "" means: may be absent; pointer NULL, list empty, number 0. An empty text ("")
 * in the file is the same as absent, where the row allows it (STRING with min 0; PATH and NAME
 * with a preset of ""). A GROUP needs no preset: absent, each of its rows has its own. */

#define CONF_ERROR_MAX 512

/* Loads one YAML document from memory; `name` is used in messages and its folder
 * for relative paths. On failure *ret_struct is all zero and `error` holds
 * "file:line: sentence" (CONF_ERROR_MAX octets). TM_EPARSE, TM_ENOMEM, TM_ELIMIT
 * (documents over 1 MiB, nesting over 8). */
MUST_USE enum tm_err conf_load_text(const char *text, size_t n, const char *name,
                                    const struct conf_row *rows, void *ret_struct, size_t size,
                                    char error[CONF_ERROR_MAX]);
/* The same from a file. TM_EIO with the reason in `error`. */
MUST_USE enum tm_err conf_load_file(const char *path, const struct conf_row *rows, void *ret_struct,
                                    size_t size, char error[CONF_ERROR_MAX]);
/* The text of a file, at most one octet more than a document may have; the caller frees it. */
MUST_USE enum tm_err conf_read_file(const char *path, char **ret_text, size_t *ret_n,
                                    char error[CONF_ERROR_MAX]);
/* For checks across keys after loading: writes "name:line: path: sentence" to `error`, with
 * the line where `path` ("listen.port", "labels[0].tenant"; positions from 0) or what is
 * nearest above it stands in the text. Always TM_EPARSE. */
MUST_USE enum tm_err conf_refuse(const char *text, size_t n, const char *name, const char *path,
                                 char error[CONF_ERROR_MAX], const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* The line of `path`, in which that would be written; that of the fault when the text cannot
 * be read. */
unsigned conf_line(const char *text, size_t n, const char *path);
/* Frees what the loader allocated and zeroes the struct. */
void conf_free(const struct conf_row *rows, void *s, size_t size);

/* Prints a sample document that loads: rows without a default, and those with an example,
 * stand there; the others are shown as "#key: default". And man(7) source of the option list. */
void conf_print_sample(const struct conf_row *rows, FILE *out);
void conf_print_manual(const struct conf_row *rows, FILE *out);

#endif
