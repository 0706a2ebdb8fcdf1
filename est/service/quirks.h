/* SPDX-License-Identifier: Apache-2.0 */
/* What particular clients need, known by their User-Agent. Only for est/service. */
#ifndef TOUCHMARK_EST_SERVICE_QUIRKS_H
#define TOUCHMARK_EST_SERVICE_QUIRKS_H

#include <stddef.h>

/* How to lay out a body of this many base64 characters for the client of this User-Agent (NULL =
 * none): characters per line, 0 = one line. */
size_t quirks_wrap(const char *user_agent, size_t characters);

#endif
