/* SPDX-License-Identifier: Apache-2.0 */
/* The index of devices in the core: see index.h. */
#include "server/core/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/core/worker.h"
#include "store/index.h"

#define RETRY_MS 60000       /* after a step that failed */
#define REPORT_ROWS_MAX 4096 /* profiles of all tenants; more are left out */

/* One report that somebody waits for. */
struct asked {
    struct core_job job;
    struct core_index *index;
    unsigned days;
    struct core_report report;
    struct ca_health *rows;
    void (*done)(void *arg, const struct core_report *report);
    void *arg;
    struct asked *next;
};

struct core_index {
    struct ca_index *index; /* NULL: it cannot be opened */
    struct core_worker *worker;
    struct core_job step;
    bool stepping;
    bool more;
    enum tm_err err; /* of the last step */
    int64_t retry_at;
    struct asked *first; /* reports under way */
    struct asked *last_report;
};

static struct core_index *of_step(struct core_job *job) {
    return (struct core_index *)((char *)job - offsetof(struct core_index, step));
}

/* ---- steps ---- */

static void work(struct core_job *job) {
    struct core_index *index = of_step(job);
    index->err = store_index_step(index->index, &index->more);
}

static void begin(struct core_index *index) {
    index->stepping = true;
    core_worker_run(index->worker, &index->step);
}

static void stepped(struct core_job *job) {
    struct core_index *index = of_step(job);
    index->stepping = false;
    if (index->err) {
        log_warn("the index of devices is behind: %s", tm_err_name(index->err));
        index->retry_at = clock_mono_ms() + (index->err == TM_EFULL ? RETRY_MS : 1000);
    } else if (index->more)
        begin(index);
}

void core_index_tick(struct core_index *index) {
    if (index->index && !index->stepping && clock_mono_ms() >= index->retry_at &&
        store_index_is_behind(index->index))
        begin(index);
}

/* ---- reports ---- */

static void take_row(void *arg, const struct ca_health *health) {
    struct asked *asked = arg;
    if (asked->report.count < REPORT_ROWS_MAX)
        asked->rows[asked->report.count++] = *health;
}

static void count(struct core_job *job) {
    struct asked *asked = (struct asked *)job;
    asked->report.made_ms = clock_wall_ms();
    asked->report.err = store_index_report(asked->index->index, asked->report.made_ms, asked->days,
                                           take_row, asked);
}

static void asked_free(struct asked *asked) {
    if (asked)
        free(asked->rows);
    free(asked);
}

static void forget(struct core_index *index, const struct asked *asked) {
    struct asked **at = &index->first;
    while (*at != asked)
        at = &(*at)->next;
    *at = asked->next;
}

static void counted(struct core_job *job) {
    struct asked *asked = (struct asked *)job;
    struct core_index *index = asked->index;
    forget(index, asked);
    asked->report.rows = asked->rows;
    asked->done(asked->arg, &asked->report);
    asked_free(index->last_report);
    index->last_report = asked;
}

enum tm_err core_index_report(struct core_index *index, unsigned days, int64_t age_ms,
                              void (*done)(void *arg, const struct core_report *report),
                              void *arg) {
    const struct core_report none = {.err = TM_ENOTFOUND};
    struct asked *last = index->last_report;
    if (!index->index) {
        done(arg, &none);
        return TM_OK;
    }
    if (last && last->days == days && !last->report.err &&
        clock_wall_ms() - last->report.made_ms <= age_ms) {
        done(arg, &last->report);
        return TM_OK;
    }
    struct asked *asked = calloc(1, sizeof *asked);
    if (asked)
        asked->rows = calloc(REPORT_ROWS_MAX, sizeof *asked->rows);
    if (!asked || !asked->rows) {
        asked_free(asked);
        return TM_ENOMEM;
    }
    asked->job = (struct core_job){.work = count, .done = counted};
    asked->index = index;
    asked->days = days;
    asked->done = done;
    asked->arg = arg;
    asked->next = index->first;
    index->first = asked;
    core_worker_run(index->worker, &asked->job);
    return TM_OK;
}

/* ---- */

struct ca_index *core_index_of(const struct core_index *index) {
    return index->index;
}

uint64_t core_index_size(const struct core_index *index) {
    return index->index ? store_index_size(index->index) : 0;
}

enum tm_err core_index_new(struct loop *loop, struct ca_store *store, const char *path,
                           uint64_t map_size, struct core_index **ret_index) {
    struct core_index *index = calloc(1, sizeof *index);
    if (!index)
        return TM_ENOMEM;
    index->step = (struct core_job){.work = work, .done = stepped};
    enum tm_err err = core_worker_new(loop, &index->worker);
    if (err) {
        free(index);
        return err;
    }
    if (store_index_open(store, path, map_size, &index->index))
        index->index = NULL;
    *ret_index = index;
    return TM_OK;
}

void core_index_free(struct core_index *index) {
    if (!index)
        return;
    core_worker_free(index->worker);
    store_index_close(index->index);
    while (index->first) {
        struct asked *asked = index->first;
        index->first = asked->next;
        asked->report = (struct core_report){.err = TM_ECLOSED};
        asked->done(asked->arg, &asked->report);
        asked_free(asked);
    }
    asked_free(index->last_report);
    free(index);
}
