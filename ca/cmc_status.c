/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes as CMC status (RFC 5272, 6.1.3 and 6.1.4): the one place where they meet. */
#include "ca/cmc.h"

enum est_cmc_status ca_cmc_status(enum ipc_outcome outcome) {
    switch (outcome) {
    case IPC_ISSUED:
        return EST_CMC_CONFIRM_REQUIRED;
    case IPC_REPEATED:
    case IPC_CONFIRMED:
        return EST_CMC_SUCCESS;
    case IPC_PENDING:
        return EST_CMC_PENDING;
    default:
        return EST_CMC_FAILED;
    }
}

enum est_cmc_fail ca_cmc_fail(enum ipc_outcome outcome) {
    switch (outcome) {
    case IPC_NO_CREDENTIAL:
    case IPC_BAD_SECRET:
    case IPC_SECRET_USED:
    case IPC_EXPIRED:
    case IPC_REVOKED:
    case IPC_WRONG_TENANT:
    case IPC_UNKNOWN_DEVICE:
    case IPC_WRONG_STATE:
    case IPC_WRONG_CREDENTIAL:
        return EST_CMC_BAD_IDENTITY;
    case IPC_UNTRUSTED:
        return EST_CMC_BAD_CERT_ID;
    case IPC_BAD_SIGNATURE:
        return EST_CMC_BAD_MESSAGE_CHECK;
    case IPC_BAD_CHALLENGE:
        return EST_CMC_BAD_TIME;
    case IPC_BAD_KEY:
        return EST_CMC_BAD_ALG;
    case IPC_BAD_POP:
        return EST_CMC_POP_FAILED;
    case IPC_DUPLICATE_KEY:
        return EST_CMC_NO_KEY_REUSE;
    case IPC_BAD_EXTENSION:
        return EST_CMC_UNSUPPORTED_EXT;
    case IPC_BUSY:
    case IPC_UNAVAILABLE:
        return EST_CMC_TRY_LATER;
    case IPC_FAILED:
        return EST_CMC_INTERNAL_CA_ERROR;
    case IPC_UNKNOWN_LABEL:
    case IPC_BAD_CSR:
    case IPC_BAD_SUBJECT:
    case IPC_BAD_SAN:
    case IPC_NOT_LINKED:
    case IPC_BAD_LINK:
    case IPC_ALREADY_ISSUED:
    case IPC_CONFLICT:
    case IPC_BAD_PATH:
    case IPC_BAD_METHOD:
    case IPC_BAD_CONTENT_TYPE:
    case IPC_BAD_BODY:
    case IPC_TOO_LARGE:
    case IPC_NOT_IMPLEMENTED:
    case IPC_BAD_CMC:
    case IPC_DENIED:
    case IPC_UPSTREAM_NO:
    case IPC_ISSUED:
    case IPC_REPEATED:
    case IPC_PENDING:
    case IPC_CONFIRMED:
        break;
    }
    return EST_CMC_BAD_REQUEST;
}
