/* SPDX-License-Identifier: Apache-2.0 */
/* Planning of administrative rows and of the uses of issuers' keys: see store/planner.h. */
#include <string.h>

#include "store/planner.h"

/* The change's key, in the plan's arena. */
static enum tm_err plan_key(const struct ca_change *change, struct store_plan *plan,
                            struct bytes *ret_key) {
    size_t at = plan->arena.n;
    if (!store_row_schema(change->u.row.table) ||
        store_put_row_key(&plan->arena, change->u.row.table, change->u.row.row))
        return TM_ELIMIT;
    *ret_key = store_plan_tail(plan, at);
    return ret_key->n > STORE_KEY_MAX ? TM_ELIMIT : TM_OK;
}

static uint64_t version_of(const void *row) {
    uint64_t version;
    memcpy(&version, row, sizeof version);
    return version;
}

/* The stored row; version 0: there is none. */
static enum tm_err stored_row(const struct store_writing *w, struct bytes key, enum ca_table table,
                              union store_row *ret_row) {
    enum tm_err err = store_plan_stored(w, STORE_DB_ROW, key, store_row_schema(table), ret_row);
    if (err == TM_ENOTFOUND)
        ret_row->version = 0;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

enum tm_err store_plan_row(const struct store_writing *w, const struct ca_change *change,
                           struct store_plan *plan) {
    enum ca_table table = change->u.row.table;
    const void *row = change->u.row.row;
    struct bytes key;
    union store_row old;
    enum tm_err err = plan_key(change, plan, &key);
    if (!err)
        err = stored_row(w, key, table, &old);
    if (err)
        return err;
    if (version_of(row) == 0 || version_of(row) - 1 != old.version)
        return TM_ECONFLICT;
    struct ca_job job;
    if (table == CA_TABLE_JOB && old.version) {
        job = *(const struct ca_job *)row;
        store_keep_counts(&old.job, &job);
        row = &job;
    }
    struct ca_issuer_row issuer;
    if (table == CA_TABLE_ISSUER && old.version) { /* what was counted meanwhile stays counted */
        issuer = *(const struct ca_issuer_row *)row;
        memcpy(issuer.uses, old.issuer.uses, sizeof issuer.uses);
        row = &issuer;
    }
    return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_ROW, key, store_row_schema(table), row);
}

enum tm_err store_plan_end_row(const struct store_writing *w, const struct ca_change *change,
                               struct store_plan *plan) {
    struct bytes key;
    union store_row old;
    enum tm_err err = plan_key(change, plan, &key);
    if (!err)
        err = stored_row(w, key, change->u.row.table, &old);
    if (err)
        return err;
    if (old.version == 0 || version_of(change->u.row.row) != old.version)
        return TM_ECONFLICT;
    store_plan_remove(plan, STORE_DB_ROW, key);
    return TM_OK;
}

/* ---- uses ---- */

static bool use_fits(const struct ca_change *change) {
    return store_name_is_key(change->u.use.issuer) && change->u.use.use >= CA_USE_CERTIFICATE &&
           change->u.use.use <= CA_USE_LAST && change->u.use.count;
}

static bool counts_same(const struct ca_change *a, const struct ca_change *b) {
    return a->kind == CA_COUNT_USE && use_fits(a) && strcmp(a->u.use.issuer, b->u.use.issuer) == 0;
}

enum tm_err store_plan_use(const struct store_writing *w, const struct ca_batch *batch,
                           size_t index, struct store_plan *plan) {
    const struct ca_change *change = &batch->changes[index];
    if (!use_fits(change))
        return TM_ELIMIT;
    for (size_t i = 0; i < index; i++)
        if (counts_same(&batch->changes[i], change))
            return TM_OK;
    union store_row row = {.issuer = {.version = 1}};
    TEXT_SET(row.issuer.name, change->u.use.issuer);
    size_t at = plan->arena.n;
    enum tm_err err = store_put_row_key(&plan->arena, CA_TABLE_ISSUER, &row);
    struct bytes key = store_plan_tail(plan, at);
    union store_row old;
    if (!err)
        err = stored_row(w, key, CA_TABLE_ISSUER, &old);
    if (err)
        return err;
    if (old.version)
        row = old;
    for (size_t i = index; i < batch->count; i++)
        if (counts_same(&batch->changes[i], change))
            row.issuer.uses[batch->changes[i].u.use.use] += batch->changes[i].u.use.count;
    return store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_ROW, key,
                          store_row_schema(CA_TABLE_ISSUER), &row);
}
