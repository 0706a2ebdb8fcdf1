/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be served: a published file, or an OCSP answer. It does not change once it is made;
 * responses under way keep it alive by counting. The count is not atomic: an item belongs to one
 * thread at a time, and is made on one and counted on another only when it was handed over.
 */
#ifndef TOUCHMARK_SERVER_STATUS_ITEM_H
#define TOUCHMARK_SERVER_STATUS_ITEM_H

#include "base/auto.h"
#include "base/bytes.h"

#define STATUS_HASH_SIZE 32
#define STATUS_ETAG_MAX (2 * STATUS_HASH_SIZE + 3)

struct status_item {
    unsigned refs;
    bool mapped; /* octets are of memfile_map, not of malloc */
    const char *media_type;
    struct bytes octets;
    uint64_t number;
    int64_t this_update_ms;
    int64_t next_update_ms; /* 0: never */
    uint8_t sha256[STATUS_HASH_SIZE];
    char etag[STATUS_ETAG_MAX]; /* with its quotes */
};

/* Takes over octets of memfile_map or of malloc, also on failure. The rest is for the caller to
 * fill in. TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err status_item_new(struct bytes octets, bool mapped,
                                     struct status_item **ret_item);
struct status_item *status_item_ref(struct status_item *item);
void status_item_unref(struct status_item *item); /* NULL-safe */

typedef struct status_item status_item;
AUTO_DEFINE(status_item, status_item_unref)

#endif
