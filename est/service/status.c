/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes as HTTP status: the one place where they meet. */
#include "est/service/service.h"

unsigned est_status(enum ipc_outcome outcome) {
    switch (outcome) {
    case IPC_ISSUED:
    case IPC_REPEATED:
    case IPC_CONFIRMED:
        return 200;
    case IPC_PENDING:
        return 202;
    case IPC_BAD_CSR:
    case IPC_BAD_POP:
    case IPC_BAD_KEY:
    case IPC_BAD_SUBJECT:
    case IPC_BAD_SAN:
    case IPC_BAD_EXTENSION:
    case IPC_NOT_LINKED:
    case IPC_BAD_LINK:
    case IPC_BAD_BODY:
    case IPC_BAD_CMC:
    case IPC_BAD_CHALLENGE:
        return 400;
    case IPC_NO_CREDENTIAL:
    case IPC_BAD_SECRET:
    case IPC_SECRET_USED:
    case IPC_BAD_SIGNATURE:
        return 401;
    case IPC_UNTRUSTED:
    case IPC_EXPIRED:
    case IPC_REVOKED:
    case IPC_WRONG_TENANT:
    case IPC_UNKNOWN_DEVICE:
    case IPC_WRONG_STATE:
    case IPC_WRONG_CREDENTIAL:
    case IPC_DENIED:
    case IPC_UPSTREAM_NO:
        return 403;
    case IPC_UNKNOWN_LABEL:
    case IPC_BAD_PATH:
        return 404;
    case IPC_BAD_METHOD:
        return 405;
    case IPC_DUPLICATE_KEY:
    case IPC_ALREADY_ISSUED:
    case IPC_CONFLICT:
        return 409;
    case IPC_TOO_LARGE:
        return 413;
    case IPC_BAD_CONTENT_TYPE:
        return 415;
    case IPC_FAILED:
        return 500;
    case IPC_NOT_IMPLEMENTED:
        return 501;
    case IPC_BUSY:
    case IPC_UNAVAILABLE:
        return 503;
    }
    return 500;
}
