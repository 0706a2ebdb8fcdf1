/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: two items that take turns, each a whole record with a rising sequence number and
 * its SHA-256. A record is true from the moment it is durable; one that a power cut tore is
 * not valid, and the other one is. Only for the library.
 */
#ifndef TOUCHMARK_CLIENT_JOURNAL_H
#define TOUCHMARK_CLIENT_JOURNAL_H

#include "client/device.h"

/* The newest valid record. TM_ENOTFOUND: there never was one: no items, or the first write of all
 * was cut, which leaves A torn and no B. TM_ECORRUPT: none is valid in any other way. Whatever else
 * the storage's read or sha256 returned, since what could not be read may be the newest. */
MUST_USE enum tm_err tm_journal_load(const struct tm_storage *storage,
                                     const struct tm_crypto *crypto, struct tm_journal *ret);

/* Makes *journal, whose sequence it raises, the truth. On failure the old record still is, and
 * *journal is as before. TM_EINVAL: it contradicts itself (see below); TM_ELIMIT; what the
 * storage's write or sha256 returned. */
MUST_USE enum tm_err tm_journal_commit(const struct tm_storage *storage,
                                       const struct tm_crypto *crypto, struct tm_journal *journal);

/* The record's octets without the hash, both ways; bounded, for tests and fuzzing. TM_EPARSE: also
 * for what contradicts itself: a chain bank used twice, bank 0 outside the IDevID, PROBE without
 * NEXT, SOAK without PREVIOUS, ... CURRENT, NEXT, PREVIOUS and the request may share a key bank:
 * renewals may keep their key. Members that mean nothing in the phase, and unused slots, are
 * carried as they stand. Encoding refuses the same with TM_EINVAL, so that a record once written
 * can be read. */
MUST_USE enum tm_err tm_journal_decode(struct bytes record, struct tm_journal *ret);
MUST_USE enum tm_err tm_journal_encode(const struct tm_journal *journal, struct buf *out);

/* A bank that no slot and no request uses: TM_BANK_IDEVID for the IDevID, one of the others else.
 * There always is one unless PREVIOUS and NEXT and a request are all there (TM_EFULL). */
MUST_USE enum tm_err tm_journal_free_key_bank(const struct tm_journal *journal, bool idevid,
                                              uint8_t *ret);
MUST_USE enum tm_err tm_journal_free_chain_bank(const struct tm_journal *journal, bool idevid,
                                                uint8_t *ret);
/* Does a slot or a request use it? */
bool tm_journal_uses_key(const struct tm_journal *journal, unsigned bank);
bool tm_journal_uses_chain(const struct tm_journal *journal, unsigned bank);

#endif
