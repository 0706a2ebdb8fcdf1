/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that dropped out of their device's full record while they were good. Each has a row,
 * written by the transaction that drops it, so that whoever revokes all of a device's certificates
 * finds them. A row goes with its certificate's revocation; of those that have expired meanwhile,
 * the oldest goes when the next one comes. A store's rows begin with the first certificate that
 * drops out of it under this version. One loop's thread, like the store.
 */
#ifndef TOUCHMARK_CA_DROPPED_H
#define TOUCHMARK_CA_DROPPED_H

#include "ca/store.h"

/* The device's first dropped certificate above *cursor (n = 0 at first), which is moved to it.
 * TM_ENOTFOUND: there is no more; TM_EIO, TM_ECORRUPT. */
MUST_USE enum tm_err ca_dropped_next(struct ca_store *store, const char *tenant, const char *device,
                                     struct ca_serial *cursor, struct ca_dropped *ret);

/* Which of a full record's certificates is to make room: one that is not in use, which of those was
 * revoked or has expired, else the oldest. At least one must not be in use. */
size_t ca_dropped_choose(const struct ca_device *device, int64_t now_ms);

/* What a transaction writes when a certificate drops out. */
struct ca_dropping {
    struct ca_dropped in;  /* of the certificate */
    struct ca_dropped out; /* of one that has expired */
};
/* Takes the certificate at this place out of the device's record, and adds to the batch, which must
 * store the device's next version, what is to be remembered of it: nothing, of one that was revoked
 * or has expired. `dropping` is kept as long as the batch. */
void ca_dropped_out(struct ca_store *store, struct ca_device *device, size_t at, int64_t now_ms,
                    struct ca_dropping *dropping, struct ca_batch *batch);

#endif
