/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the publisher: what is published, and one run that makes some of it: see publish.h. */
#ifndef TOUCHMARK_SERVER_CORE_PUBLISH_INTERNAL_H
#define TOUCHMARK_SERVER_CORE_PUBLISH_INTERNAL_H

#include "ca/crl.h"
#include "ca/filter.h"
#include "server/core/alarm.h"
#include "server/core/publish.h"

#define RUN_PARTS_MAX 8 /* objects of one run: their changes and leaves fit into one batch */

/* Something with a name of its own on the status listener. */
struct core_object {
    const struct ca_issuer *issuer;
    enum ipc_publish_kind kind;
    int shard;               /* of a CRL; -1: the full one, or no CRL */
    struct ca_published row; /* as stored; of a certificate never stored */
    int fd;       /* sealed memory file with what is released; -1: none in this process */
    bool running; /* a run makes the next one */
    bool served;  /* the status face has what is released */
    bool behind;  /* something was revoked that it does not name */
    bool alarmed;
    int64_t due;      /* monotonic ms: when to make the next */
    int64_t promised; /* monotonic ms: when it must be served at the latest */
    int64_t covers;   /* monotonic ms: what was revoked before then it names */
    int64_t revoked;  /* monotonic ms of the newest revocation that concerns it */
    int64_t behind_since;
};

struct core_run {
    struct core_publish *publish;
    struct core_job job;
    const struct ca_issuer *issuer;
    enum ipc_publish_kind kind;
    int64_t started;        /* monotonic ms */
    int64_t this_update_ms; /* wall, whole seconds */
    int64_t next_update_ms;
    int64_t covers_until_ms; /* filters: every serial given out before then is recorded or burned */
    size_t unsigned_count;   /* tickets that are out */
    enum tm_err err;         /* of the thread's work, or of a signature */
    const struct ca_ticket *wrong; /* with TM_ECRYPTO: the one whose signature it is */
    struct ca_batch batch;
    size_t count;
    struct core_part {
        struct core_run *run;
        struct core_object *object;
        struct ca_published row;    /* as it will be */
        int64_t keep_ms;            /* what expired before then has been on a CRL already */
        char url[IPC_TEXT_MAX + 1]; /* of a shard, "" = none */
        struct ca_crl *crl;
        struct ca_filter *filter;
        int tbs_fd;
        int fd;
        struct ca_ticket ticket;
        size_t signature_n;
        uint8_t signature[IPC_SIGNATURE_MAX];
        struct ca_leaf leaf;
    } parts[RUN_PARTS_MAX];
};

struct core_publish {
    struct core_publish_config config;
    struct ca_scan *scan;    /* the worker's, while a run is there */
    struct core_links links; /* to status faces */
    struct core_object *objects;
    size_t count;
    struct core_run *run; /* NULL: none */
    struct core_alarm alarm;
    bool stopped;
};

/* ---- publish.c ---- */

/* Would a certificate of its issuer be on this one if it was revoked? Any thread. */
bool core_object_names(const struct core_object *object, const struct ca_serial *serial);

/* The run's object is released: served as soon as the status face has it. */
void core_publish_released(struct core_publish *publish, struct core_object *object,
                           const struct core_run *run);
/* It is not, and is tried again later. */
void core_publish_failed(struct core_publish *publish, struct core_object *object);

/* ---- publish_run.c ---- */

/* Begins a run for these objects, all of one issuer and kind. TM_ENOMEM, TM_EFULL. */
MUST_USE enum tm_err core_run_start(struct core_publish *publish,
                                    struct core_object *const *objects, size_t count);
void core_run_free(struct core_run *run); /* NULL-safe */

/* One page of a scan: reads at most `max` rows above *cursor, and uses them. */
typedef enum tm_err core_page_fn(struct core_run *run, struct ca_serial *cursor, void *rows,
                                 size_t max, size_t *ret_n);
/* All pages, on the worker's thread; row_size: of what a scan fills. TM_ENOMEM; TM_ECLOSED: the
 * worker ends; and what `page` returns. */
MUST_USE enum tm_err core_run_pages(struct core_run *run, core_page_fn *page, size_t row_size);

/* ---- publish_crl.c, publish_filter.c: on the worker's thread ---- */

/* Everything up to what is to be signed: each part's ticket is filled. Leaves run->err. */
void core_crl_make(struct core_run *run);
void core_filter_make(struct core_run *run);
/* With the signatures: each part's fd, size and hash. */
void core_crl_finish(struct core_run *run);
void core_filter_finish(struct core_run *run);

#endif
