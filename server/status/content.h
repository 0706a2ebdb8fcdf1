/* SPDX-License-Identifier: Apache-2.0 */
/* What a published file says of itself. Thread-safe. */
#ifndef TOUCHMARK_SERVER_STATUS_CONTENT_H
#define TOUCHMARK_SERVER_STATUS_CONTENT_H

#include "ipc/messages.h"
#include "server/status/item.h"

/* Is it whole, and something that may have this name? Fills in media type, number and times. No
 * signature is checked. TM_EPARSE, TM_ELIMIT, TM_ECRYPTO. */
MUST_USE enum tm_err status_content_read(enum ipc_publish_kind kind, const char *name,
                                         struct status_item *item);

#endif
