/* SPDX-License-Identifier: Apache-2.0 */
/* What CMS messages begin with (RFC 5652, 3). Only for est/wire/ itself. Borrows; no allocation,
 * thread-safe. */
#ifndef TOUCHMARK_EST_WIRE_CONTENT_INFO_H
#define TOUCHMARK_EST_WIRE_CONTENT_INFO_H

#include "base/bytes.h"

/* ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT } of the type id-signedData: what
 * stands inside SignedData. TM_EPARSE. */
MUST_USE enum tm_err est_signed_data_open(struct bytes content_info, struct bytes *ret_fields);

#endif
