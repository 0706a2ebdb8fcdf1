/* SPDX-License-Identifier: Apache-2.0 */
/* Names of results, for logs. */
#include "base/err.h"

const char *tm_err_name(enum tm_err err) {
    switch (err) {
    case TM_OK:
        return "ok";
    case TM_ENOMEM:
        return "no-memory";
    case TM_EINVAL:
        return "invalid-call";
    case TM_EPARSE:
        return "malformed";
    case TM_ELIMIT:
        return "over-limit";
    case TM_ENOTFOUND:
        return "not-found";
    case TM_EEXISTS:
        return "exists";
    case TM_ECONFLICT:
        return "conflict";
    case TM_EDENIED:
        return "denied";
    case TM_EIO:
        return "io";
    case TM_EFULL:
        return "full";
    case TM_EAGAIN:
        return "again";
    case TM_ECLOSED:
        return "closed";
    case TM_ETIMEOUT:
        return "timeout";
    case TM_ECRYPTO:
        return "crypto";
    case TM_ETOKEN:
        return "token";
    case TM_ECORRUPT:
        return "corrupt";
    }
    return "unknown";
}
