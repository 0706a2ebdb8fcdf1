/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of one unit. One thread. */
#ifndef TOUCHMARK_STATION_STEPS_H
#define TOUCHMARK_STATION_STEPS_H

#include "client/station/run.h"

/* Takes the unit with this ID through all steps that the journal does not have as done; each is
 * recorded before and after. *ret_step: the one that was last begun. */
enum outcome steps_run(struct run *run, const char *id, enum journal_step *ret_step,
                       struct why *ret_why);

#endif
