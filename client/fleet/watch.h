/* SPDX-License-Identifier: Apache-2.0 */
/* What must never happen: each finding is one line on standard error, with what repeats it. */
#ifndef TOUCHMARK_CLIENT_FLEET_WATCH_H
#define TOUCHMARK_CLIENT_FLEET_WATCH_H

#include <stdint.h>

#define FLEET_FINDINGS_SHOWN 20 /* of one run; the rest is counted */

struct fleet_watch {
    const char *scenario;
    uint64_t seed;
    uint64_t findings;
};

/* At virtual time `at_ms` something about device `id` was not as it must be. */
__attribute__((format(printf, 4, 5))) void fleet_watch_found(struct fleet_watch *watch,
                                                             const char *id, int64_t at_ms,
                                                             const char *format, ...);

#endif
