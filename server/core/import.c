/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each row, and the transactions: see import.h. */
#include "server/core/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "server/core/writes.h"

#define ATTEMPTS_MAX 8

enum verdict { ADD, CLAIM, EQUAL, BAD, DONE };

struct item {
    enum verdict verdict;
    const struct ipc_import_row *row;
    struct ca_device device;
    struct ca_leaf leaf;
};

/* A transaction, and whose rows are in it. */
struct part {
    struct ca_batch batch;
    size_t first, end; /* items */
};

struct import {
    struct core_writes writes; /* first: what is told of them finds the rest */
    const struct ca_registry *registry;
    enum core_import_mode mode;
    core_import_fn *done;
    void *arg;
    char tenant[IPC_NAME_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
    unsigned attempts;
    size_t added_before; /* by earlier attempts */
    struct core_import_result outcome;
    struct core_import_fault faults[IPC_IMPORT_ROWS_MAX];
    struct ipc_import rows;
    struct item items[IPC_IMPORT_ROWS_MAX];
    struct part parts[IPC_IMPORT_ROWS_MAX];
};

/* ---- one row ---- */

static void fill_device(const struct import *import, struct item *item) {
    const struct ipc_import_row *row = item->row;
    struct ca_device *device = &item->device;
    memset(device, 0, sizeof *device);
    TEXT_SET(device->tenant, import->tenant);
    TEXT_SET(device->id, row->device);
    TEXT_SET(device->sku, row->sku);
    TEXT_SET(device->hardware_revision, row->hardware_revision);
    TEXT_SET(device->batch, row->batch);
    TEXT_SET(device->site, row->site);
    TEXT_SET(device->job, row->job);
    TEXT_SET(device->firmware, row->firmware);
    device->provisioning_version = row->provisioning_version;
    device->pinned = row->key_count > 0;
    device->state = CA_REGISTERED;
    device->version = 1;
    device->created_ms = device->changed_ms = import->registry->now_ms();
}

static bool says_the_same(const struct ipc_import_row *row, const struct ca_device *device,
                          char text[IPC_TEXT_MAX + 1]) {
    const struct {
        const char *name, *wanted, *stored;
    } members[] = {{"sku", row->sku, device->sku},
                   {"hardware_revision", row->hardware_revision, device->hardware_revision},
                   {"batch", row->batch, device->batch},
                   {"site", row->site, device->site},
                   {"job", row->job, device->job},
                   {"firmware", row->firmware, device->firmware}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (members[i].wanted[0] && strcmp(members[i].wanted, members[i].stored) != 0) {
            (void)snprintf(text, IPC_TEXT_MAX + 1,
                           "device %s is registered with %s \"%s\", not \"%s\"", row->device,
                           members[i].name, members[i].stored, members[i].wanted);
            return false;
        }
    if (!row->provisioning_version || row->provisioning_version == device->provisioning_version)
        return true;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "device %s is registered with provisioning_version %u, not %u", row->device,
                   device->provisioning_version, row->provisioning_version);
    return false;
}

/* How many of the row's keys are claimed for its device already. False: another has one. */
static bool keys_are_free(const struct import *import, const struct ipc_import_row *row,
                          size_t *ret_own, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = import->registry->store;
    char tenant[IPC_NAME_MAX + 1], device[IPC_NAME_MAX + 1];
    *ret_own = 0;
    for (size_t i = 0; i < row->key_count; i++) {
        enum tm_err err = store->ops->key_owner(store, row->keys[i].sha256, tenant, device);
        if (err == TM_ENOTFOUND)
            continue;
        if (!err && strcmp(tenant, import->tenant) == 0 && strcmp(device, row->device) == 0) {
            ++*ret_own;
            continue;
        }
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s: its key %s", row->device,
                       err ? "cannot be looked up" : "belongs to another device");
        return false;
    }
    return true;
}

static enum verdict judge_known(struct item *item, size_t own_keys, char text[IPC_TEXT_MAX + 1]) {
    if (!says_the_same(item->row, &item->device, text))
        return BAD;
    if (!item->row->key_count || (item->device.pinned && own_keys == item->row->key_count))
        return EQUAL;
    for (size_t i = 0; i < item->device.cert_count; i++)
        if (ca_cert_in_use(&item->device.certs[i])) {
            (void)snprintf(text, IPC_TEXT_MAX + 1,
                           "device %s has certificates in use, for other keys than these",
                           item->row->device);
            return BAD;
        }
    item->device.pinned = true;
    item->device.version++;
    return CLAIM;
}

static enum verdict judge(struct import *import, struct item *item, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = import->registry->store;
    const struct ipc_import_row *row = item->row;
    size_t own_keys;
    if (!ca_device_id_valid(row->device)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, CA_DEVICE_ID_FAULT, row->device, IPC_NAME_MAX);
        return BAD;
    }
    if (!keys_are_free(import, row, &own_keys, text))
        return BAD;
    enum tm_err err = store->ops->device(store, import->tenant, row->device, &item->device);
    if (!err)
        return judge_known(item, own_keys, text);
    if (err != TM_ENOTFOUND) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s cannot be read: %s", row->device,
                       tm_err_name(err));
        return BAD;
    }
    fill_device(import, item);
    return ca_products_admit(import->registry->products, &item->device, text) ? ADD : BAD;
}

/* Each row is judged against the store, which would not see two of the same device. */
static const struct ipc_import_row *twin_before(const struct import *import, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(import->rows.rows[i].device, import->rows.rows[index].device) == 0)
            return &import->rows.rows[i];
    return NULL;
}

static void fault(struct import *import, uint32_t line, const char *text) {
    struct core_import_fault *at = &import->faults[import->outcome.bad++];
    at->line = line;
    TEXT_SET(at->text, text);
}

static void judge_all(struct import *import) {
    import->outcome.bad = import->outcome.equal = 0;
    for (size_t i = 0; i < import->rows.count; i++) {
        struct item *item = &import->items[i];
        char text[IPC_TEXT_MAX + 1] = "";
        if (item->verdict == DONE)
            continue;
        item->row = &import->rows.rows[i];
        const struct ipc_import_row *twin = twin_before(import, i);
        if (twin)
            (void)snprintf(text, sizeof text, "device %s is on line %u already", twin->device,
                           twin->line);
        item->verdict = twin ? BAD : judge(import, item, text);
        if (item->verdict == BAD)
            fault(import, item->row->line, text);
        import->outcome.equal += item->verdict == EQUAL;
    }
}

/* ---- transactions ---- */

static size_t changes_of(const struct item *item) {
    return item->verdict == ADD || item->verdict == CLAIM ? 2 + item->row->key_count : 0;
}

static void add_item(struct import *import, struct item *item, struct ca_batch *batch) {
    const struct ipc_import_row *row = item->row;
    item->leaf = (struct ca_leaf){.event = item->verdict == ADD ? CA_EVENT_DEVICE_ADDED
                                                                : CA_EVENT_DEVICE_CHANGED,
                                  .time_ms = item->device.changed_ms,
                                  .from_state = item->verdict == ADD ? 0 : item->device.state,
                                  .to_state = item->device.state};
    TEXT_SET(item->leaf.tenant, item->device.tenant);
    TEXT_SET(item->leaf.device, item->device.id);
    TEXT_SET(item->leaf.site, item->device.site);
    TEXT_SET(item->leaf.job, item->device.job);
    TEXT_SET(item->leaf.actor, import->actor);
    TEXT_SET(item->leaf.reason, row->key_count ? "import, with its keys" : "import");
    batch->changes[batch->count++] =
        (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &item->device};
    for (size_t i = 0; i < row->key_count; i++) {
        struct ca_change *change = &batch->changes[batch->count++];
        *change =
            (struct ca_change){.kind = CA_CLAIM_KEY,
                               .u.key = {.tenant = item->device.tenant, .device = item->device.id}};
        memcpy(change->u.key.spki_hash, row->keys[i].sha256, CA_HASH_SIZE);
    }
    batch->changes[batch->count++] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &item->leaf};
}

static void part_durable(struct ca_batch *batch, enum tm_err result) {
    struct part *part = (struct part *)batch;
    struct import *import = batch->arg;
    for (size_t i = part->first; i < part->end && !result; i++)
        if (import->items[i].verdict == ADD || import->items[i].verdict == CLAIM) {
            import->items[i].verdict = DONE;
            import->outcome.added++;
        }
    core_writes_settle(&import->writes, result);
}

/* Fills one with as many of the items from *at on as fit, and moves *at behind them. */
static void fill_part(struct import *import, size_t *at, struct part *part) {
    part->batch = (struct ca_batch){.done = part_durable, .arg = import};
    part->first = *at;
    for (; *at < import->rows.count; ++*at) {
        struct item *item = &import->items[*at];
        if (part->batch.count + changes_of(item) > CA_BATCH_MAX)
            break;
        if (changes_of(item))
            add_item(import, item, &part->batch);
    }
    part->end = *at;
}

static void run(struct import *import);

static void over(struct core_writes *writes, enum tm_err result) {
    struct import *import = (struct import *)writes;
    bool room = result == TM_EFULL && import->outcome.added > import->added_before;
    import->added_before = import->outcome.added;
    if (room || (result == TM_ECONFLICT && ++import->attempts < ATTEMPTS_MAX)) {
        run(import);
        return;
    }
    import->done(import->arg, result, &import->outcome);
    free(import);
}

static void load(struct import *import) {
    struct ca_store *store = import->registry->store;
    enum tm_err err = TM_OK;
    core_writes_begin(&import->writes, over);
    for (size_t at = 0, n = 0; at < import->rows.count && !err; n++) {
        fill_part(import, &at, &import->parts[n]);
        if (import->parts[n].batch.count)
            err = core_writes_submit(&import->writes, store, &import->parts[n].batch);
    }
    core_writes_settle(&import->writes, err);
}

static void run(struct import *import) {
    judge_all(import);
    if (import->mode == CORE_IMPORT_LOAD_GOOD ||
        (import->mode == CORE_IMPORT_LOAD && !import->outcome.bad)) {
        load(import);
        return;
    }
    for (size_t i = 0; import->mode == CORE_IMPORT_CHECK && i < import->rows.count; i++)
        import->outcome.added += changes_of(&import->items[i]) > 0;
    import->done(import->arg, TM_OK, &import->outcome);
    free(import);
}

enum tm_err core_import(const struct ca_registry *registry, const char *tenant, struct bytes rows,
                        enum core_import_mode mode, const char *actor, core_import_fn *done,
                        void *arg) {
    AUTO_MEM struct import *import = calloc(1, sizeof *import);
    if (!import)
        return TM_ENOMEM;
    enum tm_err err = codec_decode(&ipc_import_schema, rows, &import->rows);
    if (err)
        return err;
    import->registry = registry;
    import->mode = mode;
    import->done = done;
    import->arg = arg;
    import->outcome.faults = import->faults;
    TEXT_SET(import->tenant, tenant);
    TEXT_SET(import->actor, actor);
    run(TAKE(import));
    return TM_OK;
}
