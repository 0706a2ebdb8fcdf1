/* SPDX-License-Identifier: Apache-2.0 */
/*
 * estc: one EST request with every part of it chosen by the caller, for tests: TLS version,
 * resumption, channel binding of this or of another session, own key and subject. Prints what
 * came back as name=value lines; the body goes to --out.
 */
#include <argp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "bench/csr.h"
#include "bench/est_client.h"
#include "est/wire/base64.h"

AUTO_DEFINE(FILE, fclose)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509_NAME, X509_NAME_free)
AUTO_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
AUTO_DEFINE(SSL_SESSION, SSL_SESSION_free)

#define REQUEST_MAX 32768

enum {
    OPT_TLS = 256,
    OPT_RESUME,
    OPT_USER,
    OPT_OPERATION,
    OPT_SUBJECT,
    OPT_LIKE,
    OPT_LINK,
    OPT_SAVE,
    OPT_CSR_KEY,
    OPT_CSR,
    OPT_OUT,
    OPT_GROUPS
};

struct options {
    const char *url, *ca_file, *certificate, *key, *user, *operation;
    const char *csr_key, *csr, *subject, *like, *link, *save_link, *out, *groups;
    int tls_version;
    bool resume;
};

/* What a run holds, freed in one place. */
struct run {
    const struct options *options;
    struct bench_url url;
    struct bench_client *client;
    struct bench_identity identity;
    struct bench_conn *conn;
};

static const struct argp_option option_rows[] = {
    {"url", 'u', "URL", 0, "https://HOST:PORT/.well-known/est[/LABEL]", 0},
    {"cacert", 'C', "FILE", 0, "Trust anchors for the server (PEM)", 0},
    {"cert", 'c', "FILE", 0, "Client certificate (PEM)", 0},
    {"key", 'k', "FILE", 0, "Its key (PEM)", 0},
    {"tls", OPT_TLS, "1.2|1.3", 0, "Only this TLS version", 0},
    {"groups", OPT_GROUPS, "LIST", 0, "TLS groups", 0},
    {"resume", OPT_RESUME, NULL, 0, "Ask on a resumed session of a first connection", 0},
    {"user", OPT_USER, "USER:SECRET", 0, "HTTP Basic credential", 0},
    {"operation", OPT_OPERATION, "NAME", 0, "simpleenroll (default), simplereenroll", 0},
    {"csr-key", OPT_CSR_KEY, "FILE", 0, "Make a request for this key (PEM)", 0},
    {"csr", OPT_CSR, "FILE", 0, "Send this request (DER)", 0},
    {"subject", OPT_SUBJECT, "NAME", 0, "Subject of the request, /type=value/...", 0},
    {"like", OPT_LIKE, "FILE", 0, "Subject and SAN as in this certificate (PEM)", 0},
    {"link", OPT_LINK, "exporter|unique|FILE", 0, "Channel binding in the request", 0},
    {"save-link", OPT_SAVE, "FILE", 0, "Write this session's binding of --link's kind here", 0},
    {"out", OPT_OUT, "FILE", 0, "Write the answer's body here", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case 'u':
        o->url = arg;
        return 0;
    case 'C':
        o->ca_file = arg;
        return 0;
    case 'c':
        o->certificate = arg;
        return 0;
    case 'k':
        o->key = arg;
        return 0;
    case OPT_TLS:
        o->tls_version = strcmp(arg, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        return 0;
    case OPT_GROUPS:
        o->groups = arg;
        return 0;
    case OPT_RESUME:
        o->resume = true;
        return 0;
    case OPT_USER:
        o->user = arg;
        return 0;
    case OPT_OPERATION:
        o->operation = arg;
        return 0;
    case OPT_CSR_KEY:
        o->csr_key = arg;
        return 0;
    case OPT_CSR:
        o->csr = arg;
        return 0;
    case OPT_SUBJECT:
        o->subject = arg;
        return 0;
    case OPT_LIKE:
        o->like = arg;
        return 0;
    case OPT_LINK:
        o->link = arg;
        return 0;
    case OPT_SAVE:
        o->save_link = arg;
        return 0;
    case OPT_OUT:
        o->out = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->url || !o->ca_file || (!o->csr && !o->csr_key))
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool read_file(const char *path, struct buf *out) {
    AUTO(FILE) f = fopen(path, "rb");
    if (!f)
        return false;
    out->n = fread(out->p, 1, out->cap, f);
    return out->n > 0;
}

static bool write_file(const char *path, struct bytes data) {
    AUTO(FILE) f = fopen(path, "wb");
    return f && fwrite(data.p, 1, data.n, f) == data.n;
}

static X509 *read_certificate(const char *path) {
    AUTO(FILE) f = fopen(path, "r");
    return f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *read_key(const char *path) {
    AUTO(FILE) f = fopen(path, "r");
    return f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
}

/* The first connection that gives the session: a request that needs no credential, so that TLS
 * 1.3's ticket has arrived with its answer. */
static SSL_SESSION *first_session(struct run *run) {
    char request[1024];
    struct bench_conn *conn = NULL;
    struct bench_answer answer;
    SSL_SESSION *session = NULL;
    (void)snprintf(request, sizeof request, "GET %s/cacerts HTTP/1.1\r\nHost: %s:%s\r\n\r\n",
                   run->url.path, run->url.host, run->url.port);
    if (bench_conn_open(run->client, &run->identity, NULL, &conn) == TM_OK &&
        bench_conn_send(conn, bytes_str(request)) == TM_OK &&
        bench_conn_receive(conn, &answer) == TM_OK)
        session = bench_conn_session(conn);
    bench_conn_close(conn);
    return session;
}

/* --link: this session's value, or one that was saved. */
static bool binding(const struct run *run, struct buf *out) {
    const char *link = run->options->link;
    if (!link)
        return true;
    if (strcmp(link, "exporter") == 0)
        return bench_conn_binding(run->conn, BENCH_TLS_EXPORTER, out) == TM_OK;
    if (strcmp(link, "unique") == 0)
        return bench_conn_binding(run->conn, BENCH_TLS_UNIQUE, out) == TM_OK;
    return read_file(link, out);
}

static bool make_csr(const struct run *run, struct bytes link, struct buf *out) {
    const struct options *o = run->options;
    AUTO(EVP_PKEY) key = read_key(o->csr_key);
    AUTO(X509) like = o->like ? read_certificate(o->like) : NULL;
    AUTO(X509_NAME) name = o->subject ? bench_name_parse(o->subject) : NULL;
    AUTO(GENERAL_NAMES)
    san = like ? X509_get_ext_d2i(like, NID_subject_alt_name, NULL, NULL) : NULL;
    struct bench_csr wish = {.key = key,
                             .subject = like ? X509_get_subject_name(like) : name,
                             .san = san,
                             .binding = link};
    if (!key || (o->like && !like) || (o->subject && !name))
        return false;
    return bench_csr_write(&wish, out) == TM_OK;
}

static bool write_request(const struct run *run, struct buf *out) {
    const struct options *o = run->options;
    static uint8_t der[REQUEST_MAX];
    uint8_t value[BENCH_BINDING_MAX];
    struct buf csr = BUF_ON(der), link = BUF_ON(value);
    char *user = o->user ? strdup(o->user) : NULL;
    char *secret = user ? strchr(user, ':') : NULL;
    if (secret)
        *secret++ = '\0';
    bool ok = binding(run, &link) &&
              (!o->save_link || write_file(o->save_link, buf_bytes(&link))) &&
              (o->csr ? read_file(o->csr, &csr) : make_csr(run, buf_bytes(&link), &csr)) &&
              bench_request_write(&run->url, o->operation, user, bytes_str(secret ? secret : ""),
                                  buf_bytes(&csr), out) == TM_OK;
    free(user);
    return ok;
}

static int report(const struct run *run, const struct bench_answer *answer) {
    printf("status=%u\nversion=%s\nresumed=%d\ncontent_type=%s\nretry_after=%u\nbody_size=%zu\n",
           answer->status, bench_conn_version(run->conn), bench_conn_resumed(run->conn),
           answer->content_type, answer->retry_after_s, answer->body.n);
    if (answer->status != 200)
        printf("text=%.*s\n", (int)answer->body.n, (const char *)answer->body.p);
    return run->options->out && !write_file(run->options->out, answer->body) ? 1 : 0;
}

static int ask(struct run *run) {
    static uint8_t octets[REQUEST_MAX * 2];
    struct buf request = BUF_ON(octets);
    struct bench_answer answer;
    AUTO(SSL_SESSION) session = run->options->resume ? first_session(run) : NULL;
    enum tm_err err = bench_conn_open(run->client, &run->identity, session, &run->conn);
    if (err == TM_OK && !write_request(run, &request)) {
        fprintf(stderr, "estc: cannot make the request\n");
        return 2;
    }
    if (err == TM_OK)
        err = bench_conn_send(run->conn, buf_bytes(&request));
    if (err == TM_OK)
        err = bench_conn_receive(run->conn, &answer);
    if (err == TM_OK)
        return report(run, &answer);
    fprintf(stderr, "estc: no answer: %s\n", tm_err_name(err));
    return 1;
}

static bool set_up(struct run *run) {
    const struct options *o = run->options;
    char text[BENCH_TEXT_MAX] = "bad URL";
    if (bench_url_parse(o->url, &run->url) == TM_OK) {
        struct bench_client_config config = {.host = run->url.host,
                                             .port = run->url.port,
                                             .ca_file = o->ca_file,
                                             .tls_version = o->tls_version,
                                             .groups = o->groups,
                                             .timeout_ms = 30000};
        if (bench_client_new(&config, &run->client, text) == TM_OK) {
            run->identity.certificate = o->certificate ? read_certificate(o->certificate) : NULL;
            run->identity.key = o->key ? read_key(o->key) : NULL;
            return (!o->certificate || run->identity.certificate) && (!o->key || run->identity.key);
        }
    }
    fprintf(stderr, "estc: %s\n", text);
    return false;
}

int main(int argc, char **argv) {
    struct options options = {.operation = "simpleenroll"};
    struct run run = {.options = &options};
    struct argp argp = {option_rows, parse_option, NULL, "One EST request, as the options say.",
                        NULL,        NULL,         NULL};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return 2;
    int status = set_up(&run) ? ask(&run) : 2;
    bench_conn_close(run.conn);
    X509_free(run.identity.certificate);
    EVP_PKEY_free(run.identity.key);
    bench_client_free(run.client);
    bench_url_free(&run.url);
    return status;
}
