/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark-audit`: verifies an export of the audit log without the server, its store or a token.
 * What it is given is trusted in nothing but the keys on its command line.
 *
 *   main.c      command line, and what comes of it
 *   report.c    what was found
 *   evidence.c  checkpoints, cosignatures and receipts, of the export and from elsewhere
 *   folder.c    files of an export
 *   log.c       leaves against tiles, root and earlier checkpoints
 *   replay.c    leaves as changes of a registry
 *   jobs.c      those of jobs and units, and what their terms say of each issuance
 *   people.c    those of operators and products
 *   keys.c      what keys were used for, summed
 *   registry.c  that registry against the one in the export
 *   rows.c      its jobs, units, operators and products
 *   table.c     names and what is known of them
 */
#ifndef TOUCHMARK_AUDITOR_AUDITOR_H
#define TOUCHMARK_AUDITOR_AUDITOR_H

#include <jansson.h>

#include "audit/proof.h"
#include "ca/job.h"

#define AUDITOR_WITNESSES_MAX 16
#define AUDITOR_EVIDENCE_MAX 64
#define AUDITOR_PATH_MAX 4096

/* ---- report.c ---- */

/* What is wrong with what, and the exit code for it; of several kinds, the first counts. */
enum auditor_kind {
    AUDITOR_LOG,          /* leaves, tiles or root */
    AUDITOR_SIGNATURE,    /* the checkpoint's */
    AUDITOR_HISTORY,      /* against an earlier checkpoint or a receipt */
    AUDITOR_COSIGNATURES, /* too few */
    AUDITOR_REGISTRY,     /* not what the log says */
    AUDITOR_KIND_COUNT,
};
#define AUDITOR_EXIT(kind) (2 + (int)(kind)) /* 2 to 6 */

struct auditor_report {
    bool json;
    uint64_t counts[AUDITOR_KIND_COUNT];
};

/* One finding, printed at once; beyond a thousand of a kind they are counted only. */
void auditor_find(struct auditor_report *report, enum auditor_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct auditor_key_use;
/* One line on a key. */
void auditor_tell_key(const struct auditor_report *report, const struct auditor_key_use *use);
/* What was verified, if nothing was found; the exit code. */
int auditor_conclude(const struct auditor_report *report, uint64_t leaves, size_t cosigned);

/* ---- table.c ---- */

/* What the log says of a device, a certificate, a unit, an operator or a product. */
struct auditor_entry {
    char *name; /* "TENANT/ID", a serial in hex, "TENANT/JOB/DEVICE", "TENANT/NAME", a SKU */
    uint64_t leaf;
    uint32_t states; /* bits of those that the registry may show */
    uint8_t state;
    bool there;                        /* in the exported registry */
    uint32_t job;                      /* of a device: the job that it is bound to, 0: none; of a
                                          job: its own number */
    uint8_t fingerprint[CA_HASH_SIZE]; /* of a product: its hash */
    char *owner;                       /* of a certificate: its device; NULL */
};

struct auditor_table {
    struct auditor_entry *slots;
    size_t capacity, count;
};

/* The entry of this name, made if it is not there; NULL: no memory. Valid until the next call. */
struct auditor_entry *auditor_entry(struct auditor_table *table, const char *name);
/* NULL: there is none. */
struct auditor_entry *auditor_known(const struct auditor_table *table, const char *name);
void auditor_table_free(struct auditor_table *table);
/* A leaf's subject has this state from now on: the registry may show it, and none before, unless it
 * was read while that happened. */
void auditor_set_state(struct auditor_entry *entry, uint64_t sequence, uint64_t registry_from,
                       uint8_t state);

/* ---- jobs.c ---- */

/* A count by the log, and between what the registry may show it. */
struct auditor_count {
    uint32_t now, low, high;
};

/* All profiles that one job's terms have named over time; what comes after is not counted. */
#define AUDITOR_JOB_PROFILES_MAX 16
struct auditor_job {
    char *name;      /* "TENANT/NAME" */
    uint8_t status;  /* enum ca_job_status; 0: no leaf has opened it */
    uint32_t states; /* bits of those that the registry may show */
    bool there;      /* in the exported registry */
    uint64_t leaf;   /* the last that is about the job itself */
    struct auditor_count number, begun, passed, failed, scrapped;
    struct ca_job *terms, *before; /* NULL: the log does not say */
    int64_t changed_ms;            /* up to then `before` was in force */
    int64_t status_ms;             /* since then it is in this status */
    size_t profile_count;
    struct {
        char name[IPC_NAME_MAX + 1];
        struct auditor_count issued;
    } profiles[AUDITOR_JOB_PROFILES_MAX];
    uint32_t waiting; /* serials on their way, by the registry */
};
struct auditor_jobs {
    struct auditor_job **items; /* entry->job is one more than the index */
    size_t count, room;
    struct auditor_table names;
    struct auditor_table units;   /* state: enum ca_unit_result and one more */
    struct auditor_table waiting; /* "TENANT/JOB/DEVICE" of serials on their way */
};
#define AUDITOR_UNIT_NAME_MAX (3 * IPC_NAME_MAX + 3)

/* ---- keys.c ---- */

/* Of one key: how often it signed one kind of thing, by leaves that count (KEY_USED), and how many
 * leaves of their own tell of such signatures. */
struct auditor_key_use {
    char provider[IPC_NAME_MAX + 1], issuer[IPC_NAME_MAX + 1], what[IPC_TEXT_MAX + 1];
    uint64_t signatures, leaves;
    int64_t first_ms, last_ms;
};
struct auditor_keys {
    struct auditor_key_use *items;
    size_t count, room;
};

/* ---- evidence.c ---- */

/* A tree that the log's key has signed, besides that of the export. */
struct auditor_evidence {
    const char *file;
    uint64_t size;
    struct audit_hash root;
    bool met; /* the log was held against it */
};

struct auditor {
    struct auditor_report report;
    struct audit_key key;
    struct audit_key witnesses[AUDITOR_WITNESSES_MAX];
    size_t witness_count, threshold;
    struct auditor_evidence evidence[AUDITOR_EVIDENCE_MAX];
    size_t evidence_count;
    const char *dir; /* NULL: only receipts are verified */
    uint64_t from, size;
    struct audit_hash root;
    uint64_t registry_from, registry_to;
    size_t cosigned; /* witnesses */
    struct auditor_table devices, certificates, operators, products;
    struct auditor_jobs jobs;
    struct auditor_keys keys;
};

/* The export's checkpoint, and export.json. False: nothing more can be verified. */
bool auditor_open(struct auditor *a);
/* A checkpoint from elsewhere: a file, or an earlier export. */
void auditor_take_checkpoint(struct auditor *a, const char *path);
void auditor_take_receipt(struct auditor *a, const char *path);

/* ---- folder.c ---- */

/* A file of at most `max` octets; the caller frees. Says why not on stderr, if `what` is given. */
MUST_USE bool auditor_read(const char *path, size_t max, const char *what, struct bytes *ret);
/* The path of a tile, or with level -1 of an entry bundle (c2sp.org/tlog-tiles). */
void auditor_tile_path(const char *dir, int level, uint64_t index, size_t width,
                       char ret[AUDITOR_PATH_MAX]);

/* ---- log.c, replay.c and what it is made of, registry.c, rows.c ---- */

void auditor_verify_log(struct auditor *a);
/* One leaf of the log. */
void auditor_replay(struct auditor *a, uint64_t sequence, struct bytes octets);
/* The device that the leaf is about, if it names one. */
void auditor_replay_job(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf,
                        struct auditor_entry *device);
void auditor_replay_person(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf);
/* Was the operator that an issuance names ever added? */
void auditor_judge_operator(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf);
void auditor_replay_product(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf);
void auditor_replay_key(struct auditor *a, const struct ca_leaf *leaf);
void auditor_keys_tell(const struct auditor *a);
void auditor_keys_free(struct auditor_keys *keys);
/* NULL: no leaf names it. */
struct auditor_job *auditor_job_known(const struct auditor *a, const char *tenant,
                                      const char *name);
void auditor_jobs_free(struct auditor_jobs *jobs);
void auditor_compare_registry(struct auditor *a);
/* Every line of one of its files. */
void auditor_compare_file(struct auditor *a, const char *name,
                          void (*compare)(struct auditor *a, const json_t *row));
/* "" where the row has no such text. */
const char *auditor_text(const json_t *row, const char *key);
/* Of a log that begins later, who is not named in it was there before. */
void auditor_find_unknown(struct auditor *a, const char *what, const char *name);
void auditor_name_missing(struct auditor *a, const char *what, const struct auditor_table *table);
/* Jobs, units, operators and products; intents have been read before. */
void auditor_compare_rows(struct auditor *a);

#endif
