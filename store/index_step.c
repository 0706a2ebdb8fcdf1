/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the index: first a walk over all devices, then the audit log from its beginning. Of the
 * leaves that were there before the walk only what devices' records do not say is taken, refusals
 * and counts; from then on each leaf that names a device has that device's record read again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "store/env.h"
#include "store/index_internal.h"

#define LEAVES_MAX 256 /* of one step */
#define PAGE 256       /* devices of a walk's step */

/* A device that leaves of this step name. */
struct named {
    char tenant[IPC_NAME_MAX + 1];
    char id[IPC_NAME_MAX + 1];
    struct index_news news;
};

/* ---- the walk ---- */

static enum tm_err walk_device(struct index_txn *t, const struct ca_device *device) {
    static const struct index_news none;
    uint16_t tenant;
    enum tm_err err = index_tenant(t, device->tenant, true, &tenant);
    return err ? err : index_row_replace(t, tenant, device, &none);
}

static enum tm_err begin_walk(struct index_txn *t) {
    struct ca_audit_head head;
    enum tm_err err = t->index->store->ops->scan_audit_head(t->index->scan, &head);
    if (!err)
        t->state.walked_to = head.size;
    return err;
}

static enum tm_err walk_page(struct index_txn *t) {
    struct ca_index *index = t->index;
    size_t n = 0;
    enum tm_err err = t->state.device[0] ? TM_OK : begin_walk(t);
    if (!err)
        err = index->store->ops->scan_every_device(index->scan, t->state.tenant, t->state.device,
                                                   index->page, PAGE, &n);
    for (size_t i = 0; i < n && !err; i++)
        err = walk_device(t, &index->page[i]);
    t->state.walked = n == 0;
    return err;
}

/* ---- following ---- */

/* "unproven:ID": somebody, who may be that device, had a wrong secret. */
static const char *device_of(const struct ca_leaf *leaf) {
    static const char unproven[] = "unproven:";
    if (leaf->device[0] || leaf->event != CA_EVENT_REFUSED)
        return leaf->device;
    return strncmp(leaf->actor, unproven, sizeof unproven - 1) == 0
               ? leaf->actor + sizeof unproven - 1
               : "";
}

/* NULL: no leaf of this step has named it. */
static struct named *find_named(struct named *all, size_t count, const struct ca_leaf *leaf) {
    const char *id = device_of(leaf);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].id, id) == 0 && strcmp(all[i].tenant, leaf->tenant) == 0)
            return &all[i];
    return NULL;
}

static struct named *name_device(struct named *all, size_t *count, const struct ca_leaf *leaf) {
    struct named *named = find_named(all, *count, leaf);
    if (named)
        return named;
    named = &all[(*count)++];
    memset(named, 0, sizeof *named);
    TEXT_SET(named->tenant, leaf->tenant);
    TEXT_SET(named->id, device_of(leaf));
    return named;
}

static void refused(struct ca_trouble *trouble, const struct ca_leaf *leaf, uint32_t profile) {
    if (!trouble->outcome)
        trouble->first_ms = leaf->time_ms;
    trouble->outcome = leaf->outcome;
    trouble->profile = profile;
    trouble->count++;
    trouble->last_ms = leaf->time_ms;
}

/* Not now, and the device did nothing wrong: it will ask again. */
static bool is_trouble(uint8_t outcome) {
    return outcome > IPC_UNAVAILABLE && outcome != IPC_CONFIRMED;
}

static enum tm_err take_refusal(struct index_txn *t, uint16_t tenant, const struct ca_leaf *leaf,
                                struct named *named) {
    uint32_t profile = 0;
    if (!is_trouble(leaf->outcome))
        return TM_OK;
    enum tm_err err = leaf->profile[0]
                          ? index_name(t, INDEX_PROFILE, tenant, leaf->profile, true, &profile)
                          : TM_OK;
    if (err)
        return err;
    refused(&named->news.failing, leaf, profile);
    if (leaf->outcome == IPC_DUPLICATE_KEY || leaf->outcome == IPC_ALREADY_ISSUED)
        refused(&named->news.duplicate, leaf, profile);
    return TM_OK;
}

/* Does a leaf from before the walk say what the device's record does not? */
static enum tm_err tells_more(struct index_txn *t, uint16_t tenant, const struct ca_leaf *leaf,
                              bool named, bool *ret) {
    struct index_row row;
    *ret = leaf->event == CA_EVENT_REFUSED || (leaf->event == CA_EVENT_ISSUED && named);
    if (*ret || leaf->event != CA_EVENT_ISSUED)
        return TM_OK;
    enum tm_err err = index_row_read(t, tenant, leaf->device, &row);
    *ret = !err && row.failing.outcome;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err take_leaf(struct index_txn *t, const struct ca_leaf *leaf, struct named *all,
                             size_t *count) {
    uint16_t tenant = 0;
    bool more = t->state.next >= t->state.walked_to;
    enum tm_err err = leaf->tenant[0] ? index_tenant(t, leaf->tenant, true, &tenant) : TM_OK;
    if (!err)
        err = index_count_leaf(t, tenant, leaf);
    if (err || !tenant || !device_of(leaf)[0])
        return err;
    if (!more)
        err = tells_more(t, tenant, leaf, find_named(all, *count, leaf) != NULL, &more);
    if (err || !more)
        return err;
    struct named *named = name_device(all, count, leaf);
    if (leaf->event == CA_EVENT_ISSUED) {
        named->news.issued = true;
        named->news.failing = (struct ca_trouble){0};
    }
    return leaf->event == CA_EVENT_REFUSED ? take_refusal(t, tenant, leaf, named) : TM_OK;
}

/* A device that is named but not there, or cannot be read, has no entries. */
static enum tm_err replace(struct index_txn *t, const struct named *named) {
    struct ca_device *device = t->index->page;
    uint16_t tenant;
    enum tm_err err =
        t->index->store->ops->scan_device(t->index->scan, named->tenant, named->id, device);
    if (err == TM_ENOTFOUND || err == TM_ECORRUPT)
        return TM_OK;
    if (!err)
        err = index_tenant(t, named->tenant, true, &tenant);
    return err ? err : index_row_replace(t, tenant, device, &named->news);
}

/* *ret_end: there are no more leaves. */
static enum tm_err take_leaves(struct index_txn *t, struct named *all, size_t *count,
                               bool *ret_end) {
    struct ca_index *index = t->index;
    struct ca_leaf leaf;
    enum tm_err err = TM_OK;
    bool any = false;
    for (size_t i = 0; i < LEAVES_MAX && !err && !*ret_end; i++) {
        enum tm_err read = index->store->ops->scan_leaf(index->scan, t->state.next, &leaf);
        *ret_end = read == TM_ENOTFOUND;
        if (*ret_end || (read && read != TM_ECORRUPT)) {
            err = *ret_end ? TM_OK : read;
            break;
        }
        if (read == TM_ECORRUPT) {
            log_error("index: leaf %" PRIu64 " cannot be read: check the store", t->state.next);
            memset(&leaf, 0, sizeof leaf);
        }
        err = take_leaf(t, &leaf, all, count);
        t->state.next++;
        any = true;
    }
    return err || !any ? err : index_leaf_hash(index, &leaf, t->state.leaf);
}

static enum tm_err follow(struct index_txn *t, bool *ret_end) {
    struct named *all = calloc(LEAVES_MAX, sizeof *all);
    size_t count = 0;
    enum tm_err err = all ? take_leaves(t, all, &count, ret_end) : TM_ENOMEM;
    for (size_t i = 0; i < count && !err; i++)
        err = replace(t, &all[i]);
    free(all);
    return err;
}

/* ---- */

static void publish(struct ca_index *index) {
    atomic_store(&index->next, index->state.next);
    atomic_store(&index->devices, index->state.devices);
    atomic_store(&index->walked, index->state.walked);
}

/* Empties it, so that it is built anew. */
static enum tm_err start_again(struct ca_index *index) {
    struct index_txn t;
    index->state = (struct index_state){.format = INDEX_FORMAT};
    atomic_store(&index->walked, false);
    enum tm_err err = index_begin(index, true, &t);
    if (err)
        return err;
    for (size_t i = 0; i < INDEX_DB_LAST && !err; i++)
        err = store_lmdb_err(mdb_drop(t.txn, index->dbs[i], 0), "index: emptying");
    if (err)
        index_abort(&t);
    else
        err = index_commit(&t);
    publish(index);
    return err;
}

static enum tm_err step(struct ca_index *index, bool *ret_more) {
    struct index_txn t;
    bool end = false;
    enum tm_err err = index_begin(index, true, &t);
    if (err)
        return err;
    err = t.state.walked ? follow(&t, &end) : walk_page(&t);
    if (err || (end && t.state.next == index->state.next)) {
        index_abort(&t);
        *ret_more = false;
        return err;
    }
    err = index_commit(&t);
    if (err)
        return err;
    index->state = t.state;
    publish(index);
    crash_point("index.step");
    *ret_more = !end;
    return TM_OK;
}

enum tm_err store_index_step(struct ca_index *index, bool *ret_more) {
    *ret_more = false;
    if (index->failed)
        return TM_EIO;
    if (atomic_load(&index->broken)) {
        log_warn("the index of devices is built anew");
        index->failed = start_again(index) != TM_OK;
        if (index->failed) {
            log_error("the index of devices cannot be emptied: there is none until the next start");
            index_mark_broken(index->marker_fd);
            return TM_EIO;
        }
        atomic_store(&index->broken, false);
    }
    enum tm_err err = step(index, ret_more);
    if (err == TM_EIO || err == TM_ECORRUPT)
        atomic_store(&index->broken, true);
    return err;
}
