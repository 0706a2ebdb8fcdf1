/* SPDX-License-Identifier: Apache-2.0 */
/* Encoder and decoder that walk the same field table. */
#include "base/codec.h"

#include <string.h>

static size_t int_width(enum codec_type type) {
    switch (type) {
    case CODEC_U8:
        return 1;
    case CODEC_U16:
        return 2;
    case CODEC_U32:
        return 4;
    case CODEC_U64:
    case CODEC_I64:
        return 8;
    case CODEC_STR:
    case CODEC_BYTES:
    case CODEC_FIXED:
    case CODEC_ARRAY:
        break;
    }
    return 0;
}

/* Members are read and written by memcpy of their own width: the table knows only
 * offsets, and the compiler makes plain loads of it. */
static uint64_t int_load(enum codec_type type, const uint8_t *member) {
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (int_width(type)) {
    case 1:
        return *member;
    case 2:
        memcpy(&v16, member, sizeof v16);
        return v16;
    case 4:
        memcpy(&v32, member, sizeof v32);
        return v32;
    default:
        memcpy(&v64, member, sizeof v64);
        return v64;
    }
}

static void int_store(enum codec_type type, uint8_t *member, uint64_t v) {
    uint16_t v16 = (uint16_t)v;
    uint32_t v32 = (uint32_t)v;
    switch (int_width(type)) {
    case 1:
        *member = (uint8_t)v;
        break;
    case 2:
        memcpy(member, &v16, sizeof v16);
        break;
    case 4:
        memcpy(member, &v32, sizeof v32);
        break;
    default:
        memcpy(member, &v, sizeof v);
        break;
    }
}

static bool int_allowed(const struct codec_field *field, uint64_t v) {
    return field->max == 0 || field->type == CODEC_I64 || v <= field->max;
}

static bool text_allowed(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f)
            return false;
    return true;
}

static enum tm_err encode_fields(const struct codec_schema *schema, const uint8_t *obj,
                                 struct buf *out);

static enum tm_err encode_string(const struct codec_field *field, const uint8_t *member,
                                 struct buf *out) {
    size_t n = strnlen((const char *)member, (size_t)field->max + 1);
    if (n > field->max || !text_allowed(member, n))
        return TM_EINVAL;
    buf_put_be(out, n, 4);
    buf_put(out, (struct bytes){member, n});
    return TM_OK;
}

static enum tm_err encode_bytes(const struct codec_field *field, const uint8_t *member,
                                struct buf *out) {
    struct bytes b;
    memcpy(&b, member, sizeof b);
    if (b.n > field->max)
        return TM_ELIMIT;
    buf_put_be(out, b.n, 4);
    buf_put(out, b);
    return TM_OK;
}

static enum tm_err encode_array(const struct codec_field *field, const uint8_t *obj,
                                struct buf *out) {
    size_t count;
    memcpy(&count, obj + field->count_offset, sizeof count);
    if (count > field->max || count > UINT16_MAX)
        return TM_ELIMIT;
    buf_put_be(out, count, 2);
    for (size_t i = 0; i < count; i++) {
        enum tm_err err =
            encode_fields(field->elem, obj + field->offset + i * field->elem->size, out);
        if (err)
            return err;
    }
    return TM_OK;
}

static enum tm_err encode_field(const struct codec_field *field, const uint8_t *obj,
                                struct buf *out) {
    const uint8_t *member = obj + field->offset;
    uint64_t v;
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
    case CODEC_U64:
    case CODEC_I64:
        v = int_load(field->type, member);
        if (!int_allowed(field, v))
            return TM_ELIMIT;
        buf_put_be(out, v, int_width(field->type));
        return TM_OK;
    case CODEC_STR:
        return encode_string(field, member, out);
    case CODEC_BYTES:
        return encode_bytes(field, member, out);
    case CODEC_FIXED:
        buf_put(out, (struct bytes){member, (size_t)field->max});
        return TM_OK;
    case CODEC_ARRAY:
        return encode_array(field, obj, out);
    }
    return TM_EINVAL;
}

static enum tm_err encode_fields(const struct codec_schema *schema, const uint8_t *obj,
                                 struct buf *out) {
    for (size_t i = 0; i < schema->field_count; i++) {
        enum tm_err err = encode_field(&schema->fields[i], obj, out);
        if (err)
            return err;
    }
    return TM_OK;
}

enum tm_err codec_encode(const struct codec_schema *schema, const void *obj, struct buf *out) {
    struct buf before = *out;
    buf_put_be(out, schema->type, 2);
    buf_put_u8(out, schema->version);
    enum tm_err err = encode_fields(schema, obj, out);
    if (!err && out->full)
        err = TM_ELIMIT;
    if (err)
        *out = before;
    return err;
}

/* The decoders set in->bad for whatever is not as the table says. */
static void decode_fields(const struct codec_schema *schema, uint8_t version, struct reader *in,
                          uint8_t *obj);

static void decode_string(const struct codec_field *field, struct reader *in, uint8_t *member) {
    uint64_t n = reader_be(in, 4);
    if (n > field->max)
        in->bad = true;
    struct bytes text = reader_take(in, (size_t)n);
    if (!text_allowed(text.p, text.n))
        in->bad = true;
    else if (text.n)
        memcpy(member, text.p, text.n);
}

static void decode_bytes(const struct codec_field *field, struct reader *in, uint8_t *member) {
    uint64_t n = reader_be(in, 4);
    if (n > field->max)
        in->bad = true;
    struct bytes b = reader_take(in, (size_t)n);
    memcpy(member, &b, sizeof b);
}

static void decode_array(const struct codec_field *field, uint8_t version, struct reader *in,
                         uint8_t *obj) {
    size_t count = (size_t)reader_be(in, 2);
    if (count > field->max)
        in->bad = true;
    for (size_t i = 0; i < count && !in->bad; i++)
        decode_fields(field->elem, version, in, obj + field->offset + i * field->elem->size);
    memcpy(obj + field->count_offset, &count, sizeof count);
}

static void decode_field(const struct codec_field *field, uint8_t version, struct reader *in,
                         uint8_t *obj) {
    uint8_t *member = obj + field->offset;
    uint64_t v;
    struct bytes fixed;
    switch (field->type) {
    case CODEC_U8:
    case CODEC_U16:
    case CODEC_U32:
    case CODEC_U64:
    case CODEC_I64:
        v = reader_be(in, int_width(field->type));
        if (!int_allowed(field, v))
            in->bad = true;
        int_store(field->type, member, v);
        break;
    case CODEC_STR:
        decode_string(field, in, member);
        break;
    case CODEC_BYTES:
        decode_bytes(field, in, member);
        break;
    case CODEC_FIXED:
        fixed = reader_take(in, (size_t)field->max);
        if (fixed.n)
            memcpy(member, fixed.p, fixed.n);
        break;
    case CODEC_ARRAY:
        decode_array(field, version, in, obj);
        break;
    }
}

static void decode_fields(const struct codec_schema *schema, uint8_t version, struct reader *in,
                          uint8_t *obj) {
    for (size_t i = 0; i < schema->field_count && !in->bad; i++)
        if (schema->fields[i].since <= version)
            decode_field(&schema->fields[i], version, in, obj);
}

enum tm_err codec_decode(const struct codec_schema *schema, struct bytes in, void *ret_obj) {
    struct reader reader = {.in = in};
    memset(ret_obj, 0, schema->size);
    uint16_t type = (uint16_t)reader_be(&reader, 2);
    uint8_t version = (uint8_t)reader_be(&reader, 1);
    if (reader.bad || type != schema->type || version == 0 || version > schema->version)
        return TM_EPARSE;
    decode_fields(schema, version, &reader, ret_obj);
    if (reader.bad || reader_left(&reader) != 0) {
        memset(ret_obj, 0, schema->size);
        return TM_EPARSE;
    }
    return TM_OK;
}

uint16_t codec_peek(struct bytes in) {
    struct reader reader = {.in = in};
    return (uint16_t)reader_be(&reader, 2);
}
