/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed memory files: how megabytes go from one process to another. Whoever gets one knows that
 * nobody can change or cut it any more, and may map it without a copy. Thread-safe (no state).
 */
#ifndef TOUCHMARK_BASE_MEMFILE_H
#define TOUCHMARK_BASE_MEMFILE_H

#include "base/bytes.h"

/* An empty one, which can be written; the name is for people who look at the process. TM_EIO. */
MUST_USE enum tm_err memfile_new(const char *name, int *ret_fd);
/* Appends. TM_EFULL: no memory is left for it; TM_EIO. */
MUST_USE enum tm_err memfile_write(int fd, struct bytes data);
/* No change from now on. No writable mapping of it may be left. TM_EIO. */
MUST_USE enum tm_err memfile_seal(int fd);

/* Maps a whole file, read-only, until memfile_unmap. TM_EDENIED: it is not sealed against any
 * change, or not a memory file; TM_ELIMIT: empty, or more than max octets; TM_EIO. */
MUST_USE enum tm_err memfile_map(int fd, size_t max, struct bytes *ret);
void memfile_unmap(struct bytes mapped); /* the empty one is allowed */

#endif
