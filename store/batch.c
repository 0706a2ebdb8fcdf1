/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions and changes of one batch: see store/batch.h. */
#include "store/batch.h"

#include <string.h>

/* ---- planning ---- */

static bool name_fits(const char *name, size_t size) {
    size_t n = strnlen(name, size);
    return n > 0 && n < size;
}

static bool serial_fits(const struct ca_serial *serial) {
    return serial->n > 0 && serial->n <= CA_SERIAL_MAX;
}

/* The sealed record that stands under the key, decoded. */
static enum tm_err stored(const struct store_writing *w, enum store_db db, struct bytes key,
                          const struct codec_schema *schema, void *ret_record) {
    struct bytes value;
    enum tm_err err = store_get(w->env, w->txn, db, key, &value);
    return err ? err : store_unseal(w->hasher, key, value, schema, ret_record);
}

/* TM_ECONFLICT when there is a record under the key. */
static enum tm_err absent(const struct store_writing *w, enum store_db db, struct bytes key) {
    struct bytes value;
    enum tm_err err = store_get(w->env, w->txn, db, key, &value);
    if (!err)
        return TM_ECONFLICT;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* Adds the sealed record to the plan. */
static enum tm_err put(const struct store_writing *w, struct store_plan *plan,
                       enum store_op_kind kind, enum store_db db, struct bytes key,
                       const struct codec_schema *schema, const void *record) {
    size_t at = plan->arena.n;
    enum tm_err err = store_seal(w->hasher, key, schema, record, &plan->arena);
    if (err)
        return err == TM_EINVAL ? TM_ELIMIT : err;
    struct bytes value = {plan->arena.p + at, plan->arena.n - at};
    plan->ops[plan->count++] = (struct store_op){kind, db, key, value};
    return TM_OK;
}

static enum tm_err plan_device(const struct store_writing *w, const struct ca_device *device,
                               struct store_plan *plan) {
    if (!name_fits(device->tenant, sizeof device->tenant) ||
        !name_fits(device->id, sizeof device->id) || device->state == 0)
        return TM_ELIMIT;
    size_t at = plan->arena.n;
    store_put_device_key(&plan->arena, device->tenant, device->id);
    struct bytes key = {plan->arena.p + at, plan->arena.n - at};
    struct ca_device old;
    enum tm_err err = stored(w, STORE_DB_DEVICE, key, &store_device_schema, &old);
    if (err && err != TM_ENOTFOUND)
        return err;
    uint64_t version = err == TM_ENOTFOUND ? 0 : old.version;
    if (device->version == 0 || device->version - 1 != version)
        return TM_ECONFLICT;
    return put(w, plan, STORE_OP_PUT, STORE_DB_DEVICE, key, &store_device_schema, device);
}

static enum tm_err plan_intent(const struct store_writing *w, const struct ca_intent *intent,
                               struct store_plan *plan) {
    if (!serial_fits(&intent->serial))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(&intent->serial);
    enum tm_err err = absent(w, STORE_DB_INTENT, key);
    if (!err)
        err = absent(w, STORE_DB_CERT, key);
    return err ? err
               : put(w, plan, STORE_OP_APPEND, STORE_DB_INTENT, key, &store_intent_schema, intent);
}

static enum tm_err plan_end_intent(const struct store_writing *w, const struct ca_serial *serial,
                                   struct store_plan *plan) {
    if (!serial_fits(serial))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(serial), value;
    enum tm_err err = store_get(w->env, w->txn, STORE_DB_INTENT, key, &value);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECONFLICT : err;
    plan->ops[plan->count++] = (struct store_op){STORE_OP_REMOVE, STORE_DB_INTENT, key, {NULL, 0}};
    return TM_OK;
}

/* CA_CERT_SUPERSEDED and CA_CERT_UNCONFIRMED stand in device records alone (ca/types.h). */
static bool status_fits(uint8_t status) {
    return status != 0 && status != CA_CERT_SUPERSEDED && status != CA_CERT_UNCONFIRMED;
}

/* The number plus one of the batch's own leaf on this serial, as it will be once the batch is
 * applied; 0 when it has none. */
static uint64_t leaf_of(const struct store_writing *w, const struct ca_batch *batch,
                        const struct ca_certificate *certificate) {
    uint8_t event = certificate->status == CA_CERT_BURNED ? CA_EVENT_BURNED : CA_EVENT_ISSUED;
    uint64_t number = w->frontier.size;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->changes[i].kind != CA_ADD_LEAF)
            continue;
        number++;
        const struct ca_leaf *leaf = batch->changes[i].u.leaf;
        if (leaf->event == event && ca_serial_equal(&leaf->serial, &certificate->serial))
            return number;
    }
    return 0;
}

static enum tm_err plan_certificate(const struct store_writing *w, const struct ca_batch *batch,
                                    const struct ca_certificate *certificate,
                                    struct store_plan *plan) {
    if (!serial_fits(&certificate->serial) || !status_fits(certificate->status))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(&certificate->serial);
    enum tm_err err = absent(w, STORE_DB_CERT, key);
    if (err)
        return err;
    struct store_certificate record = {*certificate, leaf_of(w, batch, certificate)};
    return put(w, plan, STORE_OP_APPEND, STORE_DB_CERT, key, &store_certificate_schema, &record);
}

static enum tm_err plan_status(const struct store_writing *w,
                               const struct ca_certificate *certificate, struct store_plan *plan) {
    if (!serial_fits(&certificate->serial) || !status_fits(certificate->status))
        return TM_ELIMIT;
    struct bytes key = store_serial_key(&certificate->serial);
    struct store_certificate record;
    enum tm_err err = stored(w, STORE_DB_CERT, key, &store_certificate_schema, &record);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECONFLICT : err;
    /* What was a certificate stays one, and a burned serial stays burned. */
    if (record.certificate.status == CA_CERT_BURNED || certificate->status == CA_CERT_BURNED)
        return TM_ECONFLICT;
    record.certificate.status = certificate->status;
    record.certificate.revoked_ms = certificate->revoked_ms;
    record.certificate.revoked_reason = certificate->revoked_reason;
    return put(w, plan, STORE_OP_PUT, STORE_DB_CERT, key, &store_certificate_schema, &record);
}

static enum tm_err plan_key(const struct store_writing *w, const struct ca_change *change,
                            struct store_plan *plan) {
    const char *tenant = change->u.key.tenant, *device = change->u.key.device;
    struct store_owner owner = {0}, old;
    if (!name_fits(tenant, sizeof owner.tenant) || !name_fits(device, sizeof owner.device))
        return TM_ELIMIT;
    struct bytes key = BYTES_OF(change->u.key.spki_hash);
    enum tm_err err = stored(w, STORE_DB_KEY, key, &store_owner_schema, &old);
    if (!err)
        return strcmp(old.tenant, tenant) == 0 && strcmp(old.device, device) == 0 ? TM_OK
                                                                                  : TM_ECONFLICT;
    if (err != TM_ENOTFOUND)
        return err;
    (void)strcpy(owner.tenant, tenant);
    (void)strcpy(owner.device, device);
    return put(w, plan, STORE_OP_PUT, STORE_DB_KEY, key, &store_owner_schema, &owner);
}

/* `number`: which leaf of the transaction's frontier it will be. */
static enum tm_err plan_leaf(const struct store_writing *w, const struct ca_leaf *leaf,
                             uint64_t number, struct store_plan *plan) {
    if (leaf->event == 0)
        return TM_ELIMIT;
    size_t at = plan->arena.n;
    store_put_leaf_key(&plan->arena, number);
    struct bytes key = {plan->arena.p + at, plan->arena.n - at};
    return put(w, plan, STORE_OP_APPEND, STORE_DB_LEAF, key, &store_leaf_schema, leaf);
}

static enum tm_err plan_transaction(const struct store_writing *w,
                                    const struct ca_transaction *transaction,
                                    struct store_plan *plan) {
    if (!name_fits(transaction->tenant, sizeof transaction->tenant) ||
        !name_fits(transaction->device, sizeof transaction->device) || !transaction->response.n)
        return TM_ELIMIT;
    size_t at = plan->arena.n;
    store_put_device_key(&plan->arena, transaction->tenant, transaction->device);
    struct bytes key = {plan->arena.p + at, plan->arena.n - at};
    return put(w, plan, STORE_OP_PUT, STORE_DB_TRANSACTION, key, &store_transaction_schema,
               transaction);
}

static enum tm_err plan_cursor(const struct store_writing *w, const struct ca_change *change,
                               struct store_plan *plan) {
    if (!name_fits(change->u.cursor.consumer, IPC_NAME_MAX + 1))
        return TM_ELIMIT;
    const struct store_cursor cursor = {change->u.cursor.next};
    return put(w, plan, STORE_OP_PUT, STORE_DB_CURSOR, bytes_str(change->u.cursor.consumer),
               &store_cursor_schema, &cursor);
}

static enum tm_err plan_change(const struct store_writing *w, const struct ca_batch *batch,
                               const struct ca_change *change, uint64_t leaf_number,
                               struct store_plan *plan) {
    switch ((enum ca_change_kind)change->kind) {
    case CA_PUT_DEVICE:
        return plan_device(w, change->u.device, plan);
    case CA_PUT_INTENT:
        return plan_intent(w, change->u.intent, plan);
    case CA_END_INTENT:
        return plan_end_intent(w, &change->u.serial, plan);
    case CA_PUT_CERT:
        return plan_certificate(w, batch, change->u.certificate, plan);
    case CA_CERT_STATUS:
        return plan_status(w, change->u.certificate, plan);
    case CA_CLAIM_KEY:
        return plan_key(w, change, plan);
    case CA_ADD_LEAF:
        return plan_leaf(w, change->u.leaf, leaf_number, plan);
    case CA_PUT_TRANSACTION:
        return plan_transaction(w, change->u.transaction, plan);
    case CA_PUT_CURSOR:
        return plan_cursor(w, change, plan);
    case CA_PUT_ROW:
    case CA_END_ROW:
    case CA_COUNT_USE:
        break;
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

static bool last_op_agrees(const struct store_plan *plan) {
    for (size_t i = 0; i + 1 < plan->count; i++)
        if (!ops_agree(&plan->ops[i], &plan->ops[plan->count - 1]))
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
        const struct ca_change *change = &batch->changes[i];
        err = plan_change(writing, batch, change, leaf_number, plan);
        leaf_number += change->kind == CA_ADD_LEAF;
        if (!err && !last_op_agrees(plan))
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
            err = store_merkle_append(w->hasher, &w->frontier, store_sealed_record(op->value));
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

/* ---- headroom ---- */

static bool device_withdrawn(const struct ca_device *device) {
    return device->state == CA_SUSPENDED || device->state == CA_RETIRED ||
           device->state == CA_DEVICE_REVOKED;
}

/* A confirmation adds one audit leaf, happens once for each certificate, and a device that may not
 * confirm asks again and again. */
bool store_batch_essential(const struct ca_batch *batch) {
    bool ends = false, device = false, confirms = false;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ca_change *change = &batch->changes[i];
        if (change->kind == CA_PUT_INTENT ||
            (change->kind == CA_PUT_DEVICE && change->u.device->version == 1))
            return false; /* begins something new */
        ends = ends || change->kind == CA_END_INTENT || change->kind == CA_CERT_STATUS ||
               (change->kind == CA_PUT_DEVICE && device_withdrawn(change->u.device));
        device = device || change->kind == CA_PUT_DEVICE;
        confirms = confirms ||
                   (change->kind == CA_ADD_LEAF && change->u.leaf->event == CA_EVENT_CONFIRMED);
    }
    return ends || (device && confirms);
}
