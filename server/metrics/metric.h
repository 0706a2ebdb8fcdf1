/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every number that is served, by one table: its name, type, labels and help as the Prometheus text
 * format has them, and who says it. A new one is a row here, and one metrics_add where it is
 * counted. Constant; thread-safe.
 */
#ifndef TOUCHMARK_SERVER_METRICS_METRIC_H
#define TOUCHMARK_SERVER_METRICS_METRIC_H

#include "ipc/messages.h"

/* In the order in which they are served. Between processes of one program only: never stored. */
enum metric {
    METRIC_UP = 1,
    METRIC_READY,
    METRIC_BUILD,
    METRIC_PROCESS_START,
    METRIC_PROCESS_CPU,
    METRIC_PROCESS_RESIDENT,
    METRIC_ENROLLMENTS,
    METRIC_RENEWALS,
    METRIC_BURNED,
    METRIC_REQUESTS,
    METRIC_REQUESTS_LIMIT,
    METRIC_ISSUANCE,
    METRIC_TOKEN_READY,
    METRIC_TOKEN_IN_USE,
    METRIC_TOKEN_BREAKER,
    METRIC_TOKEN_WAITING,
    METRIC_TOKEN_FAILURES,
    METRIC_TOKEN_SIGNATURE,
    METRIC_UPSTREAM_ANSWERS,
    METRIC_STORE_USED,
    METRIC_STORE_MAP,
    METRIC_STORE_LIMIT,
    METRIC_STORE_FREE,
    METRIC_STORE_FULL,
    METRIC_STORE_COMMITS,
    METRIC_STORE_BATCHES,
    METRIC_STORE_CONFLICTS,
    METRIC_AUDIT_LEAVES,
    METRIC_CONSUMER_LAG,
    METRIC_CHECKPOINT_TIME,
    METRIC_CHECKPOINT_LEAVES,
    METRIC_COSIGNED_TIME,
    METRIC_COSIGNED_LEAVES,
    METRIC_INDEX_READY,
    METRIC_INDEX_LAG,
    METRIC_INDEX_DEVICES,
    METRIC_IMPORTED,
    METRIC_JOBS,
    METRIC_QUARANTINED,
    METRIC_PUBLISHED,
    METRIC_PUBLISHED_NEXT,
    METRIC_PUBLISHED_LATE,
    METRIC_ISSUER_EXPIRY,
    METRIC_TLS_EXPIRY,
    METRIC_FACES,
    METRIC_FRONT_CONNECTIONS,
    METRIC_FRONT_ACCEPTED,
    METRIC_FRONT_HANDSHAKE_FAILURES,
    METRIC_DROPPED,
    METRIC_LAST = METRIC_DROPPED,
};

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM, METRIC_SUMMARY };

#define METRIC_LABELS_MAX 3

struct metric_row {
    enum metric metric;
    const char *name;
    enum metric_type type;
    /* Who says it; IPC_ROLE_SUPERVISOR: every process, and the label `process` names it. What
     * others say of it is not believed. */
    enum ipc_role role;
    bool per_process;                      /* has the label `process`, of who said it */
    const char *labels[METRIC_LABELS_MAX]; /* a histogram's last one is "le" */
    const char *help;                      /* one sentence */
};

/* NULL: there is no such. */
const struct metric_row *metric_row(unsigned metric);

/* "gauge", ...; never NULL. */
const char *metric_type_name(enum metric_type type);

#endif
