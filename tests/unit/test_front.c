/* SPDX-License-Identifier: Apache-2.0 */
/* The front as its peers see it: real TLS clients on one side, the core's link on the other. */
#include "front_fixture.h"

#include <sys/resource.h>

#define ROUNDS_OF_SLOW_PEERS 100 /* per kind; with idle ones it makes 400 */
#define SHORT_MS 2000

static void check_issued(struct fixture *fx, const struct response *response) {
    uint8_t der[OCTETS_MAX];
    struct buf out = BUF_ON(der);
    assert_int_equal(response->status, 200);
    struct bytes text = {response->body, response->body_n};
    assert_int_equal(est_base64_decode(text, &out), TM_OK);
    assert_non_null(memmem(out.p, out.n, fx->device_der.p, fx->device_der.n));
}

/* A whole exchange on an open connection; the core sees *ret_id. */
static void exchange(struct fixture *fx, struct client *client) {
    client_enrolls(fx, client);
    core_issues(fx, core_takes(fx).id);
    struct response *response = client_response(client);
    check_issued(fx, response);
    free(response);
}

/* ---- requests ---- */

static void core_sees_who_asks_and_what(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, TLS1_3_VERSION, NULL);
    client_enrolls(fx, &client);
    struct ipc_enroll enroll = core_takes(fx);
    assert_int_equal(enroll.operation, IPC_OP_ENROLL);
    assert_int_equal(enroll.origin, IPC_ORIGIN_HTTPS);
    assert_true(bytes_equal(enroll.peer_leaf, fx->device_der));
    assert_true(bytes_equal(enroll.peer_chain, fx->ca_der));
    assert_true(bytes_equal(enroll.csr, fx->csr));
    assert_int_equal(strncmp(enroll.remote, "127.0.0.1:", 10), 0);
    uint64_t id = enroll.id;
    core_issues(fx, id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    assert_int_equal(strtoull(header(response, "\r\nX-Request-Id: "), NULL, 16), id);
    assert_true(strlen(response->head) < 512); /* some clients read only 1 KB of headers */
    free(response);
    client_close(&client);
}

static void basic_credentials_reach_the_core(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->without, 0, NULL);
    char request[OCTETS_MAX];
    size_t n = enroll_request(fx->csr, "Authorization: Basic ZGV2aWNlLTE6Z2VoZWlt\r\n", request,
                              sizeof request);
    client_send(&client, request, n);
    struct ipc_enroll enroll = core_takes(fx);
    assert_string_equal(enroll.user, "device-1");
    assert_true(bytes_equal(enroll.secret, bytes_str("geheim")));
    assert_int_equal(enroll.peer_leaf.n, 0);
    core_issues(fx, enroll.id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    client_close(&client);
}

static void check_cacerts(const struct response *response) {
    uint8_t der[OCTETS_MAX];
    struct buf out = BUF_ON(der);
    struct bytes text = {response->body, response->body_n};
    assert_int_equal(response->status, 200);
    assert_int_equal(est_base64_decode(text, &out), TM_OK);
    assert_true(bytes_equal(buf_bytes(&out), cacerts_der()));
}

static void get_cacerts(struct client *client) {
    client_text(client, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    struct response *response = client_response(client);
    check_cacerts(response);
    free(response);
}

static void connection_serves_many_requests(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    for (int i = 0; i < 5; i++) {
        get_cacerts(&client);
        exchange(fx, &client);
    }
    core_gets_nothing(fx);
    client_close(&client);
}

static void pipelined_requests_are_answered_in_order(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    char requests[OCTETS_MAX];
    size_t n = enroll_request(fx->csr, "", requests, sizeof requests);
    n += (size_t)snprintf(requests + n, sizeof requests - n,
                          "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n");
    client_send(&client, requests, n);
    core_issues(fx, core_takes(fx).id);
    struct response *first = client_response(&client);
    struct response *second = client_response(&client);
    check_issued(fx, first);
    check_cacerts(second);
    free(first);
    free(second);
    client_close(&client);
}

static void many_clients_may_ask_at_once(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    enum { CLIENTS = 40 };
    struct client clients[CLIENTS];
    uint64_t ids[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = client_open(fx, fx->with_certificate, 0, NULL);
    /* All requests are there when the front looks again. */
    assert_int_equal(kill(fx->pid, SIGSTOP), 0);
    for (int i = 0; i < CLIENTS; i++)
        client_enrolls(fx, &clients[i]);
    assert_int_equal(kill(fx->pid, SIGCONT), 0);
    for (int i = 0; i < CLIENTS; i++)
        ids[i] = core_takes(fx).id;
    for (int i = CLIENTS - 1; i >= 0; i--)
        core_issues(fx, ids[i]);
    for (int i = 0; i < CLIENTS; i++) {
        struct response *response = client_response(&clients[i]);
        check_issued(fx, response);
        free(response);
        client_close(&clients[i]);
    }
}

static void request_may_come_octet_by_octet(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    char request[OCTETS_MAX];
    size_t n = enroll_request(fx->csr, "", request, sizeof request);
    for (size_t i = 0; i < n; i++)
        client_send(&client, request + i, 1);
    core_issues(fx, core_takes(fx).id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    client_close(&client);
}

/* Sends what the client's TLS wants to send, one octet per packet. */
static void trickle(struct client *client, BIO *from_tls) {
    char octet;
    while (BIO_read(from_tls, &octet, 1) == 1)
        assert_int_equal(send(client->fd, &octet, 1, MSG_NOSIGNAL), 1);
}

static void handshake_may_come_octet_by_octet(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_prepare(fx, fx->with_certificate, 0, NULL);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(client.ssl, in, out);
    while (SSL_connect(client.ssl) != 1) {
        assert_int_equal(SSL_get_error(client.ssl, -1), SSL_ERROR_WANT_READ);
        trickle(&client, out);
        char flight[16384];
        ssize_t n = recv(client.fd, flight, sizeof flight, 0);
        assert_true(n > 0);
        assert_int_equal(BIO_write(in, flight, (int)n), n);
    }
    client_enrolls(fx, &client);
    trickle(&client, out);
    assert_true(bytes_equal(core_takes(fx).peer_leaf, fx->device_der));
    SSL_free(client.ssl);
    close(client.fd);
}

static void chunked_body_and_expect_continue_are_understood(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    uint8_t text[OCTETS_MAX];
    struct buf body = BUF_ON(text);
    assert_int_equal(est_base64_encode(fx->csr, 64, &body), TM_OK);
    client_text(&client, "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
                         "Content-Type: application/pkcs10\r\n"
                         "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    struct response *go = client_response(&client);
    assert_int_equal(go->status, 100);
    free(go);
    for (size_t i = 0; i < body.n; i += 100) {
        char chunk[128];
        int n = snprintf(chunk, sizeof chunk, "%zx\r\n%.100s\r\n",
                         body.n - i < 100 ? body.n - i : (size_t)100, (const char *)text + i);
        if (body.n - i < 100)
            n = snprintf(chunk, sizeof chunk, "%zx\r\n%.*s\r\n", body.n - i, (int)(body.n - i),
                         (const char *)text + i);
        client_send(&client, chunk, (size_t)n);
    }
    client_text(&client, "0\r\n\r\n");
    struct ipc_enroll enroll = core_takes(fx);
    assert_true(bytes_equal(enroll.csr, fx->csr));
    core_issues(fx, enroll.id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    client_close(&client);
}

/* As libest does it: two octets too many, and the connection is to be closed. */
static void stray_octets_do_not_cost_the_response(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    char request[OCTETS_MAX];
    size_t n = enroll_request(fx->csr, "Connection: close\r\n", request, sizeof request - 2);
    memcpy(request + n, "\r\n", 2);
    client_send(&client, request, n + 2);
    core_issues(fx, core_takes(fx).id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    assert_closed(&client);
    free(response);
    client_close(&client);
}

static void half_closed_client_gets_its_response(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, TLS1_3_VERSION, NULL);
    client_enrolls(fx, &client);
    assert_int_equal(SSL_shutdown(client.ssl), 0);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    core_issues(fx, core_takes(fx).id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    assert_closed(&client);
    free(response);
    client_close(&client);
}

/* Asks for far more than all buffers hold and starts to read late: nothing is lost or mixed up. */
static void slow_reader_gets_everything(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->without, 0, NULL);
    enum { RESPONSES = 100 };
    for (int i = 0; i < RESPONSES; i++)
        client_text(&client, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n");
    struct client other = client_open(fx, fx->without, 0, NULL);
    get_cacerts(&other);
    client_close(&other);
    for (int i = 0; i < RESPONSES; i++) {
        struct response *response = client_response(&client);
        check_cacerts(response);
        free(response);
    }
    client_close(&client);
}

/* ---- refusals ---- */

static struct ipc_refused core_is_told(struct fixture *fx) {
    struct bytes message;
    struct ipc_refused refused;
    assert_int_equal(
        ipc_receive(fx->core_fd, fx->message, sizeof fx->message, PATIENCE_MS, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_refused_schema, message, &refused), TM_OK);
    return refused;
}

static void wrong_path_is_refused_and_recorded(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    client_text(&client, "GET /.well-known/est/nonsense HTTP/1.1\r\nHost: x\r\n\r\n");
    struct response *response = client_response(&client);
    assert_int_equal(response->status, 404);
    struct ipc_refused refused = core_is_told(fx);
    assert_int_equal(refused.outcome, IPC_BAD_PATH);
    assert_int_equal(refused.id, strtoull(header(response, "\r\nX-Request-Id: "), NULL, 16));
    assert_true(bytes_equal(refused.peer_leaf, fx->device_der));
    free(response);
    get_cacerts(&client); /* a refusal without a body costs no connection */
    client_close(&client);
}

/* The body never comes: it is refused by what the head says. */
static void announced_body_that_is_too_large_is_refused_unread(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    client_text(&client, "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
                         "Content-Type: application/pkcs10\r\nContent-Length: 40000\r\n\r\n");
    struct response *response = client_response(&client);
    assert_int_equal(response->status, 413);
    assert_int_equal(core_is_told(fx).outcome, IPC_TOO_LARGE);
    assert_closed(&client);
    free(response);
    client_close(&client);
}

static void chunked_body_that_is_too_large_is_refused(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    char chunk[0x1000];
    memset(chunk, 'A', sizeof chunk);
    client_text(&client, "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
                         "Content-Type: application/pkcs10\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 9; i++) {
        client_text(&client, "1000\r\n");
        client_send(&client, chunk, sizeof chunk);
        client_text(&client, "\r\n");
    }
    client_text(&client, "0\r\n\r\n");
    struct response *response = client_response(&client);
    assert_int_equal(response->status, 413);
    free(response);
    client_close(&client);
}

static void nonsense_is_answered_400_and_closed(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->without, 0, NULL);
    client_text(&client, "GET / HTTP/1.1\r\nno colon here\r\n\r\n");
    struct response *response = client_response(&client);
    assert_int_equal(response->status, 400);
    assert_closed(&client);
    free(response);
    client_close(&client);
}

static void header_that_is_too_long_is_refused(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->without, 0, NULL);
    char line[20000];
    memset(line, 'a', sizeof line);
    client_text(&client, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\nX: ");
    client_send(&client, line, sizeof line);
    struct response *response = client_response(&client);
    assert_int_equal(response->status, 431);
    assert_closed(&client);
    free(response);
    client_close(&client);
}

static void plain_http_is_refused(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    int fd = client_connect(fx);
    char octets[512];
    static const char text[] = "GET / HTTP/1.1\r\n\r\n";
    assert_int_equal(send(fd, text, sizeof text - 1, 0), sizeof text - 1);
    ssize_t n = recv(fd, octets, sizeof octets, 0);
    while (n > 0) { /* an alert, maybe; then the end */
        assert_true(octets[0] == 0x15);
        n = recv(fd, octets, sizeof octets, 0);
    }
    close(fd);
    struct client client = client_open(fx, fx->without, 0, NULL);
    get_cacerts(&client);
    client_close(&client);
}

static void old_tls_is_refused(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    SSL_CTX_set_security_level(fx->without, 0);
    struct client client = client_prepare(fx, fx->without, TLS1_1_VERSION, NULL);
    assert_true(SSL_connect(client.ssl) <= 0);
    client_close(&client);
}

static void too_many_certificates_are_refused(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    for (size_t n = 0; n < IPC_CERT_MAX + IPC_CHAIN_MAX; n += fx->ca_der.n)
        assert_true(SSL_CTX_add1_chain_cert(fx->with_certificate, fx->ca.certificate));
    struct client client = client_prepare(fx, fx->with_certificate, TLS1_2_VERSION, NULL);
    assert_true(SSL_connect(client.ssl) <= 0);
    client_close(&client);
    struct client other = client_open(fx, fx->without, 0, NULL);
    get_cacerts(&other);
    client_close(&other);
}

/* ---- keys ---- */

static void enroll_with_key(struct fixture *fx, EVP_PKEY *key, int version) {
    struct identity identity = make_identity(key, "other device", &fx->ca);
    struct bytes der = der_of(identity.certificate);
    SSL_CTX *ctx = client_context(fx, false);
    assert_true(SSL_CTX_use_certificate(ctx, identity.certificate));
    assert_true(SSL_CTX_use_PrivateKey(ctx, identity.key));
    struct client client = client_open(fx, ctx, version, NULL);
    client_enrolls(fx, &client);
    struct ipc_enroll enroll = core_takes(fx);
    assert_true(bytes_equal(enroll.peer_leaf, der));
    core_issues(fx, enroll.id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    client_close(&client);
    SSL_CTX_free(ctx);
    OPENSSL_free((void *)(uintptr_t)der.p);
    free_identity(&identity);
}

static void every_kind_of_client_key_is_taken(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        enroll_with_key(fx, EVP_EC_gen("P-384"), version);
        enroll_with_key(fx, EVP_RSA_gen(2048), version);
        enroll_with_key(fx, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), version);
    }
}

static void server_key_may_be_rsa(void **state) {
    struct fixture *fx = *state;
    free_identity(&fx->server);
    fx->server = make_identity(EVP_RSA_gen(2048), "127.0.0.1", &fx->ca);
    write_identity(fx);
    fixture_start(fx);
    enroll_with_key(fx, EVP_EC_gen("P-256"), TLS1_2_VERSION);
    enroll_with_key(fx, EVP_EC_gen("P-256"), TLS1_3_VERSION);
}

/* The client's first key share is for a group that the server does not take: it asks for another
 * (RFC 8446, 4.1.4). */
static void key_share_of_another_group_costs_one_more_flight(void **state) {
    struct fixture *fx = *state;
    assert_true(SSL_CTX_set1_groups_list(fx->with_certificate, "P-521:P-384"));
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, TLS1_3_VERSION, NULL);
    exchange(fx, &client);
    client_close(&client);
}

/* ---- sessions and bindings ---- */

static void check_exporter(struct client *client, const struct ipc_enroll *enroll) {
    static const char label[] = "EXPORTER-Channel-Binding";
    uint8_t value[32];
    assert_int_equal(SSL_export_keying_material(client->ssl, value, sizeof value, label,
                                                sizeof label - 1, (const unsigned char *)"", 0, 1),
                     1);
    assert_true(bytes_equal(enroll->tls_exporter, BYTES_OF(value)));
}

static void tls13_binds_by_exporter(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, TLS1_3_VERSION, NULL);
    client_enrolls(fx, &client);
    struct ipc_enroll enroll = core_takes(fx);
    check_exporter(&client, &enroll);
    assert_int_equal(enroll.tls_unique.n, 0);
    client_close(&client);
}

/* RFC 5929, 3.1: the first Finished of the handshake. */
static void check_unique(struct client *client, const struct ipc_enroll *enroll) {
    uint8_t first[64];
    size_t n = SSL_session_reused(client->ssl)
                   ? SSL_get_peer_finished(client->ssl, first, sizeof first)
                   : SSL_get_finished(client->ssl, first, sizeof first);
    assert_int_equal(n, 12);
    assert_true(bytes_equal(enroll->tls_unique, (struct bytes){first, n}));
}

/* Enrolls and checks bindings and certificate; the session is the caller's. */
static SSL_SESSION *enroll_bound(struct fixture *fx, int version, SSL_SESSION *session) {
    struct client client = client_open(fx, fx->with_certificate, version, session);
    assert_int_equal(SSL_session_reused(client.ssl), session != NULL);
    client_enrolls(fx, &client);
    struct ipc_enroll enroll = core_takes(fx);
    assert_true(bytes_equal(enroll.peer_leaf, fx->device_der));
    assert_true(bytes_equal(enroll.peer_chain, fx->ca_der));
    check_exporter(&client, &enroll);
    if (version == TLS1_2_VERSION)
        check_unique(&client, &enroll);
    core_issues(fx, enroll.id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    SSL_SESSION *next = SSL_get1_session(client.ssl);
    client_close(&client);
    SSL_SESSION_free(session);
    return next;
}

static void resumed_session_keeps_the_certificate_and_binds_anew(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 2; v++) {
        SSL_SESSION *session = enroll_bound(fx, versions[v], NULL);
        session = enroll_bound(fx, versions[v], session);
        session = enroll_bound(fx, versions[v], session);
        SSL_SESSION_free(session);
    }
}

/* Without the extended master secret there is no exporter value to trust (RFC 9266). */
static void tls12_without_extended_master_secret_binds_by_unique_only(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    SSL_CTX_set_options(fx->with_certificate, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    struct client client = client_open(fx, fx->with_certificate, TLS1_2_VERSION, NULL);
    client_enrolls(fx, &client);
    struct ipc_enroll enroll = core_takes(fx);
    assert_int_equal(enroll.tls_exporter.n, 0);
    check_unique(&client, &enroll);
    client_close(&client);
}

static void renegotiation_is_refused(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, TLS1_2_VERSION, NULL);
    get_cacerts(&client);
    assert_int_equal(SSL_renegotiate(client.ssl), 1);
    assert_true(SSL_do_handshake(client.ssl) <= 0 || SSL_get_verify_result(client.ssl) != 0);
    client_close(&client);
}

/* ---- deadlines ---- */

enum slowness { HALF_HELLO, HALF_HEAD, HALF_BODY, IDLE, SLOWNESS_COUNT };

static int half_hello(struct fixture *fx) {
    int fd = client_connect(fx);
    static const uint8_t hello[] = {0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3};
    assert_int_equal(send(fd, hello, sizeof hello, 0), sizeof hello);
    return fd;
}

static void make_slow(struct fixture *fx, enum slowness kind, struct client *ret) {
    if (kind == HALF_HELLO) {
        *ret = (struct client){.fd = half_hello(fx)};
        return;
    }
    *ret = client_open(fx, fx->without, 0, NULL);
    if (kind == HALF_HEAD)
        client_text(ret, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: 127");
    if (kind == HALF_BODY)
        client_text(ret, "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
                         "Content-Type: application/pkcs10\r\nContent-Length: 100\r\n\r\nMIIB");
    if (kind == IDLE)
        get_cacerts(ret);
}

/* Waits until the front ends the connection. */
static void await_end(const struct client *client) {
    char octets[4096];
    ssize_t n;
    do
        n = recv(client->fd, octets, sizeof octets, 0);
    while (n > 0);
    assert_true(n == 0 || errno == ECONNRESET);
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Whoever sends half of something is closed at its deadline, not before, at next to no cost, and
 * everybody else is served meanwhile. */
static void slow_peers_are_closed_at_their_deadline(void **state) {
    struct fixture *fx = *state;
    fx->conf.listen.handshake_timeout = fx->conf.listen.header_timeout =
        fx->conf.listen.body_timeout = fx->conf.listen.idle_timeout = SHORT_MS;
    raise_descriptor_limit();
    fixture_start(fx);
    for (int kind = 0; kind < SLOWNESS_COUNT; kind++) {
        struct client slow;
        int64_t begun = clock_mono_ms();
        make_slow(fx, (enum slowness)kind, &slow);
        struct client other = client_open(fx, fx->with_certificate, 0, NULL);
        exchange(fx, &other);
        client_close(&other);
        await_end(&slow);
        int64_t took = clock_mono_ms() - begun;
        assert_in_range(took, SHORT_MS / 2, PATIENCE_MS);
        SSL_free(slow.ssl);
        close(slow.fd);
    }
}

static void four_hundred_slow_peers_cost_nothing(void **state) {
    struct fixture *fx = *state;
    raise_descriptor_limit();
    fixture_start(fx);
    struct client *slow = calloc(SLOWNESS_COUNT * ROUNDS_OF_SLOW_PEERS, sizeof *slow);
    for (int i = 0; i < SLOWNESS_COUNT * ROUNDS_OF_SLOW_PEERS; i++)
        make_slow(fx, (enum slowness)(i % SLOWNESS_COUNT), &slow[i]);
    struct client other = client_open(fx, fx->with_certificate, 0, NULL);
    exchange(fx, &other);
    /* A second in which nothing happens. */
    int64_t before = front_cpu_us(fx);
    assert_int_equal(poll(NULL, 0, 1000), 0);
    int64_t idle_us = front_cpu_us(fx) - before;
    print_message("[   cpu    ] 400 slow peers: %lld us in one second\n", (long long)idle_us);
    assert_in_range(idle_us, 0, 100000); /* a busy loop has all of it */
    exchange(fx, &other);
    client_close(&other);
    for (int i = 0; i < SLOWNESS_COUNT * ROUNDS_OF_SLOW_PEERS; i++) {
        if (i % SLOWNESS_COUNT == IDLE)
            get_cacerts(&slow[i]); /* still served */
        SSL_free(slow[i].ssl);
        close(slow[i].fd);
    }
    free(slow);
}

/* A peer that reads nothing: more responses than the kernel's buffers hold are asked for. */
static void peer_that_does_not_read_is_cut(void **state) {
    struct fixture *fx = *state;
    fx->conf.listen.body_timeout = SHORT_MS;
    fixture_start(fx);
    struct client client = client_open(fx, fx->without, 0, NULL);
    int flags = fcntl(client.fd, F_GETFL);
    fcntl(client.fd, F_SETFL, flags | O_NONBLOCK);
    SSL_set_mode(client.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    static const char one[] = "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n";
    char many[sizeof one * 200];
    for (size_t i = 0; i < 200; i++)
        memcpy(many + i * (sizeof one - 1), one, sizeof one - 1);
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    bool cut = false;
    while (!cut && clock_mono_ms() < end) {
        size_t n;
        if (SSL_write_ex(client.ssl, many, 200 * (sizeof one - 1), &n) == 1)
            continue;
        cut = SSL_get_error(client.ssl, 0) != SSL_ERROR_WANT_WRITE;
        struct pollfd wait = {.fd = client.fd, .events = POLLOUT};
        if (!cut)
            cut = poll(&wait, 1, PATIENCE_MS) == 1 && wait.revents & (POLLERR | POLLHUP);
    }
    assert_true(cut);
    SSL_free(client.ssl);
    close(client.fd);
    struct client other = client_open(fx, fx->without, 0, NULL);
    get_cacerts(&other);
    client_close(&other);
}

/* ---- peers that go away ---- */

static void cut_hard(struct client *client) {
    struct linger now = {.l_onoff = 1};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    SSL_free(client->ssl);
    close(client->fd);
}

/* At each point of the exchange; the next one is served as if nothing had been. */
static void peers_may_vanish_at_any_time(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    for (size_t octets = 0; octets < 400; octets += 37) {
        struct client client = client_open(fx, fx->with_certificate, 0, NULL);
        client_enrolls(fx, &client);
        uint64_t id = core_takes(fx).id;
        if (octets == 0) {
            cut_hard(&client);
            core_issues(fx, id); /* for nobody */
            continue;
        }
        core_issues(fx, id);
        char part[400];
        for (size_t n = 0; n < octets;)
            n += client_read(&client, part, octets - n);
        cut_hard(&client);
    }
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    exchange(fx, &client);
    client_close(&client);
}

/* ---- the core goes away ---- */

static void replace_core(struct fixture *fx) {
    close(fx->core_fd);
    give_core(fx);
    send_catalog(fx);
}

static void new_core_is_asked_again_under_the_same_id(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    client_enrolls(fx, &client);
    uint64_t id = core_takes(fx).id;
    replace_core(fx);
    struct ipc_enroll again = core_takes(fx);
    assert_int_equal(again.id, id);
    assert_true(bytes_equal(again.csr, fx->csr));
    assert_true(bytes_equal(again.peer_leaf, fx->device_der));
    core_issues(fx, id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    exchange(fx, &client);
    client_close(&client);
}

static void request_without_a_core_waits_for_one(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    get_cacerts(&client);
    close(fx->core_fd);
    get_cacerts(&client); /* the catalog stays */
    client_enrolls(fx, &client);
    give_core(fx);
    core_issues(fx, core_takes(fx).id);
    struct response *response = client_response(&client);
    check_issued(fx, response);
    free(response);
    client_close(&client);
}

static void late_reply_is_503_and_harms_nobody(void **state) {
    struct fixture *fx = *state;
    fx->conf.listen.reply_timeout = 200;
    fixture_start(fx);
    struct client client = client_open(fx, fx->with_certificate, 0, NULL);
    client_enrolls(fx, &client);
    uint64_t id = core_takes(fx).id;
    struct response *response = client_response(&client);
    assert_int_equal(response->status, 503);
    assert_non_null(header(response, "\r\nRetry-After: "));
    free(response);
    core_issues(fx, id);
    get_cacerts(&client); /* and not the late answer */
    client_close(&client);
}

/* ---- limits and the end ---- */

static void connections_above_the_limit_wait(void **state) {
    struct fixture *fx = *state;
    fx->conf.listen.max_connections = 4;
    fixture_start(fx);
    struct client few[4];
    for (int i = 0; i < 4; i++) {
        few[i] = client_open(fx, fx->without, 0, NULL);
        get_cacerts(&few[i]);
    }
    struct client waiting = client_prepare(fx, fx->without, 0, NULL);
    int flags = fcntl(waiting.fd, F_GETFL);
    fcntl(waiting.fd, F_SETFL, flags | O_NONBLOCK);
    assert_true(SSL_connect(waiting.ssl) < 0);
    struct pollfd ready = {.fd = waiting.fd, .events = POLLIN};
    int64_t before = front_cpu_us(fx);
    assert_int_equal(poll(&ready, 1, 200), 0); /* in the kernel's queue */
    assert_in_range(front_cpu_us(fx) - before, 0, 50000);
    client_close(&few[0]);
    fcntl(waiting.fd, F_SETFL, flags);
    assert_int_equal(SSL_connect(waiting.ssl), 1);
    get_cacerts(&waiting);
    client_close(&waiting);
    for (int i = 1; i < 4; i++)
        client_close(&few[i]);
}

static void tell(struct fixture *fx, enum ipc_control_verb verb) {
    struct ipc_control control = {.verb = (uint8_t)verb};
    assert_int_equal(ipc_send(fx->control_fd, &ipc_control_schema, &control), TM_OK);
}

static void drain_finishes_what_is_under_way(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client idle = client_open(fx, fx->without, 0, NULL);
    get_cacerts(&idle);
    struct client busy = client_open(fx, fx->with_certificate, 0, NULL);
    client_enrolls(fx, &busy);
    uint64_t id = core_takes(fx).id;
    tell(fx, IPC_CONTROL_DRAIN);
    /* Who was idle may have sent a request meanwhile: it is answered, and then it is over. */
    client_text(&idle, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    struct response *response = client_response(&idle);
    check_cacerts(response);
    assert_non_null(strcasestr(response->head, "Connection: close"));
    free(response);
    assert_closed(&idle);
    client_close(&idle);
    core_issues(fx, id);
    response = client_response(&busy);
    check_issued(fx, response);
    assert_non_null(strcasestr(response->head, "Connection: close"));
    assert_closed(&busy);
    free(response);
    client_close(&busy);
    assert_int_equal(await_exit(fx), 0);
}

static void stop_does_not_wait_for_the_idle(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client idle = client_open(fx, fx->without, 0, NULL);
    get_cacerts(&idle);
    tell(fx, IPC_CONTROL_DRAIN);
    tell(fx, IPC_CONTROL_STOP);
    assert_closed(&idle);
    client_close(&idle);
    assert_int_equal(await_exit(fx), 0);
}

static void drain_ends_in_time(void **state) {
    struct fixture *fx = *state;
    fx->conf.process.drain_timeout = 300;
    fixture_start(fx);
    struct client busy = client_open(fx, fx->with_certificate, 0, NULL);
    client_enrolls(fx, &busy);
    (void)core_takes(fx);
    tell(fx, IPC_CONTROL_DRAIN);
    assert_int_equal(await_exit(fx), 0);
    client_close(&busy);
}

static void wrong_key_is_a_configuration_error(void **state) {
    struct fixture *fx = *state;
    FILE *key = fopen(fx->key_path, "w");
    assert_non_null(key);
    assert_true(PEM_write_PrivateKey(key, fx->device.key, NULL, NULL, 0, NULL, NULL));
    fclose(key);
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    fx->pid = fork();
    if (fx->pid == 0) {
        exit(freopen("/dev/null", "w", stderr) ? run_front(fx, fds[1]) : 1);
    }
    close(fds[1]);
    fx->control_fd = fds[0];
    assert_int_equal(await_exit(fx), 97);
}

#define ON_FRONT(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_FRONT(core_sees_who_asks_and_what),
        ON_FRONT(basic_credentials_reach_the_core),
        ON_FRONT(connection_serves_many_requests),
        ON_FRONT(pipelined_requests_are_answered_in_order),
        ON_FRONT(many_clients_may_ask_at_once),
        ON_FRONT(request_may_come_octet_by_octet),
        ON_FRONT(handshake_may_come_octet_by_octet),
        ON_FRONT(chunked_body_and_expect_continue_are_understood),
        ON_FRONT(stray_octets_do_not_cost_the_response),
        ON_FRONT(half_closed_client_gets_its_response),
        ON_FRONT(slow_reader_gets_everything),
        ON_FRONT(wrong_path_is_refused_and_recorded),
        ON_FRONT(announced_body_that_is_too_large_is_refused_unread),
        ON_FRONT(chunked_body_that_is_too_large_is_refused),
        ON_FRONT(nonsense_is_answered_400_and_closed),
        ON_FRONT(header_that_is_too_long_is_refused),
        ON_FRONT(plain_http_is_refused),
        ON_FRONT(old_tls_is_refused),
        ON_FRONT(too_many_certificates_are_refused),
        ON_FRONT(every_kind_of_client_key_is_taken),
        ON_FRONT(server_key_may_be_rsa),
        ON_FRONT(key_share_of_another_group_costs_one_more_flight),
        ON_FRONT(tls13_binds_by_exporter),
        ON_FRONT(resumed_session_keeps_the_certificate_and_binds_anew),
        ON_FRONT(tls12_without_extended_master_secret_binds_by_unique_only),
        ON_FRONT(renegotiation_is_refused),
        ON_FRONT(slow_peers_are_closed_at_their_deadline),
        ON_FRONT(four_hundred_slow_peers_cost_nothing),
        ON_FRONT(peer_that_does_not_read_is_cut),
        ON_FRONT(peers_may_vanish_at_any_time),
        ON_FRONT(new_core_is_asked_again_under_the_same_id),
        ON_FRONT(request_without_a_core_waits_for_one),
        ON_FRONT(late_reply_is_503_and_harms_nobody),
        ON_FRONT(connections_above_the_limit_wait),
        ON_FRONT(drain_finishes_what_is_under_way),
        ON_FRONT(stop_does_not_wait_for_the_idle),
        ON_FRONT(drain_ends_in_time),
        ON_FRONT(wrong_key_is_a_configuration_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
