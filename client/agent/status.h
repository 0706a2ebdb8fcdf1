/* SPDX-License-Identifier: Apache-2.0 */
/* The status file: how the device is, in JSON (touchmark-agent(1)). */
#ifndef TOUCHMARK_AGENT_STATUS_H
#define TOUCHMARK_AGENT_STATUS_H

#include "client/agent/agent.h"

/* Replaces the status file as a whole if it would say something else, and tells the service manager
 * in one line. A failure is logged: nothing depends on the file. */
void agent_status_write(struct agent *agent);

/* Prints the status file as it is. AGENT_EXIT_DONE; AGENT_EXIT_AGAIN: there is none yet; both said
 * on standard error. */
enum agent_exit agent_status_print(const struct agent_conf *conf);

#endif
