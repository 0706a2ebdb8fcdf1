/* SPDX-License-Identifier: Apache-2.0 */
/* Walks /proc. schedstat counts in nanoseconds, where stat has clock ticks of 10 ms. */
#include "bench/cpu.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

AUTO_DEFINE(FILE, fclose)
AUTO_DEFINE(DIR, closedir)

struct process {
    pid_t pid;
    pid_t parent;
};
struct table {
    struct process rows[32768];
    size_t count;
};

/* A small /proc file as text with its NULs as spaces; 0 octets when it is gone. */
static size_t slurp(const char *path, char *ret, size_t cap) {
    AUTO(FILE) f = fopen(path, "r");
    size_t n = f ? fread(ret, 1, cap - 1, f) : 0;
    ret[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (ret[i] == '\0')
            ret[i] = ' ';
    return n;
}

/* Field 4 of stat; the command before it may hold anything but ends with the last ')'. */
static pid_t parent_of(pid_t pid) {
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (slurp(path, text, sizeof text) == 0)
        return 0;
    const char *after = strrchr(text, ')');
    return after && strlen(after) > 4 ? (pid_t)strtol(after + 4, NULL, 10) : 0;
}

static void list_processes(struct table *table) {
    AUTO(DIR) dir = opendir("/proc");
    table->count = 0;
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid > 0 && table->count < sizeof table->rows / sizeof table->rows[0])
            table->rows[table->count++] = (struct process){pid, parent_of(pid)};
    }
}

/* Adds up the first field of task/TID/schedstat: nanoseconds on a CPU. */
uint64_t bench_cpu_ns(pid_t pid) {
    char path[320], text[128];
    uint64_t sum = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    AUTO(DIR) dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
        if (slurp(path, text, sizeof text) > 0)
            sum += strtoull(text, NULL, 10);
    }
    return sum;
}

/* Field 2 of statm, in pages. */
static uint64_t rss_of(pid_t pid) {
    char path[64], text[128];
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    const char *second = slurp(path, text, sizeof text) > 0 ? strchr(text, ' ') : NULL;
    return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* "front-1" counts as "front". */
static void role_of(pid_t pid, char *ret, size_t cap) {
    static const char option[] = "--role";
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    (void)slurp(path, text, sizeof text);
    const char *value = strstr(text, option);
    value = value ? value + sizeof option : "supervisor";
    (void)snprintf(ret, cap, "%.*s", (int)strcspn(value, " -"), value);
}

static enum tm_err add(struct bench_use *use, pid_t pid) {
    char name[sizeof use->roles[0].role];
    role_of(pid, name, sizeof name);
    size_t i = 0;
    while (i < use->role_count && strcmp(use->roles[i].role, name) != 0)
        i++;
    if (i == BENCH_ROLES_MAX)
        return TM_ELIMIT;
    struct bench_role_use *role = &use->roles[i];
    if (i == use->role_count) {
        use->role_count++;
        memcpy(role->role, name, sizeof name);
    }
    uint64_t cpu = bench_cpu_ns(pid), rss = rss_of(pid);
    role->processes++;
    role->cpu_ns += cpu;
    role->rss += rss;
    use->cpu_ns += cpu;
    use->rss += rss;
    return TM_OK;
}

enum tm_err bench_use_read(pid_t root, struct bench_use *ret_use) {
    pid_t family[BENCH_PROCESSES_MAX] = {root};
    size_t known = 1;
    struct bench_use use = {0};
    AUTO_MEM struct table *table = malloc(sizeof *table);
    if (!table)
        return TM_ENOMEM;
    if (parent_of(root) == 0)
        return TM_ENOTFOUND;
    list_processes(table);
    for (size_t i = 0; i < known; i++) {
        enum tm_err err = add(&use, family[i]);
        if (err != TM_OK)
            return err;
        for (size_t k = 0; k < table->count; k++) {
            if (table->rows[k].parent != family[i])
                continue;
            if (known == BENCH_PROCESSES_MAX)
                return TM_ELIMIT;
            family[known++] = table->rows[k].pid;
        }
    }
    *ret_use = use;
    return TM_OK;
}
