/* SPDX-License-Identifier: Apache-2.0 */
#include "base/argument.h"

#include <stdlib.h>

unsigned long argument_number(struct argp_state *state, const char *text, unsigned long min,
                              unsigned long max) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < min || n > max)
        argp_error(state, "%s is not a number from %lu to %lu", text, min, max);
    return n;
}
