/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/dropped.h. */
#include "ca/dropped.h"

#include <string.h>

enum tm_err ca_dropped_next(struct ca_store *store, const char *tenant, const char *device,
                            struct ca_serial *cursor, struct ca_dropped *ret) {
    uint8_t octets[CA_ROW_KEY_MAX];
    struct buf key = BUF_ON(octets);
    struct ca_dropped row;
    buf_put(&key, bytes_str(tenant));
    buf_put_u8(&key, 0);
    buf_put(&key, bytes_str(device));
    buf_put_u8(&key, 0);
    buf_put(&key, (struct bytes){cursor->octets, cursor->n});
    enum tm_err err = store->ops->next_row(store, CA_TABLE_DROPPED, &key, &row, NULL);
    if (err)
        return err;
    if (strcmp(row.tenant, tenant) != 0 || strcmp(row.device, device) != 0)
        return TM_ENOTFOUND;
    *cursor = row.serial;
    *ret = row;
    return TM_OK;
}

static bool is_over(const struct ca_cert_ref *ref, int64_t now_ms) {
    return ref->status == CA_CERT_REVOKED || ref->not_after_ms < now_ms;
}

size_t ca_dropped_choose(const struct ca_device *device, int64_t now_ms) {
    size_t oldest = 0;
    for (size_t i = device->cert_count; i-- > 0;) {
        if (ca_cert_in_use(&device->certs[i]))
            continue;
        if (is_over(&device->certs[i], now_ms))
            return i;
        oldest = oldest > i ? oldest : i;
    }
    return oldest;
}

static void change(struct ca_batch *batch, enum ca_change_kind kind, struct ca_dropped *row) {
    row->version += kind == CA_PUT_ROW;
    batch->changes[batch->count++] =
        (struct ca_change){.kind = (uint8_t)kind, .u.row = {.table = CA_TABLE_DROPPED, .row = row}};
}

/* Each that comes takes one with it that is of no use any more: so the rows of a device that renews
 * for decades do not grow without end. */
static void forget_expired(struct ca_store *store, const struct ca_device *device, int64_t now_ms,
                           struct ca_dropping *dropping, struct ca_batch *batch) {
    struct ca_serial cursor = {.n = 0};
    if (!ca_dropped_next(store, device->tenant, device->id, &cursor, &dropping->out) &&
        dropping->out.not_after_ms < now_ms)
        change(batch, CA_END_ROW, &dropping->out);
}

void ca_dropped_out(struct ca_store *store, struct ca_device *device, size_t at, int64_t now_ms,
                    struct ca_dropping *dropping, struct ca_batch *batch) {
    const struct ca_cert_ref *ref = &device->certs[at];
    memset(dropping, 0, sizeof *dropping);
    if (!is_over(ref, now_ms)) {
        TEXT_SET(dropping->in.tenant, device->tenant);
        TEXT_SET(dropping->in.device, device->id);
        dropping->in.serial = ref->serial;
        dropping->in.not_after_ms = ref->not_after_ms;
        forget_expired(store, device, now_ms, dropping, batch);
        change(batch, CA_PUT_ROW, &dropping->in);
    }
    memmove(&device->certs[at], &device->certs[at + 1],
            (device->cert_count - at - 1) * sizeof device->certs[0]);
    device->cert_count--;
}
