/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The station's end of the serial line: one question, and its answer or none. A line that goes away
 * (an adapter that is pulled) is opened again. One thread.
 */
#ifndef TOUCHMARK_STATION_SERIAL_H
#define TOUCHMARK_STATION_SERIAL_H

#include "client/station/wire/wire.h"

struct serial {
    const char *path;
    unsigned long baud;
    int stop_fd; /* what can be read from it ends all waiting; -1: nothing does */
    int fd;      /* -1: not open */
    uint64_t next_id;
    struct wire_lines lines;
};

/* Opens nothing yet. `path` must outlive it. */
void serial_init(struct serial *serial, const char *path, unsigned long baud, int stop_fd);
void serial_close(struct serial *serial);

/* Gives the question an ID: above all that were given since, and by stations before this one. */
void serial_number(struct serial *serial, struct wire_question *question);

/* Asks once, and waits for so long. *ret borrows from `room`, which is empty before. TM_ETIMEOUT:
 * no answer, or no line; TM_ECLOSED: told to stop; TM_EPARSE: an answer that the protocol does not
 * allow, *ret_text says why; TM_EINVAL, TM_ELIMIT: not a question. */
MUST_USE enum tm_err serial_ask(struct serial *serial, const struct wire_question *question,
                                int64_t timeout_ms, struct buf *room, struct wire_answer *ret,
                                char ret_text[WIRE_TEXT_MAX + 1]);

/* TM_ECLOSED: told to stop. */
MUST_USE enum tm_err serial_pause(const struct serial *serial, int64_t ms);

#endif
