/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in one folder that a power cut leaves old or new, never torn: written to a temporary file,
 * synced, renamed over the old one, folder synced. For the ports that keep something in files.
 * Every function that returns TM_EIO has logged errno. Thread-safe for different names.
 */
#ifndef TOUCHMARK_CLIENT_PORT_FOLDER_H
#define TOUCHMARK_CLIENT_PORT_FOLDER_H

#include <sys/types.h>

#include "base/bytes.h"

#define TM_FOLDER_NAME_MAX 64 /* octets of a file's name, with its NUL */

/* Makes the folder (0700) when only its parent exists. The caller closes *ret_fd. TM_EIO;
 * TM_EDENIED: another user could write to it. */
MUST_USE enum tm_err tm_folder_open(const char *path, int *ret_fd);

/* Removes what a power cut left of an unfinished tm_folder_write of this name. */
MUST_USE enum tm_err tm_folder_tidy(int folder, const char *name);

/* Appends the file to out. TM_ENOTFOUND; TM_ELIMIT: out is too small; TM_EIO: also when it is no
 * regular file. */
MUST_USE enum tm_err tm_folder_read(int folder, const char *name, struct buf *out);
/* The same for a secret: TM_EDENIED when group or others have any right to the file. */
MUST_USE enum tm_err tm_folder_read_secret(int folder, const char *name, struct buf *out);

/* Makes or replaces the file, mode 0600. TM_EFULL: no room; TM_EIO. On failure the old one is there
 * still, unless only the last sync failed. */
MUST_USE enum tm_err tm_folder_write(int folder, const char *name, struct bytes data);
/* The same with a mode, and a group unless it is TM_FOLDER_OWN_GROUP, for other programs to read.
 */
#define TM_FOLDER_OWN_GROUP ((gid_t)-1)
MUST_USE enum tm_err tm_folder_write_as(int folder, const char *name, struct bytes data,
                                        mode_t mode, gid_t group);
/* TM_OK also when there is none. */
MUST_USE enum tm_err tm_folder_erase(int folder, const char *name);

#endif
