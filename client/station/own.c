/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the station itself: its certificate, and who works at it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/terminal.h"
#include "client/agent/service.h"
#include "client/agent/status.h"
#include "client/station/api.h"
#include "client/station/commands.h"

/* ---- the certificate ---- */

/* The agent's exit codes are the station's. */
static enum station_exit with_agent(const struct station_call *call,
                                    enum agent_exit (*work)(const struct agent_conf *conf,
                                                            int stop_fd)) {
    char *status = NULL;
    if (asprintf(&status, "%s/status.json", call->conf->state) < 0)
        return STATION_AGAIN;
    const struct agent_conf conf = station_agent_conf(call->conf, status);
    enum agent_exit code = work(&conf, call->stop_fd);
    free(status);
    return (enum station_exit)code;
}

static enum agent_exit enroll(const struct agent_conf *conf, int stop_fd) {
    AUTO_MEM struct agent *agent = malloc(sizeof *agent);
    enum agent_exit code = AGENT_EXIT_AGAIN;
    if (!agent)
        return code;
    code = agent_open(agent, conf);
    if (code != AGENT_EXIT_DONE)
        return code;
    if (agent_service_run(agent, stop_fd, true, &code) != AGENT_END_EXIT)
        code = AGENT_EXIT_AGAIN;
    agent_close(agent);
    return code;
}

enum station_exit station_enroll(const struct station_call *call) {
    return with_agent(call, enroll);
}

static enum agent_exit print_status(const struct agent_conf *conf, int stop_fd) {
    (void)stop_fd;
    return agent_status_print(conf);
}

/* ---- the jobs ---- */

static void print_text(const char *text) {
    for (const char *p = text; *p; p++)
        (void)putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void print_job(const json_t *job) {
    const json_t *units = json_object_get(job, "units");
    print_text(text_of(job, "job"));
    (void)printf(" ");
    print_text(text_of(job, "status"));
    (void)printf(": ");
    print_text(text_of(job, "product"));
    (void)printf(", %" JSON_INTEGER_FORMAT " begun, %" JSON_INTEGER_FORMAT
                 " passed, %" JSON_INTEGER_FORMAT " failed, %" JSON_INTEGER_FORMAT " scrapped\n",
                 number_of(units, "begun"), number_of(units, "passed"), number_of(units, "failed"),
                 number_of(units, "scrapped"));
}

static enum outcome print_jobs(const struct station_call *call, struct station_server *server,
                               struct why *why) {
    AUTO(json_t) jobs = NULL;
    size_t i;
    json_t *job;
    (void)call;
    enum outcome outcome = api_jobs(server, &jobs, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    const char *name = text_of(jobs, "operator");
    (void)printf("logged in: ");
    print_text(name[0] ? name : "nobody");
    (void)puts("");
    json_array_foreach(json_object_get(jobs, "jobs"), i, job) print_job(job);
    return OUTCOME_DONE;
}

enum station_exit station_status(const struct station_call *call) {
    enum station_exit code = with_agent(call, print_status);
    return code != STATION_DONE || call->offline ? code : station_with_server(call, print_jobs);
}

/* ---- who works here ---- */

#define SECRET_MAX 130 /* octets with a NUL; the server's limit is its own */

/* One line. False: there is none, or it is too long. */
static bool read_secret(int fd, char ret[SECRET_MAX]) {
    size_t n = 0;
    char c = 0;
    while (n < SECRET_MAX - 1) {
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || c == '\n')
            break;
        ret[n++] = c;
    }
    ret[n] = '\0';
    return n > 0 && n < SECRET_MAX - 1;
}

static bool ask_secret(int fd, char ret[SECRET_MAX]) {
    struct terminal terminal;
    if (fd >= 0)
        return read_secret(fd, ret);
    if (terminal_ask("secret", &terminal))
        return false;
    bool good = read_secret(terminal.fd, ret);
    terminal_close(&terminal);
    return good;
}

static enum outcome login(const struct station_call *call, struct station_server *server,
                          struct why *why) {
    char secret[SECRET_MAX], text[CLOCK_TEXT_MAX];
    int64_t until = 0;
    if (!ask_secret(call->secret_fd, secret)) {
        bytes_wipe(secret, sizeof secret);
        return because(OUTCOME_DENIED, why, "there is no secret that can be read");
    }
    enum outcome outcome = api_login(server, call->name, secret, &until, why);
    bytes_wipe(secret, sizeof secret);
    if (outcome == OUTCOME_DONE) {
        clock_format(until * 1000, text);
        (void)printf("%s is logged in until %s\n", call->name, text);
    }
    return outcome;
}

enum station_exit station_login(const struct station_call *call) {
    return station_with_server(call, login);
}

static enum outcome logout(const struct station_call *call, struct station_server *server,
                           struct why *why) {
    (void)call;
    return api_logout(server, why);
}

enum station_exit station_logout(const struct station_call *call) {
    return station_with_server(call, logout);
}
