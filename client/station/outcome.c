/* SPDX-License-Identifier: Apache-2.0 */
/* See outcome.h. */
#include "client/station/outcome.h"

#include <stdarg.h>
#include <stdio.h>

enum station_exit station_exit_of(enum outcome outcome) {
    static const enum station_exit codes[] = {
        [OUTCOME_DONE] = STATION_DONE,        [OUTCOME_FAILED] = STATION_FAILED,
        [OUTCOME_REFUSED] = STATION_FAILED,   [OUTCOME_WRONG_UNIT] = STATION_WRONG_UNIT,
        [OUTCOME_LINE] = STATION_LINE,        [OUTCOME_DIFFERS] = STATION_DIFFERS,
        [OUTCOME_RESTARTED] = STATION_FAILED, [OUTCOME_UNREACHABLE] = STATION_AGAIN,
        [OUTCOME_DENIED] = STATION_DENIED,    [OUTCOME_STOPPED] = STATION_STOPPED,
        [OUTCOME_JOURNAL] = STATION_JOURNAL,  [OUTCOME_INTERRUPTED] = STATION_INTERRUPTED,
    };
    return codes[outcome];
}

enum outcome because(enum outcome outcome, struct why *ret_why, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ret_why->text, sizeof ret_why->text, format, args);
    va_end(args);
    return outcome;
}
