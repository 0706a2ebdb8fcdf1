/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the front costs in CPU time, beside a bare OpenSSL server in the same run: the figures are
 * printed; what is asserted is only far from them. TOUCHMARK_COST_CONNECTIONS sets the
 * connections per client and round.
 */
#include "front_fixture.h"

#include <signal.h>

#define CLIENTS 2
#define ROUNDS 5 /* of everything, in turn; the medians count */

static int connections(void) {
    const char *set = getenv("TOUCHMARK_COST_CONNECTIONS");
    return set ? atoi(set) : 25;
}

/* ---- the bare server: accept, read what comes, answer, close ---- */

static int by_callback(X509_STORE_CTX *store, void *arg) {
    (void)arg;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static SSL_CTX *bare_context(struct fixture *fx, bool callback) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(ctx, fx->server.certificate);
    SSL_CTX_use_PrivateKey(ctx, fx->server.key);
    SSL_CTX_add1_chain_cert(ctx, fx->ca.certificate);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), fx->ca.certificate);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256");
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    if (callback)
        SSL_CTX_set_cert_verify_callback(ctx, by_callback, NULL);
    return ctx;
}

static void bare_serve(SSL_CTX *ctx, int listen_fd) {
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    int fd = accept(listen_fd, NULL, NULL);
    SSL *ssl = SSL_new(ctx);
    char request[16384];
    size_t n;
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read_ex(ssl, request, sizeof request, &n) == 1)
        (void)SSL_write_ex(ssl, response, sizeof response - 1, &n);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void bare_start(struct fixture *fx, bool callback) {
    fx->pid = fork();
    assert_true(fx->pid >= 0);
    if (fx->pid > 0)
        return;
    SSL_CTX *ctx = bare_context(fx, callback);
    for (;;)
        bare_serve(ctx, fx->listen_fd);
}

static void bare_stop(struct fixture *fx) {
    assert_int_equal(kill(fx->pid, SIGKILL), 0);
    assert_int_equal(waitpid(fx->pid, NULL, 0), fx->pid);
    fx->pid = 0;
}

/* ---- clients, in processes of their own so that the server under test is busy ---- */

struct load {
    SSL_CTX *ctx;
    int version;
    bool resume;     /* each connection resumes the one before */
    int connections; /* per client */
    int requests;    /* per connection */
};

static void drive_connection(struct fixture *fx, const struct load *load, SSL_SESSION **session) {
    struct client client = client_open(fx, load->ctx, load->version, *session);
    assert_int_equal(SSL_session_reused(client.ssl), *session != NULL);
    for (int i = 0; i < load->requests; i++) {
        client_enrolls(fx, &client);
        free(client_response(&client));
    }
    SSL_SESSION_free(*session);
    *session = load->resume ? SSL_get1_session(client.ssl) : NULL;
    client_close(&client);
}

static pid_t start_client(struct fixture *fx, const struct load *load) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    SSL_SESSION *session = NULL;
    for (int i = 0; i < load->connections; i++)
        drive_connection(fx, load, &session);
    _exit(0);
}

/* Server CPU time per request, in microseconds. With `core`, the test answers for it meanwhile. */
static int64_t run_load(struct fixture *fx, const struct load *load, bool core) {
    pid_t clients[CLIENTS];
    int64_t before = front_cpu_us(fx);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = start_client(fx, load);
    int total = CLIENTS * load->connections * load->requests;
    for (int i = 0; core && i < total; i++)
        core_issues(fx, core_takes(fx).id);
    for (int i = 0; i < CLIENTS; i++) {
        int status;
        assert_int_equal(waitpid(clients[i], &status, 0), clients[i]);
        assert_int_equal(status, 0);
    }
    return (front_cpu_us(fx) - before) / total;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(int64_t *values) {
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static int64_t measure_bare(struct fixture *fx, const struct load *load, bool callback) {
    bare_start(fx, callback);
    (void)run_load(fx, load, false); /* warm-up */
    int64_t us = run_load(fx, load, false);
    bare_stop(fx);
    return us;
}

/* A device sends its leaf alone. */
static SSL_CTX *device_context(struct fixture *fx) {
    SSL_CTX *ctx = client_context(fx, false);
    assert_true(SSL_CTX_use_certificate(ctx, fx->device.certificate));
    assert_true(SSL_CTX_use_PrivateKey(ctx, fx->device.key));
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    return ctx;
}

static void cost_beside_bare_openssl(void **state) {
    struct fixture *fx = *state;
    SSL_CTX *ctx = device_context(fx);
    int n = connections();
    const struct load full = {.ctx = ctx, .connections = n, .requests = 1};
    const struct load tls13 = {ctx, TLS1_3_VERSION, true, n, 1};
    const struct load tls12 = {ctx, TLS1_2_VERSION, true, n, 1};
    const struct load kept = {.ctx = ctx, .connections = 1, .requests = 5 * n};
    int64_t us[6][ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        us[0][i] = measure_bare(fx, &full, false);
        us[1][i] = measure_bare(fx, &full, true);
        fixture_start(fx);
        (void)run_load(fx, &full, true);
        us[2][i] = run_load(fx, &full, true);
        us[3][i] = run_load(fx, &tls13, true);
        us[4][i] = run_load(fx, &tls12, true);
        us[5][i] = run_load(fx, &kept, true);
        assert_int_equal(fixture_stop(fx), 0);
    }
    static const char *const names[] = {
        "bare handshake, path built",     "bare handshake, no path",
        "front, full handshake, request", "front, resumed TLS 1.3",
        "front, resumed TLS 1.2",         "front, request on kept connection"};
    for (int i = 0; i < 6; i++)
        print_message("%-36s %5lld us\n", names[i], (long long)median(us[i]));
    int64_t bare = us[0][ROUNDS / 2], front = us[2][ROUNDS / 2];
    print_message("front to bare: %.2f\n", (double)front / (double)bare);
    SSL_CTX_free(ctx);
    /* What is far off is a defect; what the figures are is for an idle machine to say. */
    assert_true(front < 4 * bare);
    assert_true(us[3][ROUNDS / 2] < 2 * front && us[4][ROUNDS / 2] < 2 * front);
    assert_true(us[5][ROUNDS / 2] < front);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cost_beside_bare_openssl, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
