/* SPDX-License-Identifier: Apache-2.0 */
/* One CA that is asked, by libcurl: see upstream.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "est/wire/base64.h"
#include "server/upstream/upstream.h"

#define PATH_ "/simpleenroll"

/* One request on its way. */
struct ask {
    struct upstream_ca *ca;
    struct ask *prev, *next;
    uint64_t id;
    CURL *easy;
    bool forgotten; /* nobody waits for its answer */
    bool sent;
    bool overflow;
    char error[CURL_ERROR_SIZE];
    uint8_t *text; /* of the answer: UPSTREAM_BODY_MAX octets once there are any */
    size_t csr_n, body_n, text_n;
    uint8_t octets[]; /* the PKCS#10 request, then its base64 */
};

struct upstream_ca {
    const struct conf_issuer *conf;
    const struct upstream_files *files;
    upstream_answer_fn *answer;
    void *arg;
    struct upstream_sockets sockets;
    char url[CONF_EST_URL_MAX + sizeof PATH_];
    struct curl_slist *headers;
    struct ask *first;
    size_t active;
};

/* ---- requests ---- */

static size_t take_octets(char *octets, size_t size, size_t count, void *arg) {
    struct ask *ask = arg;
    size_t n = size * count;
    if (!ask->text)
        ask->text = malloc(UPSTREAM_BODY_MAX);
    if (!ask->text || n > UPSTREAM_BODY_MAX - ask->text_n) {
        ask->overflow = ask->text != NULL;
        return 0;
    }
    memcpy(ask->text + ask->text_n, octets, n);
    ask->text_n += n;
    return n;
}

/* libcurl sends a request again when a kept connection ends without an answer. Whether it was taken
 * on is not known then, and to ask again is the core's to decide, which writes it down. */
static int before_request(void *arg, char *peer, char *own, int peer_port, int own_port) {
    struct ask *ask = arg;
    (void)peer, (void)own, (void)peer_port, (void)own_port;
    if (ask->sent)
        return CURL_PREREQFUNC_ABORT;
    ask->sent = true;
    crash_point("upstream.before_request");
    return CURL_PREREQFUNC_OK;
}

static struct curl_blob blob_of(struct bytes pem) {
    return (struct curl_blob){
        .data = (void *)(uintptr_t)pem.p, .len = pem.n, .flags = CURL_BLOB_NOCOPY};
}

/* Whom to trust is the configuration's to say, and not the system's. */
static bool set_tls(CURL *easy, const struct upstream_files *files) {
    struct curl_blob anchors = blob_of(files->anchors);
    struct curl_blob certificate = blob_of(files->certificate), key = blob_of(files->key);
    bool good =
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &anchors) == CURLE_OK;
    if (!good || !files->certificate.n)
        return good;
    return curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key) == CURLE_OK;
}

static bool set_credential(CURL *easy, const struct upstream_ca *ca) {
    const char *user = ca->conf->upstream.user;
    return !user || (curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK &&
                     curl_easy_setopt(easy, CURLOPT_USERNAME, user) == CURLE_OK &&
                     curl_easy_setopt(easy, CURLOPT_PASSWORD, ca->files->password) == CURLE_OK);
}

static bool set_connection(CURL *easy, struct ask *ask) {
    long timeout_ms = (long)ask->ca->conf->upstream.timeout;
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, ask->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_octets) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, ask) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, ask) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, ask) == CURLE_OK;
}

static bool set_request(CURL *easy, const struct ask *ask) {
    return curl_easy_setopt(easy, CURLOPT_URL, ask->ca->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, ask->ca->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ask->octets + ask->csr_n) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)ask->body_n) == CURLE_OK;
}

/* RFC 8951, 3.1: one line of base64. NULL: there is no memory. */
static struct ask *ask_new(struct upstream_ca *ca, const struct ipc_upstream_ask *message) {
    struct bytes csr = message->csr;
    size_t room = est_base64_size(csr.n, 0) + 1;
    struct ask *ask = malloc(sizeof *ask + csr.n + room);
    if (!ask)
        return NULL;
    memset(ask, 0, sizeof *ask);
    ask->ca = ca;
    ask->id = message->id;
    ask->csr_n = csr.n;
    memcpy(ask->octets, csr.p, csr.n);
    struct buf body = {ask->octets + csr.n, room, 0, false};
    if (est_base64_encode(csr, 0, &body)) {
        free(ask);
        return NULL;
    }
    buf_put_u8(&body, '\n');
    ask->body_n = body.n;
    return ask;
}

static void link_ask(struct ask *ask) {
    struct upstream_ca *ca = ask->ca;
    ask->next = ca->first;
    if (ca->first)
        ca->first->prev = ask;
    ca->first = ask;
    ca->active++;
}

static void unlink_ask(struct ask *ask) {
    if (ask->prev)
        ask->prev->next = ask->next;
    else
        ask->ca->first = ask->next;
    if (ask->next)
        ask->next->prev = ask->prev;
    ask->ca->active--;
}

static void ask_free(struct ask *ask) {
    unlink_ask(ask);
    if (ask->easy)
        (void)curl_multi_remove_handle(ask->ca->sockets.multi, ask->easy);
    curl_easy_cleanup(ask->easy);
    free(ask->text);
    free(ask);
}

enum tm_err upstream_ca_ask(struct upstream_ca *ca, const struct ipc_upstream_ask *message) {
    struct ask *ask = message->csr.n ? ask_new(ca, message) : NULL;
    if (!ask)
        return message->csr.n ? TM_ENOMEM : TM_ELIMIT;
    link_ask(ask);
    CURL *easy = curl_easy_init();
    if (easy && set_tls(easy, ca->files) && set_credential(easy, ca) && set_connection(easy, ask) &&
        set_request(easy, ask) && curl_multi_add_handle(ca->sockets.multi, easy) == CURLM_OK) {
        ask->easy = easy;
        return TM_OK;
    }
    curl_easy_cleanup(easy);
    ask_free(ask);
    return TM_ENOMEM;
}

/* ---- answers ---- */

static void finish(struct ask *ask, CURLcode code) {
    struct upstream_ca *ca = ask->ca;
    uint8_t der[UPSTREAM_BODY_MAX];
    struct buf room = BUF_ON(der);
    const struct upstream_end end = {.easy = ask->easy,
                                     .code = code,
                                     .error = ask->error,
                                     .sent = ask->sent,
                                     .overflow = ask->overflow,
                                     .body = {ask->text, ask->text_n},
                                     .csr = {ask->octets, ask->csr_n}};
    struct ipc_upstream_answer answer = {.id = ask->id};
    upstream_answer_read(&end, &room, &answer);
    crash_point("upstream.answer_received");
    bool wanted = !ask->forgotten;
    ask_free(ask);
    if (wanted)
        ca->answer(ca->arg, &answer);
}

static void moved(void *arg) {
    struct upstream_ca *ca = arg;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(ca->sockets.multi, &left))) {
        struct ask *ask = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&ask);
        finish(ask, message->data.result);
    }
}

/* ---- life ---- */

static struct curl_slist *make_headers(void) {
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/pkcs10");
    struct curl_slist *longer =
        list ? curl_slist_append(list, "Accept: application/pkcs7-mime") : NULL;
    if (!longer)
        curl_slist_free_all(list);
    return longer;
}

enum tm_err upstream_ca_new(struct loop *loop, const struct conf_issuer *conf,
                            const struct upstream_files *files, upstream_answer_fn *answer,
                            void *arg, struct upstream_ca **ret_ca) {
    struct upstream_ca *ca = calloc(1, sizeof *ca);
    if (!ca)
        return TM_ENOMEM;
    ca->conf = conf;
    ca->files = files;
    ca->answer = answer;
    ca->arg = arg;
    (void)snprintf(ca->url, sizeof ca->url, "%s%s", conf->upstream.url, PATH_);
    ca->headers = make_headers();
    enum tm_err err =
        ca->headers
            ? upstream_sockets_open(&ca->sockets, loop, (long)conf->upstream.connections, moved, ca)
            : TM_ENOMEM;
    if (err)
        upstream_ca_free(ca);
    else
        *ret_ca = ca;
    return err;
}

void upstream_ca_free(struct upstream_ca *ca) {
    if (!ca)
        return;
    while (ca->first)
        ask_free(ca->first);
    upstream_sockets_close(&ca->sockets);
    curl_slist_free_all(ca->headers);
    free(ca);
}

size_t upstream_ca_active(const struct upstream_ca *ca) {
    return ca->active;
}

void upstream_ca_forget(struct upstream_ca *ca) {
    for (struct ask *ask = ca->first; ask; ask = ask->next)
        ask->forgotten = true;
}
