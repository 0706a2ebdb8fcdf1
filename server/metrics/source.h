/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of the metrics face that every other process has: its links to such faces, over which it
 * is asked for its numbers. What any process can say of itself is answered here; what else a role
 * has counted, role->measure adds. Asked too often it answers the last question later, so that a
 * face which was taken over cannot keep a core from its work. One thread.
 */
#ifndef TOUCHMARK_SERVER_METRICS_SOURCE_H
#define TOUCHMARK_SERVER_METRICS_SOURCE_H

#include "server/metrics/answer.h"
#include "server/role.h"

#define METRICS_PAUSE_MS 50 /* from one answer to the next at least, per link */

struct metrics_source;

/* Opens what the sandbox would not let it open later: call it before that. `role` must outlive it.
 * TM_ENOMEM. */
MUST_USE enum tm_err metrics_source_new(struct role *role, struct metrics_source **ret_source);
void metrics_source_free(struct metrics_source *source); /* NULL-safe */

/* Takes fd over: the link to a metrics face. */
void metrics_source_link(struct metrics_source *source, int fd);

/* What any process can say of itself. */
void metrics_source_self(const struct metrics_source *source, struct metrics_answer *answer);

#endif
