/* SPDX-License-Identifier: Apache-2.0 */
/* All that one device does, for whoever looks into a finding. */
#include <stdio.h>
#include <string.h>

#include "client/fleet/fleet.h"
#include "pki/time.h"

static bool begin(const struct fleet *f, const struct fleet_unit *u) {
    if (!f->options.trace || strcmp(f->options.trace, u->id) != 0)
        return false;
    struct pki_time t = pki_time_from_ms(u->lived_ms);
    (void)fprintf(stderr, "%04d-%02u-%02uT%02u:%02u:%02uZ ", t.year, t.month, t.day, t.hour,
                  t.minute, t.second);
    return true;
}

void fleet_trace_exchange(const struct fleet *fleet, const struct fleet_unit *unit,
                          const struct tm_exchange *exchange, const struct tm_answer *answer) {
    static const char *const operations[] = {"cacerts", "enroll", "reenroll", "probe"};
    static const char *const slots[] = {"none", "IDevID", "current", "next", "previous"};
    static const char *const results[] = {"ok",     "network", "untrusted",
                                          "denied", "later",   "refused"};
    if (begin(fleet, unit))
        (void)fprintf(stderr, "%s with %s: %s %s\n", operations[exchange->operation],
                      slots[exchange->slot], results[answer->result], answer->text);
}

void fleet_trace_event(const struct fleet *fleet, const struct fleet_unit *unit,
                       const struct tm_event *event) {
    static const char *const kinds[] = {
        "",          "enrolled", "renewed",          "recovered", "rolled back",
        "discarded", "anchors",  "bootstrap erased", "failed",    "stranded"};
    if (begin(fleet, unit))
        (void)fprintf(stderr, "  says: %s %s\n", kinds[event->kind], event->text);
}

void fleet_trace_note(const struct fleet *fleet, const struct fleet_unit *unit, const char *note) {
    if (begin(fleet, unit))
        (void)fprintf(stderr, "* %s\n", note);
}
