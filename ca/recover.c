/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up recovery: an intent that is still open belongs to a process that died before it
 * recorded a certificate; if one was signed, nobody got it. Each is burned, one transaction
 * each, and the request that comes again gets a new serial.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ca/request.h"

struct recovery {
    struct ca_service *service;
    void (*ready)(void *arg, enum tm_err result);
    void *arg;
    size_t burned;
    struct ca_serial cursor;
    struct ca_intent intent;
    struct ca_certificate certificate;
    struct ca_leaf leaf;
    struct ca_batch batch;
    struct ca_ask_row ask;
    uint8_t memory[CA_ROW_MEMORY_MAX];
};

static void recover_next(struct recovery *recovery);

static void finish(struct recovery *recovery, enum tm_err result) {
    if (recovery->burned)
        log_warn("recovery: %zu open intents ended as burned serials", recovery->burned);
    recovery->ready(recovery->arg, result);
    free(recovery);
}

static void burned(struct ca_batch *batch, enum tm_err result) {
    struct recovery *recovery = batch->arg;
    if (result) {
        finish(recovery, result);
        return;
    }
    recovery->burned++;
    recovery->service->counts.burned++;
    recover_next(recovery);
}

static const char *issuer_of(const struct ca_service *s, const char *tenant) {
    for (size_t i = 0; i < s->config->label_count; i++)
        if (strcmp(s->config->labels[i].tenant->name, tenant) == 0)
            return s->config->labels[i].tenant->issuer->name;
    return "";
}

/* Another CA was asked for it, in the name of this very intent. */
static bool was_asked(struct recovery *recovery) {
    struct ca_store *store = recovery->service->store;
    const struct ca_intent *intent = &recovery->intent;
    struct buf memory = BUF_ON(recovery->memory);
    TEXT_SET(recovery->ask.tenant, intent->tenant);
    TEXT_SET(recovery->ask.device, intent->device);
    TEXT_SET(recovery->ask.profile, intent->profile);
    return !store->ops->row(store, CA_TABLE_ASK, &recovery->ask, &memory) &&
           ca_serial_equal(&recovery->ask.serial, &intent->serial);
}

static void recover_next(struct recovery *recovery) {
    struct ca_service *s = recovery->service;
    enum tm_err err = s->store->ops->next_intent(s->store, &recovery->cursor, &recovery->intent);
    if (err) {
        finish(recovery, err == TM_ENOTFOUND ? TM_OK : err);
        return;
    }
    recovery->leaf = (struct ca_leaf){.actor = "touchmarkd"};
    recovery->batch = (struct ca_batch){.done = burned, .arg = recovery};
    ca_burn_fill(&recovery->intent, issuer_of(s, recovery->intent.tenant), s->config->now_ms(),
                 was_asked(recovery)
                     ? "open at start: another CA was asked, and what it made is not known; the "
                       "same request asks it again"
                     : "open at start: its process ended before a certificate was recorded",
                 &recovery->certificate, &recovery->leaf, &recovery->batch);
    err = s->store->ops->submit(s->store, &recovery->batch);
    if (err)
        finish(recovery, err);
}

enum tm_err ca_service_recover(struct ca_service *service,
                               void (*ready)(void *arg, enum tm_err result), void *arg) {
    struct recovery *recovery = calloc(1, sizeof *recovery);
    if (!recovery)
        return TM_ENOMEM;
    recovery->service = service;
    recovery->ready = ready;
    recovery->arg = arg;
    recover_next(recovery);
    return TM_OK;
}
