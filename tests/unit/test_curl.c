/* SPDX-License-Identifier: Apache-2.0 */
/* EST over HTTPS by libcurl against a TLS server that answers as it is told: which connection an
 * exchange goes over, what it shows, whom it believes, and what the answers mean. */
#include <dirent.h>

#include "client/port/curl.h"
#include "client/port/files.h"
#include "client/port/openssl.h"
#include "est/wire/base64.h"
#include "tls_fixture.h"

#define OK_HEAD "200 OK\r\nContent-Type: application/pkcs7-mime\r\n"
#define OK_BODY "AQIDBA==\n" /* 01 02 03 04 */

struct fixture {
    char folder[64];
    struct tm_files *files;
    struct tm_key_files *key_files;
    const struct tm_storage *storage;
    const struct tm_keys *keys;
    struct authority root, issuing, server;
    struct peer peer;
    char url[64];
    struct tm_curl_config config;
    struct tm_curl *curl;
    struct tm_answer answer;
};

static void write_item(struct fixture *f, unsigned item, X509 *const *certs, size_t count) {
    uint8_t octets[TM_ANCHORS_MAX];
    struct buf out = BUF_ON(octets);
    for (size_t i = 0; i < count; i++) {
        struct fixture_der der;
        FIXTURE_I2D(&der, X509, certs[i]);
        buf_put(&out, fixture_bytes(&der));
        fixture_free(&der);
    }
    assert_false(out.full);
    assert_int_equal(f->storage->write(f->storage->self, (enum tm_item)item, buf_bytes(&out)),
                     TM_OK);
}

/* A device certificate for the key in a bank, issued by the root, under the same bank's number. */
static void write_chain(struct fixture *f, unsigned bank, const char *cn) {
    uint8_t octets[TM_SPKI_MAX];
    struct buf spki = BUF_ON(octets);
    const uint8_t *at = octets;
    assert_int_equal(f->keys->generate(f->keys->self, bank), TM_OK);
    assert_int_equal(f->keys->public_key(f->keys->self, bank, &spki), TM_OK);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.n);
    X509 *cert = certify(cn, key, &f->root, "DNS:device", 30);
    write_item(f, TM_ITEM_CHAIN_0 + bank, &cert, 1);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void trust(struct fixture *f, unsigned bank, X509 *one, X509 *two) {
    X509 *certs[] = {one, two};
    write_item(f, TM_ITEM_ANCHORS_0 + bank, certs, two ? 2 : 1);
}

static void open_transport(struct fixture *f) {
    tm_curl_close(f->curl);
    f->curl = NULL;
    assert_int_equal(tm_curl_open(&f->config, &f->curl), TM_OK);
}

static void start_with(struct fixture *f, X509 *cert, EVP_PKEY *key) {
    peer_open(&f->peer, cert, key);
    (void)snprintf(f->url, sizeof f->url, "https://127.0.0.1:%u", f->peer.port);
    f->config = (struct tm_curl_config){.url = f->url, .keys = f->keys, .storage = f->storage};
    open_transport(f);
}

/* Most tests: a server that the device trusts and that takes every certificate. */
static void start(struct fixture *f) {
    start_with(f, f->server.cert, f->server.key);
    peer_start(&f->peer);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)strcpy(f->folder, "/tmp/touchmark-curl-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(tm_files_open(f->folder, &f->files), TM_OK);
    assert_int_equal(tm_key_files_open(f->folder, &f->key_files), TM_OK);
    f->storage = tm_files_storage(f->files);
    f->keys = tm_key_files_keys(f->key_files);
    f->root = authority_new("root", NULL);
    f->issuing = authority_new("issuing", &f->root);
    f->server.key = fixture_p256();
    f->server.cert = certify("server", f->server.key, &f->root, "IP:127.0.0.1", 30);
    trust(f, 0, f->root.cert, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    tm_curl_close(f->curl);
    if (f->peer.ctx)
        peer_close(&f->peer);
    tm_key_files_close(f->key_files);
    tm_files_close(f->files);
    authority_free(&f->root);
    authority_free(&f->issuing);
    authority_free(&f->server);
    DIR *dir = opendir(f->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

/* ---- exchanges ---- */

static const struct tm_exchange cacerts = {.operation = TM_OP_CACERTS, .label = "ldevid"};
static const struct tm_exchange enroll = {
    .operation = TM_OP_ENROLL, .label = "ldevid", .body = {(const uint8_t *)"\1\2\3\4", 4}};
static const struct tm_exchange probe = {.operation = TM_OP_PROBE, .label = "ldevid"};

static struct tm_exchange as(struct tm_exchange exchange, enum tm_slot slot, unsigned bank) {
    exchange.slot = slot;
    exchange.key_bank = exchange.chain_bank = bank;
    return exchange;
}

static struct tm_exchange bound(struct tm_exchange exchange) {
    exchange.bound = true;
    return exchange;
}

static struct tm_exchange with_secret(struct tm_exchange exchange) {
    exchange.secret = true;
    return exchange;
}

static enum tm_result ask(struct fixture *f, struct tm_exchange exchange) {
    const struct tm_transport *transport = tm_curl_transport(f->curl);
    memset(&f->answer, 0xa5, sizeof f->answer);
    transport->exchange(transport->self, &exchange, &f->answer);
    return f->answer.result;
}

static void will_answer(struct fixture *f, size_t times) {
    for (size_t i = 0; i < times; i++)
        peer_will_answer(&f->peer, OK_HEAD, OK_BODY, PEER_KEEPS);
}

static void assert_begins(const char *text, const char *start) {
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, start);
}

static void check_bound(struct fixture *f, bool tls12) {
    start_with(f, f->server.cert, f->server.key);
    f->config.tls12 = tls12;
    open_transport(f);
    peer_start(&f->peer);
    will_answer(f, 4);
    write_chain(f, 1, "device");
    /* A connection of the same credential from before must not get the bound request. */
    assert_int_equal(ask(f, as(enroll, TM_SLOT_CURRENT, 1)), TM_RESULT_OK);
    assert_int_equal(f->answer.binding_n, 0);
    assert_int_equal(ask(f, as(cacerts, TM_SLOT_CURRENT, 1)), TM_RESULT_OK);
    const struct peer_request *request = peer_request(&f->peer, 1);
    assert_begins(request->text, "GET /.well-known/est/ldevid/cacerts HTTP/1.1\r\n");
    assert_int_equal(request->connection, 2);
    assert_int_equal(f->answer.binding_n, tls12 ? 12 : 32);
    assert_bytes_equal((struct bytes){f->answer.binding, f->answer.binding_n},
                       (struct bytes){request->binding, request->binding_n});
    /* Also when the answer brought other anchors. */
    trust(f, 1, f->issuing.cert, f->root.cert);
    struct tm_exchange next = as(bound(enroll), TM_SLOT_CURRENT, 1);
    next.anchors_bank = 1;
    assert_int_equal(ask(f, next), TM_RESULT_OK);
    assert_int_equal(peer_request(&f->peer, 2)->connection, 2);
    /* What comes later is judged with the new ones. */
    next.bound = false;
    assert_int_equal(ask(f, next), TM_RESULT_OK);
    assert_int_equal(peer_request(&f->peer, 3)->connection, 3);
}

static void bound_request_goes_over_the_connection_that_was_reported(void **state) {
    check_bound(*state, false);
}

static void bound_request_goes_over_the_connection_that_was_reported_tls12(void **state) {
    check_bound(*state, true);
}

static void bound_request_is_not_sent_over_another_connection(void **state) {
    struct fixture *f = *state;
    start(f);
    peer_will_answer(&f->peer, OK_HEAD, OK_BODY, PEER_CLOSES);
    will_answer(f, 2);
    assert_int_equal(ask(f, cacerts), TM_RESULT_OK);
    assert_int_equal(f->answer.binding_n, 32);
    assert_int_equal(ask(f, bound(enroll)), TM_RESULT_NETWORK);
    assert_int_equal(peer_request_count(&f->peer), 1);
    assert_int_equal(ask(f, bound(enroll)), TM_RESULT_NETWORK);
    assert_string_equal(f->answer.text, "the connection that the request is bound to is gone");
    /* Nor over that of another certificate. */
    write_chain(f, 1, "device");
    assert_int_equal(ask(f, cacerts), TM_RESULT_OK);
    assert_int_equal(ask(f, as(bound(enroll), TM_SLOT_CURRENT, 1)), TM_RESULT_NETWORK);
    assert_int_equal(peer_request_count(&f->peer), 2);
}

/* What cannot carry a bound request has no binding to report. */
static void connection_that_ends_with_its_answer_is_nothing_to_be_bound_to(void **state) {
    struct fixture *f = *state;
    start(f);
    peer_will_answer(&f->peer, OK_HEAD "Connection: close\r\n", OK_BODY, PEER_CLOSES);
    will_answer(f, 2);
    assert_int_equal(ask(f, cacerts), TM_RESULT_OK);
    assert_int_equal(f->answer.binding_n, 0);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
    assert_int_equal(peer_request(&f->peer, 1)->connection, 2);
    assert_int_equal(ask(f, cacerts), TM_RESULT_OK);
    assert_int_equal(f->answer.binding_n, 32);
}

static void each_certificate_has_its_own_connections(void **state) {
    struct fixture *f = *state;
    start(f);
    will_answer(f, 6);
    write_chain(f, 0, "idevid");
    write_chain(f, 1, "first");
    assert_int_equal(ask(f, as(enroll, TM_SLOT_IDEVID, 0)), TM_RESULT_OK);
    assert_int_equal(ask(f, as(enroll, TM_SLOT_CURRENT, 1)), TM_RESULT_OK);
    assert_int_equal(ask(f, as(probe, TM_SLOT_CURRENT, 1)), TM_RESULT_OK);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
    write_chain(f, 1, "second"); /* in the same bank */
    assert_int_equal(ask(f, as(enroll, TM_SLOT_CURRENT, 1)), TM_RESULT_OK);
    assert_int_equal(ask(f, as(enroll, TM_SLOT_CURRENT, 1)), TM_RESULT_OK);
    static const struct {
        const char *client;
        unsigned connection;
    } expected[] = {{"idevid", 1}, {"first", 2},  {"first", 2},
                    {"", 3},       {"second", 4}, {"second", 4}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_string_equal(peer_request(&f->peer, i)->client, expected[i].client);
        assert_int_equal(peer_request(&f->peer, i)->connection, expected[i].connection);
    }
}

static void request_is_what_rfc7030_wants(void **state) {
    struct fixture *f = *state;
    static const uint8_t received[] = {1, 2, 3, 4};
    start(f);
    will_answer(f, 3);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
    assert_bytes_equal(f->answer.body, BYTES_OF(received));
    assert_int_equal(f->answer.server_wall_ms, 0);
    assert_int_equal(f->answer.retry_after_s, 0);
    assert_string_equal(f->answer.text, "");
    const char *text = peer_request(&f->peer, 0)->text;
    assert_begins(text, "POST /.well-known/est/ldevid/simpleenroll HTTP/1.1\r\n");
    assert_non_null(strstr(text, "\r\nContent-Type: application/pkcs10\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nAQIDBA==\n"));
    assert_null(strstr(text, "Authorization"));
    struct tm_exchange reenroll = enroll;
    reenroll.operation = TM_OP_REENROLL;
    reenroll.label = "";
    assert_int_equal(ask(f, reenroll), TM_RESULT_OK);
    assert_begins(peer_request(&f->peer, 1)->text,
                  "POST /.well-known/est/simplereenroll HTTP/1.1\r\n");
    assert_int_equal(ask(f, probe), TM_RESULT_OK);
    assert_begins(peer_request(&f->peer, 2)->text,
                  "GET /.well-known/est/ldevid/csrattrs HTTP/1.1\r\n");
    reenroll.label = "../x";
    assert_int_equal(ask(f, reenroll), TM_RESULT_REFUSED);
}

static void one_time_credential_is_sent_when_asked_for(void **state) {
    struct fixture *f = *state;
    static const char credential[] = "device-1\0a:b";
    start(f);
    assert_int_equal(ask(f, with_secret(enroll)), TM_RESULT_DENIED);
    assert_int_equal(f->storage->write(f->storage->self, TM_ITEM_BOOTSTRAP,
                                       (struct bytes){(const uint8_t *)credential, 12}),
                     TM_OK);
    peer_will_answer(&f->peer, "302 Found\r\nLocation: /elsewhere\r\n", NULL, PEER_KEEPS);
    will_answer(f, 1);
    assert_int_equal(ask(f, with_secret(enroll)), TM_RESULT_REFUSED);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
    assert_int_equal(peer_request_count(&f->peer), 2);
    assert_non_null(
        strstr(peer_request(&f->peer, 0)->text, "\r\nAuthorization: Basic ZGV2aWNlLTE6YTpi\r\n"));
    assert_null(strstr(peer_request(&f->peer, 1)->text, "Authorization"));
}

/* ---- whom it believes ---- */

static void check_untrusted(struct fixture *f, const char *text) {
    write_chain(f, 1, "device");
    assert_int_equal(ask(f, as(enroll, TM_SLOT_CURRENT, 1)), TM_RESULT_UNTRUSTED);
    assert_begins(f->answer.text, text);
    assert_int_equal(peer_request_count(&f->peer), 0);
}

static void server_of_another_root_is_not_believed(void **state) {
    struct fixture *f = *state;
    struct authority other = authority_new("other", NULL);
    start(f);
    trust(f, 0, other.cert, NULL);
    check_untrusted(f, "the server's certificate: ");
    authority_free(&other);
}

static void intermediate_alone_is_no_anchor(void **state) {
    struct fixture *f = *state;
    X509 *cert = certify("server", f->server.key, &f->issuing, "IP:127.0.0.1", 30);
    start_with(f, cert, f->server.key);
    X509_free(cert);
    peer_start(&f->peer);
    trust(f, 0, f->issuing.cert, NULL);
    check_untrusted(f, "the server's certificate: ");
    /* With its root it completes what the server did not send. */
    trust(f, 0, f->issuing.cert, f->root.cert);
    will_answer(f, 1);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
}

static void new_root_is_believed_for_the_old_ones_sake_only(void **state) {
    struct fixture *f = *state;
    struct authority fresh = authority_new("root", NULL);
    X509 *new_with_old = certify("root", fresh.key, &f->root, NULL, 30);
    X509 *cert = certify("server", f->server.key, &fresh, "IP:127.0.0.1", 30);
    start_with(f, cert, f->server.key);
    peer_start(&f->peer);
    trust(f, 0, new_with_old, NULL);
    check_untrusted(f, "the server's certificate: ");
    trust(f, 0, new_with_old, f->root.cert);
    will_answer(f, 1);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
    X509_free(new_with_old);
    X509_free(cert);
    authority_free(&fresh);
}

static void server_of_another_name_is_not_believed(void **state) {
    struct fixture *f = *state;
    X509 *cert = certify("server", f->server.key, &f->root, "DNS:elsewhere.example", 30);
    start_with(f, cert, f->server.key);
    X509_free(cert);
    peer_start(&f->peer);
    check_untrusted(f, "the server's certificate: it does not name the server");
}

static void expired_server_is_believed_only_without_time(void **state) {
    struct fixture *f = *state;
    X509 *cert = certify("server", f->server.key, &f->root, "IP:127.0.0.1", 0);
    start_with(f, cert, f->server.key);
    X509_free(cert);
    peer_start(&f->peer);
    check_untrusted(f, "the server's certificate: certificate has expired");
    f->config.without_time = true;
    open_transport(f);
    will_answer(f, 1);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
}

/* ---- who is not believed ---- */

/* A server that looks for paths to an authority that did not issue the device's certificate. */
static void check_refused_in_tls(struct fixture *f, int version) {
    struct authority other = authority_new("other", NULL);
    start_with(f, f->server.cert, f->server.key);
    SSL_CTX_set_cert_verify_callback(f->peer.ctx, NULL, NULL);
    SSL_CTX_set_verify(f->peer.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(f->peer.ctx), other.cert), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(f->peer.ctx, version), 1);
    authority_free(&other);
    peer_start(&f->peer);
    write_chain(f, 1, "device");
    assert_int_equal(ask(f, as(probe, TM_SLOT_NEXT, 1)), TM_RESULT_DENIED);
    assert_string_equal(f->answer.text, "the server's TLS alert: unknown CA");
    assert_int_equal(peer_request_count(&f->peer), 0);
}

static void alert_about_the_certificate_is_a_refusal(void **state) {
    struct fixture *f = *state;
    check_refused_in_tls(f, TLS1_3_VERSION);
    assert_int_equal(ask(f, probe), TM_RESULT_DENIED);
    assert_begins(f->answer.text, "the server's TLS alert: ");
}

static void alert_about_the_certificate_is_a_refusal_tls12(void **state) {
    check_refused_in_tls(*state, TLS1_2_VERSION);
}

/* No ciphers in common: the alert comes before any certificate, and is no word about it. */
static void other_alerts_are_no_refusal(void **state) {
    struct fixture *f = *state;
    start_with(f, f->server.cert, f->server.key);
    assert_int_equal(SSL_CTX_set_max_proto_version(f->peer.ctx, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(f->peer.ctx, "ECDHE-RSA-AES128-GCM-SHA256"), 1);
    peer_start(&f->peer);
    write_chain(f, 1, "device");
    assert_int_equal(ask(f, as(probe, TM_SLOT_NEXT, 1)), TM_RESULT_NETWORK);
    assert_true(f->answer.text[0] != '\0');
}

static int refuse_hello(SSL *ssl, int *alert, void *arg) {
    (void)ssl, (void)arg;
    *alert = SSL_AD_ACCESS_DENIED;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Before the handshake has keys, anybody in between can send what looks like a refusal. */
static void alert_before_the_certificate_is_no_refusal(void **state) {
    struct fixture *f = *state;
    start_with(f, f->server.cert, f->server.key);
    SSL_CTX_set_client_hello_cb(f->peer.ctx, refuse_hello, NULL);
    peer_start(&f->peer);
    write_chain(f, 1, "device");
    assert_int_equal(ask(f, as(probe, TM_SLOT_CURRENT, 1)), TM_RESULT_NETWORK);
}

static void certificate_that_cannot_be_shown_is_a_refusal(void **state) {
    struct fixture *f = *state;
    static const uint8_t garbage[] = {0x30, 0x03, 0x02, 0x01, 0x01};
    start(f);
    assert_int_equal(ask(f, as(probe, TM_SLOT_CURRENT, 2)), TM_RESULT_DENIED); /* no chain */
    write_chain(f, 1, "device");
    assert_int_equal(f->keys->generate(f->keys->self, 1), TM_OK); /* not the certificate's */
    assert_int_equal(ask(f, as(probe, TM_SLOT_CURRENT, 1)), TM_RESULT_DENIED);
    assert_int_equal(f->keys->destroy(f->keys->self, 1), TM_OK);
    assert_int_equal(ask(f, as(probe, TM_SLOT_CURRENT, 1)), TM_RESULT_DENIED);
    assert_int_equal(f->storage->write(f->storage->self, TM_ITEM_CHAIN_1, BYTES_OF(garbage)),
                     TM_OK);
    assert_int_equal(ask(f, as(probe, TM_SLOT_CURRENT, 1)), TM_RESULT_DENIED);
    assert_begins(f->answer.text, "the certificate cannot be shown");
    assert_int_equal(peer_request_count(&f->peer), 0);
}

/* ---- what answers mean ---- */

struct meaning {
    const char *head, *body;
    enum tm_result result;
    const char *text;
    uint32_t retry_after_s;
};

static void check_meanings(struct fixture *f, struct tm_exchange exchange,
                           const struct meaning *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        peer_will_answer(&f->peer, rows[i].head, rows[i].body, PEER_KEEPS);
        (void)ask(f, exchange);
        if (f->answer.result != rows[i].result || strcmp(f->answer.text, rows[i].text) != 0 ||
            f->answer.retry_after_s != rows[i].retry_after_s)
            fail_msg("row %zu: result %d, text \"%s\", retry after %u", i, (int)f->answer.result,
                     f->answer.text, f->answer.retry_after_s);
    }
}

#define PLAIN "Content-Type: text/plain; charset=utf-8\r\n"
#define DATE "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n"

static void statuses_of_enrollments(void **state) {
    static const struct meaning rows[] = {
        {"202 Accepted\r\nRetry-After: 120\r\n", "", TM_RESULT_LATER, "HTTP status 202", 120},
        {"401 Unauthorized\r\n" PLAIN, "The secret was used.\nMore.", TM_RESULT_DENIED,
         "The secret was used.", 0},
        {"403 Forbidden\r\n", "<html>", TM_RESULT_DENIED, "HTTP status 403", 0},
        {"400 Bad Request\r\n" PLAIN, "\x1b[1mno\xff", TM_RESULT_REFUSED, "?[1mno?", 0},
        {"404 Not Found\r\n", "", TM_RESULT_REFUSED, "HTTP status 404", 0},
        {"408 Request Timeout\r\n", "", TM_RESULT_LATER, "HTTP status 408", 0},
        {"429 Too Many Requests\r\nRetry-After: 7\r\n", "", TM_RESULT_LATER, "HTTP status 429", 7},
        {"503 Busy\r\n" DATE "Retry-After: Fri, 02 Jan 2026 03:05:05 GMT\r\n", "", TM_RESULT_LATER,
         "HTTP status 503", 60},
        {"503 Busy\r\nRetry-After: 99999999999999999999\r\n", "", TM_RESULT_LATER,
         "HTTP status 503", INT32_MAX},
        {"503 Busy\r\n" DATE "Retry-After: soon\r\n", "", TM_RESULT_LATER, "HTTP status 503", 0},
        {"201 Created\r\n", "", TM_RESULT_REFUSED, "HTTP status 201", 0},
        {"204 No Content\r\n", NULL, TM_RESULT_REFUSED, "HTTP status 204", 0},
    };
    start(*state);
    check_meanings(*state, enroll, rows, sizeof rows / sizeof *rows);
    struct fixture *f = *state;
    assert_int_equal(peer_request(&f->peer, 11)->connection, 1);
}

static void bodies_of_enrollments(void **state) {
    static char large[70001];
    const char *not_pkcs7 = "the answer is not application/pkcs7-mime (RFC 7030, 4.2.3)";
    const struct meaning rows[] = {
        {"200 OK\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\n", OK_BODY,
         TM_RESULT_OK, "", 0},
        {OK_HEAD, "-----BEGIN PKCS7-----\r\nAQID\r\nBA==\r\n-----END PKCS7-----\r\n", TM_RESULT_OK,
         "", 0},
        {OK_HEAD, "A?==", TM_RESULT_REFUSED, "the answer is not base64 (RFC 8951, 3.1)", 0},
        {"200 OK\r\n", OK_BODY, TM_RESULT_REFUSED, not_pkcs7, 0},
        {"200 OK\r\nContent-Type: application/pkcs7-mimes\r\n", OK_BODY, TM_RESULT_REFUSED,
         not_pkcs7, 0},
        {OK_HEAD, large, TM_RESULT_REFUSED, "the answer is too large", 0},
    };
    memset(large, 'A', sizeof large - 1);
    start(*state);
    check_meanings(*state, enroll, rows, sizeof rows / sizeof *rows);
}

static void statuses_of_probes(void **state) {
    static char large[70001];
    const struct meaning rows[] = {
        {"204 No Content\r\n", NULL, TM_RESULT_OK, "", 0},
        {"202 Accepted\r\n", "", TM_RESULT_OK, "", 0},
        {"301 Moved\r\nLocation: https://127.0.0.1:1/\r\n", "", TM_RESULT_OK, "", 0},
        {"404 Not Found\r\n", "", TM_RESULT_OK, "", 0},
        {"200 OK\r\n", large, TM_RESULT_OK, "", 0},
        {"401 Unauthorized\r\n", "", TM_RESULT_DENIED, "HTTP status 401", 0},
        {"403 Forbidden\r\n" PLAIN, "You are revoked.", TM_RESULT_DENIED, "You are revoked.", 0},
        {"502 Bad Gateway\r\n", "", TM_RESULT_LATER, "HTTP status 502", 0},
    };
    memset(large, 'A', sizeof large - 1);
    start(*state);
    check_meanings(*state, probe, rows, sizeof rows / sizeof *rows);
}

static void date_is_the_servers_time(void **state) {
    struct fixture *f = *state;
    start(f);
    peer_will_answer(&f->peer, "503 Busy\r\n" DATE, "", PEER_KEEPS);
    assert_int_equal(ask(f, cacerts), TM_RESULT_LATER);
    assert_int_equal(f->answer.server_wall_ms, INT64_C(1767323045000));
}

static void probe_url_is_asked_instead(void **state) {
    struct fixture *f = *state;
    char url[96];
    start(f);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/status?x=1", f->peer.port);
    f->config.probe_url = url;
    open_transport(f);
    peer_will_answer(&f->peer, "200 OK\r\n", "fine", PEER_KEEPS);
    assert_int_equal(ask(f, probe), TM_RESULT_OK);
    assert_begins(peer_request(&f->peer, 0)->text, "GET /status?x=1 HTTP/1.1\r\n");
}

/* ---- no answer ---- */

static void no_answer_is_the_networks_fault(void **state) {
    struct fixture *f = *state;
    char url[64];
    start(f);
    peer_will_answer(&f->peer, NULL, NULL, PEER_CLOSES);
    assert_int_equal(ask(f, enroll), TM_RESULT_NETWORK);
    f->config.timeout_s = 1;
    open_transport(f);
    peer_will_answer(&f->peer, NULL, NULL, PEER_IS_SILENT);
    assert_int_equal(ask(f, enroll), TM_RESULT_NETWORK);
    int closed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* a port where nobody listens */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(closed, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(closed, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", ntohs(address.sin_port));
    f->config.url = url;
    open_transport(f);
    assert_int_equal(ask(f, enroll), TM_RESULT_NETWORK);
    assert_true(f->answer.text[0] != '\0');
    (void)close(closed);
}

static void proxies_of_the_environment_are_not_used(void **state) {
    struct fixture *f = *state;
    start(f);
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    will_answer(f, 1);
    assert_int_equal(ask(f, enroll), TM_RESULT_OK);
    assert_int_equal(unsetenv("https_proxy"), 0);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
}

static void only_https_urls_are_taken(void **state) {
    static const char *const wrong[] = {"http://127.0.0.1",
                                        "127.0.0.1",
                                        "",
                                        "https://127.0.0.1/path",
                                        "https://127.0.0.1/?q",
                                        "https://127.0.0.1/#f",
                                        "https://user@127.0.0.1",
                                        "https://user:secret@127.0.0.1"};
    struct fixture *f = *state;
    struct tm_curl_config config = {.keys = f->keys, .storage = f->storage};
    struct tm_curl *curl = NULL;
    assert_int_equal(tm_curl_open(&config, &curl), TM_EINVAL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        config.url = wrong[i];
        assert_int_equal(tm_curl_open(&config, &curl), TM_EINVAL);
    }
    config.url = "https://[::1]:8443/";
    config.probe_url = "http://127.0.0.1/";
    assert_int_equal(tm_curl_open(&config, &curl), TM_EINVAL);
    assert_null(curl);
    config.probe_url = "https://service.example/where/it/is?used";
    assert_int_equal(tm_curl_open(&config, &curl), TM_OK);
    tm_curl_close(curl);
    struct tm_keys newer = *f->keys;
    newer.version++;
    config.keys = &newer;
    assert_int_equal(tm_curl_open(&config, &curl), TM_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bound_request_goes_over_the_connection_that_was_reported),
        TEST(bound_request_goes_over_the_connection_that_was_reported_tls12),
        TEST(bound_request_is_not_sent_over_another_connection),
        TEST(connection_that_ends_with_its_answer_is_nothing_to_be_bound_to),
        TEST(each_certificate_has_its_own_connections),
        TEST(request_is_what_rfc7030_wants),
        TEST(one_time_credential_is_sent_when_asked_for),
        TEST(server_of_another_root_is_not_believed),
        TEST(intermediate_alone_is_no_anchor),
        TEST(new_root_is_believed_for_the_old_ones_sake_only),
        TEST(server_of_another_name_is_not_believed),
        TEST(expired_server_is_believed_only_without_time),
        TEST(alert_about_the_certificate_is_a_refusal),
        TEST(alert_about_the_certificate_is_a_refusal_tls12),
        TEST(other_alerts_are_no_refusal),
        TEST(alert_before_the_certificate_is_no_refusal),
        TEST(certificate_that_cannot_be_shown_is_a_refusal),
        TEST(statuses_of_enrollments),
        TEST(bodies_of_enrollments),
        TEST(statuses_of_probes),
        TEST(date_is_the_servers_time),
        TEST(probe_url_is_asked_instead),
        TEST(no_answer_is_the_networks_fault),
        TEST(proxies_of_the_environment_are_not_used),
        TEST(only_https_urls_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
