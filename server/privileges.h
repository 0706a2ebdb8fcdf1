/* SPDX-License-Identifier: Apache-2.0 */
/* Giving up what a process may do. For the whole process, threads included; errors are logged. */
#ifndef TOUCHMARK_SERVER_PRIVILEGES_H
#define TOUCHMARK_SERVER_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Is there such a system user? Needed only when this process is root and user is not "". Its
 * group comes with it (ret_gid may be NULL). TM_ENOTFOUND. */
MUST_USE enum tm_err privileges_user(const char *user, uid_t *ret_uid, gid_t *ret_gid);

/* Root becomes `user` with its groups, and cannot go back. Does nothing when not root, or
 * when user is NULL or "". TM_ENOTFOUND, TM_EDENIED. */
MUST_USE enum tm_err privileges_drop(const char *user);

/* No new privileges, no core file, not dumpable (so neither ptrace nor /proc/PID/mem by the same
 * user), and death with the parent: a change of user had cleared that. TM_EDENIED. */
MUST_USE enum tm_err privileges_seal(void);

#endif
