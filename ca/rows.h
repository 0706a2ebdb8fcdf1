/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrative records: what people decide and what is published, in small tables beside the
 * registry. A row has a version, which rises by one with each change (0 = not stored yet), so that
 * two officers who change it at once serialise as changes of a device do. BYTES members borrow.
 *
 * How a row is stored is store/'s business (store/records.h has the codecs); its key is made here.
 */
#ifndef TOUCHMARK_CA_ROWS_H
#define TOUCHMARK_CA_ROWS_H

#include "ca/job_rows.h"

/* Values are stored: never renumber. */
enum ca_table {
    CA_TABLE_PENDING = 1, /* struct ca_pending, by tenant, device and profile */
    CA_TABLE_ACT,         /* struct ca_act, by its ID */
    CA_TABLE_PROFILE,     /* struct ca_profile_row, by name */
    CA_TABLE_ISSUER,      /* struct ca_issuer_row, by name */
    CA_TABLE_PUBLISHED,   /* struct ca_published, by issuer and object */
    CA_TABLE_KEYGEN,      /* struct ca_keygen, by tenant, device and profile */
    CA_TABLE_ASK,         /* struct ca_ask_row, by tenant, device and profile */
    CA_TABLE_FOREIGN,     /* struct ca_foreign_row, by fingerprint */
    CA_TABLE_AGREED,      /* struct ca_agreed, by name */
    CA_TABLE_PRODUCT,     /* struct ca_product_row, by SKU */
    CA_TABLE_JOB,         /* struct ca_job, by tenant and name */
    CA_TABLE_JOB_IDS,     /* struct ca_job_ids, by tenant, hash and last ID */
    CA_TABLE_UNIT,        /* struct ca_unit, by tenant, job and device */
    CA_TABLE_OPERATOR,    /* struct ca_operator, by tenant and name */
    CA_TABLE_SHIFT,       /* struct ca_shift, by tenant and station */
    CA_TABLE_CHECKPOINT,  /* struct ca_checkpoint, by name */
    CA_TABLE_COSIGNATURE, /* struct ca_cosignature, by witness */
    CA_TABLE_DROPPED,     /* struct ca_dropped, by tenant, device and serial */
    CA_TABLE_LAST = CA_TABLE_DROPPED,
};

#define CA_ROW_KEY_MAX 240      /* octets */
#define CA_ROW_MEMORY_MAX 12288 /* octets that the BYTES members of a row may borrow together */

/* A request that waits for an officer (requirement A6). It holds for one certificate: the
 * transaction that records that one removes the row. */
enum ca_pending_status { CA_PENDING_OPEN = 1, CA_PENDING_APPROVED, CA_PENDING_DENIED };
struct ca_pending {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    uint8_t status;                /* enum ca_pending_status */
    uint8_t request[CA_HASH_SIZE]; /* as ca_cert_ref.request: which request it is */
    uint8_t spki_sha256[CA_HASH_SIZE];
    char key_word[IPC_NAME_MAX + 1]; /* "p256" */
    char subject[IPC_TEXT_MAX + 1];  /* for people */
    struct bytes san;                /* whole GeneralNames that it asks for, or empty; CA_SAN_MAX */
    char actor[IPC_TEXT_MAX + 1];    /* who asks, as the audit names it */
    char remote[IPC_ADDRESS_MAX + 1];
    int64_t created_ms;
    int64_t asked_ms;   /* when it was asked for last, give or take a minute */
    int64_t expires_ms; /* afterwards it is as if nobody had asked or decided */
    char officer[IPC_TEXT_MAX + 1];
    int64_t decided_ms;
    char reason[IPC_TEXT_MAX + 1];
};

/* An act that takes the signatures of two officers over one text (ca/act.h). */
enum ca_act_status {
    CA_ACT_OPEN = 1,
    CA_ACT_RUNNING, /* signed by enough officers; `done` counts what of it is carried out */
    CA_ACT_DONE,
    CA_ACT_FAILED, /* `result` says why */
    CA_ACT_WITHDRAWN,
    CA_ACT_EXPIRED, /* not signed by enough officers in time */
};
#define CA_ACT_ID_SIZE 16 /* octets, random: the nonce of the text */
#define CA_ACT_TEXT_MAX 8192
#define CA_ACT_SIGNATURES_MAX 4
#define CA_ACT_SIGNATURE_MAX 512
struct ca_act_signature {
    char officer[IPC_NAME_MAX + 1];
    int64_t time_ms;
    uint8_t key[CA_HASH_SIZE]; /* SHA-256 of the SubjectPublicKeyInfo that verified it */
    uint16_t n;
    uint8_t octets[CA_ACT_SIGNATURE_MAX];
};
struct ca_act {
    uint64_t version;
    uint8_t id[CA_ACT_ID_SIZE];
    char kind[IPC_NAME_MAX + 1]; /* "revoke-many", "profile-apply", ... */
    uint8_t status;              /* enum ca_act_status */
    struct bytes text;           /* canonical command, ASCII */
    char proposer[IPC_TEXT_MAX + 1];
    int64_t created_ms;
    int64_t expires_ms; /* until then it must be signed */
    int64_t ended_ms;
    uint64_t done;
    struct ca_serial cursor; /* of the last certificate that it was carried out on */
    char result[IPC_TEXT_MAX + 1];
    size_t signature_count;
    struct ca_act_signature signatures[CA_ACT_SIGNATURES_MAX];
};

/* A profile as it was taken into use; one that differs issues nothing until officers sign it. */
struct ca_profile_row {
    uint64_t version;
    char name[IPC_NAME_MAX + 1];
    uint8_t hash[CA_HASH_SIZE]; /* ca_profile.hash */
    int64_t since_ms;
    uint8_t act[CA_ACT_ID_SIZE]; /* zero: it was there when the store was new */
};

/* What its key was used for; counted in the transaction that records the use. */
enum ca_use {
    CA_USE_CERTIFICATE = 1,
    CA_USE_CMC,
    CA_USE_CRL,
    CA_USE_OCSP,
    CA_USE_FILTER,
    CA_USE_LAST = CA_USE_FILTER
};
struct ca_issuer_row {
    uint64_t version;
    char name[IPC_NAME_MAX + 1];
    uint8_t spki_sha256[CA_HASH_SIZE]; /* zero: counted before it was ever set up */
    uint32_t crl_shards; /* its certificates name their shard, so this never changes; 0: not set */
    int64_t since_ms;
    uint64_t uses[CA_USE_LAST + 1]; /* by enum ca_use */
    struct ca_serial ocsp;          /* certificate of its OCSP key, n = 0: none */
};

/* What was published last under a name. Numbers rise, whatever happens between. */
struct ca_published {
    uint64_t version;
    char issuer[IPC_NAME_MAX + 1];
    char object[IPC_NAME_MAX + 1]; /* "crl", "crl-7" (shard), "filter" */
    uint64_t number;               /* given out: the next is at least one more */
    int64_t this_update_ms;
    int64_t next_update_ms;
    uint64_t entries;
    uint64_t size; /* octets */
    uint8_t sha256[CA_HASH_SIZE];
    uint8_t released; /* bool: signed, and given to who serves it */
};

/* A private key that was generated here for a device (RFC 7030, 4.4), sealed by core.wrap_key, for
 * as long as its answer may be asked for again. */
#define CA_KEYGEN_SEALED_MAX 8192
struct ca_keygen {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    struct ca_serial serial;
    uint8_t request[CA_HASH_SIZE]; /* as ca_cert_ref.request */
    int64_t made_ms;
    int64_t expires_ms;
    struct bytes sealed;
};

/* A request that another CA was asked with (ca/upstream.h), durable before that, and until its
 * certificate is recorded: the same request asks with the same octets again, so that a CA that
 * repeats its answers gives the same certificate. */
struct ca_ask_row {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    struct ca_serial serial;       /* of the intent of the newest ask */
    uint8_t request[CA_HASH_SIZE]; /* as ca_cert_ref.request */
    uint8_t open;                  /* bool: asked, and no end of it is recorded */
    uint32_t asks;
    uint32_t
        unknown; /* of them, those that may have made a certificate that is not recorded here */
    int64_t asked_ms; /* the newest */
    struct bytes csr; /* DER */
};

/* A certificate that another CA signed: under which number its record stands. */
struct ca_foreign_row {
    uint64_t version;
    uint8_t fingerprint[CA_HASH_SIZE]; /* SHA-256 of its DER */
    struct ca_serial serial;
};

/* What holds until two officers agree on something else: who signs for a tenant, a ceiling. */
#define CA_AGREED_NAME_MAX (IPC_NAME_MAX + 24)
#define CA_AGREED_VALUE_MAX 4096
struct ca_agreed {
    uint64_t version;
    char name[CA_AGREED_NAME_MAX + 1]; /* "tenant:acme", "ceiling:signer.max_rate" */
    struct bytes value;                /* ASCII */
    int64_t since_ms;
    uint8_t act[CA_ACT_ID_SIZE]; /* zero: there were no officers' keys, or it was the first */
};

/* A product's rules as they are in use. */
struct ca_product_row {
    uint64_t version;
    char sku[IPC_NAME_MAX + 1];
    uint8_t hash[CA_HASH_SIZE]; /* ca_product.hash */
    int64_t since_ms;
};

/* A tree of the audit log that was shown to others. */
#define CA_CHECKPOINT_SIGNED "signed"     /* the newest that was signed */
#define CA_CHECKPOINT_COSIGNED "cosigned" /* the newest that a witness cosigned, too */
#define CA_CHECKPOINT_ACCEPTED                                                                     \
    "accepted" /* up to its size, officers have accepted that what was shown differs */
#define CA_CHECKPOINT_NOTE_MAX 8192
struct ca_checkpoint {
    uint64_t version;
    char name[IPC_NAME_MAX + 1];
    uint64_t size; /* leaves */
    uint8_t root[CA_HASH_SIZE];
    int64_t time_ms;
    struct bytes note; /* signed note (c2sp.org/tlog-checkpoint); of one accepted, empty */
};

/* The newest cosignature of a witness. */
#define CA_WITNESS_NAME_MAX 128
#define CA_COSIGNATURE_MAX 512
struct ca_cosignature {
    uint64_t version;
    char witness[CA_WITNESS_NAME_MAX + 1];
    uint64_t size; /* leaves of the tree that it saw */
    uint8_t root[CA_HASH_SIZE];
    int64_t time_ms;   /* by the witness's clock */
    struct bytes line; /* of a signed note, with its LF */
};

/* A certificate that its device's full record names no more, although it had neither expired nor
 * been revoked: what revokes all of a device's certificates finds it here (ca/dropped.h). */
struct ca_dropped {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    struct ca_serial serial;
    int64_t not_after_ms;
};

/* Appends the key of a row, whose key members are set. TM_ELIMIT, TM_EINVAL (a member is empty). */
MUST_USE enum tm_err ca_row_key(enum ca_table table, const void *row, struct buf *out);
/* Octets of a table's struct; 0: there is no such table. */
size_t ca_row_size(enum ca_table table);

#endif
