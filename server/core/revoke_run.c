/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries "revoke-many" out: rounds over what was issued until it began, part by part. From then on
 * nothing that is selected authenticates, and a job that is selected is stopped; what was under way
 * by then is waited for.
 *
 * A part's end is saved; after a restart what comes after it is looked at again, and what is
 * revoked by then since the last signature was revoked by this act. A round is followed by a count,
 * which says whether anything that is selected is good still.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "server/core/admin_json.h"
#include "server/core/revoke_internal.h"

#define UNDER_WAY_MAX 16
#define RETRY_MS 200
#define ROUNDS_MAX 3

/* One certificate that is being revoked. */
struct item {
    struct revoke_run *owner; /* NULL: free */
    struct ca_serial serial;
};

struct revoke_run {
    struct revoke_task task;
    struct ca_act_run *run;
    struct ca_withdrawal withdrawal;
    uint8_t reason;
    const char *words;
    size_t next; /* of what the part found */
    size_t under_way;
    bool pumping;
    bool paused; /* until the timer */
    unsigned rounds;
    uint64_t failed; /* in this round */
    struct item items[UNDER_WAY_MAX];
    struct loop_timer timer;
};

static struct core_walk *walk_of(struct revoke_run *r) {
    return &r->task.walk;
}

static void run_free(struct revoke_task *task) {
    struct revoke_run *r = (struct revoke_run *)task;
    loop_timer_stop(task->revoke->config.loop, &r->timer);
    ca_withdrawal_end(task->revoke->config.withdrawals, &r->withdrawal);
    free(r);
}

static void end(struct revoke_run *r, enum tm_err result, const char *text) {
    struct ca_act_run *run = r->run;
    revoke_task_end(&r->task);
    ca_act_run_end(run, result, text);
}

static void pump(struct revoke_run *r);

/* ---- one certificate ---- */

static bool is_passing(enum tm_err err) {
    return err == TM_EFULL || err == TM_EAGAIN || err == TM_ECONFLICT || err == TM_ENOMEM;
}

/* What was revoked before this act came to it: by it, before a restart? Only the first round, which
 * goes over each certificate once, may ask. */
static void count_revoked(struct revoke_run *r, const struct ca_serial *serial) {
    struct ca_store *store = walk_of(r)->store;
    struct ca_certificate certificate;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    if (r->rounds == 1 && !store->ops->certificate(store, serial, &certificate, &buf) &&
        certificate.revoked_ms >= r->run->since_ms)
        r->run->done++;
}

static void fail(struct revoke_run *r, const struct ca_serial *serial, enum tm_err err) {
    char hex[2 * CA_SERIAL_MAX + 1];
    r->failed++;
    if (!hex_encode((struct bytes){serial->octets, serial->n}, hex, sizeof hex))
        log_error("act %s: certificate %s cannot be revoked: %s", r->run->id, hex,
                  tm_err_name(err));
}

static void resume(void *arg) {
    struct revoke_run *r = arg;
    r->paused = false;
    pump(r);
}

static void pause_a_while(struct revoke_run *r) {
    r->paused = true;
    if (loop_timer_set(r->task.revoke->config.loop, &r->timer, clock_mono_ms() + RETRY_MS))
        log_error("no timer");
}

/* Not now: it is put back among what comes next, and a while passes. */
static void put_back(struct revoke_run *r, const struct ca_serial *serial) {
    walk_of(r)->found[--r->next] = *serial;
    pause_a_while(r);
}

static void settle(struct revoke_run *r, const struct ca_serial *serial, enum tm_err result) {
    r->under_way--;
    if (!result)
        r->run->done++;
    else if (result == TM_EDENIED)
        count_revoked(r, serial);
    else if (is_passing(result))
        put_back(r, serial);
    else
        fail(r, serial, result);
}

static void revoked(void *arg, enum tm_err result, const char *text, const struct ca_device *device,
                    const char *secret) {
    struct item *item = arg;
    struct revoke_run *r = item->owner;
    (void)text;
    (void)device;
    (void)secret;
    item->owner = NULL;
    if (ca_acts_stopping(r->run->acts))
        return;
    settle(r, &item->serial, result);
    if (!result)
        crash_point("core.act_revoked");
    if (!r->pumping)
        pump(r);
}

static void begin_one(struct revoke_run *r) {
    struct item *item = r->items;
    while (item->owner)
        item++;
    *item = (struct item){r, walk_of(r)->found[r->next++]};
    r->under_way++;
    enum tm_err err = ca_registry_revoke(r->task.revoke->config.registry, &item->serial, r->reason,
                                         r->words, r->run->actor, revoked, item);
    if (err) {
        item->owner = NULL;
        settle(r, &item->serial, err);
    }
}

/* ---- parts and rounds ---- */

/* From the beginning: the next round, or the count after one. */
static void start_over(struct revoke_run *r, bool collect) {
    struct core_walk *walk = walk_of(r);
    walk->cursor = (struct ca_serial){0};
    walk->collect = collect;
    r->next = 0;
    core_walk_next(walk);
}

static void part_over(struct revoke_run *r) {
    struct core_walk *walk = walk_of(r);
    if (walk->end &&
        ca_service_busy_since(r->task.revoke->config.service, r->withdrawal.selection.until_ms)) {
        pause_a_while(r); /* what is recorded meanwhile is for the next round */
        return;
    }
    if (walk->end) {
        start_over(r, false);
        return;
    }
    if (r->rounds == 1) {
        r->run->cursor = walk->cursor;
        ca_act_run_save(r->run);
    }
    r->next = 0;
    core_walk_next(walk);
}

/* As many at once as may be. A revocation that ends at once comes back while this runs. */
static void pump(struct revoke_run *r) {
    const struct core_walk *walk = walk_of(r);
    r->pumping = true;
    while (!r->paused && r->under_way < UNDER_WAY_MAX && r->next < walk->found_count)
        begin_one(r);
    r->pumping = false;
    if (!r->paused && !r->under_way && r->next == walk->found_count)
        part_over(r);
}

static void round_counted(struct revoke_run *r) {
    const struct core_walk *walk = walk_of(r);
    uint64_t done = r->run->done, before = walk->revoked > done ? walk->revoked - done : 0;
    char text[IPC_TEXT_MAX + 1];
    if (walk->good && !r->failed && r->rounds < ROUNDS_MAX) {
        r->rounds++;
        start_over(r, true);
        return;
    }
    if (walk->good)
        (void)snprintf(text, sizeof text,
                       "%" PRIu64 " certificates revoked, %" PRIu64 " were revoked before, %" PRIu64
                       " could not be: the log says why",
                       done, before, walk->good);
    else
        (void)snprintf(text, sizeof text,
                       "%" PRIu64 " certificates revoked, %" PRIu64 " were revoked before", done,
                       before);
    end(r, walk->good ? TM_EIO : TM_OK, text);
}

static void walked(struct core_walk *walk) {
    struct revoke_run *r = walk->arg;
    char text[IPC_TEXT_MAX + 1];
    if (ca_acts_stopping(r->run->acts))
        return;
    if (walk->err) {
        (void)snprintf(text, sizeof text,
                       "the registry cannot be read: %s; %" PRIu64 " certificates revoked",
                       tm_err_name(walk->err), r->run->done);
        end(r, walk->err, text);
    } else if (walk->collect) {
        pump(r);
    } else {
        round_counted(r);
    }
}

/* What is issued after it began was not meant. How long that was after the last signature, one that
 * goes on after a restart does not know any more. */
static void bound(const struct ca_act_run *run, int64_t now_ms, struct ca_selection *selection) {
    bool begins = !run->done && !run->cursor.n;
    int64_t until_ms = (begins ? now_ms : run->since_ms) + 1;
    if (!selection->until_ms || selection->until_ms > until_ms)
        selection->until_ms = until_ms;
}

/* It holds at once; that it is made durable is seen to elsewhere. */
static void stopped(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    (void)arg;
    (void)job;
    if (result)
        log_info("a job whose certificates are revoked is not stopped: %s", text);
}

/* Nothing more is issued for the job. One that is resumed afterwards may go on. */
static enum tm_err stop_job(struct ca_jobs *jobs, const struct ca_act_run *run,
                            const struct ca_selection *selection) {
    char reason[IPC_TEXT_MAX + 1];
    if (!selection->job[0] || run->done || run->cursor.n)
        return TM_OK;
    (void)snprintf(reason, sizeof reason, "act %s revokes its certificates", run->id);
    return ca_jobs_stop(jobs, selection->tenant, selection->job, reason, run->actor, stopped, NULL);
}

static void begin(struct core_revoke *revoke, struct revoke_run *r) {
    struct ca_selection *selection = &r->withdrawal.selection;
    ca_selection_of(r->run->params, selection);
    bound(r->run, revoke->config.registry->now_ms(), selection);
    ca_withdrawal_begin(revoke->config.withdrawals, &r->withdrawal);
    revoke_task_begin(revoke, &r->task, selection, walked);
    if (stop_job(revoke->config.jobs, r->run, selection)) {
        end(r, TM_ENOMEM, "the server had no memory to stop the job");
        return;
    }
    walk_of(r)->collect = true;
    walk_of(r)->cursor = r->run->cursor;
    core_walk_next(walk_of(r));
}

void revoke_run(void *self, struct ca_act_run *run) {
    const char *reason = ca_act_param(run->params, "reason");
    const char *words = ca_act_param(run->params, "words");
    struct revoke_run *r = calloc(1, sizeof *r);
    if (!r || !reason || admin_reason_find(reason, &r->reason)) {
        ca_act_run_end(run, TM_EINVAL, r ? "it has no reason" : "the server had no memory");
        free(r);
        return;
    }
    r->run = run;
    r->words = words ? words : reason;
    r->rounds = 1;
    r->timer = (struct loop_timer){.fn = resume, .arg = r};
    r->task.free = run_free;
    begin(self, r);
}
