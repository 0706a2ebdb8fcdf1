/* SPDX-License-Identifier: Apache-2.0 */
/* The core's catalog, one generation of it: what each label serves. Only for est/service itself. */
#ifndef TOUCHMARK_EST_SERVICE_CATALOG_H
#define TOUCHMARK_EST_SERVICE_CATALOG_H

#include "ipc/messages.h"

struct catalog_entry {
    char label[IPC_NAME_MAX + 1];
    bool there;
    bool is_default;
    uint8_t *memory; /* of the two below */
    struct bytes cacerts;
    struct bytes csrattrs;
};

struct catalog {
    uint32_t generation;
    size_t count;
    size_t taken;
    struct catalog_entry *entries; /* by index while it fills, by label when it is whole */
};

/* An empty one for the generation that `first` is of. TM_EINVAL: it says there are no entries. */
MUST_USE enum tm_err catalog_new(const struct ipc_catalog *first, struct catalog **ret_catalog);
void catalog_free(struct catalog *catalog); /* NULL-safe */

/* Copies one entry of this generation. TM_EINVAL: not one of the count that the others said. */
MUST_USE enum tm_err catalog_take(struct catalog *catalog, const struct ipc_catalog *message);
bool catalog_whole(const struct catalog *catalog);

/* The entry of a label of a whole catalog, of "" the default's. NULL when there is none. */
const struct catalog_entry *catalog_find(const struct catalog *catalog, const char *label);

#endif
