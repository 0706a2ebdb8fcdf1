/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Separate trust for development, test and production: every CA certificate that a
 * ceremony makes names its environment in its subject, as organizational unit
 * "Environment dev", "Environment test" or "Environment prod". Pure; thread-safe.
 */
#ifndef TOUCHMARK_CA_ENVIRONMENT_H
#define TOUCHMARK_CA_ENVIRONMENT_H

#include "base/bytes.h"

/* "dev", "test", "prod", NULL; indices as enum conf_environment. */
extern const char *const ca_environment_words[];

/* The organizational unit of an environment. Never NULL. */
const char *ca_environment_unit(unsigned environment);
/* Would this organizational unit be taken for one of an environment? */
bool ca_environment_is_unit(const char *unit);
/* Does a Name (whole) name this environment and no other? */
bool ca_environment_matches(struct bytes name, unsigned environment);

#endif
