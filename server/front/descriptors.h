/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections there can be descriptors for. */
#ifndef TOUCHMARK_SERVER_FRONT_DESCRIPTORS_H
#define TOUCHMARK_SERVER_FRONT_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

/* Raises this process's limit of open files for `wanted` connections of `each` descriptors, as far
 * as it may, and says how many of them there can be: `wanted`, or fewer (logged), at least 1. */
size_t front_descriptors_for(uint64_t wanted, unsigned each);

#endif
