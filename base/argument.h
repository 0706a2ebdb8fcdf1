/* SPDX-License-Identifier: Apache-2.0 */
/* Values of command line options, for programs that read them with argp. Thread-safe. */
#ifndef TOUCHMARK_BASE_ARGUMENT_H
#define TOUCHMARK_BASE_ARGUMENT_H

#include <argp.h>

/* A decimal number from min to max; anything else ends the program by argp_error, which says what
 * is allowed. */
unsigned long argument_number(struct argp_state *state, const char *text, unsigned long min,
                              unsigned long max);

#endif
