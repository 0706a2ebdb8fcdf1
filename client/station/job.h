/* SPDX-License-Identifier: Apache-2.0 */
/* What commands about one job begin with. One thread. */
#ifndef TOUCHMARK_STATION_JOB_H
#define TOUCHMARK_STATION_JOB_H

#include "client/station/commands.h"
#include "client/station/run.h"

#define JOB_PATH_MAX 4096

/* Where the job's manifest is. False: not a job's name. */
bool job_path(const struct station_conf *conf, const char *job, char ret[JOB_PATH_MAX]);

/* Opens manifest, server and journal, and does `work`; then closes all, and says what came of it.
 * `make`: the journal is made when it is not there. The run lives only that long. */
enum station_exit job_with_run(const struct station_call *call, bool make,
                               enum outcome (*work)(const struct station_call *, struct run *,
                                                    struct why *));

#endif
