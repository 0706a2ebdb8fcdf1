/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start changes in the store because the configuration is another one: rows, each told by a
 * leaf. They are collected, and then written as many to a batch as fit. One loop's thread, like the
 * store.
 */
#ifndef TOUCHMARK_SERVER_CORE_CHANGES_H
#define TOUCHMARK_SERVER_CORE_CHANGES_H

#include "ca/store.h"

struct core_change {
    enum ca_change_kind kind; /* CA_PUT_ROW, CA_END_ROW; CA_ADD_LEAF: the leaf alone */
    enum ca_table table;      /* and which of these it is */
    union {
        struct ca_issuer_row issuer;
        struct ca_profile_row profile;
        struct ca_product_row product;
        struct ca_agreed agreed; /* its value must live until they are written */
    } row;
    struct ca_leaf leaf;
};

struct core_changes;

/* what: for the log, "products"; constant. NULL: there is no memory. */
struct core_changes *core_changes_new(const char *what);
/* One more, of zeros but for what a leaf of the server itself has. Valid until the next; NULL:
 * there is no memory. */
struct core_change *core_changes_add(struct core_changes *changes, enum ca_change_kind kind,
                                     enum ca_table table, enum ca_event event, int64_t now_ms);
/* Takes them over. Unless `err` says that they are not to be, all are written. Calls `done` once,
 * maybe at once: with that error, or with what the store says. */
void core_changes_write(struct core_changes *changes, struct ca_store *store, enum tm_err err,
                        void (*done)(void *arg, enum tm_err result), void *arg);

#endif
