/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's numbers for the metrics face, and what keeps it from issuing now. All of it is read
 * from counters and from a few pages that are in memory: nothing walks the store, so that whoever
 * looks often slows nothing. On the loop's thread.
 */
#ifndef TOUCHMARK_SERVER_CORE_METRICS_H
#define TOUCHMARK_SERVER_CORE_METRICS_H

#include "ca/jobs.h"
#include "server/core/checkpoint.h"
#include "server/core/core.h"
#include "server/core/index.h"
#include "server/core/restored.h"
#include "server/metrics/answer.h"

struct core_metrics {
    struct ca_store *store;
    const struct ca_service *service;
    const struct core_setup *setup;
    const struct core_restored *restored;
    const struct core_signer *signer;
    const struct core_upstream *upstream; /* NULL: no issuer's key is elsewhere */
    const struct core_faces *faces;
    const struct core_events *events;         /* NULL: there are none */
    const struct core_publish *publish;       /* NULL: there is no status service */
    const struct core_checkpoint *checkpoint; /* NULL: no checkpoints are signed */
    const struct core_index *index;
    const struct ca_jobs *jobs;
    const struct core_admin *admin; /* NULL: nobody administers it */
    const struct conf_core *conf;
    bool recovered;
    bool draining;
};

void core_metrics_add(const struct core_metrics *metrics, struct metrics_answer *answer);

#endif
