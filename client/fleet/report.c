/* SPDX-License-Identifier: Apache-2.0 */
/* What a run showed, for people and for the documentation. */
#include <inttypes.h>
#include <stdio.h>

#include "client/fleet/fleet.h"

#define BAR 50

static double per(uint64_t ns, uint64_t n) {
    return n ? (double)ns / 1000.0 / (double)n : 0;
}

static void report_plant(const struct fleet_counts *c) {
    (void)printf("  issued            %" PRIu64 " first, %" PRIu64 " renewed, %" PRIu64
                 " recovered by IDevID; of these %" PRIu64 " wrong on purpose\n",
                 c->first, c->renewed, c->recovered, c->wrong);
    (void)printf("  asked again       %" PRIu64 " got the same certificate, %" PRIu64
                 " a new one for the same key after the server's 24 h, %" PRIu64
                 " a new one for a refused one\n",
                 c->repeated, c->reissued, c->replaced);
    (void)printf("  exchanges         %" PRIu64 " cacerts, %" PRIu64 " requests, %" PRIu64
                 " probes, %" PRIu64 " credentials denied\n",
                 c->exchanges[TM_OP_CACERTS],
                 c->exchanges[TM_OP_ENROLL] + c->exchanges[TM_OP_REENROLL],
                 c->exchanges[TM_OP_PROBE], c->denied);
}

static void report_devices(const struct fleet_totals *t) {
    const uint64_t *e = t->events;
    (void)printf("  devices told      %" PRIu64 " enrolled, %" PRIu64 " renewed, %" PRIu64
                 " recovered, %" PRIu64 " rolled back, %" PRIu64 " discarded, %" PRIu64
                 " anchors changed, %" PRIu64 " stranded\n",
                 e[TM_EVENT_ENROLLED], e[TM_EVENT_RENEWED], e[TM_EVENT_RECOVERED],
                 e[TM_EVENT_ROLLED_BACK], e[TM_EVENT_DISCARDED], e[TM_EVENT_ANCHORS],
                 e[TM_EVENT_STRANDED]);
    (void)printf("  starts            %" PRIu64 ", power cuts within a write %" PRIu64
                 ", errors of a table %" PRIu64 "\n",
                 t->starts, t->cuts, t->errors);
    (void)printf("  at the end        %zu well; given up by policy: %zu revoked devices, "
                 "%zu revoked certificates without IDevID, %zu lapsed without IDevID, "
                 "%zu off for the whole rollover\n",
                 t->well, t->retired, t->revoked, t->lapsed, t->asleep);
}

void fleet_report(const struct fleet *fleet) {
    const struct fleet_totals *t = &fleet->totals;
    const struct fleet_counts *c = &fleet->plant.counts;
    uint64_t issued = c->first + c->renewed + c->recovered;
    (void)printf("%s: %s\n", fleet->scenario->name, fleet->scenario->about);
    (void)printf("  run               %zu devices, %u virtual years, certificates of %u days, "
                 "seed %" PRIu64 "\n",
                 fleet->options.devices, fleet->options.years, fleet->options.lifetime_days,
                 fleet->options.seed);
    report_plant(c);
    report_devices(t);
    (void)printf("  cost              %.1f s, %.0f us of CPU per certificate, %.0f of them the "
                 "plant's\n",
                 (double)t->wall_ns / 1e9, per(t->cpu_ns, issued), per(t->plant_cpu_ns, issued));
    (void)printf("  lost %zu, duplicates %" PRIu64 ", findings %" PRIu64 "\n", t->lost,
                 c->duplicates, fleet->watch.findings);
}

static void bar(const char *label, uint64_t n, uint64_t most) {
    (void)printf("  %-14s %7" PRIu64 " ", label, n);
    for (uint64_t i = 0; most && i < n * BAR / most; i++)
        (void)putchar('#');
    (void)putchar('\n');
}

/* A bin is 1/120 of the lifetime; the window is ten of them. */
void fleet_histogram(const struct fleet *fleet) {
    const uint64_t *bins = fleet->plant.counts.renewals_at;
    uint64_t most = 0;
    for (size_t i = 0; i < FLEET_BINS; i++)
        most = bins[i] > most ? bins[i] : most;
    (void)printf("  renewals by the age of the certificate, parts of its lifetime; "
                 "window 0.667 to 0.750\n");
    bar("before 0.667", bins[0], most);
    for (size_t i = 1; i + 1 < FLEET_BINS; i++) {
        char label[16];
        (void)snprintf(label, sizeof label, "%.3f", 2.0 / 3 + (double)(i - 1) / 120);
        bar(label, bins[i], most);
    }
    bar("after 0.917", bins[FLEET_BINS - 1], most);
}
