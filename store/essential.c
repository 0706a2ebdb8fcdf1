/* SPDX-License-Identifier: Apache-2.0 */
/* Which batches may use a full store's headroom: see store/batch.h. */
#include "store/batch.h"

static bool device_withdrawn(const struct ca_device *device) {
    return device->state == CA_SUSPENDED || device->state == CA_RETIRED ||
           device->state == CA_DEVICE_REVOKED;
}

static bool new_request(enum ca_table table, const void *row) {
    const struct ca_pending *pending = row;
    return table == CA_TABLE_PENDING && pending->version == 1;
}

static bool begins(const struct ca_change *change) {
    switch ((enum ca_change_kind)change->kind) {
    case CA_PUT_INTENT:
        return true;
    case CA_PUT_DEVICE:
        return change->u.device->version == 1;
    case CA_PUT_ROW:
        return new_request(change->u.row.table, change->u.row.row);
    default:
        return false;
    }
}

static bool job_stopped(enum ca_table table, const void *row) {
    const struct ca_job *job = row;
    return table == CA_TABLE_JOB && job->status == CA_JOB_STOPPED;
}

static bool row_goes_on(enum ca_table table) {
    return table == CA_TABLE_ACT || table == CA_TABLE_ISSUER || table == CA_TABLE_PUBLISHED;
}

/* Does the change alone make its batch essential? */
static bool must_fit(const struct ca_change *change) {
    switch ((enum ca_change_kind)change->kind) {
    case CA_END_INTENT:
    case CA_CERT_STATUS:
    case CA_END_ROW:
        return true;
    case CA_PUT_DEVICE:
        return device_withdrawn(change->u.device);
    case CA_PUT_ROW:
        return row_goes_on(change->u.row.table) ||
               job_stopped(change->u.row.table, change->u.row.row);
    default:
        return false;
    }
}

bool store_batch_essential(const struct ca_batch *batch) {
    bool fits = false, device = false, confirms = false, counts = batch->count > 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ca_change *change = &batch->changes[i];
        if (begins(change))
            return false;
        fits = fits || must_fit(change);
        device = device || change->kind == CA_PUT_DEVICE;
        confirms = confirms ||
                   (change->kind == CA_ADD_LEAF && change->u.leaf->event == CA_EVENT_CONFIRMED);
        counts = counts && change->kind == CA_COUNT_USE;
    }
    return fits || (device && confirms) || counts;
}
