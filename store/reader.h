/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of single records. One read transaction is made at the start and renewed for each read: it
 * then sees whatever is committed, and holds no page back in between. The store's own reader
 * belongs to the loop's thread, that of a scan (store/scan.h) to whoever walks with it.
 */
#ifndef TOUCHMARK_STORE_READER_H
#define TOUCHMARK_STORE_READER_H

#include "ca/store.h"
#include "store/env.h"
#include "store/records.h"

struct store_reader {
    struct store_env *env;
    struct ca_hasher *hasher;
    MDB_txn *txn;
};

/* Opens no file. TM_ENOMEM, TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err store_reader_init(struct store_reader *reader, struct store_env *env);
void store_reader_deinit(struct store_reader *reader); /* zeroed: nothing */

/* Between the two the map stays where it is and the view the same. TM_EIO. */
MUST_USE enum tm_err store_reader_begin(struct store_reader *reader);
void store_reader_end(struct store_reader *reader);

/* The record under a key, within begin and end: BYTES members borrow from the map. TM_ENOTFOUND,
 * TM_ECORRUPT, TM_EIO. */
MUST_USE enum tm_err store_reader_record(struct store_reader *reader, enum store_db db,
                                         struct bytes key, const struct codec_schema *schema,
                                         void *ret_record);

/* The same within a begin and end of its own, for a record that borrows nothing. */
MUST_USE enum tm_err store_read_one(struct store_reader *reader, enum store_db db, struct bytes key,
                                    const struct codec_schema *schema, void *ret_record);

/* The first record whose key is above `after`, within begin and end; both borrow from the map.
 * TM_ENOTFOUND at the end, TM_EIO. */
MUST_USE enum tm_err store_reader_next(struct store_reader *reader, enum store_db db,
                                       struct bytes after, struct bytes *ret_key,
                                       struct bytes *ret_value);
/* Moves the cursor to that record: LMDB's result. */
int store_seek(MDB_cursor *cursor, struct bytes after, MDB_val *key, MDB_val *value);

/* Copies what is still in the map behind what the caller's buffer holds. TM_ELIMIT. */
MUST_USE enum tm_err store_copy_out(struct bytes from, struct buf *out, struct bytes *ret);

/* The reads of ca/store.h, each within a begin and end of its own. */
MUST_USE enum tm_err store_read_device(struct store_reader *reader, const char *tenant,
                                       const char *id, struct ca_device *ret);
MUST_USE enum tm_err store_read_certificate(struct store_reader *reader,
                                            const struct ca_serial *serial,
                                            struct ca_certificate *ret, struct buf *der);
MUST_USE enum tm_err store_read_owner(struct store_reader *reader,
                                      const uint8_t spki_hash[CA_HASH_SIZE],
                                      struct store_owner *ret);
MUST_USE enum tm_err store_read_transaction(struct store_reader *reader, const char *tenant,
                                            const char *id, struct ca_transaction *ret,
                                            struct buf *response);
MUST_USE enum tm_err store_read_cursor(struct store_reader *reader, const char *consumer,
                                       struct store_cursor *ret);
MUST_USE enum tm_err store_read_next_cursor(struct store_reader *reader,
                                            char consumer[IPC_NAME_MAX + 1],
                                            struct store_cursor *ret);
MUST_USE enum tm_err store_read_leaf(struct store_reader *reader, uint64_t sequence,
                                     struct ca_leaf *ret);
MUST_USE enum tm_err store_read_head(struct store_reader *reader, struct ca_audit_head *ret);
MUST_USE enum tm_err store_read_leaf_octets(struct store_reader *reader, uint64_t sequence,
                                            struct buf *out);
MUST_USE enum tm_err store_read_node(struct store_reader *reader, unsigned level, uint64_t index,
                                     uint8_t ret[CA_HASH_SIZE]);
MUST_USE enum tm_err store_read_tile(struct store_reader *reader, uint64_t size, unsigned level,
                                     uint64_t index, struct buf *out);
MUST_USE enum tm_err store_read_next_tenant(struct store_reader *reader,
                                            char tenant[IPC_NAME_MAX + 1]);
MUST_USE enum tm_err store_read_next_device(struct store_reader *reader, const char *tenant,
                                            char cursor[IPC_NAME_MAX + 1], struct ca_device *ret);
MUST_USE enum tm_err store_read_next_certificate(struct store_reader *reader,
                                                 struct ca_serial *cursor,
                                                 struct ca_certificate *ret, struct buf *der);
MUST_USE enum tm_err store_read_next_intent(struct store_reader *reader, struct ca_serial *cursor,
                                            struct ca_intent *ret);
MUST_USE enum tm_err store_read_row(struct store_reader *reader, enum ca_table table, void *row,
                                    struct buf *memory);
MUST_USE enum tm_err store_read_next_row(struct store_reader *reader, enum ca_table table,
                                         struct buf *cursor, void *ret_row, struct buf *memory);

#endif
