/* SPDX-License-Identifier: Apache-2.0 */
/* The EST service with requests in memory: every status with its headers and its sentence. */
#include "pki_fixture.h"

#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#include "est/service/service.h"
#include "est/wire/base64.h"
#include "est/wire/certs_only.h"
#include "est/wire/serverkeygen.h"
#include "pki/der.h"

#define IDEVID "acme-idevid"
#define LDEVID "acme-ldevid"
#define BARE "bare" /* asks for no attributes */
#define ENROLL "/.well-known/est/" IDEVID "/simpleenroll"
#define FULLCMC "/.well-known/est/" IDEVID "/fullcmc"
#define CMC_REQUEST "application/pkcs7-mime; smime-type=CMC-request"
#define CMC_RESPONSE "application/pkcs7-mime; smime-type=CMC-response"
#define CACERTS "/.well-known/est/" IDEVID "/cacerts"
#define LIBEST "libest 3.2.0p"
#define WHOLE_LINE_MAX 1020

struct world {
    struct est_service *service;
    EVP_PKEY *key;
    struct fixture_der ca, csr;
    uint8_t cacerts[2048], csrattrs[64];
    size_t cacerts_n;
    struct est_response response;
    uint8_t body[EST_BODY_MAX];
    uint8_t memory[IPC_CSR_MAX + IPC_SECRET_MAX];
    struct ipc_refused refused;
    struct ipc_enroll enroll;
};

static struct bytes some_csrattrs(const struct world *w) {
    return (struct bytes){w->csrattrs, 13};
}

/* Three labels; the second is the default. */
static enum tm_err send_entry(struct world *w, uint32_t generation, uint16_t index,
                              uint16_t count) {
    static const char *const labels[] = {LDEVID, IDEVID, BARE};
    struct ipc_catalog entry = {.generation = generation,
                                .index = index,
                                .count = count,
                                .is_default = index == 1,
                                .cacerts = {w->cacerts, w->cacerts_n}};
    (void)strcpy(entry.label, labels[index % 3]);
    if (index != 2)
        entry.csrattrs = some_csrattrs(w);
    return est_service_catalog(w->service, &entry);
}

static int make_world(void **state) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->key = fixture_p256();
    X509 *ca = fixture_certificate(w->key, "CA", NULL);
    FIXTURE_I2D(&w->ca, X509, ca);
    X509_free(ca);
    X509_REQ *request = fixture_request(w->key, "SN-1");
    w->csr = fixture_sign_request(request, w->key);
    X509_REQ_free(request);
    struct buf out = BUF_ON(w->cacerts);
    assert_int_equal(est_certs_only_write(fixture_bytes(&w->ca), &out), TM_OK);
    w->cacerts_n = out.n;
    memcpy(w->csrattrs, "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07", 13);
    *state = w;
    return 0;
}

static int free_world(void **state) {
    struct world *w = *state;
    fixture_free(&w->ca);
    fixture_free(&w->csr);
    EVP_PKEY_free(w->key);
    free(w);
    return 0;
}

static int new_service(void **state) {
    struct world *w = *state;
    return est_service_new(&w->service) == TM_OK ? 0 : -1;
}

static int ready_service(void **state) {
    struct world *w = *state;
    assert_int_equal(est_service_new(&w->service), TM_OK);
    for (uint16_t i = 0; i < 3; i++)
        assert_int_equal(send_entry(w, 1, i, 3), TM_OK);
    return 0;
}

static int free_service(void **state) {
    struct world *w = *state;
    est_service_free(w->service);
    return 0;
}

static struct est_request get(const char *path) {
    return (struct est_request){.id = 7, .method = "GET", .path = path, .remote = "192.0.2.1:4711"};
}

static struct est_request post(const char *path, struct bytes body) {
    struct est_request request = get(path);
    request.method = "POST";
    request.content_type = "application/pkcs10";
    request.body = body;
    return request;
}

static enum est_next ask(struct world *w, const struct est_request *request) {
    struct buf scratch = BUF_ON(w->memory);
    memset(&w->response, 0x5a, sizeof w->response);
    memset(&w->refused, 0x5a, sizeof w->refused);
    w->response.body = BUF_ON(w->body);
    return est_service_request(w->service, request, &scratch, &w->enroll, &w->response,
                               &w->refused);
}

static enum tm_err ask_head(struct world *w, const struct est_request *request, int64_t length) {
    memset(&w->response, 0x5a, sizeof w->response);
    memset(&w->refused, 0x5a, sizeof w->refused);
    w->response.body = BUF_ON(w->body);
    return est_service_head(w->service, request, length, 20000, &w->response, &w->refused);
}

static const char *header(const struct est_response *response, const char *name) {
    const char *value = NULL;
    assert_true(response->header_count <= EST_HEADERS_MAX);
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, name) == 0) {
            assert_null(value); /* once */
            value = response->headers[i].value;
        }
    return value;
}

/* text/plain, one line, a sentence. */
static void assert_sentence(const struct est_response *response) {
    assert_string_equal(header(response, "Content-Type"), "text/plain");
    assert_false(response->body.full);
    assert_true(response->body.n > 10);
    assert_int_equal(response->body.p[response->body.n - 1], '\n');
    assert_null(memchr(response->body.p, '\n', response->body.n - 1));
    for (size_t i = 0; i + 1 < response->body.n; i++)
        assert_true(response->body.p[i] >= 0x20 && response->body.p[i] < 0x7f);
}

/* What every refusal has, on the wire and in the record. */
static void assert_refused(const struct world *w, unsigned status, enum ipc_outcome outcome,
                           enum ipc_operation operation, const char *label) {
    const struct est_response *response = &w->response;
    assert_int_equal(response->status, status);
    assert_sentence(response);
    assert_int_equal(header(response, "WWW-Authenticate") != NULL, status == 401);
    assert_int_equal(header(response, "Allow") != NULL, status == 405);
    assert_int_equal(w->refused.outcome, outcome);
    assert_int_equal(w->refused.id, 7);
    assert_int_equal(w->refused.operation, operation);
    assert_int_equal(w->refused.origin, IPC_ORIGIN_HTTPS);
    assert_string_equal(w->refused.label, label);
    assert_string_equal(w->refused.remote, "192.0.2.1:4711");
    assert_memory_equal(w->refused.text, response->body.p, response->body.n - 1);
    assert_int_equal(strlen(w->refused.text), response->body.n - 1);
    uint8_t memory[IPC_MESSAGE_MAX];
    struct buf out = BUF_ON(memory);
    assert_int_equal(codec_encode(&ipc_refused_schema, &w->refused, &out), TM_OK);
}

/* The body: base64 of `der` in lines of `wrap` characters, 0 = one line, and LF. */
static void assert_base64_body(const struct est_response *response, const char *type,
                               struct bytes der, size_t wrap) {
    uint8_t decoded[IPC_CMC_MAX];
    struct buf out = BUF_ON(decoded);
    assert_string_equal(header(response, "Content-Type"), type);
    assert_string_equal(header(response, "Content-Transfer-Encoding"), "base64");
    assert_int_equal(est_base64_decode(buf_bytes(&response->body), &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), der);
    const uint8_t *p = response->body.p, *end = p + response->body.n;
    assert_int_equal(end[-1], '\n');
    while (p < end) {
        const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
        assert_non_null(lf);
        if (lf + 1 < end)
            assert_int_equal(lf - p, wrap);
        p = lf + 1;
    }
    if (wrap == 0)
        assert_ptr_equal(memchr(response->body.p, '\n', response->body.n), end - 1);
}

static void assert_der_body(const struct est_response *response, const char *type, struct bytes der,
                            size_t wrap) {
    assert_int_equal(response->status, 200);
    assert_base64_body(response, type, der, wrap);
}

static void before_the_catalog_everything_answers_503(void **state) {
    struct world *w = *state;
    const char *const paths[] = {CACERTS, ENROLL, "/", "/.well-known/est/csrattrs"};
    unsigned seen[64] = {0}, different = 0;
    assert_false(est_service_ready(w->service));
    for (unsigned i = 0; i < 400; i++) {
        struct est_request request = get(paths[i % 4]);
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_int_equal(w->response.status, 503);
        assert_sentence(&w->response);
        assert_int_equal(w->refused.outcome, 0);
        long seconds = strtol(header(&w->response, "Retry-After"), NULL, 10);
        assert_true(seconds >= 5 && seconds <= 25);
        different += seen[seconds]++ == 0;
        assert_int_equal(ask_head(w, &request, 0), TM_EDENIED);
        assert_int_equal(w->response.status, 503);
    }
    assert_true(different > 10); /* spread, so that not all come back at once */
}

static void a_generation_is_visible_when_it_is_whole(void **state) {
    struct world *w = *state;
    struct est_request cacerts = get(CACERTS);
    assert_int_equal(send_entry(w, 5, 2, 3), TM_OK);
    assert_int_equal(send_entry(w, 5, 2, 3), TM_OK); /* again is not another */
    assert_int_equal(send_entry(w, 5, 0, 3), TM_OK);
    assert_false(est_service_ready(w->service));
    assert_int_equal(send_entry(w, 5, 1, 3), TM_OK);
    assert_true(est_service_ready(w->service));
    assert_int_equal(ask(w, &cacerts), EST_RESPOND);
    assert_int_equal(w->response.status, 200);
    /* the next generation has one label less, and begins twice */
    assert_int_equal(send_entry(w, 6, 0, 3), TM_OK);
    assert_int_equal(send_entry(w, 7, 0, 1), TM_OK);
    assert_int_equal(ask(w, &cacerts), EST_RESPOND);
    assert_int_equal(w->response.status, 404);
    struct est_request other = get("/.well-known/est/" LDEVID "/cacerts");
    assert_int_equal(ask(w, &other), EST_RESPOND);
    assert_int_equal(w->response.status, 200);
    /* older ones and the same again change nothing */
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(send_entry(w, 5, i, 3), TM_OK);
        assert_int_equal(send_entry(w, 7, i, 3), TM_OK);
    }
    assert_int_equal(ask(w, &cacerts), EST_RESPOND);
    assert_int_equal(w->response.status, 404);
}

static void contradicting_catalogs_are_refused(void **state) {
    struct world *w = *state;
    assert_int_equal(send_entry(w, 1, 0, 0), TM_EINVAL);
    assert_int_equal(send_entry(w, 1, 3, 3), TM_EINVAL);
    assert_int_equal(send_entry(w, 1, 0, 2), TM_EINVAL);
    assert_int_equal(send_entry(w, 1, 0, 3), TM_OK);
    assert_int_equal(send_entry(w, 1, 1, 2), TM_EINVAL);
    assert_int_equal(send_entry(w, 1, 1, 3), TM_OK);
    assert_int_equal(send_entry(w, 1, 2, 3), TM_OK);
    assert_true(est_service_ready(w->service));
}

static void cacerts_are_one_line_that_openssl_reads(void **state) {
    struct world *w = *state;
    static const char *const paths[] = {CACERTS, "/.well-known/est/cacerts",
                                        "/.well-known/est/" BARE "/cacerts"};
    static const char *const methods[] = {"GET", "HEAD"};
    for (size_t i = 0; i < 6; i++) {
        struct est_request request = get(paths[i % 3]);
        request.method = methods[i / 3];
        assert_int_equal(ask_head(w, &request, 0), TM_OK);
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_int_equal(w->refused.outcome, 0);
        assert_false(w->response.close);
        assert_int_equal(w->response.header_count, 2);
        assert_der_body(&w->response, "application/pkcs7-mime",
                        (struct bytes){w->cacerts, w->cacerts_n}, 0);
    }
    /* as `openssl base64 -d | openssl pkcs7 -inform DER` */
    BIO *mem = BIO_new_mem_buf(w->body, (int)w->response.body.n), *b64 = BIO_new(BIO_f_base64());
    PKCS7 *p7 = d2i_PKCS7_bio(BIO_push(b64, mem), NULL);
    assert_non_null(p7);
    assert_int_equal(sk_X509_num(p7->d.sign->cert), 1);
    PKCS7_free(p7);
    BIO_free_all(b64);
}

static void csrattrs_are_served_or_204(void **state) {
    struct world *w = *state;
    struct est_request request = get("/.well-known/est/csrattrs");
    assert_int_equal(ask(w, &request), EST_RESPOND);
    assert_der_body(&w->response, "application/csrattrs", some_csrattrs(w), 0);
    request.path = "/.well-known/est/" BARE "/csrattrs";
    assert_int_equal(ask(w, &request), EST_RESPOND);
    assert_int_equal(w->response.status, 204);
    assert_int_equal(w->response.header_count, 0);
    assert_int_equal(w->response.body.n, 0);
    assert_int_equal(w->refused.outcome, 0);
}

/* One test per row of the quirk table, with those that must not match. */
static void long_bodies_are_wrapped_for_those_who_need_it(void **state) {
    struct world *w = *state;
    static const struct {
        const char *user_agent;
        bool wraps;
    } clients[] = {
        {NULL, false}, /* strongSwan: one unbroken line only */
        {"", false},
        {LIBEST, true},
        {"libest/3.2.0", true},
        {"Agent/1.0 libest/3.2.0", true},
        {"Agent/1.0 (factory (line 1)) libest", true},
        {"libest-like/1.0", false},
        {"mylibest", false},
        {"LibEST", false}, /* products are compared as they stand */
        {"Agent/libest", false},
        {"Agent (libest)", false},
        {"Agent (a \\) libest", false},
        {"Agent (a \\) b) libest", true},
        {"Agent (a (b) libest c)", false},
        {"curl/7.88.1", false},
        {"Go-http-client/1.1", false},
    };
    static uint8_t der[IPC_CERT_MAX], content[IPC_CERT_MAX];
    size_t short_lines = 0, long_lines = 0;
    /* any SEQUENCE stands for a certificate; up to the largest that there is */
    for (size_t n = 690; n <= IPC_CERT_MAX - 4; n += n < 730 ? 1 : 677)
        for (size_t c = 0; c < sizeof clients / sizeof *clients; c++) {
            struct der_writer writer = der_writer_on(der, sizeof der);
            der_put(&writer, DER_SEQUENCE, (struct bytes){content, n});
            struct ipc_reply reply = {.outcome = IPC_ISSUED, .certificate = der_written(&writer)};
            w->response.body = BUF_ON(w->body);
            est_service_reply(w->service, &reply, clients[c].user_agent, &w->response);
            uint8_t expect[IPC_CERT_MAX + 64];
            struct buf message = BUF_ON(expect);
            assert_int_equal(est_certs_only_write(reply.certificate, &message), TM_OK);
            bool is_long = est_base64_size(message.n, 0) > WHOLE_LINE_MAX;
            bool wraps = clients[c].wraps && is_long;
            *(is_long ? &long_lines : &short_lines) += 1;
            assert_der_body(&w->response, "application/pkcs7-mime; smime-type=certs-only",
                            buf_bytes(&message), wraps ? 64 : 0);
        }
    assert_true(short_lines > 0 && long_lines > 0);
}

static struct bytes base64_body(const struct world *w, size_t wrap, uint8_t memory[1024]) {
    struct buf out = {memory, 1024, 0, false};
    assert_int_equal(est_base64_encode(fixture_bytes(&w->csr), wrap, &out), TM_OK);
    return buf_bytes(&out);
}

static void enrollments_go_to_the_core(void **state) {
    struct world *w = *state;
    uint8_t memory[1024], message[IPC_MESSAGE_MAX];
    struct est_request request = post(ENROLL, base64_body(w, 0, memory));
    request.authorization = "Basic U04tMTpzZWNyZXQ="; /* SN-1:secret */
    request.peer_leaf = bytes_str("leaf");
    request.peer_chain = bytes_str("chain");
    request.tls_exporter = bytes_str("exporter");
    request.tls_unique = bytes_str("unique");
    assert_int_equal(ask_head(w, &request, (int64_t)request.body.n), TM_OK);
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_int_equal(w->enroll.id, 7);
    assert_int_equal(w->enroll.operation, IPC_OP_ENROLL);
    assert_int_equal(w->enroll.origin, IPC_ORIGIN_HTTPS);
    assert_string_equal(w->enroll.label, IDEVID);
    assert_string_equal(w->enroll.remote, "192.0.2.1:4711");
    assert_string_equal(w->enroll.user, "SN-1");
    assert_bytes_equal(w->enroll.secret, bytes_str("secret"));
    assert_bytes_equal(w->enroll.peer_leaf, bytes_str("leaf"));
    assert_bytes_equal(w->enroll.peer_chain, bytes_str("chain"));
    assert_bytes_equal(w->enroll.tls_exporter, bytes_str("exporter"));
    assert_bytes_equal(w->enroll.tls_unique, bytes_str("unique"));
    assert_bytes_equal(w->enroll.csr, fixture_bytes(&w->csr));
    struct buf out = BUF_ON(message);
    assert_int_equal(codec_encode(&ipc_enroll_schema, &w->enroll, &out), TM_OK);
    request.path = "/.well-known/est/simplereenroll";
    request.authorization = NULL;
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_int_equal(w->enroll.operation, IPC_OP_REENROLL);
    assert_string_equal(w->enroll.label, "");
    assert_string_equal(w->enroll.user, "");
    assert_int_equal(w->enroll.secret.n, 0);
}

/* strongSwan, libest, curl with a PEM file, Go: how they send bodies and media types. */
static void request_bodies_are_read_as_clients_send_them(void **state) {
    struct world *w = *state;
    uint8_t memory[1024], crlf[1200];
    static const char *const types[] = {"application/pkcs10", "Application/PKCS10; charset=utf-8"};
    struct bytes wrapped = base64_body(w, 76, memory);
    struct buf lines = BUF_ON(crlf);
    for (size_t i = 0; i < wrapped.n; i++) {
        if (wrapped.p[i] == '\n')
            buf_put_u8(&lines, '\r');
        buf_put_u8(&lines, wrapped.p[i]);
    }
    buf_put(&lines, bytes_str("\r\n\r\n"));
    BIO *bio = BIO_new(BIO_s_mem());
    const unsigned char *p = w->csr.p;
    X509_REQ *request = d2i_X509_REQ(NULL, &p, w->csr.n);
    assert_true(PEM_write_bio_X509_REQ(bio, request));
    char *pem;
    long pem_n = BIO_get_mem_data(bio, &pem);
    uint8_t one_line[1024];
    const struct bytes bodies[] = {base64_body(w, 0, one_line),
                                   wrapped,
                                   buf_bytes(&lines),
                                   {(const uint8_t *)pem, (size_t)pem_n}};
    for (size_t i = 0; i < 8; i++) {
        struct est_request sent = post(ENROLL, bodies[i % 4]);
        sent.content_type = types[i / 4];
        assert_int_equal(ask(w, &sent), EST_ASK_CORE);
        assert_bytes_equal(w->enroll.csr, fixture_bytes(&w->csr));
    }
    X509_REQ_free(request);
    BIO_free(bio);
}

static void other_schemes_are_left_to_the_certificate(void **state) {
    struct world *w = *state;
    uint8_t memory[1024];
    struct est_request request = post(ENROLL, base64_body(w, 0, memory));
    request.authorization = "Bearer abc";
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_string_equal(w->enroll.user, "");
}

static void bad_credentials_are_401(void **state) {
    struct world *w = *state;
    uint8_t memory[1024];
    char long_secret[300] = "Basic ";
    uint8_t plain[3 + IPC_SECRET_MAX] = "u:";
    memset(plain + 2, 'x', sizeof plain - 2);
    struct buf out = {(uint8_t *)long_secret, sizeof long_secret - 1, 6, false};
    assert_int_equal(est_base64_encode(BYTES_OF(plain), 0, &out), TM_OK);
    const char *const bad[] = {"Basic", "Basic ?", "Basic dXA=", long_secret};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct est_request request = post(ENROLL, base64_body(w, 0, memory));
        request.authorization = bad[i];
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_refused(w, 401, IPC_BAD_SECRET, IPC_OP_ENROLL, IDEVID);
        assert_string_equal(header(&w->response, "WWW-Authenticate"), "Basic realm=\"touchmark\"");
        assert_string_equal(w->refused.user, "");
    }
    /* the longest that may be */
    uint8_t fits[2 + IPC_SECRET_MAX];
    memcpy(fits, plain, sizeof fits);
    memset(long_secret + 6, 0, sizeof long_secret - 6);
    out.n = 6;
    assert_int_equal(est_base64_encode(BYTES_OF(fits), 0, &out), TM_OK);
    struct est_request request = post(ENROLL, base64_body(w, 0, memory));
    request.authorization = long_secret;
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_int_equal(w->enroll.secret.n, IPC_SECRET_MAX);
}

static void bad_bodies_are_400(void **state) {
    struct world *w = *state;
    uint8_t memory[1024];
    struct bytes whole = base64_body(w, 0, memory);
    memory[whole.n] = '!';
    const struct bytes bad[] = {
        {NULL, 0},
        bytes_str(" \r\n"),
        bytes_str("{\"csr\":1}"),
        {memory, whole.n + 1},  /* junk behind the base64 */
        {memory, whole.n - 1},  /* and a character missing */
        fixture_bytes(&w->csr), /* raw DER */
        bytes_str("-----BEGIN CERTIFICATE REQUEST-----\n"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct est_request request = post(ENROLL, bad[i]);
        request.authorization = "Basic U04tMTpzZWNyZXQ=";
        request.peer_leaf = bytes_str("leaf");
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_refused(w, 400, IPC_BAD_BODY, IPC_OP_ENROLL, IDEVID);
        assert_string_equal(w->refused.user, "SN-1");
        assert_bytes_equal(w->refused.peer_leaf, bytes_str("leaf"));
        assert_false(w->response.close);
    }
}

/* What is base64 but no request is the core's to refuse: it knows who asked. */
static void the_core_judges_what_the_base64_holds(void **state) {
    struct world *w = *state;
    struct est_request request = post(ENROLL, bytes_str("aGVsbG8="));
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_bytes_equal(w->enroll.csr, bytes_str("hello"));
}

static void sizes_are_bounded(void **state) {
    struct world *w = *state;
    static char large[(IPC_CSR_MAX + 3) / 3 * 4 + 8];
    struct est_request request = post(ENROLL, (struct bytes){0});
    assert_int_equal(ask_head(w, &request, 20000), TM_OK);
    assert_int_equal(ask_head(w, &request, -1), TM_OK);
    assert_int_equal(ask_head(w, &request, 20001), TM_EDENIED);
    assert_refused(w, 413, IPC_TOO_LARGE, IPC_OP_ENROLL, IDEVID);
    assert_non_null(strstr(w->refused.text, "20000"));
    assert_true(w->response.close);
    assert_int_equal(ask_head(w, &request, INT64_MAX), TM_EDENIED);
    memset(large, 'A', sizeof large);
    request.body = (struct bytes){(const uint8_t *)large, (IPC_CSR_MAX + 3) / 3 * 4};
    assert_int_equal(ask(w, &request), EST_RESPOND);
    assert_refused(w, 413, IPC_TOO_LARGE, IPC_OP_ENROLL, IDEVID);
    request.body.n -= 4;
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
}

static void wrong_paths_are_404(void **state) {
    struct world *w = *state;
    static const struct {
        const char *path, *label;
        bool query;
        enum ipc_outcome outcome;
        enum ipc_operation operation;
    } cases[] = {
        {"/.well-known/est", "", false, IPC_BAD_PATH, IPC_OP_OTHER},
        {"/.well-known/est/", "", false, IPC_BAD_PATH, IPC_OP_OTHER},
        {"/.well-known/est/simpleenroll/cacerts", "", false, IPC_BAD_PATH, IPC_OP_OTHER},
        {"/.well-known/est/acme%2didevid/cacerts", "", false, IPC_BAD_PATH, IPC_OP_OTHER},
        {CACERTS, IDEVID, true, IPC_BAD_PATH, IPC_OP_CACERTS},
        {"/.well-known/est/unknown/cacerts", "unknown", false, IPC_UNKNOWN_LABEL, IPC_OP_CACERTS},
        {"/.well-known/est/acme-idevi/simpleenroll", "acme-idevi", false, IPC_UNKNOWN_LABEL,
         IPC_OP_ENROLL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct est_request request = get(cases[i].path);
        request.has_query = cases[i].query;
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_refused(w, 404, cases[i].outcome, cases[i].operation, cases[i].label);
        assert_int_equal(ask_head(w, &request, 0), TM_EDENIED);
        assert_refused(w, 404, cases[i].outcome, cases[i].operation, cases[i].label);
        assert_false(w->response.close);
    }
    struct est_request scanner = get("/admin.php");
    assert_int_equal(ask(w, &scanner), EST_RESPOND);
    assert_int_equal(w->response.status, 404);
    assert_sentence(&w->response);
    assert_int_equal(w->refused.outcome, 0); /* nobody asked the CA for anything */
}

static void without_a_default_label_there_is_none(void **state) {
    struct world *w = *state;
    assert_int_equal(send_entry(w, 2, 0, 1), TM_OK);
    struct est_request request = get("/.well-known/est/cacerts");
    assert_int_equal(ask(w, &request), EST_RESPOND);
    assert_refused(w, 404, IPC_UNKNOWN_LABEL, IPC_OP_CACERTS, "");
}

static void wrong_methods_are_405(void **state) {
    struct world *w = *state;
    static const struct {
        const char *operation, *method, *allow;
        enum ipc_operation ipc;
    } cases[] = {
        {"simpleenroll", "GET", "POST", IPC_OP_ENROLL},
        {"simpleenroll", "HEAD", "POST", IPC_OP_ENROLL},
        {"simplereenroll", "PUT", "POST", IPC_OP_REENROLL},
        {"serverkeygen", "GET", "POST", IPC_OP_SERVERKEYGEN},
        {"fullcmc", "GET", "POST", IPC_OP_FULLCMC},
        {"cacerts", "POST", "GET, HEAD", IPC_OP_CACERTS},
        {"csrattrs", "DELETE", "GET, HEAD", IPC_OP_CSRATTRS},
        {"cacerts", "get", "GET, HEAD", IPC_OP_CACERTS}, /* methods have their case */
        {"cacerts", "OPTIONS", "GET, HEAD", IPC_OP_CACERTS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/.well-known/est/%s", cases[i].operation);
        struct est_request request = post(path, (struct bytes){0});
        request.method = cases[i].method;
        assert_int_equal(ask_head(w, &request, -1), TM_EDENIED);
        assert_refused(w, 405, IPC_BAD_METHOD, cases[i].ipc, "");
        assert_string_equal(header(&w->response, "Allow"), cases[i].allow);
        assert_true(w->response.close);
    }
}

static void wrong_media_types_are_415(void **state) {
    struct world *w = *state;
    uint8_t memory[1024];
    static const char *const bad[] = {NULL,
                                      "",
                                      "application/pkcs10x",
                                      "application/pkcs7-mime",
                                      "text/plain",
                                      "application/x-www-form-urlencoded",
                                      "application/octet-stream"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct est_request request = post(ENROLL, base64_body(w, 0, memory));
        request.content_type = bad[i];
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_refused(w, 415, IPC_BAD_CONTENT_TYPE, IPC_OP_ENROLL, IDEVID);
        assert_non_null(strstr(w->refused.text, "application/pkcs10"));
    }
}

/* Whether its profile makes keys knows the core. */
static void requests_for_a_key_go_to_the_core(void **state) {
    struct world *w = *state;
    struct est_request request = post("/.well-known/est/serverkeygen", bytes_str("MA=="));
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_int_equal(w->enroll.operation, IPC_OP_SERVERKEYGEN);
    assert_bytes_equal(w->enroll.csr, bytes_str("0"));
    request.content_type = "multipart/mixed";
    assert_int_equal(ask(w, &request), EST_RESPOND);
    assert_refused(w, 415, IPC_BAD_CONTENT_TYPE, IPC_OP_SERVERKEYGEN, "");
}

/* RFC 7030, 4.3: who asks stands in the message, so HTTP credentials are not even looked at. */
static void full_pki_requests_go_to_the_core(void **state) {
    struct world *w = *state;
    static const char *const types[] = {CMC_REQUEST,
                                        "Application/PKCS7-MIME;SMIME-Type=\"cmc-request\"",
                                        CMC_REQUEST "; name=request.p7m"};
    static const char *const authorizations[] = {NULL, "Basic U04tMTpzZWNyZXQ=", "Basic !!!"};
    uint8_t message[IPC_MESSAGE_MAX];
    for (size_t i = 0; i < 9; i++) {
        struct buf out = BUF_ON(message);
        struct est_request request = post(FULLCMC, bytes_str("aGVsbG8="));
        request.content_type = types[i / 3];
        request.authorization = authorizations[i % 3];
        request.peer_leaf = bytes_str("leaf");
        request.peer_chain = bytes_str("chain");
        request.tls_exporter = bytes_str("exporter");
        assert_int_equal(ask_head(w, &request, (int64_t)request.body.n), TM_OK);
        assert_int_equal(ask(w, &request), EST_ASK_CORE);
        assert_int_equal(w->enroll.operation, IPC_OP_FULLCMC);
        assert_int_equal(w->enroll.origin, IPC_ORIGIN_HTTPS);
        assert_string_equal(w->enroll.label, IDEVID);
        assert_bytes_equal(w->enroll.csr, bytes_str("hello"));
        assert_string_equal(w->enroll.user, "");
        assert_int_equal(w->enroll.secret.n, 0);
        assert_bytes_equal(w->enroll.peer_leaf, bytes_str("leaf"));
        assert_bytes_equal(w->enroll.peer_chain, bytes_str("chain"));
        assert_bytes_equal(w->enroll.tls_exporter, bytes_str("exporter"));
        assert_int_equal(codec_encode(&ipc_enroll_schema, &w->enroll, &out), TM_OK);
    }
    struct est_request request = post("/.well-known/est/fullcmc", bytes_str("aGVsbG8="));
    request.content_type = CMC_REQUEST;
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
    assert_string_equal(w->enroll.label, "");
}

static void full_pki_requests_are_judged_as_others_are(void **state) {
    struct world *w = *state;
    static char large[(IPC_CSR_MAX + 3) / 3 * 4];
    static const char *const bad[] = {
        NULL, "application/pkcs7-mime", "application/pkcs7-mime; smime-type=CMC-response",
        "application/pkcs10", "application/cms; smime-type=CMC-request"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct est_request request = post(FULLCMC, bytes_str("aGVsbG8="));
        request.content_type = bad[i];
        assert_int_equal(ask_head(w, &request, 8), TM_EDENIED);
        assert_refused(w, 415, IPC_BAD_CONTENT_TYPE, IPC_OP_FULLCMC, IDEVID);
        assert_non_null(strstr(w->refused.text, CMC_REQUEST));
    }
    const struct bytes bodies[] = {{NULL, 0}, bytes_str("{}"), bytes_str("aGVsbG8")};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct est_request request = post(FULLCMC, bodies[i]);
        request.content_type = CMC_REQUEST;
        request.authorization = "Basic U04tMTpzZWNyZXQ=";
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_refused(w, 400, IPC_BAD_BODY, IPC_OP_FULLCMC, IDEVID);
        assert_string_equal(w->refused.user, "");
    }
    memset(large, 'A', sizeof large);
    struct est_request request = post(FULLCMC, BYTES_OF(large));
    request.content_type = CMC_REQUEST;
    assert_int_equal(ask(w, &request), EST_RESPOND);
    assert_refused(w, 413, IPC_TOO_LARGE, IPC_OP_FULLCMC, IDEVID);
    request.body.n -= 4;
    assert_int_equal(ask(w, &request), EST_ASK_CORE);
}

static void an_issued_certificate_comes_alone(void **state) {
    struct world *w = *state;
    for (int repeated = 0; repeated < 2; repeated++) {
        struct ipc_reply reply = {.id = 7,
                                  .outcome = repeated ? IPC_REPEATED : IPC_ISSUED,
                                  .certificate = fixture_bytes(&w->ca)};
        w->response.body = BUF_ON(w->body);
        est_service_reply(w->service, &reply, NULL, &w->response);
        assert_int_equal(w->response.header_count, 2);
        assert_der_body(&w->response, "application/pkcs7-mime; smime-type=certs-only",
                        (struct bytes){w->cacerts, w->cacerts_n}, 0);
    }
    struct ipc_reply broken = {.outcome = IPC_ISSUED, .certificate = bytes_str("junk")};
    est_service_reply(w->service, &broken, NULL, &w->response);
    assert_int_equal(w->response.status, 500);
    assert_sentence(&w->response);
}

/* RFC 7030, 4.4.2: two parts, and the second is what simpleenroll answers. */
static void a_generated_key_comes_with_its_certificate(void **state) {
    struct world *w = *state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        uint8_t memory[IPC_CERT_MAX * 2];
        struct buf out = BUF_ON(memory);
        struct est_serverkeygen parts;
        struct ipc_reply reply = {.outcome = encrypted ? IPC_REPEATED : IPC_ISSUED,
                                  .certificate = fixture_bytes(&w->ca),
                                  .key = bytes_str("a key"),
                                  .key_encrypted = encrypted != 0};
        w->response.body = BUF_ON(w->body);
        est_service_reply(w->service, &reply, LIBEST, &w->response);
        assert_int_equal(w->response.status, 200);
        assert_int_equal(w->response.header_count, 1);
        assert_int_equal(est_serverkeygen_read(header(&w->response, "Content-Type"),
                                               buf_bytes(&w->response.body), &out, &parts),
                         TM_OK);
        assert_int_equal(parts.encrypted, encrypted);
        assert_bytes_equal(parts.key, reply.key);
        assert_bytes_equal(parts.issued, ((struct bytes){w->cacerts, w->cacerts_n}));
    }
}

static const struct {
    enum ipc_outcome outcome;
    unsigned status;
} statuses[] = {
    {IPC_ISSUED, 200},         {IPC_REPEATED, 200},       {IPC_PENDING, 202},
    {IPC_BUSY, 503},           {IPC_UNAVAILABLE, 503},    {IPC_NO_CREDENTIAL, 401},
    {IPC_BAD_SECRET, 401},     {IPC_SECRET_USED, 401},    {IPC_UNTRUSTED, 403},
    {IPC_EXPIRED, 403},        {IPC_REVOKED, 403},        {IPC_WRONG_TENANT, 403},
    {IPC_UNKNOWN_DEVICE, 403}, {IPC_WRONG_STATE, 403},    {IPC_WRONG_CREDENTIAL, 403},
    {IPC_UNKNOWN_LABEL, 404},  {IPC_BAD_CSR, 400},        {IPC_BAD_POP, 400},
    {IPC_BAD_KEY, 400},        {IPC_DUPLICATE_KEY, 409},  {IPC_BAD_SUBJECT, 400},
    {IPC_BAD_SAN, 400},        {IPC_BAD_EXTENSION, 400},  {IPC_NOT_LINKED, 400},
    {IPC_BAD_LINK, 400},       {IPC_ALREADY_ISSUED, 409}, {IPC_CONFLICT, 409},
    {IPC_BAD_PATH, 404},       {IPC_BAD_METHOD, 405},     {IPC_BAD_CONTENT_TYPE, 415},
    {IPC_BAD_BODY, 400},       {IPC_TOO_LARGE, 413},      {IPC_NOT_IMPLEMENTED, 501},
    {IPC_FAILED, 500},         {IPC_CONFIRMED, 200},      {IPC_BAD_CMC, 400},
    {IPC_BAD_SIGNATURE, 401},  {IPC_BAD_CHALLENGE, 400},  {IPC_DENIED, 403},
    {IPC_UPSTREAM_NO, 403},
};

static void every_outcome_has_its_status(void **state) {
    struct world *w = *state;
    assert_int_equal(sizeof statuses / sizeof *statuses, IPC_OUTCOME_LAST);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        enum ipc_outcome outcome = statuses[i].outcome;
        assert_int_equal(est_status(outcome), statuses[i].status);
        if (statuses[i].status == 200)
            continue;
        bool wait = outcome == IPC_PENDING || outcome == IPC_BUSY || outcome == IPC_UNAVAILABLE;
        for (int filled = 0; filled < 2; filled++) {
            struct ipc_reply reply = {.outcome = (uint8_t)outcome,
                                      .retry_after_s = filled ? 77 : 0};
            if (filled)
                (void)strcpy(reply.text, "This is why.");
            w->response.body = BUF_ON(w->body);
            est_service_reply(w->service, &reply, NULL, &w->response);
            assert_int_equal(w->response.status, statuses[i].status);
            assert_string_equal(header(&w->response, "Content-Type"), "text/plain");
            assert_int_equal(header(&w->response, "WWW-Authenticate") != NULL,
                             statuses[i].status == 401);
            const char *retry = header(&w->response, "Retry-After");
            assert_int_equal(retry != NULL, wait);
            if (wait && filled)
                assert_string_equal(retry, "77");
            if (wait)
                assert_true(strtol(retry, NULL, 10) > 0);
            if (filled)
                assert_bytes_equal(buf_bytes(&w->response.body), bytes_str("This is why.\n"));
            assert_true(w->response.body.n > 1);
        }
    }
    assert_int_equal(est_status((enum ipc_outcome)0), 500);
    assert_int_equal(est_status((enum ipc_outcome)200), 500);
}

/* RFC 7030, 4.3.2: whatever became of it, the Full PKI Response is the body. */
static void every_outcome_may_have_a_full_pki_response(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        enum ipc_outcome outcome = statuses[i].outcome;
        bool wait = outcome == IPC_PENDING || outcome == IPC_BUSY || outcome == IPC_UNAVAILABLE;
        for (int filled = 0; filled < 2; filled++) {
            struct ipc_reply reply = {.outcome = (uint8_t)outcome,
                                      .retry_after_s = filled ? 77 : 0,
                                      .text = "This stands in the response, too.",
                                      .cmc = bytes_str("any DER")};
            w->response.body = BUF_ON(w->body);
            est_service_reply(w->service, &reply, filled ? LIBEST : NULL, &w->response);
            assert_int_equal(w->response.status, statuses[i].status);
            assert_base64_body(&w->response, CMC_RESPONSE, reply.cmc, 0);
            assert_int_equal(header(&w->response, "WWW-Authenticate") != NULL,
                             statuses[i].status == 401);
            const char *retry = header(&w->response, "Retry-After");
            assert_int_equal(retry != NULL, wait);
            if (wait)
                assert_string_equal(retry, filled ? "77" : "30");
        }
    }
}

static void the_largest_full_pki_response_fits(void **state) {
    struct world *w = *state;
    static uint8_t largest[IPC_CMC_MAX];
    for (int wraps = 0; wraps < 2; wraps++) {
        struct ipc_reply reply = {.outcome = IPC_ISSUED, .cmc = BYTES_OF(largest)};
        w->response.body = BUF_ON(w->body);
        est_service_reply(w->service, &reply, wraps ? LIBEST : NULL, &w->response);
        assert_der_body(&w->response, CMC_RESPONSE, reply.cmc, wraps ? 64 : 0);
    }
}

static void no_answer_is_503_some_time_later(void **state) {
    struct world *w = *state;
    w->response.body = BUF_ON(w->body);
    est_service_unavailable(w->service, &w->response);
    assert_int_equal(w->response.status, 503);
    assert_sentence(&w->response);
    long seconds = strtol(header(&w->response, "Retry-After"), NULL, 10);
    assert_true(seconds >= 5 && seconds <= 25);
}

/* The largest that the core can send fits, in either layout. */
static void the_largest_catalog_fits(void **state) {
    struct world *w = *state;
    static uint8_t largest[IPC_CACERTS_MAX];
    struct ipc_catalog entry = {.generation = 2, .count = 1, .is_default = 1, .label = IDEVID};
    entry.cacerts = (struct bytes){largest, sizeof largest};
    assert_int_equal(est_service_catalog(w->service, &entry), TM_OK);
    for (int wraps = 0; wraps < 2; wraps++) {
        struct est_request request = get(CACERTS);
        request.user_agent = wraps ? LIBEST : NULL;
        assert_int_equal(ask(w, &request), EST_RESPOND);
        assert_int_equal(w->response.status, 200);
        assert_int_equal(w->response.body.n,
                         est_base64_size(sizeof largest, wraps ? 64 : 0) + (wraps ? 0 : 1));
    }
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, free_service)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH(new_service, before_the_catalog_everything_answers_503),
        WITH(new_service, a_generation_is_visible_when_it_is_whole),
        WITH(new_service, contradicting_catalogs_are_refused),
        WITH(ready_service, cacerts_are_one_line_that_openssl_reads),
        WITH(ready_service, csrattrs_are_served_or_204),
        WITH(ready_service, long_bodies_are_wrapped_for_those_who_need_it),
        WITH(ready_service, enrollments_go_to_the_core),
        WITH(ready_service, request_bodies_are_read_as_clients_send_them),
        WITH(ready_service, other_schemes_are_left_to_the_certificate),
        WITH(ready_service, bad_credentials_are_401),
        WITH(ready_service, bad_bodies_are_400),
        WITH(ready_service, the_core_judges_what_the_base64_holds),
        WITH(ready_service, sizes_are_bounded),
        WITH(ready_service, wrong_paths_are_404),
        WITH(ready_service, without_a_default_label_there_is_none),
        WITH(ready_service, wrong_methods_are_405),
        WITH(ready_service, wrong_media_types_are_415),
        WITH(ready_service, requests_for_a_key_go_to_the_core),
        WITH(ready_service, full_pki_requests_go_to_the_core),
        WITH(ready_service, full_pki_requests_are_judged_as_others_are),
        WITH(ready_service, an_issued_certificate_comes_alone),
        WITH(ready_service, a_generated_key_comes_with_its_certificate),
        WITH(ready_service, every_outcome_has_its_status),
        WITH(ready_service, every_outcome_may_have_a_full_pki_response),
        WITH(ready_service, the_largest_full_pki_response_fits),
        WITH(ready_service, no_answer_is_503_some_time_later),
        WITH(ready_service, the_largest_catalog_fits),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
