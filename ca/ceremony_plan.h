/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a ceremony's file across its keys. Internal to ca/ceremony*.c. Pure. */
#ifndef TOUCHMARK_CA_CEREMONY_PLAN_H
#define TOUCHMARK_CA_CEREMONY_PLAN_H

#include "ca/ceremony.h"

/* Names refer to something, files and keys do not meet, subjects are as RFC 5280 wants them. `text`
 * is what the plan was loaded from; `error` as in conf_refuse. */
MUST_USE enum tm_err ca_ceremony_check(const struct ca_ceremony *plan, const char *text, size_t n,
                                       const char *path, char error[CONF_ERROR_MAX]);

#endif
