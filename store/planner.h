/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning's inside, shared by its parts: batch.c plans devices, keys and the audit log and
 * carries plans out; batch_certificate.c plans intents, certificates and the index of the revoked;
 * batch_row.c administrative rows; batch_job.c what is counted on jobs. Internal to store/.
 */
#ifndef TOUCHMARK_STORE_PLANNER_H
#define TOUCHMARK_STORE_PLANNER_H

#include "store/batch.h"

/* The sealed record that stands under the key, decoded; BYTES members borrow from the map.
 * TM_ENOTFOUND, TM_ECORRUPT, TM_EIO. */
MUST_USE enum tm_err store_plan_stored(const struct store_writing *w, enum store_db db,
                                       struct bytes key, const struct codec_schema *schema,
                                       void *ret_record);
/* TM_ECONFLICT when there is a record under the key. */
MUST_USE enum tm_err store_plan_absent(const struct store_writing *w, enum store_db db,
                                       struct bytes key);

/* What was put into the plan's arena since it held `at` octets: a key. */
struct bytes store_plan_tail(const struct store_plan *plan, size_t at);
/* Adds the sealed record to the plan. TM_ELIMIT: a value outside its bounds. */
MUST_USE enum tm_err store_plan_put(const struct store_writing *w, struct store_plan *plan,
                                    enum store_op_kind kind, enum store_db db, struct bytes key,
                                    const struct codec_schema *schema, const void *record);
void store_plan_remove(struct store_plan *plan, enum store_db db, struct bytes key);

/* One change each; the results are those of store_batch_plan. */
MUST_USE enum tm_err store_plan_intent(const struct store_writing *w,
                                       const struct ca_intent *intent, struct store_plan *plan);
MUST_USE enum tm_err store_plan_end_intent(const struct store_writing *w,
                                           const struct ca_serial *serial, struct store_plan *plan);
MUST_USE enum tm_err store_plan_certificate(const struct store_writing *w,
                                            const struct ca_batch *batch,
                                            const struct ca_certificate *certificate,
                                            struct store_plan *plan);
MUST_USE enum tm_err store_plan_status(const struct store_writing *w,
                                       const struct ca_certificate *certificate,
                                       struct store_plan *plan);
MUST_USE enum tm_err store_plan_row(const struct store_writing *w, const struct ca_change *change,
                                    struct store_plan *plan);
MUST_USE enum tm_err store_plan_end_row(const struct store_writing *w,
                                        const struct ca_change *change, struct store_plan *plan);
/* All the batch's uses of an issuer with the first of them: none of the later ones may miss what
 * an earlier one counted. */
MUST_USE enum tm_err store_plan_use(const struct store_writing *w, const struct ca_batch *batch,
                                    size_t index, struct store_plan *plan);
MUST_USE enum tm_err store_plan_grant(const struct store_writing *w, const struct ca_grant *grant,
                                      struct store_plan *plan);
/* What a job's row keeps of the stored one when it is replaced. */
void store_keep_counts(const struct ca_job *stored, struct ca_job *ret_job);

#endif
