/* SPDX-License-Identifier: Apache-2.0 */
/* The two answers that an officer has for a request. */
#include "admin/command.h"

int admin_pending_approve(struct admin_call *call) {
    TEXT_SET(call->request.state, "approve");
    return admin_request(call);
}

int admin_pending_deny(struct admin_call *call) {
    TEXT_SET(call->request.state, "deny");
    return admin_request(call);
}
