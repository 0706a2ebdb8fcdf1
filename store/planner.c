/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of planning share: see store/planner.h. */
#include "store/planner.h"

enum tm_err store_plan_stored(const struct store_writing *w, enum store_db db, struct bytes key,
                              const struct codec_schema *schema, void *ret_record) {
    struct bytes value;
    enum tm_err err = store_get(w->env, w->txn, db, key, &value);
    return err ? err : store_unseal(w->hasher, key, value, schema, ret_record);
}

enum tm_err store_plan_absent(const struct store_writing *w, enum store_db db, struct bytes key) {
    struct bytes value;
    enum tm_err err = store_get(w->env, w->txn, db, key, &value);
    if (!err)
        return TM_ECONFLICT;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

struct bytes store_plan_tail(const struct store_plan *plan, size_t at) {
    return (struct bytes){plan->arena.p + at, plan->arena.n - at};
}

enum tm_err store_plan_put(const struct store_writing *w, struct store_plan *plan,
                           enum store_op_kind kind, enum store_db db, struct bytes key,
                           const struct codec_schema *schema, const void *record) {
    size_t at = plan->arena.n;
    enum tm_err err = store_seal(w->hasher, key, schema, record, &plan->arena);
    if (err)
        return err == TM_EINVAL ? TM_ELIMIT : err;
    plan->ops[plan->count++] = (struct store_op){kind, db, key, store_plan_tail(plan, at)};
    return TM_OK;
}

void store_plan_remove(struct store_plan *plan, enum store_db db, struct bytes key) {
    plan->ops[plan->count++] = (struct store_op){STORE_OP_REMOVE, db, key, {NULL, 0}};
}
