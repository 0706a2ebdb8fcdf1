/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named crash points: with the build option -Dcrash_points=true, and the
 * environment variable TOUCHMARK_CRASH="name" or "name:n", the process kills
 * itself with SIGKILL at the n-th (default first) pass of that point. Without
 * the build option crash_point() is nothing at all. The supervisor hands the
 * variable only to the first process of each role, so a restarted role lives.
 *
 */
#ifndef TOUCHMARK_BASE_CRASH_H
#define TOUCHMARK_BASE_CRASH_H

#ifdef TOUCHMARK_CRASH_POINTS
void crash_point(const char *name);
#else
static inline void crash_point(const char *name) {
    (void)name;
}
#endif

#endif
