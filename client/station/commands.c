/* SPDX-License-Identifier: Apache-2.0 */
/* See commands.h. */
#include "client/station/commands.h"

#include <stdio.h>

#include "client/station/server.h"

const struct station_command station_commands[] = {
    {NULL,
     "enroll",
     {NULL},
     "",
     station_enroll,
     "get the station's own certificate, or renew it when it is time"},
    {NULL, "status", {NULL}, "o", station_status, "show that certificate, and the jobs"},
    {NULL, "login", {"NAME"}, "s", station_login, "say who works at this station"},
    {NULL, "logout", {NULL}, "", station_logout, "say that nobody does"},
    {"job",
     "fetch",
     {"?JOB"},
     "",
     station_job_fetch,
     "write the manifests of the open jobs, or of one"},
    {"job", "verify", {"JOB"}, "", station_job_verify, "check a manifest"},
    {"job", "run", {"JOB"}, "i", station_job_run, "work on units as their IDs are scanned"},
    {"job", "resume", {"JOB"}, "i", station_job_resume, "the same, after finishing what was begun"},
    {"job", "report", {"JOB"}, "", station_job_report, "compare the journal with the server"},
    {"job",
     "stop",
     {"JOB"},
     "!r",
     station_job_stop,
     "stop a job: nothing is issued for it until it is resumed at the server"},
    {"job", "close", {"JOB"}, "", station_job_close, "end a job, with its counts"},
    {"device", "probe", {"JOB"}, "", station_device_probe, "show which unit is on the station"},
    {"device",
     "rework",
     {"JOB", "ID"},
     "",
     station_device_rework,
     "erase a unit that failed, so that it may begin anew"},
    {"device",
     "scrap",
     {"JOB", "ID"},
     "r",
     station_device_scrap,
     "report that a unit will never be good"},
    {NULL, NULL, {NULL}, NULL, NULL, NULL},
};

enum station_exit station_say(enum outcome outcome, const struct why *why) {
    if (outcome != OUTCOME_DONE && why->text[0])
        (void)fprintf(stderr, "touchmark-station: %s\n", why->text);
    return station_exit_of(outcome);
}

enum station_exit station_with_server(const struct station_call *call,
                                      enum outcome (*work)(const struct station_call *call,
                                                           struct station_server *server,
                                                           struct why *why)) {
    struct station_server *server = NULL;
    struct why why = {""};
    enum outcome outcome = station_server_open(call->conf, call->stop_fd, &server, &why);
    if (outcome == OUTCOME_DONE)
        outcome = work(call, server, &why);
    station_server_close(server);
    return station_say(outcome == OUTCOME_REFUSED ? OUTCOME_DENIED : outcome, &why);
}
