/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signs for a tenant, and whom its devices are told to trust besides (ca/assignment.h), held
 * against what two officers agreed on (agreed.h). What the configuration says otherwise is not
 * followed: the tenant keeps the issuers that were agreed, as far as they are there with the
 * certificates that were agreed; one that has none, or has lost the one that signs, is not
 * served.
 */
#ifndef TOUCHMARK_SERVER_CORE_ASSIGNMENTS_H
#define TOUCHMARK_SERVER_CORE_ASSIGNMENTS_H

#include "server/core/agreed.h"

extern const struct core_agreed_kind core_assignment_kind;

struct core_assignments {
    struct core_agreed *items; /* by tenant of the configuration as it was */
    size_t count;
};

/* Judges every tenant. Where the configuration says what was not agreed, it is made to say what
 * was, and `setup` is loaded again by it. After an error, too, `ret` wants core_assignments_free,
 * and setup core_setup_free. TM_ENOMEM; what core_setup_load and the store say. */
MUST_USE enum tm_err core_assignments_judge(struct conf *conf, struct core_setup *setup,
                                            struct ca_store *store, int64_t now_ms,
                                            struct core_assignments *ret);
void core_assignments_free(struct core_assignments *assignments);

#endif
