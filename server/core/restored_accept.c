/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting a restored store: see restored.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "ca/registry.h"
#include "server/core/restored.h"

#define RETRY_MS 500
#define WORDS "named by the CRL that was published before the store was restored"

struct core_acceptance {
    struct core_restored *restored;
    char actor[IPC_TEXT_MAX + 1];
    void (*done)(void *arg, enum tm_err result);
    void *arg;
    size_t next; /* among the revived, then among the numbers */
    bool recorded;
    struct ca_published row;
    struct ca_checkpoint ahead;
    struct ca_leaf leaf;
    struct ca_batch batch;
    struct loop_timer timer;
};

static void end(struct core_acceptance *a, enum tm_err result) {
    struct core_restored *r = a->restored;
    r->acceptance = NULL;
    if (result)
        log_error("the restored store cannot be accepted: %s", tm_err_name(result));
    a->done(a->arg, result);
    free(a);
}

static bool is_passing(enum tm_err err) {
    return err == TM_EFULL || err == TM_EAGAIN || err == TM_ECONFLICT || err == TM_ENOMEM;
}

static void again_later(struct core_acceptance *a) {
    if (loop_timer_set(a->restored->config.loop, &a->timer, clock_mono_ms() + RETRY_MS))
        end(a, TM_ENOMEM);
}

/* ---- numbers, at last ---- */

static void step(struct core_acceptance *a);

static void let_go(struct core_acceptance *a) {
    struct core_restored *r = a->restored;
    crash_point("core.restore_accepted");
    r->held = false;
    r->ahead = (struct ca_checkpoint){0};
    (void)core_publish_now(r->config.publish, NULL);
    log_info("the restored store is accepted: issuance and publication go on");
    end(a, TM_OK);
}

static void raised(struct ca_batch *batch, enum tm_err result) {
    struct core_acceptance *a = batch->arg;
    struct core_restored *r = a->restored;
    if (is_passing(result)) {
        again_later(a);
        return;
    }
    if (result) {
        end(a, result);
        return;
    }
    if (a->next < r->revived_count + r->number_count) {
        core_publish_raise(r->config.publish, &a->row);
        a->next++;
    }
    a->recorded = a->next == r->revived_count + r->number_count;
    step(a);
}

static void fill_leaf(struct core_acceptance *a) {
    const struct core_restored *r = a->restored;
    a->leaf = (struct ca_leaf){.event = CA_EVENT_AGREED, .time_ms = r->config.now_ms()};
    a->leaf.count = r->revived_count > UINT32_MAX ? UINT32_MAX : (uint32_t)r->revived_count;
    TEXT_SET(a->leaf.actor, a->actor);
    (void)snprintf(a->leaf.reason, sizeof a->leaf.reason, "accepted: %.230s", r->text);
}

/* That it was accepted, and what of the audit log. */
static void add_record(struct core_acceptance *a) {
    const struct core_restored *r = a->restored;
    struct ca_batch *batch = &a->batch;
    fill_leaf(a);
    batch->changes[batch->count++] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &a->leaf};
    if (!r->ahead.size)
        return;
    a->ahead = r->ahead;
    a->ahead.version++;
    batch->changes[batch->count++] =
        (struct ca_change){.kind = CA_PUT_ROW, .u.row = {CA_TABLE_CHECKPOINT, &a->ahead}};
}

static void submit(struct core_acceptance *a) {
    struct ca_store *store = a->restored->config.store;
    enum tm_err err = store->ops->submit(store, &a->batch);
    if (err)
        raised(&a->batch, err);
}

static void record_alone(struct core_acceptance *a) {
    a->batch = (struct ca_batch){.done = raised, .arg = a};
    add_record(a);
    submit(a);
}

/* The last of them is with the record. */
static void raise_number(struct core_acceptance *a) {
    struct core_restored *r = a->restored;
    a->row = r->numbers[a->next - r->revived_count];
    a->row.version++;
    a->batch =
        (struct ca_batch){.count = 1,
                          .changes = {{.kind = CA_PUT_ROW, .u.row = {CA_TABLE_PUBLISHED, &a->row}}},
                          .done = raised,
                          .arg = a};
    if (a->next + 1 == r->revived_count + r->number_count)
        add_record(a);
    submit(a);
}

/* ---- revoked again, at first ---- */

static void revoked(void *arg, enum tm_err result, const char *text, const struct ca_device *device,
                    const char *secret) {
    struct core_acceptance *a = arg;
    (void)text;
    (void)device;
    (void)secret;
    if (is_passing(result)) {
        again_later(a);
    } else if (result && result != TM_EDENIED) { /* denied: somebody revoked it meanwhile */
        end(a, result);
    } else {
        crash_point("core.restore_revoked");
        a->next++;
        step(a);
    }
}

static void step(struct core_acceptance *a) {
    struct core_restored *r = a->restored;
    if (a->next < r->revived_count) {
        const struct core_revived *revived = &r->revived[a->next];
        enum tm_err err = ca_registry_revoke(r->config.registry, &revived->serial, revived->reason,
                                             WORDS, a->actor, revoked, a);
        if (err)
            again_later(a);
    } else if (a->next < r->revived_count + r->number_count) {
        raise_number(a);
    } else if (!a->recorded) {
        record_alone(a);
    } else {
        let_go(a);
    }
}

static void step_again(void *arg) {
    step(arg);
}

void core_restored_accept(struct core_restored *restored, const char *actor,
                          void (*done)(void *arg, enum tm_err result), void *arg) {
    struct core_acceptance *a =
        restored->held && !restored->acceptance ? calloc(1, sizeof *a) : NULL;
    if (!a) {
        done(arg, !restored->held ? TM_OK : restored->acceptance ? TM_EAGAIN : TM_ENOMEM);
        return;
    }
    *a = (struct core_acceptance){.restored = restored, .done = done, .arg = arg};
    a->timer = (struct loop_timer){.fn = step_again, .arg = a};
    TEXT_SET(a->actor, actor);
    restored->acceptance = a;
    step(a);
}

/* ---- the act ---- */

static const struct ca_act_rule rules[] = {{"words", false, NULL, NULL}, {NULL, false, NULL, NULL}};

static enum tm_err add_number(struct ca_act_params *params, const char *name, uint64_t number) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    return ca_act_param_add(params, name, text);
}

/* What officers accept: this history, and that it is older than that. */
static enum tm_err add_facts(const struct core_restored *r, struct ca_act_params *params) {
    struct ca_audit_head head;
    char root[2 * CA_HASH_SIZE + 1];
    enum tm_err err = r->config.store->ops->audit_head(r->config.store, &head);
    if (!err)
        err = hex_encode(BYTES_OF(head.root), root, sizeof root);
    if (!err)
        err = add_number(params, "audit-size", head.size);
    if (!err)
        err = ca_act_param_add(params, "audit-root", root);
    if (!err)
        err = ca_act_param_add(params, "because", r->text);
    if (!err)
        err = add_number(params, "revoked-again", r->revived_count);
    return err ? err : add_number(params, "revoked-unknown", r->unknown);
}

static void check(void *self, struct ca_act_params *params, ca_act_checked_fn *checked, void *arg) {
    const struct core_restored *r = self;
    if (!r->held)
        checked(arg, TM_EEXISTS, "the store is not older than what was published");
    else if (add_facts(r, params))
        checked(arg, TM_EIO, "the audit's head cannot be read");
    else
        checked(arg, TM_OK, "");
}

static void accepted(void *arg, enum tm_err result) {
    struct ca_act_run *run = arg;
    if (!ca_acts_stopping(run->acts))
        ca_act_run_end(run, result, result ? "the store did not take it" : "the store is accepted");
}

static void run(void *self, struct ca_act_run *act) {
    core_restored_accept(self, act->actor, accepted, act);
}

enum tm_err core_restored_open(struct core_restored *restored,
                               const struct core_restored_config *config, struct ca_acts *acts) {
    restored->config = *config;
    restored->kind = (struct ca_act_kind){
        .name = CORE_RESTORE_ACT, .rules = rules, .self = restored, .check = check, .run = run};
    return ca_acts_add(acts, &restored->kind);
}

void core_restored_free(struct core_restored *restored) {
    if (restored->acceptance)
        loop_timer_stop(restored->config.loop, &restored->acceptance->timer);
    free(restored->acceptance);
    free(restored->numbers);
    free(restored->revived);
    *restored = (struct core_restored){0};
}
