/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of administrative rows: see store/reader.h. */
#include <string.h>

#include "store/reader.h"

/* Copies what the row's BYTES members borrow from the map into `memory`, and lets them borrow from
 * there. TM_EINVAL: the table has such members and there is no memory. */
static enum tm_err move_bytes(const struct codec_schema *schema, union store_row *row,
                              struct buf *memory) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].type != CODEC_BYTES)
            continue;
        uint8_t *member = (uint8_t *)row + schema->fields[i].offset;
        struct bytes octets;
        memcpy(&octets, member, sizeof octets);
        enum tm_err err = memory ? store_copy_out(octets, memory, &octets) : TM_EINVAL;
        if (err)
            return err;
        memcpy(member, &octets, sizeof octets);
    }
    return TM_OK;
}

static enum tm_err hand_out(const struct codec_schema *schema, union store_row *row, void *ret_row,
                            struct buf *memory) {
    size_t before = memory ? memory->n : 0;
    enum tm_err err = move_bytes(schema, row, memory);
    if (!err)
        memcpy(ret_row, row, schema->size);
    else if (memory)
        memory->n = before;
    return err;
}

enum tm_err store_read_row(struct store_reader *reader, enum ca_table table, void *row,
                           struct buf *memory) {
    const struct codec_schema *schema = store_row_schema(table);
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    if (!schema)
        return TM_EINVAL;
    if (store_put_row_key(&key, table, row))
        return TM_ENOTFOUND;
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    union store_row got;
    err = store_reader_record(reader, STORE_DB_ROW, buf_bytes(&key), schema, &got);
    if (!err)
        err = hand_out(schema, &got, row, memory);
    store_reader_end(reader);
    return err;
}

/* The next row of the table above `after`; its key is appended to `key`. */
static enum tm_err next_row(struct store_reader *reader, enum ca_table table, struct bytes after,
                            union store_row *ret_row, struct buf *key) {
    struct bytes found, value;
    enum tm_err err = store_reader_next(reader, STORE_DB_ROW, after, &found, &value);
    if (err)
        return err;
    if (found.p[0] != table)
        return TM_ENOTFOUND;
    err = store_unseal(reader->hasher, found, value, store_row_schema(table), ret_row);
    buf_put(key, found);
    return err;
}

enum tm_err store_read_next_row(struct store_reader *reader, enum ca_table table,
                                struct buf *cursor, void *ret_row, struct buf *memory) {
    const struct codec_schema *schema = store_row_schema(table);
    uint8_t octets[STORE_KEY_MAX], found[STORE_KEY_MAX];
    struct buf after = BUF_ON(octets), key = BUF_ON(found);
    buf_put_u8(&after, (uint8_t)table);
    buf_put(&after, buf_bytes(cursor));
    if (!schema || after.full || cursor->cap < CA_ROW_KEY_MAX)
        return TM_EINVAL;
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    union store_row row;
    err = next_row(reader, table, buf_bytes(&after), &row, &key);
    if (!err)
        err = hand_out(schema, &row, ret_row, memory);
    store_reader_end(reader);
    if (err)
        return err;
    cursor->n = 0;
    buf_put(cursor, (struct bytes){key.p + 1, key.n - 1});
    return TM_OK;
}
