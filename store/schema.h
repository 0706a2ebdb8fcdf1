/* SPDX-License-Identifier: Apache-2.0 */
/* How the tables of fields become schemas: shared by the files that have some. Internal to store/.
 */
#ifndef TOUCHMARK_STORE_SCHEMA_H
#define TOUCHMARK_STORE_SCHEMA_H

#include "base/codec.h"

#define SCHEMA(symbol, label, number, version_, type_, rows)                                       \
    const struct codec_schema symbol = {.name = (label),                                           \
                                        .type = (number),                                          \
                                        .version = (version_),                                     \
                                        .size = sizeof(type_),                                     \
                                        .fields = (rows),                                          \
                                        .field_count = sizeof(rows) / sizeof((rows)[0])}

/* A string that version `v` of the schema added. */
#define STRING_SINCE(t, f, v)                                                                      \
    {                                                                                              \
        .name = #f, .type = CODEC_STR, .since = (v), .offset = offsetof(t, f),                     \
        .max = sizeof(((t *)0)->f) - 1                                                             \
    }

/* Those of rows_job.c. */
extern const struct codec_schema store_job_schema, store_job_ids_schema, store_unit_schema,
    store_operator_schema, store_shift_schema;

#define SERIAL(t, f) CODEC_OCTETS(t, f.octets), CODEC_INT(CODEC_U8, t, f.n, CA_SERIAL_MAX)

#endif
