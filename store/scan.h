/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks over the whole store beside the loop and the writer. A scan has a reader of its own, so any
 * number of them go on at once, each on one thread. One call is one look: it holds the map and its
 * view for at most STORE_SCAN_PAGE records and lets go of both before it returns, so that the map
 * can grow and pages come free in between. Every record's hash is checked; one that fails it ends
 * the page before it, and the next call with TM_ECORRUPT.
 */
#ifndef TOUCHMARK_STORE_SCAN_H
#define TOUCHMARK_STORE_SCAN_H

#include "store/reader.h"

#define STORE_SCAN_PAGE 256 /* records */

/* Of an open environment; opens no file. TM_ENOMEM, TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err store_scan_open(struct store_env *env, struct ca_scan **ret_scan);
void store_scan_close(struct ca_scan *scan); /* NULL-safe */

/* As ca/store.h says. TM_EINVAL: a cursor, an issuer or a tenant that cannot be; TM_ECORRUPT,
 * TM_EIO. */
MUST_USE enum tm_err store_scan_revoked(struct ca_scan *scan, const char *issuer,
                                        struct ca_serial *cursor, struct ca_revoked *rows,
                                        size_t max, size_t *ret_n);
MUST_USE enum tm_err store_scan_certificates(struct ca_scan *scan, struct ca_serial *cursor,
                                             struct ca_summary *rows, size_t max, size_t *ret_n);
MUST_USE enum tm_err store_scan_devices(struct ca_scan *scan, const char *tenant,
                                        char cursor[IPC_NAME_MAX + 1], struct ca_device *rows,
                                        size_t max, size_t *ret_n);
MUST_USE enum tm_err store_scan_device(struct ca_scan *scan, const char *tenant, const char *id,
                                       struct ca_device *ret);
MUST_USE enum tm_err store_scan_every_device(struct ca_scan *scan, char tenant[IPC_NAME_MAX + 1],
                                             char id[IPC_NAME_MAX + 1], struct ca_device *rows,
                                             size_t max, size_t *ret_n);
MUST_USE enum tm_err store_scan_leaf(struct ca_scan *scan, uint64_t sequence, struct ca_leaf *ret);
MUST_USE enum tm_err store_scan_audit_head(struct ca_scan *scan, struct ca_audit_head *ret);

#endif
