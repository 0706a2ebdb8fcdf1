/* SPDX-License-Identifier: Apache-2.0 */
/* See writes.h. */
#include "server/core/writes.h"

void core_writes_begin(struct core_writes *writes,
                       void (*over)(struct core_writes *writes, enum tm_err result)) {
    *writes = (struct core_writes){.open = 1, .over = over};
}

enum tm_err core_writes_submit(struct core_writes *writes, struct ca_store *store,
                               struct ca_batch *batch) {
    writes->open++;
    enum tm_err err = store->ops->submit(store, batch);
    if (err)
        writes->open--;
    return err;
}

void core_writes_settle(struct core_writes *writes, enum tm_err result) {
    if (result && !writes->result)
        writes->result = result;
    if (--writes->open == 0)
        writes->over(writes, writes->result);
}
