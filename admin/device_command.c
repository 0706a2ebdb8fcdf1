/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark device suspend`, `resume`, `return` and so on: transitions by their names. */
#include <string.h>

#include "admin/command.h"

int admin_device_move(struct admin_call *call) {
    const char *name = strchr(call->command->words, ' ') + 1;
    TEXT_SET(call->request.state, name);
    return admin_request(call);
}
