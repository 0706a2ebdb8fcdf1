/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of touchmark-station: one table, from which the command line is read. */
#ifndef TOUCHMARK_STATION_COMMANDS_H
#define TOUCHMARK_STATION_COMMANDS_H

#include "client/station/options.h"
#include "client/station/outcome.h"

/* One command line, taken apart. Texts are NULL when they were not given. */
struct station_call {
    const struct station_conf *conf;
    const char *name; /* login: who */
    const char *job;
    const char *id;  /* of a unit */
    const char *ids; /* file with IDs, one per line; NULL: standard input */
    const char *reason;
    int secret_fd; /* -1: the terminal is asked */
    bool offline;
    int stop_fd; /* what can be read from it is a signal to end */
};

struct station_command {
    const char *group, *name; /* group NULL: none */
    /* Which arguments follow, NULL-terminated: "NAME", "JOB", "ID"; with a "?" in front it may be
     * left out. */
    const char *arguments[3];
    /* Letters of those that it takes besides --conf, see main.c; with a "!" in front: must have. */
    const char *options;
    enum station_exit (*run)(const struct station_call *call);
    const char *help;
};

extern const struct station_command station_commands[]; /* ends with a name of NULL */

/* Says why on standard error, and returns the exit code. */
enum station_exit station_say(enum outcome outcome, const struct why *why);
/* Opens the server, does one thing with it, and says what came of it. A server that says no to a
 * command is STATION_DENIED. */
struct station_server;
enum station_exit station_with_server(const struct station_call *call,
                                      enum outcome (*work)(const struct station_call *call,
                                                           struct station_server *server,
                                                           struct why *why));

enum station_exit station_enroll(const struct station_call *call);
enum station_exit station_status(const struct station_call *call);
enum station_exit station_login(const struct station_call *call);
enum station_exit station_logout(const struct station_call *call);
enum station_exit station_job_fetch(const struct station_call *call);
enum station_exit station_job_verify(const struct station_call *call);
enum station_exit station_job_run(const struct station_call *call);
enum station_exit station_job_resume(const struct station_call *call);
enum station_exit station_job_report(const struct station_call *call);
enum station_exit station_job_stop(const struct station_call *call);
enum station_exit station_job_close(const struct station_call *call);
enum station_exit station_device_probe(const struct station_call *call);
enum station_exit station_device_rework(const struct station_call *call);
enum station_exit station_device_scrap(const struct station_call *call);

#endif
