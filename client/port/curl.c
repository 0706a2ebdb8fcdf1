/* SPDX-License-Identifier: Apache-2.0 */
/* The exchanges of the curl transport: which connections may serve them, and the HTTP requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "client/port/curl_internal.h"
#include "client/port/url.h"
#include "est/wire/base64.h"
#include "est/wire/http.h"

#define PATH_MAX_ (sizeof "/.well-known/est//simplereenroll" + EST_LABEL_MAX)
#define CREDENTIAL_MAX 256

/* The lines that a request adds; wiped after it, for one may hold the one-time credential. */
struct headers {
    struct curl_slist type, authorization;
    struct curl_slist *first;
    char type_line[40];
    char line[sizeof "Authorization: Basic " + CREDENTIAL_MAX * 4 / 3 + 4];
};

static void wipe_headers(struct headers *headers) {
    bytes_wipe(headers, sizeof *headers);
}

static void answer(struct tm_answer *ret, enum tm_result result, const char *text) {
    ret->result = result;
    TEXT_SET(ret->text, text);
}

static enum tm_err read_item(const struct tm_curl *self, unsigned item, uint8_t *ret, size_t cap,
                             size_t *ret_n) {
    const struct tm_storage *storage = self->config.storage;
    struct buf out = {ret, cap, 0, false};
    enum tm_err err = storage->read(storage->self, (enum tm_item)item, &out);
    *ret_n = err == TM_OK ? out.n : 0;
    return err;
}

/* What an exchange's connection is to be made with. An item that is not there comes out empty: no
 * certificate that can be shown, or no anchor that a server could lead to. */
static enum tm_err load_identity(const struct tm_curl *self, const struct tm_exchange *exchange,
                                 struct tm_curl_identity *ret) {
    enum tm_err err = read_item(self, TM_ITEM_ANCHORS_0 + exchange->anchors_bank, ret->anchors,
                                sizeof ret->anchors, &ret->anchors_n);
    ret->slot = exchange->slot;
    ret->key_bank = 0;
    ret->chain_n = 0;
    if ((err == TM_OK || err == TM_ENOTFOUND) && exchange->slot != TM_SLOT_NONE) {
        ret->key_bank = exchange->key_bank;
        err = read_item(self, TM_ITEM_CHAIN_0 + exchange->chain_bank, ret->chain, sizeof ret->chain,
                        &ret->chain_n);
    }
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* A bound request looks for the connection of the exchange before it, whose server was judged with
 * the anchors of that moment. */
static bool serves(const struct tm_curl_identity *have, const struct tm_curl_identity *want,
                   bool bound) {
    return have->slot == want->slot && have->key_bank == want->key_bank &&
           bytes_equal((struct bytes){have->chain, have->chain_n},
                       (struct bytes){want->chain, want->chain_n}) &&
           (bound || bytes_equal((struct bytes){have->anchors, have->anchors_n},
                                 (struct bytes){want->anchors, want->anchors_n}));
}

/* Makes self->easy one whose connections and TLS sessions are this identity's. libcurl itself does
 * not tell connections apart by what their SSL_CTX callback did. */
static enum tm_err take_identity(struct tm_curl *self, const struct tm_exchange *exchange) {
    AUTO_MEM struct tm_curl_identity *want = malloc(sizeof *want);
    if (!want)
        return TM_ENOMEM;
    enum tm_err err = load_identity(self, exchange, want);
    if (err != TM_OK)
        return err;
    if (self->easy && serves(&self->identity, want, exchange->bound))
        return TM_OK;
    curl_easy_cleanup(self->easy);
    self->identity = *want;
    self->reported.n = 0;
    self->easy = curl_easy_init();
    return self->easy ? TM_OK : TM_ENOMEM;
}

static size_t take_octets(char *octets, size_t size, size_t count, void *arg) {
    struct tm_curl *self = arg;
    size_t n = size * count;
    if (n > sizeof self->text - self->text_n) {
        self->seen.overflow = true;
        return 0;
    }
    memcpy(self->text + self->text_n, octets, n);
    self->text_n += n;
    return n;
}

/* The EST operation of an exchange; a probe asks for csrattrs (RFC 7030, 4.5). */
static enum est_operation est_operation_of(enum tm_operation operation) {
    switch (operation) {
    case TM_OP_CACERTS:
        return EST_CACERTS;
    case TM_OP_ENROLL:
        return EST_SIMPLEENROLL;
    case TM_OP_REENROLL:
        return EST_SIMPLEREENROLL;
    case TM_OP_PROBE:
        break;
    }
    return EST_CSRATTRS;
}

static CURLU *url_of(const struct tm_curl *self, const struct tm_exchange *exchange) {
    char path[PATH_MAX_];
    if (exchange->operation == TM_OP_PROBE && self->probe_url)
        return self->probe_url;
    if (exchange->label[0] && !est_label_valid(exchange->label))
        return NULL;
    (void)snprintf(path, sizeof path, "/.well-known/est/%s%s%s", exchange->label,
                   exchange->label[0] ? "/" : "",
                   est_operation_name(est_operation_of(exchange->operation)));
    return curl_url_set(self->url, CURLUPART_PATH, path, 0) == CURLUE_OK ? self->url : NULL;
}

/* libcurl keeps the list by reference, so this one stays ours to wipe. */
static void add_header(struct headers *headers, struct curl_slist *node, char *line) {
    *node = (struct curl_slist){.data = line, .next = headers->first};
    headers->first = node;
}

/* RFC 7617, 2: the credential's "user NUL password" as "user:password" in base64. */
static enum tm_err authorize(const struct tm_curl *self, struct headers *headers) {
    uint8_t credential[CREDENTIAL_MAX];
    size_t n = 0;
    struct buf line = {(uint8_t *)headers->line, sizeof headers->line - 1, 0, false};
    enum tm_err err = read_item(self, TM_ITEM_BOOTSTRAP, credential, sizeof credential, &n);
    uint8_t *end = err == TM_OK ? memchr(credential, '\0', n) : NULL;
    if (err == TM_OK && (!end || memchr(credential, ':', (size_t)(end - credential))))
        err = TM_EPARSE;
    if (err == TM_OK) {
        *end = ':';
        buf_put(&line, bytes_str("Authorization: Basic "));
        err = est_base64_encode((struct bytes){credential, n}, 0, &line);
        headers->line[line.n] = '\0';
        add_header(headers, &headers->authorization, headers->line);
    }
    bytes_wipe(credential, sizeof credential);
    return err;
}

static bool set_tls(struct tm_curl *self) {
    CURL *easy = self->easy;
    long version =
        CURL_SSLVERSION_TLSv1_2 | (self->config.tls12 ? (long)CURL_SSLVERSION_MAX_TLSv1_2
                                                      : (long)CURL_SSLVERSION_MAX_DEFAULT);
    return curl_easy_setopt(easy, CURLOPT_SSLVERSION, version) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, tm_curl_context) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, self) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, tm_curl_before_request) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, self) == CURLE_OK;
}

/* One connection at a time, so that after CACERTS there is only the one whose binding is known. */
static bool set_connection(struct tm_curl *self, bool fresh) {
    CURL *easy = self->easy;
    const struct tm_curl_config *config = &self->config;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)config->timeout_s) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)config->connect_timeout_s) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_octets) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, self) == CURLE_OK;
}

/* RFC 8951, 3.1: one line of base64. */
static enum tm_err write_body(struct tm_curl *self, struct bytes der, struct headers *headers) {
    struct buf body = {(uint8_t *)self->request, sizeof self->request, 0, false};
    enum tm_err err = est_base64_encode(der, 0, &body);
    buf_put_u8(&body, '\n');
    if (err != TM_OK || body.full)
        return TM_ELIMIT;
    self->request_n = body.n;
    TEXT_SET(headers->type_line, "Content-Type: application/pkcs10");
    add_header(headers, &headers->type, headers->type_line);
    return TM_OK;
}

static bool set_request(struct tm_curl *self, CURLU *url, const struct headers *headers) {
    CURL *easy = self->easy;
    bool fresh = self->exchange->operation == TM_OP_CACERTS;
    return set_tls(self) && set_connection(self, fresh) &&
           curl_easy_setopt(easy, CURLOPT_CURLU, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers->first) == CURLE_OK &&
           (self->request_n == 0 ||
            (curl_easy_setopt(easy, CURLOPT_POSTFIELDS, self->request) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)self->request_n) == CURLE_OK));
}

static void perform(struct tm_curl *self, struct headers *headers, struct tm_answer *ret) {
    const struct tm_exchange *exchange = self->exchange;
    CURLU *url = url_of(self, exchange);
    bool posts = exchange->operation == TM_OP_ENROLL || exchange->operation == TM_OP_REENROLL;
    if (!url || (posts && write_body(self, exchange->body, headers) != TM_OK))
        answer(ret, TM_RESULT_REFUSED, "no EST label, or a request that is too large");
    else if (exchange->secret && authorize(self, headers) != TM_OK)
        answer(ret, TM_RESULT_DENIED, "there is no one-time credential that can be sent");
    else if (!set_request(self, url, headers))
        answer(ret, TM_RESULT_NETWORK, "libcurl does not take the options of the request");
    else
        tm_curl_answer(self, curl_easy_perform(self->easy), ret);
}

static void make_exchange(void *arg, const struct tm_exchange *exchange, struct tm_answer *ret) {
    struct tm_curl *self = arg;
    __attribute__((cleanup(wipe_headers))) struct headers headers = {.first = NULL};
    *ret = (struct tm_answer){.result = TM_RESULT_NETWORK};
    self->exchange = exchange;
    self->seen = (struct tm_curl_seen){.showed = false};
    self->request_n = 0;
    self->text_n = 0;
    self->error[0] = '\0';
    if (take_identity(self, exchange) != TM_OK) {
        answer(ret, TM_RESULT_NETWORK, "the device's storage cannot be read");
        return;
    }
    perform(self, &headers, ret);
    curl_easy_reset(self->easy); /* which keeps the connections */
}

/* An https URL without credentials in it. */
static CURLU *parse_url(const char *text) {
    CURLU *url = curl_url();
    if (url && (!text || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
                !tm_url_part_is(url, CURLUPART_SCHEME, "https") || !tm_url_without_user(url))) {
        curl_url_cleanup(url);
        url = NULL;
    }
    return url;
}

/* RFC 7030, 3.2.2: what stands behind the authority is EST's. */
static enum tm_err parse_urls(struct tm_curl *self) {
    self->url = parse_url(self->config.url);
    if (!self->url || !tm_url_is_authority(self->url))
        return TM_EINVAL;
    if (self->config.probe_url) {
        self->probe_url = parse_url(self->config.probe_url);
        return self->probe_url ? TM_OK : TM_EINVAL;
    }
    return TM_OK;
}

static bool tables_are_known(const struct tm_curl_config *config) {
    return config->keys && config->keys->version == TM_TABLE_VERSION && config->storage &&
           config->storage->version == TM_TABLE_VERSION;
}

enum tm_err tm_curl_open(const struct tm_curl_config *config, struct tm_curl **ret) {
    if (!tables_are_known(config))
        return TM_EINVAL;
    struct tm_curl *self = calloc(1, sizeof *self);
    if (!self || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(self);
        return TM_ENOMEM;
    }
    self->table = (struct tm_transport){TM_TABLE_VERSION, self, make_exchange};
    self->config = *config;
    if (self->config.timeout_s == 0)
        self->config.timeout_s = 30;
    if (self->config.connect_timeout_s == 0)
        self->config.connect_timeout_s = 10;
    enum tm_err err = parse_urls(self);
    if (err != TM_OK) {
        tm_curl_close(self);
        return err;
    }
    *ret = self;
    return TM_OK;
}

void tm_curl_close(struct tm_curl *self) {
    if (!self)
        return;
    curl_easy_cleanup(self->easy);
    curl_url_cleanup(self->url);
    curl_url_cleanup(self->probe_url);
    curl_global_cleanup();
    free(self);
}

const struct tm_transport *tm_curl_transport(struct tm_curl *self) {
    return &self->table;
}
