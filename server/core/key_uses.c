/* SPDX-License-Identifier: Apache-2.0 */
/* See key_uses.h. */
#include "server/core/key_uses.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define KINDS (CA_TICKET_CHECKPOINT + 1)

struct use {
    uint32_t count;
    int64_t since_ms, until_ms;
};

struct core_key_uses {
    struct core_key_uses_config config;
    size_t count;
    struct use *uses;    /* by issuer (its index, or none), token and kind */
    int64_t due;         /* monotonic ms; 0: nothing was used since */
    uint64_t size_after; /* of the log, when the last leaves were in it */
    bool busy;
    size_t written[CA_BATCH_MAX]; /* which uses the leaves are of */
    struct ca_leaf leaves[CA_BATCH_MAX];
    struct ca_batch batch;
};

const char *core_key_use_name(enum ca_ticket_kind kind) {
    switch (kind) {
    case CA_TICKET_CERTIFICATE:
        return "certificate";
    case CA_TICKET_CMC:
        return "cmc-response";
    case CA_TICKET_CRL:
        return "crl";
    case CA_TICKET_OCSP:
        return "ocsp-answer";
    case CA_TICKET_FILTER:
        return "filter";
    case CA_TICKET_KEYGEN:
        return "key-package";
    case CA_TICKET_TLS_HANDSHAKE:
        return "tls-handshake";
    case CA_TICKET_TLS_REQUEST:
        return "tls-request";
    case CA_TICKET_CHECKPOINT:
        return "checkpoint";
    }
    return "unknown";
}

/* ---- counting ---- */

static void add(struct use *to, const struct use *more) {
    if (!more->count)
        return;
    if (!to->count || more->since_ms < to->since_ms)
        to->since_ms = more->since_ms;
    if (!to->count || more->until_ms > to->until_ms)
        to->until_ms = more->until_ms;
    to->count += more->count;
}

void core_key_uses_note(struct core_key_uses *uses, enum ca_ticket_kind kind, size_t issuer,
                        size_t token) {
    if (!uses)
        return;
    int64_t now = uses->config.now_ms();
    const struct use once = {1, now, now};
    add(&uses->uses[(issuer * uses->config.setup->token_count + token) * KINDS + kind], &once);
    if (!uses->due)
        uses->due = clock_mono_ms() + uses->config.interval_ms;
}

/* ---- writing ---- */

static uint64_t log_size(const struct core_key_uses *uses) {
    struct ca_audit_head head;
    return uses->config.store->ops->audit_head(uses->config.store, &head) ? 0 : head.size;
}

static void written(struct ca_batch *batch, enum tm_err result) {
    struct core_key_uses *uses = batch->arg;
    uses->busy = false;
    for (size_t i = 0; result && i < batch->count; i++) {
        const struct ca_leaf *leaf = &uses->leaves[i];
        const struct use unwritten = {leaf->count, leaf->since_ms, leaf->until_ms};
        add(&uses->uses[uses->written[i]], &unwritten);
    }
    if (result) {
        log_error("what keys were used for is not recorded yet: %s", tm_err_name(result));
        uses->due = clock_mono_ms() + uses->config.interval_ms;
    }
    uses->size_after = log_size(uses);
}

static void fill_leaf(struct core_key_uses *uses, size_t at, struct ca_leaf *ret) {
    const struct core_setup *setup = uses->config.setup;
    size_t key = at / KINDS, issuer = key / setup->token_count;
    const struct use *use = &uses->uses[at];
    *ret = (struct ca_leaf){.event = CA_EVENT_KEY_USED,
                            .time_ms = uses->config.now_ms(),
                            .count = use->count,
                            .since_ms = use->since_ms,
                            .until_ms = use->until_ms};
    TEXT_SET(ret->actor, "touchmarkd");
    TEXT_SET(ret->reason, core_key_use_name((enum ca_ticket_kind)(at % KINDS)));
    TEXT_SET(ret->provider, setup->tokens[key % setup->token_count].name);
    TEXT_SET(ret->issuer, issuer < setup->issuer_count ? setup->issuers[issuer].name : "");
}

/* As many as a transaction takes; the rest at the next tick. */
static void write_leaves(struct core_key_uses *uses) {
    size_t n = 0, at = 0;
    for (; at < uses->count && n < CA_BATCH_MAX; at++) {
        if (!uses->uses[at].count)
            continue;
        fill_leaf(uses, at, &uses->leaves[n]);
        uses->uses[at].count = 0;
        uses->written[n] = at;
        uses->batch.changes[n] =
            (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &uses->leaves[n]};
        n++;
    }
    uses->due = at < uses->count ? clock_mono_ms() : 0;
    if (!n)
        return;
    uses->batch.count = n;
    uses->batch.done = written;
    uses->batch.arg = uses;
    uses->busy = true;
    enum tm_err err = uses->config.store->ops->submit(uses->config.store, &uses->batch);
    if (err)
        written(&uses->batch, err);
}

/* Is there anything but checkpoints of what this has written itself? */
static bool is_news(const struct core_key_uses *uses) {
    for (size_t i = 0; i < uses->count; i++)
        if (uses->uses[i].count && i % KINDS != CA_TICKET_CHECKPOINT)
            return true;
    return log_size(uses) != uses->size_after;
}

void core_key_uses_tick(struct core_key_uses *uses) {
    if (uses->busy || !uses->due || clock_mono_ms() < uses->due)
        return;
    if (is_news(uses))
        write_leaves(uses);
    else
        uses->due = clock_mono_ms() + uses->config.interval_ms;
}

bool core_key_uses_settle(struct core_key_uses *uses) {
    if (!uses->busy && uses->due)
        write_leaves(uses);
    return !uses->busy && !uses->due;
}

/* ---- life ---- */

enum tm_err core_key_uses_new(const struct core_key_uses_config *config,
                              struct core_key_uses **ret_uses) {
    struct core_key_uses *uses = calloc(1, sizeof *uses);
    if (!uses)
        return TM_ENOMEM;
    uses->config = *config;
    uses->count = (config->setup->issuer_count + 1) * config->setup->token_count * KINDS;
    uses->uses = calloc(uses->count + 1, sizeof *uses->uses);
    if (!uses->uses) {
        free(uses);
        return TM_ENOMEM;
    }
    *ret_uses = uses;
    return TM_OK;
}

void core_key_uses_free(struct core_key_uses *uses) {
    if (!uses)
        return;
    free(uses->uses);
    free(uses);
}
