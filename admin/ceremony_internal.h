/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `touchmark ceremony`: see ceremony_command.h. Internal to admin/ceremony*.c. */
#ifndef TOUCHMARK_ADMIN_CEREMONY_INTERNAL_H
#define TOUCHMARK_ADMIN_CEREMONY_INTERNAL_H

#include "ca/ceremony.h"

/* Holds the ceremony on the plan's tokens; each step is printed. What is wrong goes to `error`. */
MUST_USE enum tm_err ceremony_hold(const struct ca_ceremony *plan, const char *file,
                                   char error[CONF_ERROR_MAX]);

/* Holds it on SoftHSM tokens that are made for it and removed afterwards, and says what would be
 * made. Roots that exist are stood in for by new ones that look the same. The plan is the caller's
 * and is changed. Returns the exit code. */
int ceremony_rehearse(struct ca_ceremony *plan, const char *file);

/* Prints what a transcript says, and whether the files that it names are still those. Returns the
 * exit code: EX_OK only if all that is there is as recorded and the ceremony is finished. */
int ceremony_show(const char *transcript);

#endif
