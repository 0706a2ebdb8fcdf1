/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that may have to be given again (requirement A7), sealed, as long as the profile's
 * retry_window lasts, or until the device shows that it has its key.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ca/keygen.h"

#define SWEEP_MS 60000   /* between two walks over the rows */
#define SWEEP_ROWS_MAX 8 /* of one walk, looked at in one go */

static struct bytes name_of(const char *name) {
    return (struct bytes){(const uint8_t *)name, strlen(name) + 1};
}

void ca_keygen_bound(const struct ca_keygen *row, struct bytes ret[CA_KEYGEN_BOUND]) {
    ret[0] = name_of("serverkeygen");
    ret[1] = name_of(row->tenant);
    ret[2] = name_of(row->device);
    ret[3] = name_of(row->profile);
    ret[4] = BYTES_OF(row->request);
    ret[5] = (struct bytes){row->serial.octets, row->serial.n};
}

/* ---- again ---- */

bool ca_keygen_load(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_generated *g = r->generated;
    struct buf memory = BUF_ON(g->sealed);
    g->stored = (struct ca_keygen){.version = 0};
    g->has_stored = false;
    if (g->delivered)
        return true;
    TEXT_SET(g->stored.tenant, r->label->tenant->name);
    TEXT_SET(g->stored.device, r->device.id);
    TEXT_SET(g->stored.profile, r->label->profile->name);
    enum tm_err err =
        r->service->store->ops->row(r->service->store, CA_TABLE_KEYGEN, &g->stored, &memory);
    g->has_stored = !err;
    if (!err || err == TM_ENOTFOUND)
        return true;
    return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
}

static bool unseal(struct ca_request *r) {
    struct ca_generated *g = r->generated;
    struct bytes bound[CA_KEYGEN_BOUND];
    struct buf part = BUF_ON(g->part);
    ca_keygen_bound(&g->stored, bound);
    if (ca_wrap_unseal_octets(r->service->config->wrap, bound, CA_KEYGEN_BOUND, g->stored.sealed,
                              &part) ||
        part.n < 2) {
        log_line(
            LOG_LEVEL_WARN, r->message.id,
            "the key that was made for device %s cannot be unsealed: core.wrap_key is another; "
            "a new one is made",
            r->device.id);
        return false;
    }
    g->part_n = part.n;
    return true;
}

const struct ca_cert_ref *ca_keygen_repeat(struct ca_request *r) {
    struct ca_generated *g = r->generated;
    const struct ca_cert_ref *ref =
        g->has_stored ? ca_device_cert(&r->device, &g->stored.serial) : NULL;
    if (!ref || !ca_cert_in_use(ref) || memcmp(g->stored.request, r->key, CA_HASH_SIZE) != 0 ||
        r->now_ms > g->stored.expires_ms || r->now_ms >= ref->not_after_ms || !unseal(r))
        return NULL;
    g->recipient.wanted = g->part[0];
    return ref;
}

/* ---- forgotten ---- */

struct ending {
    struct ca_keygen row;
    struct ca_batch batch;
};

/* A row that was replaced or removed meanwhile is as good as ended. */
static void ended(struct ca_batch *batch, enum tm_err result) {
    if (result && result != TM_ECONFLICT)
        log_error("a generated key could not be removed: %s", tm_err_name(result));
    free(batch->arg);
}

static bool end_row(struct ca_service *s, const struct ca_keygen *row) {
    struct ending *ending = malloc(sizeof *ending);
    if (!ending)
        return false;
    ending->row = *row;
    ending->row.sealed = (struct bytes){0};
    ending->batch = (struct ca_batch){.count = 1, .done = ended, .arg = ending};
    ending->batch.changes[0] = (struct ca_change){
        .kind = CA_END_ROW, .u.row = {.table = CA_TABLE_KEYGEN, .row = &ending->row}};
    if (s->store->ops->submit(s->store, &ending->batch)) {
        free(ending);
        return false;
    }
    return true;
}

static bool profile_makes_keys(const struct ca_service *s, const char *name) {
    for (size_t i = 0; i < s->config->label_count; i++)
        if (strcmp(s->config->labels[i].profile->name, name) == 0)
            return s->config->labels[i].profile->keygen != CA_KEYGEN_OFF;
    return false;
}

void ca_keygen_delivered(struct ca_request *r) {
    const struct ca_certificate *own = &r->who.own;
    uint8_t memory[CA_ROW_MEMORY_MAX];
    struct buf sealed = BUF_ON(memory);
    struct ca_keygen row = {.version = 0};
    if (r->generated)
        r->generated->delivered = false;
    if (!(r->who.credential & (CA_CRED_IDEVID | CA_CRED_LDEVID)) ||
        !profile_makes_keys(r->service, own->profile))
        return;
    TEXT_SET(row.tenant, own->tenant);
    TEXT_SET(row.device, own->device);
    TEXT_SET(row.profile, own->profile);
    if (r->service->store->ops->row(r->service->store, CA_TABLE_KEYGEN, &row, &sealed) ||
        !ca_serial_equal(&row.serial, &own->serial) || !end_row(r->service, &row))
        return;
    if (r->generated)
        r->generated->delivered = strcmp(own->profile, r->label->profile->name) == 0;
}

/* A few rows at a time, so that nobody waits for it. */
void ca_keygen_sweep(struct ca_service *s, int64_t now_ms) {
    struct buf cursor = {s->sweep_key, sizeof s->sweep_key, s->sweep_n, false};
    if (now_ms < s->sweep_at_ms && now_ms > s->sweep_at_ms - 2 * SWEEP_MS)
        return;
    for (unsigned i = 0; i < SWEEP_ROWS_MAX; i++) {
        uint8_t memory[CA_ROW_MEMORY_MAX];
        struct buf sealed = BUF_ON(memory);
        struct ca_keygen row;
        if (s->store->ops->next_row(s->store, CA_TABLE_KEYGEN, &cursor, &row, &sealed)) {
            s->sweep_at_ms = now_ms + SWEEP_MS;
            s->sweep_n = 0;
            return;
        }
        if (now_ms > row.expires_ms)
            (void)end_row(s, &row); /* or at the next walk */
    }
    s->sweep_n = cursor.n;
}
