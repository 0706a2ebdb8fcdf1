/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/withdrawal.h. */
#include "ca/withdrawal.h"

void ca_withdrawal_begin(struct ca_withdrawals *all, struct ca_withdrawal *withdrawal) {
    withdrawal->next = all->first;
    all->first = withdrawal;
}

void ca_withdrawal_end(struct ca_withdrawals *all, const struct ca_withdrawal *withdrawal) {
    struct ca_withdrawal **at = &all->first;
    while (*at && *at != withdrawal)
        at = &(*at)->next;
    if (*at)
        *at = withdrawal->next;
}

static bool is_selected(const struct ca_selection *selection,
                        const struct ca_certificate *certificate, const struct ca_device *device) {
    struct ca_summary summary = {.status = certificate->status,
                                 .issued_ms = certificate->issued_ms};
    TEXT_SET(summary.tenant, certificate->tenant);
    TEXT_SET(summary.device, certificate->device);
    TEXT_SET(summary.profile, certificate->profile);
    TEXT_SET(summary.issuer, certificate->issuer);
    return ca_selection_takes(selection, &summary) && ca_selection_takes_device(selection, device);
}

bool ca_withdrawn(const struct ca_withdrawals *all, const struct ca_certificate *certificate,
                  const struct ca_device *device) {
    if (certificate->issued_ms < device->certs_from_ms)
        return true;
    for (const struct ca_withdrawal *w = all ? all->first : NULL; w; w = w->next)
        if (is_selected(&w->selection, certificate, device))
            return true;
    return false;
}
