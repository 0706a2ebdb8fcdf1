/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are there as a whole or not at all, also after a power cut. Errors leave their reason
 * in errno and say nothing themselves. Thread-safe (no state).
 */
#ifndef TOUCHMARK_BASE_FILE_H
#define TOUCHMARK_BASE_FILE_H

#include <sys/types.h>

#include "base/bytes.h"

/* Writes all of it at the file's position. TM_EIO. */
MUST_USE enum tm_err file_write(int fd, struct bytes data);
/* Makes the name of a file durable: syncs the folder that it is in. TM_EIO, TM_ENOMEM. */
MUST_USE enum tm_err file_sync_folder(const char *path);
/* Whoever reads the path sees the old content or the new one. Owner and mode stay those of the
 * file that is replaced; `mode` is that of one where none was. Uses the path with ".new" behind it.
 * TM_EIO, TM_ENOMEM. */
MUST_USE enum tm_err file_replace(const char *path, struct bytes content, mode_t mode);

#endif
