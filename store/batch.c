/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions and changes of one batch: see store/batch.h. */
#include <string.h>

#include "store/planner.h"
#include "store/tile.h"

/* ---- planning ---- */

static enum tm_err plan_device(const struct store_writing *w, const struct ca_device *device,
                               struct store_plan *plan) {
    if (!store_name_is_key(device->tenant) || !store_name_is_key(device->id) || device->state == 0)
        return TM_ELIMIT;
    size_t at = plan->arena.n;
    store_put_device_key(&plan->arena, device->tenant, device->id);
    struct bytes key = store_plan_tail(plan, at);
    struct ca_device old;
    enum tm_err err = store_plan_stored(w, STORE_DB_DEVICE, key, &store_device_schema, &old);
    if (err && err != TM_ENOTFOUND)
        return err;
    uint64_t version = err == TM_ENOTFOUND ? 0 : old.version;
    if (device->version == 0 || device->version - 1 != version)
        return TM_ECONFLICT;
    return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_DEVICE, key, &store_device_schema,
                          device);
}

static enum tm_err plan_key(const struct store_writing *w, const struct ca_change *change,
                            struct store_plan *plan) {
    const char *tenant = change->u.key.tenant, *device = change->u.key.device;
    struct store_owner owner = {0}, old;
    if (!store_name_is_key(tenant) || !store_name_is_key(device))
        return TM_ELIMIT;
    struct bytes key = BYTES_OF(change->u.key.spki_hash);
    enum tm_err err = store_plan_stored(w, STORE_DB_KEY, key, &store_owner_schema, &old);
    if (!err)
        return strcmp(old.tenant, tenant) == 0 && strcmp(old.device, device) == 0 ? TM_OK
                                                                                  : TM_ECONFLICT;
    if (err != TM_ENOTFOUND)
        return err;
    (void)strcpy(owner.tenant, tenant);
    (void)strcpy(owner.device, device);
    return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_KEY, key, &store_owner_schema, &owner);
}

/* `number`: which leaf of the transaction's frontier it will be. */
static enum tm_err plan_leaf(const struct store_writing *w, const struct ca_leaf *leaf,
                             uint64_t number, struct store_plan *plan) {
    if (leaf->event == 0)
        return TM_ELIMIT;
    size_t at = plan->arena.n;
    store_put_leaf_key(&plan->arena, number);
    struct bytes key = store_plan_tail(plan, at);
    return store_plan_put(w, plan, STORE_OP_APPEND, STORE_DB_LEAF, key, store_leaf_schema_of(leaf),
                          leaf);
}

static enum tm_err plan_transaction(const struct store_writing *w,
                                    const struct ca_transaction *transaction,
                                    struct store_plan *plan) {
    if (!store_name_is_key(transaction->tenant) || !store_name_is_key(transaction->device) ||
        !transaction->response.n)
        return TM_ELIMIT;
    size_t at = plan->arena.n;
    store_put_device_key(&plan->arena, transaction->tenant, transaction->device);
    struct bytes key = store_plan_tail(plan, at);
    return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_TRANSACTION, key,
                          &store_transaction_schema, transaction);
}

static enum tm_err plan_cursor(const struct store_writing *w, const struct ca_change *change,
                               struct store_plan *plan) {
    if (!store_name_is_key(change->u.cursor.consumer))
        return TM_ELIMIT;
    const struct store_cursor cursor = {change->u.cursor.next};
    return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_CURSOR,
                          bytes_str(change->u.cursor.consumer), &store_cursor_schema, &cursor);
}

static enum tm_err plan_change(const struct store_writing *w, const struct ca_batch *batch,
                               size_t index, uint64_t leaf_number, struct store_plan *plan) {
    const struct ca_change *change = &batch->changes[index];
    switch ((enum ca_change_kind)change->kind) {
    case CA_PUT_DEVICE:
        return plan_device(w, change->u.device, plan);
    case CA_PUT_INTENT:
        return store_plan_intent(w, change->u.intent, plan);
    case CA_END_INTENT:
        return store_plan_end_intent(w, &change->u.serial, plan);
    case CA_PUT_CERT:
        return store_plan_certificate(w, batch, change->u.certificate, plan);
    case CA_CERT_STATUS:
        return store_plan_status(w, change->u.certificate, plan);
    case CA_CLAIM_KEY:
        return plan_key(w, change, plan);
    case CA_ADD_LEAF:
        return plan_leaf(w, change->u.leaf, leaf_number, plan);
    case CA_PUT_TRANSACTION:
        return plan_transaction(w, change->u.transaction, plan);
    case CA_PUT_CURSOR:
        return plan_cursor(w, change, plan);
    case CA_PUT_ROW:
        return store_plan_row(w, change, plan);
    case CA_END_ROW:
        return store_plan_end_row(w, change, plan);
    case CA_COUNT_USE:
        return store_plan_use(w, batch, index, plan);
    case CA_SPEND_GRANT:
        return store_plan_grant(w, &change->u.grant, plan);
    }
    return TM_ELIMIT;
}

/* May the two be in one batch? Each was checked against the state before it, so what one does
 * must not be what the other's precondition forbids. */
static bool ops_agree(const struct store_op *a, const struct store_op *b) {
    bool same_table = a->db == b->db;
    bool both_serials = (a->db == STORE_DB_CERT && b->db == STORE_DB_INTENT) ||
                        (a->db == STORE_DB_INTENT && b->db == STORE_DB_CERT);
    if ((!same_table && !both_serials) || !bytes_equal(a->key, b->key))
        return true;
    if (both_serials) /* an intent ends with its certificate; it cannot begin with it */
        return a->kind == STORE_OP_REMOVE || b->kind == STORE_OP_REMOVE;
    return a->kind == STORE_OP_PUT && b->kind == STORE_OP_PUT && bytes_equal(a->value, b->value);
}

/* Do the operations from `first` on agree with all before them? */
static bool new_ops_agree(const struct store_plan *plan, size_t first) {
    for (size_t i = first; i < plan->count; i++)
        for (size_t j = 0; j < i; j++)
            if (!ops_agree(&plan->ops[j], &plan->ops[i]))
                return false;
    return true;
}

enum tm_err store_batch_plan(const struct store_writing *writing, const struct ca_batch *batch,
                             struct store_plan *plan, size_t *ret_failed) {
    plan->count = 0;
    plan->arena.n = 0;
    plan->arena.full = false;
    uint64_t leaf_number = writing->frontier.size;
    enum tm_err err = batch->count > CA_BATCH_MAX ? TM_ELIMIT : TM_OK;
    size_t i = 0;
    for (; !err && i < batch->count; i++) {
        size_t planned = plan->count;
        err = plan_change(writing, batch, i, leaf_number, plan);
        leaf_number += batch->changes[i].kind == CA_ADD_LEAF;
        if (!err && !new_ops_agree(plan, planned))
            err = TM_ECONFLICT;
    }
    if (err)
        *ret_failed = i ? i - 1 : 0;
    return err;
}

/* ---- applying ---- */

static enum tm_err append(const struct store_writing *w, const struct store_op *op, MDB_val *key,
                          MDB_val *value) {
    MDB_dbi db = w->env->dbs[op->db];
    int rc = mdb_put(w->txn, db, key, value, MDB_APPEND);
    if (rc == MDB_KEYEXIST) /* LMDB's word for "does not sort last" */
        rc = mdb_put(w->txn, db, key, value, MDB_NOOVERWRITE);
    return store_lmdb_err(rc, "appending a record");
}

static enum tm_err grow_tree(struct store_writing *w, struct bytes leaf) {
    const struct store_tiling tiling = {w->env, w->txn, w->hasher};
    enum tm_err err = store_merkle_append(w->hasher, &w->frontier, leaf);
    return err ? err : store_tile_grow(&tiling, w->frontier.size);
}

static enum tm_err apply_op(struct store_writing *w, const struct store_op *op) {
    MDB_dbi db = w->env->dbs[op->db];
    MDB_val key = {op->key.n, (void *)(uintptr_t)op->key.p};
    MDB_val value = {op->value.n, (void *)(uintptr_t)op->value.p};
    enum tm_err err = TM_OK;
    switch (op->kind) {
    case STORE_OP_PUT:
        return store_lmdb_err(mdb_put(w->txn, db, &key, &value, 0), "storing a record");
    case STORE_OP_REMOVE:
        return store_lmdb_err(mdb_del(w->txn, db, &key, NULL), "removing a record");
    case STORE_OP_APPEND:
        err = append(w, op, &key, &value);
        if (!err && op->db == STORE_DB_LEAF)
            err = grow_tree(w, store_sealed_record(op->value));
        return err;
    }
    return TM_EINVAL;
}

enum tm_err store_batch_apply(struct store_writing *writing, const struct store_plan *plan) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < plan->count; i++)
        err = apply_op(writing, &plan->ops[i]);
    return err;
}
