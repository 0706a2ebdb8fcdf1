/* SPDX-License-Identifier: Apache-2.0 */
/* See walk.h. */
#include "server/core/walk.h"

#include "ca/dropped.h"

#define PAGE 64

/* One certificate that may be taken. False: the part is full. */
static bool take(struct core_walk *walk, const struct ca_summary *summary) {
    if (summary->status == CA_CERT_REVOKED)
        walk->revoked++;
    else
        walk->good++;
    if (!walk->collect)
        return true;
    walk->found[walk->found_count++] = summary->serial;
    return walk->found_count < CORE_WALK_FOUND_MAX;
}

/* ---- over all certificates, on the worker's thread ---- */

static enum tm_err is_taken(const struct core_walk *walk, const struct ca_summary *summary,
                            bool *ret) {
    struct ca_device device;
    *ret = ca_selection_takes(&walk->selection, summary);
    if (!*ret || !ca_selection_asks_device(&walk->selection))
        return TM_OK;
    enum tm_err err =
        walk->store->ops->scan_device(walk->scan, summary->tenant, summary->device, &device);
    *ret = !err && ca_selection_takes_device(&walk->selection, &device);
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* *ret_full: the part is. The cursor is moved to the last row that was looked at. */
static enum tm_err take_page(struct core_walk *walk, const struct ca_summary *rows, size_t count,
                             bool *ret_full) {
    *ret_full = false;
    for (size_t i = 0; i < count && !*ret_full; i++) {
        bool taken;
        enum tm_err err = is_taken(walk, &rows[i], &taken);
        if (err)
            return err;
        *ret_full = taken && !take(walk, &rows[i]);
        walk->cursor = rows[i].serial;
    }
    return TM_OK;
}

static void work(struct core_job *job) {
    struct core_walk *walk = (struct core_walk *)((char *)job - offsetof(struct core_walk, job));
    struct ca_summary rows[PAGE];
    bool full = false;
    while (!walk->err && !walk->end && !full && !core_job_stops(job)) {
        struct ca_serial next = walk->cursor;
        size_t n = 0;
        walk->err = walk->store->ops->scan_certificates(walk->scan, &next, rows, PAGE, &n);
        walk->end = !walk->err && n == 0;
        if (!walk->err)
            walk->err = take_page(walk, rows, n, &full);
    }
}

static void part_done(struct core_job *job) {
    struct core_walk *walk = (struct core_walk *)((char *)job - offsetof(struct core_walk, job));
    walk->done(walk);
}

/* ---- of one device, at once ---- */

/* *ret_full: the part is. */
static enum tm_err read_one(struct core_walk *walk, const struct ca_device *device,
                            const struct ca_serial *serial, bool *ret_full) {
    struct ca_store *store = walk->store;
    struct ca_certificate certificate;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    enum tm_err err = store->ops->certificate(store, serial, &certificate, &buf);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECORRUPT : err;
    struct ca_summary summary = {
        .serial = *serial, .status = certificate.status, .issued_ms = certificate.issued_ms};
    TEXT_SET(summary.tenant, certificate.tenant);
    TEXT_SET(summary.device, certificate.device);
    TEXT_SET(summary.profile, certificate.profile);
    TEXT_SET(summary.issuer, certificate.issuer);
    *ret_full = ca_selection_takes(&walk->selection, &summary) &&
                ca_selection_takes_device(&walk->selection, device) && !take(walk, &summary);
    return TM_OK;
}

_Static_assert(CA_DEVICE_CERTS_MAX < CORE_WALK_FOUND_MAX, "a device's record is in one part");

/* What its record names, in the first part; then what dropped out of it, in the order of serials.
 */
static enum tm_err take_device(struct core_walk *walk, const struct ca_device *device) {
    struct ca_dropped dropped;
    bool full = false;
    enum tm_err err = TM_OK;
    for (size_t i = 0; !walk->cursor.n && i < device->cert_count && !err; i++)
        err = read_one(walk, device, &device->certs[i].serial, &full);
    while (!err && !full) {
        err = ca_dropped_next(walk->store, device->tenant, device->id, &walk->cursor, &dropped);
        if (!err)
            err = read_one(walk, device, &dropped.serial, &full);
    }
    walk->end = err == TM_ENOTFOUND;
    return walk->end ? TM_OK : err;
}

static void read_device(struct core_walk *walk) {
    struct ca_device device;
    walk->err = walk->store->ops->device(walk->store, walk->selection.tenant,
                                         walk->selection.device, &device);
    if (!walk->err)
        walk->err = take_device(walk, &device);
    else if (walk->err == TM_ENOTFOUND) {
        walk->err = TM_OK;
        walk->end = true;
    }
    walk->done(walk);
}

/* ---- */

void core_walk_next(struct core_walk *walk) {
    walk->end = false;
    walk->err = TM_OK;
    walk->good = walk->revoked = 0;
    walk->found_count = 0;
    if (walk->selection.device[0]) {
        read_device(walk);
        return;
    }
    if (!walk->scan)
        walk->err = walk->store->ops->scan_open(walk->store, &walk->scan);
    if (walk->err) {
        walk->done(walk);
        return;
    }
    walk->job = (struct core_job){.work = work, .done = part_done};
    core_worker_run(walk->worker, &walk->job);
}

void core_walk_close(struct core_walk *walk) {
    walk->store->ops->scan_close(walk->scan);
    walk->scan = NULL;
}
