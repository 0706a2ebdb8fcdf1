/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter of a role: the system calls that it needs once it is set up. Others fail
 * with EPERM; those that only an intruder makes (execve, ptrace, mount, bpf, ...) kill the
 * process. Works on descriptors that are open already: nothing may be opened, executed or connected
 * afterwards, except by the signer, by the bridge and the upstream role, which connect to a broker
 * or to other CAs and read what the C library resolves their names with, and by the status role,
 * which replaces files in one folder (server/sandbox.c says what and why; server/landlock.h:
 * files).
 */
#ifndef TOUCHMARK_SERVER_SANDBOX_H
#define TOUCHMARK_SERVER_SANDBOX_H

#include <stdbool.h>

#include "ipc/messages.h"

/* Installs the filter on all threads of this process, for good. network: the signer's PKCS#11
 * module may use sockets; dir: the status role's folder (others: not looked at). Does nothing in a
 * sanitizer build (server/sanitized.h). TM_EIO, logged.
 */
MUST_USE enum tm_err sandbox_enter(enum ipc_role kind, bool network, const char *dir);

#endif
