/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store is: its format and environment. A store of an older format is brought to this
 * program's when it is opened, in one transaction; an older program then refuses it with a
 * sentence instead of taking what it cannot read for damage.
 *
 * Format 2 added the transactions and the consumers' cursors, and the second version of the
 * device's record. Format 3 added the administrative rows, the index of revoked certificates and
 * the third version of the device's record. Format 4 added the tiles of the audit tree.
 */
#ifndef TOUCHMARK_STORE_FORMAT_H
#define TOUCHMARK_STORE_FORMAT_H

#include "store/reader.h"
#include "store/store.h"

/* Writes the format record. TM_EFULL, TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err store_format_put(const struct store_env *env, MDB_txn *txn,
                                      struct ca_hasher *hasher, const struct store_format *format);

/* Reads the format record and holds it against what `config` and this program want; the sentence
 * goes to `text`. TM_EDENIED: another environment, or a newer format; TM_ECORRUPT; TM_EIO. */
MUST_USE enum tm_err store_format_check(struct store_reader *reader,
                                        const struct store_config *config,
                                        struct store_format *ret_format,
                                        char text[IPC_TEXT_MAX + 1]);

/* Brings a store of an older format to STORE_FORMAT: all of it or nothing, in one transaction,
 * which grows with the number of revoked certificates (about 70 octets each, in memory until the
 * commit; from 512 MiB on LMDB writes pages out before it) and of audit leaves (about 48 each). A
 * certificate that is damaged is left for the check to name. Before the writer's thread starts.
 * TM_EFULL, TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err store_format_raise(struct store_env *env, struct ca_hasher *hasher,
                                        const struct store_format *format);

#endif
