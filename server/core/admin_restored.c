/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting a restored store, over the administration socket: see admin_internal.h. */
#include <string.h>

#include "server/core/acts.h"
#include "server/core/admin_internal.h"
#include "server/core/profiles.h"
#include "server/core/restored.h"

static void accepted(void *arg, enum tm_err result) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_refuse_format(client, "the store cannot be accepted now: %s", tm_err_name(result));
    else
        admin_answer(client, json_pack("{s:s}", "store", "accepted"));
}

static void propose(struct client *client, const struct ipc_admin_request *q) {
    struct ca_act_params params = {0};
    if (q->reason[0] && ca_act_param_add(&params, "words", q->reason)) {
        admin_refuse(client, "the words are too long");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_act_propose(client->admin->config.acts->acts, CORE_RESTORE_ACT,
                                           &params, (int64_t)q->seconds * 1000, client->actor,
                                           admin_act_done, client));
}

void admin_store_accept(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    if (core_profiles_guarded(config->setup)) {
        propose(client, q);
    } else if (!config->restored->held) {
        admin_deny(client, "the store is not older than what was published");
    } else {
        admin_act_begins(client);
        core_restored_accept(config->restored, client->actor, accepted, client);
    }
}
