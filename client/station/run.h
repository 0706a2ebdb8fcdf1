/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of a job stands on, and the run. One thread. */
#ifndef TOUCHMARK_STATION_RUN_H
#define TOUCHMARK_STATION_RUN_H

#include "client/station/dut.h"
#include "client/station/history.h"
#include "client/station/server.h"
#include "client/station/takt.h"

/* CA certificates of a label: the self-signed are trust anchors, because the server that said them
 * was authenticated (RFC 7030, 4.1.3). */
struct run_anchors {
    size_t n;
    uint8_t der[TM_ANCHORS_MAX];
};

struct run {
    const struct station_conf *conf;
    const struct manifest *job;
    int stop_fd; /* what can be read from it is a signal to end */
    struct station_server *server;
    struct history *history;
    struct journal *journal;
    struct takt takt;
    struct run_anchors anchors[MANIFEST_LABELS_MAX]; /* as the job's labels */
    struct dut dut;
    size_t passed, failed, left; /* units of this run */
    enum outcome worst;          /* of its units */
};

/* Appends to journal and history. OUTCOME_JOURNAL. */
enum outcome run_record(struct run *run, const struct journal_record *record, struct why *ret_why);
/* Opens journal and history of the job, and makes them when `make`. OUTCOME_JOURNAL. */
enum outcome run_open_journal(struct run *run, bool make, struct why *ret_why);
void run_close(struct run *run);

/* Was it told to end? */
bool run_is_stopped(const struct run *run);

/* Works on the units whose IDs come as lines from ids_fd, until there are no more; before, when
 * `resume`, on those that were begun. Says on standard output what comes of each. */
enum outcome run_units(struct run *run, int ids_fd, bool resume, struct why *ret_why);

/* Sends what is known of a unit that failed, or is scrapped, and records that it was sent. A server
 * that does not want it is no failure. */
enum outcome run_report_bad(struct run *run, const struct history_unit *unit, struct why *ret_why);

#endif
