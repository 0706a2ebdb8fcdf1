/* SPDX-License-Identifier: Apache-2.0 */
/* The program that is run when a certificate changed. */
#ifndef TOUCHMARK_AGENT_HOOK_H
#define TOUCHMARK_AGENT_HOOK_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* A variable of its environment. */
struct agent_variable {
    const char *name;
    const char *value; /* NULL: left out */
};

/* Runs the program without arguments and waits for its end; beyond the time it is killed with all
 * that it started in its process group. Its environment is PATH and the variables, its output is
 * ours. *ret_text: "done", or why that was no success. TM_OK: its exit code was 0; TM_ETIMEOUT;
 * TM_EIO: it could not be started, or ended otherwise. Not logged. */
#define AGENT_HOOK_TEXT_MAX 64
MUST_USE enum tm_err agent_hook_run(const char *program, int64_t timeout_ms,
                                    const struct agent_variable *variables, size_t count,
                                    char ret_text[AGENT_HOOK_TEXT_MAX]);

#endif
