/* SPDX-License-Identifier: Apache-2.0 */
/* The front with its TLS key on a token: handshakes wait for signatures of the core's, and nobody
 * else does. */
#include "front_fixture.h"

#define AT_ONCE 32 /* handshakes that a front puts aside */
#define SHORT_MS 500

static int setup(void **state) {
    static char label[] = "tls-server";
    if (fixture_setup(state))
        return -1;
    struct fixture *fx = *state;
    fx->conf.tls.key_label = label;
    fx->conf.tls.key = NULL;
    return 0;
}

/* The core's part, by a key that stands for the token's. */
static uint64_t core_takes_question(struct fixture *fx, uint8_t signature[256], size_t *ret_n) {
    struct bytes message;
    struct ipc_tls_ask ask;
    assert_int_equal(
        ipc_receive(fx->core_fd, fx->message, sizeof fx->message, PATIENCE_MS, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_tls_ask_schema, message, &ask), TM_OK);
    assert_int_equal(ask.kind, IPC_TLS_HANDSHAKE);
    assert_true(ask.content.n > 98 && ask.content.p[0] == 0x20);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    *ret_n = 256;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, fx->server.key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, ret_n, ask.content.p, ask.content.n), 1);
    EVP_MD_CTX_free(ctx);
    return ask.id;
}

static void core_answers(struct fixture *fx, uint64_t id, struct bytes signature) {
    const struct ipc_tls_answer answer = {.id = id, .good = signature.n > 0, .octets = signature};
    assert_int_equal(ipc_send(fx->core_fd, &ipc_tls_answer_schema, &answer), TM_OK);
}

static void core_signs(struct fixture *fx) {
    uint8_t signature[256];
    size_t n;
    uint64_t id = core_takes_question(fx, signature, &n);
    core_answers(fx, id, (struct bytes){signature, n});
}

/* A client that has said hello. */
static struct client client_begin(struct fixture *fx) {
    struct client client = client_prepare(fx, fx->with_certificate, 0, NULL);
    int flags = fcntl(client.fd, F_GETFL);
    assert_int_equal(fcntl(client.fd, F_SETFL, flags | O_NONBLOCK), 0);
    int ret = SSL_connect(client.ssl);
    assert_int_equal(SSL_get_error(client.ssl, ret), SSL_ERROR_WANT_READ);
    assert_int_equal(fcntl(client.fd, F_SETFL, flags), 0);
    return client;
}

static void client_goes_on(struct fixture *fx, struct client *client) {
    assert_int_equal(SSL_connect(client->ssl), 1);
    assert_int_equal(SSL_version(client->ssl), TLS1_3_VERSION);
    client_text(client, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    struct response *response = client_response(client);
    assert_int_equal(response->status, 200);
    free(response);
    (void)fx;
}

static void client_gets_alert(struct client *client) {
    assert_int_equal(SSL_connect(client->ssl), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_TLSV1_ALERT_INTERNAL_ERROR);
    ERR_clear_error();
    client_close(client);
}

static void handshake_waits_for_the_signature(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_begin(fx);
    core_signs(fx);
    client_goes_on(fx, &client);
    core_gets_nothing(fx);
    client_close(&client);
}

static void kept_connection_is_served_meanwhile(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client kept = client_begin(fx);
    core_signs(fx);
    client_goes_on(fx, &kept);
    struct client waiting = client_begin(fx);
    uint8_t signature[256];
    size_t n;
    uint64_t id = core_takes_question(fx, signature, &n);
    for (int i = 0; i < 10; i++) {
        client_text(&kept, "GET /.well-known/est/cacerts HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        struct response *response = client_response(&kept);
        assert_int_equal(response->status, 200);
        free(response);
    }
    core_answers(fx, id, (struct bytes){signature, n});
    client_goes_on(fx, &waiting);
    client_close(&waiting);
    client_close(&kept);
}

static void no_signature_is_an_alert(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    for (int i = 0; i < 2 * AT_ONCE; i++) { /* what one took is there for the next */
        struct client client = client_begin(fx);
        uint8_t signature[256];
        size_t n;
        core_answers(fx, core_takes_question(fx, signature, &n), (struct bytes){0});
        client_gets_alert(&client);
    }
    struct client client = client_begin(fx);
    core_signs(fx);
    client_goes_on(fx, &client);
    client_close(&client);
}

static void token_that_is_late_is_an_alert(void **state) {
    struct fixture *fx = *state;
    fx->conf.listen.handshake_timeout = SHORT_MS;
    fixture_start(fx);
    struct client client = client_begin(fx);
    uint8_t signature[256];
    size_t n;
    uint64_t id = core_takes_question(fx, signature, &n);
    client_gets_alert(&client);
    core_answers(fx, id, (struct bytes){signature, n}); /* nobody waits any more */
    client = client_begin(fx);
    core_signs(fx);
    client_goes_on(fx, &client);
    client_close(&client);
}

static void few_are_asked_for_at_once(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client clients[3 * AT_ONCE];
    uint64_t ids[AT_ONCE];
    uint8_t signatures[AT_ONCE][256];
    size_t sizes[AT_ONCE];
    for (int i = 0; i < 3 * AT_ONCE; i++)
        clients[i] = client_begin(fx);
    for (int i = 0; i < AT_ONCE; i++)
        ids[i] = core_takes_question(fx, signatures[i], &sizes[i]);
    core_gets_nothing(fx);
    for (int i = 0; i < AT_ONCE; i++)
        core_answers(fx, ids[i], (struct bytes){signatures[i], sizes[i]});
    for (int i = 0; i < 2 * AT_ONCE; i++)
        core_signs(fx);
    for (int i = 0; i < 3 * AT_ONCE; i++) {
        client_goes_on(fx, &clients[i]);
        client_close(&clients[i]);
    }
}

static void clients_may_leave_while_the_token_signs(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    for (int round = 0; round < 3; round++) {
        struct client clients[AT_ONCE];
        static const struct linger reset = {.l_onoff = 1};
        uint8_t signature[256];
        size_t n;
        for (int i = 0; i < AT_ONCE; i++) {
            clients[i] = client_begin(fx);
            (void)core_takes_question(fx, signature, &n);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            client_close(&clients[i]);
        }
    }
    struct client client = client_begin(fx);
    core_signs(fx);
    client_goes_on(fx, &client);
    client_close(&client);
}

static void new_core_is_asked_again(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_begin(fx);
    uint8_t signature[256];
    size_t n;
    uint64_t id = core_takes_question(fx, signature, &n);
    close(fx->core_fd);
    give_core(fx);
    send_catalog(fx);
    assert_int_equal(core_takes_question(fx, signature, &n), id);
    core_answers(fx, id, (struct bytes){signature, n});
    client_goes_on(fx, &client);
    client_close(&client);
}

static void only_tls_1_3(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_prepare(fx, fx->without, TLS1_2_VERSION, NULL);
    assert_int_equal(SSL_connect(client.ssl), -1);
    ERR_clear_error();
    core_gets_nothing(fx);
    client_close(&client);
}

/* The front must not leave anything behind that a leak check finds. */
static void front_may_end_while_the_token_signs(void **state) {
    struct fixture *fx = *state;
    fixture_start(fx);
    struct client client = client_begin(fx);
    uint8_t signature[256];
    size_t n;
    (void)core_takes_question(fx, signature, &n);
    assert_int_equal(fixture_stop(fx), 0);
    client_close(&client);
}

#define ON_FRONT(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_FRONT(handshake_waits_for_the_signature),
        ON_FRONT(kept_connection_is_served_meanwhile),
        ON_FRONT(no_signature_is_an_alert),
        ON_FRONT(token_that_is_late_is_an_alert),
        ON_FRONT(few_are_asked_for_at_once),
        ON_FRONT(clients_may_leave_while_the_token_signs),
        ON_FRONT(new_core_is_asked_again),
        ON_FRONT(only_tls_1_3),
        ON_FRONT(front_may_end_while_the_token_signs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
