/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CA needs of a store: reads of single records, and whole transactions.
 * The interface is the CA's; store/ implements it on LMDB. A store belongs to the
 * thread of the loop it was opened on (it may have threads of its own inside).
 */
#ifndef TOUCHMARK_CA_STORE_H
#define TOUCHMARK_CA_STORE_H

#include "ca/rows.h"
#include "ca/types.h"

enum ca_change_kind {
    /* Precondition of each in brackets; if one fails, nothing of the batch happens
     * and the batch ends with TM_ECONFLICT. */
    CA_PUT_DEVICE = 1,  /* [the stored version is device->version - 1; 0: there is none] */
    CA_PUT_INTENT,      /* [no intent, certificate or burned serial with this serial] */
    CA_END_INTENT,      /* [an intent with this serial is open] */
    CA_PUT_CERT,        /* [no certificate or burned serial with this serial] */
    CA_CERT_STATUS,     /* [the certificate exists] status, revoked_ms, revoked_reason; one that is
                           revoked by it is among its issuer's revoked ones from then on */
    CA_CLAIM_KEY,       /* [the key is unclaimed or claimed by the same device] */
    CA_ADD_LEAF,        /* always */
    CA_PUT_TRANSACTION, /* always: replaces the device's */
    CA_PUT_CURSOR,      /* always: how far a consumer of the audit log has come */
    CA_PUT_ROW,         /* [the stored version is the row's version - 1; 0: there is none] */
    CA_END_ROW,         /* [the stored version is the row's] removes it */
    CA_COUNT_USE,       /* always: more uses of an issuer's key; makes the issuer's row if there is
                           none, and else leaves its version as it is: who changes the row need not
                           race with issuance, for CA_PUT_ROW keeps what is counted in the stored
                           row. Not in one batch with another change of that row */
    CA_SPEND_GRANT, /* [the job is there; to spend: it is open, has these terms and quota left of
                       the profile] counts on a job's row and leaves its version as it is:
                       CA_PUT_ROW keeps what is counted, as with CA_COUNT_USE. Not in one batch
                       with another change of that row */
};

/* What is counted on a job. None falls below zero. */
struct ca_grant {
    const char *tenant;
    const char *job;
    uint32_t terms;      /* when something is spent or begun */
    const char *profile; /* of `certificates`; NULL: none */
    int certificates;    /* 1: spend one; -1: it came to nothing, which fails never */
    int begun;           /* units */
    int passed;
    int failed;
    int scrapped;
};

struct ca_change {
    uint8_t kind; /* enum ca_change_kind */
    union {
        const struct ca_device *device;
        const struct ca_intent *intent;
        const struct ca_certificate *certificate; /* PUT_CERT and CERT_STATUS */
        struct ca_serial serial;                  /* END_INTENT */
        struct {
            uint8_t spki_hash[CA_HASH_SIZE]; /* SHA-256 of the SubjectPublicKeyInfo */
            const char *tenant;
            const char *device;
        } key;
        const struct ca_leaf *leaf;
        const struct ca_transaction *transaction;
        struct {
            const char *consumer; /* 1 to IPC_NAME_MAX octets */
            uint64_t next;        /* sequence number of the first leaf that it has not got */
        } cursor;
        struct {
            enum ca_table table;
            const void *row; /* the table's struct; END_ROW: its key members and version */
        } row;
        struct {
            const char *issuer;
            enum ca_use use;
            uint32_t count; /* how many more, at least one */
        } use;
        struct ca_grant grant;
    } u;
};

/* A device, its leaf, and all its certificates, revoked with a leaf each, fit. */
#define CA_BATCH_MAX 32

/* A transaction. The caller keeps it and all it points to unchanged until `done`. */
struct ca_batch {
    size_t count;
    struct ca_change changes[CA_BATCH_MAX];
    /* Called once on the loop's thread when the batch is durable (TM_OK), or is not
     * and never will be: TM_ECONFLICT, TM_EFULL (no room; may be tried later),
     * TM_ELIMIT. `failed` is then the index of the change that was in the way. */
    void (*done)(struct ca_batch *batch, enum tm_err result);
    void *arg;
    size_t failed;
};

struct ca_audit_head {
    uint64_t size;              /* leaves */
    uint8_t root[CA_HASH_SIZE]; /* RFC 6962 Merkle tree hash over them */
};

struct ca_store;
struct ca_scan;

struct ca_store_ops {
    /* Submits a batch; answers through batch->done, never from inside this call.
     * Batches of one caller become durable in the order of submission. TM_EFULL:
     * too many are waiting, nothing was taken. */
    enum tm_err (*submit)(struct ca_store *store, struct ca_batch *batch);

    /* Reads see every batch whose `done` was called. Strings and values are copied
     * out; certificate DER goes into the caller's buffer. TM_ENOTFOUND, TM_ECORRUPT
     * (the record fails its hash), TM_EIO. */
    enum tm_err (*device)(struct ca_store *store, const char *tenant, const char *id,
                          struct ca_device *ret);
    enum tm_err (*certificate)(struct ca_store *store, const struct ca_serial *serial,
                               struct ca_certificate *ret, struct buf *der);
    enum tm_err (*key_owner)(struct ca_store *store, const uint8_t spki_hash[CA_HASH_SIZE],
                             char ret_tenant[IPC_NAME_MAX + 1], char ret_id[IPC_NAME_MAX + 1]);
    enum tm_err (*transaction)(struct ca_store *store, const char *tenant, const char *id,
                               struct ca_transaction *ret, struct buf *response);
    /* Of a consumer that is not known: TM_ENOTFOUND. */
    enum tm_err (*cursor)(struct ca_store *store, const char *consumer, uint64_t *ret_next);
    enum tm_err (*leaf)(struct ca_store *store, uint64_t sequence, struct ca_leaf *ret);
    enum tm_err (*audit_head)(struct ca_store *store, struct ca_audit_head *ret);
    /* A leaf as the tree hashes it, with its terms, appended to `out`. TM_ELIMIT: it does not fit.
     */
    enum tm_err (*leaf_octets)(struct ca_store *store, uint64_t sequence, struct buf *out);
    /* A node of the audit tree: the root of the complete subtree over the leaves [index << level,
     * (index + 1) << level). Costs one read, at the right edge fewer than 256. */
    enum tm_err (*audit_node)(struct ca_store *store, unsigned level, uint64_t index,
                              uint8_t ret[CA_HASH_SIZE]);
    /* A tile of it (c2sp.org/tlog-tiles): the hashes that a tree of `size` leaves, which there are,
     * fills of it, appended to `out`. */
    enum tm_err (*audit_tile)(struct ca_store *store, uint64_t size, unsigned level, uint64_t index,
                              struct buf *out);
    /* `row`: the table's struct, whose key members are set; the whole is filled. What its BYTES
     * members borrow goes into `memory`, for which CA_ROW_MEMORY_MAX octets are enough; NULL for
     * tables without any. */
    enum tm_err (*row)(struct ca_store *store, enum ca_table table, void *row, struct buf *memory);

    /* Pages: the first record whose key is above *cursor, which is moved to it. Cursors
     * start zeroed. TM_ENOTFOUND at the end. */
    /* The first tenant of a device whose name is above the one in *tenant, "" at first. */
    enum tm_err (*next_tenant)(struct ca_store *store, char tenant[IPC_NAME_MAX + 1]);
    enum tm_err (*next_device)(struct ca_store *store, const char *tenant,
                               char cursor[IPC_NAME_MAX + 1], struct ca_device *ret);
    enum tm_err (*next_certificate)(struct ca_store *store, struct ca_serial *cursor,
                                    struct ca_certificate *ret, struct buf *der);
    enum tm_err (*next_intent)(struct ca_store *store, struct ca_serial *cursor,
                               struct ca_intent *ret);
    /* The next of the audit log's consumers, by name. */
    enum tm_err (*next_cursor)(struct ca_store *store, char consumer[IPC_NAME_MAX + 1],
                               uint64_t *ret_next);
    /* cursor: a buf of CA_ROW_KEY_MAX octets, empty at first. */
    enum tm_err (*next_row)(struct ca_store *store, enum ca_table table, struct buf *cursor,
                            void *ret_row, struct buf *memory);

    /* Walks for one other thread, which may take minutes over them while the loop's thread goes
     * on: each page is one look at what is committed by then. Opened and closed on the loop's
     * thread, the scan must be closed before the store. */
    enum tm_err (*scan_open)(struct ca_store *store, struct ca_scan **ret_scan);
    void (*scan_close)(struct ca_scan *scan); /* NULL-safe */
    /* The next rows above *cursor, at most `max`; *ret_n = 0 at the end. An issuer's revoked
     * certificates come in the order of their serials; certificates in that of theirs, which is
     * that of time. */
    enum tm_err (*scan_revoked)(struct ca_scan *scan, const char *issuer, struct ca_serial *cursor,
                                struct ca_revoked *rows, size_t max, size_t *ret_n);
    enum tm_err (*scan_certificates)(struct ca_scan *scan, struct ca_serial *cursor,
                                     struct ca_summary *rows, size_t max, size_t *ret_n);
    enum tm_err (*scan_devices)(struct ca_scan *scan, const char *tenant,
                                char cursor[IPC_NAME_MAX + 1], struct ca_device *rows, size_t max,
                                size_t *ret_n);
    /* As `device`, by the scan's thread. */
    enum tm_err (*scan_device)(struct ca_scan *scan, const char *tenant, const char *id,
                               struct ca_device *ret);
    /* The devices of all tenants, in the order of tenant and ID, above the two, which are moved. */
    enum tm_err (*scan_every_device)(struct ca_scan *scan, char tenant[IPC_NAME_MAX + 1],
                                     char id[IPC_NAME_MAX + 1], struct ca_device *rows, size_t max,
                                     size_t *ret_n);
    /* As `leaf` and `audit_head`, by the scan's thread. */
    enum tm_err (*scan_leaf)(struct ca_scan *scan, uint64_t sequence, struct ca_leaf *ret);
    enum tm_err (*scan_audit_head)(struct ca_scan *scan, struct ca_audit_head *ret);

    /* Everything that must agree, agrees: record hashes, device <-> certificate, intents,
     * keys, Merkle root over the leaves. `report` is called per fault with one sentence.
     * TM_OK: no fault; TM_ECORRUPT. Takes time in proportion to the store. */
    enum tm_err (*check)(struct ca_store *store, void (*report)(void *arg, const char *text),
                         void *arg);
};

struct ca_store {
    const struct ca_store_ops *ops;
};

#endif
