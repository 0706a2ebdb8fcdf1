/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run: numbers durable, content made (thread), signed (signer), checked and put together
 * (thread), recorded, released. Whatever fails ends the run; its numbers are gone and its
 * objects are tried again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "server/core/publish_internal.h"

#define PAGE_ROWS 256

enum tm_err core_run_pages(struct core_run *run, core_page_fn *page, size_t row_size) {
    AUTO_MEM void *rows = calloc(PAGE_ROWS, row_size);
    struct ca_serial cursor = {0};
    size_t n = 1;
    enum tm_err err = rows ? TM_OK : TM_ENOMEM;
    while (!err && n)
        err = core_job_stops(&run->job) ? TM_ECLOSED : page(run, &cursor, rows, PAGE_ROWS, &n);
    return err;
}

static void end_run(struct core_run *run) {
    struct core_publish *p = run->publish;
    for (size_t i = 0; i < run->count; i++) {
        if (run->err)
            core_publish_failed(p, run->parts[i].object);
        else
            core_publish_released(p, run->parts[i].object, run);
    }
    p->run = NULL;
    core_run_free(run);
}

static void fail(struct core_run *run, enum tm_err err, const char *what) {
    run->err = err;
    log_error("%s of %s, number %" PRIu64 ", is not published: %s: %s", run->parts[0].row.object,
              run->issuer->name, run->parts[0].row.number, what, tm_err_name(err));
    end_run(run);
}

/* ---- recording ---- */

static void recorded(struct ca_batch *batch, enum tm_err result) {
    struct core_run *run = batch->arg;
    if (result) {
        fail(run, result, "recording it");
        return;
    }
    crash_point("core.published");
    for (size_t i = 0; i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        part->object->row = part->row;
        auto_close_fd(&part->object->fd);
        part->object->fd = TAKE_FD(part->fd);
        log_info("%s of %s: number %" PRIu64 ", %" PRIu64 " entries, %" PRIu64 " octets, %lld ms",
                 part->row.object, run->issuer->name, part->row.number, part->row.entries,
                 part->row.size, (long long)(clock_mono_ms() - run->started));
    }
    end_run(run);
}

static void fill_leaf(const struct core_run *run, const struct ca_published *row,
                      const char *provider, struct ca_leaf *ret) {
    *ret = (struct ca_leaf){.event = CA_EVENT_PUBLISHED,
                            .time_ms = run->publish->config.now_ms(),
                            .count = (uint32_t)row->entries};
    TEXT_SET(ret->actor, "touchmarkd");
    memcpy(ret->fingerprint, row->sha256, sizeof ret->fingerprint);
    TEXT_SET(ret->issuer, run->issuer->name);
    TEXT_SET(ret->provider, provider);
    (void)snprintf(ret->reason, sizeof ret->reason, "%s of %s, number %" PRIu64, row->object,
                   run->issuer->name, row->number);
}

static void record(struct core_run *run) {
    struct ca_store *store = run->publish->config.store;
    run->batch = (struct ca_batch){.done = recorded, .arg = run};
    struct ca_change *changes = run->batch.changes;
    size_t n = 0;
    for (size_t i = 0; i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        part->row.version++;
        part->row.released = true;
        part->row.this_update_ms = run->this_update_ms;
        part->row.next_update_ms = run->next_update_ms;
        fill_leaf(run, &part->row, part->ticket.provider ? part->ticket.provider : "", &part->leaf);
        changes[n++] =
            (struct ca_change){.kind = CA_PUT_ROW, .u.row = {CA_TABLE_PUBLISHED, &part->row}};
        changes[n++] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &part->leaf};
    }
    changes[n++] = (struct ca_change){
        .kind = CA_COUNT_USE,
        .u.use = {run->issuer->name, run->kind == IPC_PUBLISH_FILTER ? CA_USE_FILTER : CA_USE_CRL,
                  (uint32_t)run->count}};
    run->batch.count = n;
    enum tm_err err = store->ops->submit(store, &run->batch);
    if (err)
        fail(run, err, "recording it");
}

/* ---- the thread's two parts, and the signatures between them ---- */

static void finish_work(struct core_job *job) {
    struct core_run *run = (struct core_run *)((char *)job - offsetof(struct core_run, job));
    if (run->kind == IPC_PUBLISH_FILTER)
        core_filter_finish(run);
    else
        core_crl_finish(run);
}

static void finish_done(struct core_job *job) {
    struct core_run *run = (struct core_run *)((char *)job - offsetof(struct core_run, job));
    struct ca_signer *signer = run->publish->config.signer;
    if (run->err == TM_ECRYPTO) {
        log_error("the signer's signature on a %s does not verify with issuer %s; the signer is "
                  "restarted",
                  run->kind == IPC_PUBLISH_FILTER ? "filter" : "CRL", run->issuer->name);
        signer->ops->distrust(signer, run->wrong);
    }
    if (run->err)
        fail(run, run->err, "putting it together");
    else
        record(run);
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct core_part *part = ticket->arg;
    struct core_run *run = part->run;
    if (status == IPC_SIGN_OK && signature.n <= sizeof part->signature) {
        memcpy(part->signature, signature.p, signature.n);
        part->signature_n = signature.n;
    } else {
        run->err = TM_ETOKEN;
    }
    if (--run->unsigned_count)
        return;
    if (run->err) {
        fail(run, run->err, "the signer did not sign it");
        return;
    }
    crash_point("core.publish_signed");
    run->job.work = finish_work;
    run->job.done = finish_done;
    core_worker_run(run->publish->config.worker, &run->job);
}

static void sign(struct core_run *run) {
    struct ca_signer *signer = run->publish->config.signer;
    run->unsigned_count = run->count;
    for (size_t i = 0; i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        part->ticket.issuer = run->issuer->name;
        part->ticket.done = signed_done;
        part->ticket.arg = part;
        enum tm_err err = signer->ops->sign(signer, &part->ticket);
        if (!err)
            continue;
        /* Tickets that are out must be answered before the run may end. */
        run->err = err;
        run->unsigned_count -= run->count - i;
        if (!run->unsigned_count)
            fail(run, err, "the signer takes no more");
        return;
    }
}

static void make_work(struct core_job *job) {
    struct core_run *run = (struct core_run *)((char *)job - offsetof(struct core_run, job));
    if (run->kind == IPC_PUBLISH_FILTER)
        core_filter_make(run);
    else
        core_crl_make(run);
}

static void make_done(struct core_job *job) {
    struct core_run *run = (struct core_run *)((char *)job - offsetof(struct core_run, job));
    if (run->err)
        fail(run, run->err, "making it");
    else
        sign(run);
}

/* ---- numbers ---- */

#define CLOCK_SLACK_MS 1000

/* Batches become durable in the order of submission: now that the numbers are, every intent is seen
 * whose serial was made before the run began. */
static int64_t settled_until(const struct core_run *run) {
    struct ca_store *store = run->publish->config.store;
    struct ca_serial cursor = {0};
    struct ca_intent oldest;
    int64_t until = run->this_update_ms - CLOCK_SLACK_MS;
    if (!store->ops->next_intent(store, &cursor, &oldest) && ca_serial_ms(&oldest.serial) <= until)
        until = ca_serial_ms(&oldest.serial) - 1;
    ca_service_serials_from(run->publish->config.service, until + 1);
    return until;
}

static void numbered(struct ca_batch *batch, enum tm_err result) {
    struct core_run *run = batch->arg;
    if (result || run->publish->stopped) {
        fail(run, result ? result : TM_ECLOSED, "numbering it");
        return;
    }
    for (size_t i = 0; i < run->count; i++)
        run->parts[i].object->row = run->parts[i].row;
    run->covers_until_ms = settled_until(run);
    crash_point("core.publish_numbered");
    run->job.work = make_work;
    run->job.done = make_done;
    core_worker_run(run->publish->config.worker, &run->job);
}

/* The first number of an object whose store was lost with its numbers would fall; so numbers begin
 * with the time, and rise from there. */
static uint64_t next_number(const struct core_run *run, const struct ca_published *row) {
    uint64_t seconds = (uint64_t)(run->this_update_ms / 1000);
    return row->number < seconds ? seconds : row->number + 1;
}

static void fill_part(struct core_run *run, struct core_part *part, struct core_object *object) {
    const struct conf_status *conf = run->publish->config.conf;
    part->object = object;
    part->run = run;
    part->tbs_fd = part->fd = -1;
    part->row = object->row;
    part->row.version++;
    part->row.number = next_number(run, &object->row);
    part->row.released = false;
    part->keep_ms = object->row.this_update_ms;
    if (object->shard >= 0)
        (void)snprintf(part->url, sizeof part->url, "%s/%s-%d.crl", conf->url, run->issuer->name,
                       object->shard);
}

static enum tm_err submit_numbers(struct core_run *run) {
    struct ca_store *store = run->publish->config.store;
    run->batch = (struct ca_batch){.count = run->count, .done = numbered, .arg = run};
    for (size_t i = 0; i < run->count; i++)
        run->batch.changes[i] = (struct ca_change){
            .kind = CA_PUT_ROW, .u.row = {CA_TABLE_PUBLISHED, &run->parts[i].row}};
    return store->ops->submit(store, &run->batch);
}

enum tm_err core_run_start(struct core_publish *publish, struct core_object *const *objects,
                           size_t count) {
    const struct conf_status *conf = publish->config.conf;
    struct core_run *run = calloc(1, sizeof *run);
    if (!run)
        return TM_ENOMEM;
    run->publish = publish;
    run->issuer = objects[0]->issuer;
    run->kind = objects[0]->kind;
    run->started = clock_mono_ms();
    run->this_update_ms = publish->config.now_ms() / 1000 * 1000;
    run->next_update_ms = run->this_update_ms + (run->kind == IPC_PUBLISH_FILTER
                                                     ? 2 * conf->filter_refresh + conf->filter_delay
                                                     : conf->crl_lifetime);
    run->count = count;
    for (size_t i = 0; i < count; i++)
        fill_part(run, &run->parts[i], objects[i]);
    enum tm_err err = submit_numbers(run);
    if (err) {
        core_run_free(run);
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        objects[i]->running = true;
        objects[i]->due = INT64_MAX;
    }
    publish->run = run;
    return TM_OK;
}

void core_run_free(struct core_run *run) {
    if (!run)
        return;
    for (size_t i = 0; i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        ca_crl_free(part->crl);
        ca_filter_free(part->filter);
        auto_close_fd(&part->tbs_fd);
        auto_close_fd(&part->fd);
    }
    free(run);
}
