/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent at work: steps, exchanges, news, signals and waiting, until it is to stop. Signals are
 * taken between exchanges.
 */
#ifndef TOUCHMARK_AGENT_SERVICE_H
#define TOUCHMARK_AGENT_SERVICE_H

#include "client/agent/agent.h"

/* Blocks the signals that the service takes; *ret_fd gets them. TM_EIO (logged). */
MUST_USE enum tm_err agent_service_signals(int *ret_fd);

enum agent_end {
    AGENT_END_EXIT,   /* *ret_exit says with what */
    AGENT_END_REOPEN, /* configuration and parts are to be opened again */
};

/* once: until there is nothing to do or to be done. */
enum agent_end agent_service_run(struct agent *agent, int signal_fd, bool once,
                                 enum agent_exit *ret_exit);

#endif
