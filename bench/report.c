/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <string.h>

static void print_errors(FILE *out, const struct bench_load_result *r) {
    size_t all = 0;
    for (int i = 0; i < BENCH_FAIL_COUNT; i++)
        all += r->failures[i];
    for (size_t i = 0; i < BENCH_STATUS_MAX; i++)
        all += r->statuses[i];
    fprintf(out, "errors: %zu\n", all);
    for (int i = 0; i < BENCH_FAIL_COUNT; i++)
        if (r->failures[i])
            fprintf(out, "  %s: %zu\n", bench_failure_name((enum bench_failure)i), r->failures[i]);
    for (size_t i = 0; i < BENCH_STATUS_MAX; i++)
        if (r->statuses[i])
            fprintf(out, "  HTTP %zu: %zu\n", i, r->statuses[i]);
}

/* CPU that a role used before the run; 0 for one that came during it. */
static uint64_t cpu_before(const struct bench_use *before, const char *role) {
    for (size_t i = 0; i < before->role_count; i++)
        if (strcmp(before->roles[i].role, role) == 0)
            return before->roles[i].cpu_ns;
    return 0;
}

static double per_enrollment_us(const struct bench_load_result *r, uint64_t from, uint64_t to) {
    return r->done ? (double)(to - from) / 1000.0 / (double)r->done : 0;
}

static void print_server(FILE *out, const struct bench_load_result *r) {
    if (!r->has_server)
        return;
    fprintf(out, "server CPU: %.1f us per enrollment\n",
            per_enrollment_us(r, r->before.cpu_ns, r->after.cpu_ns));
    for (size_t i = 0; i < r->after.role_count; i++) {
        const struct bench_role_use *role = &r->after.roles[i];
        fprintf(out, "  %s (%u): %.1f us, RSS %.1f MiB\n", role->role, role->processes,
                per_enrollment_us(r, cpu_before(&r->before, role->role), role->cpu_ns),
                (double)role->rss / 1048576.0);
    }
    fprintf(out, "server RSS: %.1f MiB\n", (double)r->after.rss / 1048576.0);
}

static void print_floors(FILE *out, const struct bench_load_result *r,
                         const struct bench_floors *f) {
    fprintf(out, "floor, bare mutual handshake: %.0f/s, %.1f us server CPU, %.1f us client CPU\n",
            f->tls.per_second, f->tls.server_us, f->tls.client_us);
    fprintf(out, "floor, bare P-256: %.1f us to sign, %.1f us to verify\n", f->ecdsa.sign_us,
            f->ecdsa.verify_us);
    if (f->has_token)
        fprintf(out, "floor, bare token: %.0f signatures/s\n", f->signatures_per_second);
    if (!r || !r->done)
        return;
    if (r->has_server)
        fprintf(out, "ratio, server CPU per enrollment to bare handshake: %.2f\n",
                per_enrollment_us(r, r->before.cpu_ns, r->after.cpu_ns) / f->tls.server_us);
    if (f->has_token)
        fprintf(out, "ratio, enrollments/s to bare signatures/s: %.3f\n",
                (double)r->done / r->seconds / f->signatures_per_second);
}

static void print_load(FILE *out, const struct bench_load_result *r) {
    fprintf(out, "enrollments: %zu in %.2f s\n", r->done, r->seconds);
    fprintf(out, "rate: %.0f enrollments/s\n", r->seconds > 0 ? (double)r->done / r->seconds : 0);
    fprintf(out, "latency: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms\n", r->p50_ms, r->p99_ms,
            r->p999_ms);
    fprintf(out, "connections: %zu, resumed %zu\n", r->connections, r->resumed);
    print_errors(out, r);
    fprintf(out, "client CPU: %.1f us per enrollment\n", r->client_cpu_us);
    print_server(out, r);
}

void bench_report(FILE *out, const struct bench_load_result *result,
                  const struct bench_floors *floors) {
    if (result)
        print_load(out, result);
    if (floors)
        print_floors(out, result, floors);
}
