/* SPDX-License-Identifier: Apache-2.0 */
/* What is served under which name now. Of the loop's thread. */
#ifndef TOUCHMARK_SERVER_STATUS_TABLE_H
#define TOUCHMARK_SERVER_STATUS_TABLE_H

#include "server/status/item.h"
#include "server/status/name.h"

struct status_entry {
    char name[STATUS_NAME_MAX + 1];
    struct status_item *item; /* NULL: it was not published yet */
};

/* Zeros are an empty one. */
struct status_table {
    struct status_entry *entries; /* in the order of their names */
    size_t count, cap;
};

/* Takes the item over, also on failure, and serves it instead of what had the name; NULL leaves
 * what has it. TM_ENOMEM. */
MUST_USE enum tm_err status_table_put(struct status_table *table, const char *name,
                                      struct status_item *item);
/* NULL: there is no such name. */
const struct status_entry *status_table_find(const struct status_table *table, const char *name);
void status_table_deinit(struct status_table *table);

#endif
