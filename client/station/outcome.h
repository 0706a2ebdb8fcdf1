/* SPDX-License-Identifier: Apache-2.0 */
/* How a step of a unit, and a run, may end. */
#ifndef TOUCHMARK_STATION_OUTCOME_H
#define TOUCHMARK_STATION_OUTCOME_H

#include "client/transport.h"

enum outcome {
    OUTCOME_DONE,
    /* of this unit; the next one may be better */
    OUTCOME_FAILED,     /* the unit is not good */
    OUTCOME_REFUSED,    /* the server does not want it */
    OUTCOME_WRONG_UNIT, /* another unit is on the station than was scanned */
    OUTCOME_LINE,       /* no unit answers */
    OUTCOME_DIFFERS,    /* journal and server do not agree */
    OUTCOME_RESTARTED,  /* the unit started again: its steps are gone through once more */
    /* of the run */
    OUTCOME_UNREACHABLE, /* the server does not answer */
    OUTCOME_DENIED,      /* the server does not want this station, or nobody is logged in */
    OUTCOME_STOPPED,     /* the job is stopped or closed */
    OUTCOME_JOURNAL,     /* the journal is damaged, or cannot be written */
    OUTCOME_INTERRUPTED,
};

/* Exit codes, touchmark-station(1). */
enum station_exit {
    STATION_DONE = 0,
    STATION_FAILED = 1,      /* a unit failed */
    STATION_CONFIG = 2,      /* configuration or manifest */
    STATION_WRONG_UNIT = 3,  /* another unit was on the station */
    STATION_STOPPED = 4,     /* the job is stopped or closed */
    STATION_JOURNAL = 5,     /* the journal is damaged, or cannot be written */
    STATION_LINE = 6,        /* no unit answers over the serial line */
    STATION_DIFFERS = 7,     /* journal and server do not agree */
    STATION_INTERRUPTED = 8, /* by a signal; resume goes on */
    STATION_USAGE = 64,      /* EX_USAGE */
    STATION_AGAIN = 75,      /* EX_TEMPFAIL: the server does not answer */
    STATION_DENIED = 77,     /* EX_NOPERM: the server refuses */
};

enum station_exit station_exit_of(enum outcome outcome);

/* A sentence for people, why something ended as it did. */
struct why {
    char text[TM_TEXT_MAX];
};

/* Writes the sentence and returns the outcome. */
enum outcome because(enum outcome outcome, struct why *ret_why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
