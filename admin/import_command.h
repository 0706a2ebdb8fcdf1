/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark device import`: the file is read twice, to check all of it and to load it. Internal to
 * admin/import_*.c.
 *
 *   import_command.c   the two passes
 *   import_seen.c      which devices the file has named, and on which line
 *   import_chunk.c     rows to the server, a message at a time
 *   import_progress.c  how far it is, on the terminal
 */
#ifndef TOUCHMARK_ADMIN_IMPORT_COMMAND_H
#define TOUCHMARK_ADMIN_IMPORT_COMMAND_H

#include <jansson.h>

#include "admin/command.h"
#include "admin/import_source.h"

/* Devices by a keyed hash of 64 bits of their ID: of a hundred million, two share one by chance in
 * less than one file of two thousand. */
struct import_seen;
MUST_USE enum tm_err import_seen_new(struct import_seen **ret_seen);
void import_seen_free(struct import_seen *seen);
/* TM_EEXISTS: *ret_line has it already. TM_ENOMEM. */
MUST_USE enum tm_err import_seen_add(struct import_seen *seen, const char *device, uint32_t line,
                                     uint32_t *ret_line);

/* Rows that go to the server together. Several messages are on their way at once, so that the
 * server commits them together; what they are answered does not depend on the order. */
#define IMPORT_CHUNKS_OPEN 4
struct import_chunk {
    int fd;
    size_t open;                      /* messages that were not answered yet */
    struct ipc_admin_request request; /* verb, tenant, state and all are set */
    struct ipc_import rows;
    size_t size; /* octets that they take */
    uint8_t data[IPC_ADMIN_DATA_MAX];
    uint8_t packet[IPC_MESSAGE_MAX];
};
/* Is there no room for one more? */
bool import_chunk_full(const struct import_chunk *chunk, const struct ipc_import_row *row);
void import_chunk_add(struct import_chunk *chunk, const struct ipc_import_row *row);
/* Sends it and empties it. An exit code; what is wrong was said on standard error. */
int import_chunk_send(struct import_chunk *chunk);
/* The answer to one of them; *ret_answer is the server's object, the caller's. As before. */
int import_chunk_receive(struct import_chunk *chunk, json_t **ret_answer);

struct import_progress {
    bool shown;
    const char *verb; /* "checked" */
    int64_t began_ms, shown_ms;
    uint64_t size; /* octets of the file */
};
void import_progress_begin(struct import_progress *progress, const char *verb);
/* Says it ten times a second at most. */
void import_progress_say(struct import_progress *progress, uint64_t offset, uint64_t rows);
/* Clears the line, so that something else may stand there. */
void import_progress_clear(struct import_progress *progress);

#endif
