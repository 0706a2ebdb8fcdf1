/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the curl transport share: curl.c makes the exchanges, curl_tls.c the TLS
 * contexts, curl_answer.c the answers. Only for them. */
#ifndef TOUCHMARK_CLIENT_PORT_CURL_INTERNAL_H
#define TOUCHMARK_CLIENT_PORT_CURL_INTERNAL_H

#include <curl/curl.h>

#include "client/port/curl.h"

#define TM_CURL_TEXT_MAX 65536                         /* octets of an answer's body */
#define TM_CURL_DER_MAX (TM_CURL_TEXT_MAX / 4 * 3)     /* of what base64 can hold in it */
#define TM_CURL_REQUEST_MAX (TM_CHAIN_MAX * 4 / 3 + 8) /* of a request's body in base64 */

/* What connections are made with. A connection serves only exchanges that have the same. */
struct tm_curl_identity {
    enum tm_slot slot;
    unsigned key_bank;
    size_t chain_n, anchors_n;
    uint8_t chain[TM_CHAIN_MAX];
    uint8_t anchors[TM_ANCHORS_MAX];
};

struct tm_curl_binding {
    size_t n; /* 0: none */
    uint8_t octets[TM_BINDING_MAX];
};

/* What was seen of the exchange under way. */
struct tm_curl_seen {
    bool showed;      /* our Certificate message went out */
    int refusal;      /* TLS alert with which the server refused it; 0 = none */
    int verify_error; /* X509_V_ERR_* of the server's certificate; 0 = none */
    bool unusable;    /* chain or key of the slot are none: it will never be accepted */
    bool moved;       /* bound, but the connection is another one */
    long status;      /* of HTTP; 0 = there was no answer */
    bool overflow;    /* the body is larger than TM_CURL_TEXT_MAX */
    struct tm_curl_binding binding; /* of the connection in use */
};

/* What tm_curl_post is to send. */
struct tm_curl_json {
    const char *path;
    struct bytes body;
};

struct tm_curl {
    struct tm_transport table;
    struct tm_curl_config config;
    CURLU *url, *probe_url; /* probe_url: NULL = csrattrs */
    CURL *easy;             /* with the connections of `identity` */
    struct tm_curl_identity identity;
    struct tm_curl_binding reported; /* by the last CACERTS answer over `easy` */
    const struct tm_exchange *exchange;
    const struct tm_curl_json *json; /* NULL: the exchange is one of EST */
    struct tm_curl_seen seen;
    size_t request_n;
    char request[TM_CURL_REQUEST_MAX]; /* body of a POST */
    size_t text_n;
    uint8_t text[TM_CURL_TEXT_MAX];
    uint8_t der[TM_CURL_DER_MAX];
    char error[CURL_ERROR_SIZE];
};

/* CURLOPT_SSL_CTX_FUNCTION: trust anchors and client certificate of self->identity. */
CURLcode tm_curl_context(CURL *easy, void *ctx, void *self);

/* CURLOPT_PREREQFUNCTION: takes the binding of the connection in use, and stops a bound request
 * that is about to go over another one. */
int tm_curl_before_request(void *self, char *peer_address, char *own_address, int peer_port,
                           int own_port);

/* What the end of a transfer means. `ret` is all zero before. */
void tm_curl_answer(struct tm_curl *self, CURLcode code, struct tm_answer *ret);

/* A sentence from elsewhere, for people: its first line, printable ASCII only. */
void tm_curl_text(struct bytes sentence, char ret[TM_TEXT_MAX]);

#endif
