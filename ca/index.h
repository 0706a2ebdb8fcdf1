/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of the index of devices, and what it answers (store/index.h). The index follows the
 * audit log beside issuance, so an answer may be behind by as much as struct ca_fresh says; what it
 * does answer is held against the device's record first, and what does not fit any more is left
 * out. It can be thrown away at any time: it is built anew from devices and audit log.
 */
#ifndef TOUCHMARK_CA_INDEX_H
#define TOUCHMARK_CA_INDEX_H

#include "ca/types.h"

/* Each question answers with devices in the order of a time of its own. */
enum ca_question {
    CA_FIND_MATCHING = 1, /* those that the words of struct ca_find fit; no time */
    CA_FIND_EXPIRING,     /* have a certificate in use; its notAfter */
    CA_FIND_FAILING,      /* were refused since they got their last certificate; the last refusal */
    CA_FIND_STUCK,        /* are on their way through the factory; the last change of the record */
    CA_FIND_DUPLICATE,    /* a second key was presented for the ID, or the key of another device;
                             when that was last */
    CA_FIND_UNRENEWED, /* have a certificate in use that is the first of its profile; its issue */
    CA_FIND_LAST = CA_FIND_UNRENEWED,
};
/* "matching", "expiring", "failing", "stuck", "duplicate", "unrenewed". TM_ENOTFOUND. */
MUST_USE enum tm_err ca_question_find(const char *name, enum ca_question *ret);

/* Empty words and zeros fit everything. */
struct ca_find {
    enum ca_question question;
    char tenant[IPC_NAME_MAX + 1]; /* never empty */
    char batch[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    char station[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char sku[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1]; /* of the certificate or the refused request; else: has one in
                                       use of it */
    uint8_t state;                  /* enum ca_state */
    uint8_t outcome;                /* enum ipc_outcome, of the last refusal */
    int64_t from_ms;                /* the question's time: not before */
    int64_t until_ms;               /* before; 0: no bound */
};

/* Refusals of one kind. */
struct ca_trouble {
    uint8_t outcome;  /* enum ipc_outcome of the last; 0: there is none */
    uint32_t profile; /* the index's own number of the profile that was asked for */
    uint32_t count;
    int64_t first_ms;
    int64_t last_ms;
};

/* One answer; borrowed for as long as it is handed over. */
struct ca_found {
    const struct ca_device *device;
    const struct ca_cert_ref *cert;   /* EXPIRING, UNRENEWED; else NULL */
    const struct ca_trouble *trouble; /* FAILING, DUPLICATE; else NULL */
};

/* Where a page ended; zeroed at first. Of the same question only. */
struct ca_find_cursor {
    bool begun;
    uint32_t minute;
    uint32_t value;
    uint64_t number;
};

/* How much of the audit log the answers know. */
struct ca_fresh {
    bool built;        /* false: it still walks over the devices, and answers nothing */
    uint64_t next;     /* the first leaf that it does not know */
    uint64_t size;     /* leaves that there are */
    int64_t behind_ms; /* for how long that leaf has been there; 0: it knows all */
    uint64_t devices;
};

/* The certificates of one profile of a tenant, all counted as of the last leaf that is known. Of
 * refusals that name neither, both are empty. */
#define CA_HEALTH_WINDOWS 3 /* 7, 30 and 90 days */
extern const unsigned ca_health_days[CA_HEALTH_WINDOWS];
struct ca_health {
    char tenant[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    uint64_t in_use; /* expired ones among them */
    uint64_t expired;
    uint64_t expiring[CA_HEALTH_WINDOWS]; /* within so many days from now; not those expired */
    uint64_t unrenewed;                   /* of those in use, the first of their device */
    /* Since the first of the UTC days that were asked for. */
    uint64_t issued;  /* renewals among them */
    uint64_t renewed; /* by simplereenroll, or with a certificate of its own by a device in use */
    uint64_t refused[IPC_OUTCOME_LAST + 1];
};

#endif
