/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Others learn of the certificate in use: export folder, then hook. What was told last is kept in
 * `state` once it was told, so that an agent that was killed in between tells it at its next start.
 */
#ifndef TOUCHMARK_AGENT_PUBLISH_H
#define TOUCHMARK_AGENT_PUBLISH_H

#include "client/agent/agent.h"

/* Does what agent->changed asks for and clears it; if it could not be done (logged), it is to be
 * called again later. */
void agent_publish(struct agent *agent);

#endif
