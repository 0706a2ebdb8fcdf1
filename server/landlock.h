/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files this process may still open. seccomp sees flags and no paths: a role that has to read
 * what the C library resolves names with, or to replace what it serves, would otherwise read the
 * store, the token and every key of the user that all roles share.
 */
#ifndef TOUCHMARK_SERVER_LANDLOCK_H
#define TOUCHMARK_SERVER_LANDLOCK_H

#include "base/err.h"

/* From now on this thread and what it starts read files below `folders` (NULL-terminated; those
 * that are not there are passed over), and open no other file; descriptors that are open stay.
 * Needs no-new-privileges. A kernel without Landlock (before 5.13, or switched off) is no error and
 * is logged. TM_EIO, logged. */
MUST_USE enum tm_err landlock_read_only(const char *const *folders);
/* The same, and files in there may be made, written, removed and renamed within their folder. */
MUST_USE enum tm_err landlock_replace_only(const char *const *folders);

#endif
