/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as JSON objects for `touchmark`: field names as in the records, times in RFC 3339,
 * serials and hashes in lower-case hex. Never a secret or its hash. The caller owns the
 * result; NULL when there is no memory.
 */
#ifndef TOUCHMARK_SERVER_CORE_ADMIN_JSON_H
#define TOUCHMARK_SERVER_CORE_ADMIN_JSON_H

#include <jansson.h>

#include "ca/store.h"

/* Of up to CA_HASH_SIZE octets; "" for more. */
json_t *admin_json_hex(struct bytes octets);
json_t *admin_json_time(int64_t ms); /* null at 0, which is no time of a record */

json_t *admin_json_device(const struct ca_device *device);
json_t *admin_json_certificate(const struct ca_certificate *certificate);
json_t *admin_json_intent(const struct ca_intent *intent);
json_t *admin_json_leaf(uint64_t sequence, const struct ca_leaf *leaf);
json_t *admin_json_pending(const struct ca_pending *row);
json_t *admin_json_head(const struct ca_audit_head *head);

/* RFC 5280, 5.3.1 reason names ("keyCompromise"). TM_ENOTFOUND. */
MUST_USE enum tm_err admin_reason_find(const char *name, uint8_t *ret);

/* enum ipc_operation as a word; 0: "". Never NULL. */
const char *admin_operation_name(uint8_t operation);

#endif
