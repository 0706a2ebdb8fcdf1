/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration protocol between `touchmark` and the core: one request, one
 * or more replies, over a Unix SOCK_SEQPACKET socket. The core knows its peer by
 * SO_PEERCRED. A listing answers with one reply per row and ends with a reply
 * whose `more` is 0; it carries the cursor for the next page in `cursor`.
 */
#ifndef TOUCHMARK_IPC_ADMIN_H
#define TOUCHMARK_IPC_ADMIN_H

#include "ipc/messages.h"

#define IPC_ADMIN_JSON_MAX 49152 /* octets of one JSON object */
#define IPC_ADMIN_DATA_MAX 12288 /* octets of a text or signature in a request */
#define IPC_ADMIN_CURSOR_MAX 480 /* an ID, a number, or a row's key in hex */

enum ipc_admin_verb {
    IPC_ADMIN_STATUS = 1,
    IPC_ADMIN_DEVICE_ADD,        /* tenant, device, attributes */
    IPC_ADMIN_DEVICE_SHOW,       /* tenant, device */
    IPC_ADMIN_DEVICE_LIST,       /* tenant, cursor, limit */
    IPC_ADMIN_DEVICE_TRANSITION, /* tenant, device, state, reason */
    IPC_ADMIN_DEVICE_SECRET,     /* tenant, device, seconds: answers a new one-time secret */
    IPC_ADMIN_CERT_SHOW,         /* serial */
    IPC_ADMIN_CERT_LIST,         /* tenant, device; or cursor */
    IPC_ADMIN_CERT_REVOKE,       /* serial, reason */
    IPC_ADMIN_INTENT_LIST,
    IPC_ADMIN_AUDIT_LIST, /* cursor = first sequence number, limit */
    IPC_ADMIN_AUDIT_HEAD,
    IPC_ADMIN_STORE_CHECK,    /* recomputes every record hash and every agreement */
    IPC_ADMIN_PENDING_LIST,   /* tenant, or all of them; cursor, limit */
    IPC_ADMIN_PENDING_DECIDE, /* tenant; device, and serial: the first digits of its request's hash;
                                 or batch, job, station, site, or all. profile, until_ms; state:
                                 approve or deny; reason */
    IPC_ADMIN_ACT_PROPOSE,    /* state: kind; data: JSON object of its parameters */
    IPC_ADMIN_ACT_LIST,
    IPC_ADMIN_ACT_SHOW,       /* serial: the act's ID */
    IPC_ADMIN_ACT_SIGN,       /* serial: the act's ID, officer, data: signature */
    IPC_ADMIN_ACT_WITHDRAW,   /* serial: the act's ID, reason */
    IPC_ADMIN_REVOKE_PREVIEW, /* what a selection comes to: tenant, device, batch, job, station,
                                 site, profile, issuer, from_ms, until_ms */
    IPC_ADMIN_KEYS,        /* every key: state, expiry, uses; or that of issuer; or reason: the name
                              of an agreement (ca/rows.h), data: a value, whether that may be put
                              in force */
    IPC_ADMIN_PUBLISH,     /* issuer, or all: publishes now what is due or not */
    IPC_ADMIN_PUBLISHED,   /* what is published */
    IPC_ADMIN_PROFILES,    /* the profiles in use, with their hashes; or profile, data: a hash
                              of it (32 octets), whether that may be applied */
    IPC_ADMIN_RELOAD,      /* touchmarkd reads its configuration again */
    IPC_ADMIN_CLOUD_PROOF, /* issuer, state: the cloud, data: the code that it gave, seconds: as
                              for ACT_PROPOSE; or serial: the ID of the act that it became */
    IPC_ADMIN_STORE_ACCEPT,  /* a store that is older than what was published from it; seconds: as
                                for ACT_PROPOSE; reason */
    IPC_ADMIN_DEVICE_IMPORT, /* tenant, data: an ipc_import; state: check (nothing is written) or
                                load; all: load the good rows, though others are bad */
    IPC_ADMIN_DEVICE_EXPORT, /* tenant, cursor, limit: whole records */
    IPC_ADMIN_DEVICE_QUERY,  /* tenant, question; state, profile, outcome, batch, site, station,
                                job, sku; from_ms and until_ms bound its time; cursor, limit */
    IPC_ADMIN_PRODUCTS,      /* the products in use, with their hashes */
    IPC_ADMIN_JOB_LIST,      /* tenant, cursor, limit */
    IPC_ADMIN_JOB_SHOW,      /* tenant, job; state: units, which are listed from cursor on */
    IPC_ADMIN_JOB_OPEN,      /* tenant, data: the job (YAML); cursor: hash of its list of IDs, in
                                hex, or none; seconds: as for ACT_PROPOSE. state: ids, data: a part
                                of the list with that hash */
    IPC_ADMIN_JOB_STOP,      /* tenant, job, reason */
    IPC_ADMIN_JOB_RESUME,    /* tenant, job, reason; seconds: as for ACT_PROPOSE */
    IPC_ADMIN_JOB_CLOSE,     /* tenant, job, data: JSON object of passed, failed, scrapped */
    IPC_ADMIN_OPERATOR_PUT,  /* tenant, officer: the name; data: salt and hash; or state: removed;
                                or state: list, cursor, limit */
    IPC_ADMIN_STATION_LIST,  /* tenant: stations, their jobs, who works there */
    IPC_ADMIN_CHECKPOINT,    /* the newest signed checkpoint, and the newest cosigned one; all: and
                                sign one soon */
    IPC_ADMIN_PROVE,         /* cursor: a leaf; or state: "growth", cursor: an earlier size */
    IPC_ADMIN_COSIGN,        /* data: a checkpoint with a witness's cosignature */
    IPC_ADMIN_AUDIT_EXPORT,  /* state: "leaf", cursor: the first; "tile", cursor: size/level/index;
                                "device", "certificate", "intent", "job", "unit", "operator",
                                "product", cursor: where to go on */
    IPC_ADMIN_REPORT,        /* the health of certificates: tenant, or all; seconds: of counts */
    IPC_ADMIN_EVENTS,        /* officer: the consumer's name, or none; cursor: first leaf that it
                                has not, else as recorded; all: waits for one; limit;
                                state "ack": sends none */
    IPC_ADMIN_JOB_SCRAP,     /* tenant, job, device, reason: its unit will never be good */
    IPC_ADMIN_VERB_LAST = IPC_ADMIN_JOB_SCRAP,
};

struct ipc_admin_request {
    uint8_t verb;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char serial[41]; /* hex */
    char state[IPC_NAME_MAX + 1];
    char reason[IPC_TEXT_MAX + 1];
    char sku[IPC_NAME_MAX + 1];
    char hardware_revision[IPC_NAME_MAX + 1];
    char batch[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    char station[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    char issuer[IPC_NAME_MAX + 1];
    char officer[IPC_NAME_MAX + 1];
    int64_t from_ms; /* wall ms; 0 = no bound */
    int64_t until_ms;
    uint8_t all; /* bool */
    char cursor[IPC_ADMIN_CURSOR_MAX + 1];
    uint32_t limit;
    uint32_t seconds;
    struct bytes data;
    char question[IPC_NAME_MAX + 1]; /* "expiring", "failing": ca/index.h */
    char outcome[IPC_NAME_MAX + 1];  /* of a refusal, as ipc_outcome_name */
};

struct ipc_admin_reply {
    uint8_t ok; /* 0: `text` says what is wrong and what is allowed */
    uint8_t more;
    char text[IPC_TEXT_MAX + 1];
    char cursor[IPC_ADMIN_CURSOR_MAX + 1];
    struct bytes json;   /* one JSON object (UTF-8), or empty */
    struct bytes secret; /* DEVICE_SECRET only; never logged */
    struct bytes der;    /* CERT_SHOW only */
};

/* Devices that are to be in the registry as the rows say. Empty members, and 0, say nothing. */
#define IPC_IMPORT_ROWS_MAX 128
#define IPC_IMPORT_KEYS_MAX 8
struct ipc_import_key {
    uint8_t sha256[32]; /* of the SubjectPublicKeyInfo */
};
struct ipc_import_row {
    uint32_t line; /* of the file, for people */
    char device[IPC_NAME_MAX + 1];
    char sku[IPC_NAME_MAX + 1];
    char hardware_revision[IPC_NAME_MAX + 1];
    char batch[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char firmware[IPC_NAME_MAX + 1];
    uint32_t provisioning_version;
    size_t key_count; /* any: the device enrolls with one of these first */
    struct ipc_import_key keys[IPC_IMPORT_KEYS_MAX];
};
struct ipc_import {
    size_t count;
    struct ipc_import_row rows[IPC_IMPORT_ROWS_MAX];
};

extern const struct codec_schema ipc_admin_request_schema, ipc_admin_reply_schema,
    ipc_import_schema;

#endif
