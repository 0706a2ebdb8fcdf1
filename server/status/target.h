/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is for, by its path and method. No allocation, thread-safe. */
#ifndef TOUCHMARK_SERVER_STATUS_TARGET_H
#define TOUCHMARK_SERVER_STATUS_TARGET_H

#include "base/bytes.h"

#define STATUS_OCSP_REQUEST_MAX 4096 /* octets of DER */

enum status_target_kind {
    STATUS_NOTHING, /* no such thing: 404 */
    STATUS_FILE,    /* `rest` is its name */
    STATUS_OCSP,    /* `rest` is what stands behind "/ocsp/", "" when there is nothing */
};

struct status_target {
    enum status_target_kind kind;
    const char *rest; /* borrowed from the path */
};

/* `base` is the path of status.url, "" or "/a/b"; `path` is as it was sent, without a query. */
struct status_target status_target_of(const char *base, const char *path);

/* May it be asked for like this? If not, *ret_allow is what may, as Allow has it. */
bool status_target_allows(const struct status_target *target, const char *method,
                          const char **ret_allow);

/* The OCSPRequest in a path (RFC 6960, A.1): the percent-encoding of base64. TM_EPARSE, TM_ELIMIT.
 */
MUST_USE enum tm_err status_target_request(const char *rest, struct buf *out);

#endif
