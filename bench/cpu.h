/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server's processes cost, read from /proc: CPU time and resident memory of a
 * process and all below it, in total and by role (touchmarkd's --role argument). Linux only;
 * reads only. Not thread-safe per struct.
 */
#ifndef TOUCHMARK_BENCH_CPU_H
#define TOUCHMARK_BENCH_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define BENCH_ROLES_MAX 8
#define BENCH_PROCESSES_MAX 256

struct bench_role_use {
    char role[32]; /* value of --role without its number; "supervisor" for the root process */
    unsigned processes;
    uint64_t cpu_ns; /* of all its threads, user and system, since they started */
    uint64_t rss;    /* octets; shared pages count in every process */
};
struct bench_use {
    struct bench_role_use roles[BENCH_ROLES_MAX];
    size_t role_count;
    uint64_t cpu_ns; /* sums */
    uint64_t rss;
};

/* CPU time of one process, nanoseconds; 0 when it is gone. */
uint64_t bench_cpu_ns(pid_t pid);

/* TM_ENOTFOUND: no such process; TM_ELIMIT: more processes or roles than the bounds. */
MUST_USE enum tm_err bench_use_read(pid_t root, struct bench_use *ret_use);

#endif
