/* SPDX-License-Identifier: Apache-2.0 */
/* Names of outcomes, for logs, audit and metrics. */
#include "ipc/outcome.h"

const char *ipc_outcome_name(enum ipc_outcome outcome) {
    switch (outcome) {
    case IPC_ISSUED:
        return "issued";
    case IPC_REPEATED:
        return "repeated";
    case IPC_PENDING:
        return "pending";
    case IPC_BUSY:
        return "busy";
    case IPC_UNAVAILABLE:
        return "unavailable";
    case IPC_NO_CREDENTIAL:
        return "no-credential";
    case IPC_BAD_SECRET:
        return "bad-secret";
    case IPC_SECRET_USED:
        return "secret-used";
    case IPC_UNTRUSTED:
        return "untrusted";
    case IPC_EXPIRED:
        return "expired";
    case IPC_REVOKED:
        return "revoked";
    case IPC_WRONG_TENANT:
        return "wrong-tenant";
    case IPC_UNKNOWN_DEVICE:
        return "unknown-device";
    case IPC_WRONG_STATE:
        return "wrong-state";
    case IPC_WRONG_CREDENTIAL:
        return "wrong-credential";
    case IPC_UNKNOWN_LABEL:
        return "unknown-label";
    case IPC_BAD_CSR:
        return "bad-csr";
    case IPC_BAD_POP:
        return "bad-pop";
    case IPC_BAD_KEY:
        return "bad-key";
    case IPC_DUPLICATE_KEY:
        return "duplicate-key";
    case IPC_BAD_SUBJECT:
        return "bad-subject";
    case IPC_BAD_SAN:
        return "bad-san";
    case IPC_BAD_EXTENSION:
        return "bad-extension";
    case IPC_NOT_LINKED:
        return "not-linked";
    case IPC_BAD_LINK:
        return "bad-link";
    case IPC_ALREADY_ISSUED:
        return "already-issued";
    case IPC_CONFLICT:
        return "conflict";
    case IPC_BAD_PATH:
        return "bad-path";
    case IPC_BAD_METHOD:
        return "bad-method";
    case IPC_BAD_CONTENT_TYPE:
        return "bad-content-type";
    case IPC_BAD_BODY:
        return "bad-body";
    case IPC_TOO_LARGE:
        return "too-large";
    case IPC_NOT_IMPLEMENTED:
        return "not-implemented";
    case IPC_FAILED:
        return "failed";
    }
    return "unknown";
}
