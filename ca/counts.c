/* SPDX-License-Identifier: Apache-2.0 */
/* What the issuing service has counted: see ca/service.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "ca/request.h"

const unsigned ca_time_bounds_ms[CA_TIME_BOUNDS] = {1,   2,   5,    10,   20,   50,    100,
                                                    200, 500, 1000, 2000, 5000, 10000, 30000};

/* Labels of one profile count at the first of them; what has none of these comes after them. */
static size_t place_of(const struct ca_service *s, const struct ca_profile *profile) {
    size_t i = 0;
    while (i < s->config->label_count && s->config->labels[i].profile != profile)
        i++;
    return i;
}

enum tm_err ca_counts_open(struct ca_service *s) {
    s->profiles = calloc(s->config->label_count + 1, sizeof *s->profiles);
    if (!s->profiles)
        return TM_ENOMEM;
    for (size_t i = 0; i < s->config->label_count; i++)
        s->profiles[i].profile = s->config->labels[i].profile->name;
    s->profiles[s->config->label_count].profile = "";
    return TM_OK;
}

void ca_count(struct ca_service *s, const struct ca_label *label, uint8_t operation,
              enum ipc_outcome outcome) {
    size_t place = label ? place_of(s, label->profile) : s->config->label_count;
    s->counts.outcomes[outcome]++;
    s->profiles[place].outcomes[operation][outcome]++;
}

void ca_count_end(const struct ca_request *r, enum ipc_outcome outcome) {
    struct ca_service *s = r->service;
    ca_count(s, r->label, r->message.operation, outcome);
    if (outcome != IPC_ISSUED)
        return;
    int64_t took = clock_mono_ms() - (r->deadline_ms - s->config->request_timeout_ms);
    size_t i = 0;
    while (i < CA_TIME_BOUNDS && took > (int64_t)ca_time_bounds_ms[i])
        i++;
    s->counts.times[i]++;
    s->counts.times_sum_ms += (uint64_t)took;
    s->counts.renewed += r->who.renews;
}

const struct ca_service_counts *ca_service_counts(const struct ca_service *service) {
    return &service->counts;
}

void ca_service_each_profile(const struct ca_service *service,
                             void (*fn)(void *arg, const struct ca_profile_counts *counts),
                             void *arg) {
    const struct ca_service_config *config = service->config;
    for (size_t i = 0; i <= config->label_count; i++)
        if (i == config->label_count || place_of(service, config->labels[i].profile) == i)
            fn(arg, &service->profiles[i]);
}
