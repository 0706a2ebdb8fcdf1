/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timed run: N clients, each a process of its own (OpenSSL 3.0's decoders contend between
 * threads, which would cost the server's cores), send enrollments that were made before the
 * clock starts, and measure each from the first octet to the certificate.
 */
#ifndef TOUCHMARK_BENCH_LOAD_H
#define TOUCHMARK_BENCH_LOAD_H

#include "bench/cpu.h"
#include "bench/est_client.h"
#include "bench/pool.h"

enum bench_mode { BENCH_FULL, BENCH_KEEPALIVE, BENCH_RESUME };
enum bench_operation { BENCH_ENROLL, BENCH_REENROLL, BENCH_CACERTS };
enum bench_credential { BENCH_CERTIFICATE, BENCH_SECRET, BENCH_BOTH };

struct bench_load_config {
    const struct bench_url *url;
    struct bench_client *client; /* made, not used by anyone else during the run */
    struct bench_pool *pool;
    enum bench_mode mode;
    enum bench_operation operation;
    enum bench_credential credential;
    unsigned clients;
    size_t count;          /* enrollments at most */
    unsigned seconds;      /* of load at most; what is under way is finished */
    bool same_key;         /* renew: the device's own key; else a fresh key each (rekey) */
    size_t per_connection; /* BENCH_KEEPALIVE: requests of one connection, 0 = no bound */
    bool keep;             /* put new keys and certificates into the pool, clear used secrets */
    pid_t server;          /* whose CPU is read; 0 = none */
    void (*started)(void); /* called when the clock starts; may be NULL */
};

enum bench_failure {
    BENCH_FAIL_CONNECT,
    BENCH_FAIL_HANDSHAKE,
    BENCH_FAIL_TIMEOUT,
    BENCH_FAIL_CLOSED,
    BENCH_FAIL_MALFORMED, /* no HTTP, or 200 without a certificate */
    BENCH_FAIL_WRONG_KEY, /* a certificate for another key than the request's */
    BENCH_FAIL_COUNT,
};
const char *bench_failure_name(enum bench_failure failure);

#define BENCH_STATUS_MAX 600

struct bench_load_result {
    double seconds;
    size_t done;    /* answered 200 with the right certificate */
    size_t resumed; /* connections that were resumed */
    size_t connections;
    size_t failures[BENCH_FAIL_COUNT];
    size_t statuses[BENCH_STATUS_MAX]; /* answers other than 200, by status */
    double p50_ms, p99_ms, p999_ms;    /* of those done */
    double client_cpu_us;              /* per enrollment done */
    bool has_server;
    struct bench_use before, after; /* of the server */
};

/* TM_ELIMIT: the pool has fewer usable devices than clients; TM_ENOMEM; TM_EIO (a client
 * process died); TM_ECRYPTO. */
MUST_USE enum tm_err bench_load(const struct bench_load_config *config,
                                struct bench_load_result *ret_result);

#endif
