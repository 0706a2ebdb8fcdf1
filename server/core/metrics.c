/* SPDX-License-Identifier: Apache-2.0 */
/* See metrics.h. A number without labels is a row of `numbers`; one with a label per thing has a
 * function. */
#include "server/core/metrics.h"

#include <string.h>

#include "base/clock.h"
#include "server/core/admin_json.h"
#include "store/index.h"
#include "store/store.h"

/* A full store is found out by trying: after this long somebody may. */
#define FULL_MS 30000

/* Looked up once per answer. */
struct view {
    const struct core_metrics *of;
    const struct ca_service_counts *counts;
    struct store_stats store;
    struct ca_audit_head audit;
    uint64_t late; /* of what is published */
    struct metrics_answer *answer;
};

static double seconds(int64_t ms) {
    return (double)ms / 1000;
}

/* ---- numbers without labels ---- */

static double renewed(const struct view *v) {
    return (double)v->counts->renewed;
}
static double burned(const struct view *v) {
    return (double)v->counts->burned;
}
static double under_way(const struct view *v) {
    return (double)ca_service_active(v->of->service);
}
static double limit(const struct view *v) {
    return (double)v->of->conf->queue;
}
static double store_used(const struct view *v) {
    return (double)v->store.used;
}
static double store_map(const struct view *v) {
    return (double)v->store.map_size;
}
static double store_limit(const struct view *v) {
    return (double)v->of->conf->max_map_size;
}
static double store_free(const struct view *v) {
    double left = store_limit(v) - store_used(v);
    return left > 0 ? left : 0;
}
static bool is_full(const struct view *v) {
    return v->store.full_mono_ms && clock_mono_ms() - v->store.full_mono_ms < FULL_MS;
}
static double store_full(const struct view *v) {
    return is_full(v);
}
static double store_commits(const struct view *v) {
    return (double)v->store.commits;
}
static double store_batches(const struct view *v) {
    return (double)v->store.batches;
}
static double store_conflicts(const struct view *v) {
    return (double)v->store.conflicts;
}
static double audit_leaves(const struct view *v) {
    return (double)v->audit.size;
}
static double published_late(const struct view *v) {
    return (double)v->late;
}

static double imported(const struct view *v) {
    return v->of->admin ? (double)core_admin_imported(v->of->admin) : 0;
}

static const struct {
    enum metric metric;
    double (*value)(const struct view *v);
} numbers[] = {
    {METRIC_RENEWALS, renewed},
    {METRIC_BURNED, burned},
    {METRIC_REQUESTS, under_way},
    {METRIC_REQUESTS_LIMIT, limit},
    {METRIC_STORE_USED, store_used},
    {METRIC_STORE_MAP, store_map},
    {METRIC_STORE_LIMIT, store_limit},
    {METRIC_STORE_FREE, store_free},
    {METRIC_STORE_FULL, store_full},
    {METRIC_STORE_COMMITS, store_commits},
    {METRIC_STORE_BATCHES, store_batches},
    {METRIC_STORE_CONFLICTS, store_conflicts},
    {METRIC_AUDIT_LEAVES, audit_leaves},
    {METRIC_PUBLISHED_LATE, published_late},
    {METRIC_IMPORTED, imported},
};

/* ---- the audit log, and who follows it ---- */

static void add_consumer(const struct view *v, const char *name, uint64_t next) {
    double lag = v->audit.size > next ? (double)(v->audit.size - next) : 0;
    metrics_add(v->answer, METRIC_CONSUMER_LAG, lag, name, NULL, NULL);
}

/* The bridge's, as far as it is acknowledged; and those with cursors of their own, which are
 * bounded. */
static void add_consumers(const struct view *v) {
    char name[IPC_NAME_MAX + 1] = "";
    uint64_t next;
    if (v->of->events)
        add_consumer(v, "events", core_events_next(v->of->events));
    while (!v->of->store->ops->next_cursor(v->of->store, name, &next))
        if (core_admin_is_consumer(name))
            add_consumer(v, name, next);
}

static void add_checkpoints(const struct view *v) {
    const struct core_checkpoint *checkpoint = v->of->checkpoint;
    if (!checkpoint)
        return;
    struct core_checkpoint_mark mark = core_checkpoint_own(checkpoint);
    metrics_add(v->answer, METRIC_CHECKPOINT_TIME, seconds(mark.time_ms), NULL, NULL, NULL);
    metrics_add(v->answer, METRIC_CHECKPOINT_LEAVES, (double)mark.size, NULL, NULL, NULL);
    for (size_t i = 0; i < v->of->setup->audit.witness_count; i++) {
        const char *witness = v->of->setup->audit.witnesses[i].name;
        mark = core_checkpoint_seen(checkpoint, i);
        metrics_add(v->answer, METRIC_COSIGNED_TIME, seconds(mark.time_ms), witness, NULL, NULL);
        metrics_add(v->answer, METRIC_COSIGNED_LEAVES, (double)mark.size, witness, NULL, NULL);
    }
}

static void add_index(const struct view *v) {
    struct ca_index *index = core_index_of(v->of->index);
    struct ca_fresh fresh = {.built = false};
    if (index)
        store_index_fresh(index, clock_wall_ms(), &fresh);
    double lag = fresh.size > fresh.next ? (double)(fresh.size - fresh.next) : 0;
    metrics_add(v->answer, METRIC_INDEX_READY, fresh.built, NULL, NULL, NULL);
    if (!fresh.built)
        return;
    metrics_add(v->answer, METRIC_INDEX_LAG, lag, NULL, NULL, NULL);
    metrics_add(v->answer, METRIC_INDEX_DEVICES, (double)fresh.devices, NULL, NULL, NULL);
}

/* ---- production jobs ---- */

static void add_jobs(const struct view *v) {
    static const enum ca_job_status statuses[] = {CA_JOB_OPEN, CA_JOB_STOPPED, CA_JOB_CLOSING};
    struct ca_jobs_tally tally;
    if (ca_jobs_tally(v->of->jobs, &tally))
        return;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        metrics_add(v->answer, METRIC_JOBS, (double)tally.of[statuses[i]],
                    ca_job_status_name(statuses[i]), NULL, NULL);
    metrics_add(v->answer, METRIC_QUARANTINED, (double)tally.units, NULL, NULL, NULL);
}

/* ---- tokens, issuers and faces ---- */

static void add_token(const struct view *v, const struct core_token_health *health) {
    static const enum breaker_state states[] = {BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN};
    const struct {
        enum metric metric;
        double value;
    } rows[] = {
        {METRIC_TOKEN_READY, health->ready},
        {METRIC_TOKEN_IN_USE, health->in_use},
        {METRIC_TOKEN_WAITING, (double)health->waiting},
        {METRIC_TOKEN_FAILURES, (double)health->failures},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        metrics_add(v->answer, rows[i].metric, rows[i].value, health->name, NULL, NULL);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        metrics_add(v->answer, METRIC_TOKEN_BREAKER, health->breaker == states[i], health->name,
                    breaker_name(states[i]), NULL);
    metrics_add_summary(v->answer, METRIC_TOKEN_SIGNATURE, health->signatures,
                        (double)health->signatures_ms / 1000, health->name);
}

static void add_tokens(const struct view *v) {
    struct core_token_health health;
    for (size_t i = 0; i < v->of->setup->token_count; i++)
        if (core_signer_health(v->of->signer, i, &health))
            add_token(v, &health);
}

static void add_issuers(const struct view *v) {
    const struct core_setup *setup = v->of->setup;
    for (size_t i = 0; i < setup->issuer_count; i++) {
        const struct ca_issuer *issuer = &setup->issuers[i];
        metrics_add(v->answer, METRIC_ISSUER_EXPIRY, seconds(issuer->view.not_after_ms),
                    issuer->name, NULL, NULL);
        if (issuer->remote)
            metrics_add(v->answer, METRIC_UPSTREAM_ANSWERS,
                        core_upstream_answers(v->of->upstream, i), issuer->name, NULL, NULL);
    }
}

static void add_faces(const struct view *v) {
    static const enum ipc_role roles[] = {IPC_ROLE_FRONT, IPC_ROLE_BRIDGE, IPC_ROLE_STATUS};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        metrics_add(v->answer, METRIC_FACES, (double)core_faces_count(v->of->faces, roles[i]),
                    role_name(roles[i]), NULL, NULL);
}

/* Shards would be a line for each of hundreds: of them it is only counted how many are late. */
static void add_published(void *arg, const struct core_publish_view *published) {
    struct view *v = arg;
    const struct ca_published *row = published->row;
    bool whole = strcmp(row->object, "crl") == 0 || strcmp(row->object, "filter") == 0;
    v->late += published->late;
    if (!whole)
        return;
    metrics_add(v->answer, METRIC_PUBLISHED, row->released ? seconds(row->this_update_ms) : 0,
                row->issuer, row->object, NULL);
    metrics_add(v->answer, METRIC_PUBLISHED_NEXT, row->released ? seconds(row->next_update_ms) : 0,
                row->issuer, row->object, NULL);
}

/* ---- requests ---- */

static void add_profile(void *arg, const struct ca_profile_counts *counts) {
    const struct view *v = arg;
    for (unsigned op = 1; op <= IPC_OP_LAST; op++)
        for (unsigned outcome = 1; outcome <= IPC_OUTCOME_LAST; outcome++)
            if (counts->outcomes[op][outcome])
                metrics_add(v->answer, METRIC_ENROLLMENTS, (double)counts->outcomes[op][outcome],
                            admin_operation_name((uint8_t)op), counts->profile,
                            ipc_outcome_name((enum ipc_outcome)outcome));
}

static void add_times(const struct view *v) {
    double bounds[CA_TIME_BOUNDS];
    for (size_t i = 0; i < CA_TIME_BOUNDS; i++)
        bounds[i] = (double)ca_time_bounds_ms[i] / 1000;
    metrics_add_histogram(v->answer, METRIC_ISSUANCE, bounds, CA_TIME_BOUNDS, v->counts->times,
                          (double)v->counts->times_sum_ms / 1000);
}

/* ---- can it issue now? ---- */

/* Does nobody sign for this token, neither itself nor its standby? */
static bool is_out(const struct view *v, size_t token) {
    const struct core_token *tokens = v->of->setup->tokens;
    struct core_token_health health, other = {.in_use = false};
    if (tokens[token].primary != token || !core_signer_health(v->of->signer, token, &health))
        return false;
    bool standby = tokens[token].standby != token &&
                   core_signer_health(v->of->signer, tokens[token].standby, &other);
    return !health.in_use && !(standby && other.in_use);
}

static void add_reasons(const struct view *v) {
    const struct core_metrics *of = v->of;
    if (!of->recovered)
        metrics_reason(v->answer, "the core has not recovered yet");
    if (of->draining)
        metrics_reason(v->answer, "the core is about to end");
    if (of->restored->held)
        metrics_reason(v->answer, "the store was put back: %.200s", of->restored->text);
    if (!core_faces_count(of->faces, IPC_ROLE_FRONT))
        metrics_reason(v->answer, "no front is linked to the core");
    for (size_t i = 0; i < of->setup->token_count; i++)
        if (is_out(v, i))
            metrics_reason(v->answer, "token %s: no signer that can be asked has shown its keys",
                           of->setup->tokens[i].name);
    for (size_t i = 0; i < of->setup->issuer_count; i++)
        if (of->setup->issuers[i].remote && !core_upstream_answers(of->upstream, i))
            metrics_reason(v->answer, "issuer %s: its CA does not answer",
                           of->setup->issuers[i].name);
    if (is_full(v))
        metrics_reason(v->answer, "the store has no room");
}

void core_metrics_add(const struct core_metrics *metrics, struct metrics_answer *answer) {
    struct view v = {
        .of = metrics, .counts = ca_service_counts(metrics->service), .answer = answer};
    store_stats(metrics->store, &v.store);
    if (metrics->store->ops->audit_head(metrics->store, &v.audit))
        metrics_reason(answer, "the audit log cannot be read");
    add_reasons(&v);
    core_publish_each(metrics->publish, add_published, &v);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        metrics_add(answer, numbers[i].metric, numbers[i].value(&v), NULL, NULL, NULL);
    add_times(&v);
    add_tokens(&v);
    add_issuers(&v);
    add_faces(&v);
    add_consumers(&v);
    add_checkpoints(&v);
    add_index(&v);
    add_jobs(&v);
    ca_service_each_profile(metrics->service, add_profile, &v);
}
