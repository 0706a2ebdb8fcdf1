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
 *   registry.c  that registry against the one in the export
 *   table.c     names and what is known of them
 */
#ifndef TOUCHMARK_AUDITOR_AUDITOR_H
#define TOUCHMARK_AUDITOR_AUDITOR_H

#include "audit/proof.h"
#include "ca/types.h"

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
/* What was verified, if nothing was found; the exit code. */
int auditor_conclude(const struct auditor_report *report, uint64_t leaves, size_t cosigned);

/* ---- table.c ---- */

/* What the log says of a device or a certificate. */
struct auditor_entry {
    char *name; /* "TENANT/ID", or a serial in hex */
    uint64_t leaf;
    uint32_t states; /* bits of those that the registry may show */
    uint8_t state;
    bool there; /* in the exported registry */
    uint8_t fingerprint[CA_HASH_SIZE];
    char *owner; /* of a certificate: its device; NULL */
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
    struct auditor_table devices, certificates;
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

/* ---- log.c, replay.c, registry.c ---- */

void auditor_verify_log(struct auditor *a);
/* One leaf of the log. */
void auditor_replay(struct auditor *a, uint64_t sequence, struct bytes octets);
void auditor_compare_registry(struct auditor *a);

#endif
