/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: one device of the library, its parts, and what others are told of it. One thread.
 */
#ifndef TOUCHMARK_AGENT_AGENT_H
#define TOUCHMARK_AGENT_AGENT_H

#include "client/agent/parts.h"
#include "client/device.h"

/* Exit codes, touchmark-agent(1). */
enum agent_exit {
    AGENT_EXIT_DONE = 0,
    AGENT_EXIT_CONFIG = 2, /* the configuration, or a file that it names, is refused */
    AGENT_EXIT_AGAIN = 75, /* EX_TEMPFAIL: no answer, or something that is not there now */
    AGENT_EXIT_DENIED =
        77, /* EX_NOPERM: the server refuses or is not trusted; somebody must help */
};

/* What happened since the start, for the status file. Times are wall ms; 0: nothing did. */
struct agent_report {
    const char *event; /* its name */
    char event_text[TM_TEXT_MAX];
    int64_t event_ms;
    const char *hook_event; /* what the hook was told */
    char hook_result[64];
    int64_t hook_ms;
};

struct agent {
    const struct agent_conf *conf;
    struct agent_parts parts;
    struct tm_device device;
    struct agent_report report;
    const char *changed; /* publish what is in use, because of this event; NULL: nothing to do */
    bool stranded;       /* TM_EVENT_STRANDED was the news, and nothing better since */
    char *status_text;   /* what the status file says */
    uint8_t work[TM_WORK_SIZE];
};

/* Opens the parts, takes in the one-time secret, provisions a new device, and starts the library.
 * Failures are logged; the result is the exit code. *conf must outlive *agent, which must not be
 * copied. agent_close is due only after AGENT_EXIT_DONE. */
enum agent_exit agent_open(struct agent *agent, const struct agent_conf *conf);
void agent_close(struct agent *agent);

/* Are the files good that the configuration names and that there is a use for? They are not
 * changed. AGENT_EXIT_DONE or AGENT_EXIT_CONFIG; failures are logged. */
enum agent_exit agent_check(const struct agent_conf *conf);

#endif
