/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One definition per data format: a schema is a table of fields, and both the
 * encoder and the decoder walk that same table. Used for messages between
 * processes (ipc/), records (store/) and audit leaves (ca/leaf.h).
 *
 * Layout: u16 type, u8 version, then the fields in table order. Integers are
 * big endian of their own width. STR and BYTES are a u32 length and the octets.
 * FIXED is its octets. ARRAY is a u16 count and the elements' fields, without
 * type and version. Nothing may follow the last field.
 *
 * Bounds: every STR, BYTES and ARRAY has a maximum, every integer may have one;
 * encode and decode both refuse what is over. A decoder reads any older version
 * of its type: fields added later (`since` > the version read) come out zero.
 *
 * Nothing allocates. Schemas are constant. Everything is thread-safe.
 */
#ifndef TOUCHMARK_BASE_CODEC_H
#define TOUCHMARK_BASE_CODEC_H

#include "base/bytes.h"

enum codec_type {
    CODEC_U8,    /* uint8_t, bool or a packed enum; max = largest value, 0 = any */
    CODEC_U16,   /* uint16_t */
    CODEC_U32,   /* uint32_t */
    CODEC_U64,   /* uint64_t */
    CODEC_I64,   /* int64_t, any value */
    CODEC_STR,   /* char[max + 1], NUL-terminated, no NUL and no control characters inside */
    CODEC_BYTES, /* struct bytes of at most max octets, after decoding borrowed from the input */
    CODEC_FIXED, /* uint8_t[max] */
    CODEC_ARRAY, /* at most max elements of `elem`; the count is a size_t at count_offset */
};

struct codec_schema;

struct codec_field {
    const char *name;
    enum codec_type type;
    uint8_t since; /* the schema version that added it; 0 and 1: the first */
    size_t offset;
    uint64_t max;
    size_t count_offset;
    const struct codec_schema *elem;
};

struct codec_schema {
    const char *name;
    uint16_t type;   /* unique in its family: see ipc/messages.h, store/records.h */
    uint8_t version; /* what the encoder writes; 1 at first */
    size_t size;     /* of the C struct */
    const struct codec_field *fields;
    size_t field_count;
};

/* Field rows. `t` is the struct, `f` its member. */
#define CODEC_INT(kind, t, f, m)                                                                   \
    { .name = #f, .type = (kind), .offset = offsetof(t, f), .max = (m) }
#define CODEC_STRING(t, f)                                                                         \
    { .name = #f, .type = CODEC_STR, .offset = offsetof(t, f), .max = sizeof(((t *)0)->f) - 1 }
#define CODEC_BLOB(t, f, m)                                                                        \
    { .name = #f, .type = CODEC_BYTES, .offset = offsetof(t, f), .max = (m) }
#define CODEC_OCTETS(t, f)                                                                         \
    { .name = #f, .type = CODEC_FIXED, .offset = offsetof(t, f), .max = sizeof(((t *)0)->f) }
#define CODEC_LIST(t, f, count, schema)                                                            \
    {                                                                                              \
        .name = #f, .type = CODEC_ARRAY, .offset = offsetof(t, f),                                 \
        .max = sizeof(((t *)0)->f) / sizeof(((t *)0)->f[0]), .count_offset = offsetof(t, count),   \
        .elem = &(schema)                                                                          \
    }

/* Appends the object to `out`. TM_ELIMIT when a bound or the buffer is exceeded
 * (out->n is then as before), TM_EINVAL for a string that is not terminated or
 * holds control characters. */
MUST_USE enum tm_err codec_encode(const struct codec_schema *schema, const void *obj,
                                  struct buf *out);

/* Fills *ret_obj (schema->size octets, zeroed first) from exactly `in`. BYTES
 * members borrow from `in`. TM_EPARSE for another type, a newer version, a
 * short input, trailing octets or a value out of its bounds; *ret_obj is then
 * all zero. */
MUST_USE enum tm_err codec_decode(const struct codec_schema *schema, struct bytes in,
                                  void *ret_obj);

/* The type in the first two octets of an encoded object, 0 if there are none. */
uint16_t codec_peek(struct bytes in);

#endif
