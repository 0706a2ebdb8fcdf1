/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices by the hundred (requirement C6): rows that are to be in the registry as they say. A row
 * whose device is there already, and says nothing else than the record does, is left as it is, so
 * that what was interrupted is done again. One loop's thread.
 */
#ifndef TOUCHMARK_SERVER_CORE_IMPORT_H
#define TOUCHMARK_SERVER_CORE_IMPORT_H

#include "ca/registry.h"
#include "ipc/admin.h"

enum core_import_mode {
    CORE_IMPORT_CHECK,     /* writes nothing */
    CORE_IMPORT_LOAD,      /* writes all, or nothing where one is bad */
    CORE_IMPORT_LOAD_GOOD, /* writes those that are not bad */
};

struct core_import_fault {
    uint32_t line;
    char text[IPC_TEXT_MAX + 1]; /* what is wrong, and what is allowed */
};
struct core_import_result {
    size_t added; /* CHECK: would be */
    size_t equal;
    size_t bad;
    const struct core_import_fault *faults;
};
/* Called once, when what was written is durable (TM_OK, also with bad rows), or when the store did
 * not take all of it: TM_ECONFLICT, TM_EFULL and so on; the same rows may be given again. */
typedef void core_import_fn(void *arg, enum tm_err result,
                            const struct core_import_result *outcome);

/* rows: an encoded ipc_import, copied. As many devices as fit are one transaction, with a leaf of
 * each. After an error `done` is not called. TM_EPARSE: these are no rows. */
MUST_USE enum tm_err core_import(const struct ca_registry *registry, const char *tenant,
                                 struct bytes rows, enum core_import_mode mode, const char *actor,
                                 core_import_fn *done, void *arg);

#endif
