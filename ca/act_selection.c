/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/act_selection.h. */
#include "ca/act_selection.h"

#include <string.h>

#include "conf/value.h"

static bool is_name(const char *value) {
    size_t n = strlen(value);
    return n > 0 && n <= IPC_NAME_MAX;
}

static bool read_time(const char *value, int64_t *ret_ms) {
    static const struct conf_row row = {.type = CONF_TIME};
    return !conf_value_parse(&row, value, "/", ret_ms);
}

static bool is_time(const char *value) {
    int64_t ms;
    return read_time(value, &ms);
}

#define NAME "a name of 1 to 64 octets"
#define TIME "a time of RFC 3339 in UTC"

const struct ca_act_rule ca_selection_rules[CA_SELECTION_RULES] = {
    {"tenant", true, is_name, NAME},   {"device", false, is_name, NAME},
    {"batch", false, is_name, NAME},   {"job", false, is_name, NAME},
    {"station", false, is_name, NAME}, {"site", false, is_name, NAME},
    {"profile", false, is_name, NAME}, {"issuer", false, is_name, NAME},
    {"since", false, is_time, TIME},   {"until", false, is_time, TIME},
};

static void take_name(const struct ca_act_params *params, const char *name,
                      char ret[IPC_NAME_MAX + 1]) {
    const char *value = ca_act_param(params, name);
    text_copy(ret, IPC_NAME_MAX + 1, value ? value : "");
}

static void take_time(const struct ca_act_params *params, const char *name, int64_t *ret_ms) {
    const char *value = ca_act_param(params, name);
    if (!value || !read_time(value, ret_ms))
        *ret_ms = 0;
}

void ca_selection_of(const struct ca_act_params *params, struct ca_selection *ret) {
    take_name(params, "tenant", ret->tenant);
    take_name(params, "device", ret->device);
    take_name(params, "batch", ret->batch);
    take_name(params, "job", ret->job);
    take_name(params, "station", ret->station);
    take_name(params, "site", ret->site);
    take_name(params, "profile", ret->profile);
    take_name(params, "issuer", ret->issuer);
    take_time(params, "since", &ret->since_ms);
    take_time(params, "until", &ret->until_ms);
}

enum tm_err ca_selection_judge(const struct ca_selection *s, char text[IPC_TEXT_MAX + 1]) {
    if (!s->device[0] && !s->profile[0] && !s->issuer[0] && !s->since_ms && !s->until_ms &&
        !ca_selection_asks_device(s)) {
        text_copy(text, IPC_TEXT_MAX + 1,
                  "nothing is selected; give a device, batch, job, station, site, profile, issuer "
                  "or time");
        return TM_EINVAL;
    }
    if (s->until_ms && s->until_ms <= s->since_ms) {
        text_copy(text, IPC_TEXT_MAX + 1, "there is no time between since and until");
        return TM_EINVAL;
    }
    return TM_OK;
}

static bool matches(const char *wanted, const char *found) {
    return !wanted[0] || strcmp(wanted, found) == 0;
}

bool ca_selection_asks_device(const struct ca_selection *s) {
    return s->batch[0] || s->job[0] || s->station[0] || s->site[0];
}

bool ca_selection_takes_device(const struct ca_selection *s, const struct ca_device *device) {
    return matches(s->batch, device->batch) && matches(s->job, device->job) &&
           matches(s->station, device->station) && matches(s->site, device->site);
}

bool ca_selection_takes(const struct ca_selection *s, const struct ca_summary *summary) {
    return summary->status != CA_CERT_BURNED && strcmp(s->tenant, summary->tenant) == 0 &&
           matches(s->device, summary->device) && matches(s->profile, summary->profile) &&
           matches(s->issuer, summary->issuer) && summary->issued_ms >= s->since_ms &&
           (!s->until_ms || summary->issued_ms < s->until_ms);
}
