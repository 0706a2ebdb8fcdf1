/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying acts out. A run's row changes by the run alone, and one change at a time is under way:
 * what is asked for meanwhile follows it. The end of an act is tried until the store takes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "ca/act_internal.h"

#define RETRY_MS 500

struct act_running {
    struct ca_act_run run; /* first: a kind's view of it */
    struct act_running *prev, *next;
    struct ca_act_text text;
    struct ca_act act;
    uint8_t memory[CA_ACT_TEXT_MAX]; /* for act.text */
    bool changing;                   /* a batch is under way */
    bool wanted;                     /* another shall follow it */
    bool ending;
    struct ca_leaf leaf;
    struct ca_batch batch;
    void *dropped; /* what the batch borrows of the kind's; owned */
    struct loop_timer retry;
};

static void forget(struct act_running *running) {
    struct ca_acts *acts = running->run.acts;
    loop_timer_stop(acts->config.loop, &running->retry);
    if (running->prev)
        running->prev->next = running->next;
    else
        acts->running = running->next;
    if (running->next)
        running->next->prev = running->prev;
    free(running->dropped);
    free(running);
}

void ca_act_running_free(struct ca_acts *acts) {
    while (acts->running)
        forget(acts->running);
}

/* ---- changes of the row ---- */

static void change(struct act_running *running);

static void try_again(void *arg) {
    change(arg);
}

static void change_failed(struct act_running *running, enum tm_err err) {
    struct ca_acts *acts = running->run.acts;
    running->changing = false;
    running->act.version--;
    running->wanted = true;
    if (acts->stopping)
        return;
    log_warn("act %s: its progress is not recorded: %s", running->run.id, tm_err_name(err));
    if (loop_timer_set(acts->config.loop, &running->retry, clock_mono_ms() + RETRY_MS))
        log_error("no timer");
}

static void changed(struct ca_batch *batch, enum tm_err result) {
    struct act_running *running = batch->arg;
    if (result) {
        change_failed(running, result);
        return;
    }
    bool ended = batch->count > 1; /* the leaf of its end is in it */
    running->changing = false;
    crash_point(ended ? "core.act_ended" : "core.act_saved");
    if (ended) {
        log_info("act %s: %s", running->run.id, running->act.result);
        forget(running);
    } else if (running->wanted && !running->run.acts->stopping) {
        change(running);
    }
}

static void fill_end(struct act_running *running) {
    struct ca_act *act = &running->act;
    char words[2 * IPC_TEXT_MAX];
    act->ended_ms = running->run.acts->config.now_ms();
    (void)snprintf(words, sizeof words, "%s %s: %s", act->kind,
                   act->status == CA_ACT_DONE ? "done" : "failed", act->result);
    ca_act_leaf(act, CA_EVENT_ACT_ENDED, act->ended_ms, running->run.actor, words, &running->leaf);
    running->leaf.count = act->done > UINT32_MAX ? UINT32_MAX : (uint32_t)act->done;
}

static void change(struct act_running *running) {
    struct ca_store *store = running->run.acts->config.store;
    if (running->changing) {
        running->wanted = true;
        return;
    }
    running->changing = true;
    running->wanted = false;
    running->act.done = running->run.done;
    running->act.cursor = running->run.cursor;
    running->act.version++;
    running->batch =
        (struct ca_batch){.count = 1,
                          .changes = {{.kind = CA_PUT_ROW, .u.row = {CA_TABLE_ACT, &running->act}},
                                      {.kind = CA_ADD_LEAF, .u.leaf = &running->leaf}},
                          .done = changed,
                          .arg = running};
    if (running->ending) {
        fill_end(running);
        running->batch.count = 2;
        free(running->dropped);
        running->dropped = running->act.status == CA_ACT_FAILED
                               ? ca_act_drop(running->run.acts, &running->act, &running->batch)
                               : NULL;
    }
    enum tm_err err = store->ops->submit(store, &running->batch);
    if (err)
        change_failed(running, err);
}

void ca_act_run_save(struct ca_act_run *run) {
    struct act_running *running = (struct act_running *)run;
    if (!run->acts->stopping)
        change(running);
}

void ca_act_run_end(struct ca_act_run *run, enum tm_err result, const char *text) {
    struct act_running *running = (struct act_running *)run;
    if (run->acts->stopping)
        return;
    running->ending = true;
    running->act.status = result ? CA_ACT_FAILED : CA_ACT_DONE;
    TEXT_SET(running->act.result, text);
    change(running);
}

/* ---- beginning ---- */

static void name_actor(struct act_running *running) {
    struct ca_act_run *run = &running->run;
    size_t at = (size_t)snprintf(run->actor, sizeof run->actor, "act:%s", run->id);
    for (size_t i = 0; i < running->act.signature_count && at < sizeof run->actor; i++)
        at += (size_t)snprintf(run->actor + at, sizeof run->actor - at, " %s",
                               running->act.signatures[i].officer);
}

static struct act_running *running_new(struct ca_acts *acts, const struct ca_act *act) {
    struct act_running *running = calloc(1, sizeof *running);
    if (!running)
        return NULL;
    running->act = *act;
    struct buf text = BUF_ON(running->memory);
    buf_put(&text, act->text);
    running->act.text = buf_bytes(&text);
    running->retry = (struct loop_timer){.fn = try_again, .arg = running};
    running->run =
        (struct ca_act_run){.acts = acts,
                            .params = &running->text.params,
                            .since_ms = act->signatures[act->signature_count - 1].time_ms,
                            .done = act->done,
                            .cursor = act->cursor};
    ca_act_id_text(act->id, running->run.id);
    name_actor(running);
    running->next = acts->running;
    if (acts->running)
        acts->running->prev = running;
    acts->running = running;
    return running;
}

void ca_act_begin(struct ca_acts *acts, const struct ca_act *act) {
    if (acts->stopping)
        return;
    struct act_running *running = act->signature_count ? running_new(acts, act) : NULL;
    if (!running) {
        log_error("an act that is signed cannot be carried out now; it will be at the next start");
        return;
    }
    const struct ca_act_kind *kind = ca_act_kind_named(acts, act->kind);
    if (!kind)
        ca_act_run_end(&running->run, TM_ENOTFOUND, "this server knows no such kind of act");
    else if (ca_act_text_parse(running->act.text, &running->text))
        ca_act_run_end(&running->run, TM_EPARSE, "its text is not one of an act");
    else {
        log_info("act %s: %s begins, signed by enough officers", running->run.id, act->kind);
        kind->run(kind->self, &running->run);
    }
}

enum tm_err ca_acts_resume(struct ca_acts *acts) {
    struct ca_store *store = acts->config.store;
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    struct ca_act act;
    enum tm_err err;
    while (!(err = store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, &memory))) {
        if (act.status == CA_ACT_RUNNING)
            ca_act_begin(acts, &act);
        memory.n = 0;
    }
    return err == TM_ENOTFOUND ? TM_OK : err;
}
