/* SPDX-License-Identifier: Apache-2.0 */
/* See acts.h. */
#include "server/core/acts.h"

#include "server/core/assignments.h"
#include "server/core/ceilings.h"

enum tm_err core_acts_open(const struct core_acts_config *config, struct core_acts *ret) {
    const struct ca_acts_config acts = {.store = config->store,
                                        .loop = config->loop,
                                        .environment = config->environment,
                                        .officers = config->setup->officers,
                                        .officer_count = config->setup->officer_count,
                                        .now_ms = config->now_ms};
    const struct core_revoke_config revoke = {.loop = config->loop,
                                              .store = config->store,
                                              .worker = config->worker,
                                              .registry = config->registry,
                                              .service = config->service,
                                              .jobs = config->jobs,
                                              .withdrawals = config->withdrawals};
    const struct core_cloud_config cloud = {.loop = config->loop,
                                            .store = config->store,
                                            .service = config->service,
                                            .setup = config->setup};
    enum tm_err err = ca_acts_new(&acts, &ret->acts);
    if (!err)
        err = core_revoke_new(&revoke, ret->acts, &ret->revoke);
    if (!err)
        err = core_cloud_new(&cloud, ret->acts, &ret->cloud);
    if (!err)
        err = core_profile_act_add(config->store, ret->acts, &ret->profile_apply);
    if (!err)
        err = core_agreed_act_add(config->store, ret->acts, &core_assignment_kind,
                                  &ret->issuer_change);
    if (!err)
        err = core_agreed_act_add(config->store, ret->acts, &core_ceiling_kind, &ret->ceiling);
    return err ? err : core_job_acts_add(config->jobs, ret->acts, &ret->jobs);
}

void core_acts_stop(struct core_acts *acts) {
    ca_acts_stop(acts->acts);
    core_revoke_stop(acts->revoke);
}

void core_acts_free(struct core_acts *acts) {
    core_cloud_free(acts->cloud);
    core_revoke_free(acts->revoke);
    ca_acts_free(acts->acts);
}
