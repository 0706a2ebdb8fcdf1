/* SPDX-License-Identifier: Apache-2.0 */
/* See descriptors.h. */
#include "server/front/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"

#define FDS_BESIDE 160 /* files, links, descriptors that come with messages */

size_t front_descriptors_for(uint64_t wanted, unsigned each) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return wanted;
    rlim_t need = wanted * each + FDS_BESIDE;
    if (limit.rlim_cur < need) {
        limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit))
            log_warn("cannot raise the limit of open files: %s", strerror(errno));
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= need)
        return wanted;
    size_t possible = limit.rlim_cur > FDS_BESIDE + each ? (limit.rlim_cur - FDS_BESIDE) / each : 1;
    log_warn("the limit of open files (%llu) allows %zu connections, not %llu",
             (unsigned long long)limit.rlim_cur, possible, (unsigned long long)wanted);
    return possible;
}
