/* SPDX-License-Identifier: Apache-2.0 */
/* One line of the journal, both ways; only for journal.c and its tests. Thread-safe. */
#ifndef TOUCHMARK_STATION_JOURNAL_LINE_H
#define TOUCHMARK_STATION_JOURNAL_LINE_H

#include "client/station/journal.h"

#define JOURNAL_SUM_MAX 17 /* 16 hex digits and a NUL */

/* What stands before this object when the line before it has that sum. TM_ECRYPTO. */
MUST_USE enum tm_err journal_line_sum(const char *before, struct bytes object,
                                      char ret[JOURNAL_SUM_MAX]);

/* Appends the line with its LF; `sum` is the last line's ("" for the first) and becomes this one's.
 * TM_EINVAL, TM_ELIMIT, TM_ENOMEM. */
MUST_USE enum tm_err journal_line_write(const struct journal_record *record,
                                        char sum[JOURNAL_SUM_MAX], struct buf *out);

/* The same back; `line` is without LF, the certificate goes to `room`. TM_ECORRUPT: it is not the
 * line that was written behind that one; `sum` is then as before. */
MUST_USE enum tm_err journal_line_read(struct bytes line, char sum[JOURNAL_SUM_MAX],
                                       struct buf *room, struct journal_record *ret);

#endif
