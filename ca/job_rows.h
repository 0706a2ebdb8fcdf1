/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of production jobs (docs/stations.md): what a station may do, units, operators. Part of
 * ca/rows.h.
 */
#ifndef TOUCHMARK_CA_JOB_ROWS_H
#define TOUCHMARK_CA_JOB_ROWS_H

#include "ca/types.h"

#define CA_JOB_NAME_MAX 48 /* octets: shorter than a hash, by which proposals are called */
#define CA_JOB_PROFILES_MAX 4
#define CA_JOB_NETWORKS_MAX 8
#define CA_JOB_STATIONS_MAX 16

/* Values are stored: never renumber. */
enum ca_job_status {
    CA_JOB_PROPOSED = 1, /* terms that officers have not agreed on yet; `name` is their hash */
    CA_JOB_OPEN,
    CA_JOB_STOPPED, /* nothing is issued until it is resumed */
    CA_JOB_CLOSING, /* counts matched; its units leave quarantine */
    CA_JOB_CLOSED,
    CA_JOB_STATUS_LAST = CA_JOB_CLOSED,
};

/* What stops a job by itself. Values index a stored array: never renumber. */
enum ca_job_rule {
    CA_RULE_DUPLICATE_ID,  /* an ID that has its certificate, for another key */
    CA_RULE_DUPLICATE_KEY, /* a key of another device */
    CA_RULE_UNKNOWN_ID,    /* an ID that no job of the station has */
    CA_RULE_RATE,          /* faster than its rate */
    CA_RULE_ERRORS,        /* refusals in a row */
    CA_RULE_COUNT,
};

struct ca_job_profile {
    char name[IPC_NAME_MAX + 1];
    uint32_t quota;
    uint32_t spent; /* certificates issued, and those that are on their way */
};
struct ca_job_text {
    char text[IPC_NAME_MAX + 1];
};

/* A job: its terms, and how far it is. `spent` and the counts of units change by CA_SPEND_GRANT
 * alone: CA_PUT_ROW keeps what is stored of them. */
struct ca_job {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char name[IPC_NAME_MAX + 1];
    char of[IPC_NAME_MAX + 1]; /* PROPOSED: the name of the job that it is for */
    uint8_t status;            /* enum ca_job_status */
    uint32_t terms;            /* rises with each change that was agreed on; 1 at first */
    char product[IPC_NAME_MAX + 1];
    char batch[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    size_t profile_count;
    struct ca_job_profile profiles[CA_JOB_PROFILES_MAX];
    /* IDs: a range of the same length, whose tails are numbers, or a list (struct ca_job_ids). */
    char first[IPC_NAME_MAX + 1];
    char last[IPC_NAME_MAX + 1];
    uint32_t listed; /* how many are in the list; 0: it is a range */
    uint8_t list[CA_HASH_SIZE];
    int64_t from_ms;
    int64_t until_ms;
    size_t network_count;                             /* 0: from anywhere */
    struct ca_job_text networks[CA_JOB_NETWORKS_MAX]; /* "192.0.2.0/24", "2001:db8::/32" */
    size_t station_count;
    struct ca_job_text stations[CA_JOB_STATIONS_MAX];
    uint32_t rate; /* certificates per minute; 0: no bound */
    uint8_t operator_required;
    uint32_t limits[CA_RULE_COUNT]; /* how many stop it, by enum ca_job_rule; 0: never */
    char reason[IPC_TEXT_MAX + 1];  /* why it stopped */
    uint32_t begun;                 /* units; the others are parts of it */
    uint32_t passed;
    uint32_t failed;
    uint32_t scrapped;
    int64_t opened_ms;
    int64_t changed_ms;
    uint8_t act[CA_HASH_SIZE / 2]; /* by which its terms hold; zero: there were no officers */
    char closer[IPC_TEXT_MAX + 1]; /* who closed it */
};

/* A part of a list of IDs, which never changes: by tenant, the list's hash and the part's last ID.
 * The hash is SHA-256 over all IDs, sorted by their octets, each followed by LF. */
#define CA_JOB_IDS_MAX 8192 /* octets */
struct ca_job_ids {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    uint8_t list[CA_HASH_SIZE];
    char last[IPC_NAME_MAX + 1];
    struct bytes ids; /* sorted, each followed by LF */
};

enum ca_unit_result { CA_UNIT_PASSED = 1, CA_UNIT_FAILED, CA_UNIT_SCRAPPED };

/* A device while it is on a station: by tenant, job and device. */
struct ca_unit_proof {
    char profile[IPC_NAME_MAX + 1];
    struct ca_serial serial; /* of the certificate whose key has signed a challenge */
};
struct ca_unit {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    uint8_t result; /* enum ca_unit_result; 0: none yet */
    uint8_t locked; /* bool: the station says so */
    char station[IPC_NAME_MAX + 1];
    char operator_name[IPC_NAME_MAX + 1];
    int64_t begun_ms;
    int64_t reported_ms;
    int64_t challenge_ms; /* challenges made up to then are used up */
    size_t proof_count;
    struct ca_unit_proof proofs[CA_JOB_PROFILES_MAX];
};

/* Who may work at the stations of a tenant. */
#define CA_OPERATOR_SALT_SIZE 16
struct ca_operator {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char name[IPC_NAME_MAX + 1];
    uint8_t kdf; /* 1: scrypt as in ca/operator.c */
    uint8_t salt[CA_OPERATOR_SALT_SIZE];
    uint8_t hash[CA_HASH_SIZE];
    int64_t created_ms;
};

/* Who works at a station, by tenant and station; and how often logging in failed there. */
struct ca_shift {
    uint64_t version;
    char tenant[IPC_NAME_MAX + 1];
    char station[IPC_NAME_MAX + 1];
    char operator_name[IPC_NAME_MAX + 1]; /* "": nobody */
    uint64_t operator_version;            /* another: it is not the same person's secret any more */
    int64_t since_ms;
    int64_t until_ms;
    uint32_t failures; /* since the last that did not fail */
    int64_t retry_ms;  /* before, nobody is let in */
};

#endif
