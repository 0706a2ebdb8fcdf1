/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which certificates an act concerns: those of one tenant that match all that is given. Pure.
 */
#ifndef TOUCHMARK_CA_ACT_SELECTION_H
#define TOUCHMARK_CA_ACT_SELECTION_H

#include "ca/act.h"

/* "" and 0: whatever it is. */
struct ca_selection {
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char batch[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char station[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    char issuer[IPC_NAME_MAX + 1];
    int64_t since_ms; /* issued then or later */
    int64_t until_ms; /* issued before */
};

/* Rules of the parameters tenant, device, batch, job, station, site, profile, issuer, since and
 * until: to stand at the beginning of a kind's own. */
#define CA_SELECTION_RULES 10
extern const struct ca_act_rule ca_selection_rules[CA_SELECTION_RULES];

/* From parameters that are as the rules want. */
void ca_selection_of(const struct ca_act_params *params, struct ca_selection *ret);
/* TM_EINVAL: it gives nothing but the tenant, or times of which none is between; `text` says it. */
MUST_USE enum tm_err ca_selection_judge(const struct ca_selection *selection,
                                        char text[IPC_TEXT_MAX + 1]);

/* Does it look at what only a device's record says? */
bool ca_selection_asks_device(const struct ca_selection *selection);
bool ca_selection_takes_device(const struct ca_selection *selection,
                               const struct ca_device *device);
/* All that can be told without the device's record. Burned serials are taken by none. */
bool ca_selection_takes(const struct ca_selection *selection, const struct ca_summary *summary);

#endif
