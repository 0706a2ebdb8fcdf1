/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check's inside, shared by its parts: check.c walks the tables and has what all need;
 * check_device.c, check_audit.c, check_tile.c and check_row.c judge what stands in them. Internal
 * to store/.
 */
#ifndef TOUCHMARK_STORE_CHECKER_H
#define TOUCHMARK_STORE_CHECKER_H

#include "store/check.h"
#include "store/tile.h"

/* The newest tile of each level, as the leaves come to them. */
struct store_tiles {
    uint64_t counts[STORE_TILE_LEVELS]; /* hashes of the level */
    struct audit_hash hashes[STORE_TILE_LEVELS][STORE_TILE_WIDTH];
    uint64_t wanted; /* complete ones, and those that grow */
    bool lost;       /* a leaf that fails its hash has none that could be held against a tile */
};

struct store_checker {
    struct store_reader *reader;
    void (*report)(void *arg, const char *text);
    void *arg;
    bool faulty;
    uint64_t next_leaf;         /* the sequence number that must come next */
    struct audit_frontier tree; /* recomputed from the leaves */
    struct store_tiles tiles;
};

/* Reports one sentence. */
void store_fault(struct store_checker *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- names for sentences ---- */

struct store_name {
    char text[2 * IPC_NAME_MAX + 2];
};

/* "tenant/id". Keys come from pages that may be damaged: only printable ASCII is passed on. */
struct store_name store_device_name(struct bytes key);
struct store_name store_hex_name(struct bytes key);
struct store_name store_serial_name(const struct ca_serial *serial);

/* ---- looking things up: TM_ENOTFOUND, TM_ECORRUPT, TM_EIO ---- */

MUST_USE enum tm_err store_find_certificate(struct store_checker *c, const struct ca_serial *serial,
                                            struct store_certificate *ret);
MUST_USE enum tm_err store_find_device(struct store_checker *c, const char *tenant, const char *id,
                                       struct ca_device *ret);
MUST_USE enum tm_err store_find_transaction(struct store_checker *c, const char *tenant,
                                            const char *id, struct ca_transaction *ret);
MUST_USE enum tm_err store_find_leaf(struct store_checker *c, uint64_t sequence,
                                     struct ca_leaf *ret);
bool store_same_owner(const char *tenant_a, const char *device_a, const char *tenant_b,
                      const char *device_b);
/* The event of the audit leaf that tells of a certificate or burned serial. */
uint8_t store_leaf_event(const struct ca_certificate *certificate);

/* ---- one record each ---- */

typedef void store_check_fn(struct store_checker *c, struct bytes key, struct bytes value);

store_check_fn store_check_device, store_check_certificate, store_check_intent, store_check_key,
    store_check_transaction, store_check_leaf, store_check_cursor, store_check_row,
    store_check_revoked;
/* Is a certificate that is revoked among the revoked? */
void store_check_indexed(struct store_checker *c, const struct ca_certificate *certificate,
                         const char *serial);
/* One more leaf; a tile that it completes. */
void store_check_tile_leaf(struct store_checker *c, const struct audit_hash *leaf);
/* After the last leaf. */
void store_check_tree(struct store_checker *c);
void store_check_tiles(struct store_checker *c);

#endif
