/* SPDX-License-Identifier: Apache-2.0 */
/* From the end of a transfer to a struct tm_answer. */
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "client/port/curl_internal.h"
#include "est/wire/base64.h"
#include "est/wire/http.h"

void tm_curl_text(struct bytes sentence, char ret[TM_TEXT_MAX]) {
    size_t n = 0;
    for (; n < sentence.n && n < TM_TEXT_MAX - 1; n++) {
        uint8_t c = sentence.p[n];
        if (c == '\r' || c == '\n')
            break;
        ret[n] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    ret[n] = '\0';
}

/* A header of the final response; NULL: there is none. */
static const char *header(const struct tm_curl *self, const char *name) {
    struct curl_header *found;
    return curl_easy_header(self->easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK
               ? found->value
               : NULL;
}

static int64_t date_of(const struct tm_curl *self) {
    const char *date = header(self, "Date");
    time_t seconds = date ? curl_getdate(date, NULL) : -1;
    return seconds > 0 ? (int64_t)seconds : 0;
}

/* delay-seconds or a date (RFC 9110, 10.2.3). A date is taken against the server's own clock: this
 * device's may be wrong. */
static uint32_t retry_after(const struct tm_curl *self) {
    const char *value = header(self, "Retry-After");
    int64_t seconds = 0;
    if (!value)
        return 0;
    size_t digits = strspn(value, "0123456789");
    if (digits > 0 && value[digits] == '\0') {
        seconds = digits > 9 ? INT32_MAX : strtol(value, NULL, 10);
    } else {
        int64_t then = curl_getdate(value, NULL), now = date_of(self);
        if (then > 0 && now > 0)
            seconds = then - now;
    }
    if (seconds < 0)
        return 0;
    return seconds > INT32_MAX ? INT32_MAX : (uint32_t)seconds;
}

static enum tm_result result_of_status(long status) {
    if (status == 200)
        return TM_RESULT_OK;
    if (status == 401 || status == 403)
        return TM_RESULT_DENIED;
    /* 408: a proxy's word that the request did not arrive in time (RFC 9110, 15.5.9). */
    if (status == 202 || status == 408 || status == 429 || status >= 500)
        return TM_RESULT_LATER;
    return TM_RESULT_REFUSED;
}

/* The handshake with the certificate is done; what else the service thinks of a bare GET, "not
 * found" for one, says nothing against the certificate. */
static enum tm_result result_of_probe(long status) {
    enum tm_result result = result_of_status(status);
    return result == TM_RESULT_REFUSED || status == 202 ? TM_RESULT_OK : result;
}

static void refuse(struct tm_answer *ret, const char *text) {
    ret->result = TM_RESULT_REFUSED;
    TEXT_SET(ret->text, text);
}

/* RFC 7030, 4.1.3 and 4.2.3; RFC 8951, 3.1. What is inside the library judges. */
static void take_body(struct tm_curl *self, struct tm_answer *ret) {
    struct buf der = BUF_ON(self->der);
    if (!est_media_type_is(header(self, "Content-Type"), "application/pkcs7-mime")) {
        refuse(ret, "the answer is not application/pkcs7-mime (RFC 7030, 4.2.3)");
        return;
    }
    if (est_base64_decode_lenient((struct bytes){self->text, self->text_n}, &der) != TM_OK) {
        refuse(ret, "the answer is not base64 (RFC 8951, 3.1)");
        return;
    }
    ret->body = buf_bytes(&der);
}

static void take_json(struct tm_curl *self, struct tm_answer *ret) {
    if (est_media_type_is(header(self, "Content-Type"), "application/json"))
        ret->body = (struct bytes){self->text, self->text_n};
    else
        refuse(ret, "the answer is not application/json");
}

/* What the server says to people, or its status. */
static void take_text(const struct tm_curl *self, long status, struct tm_answer *ret) {
    if (self->text_n > 0 && est_media_type_is(header(self, "Content-Type"), "text/plain"))
        tm_curl_text((struct bytes){self->text, self->text_n}, ret->text);
    if (!ret->text[0])
        (void)snprintf(ret->text, sizeof ret->text, "HTTP status %ld", status);
}

/* Will libcurl use the connection again? Not when the server said that it closes it, or speaks
 * HTTP/1.0. */
static bool is_kept(const struct tm_curl *self) {
    curl_socket_t socket = CURL_SOCKET_BAD;
    return curl_easy_getinfo(self->easy, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK &&
           socket != CURL_SOCKET_BAD;
}

static void answered(struct tm_curl *self, struct tm_answer *ret) {
    enum tm_operation operation = self->exchange->operation;
    long status = 0;
    (void)curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    self->seen.status = status;
    ret->result = operation == TM_OP_PROBE ? result_of_probe(status) : result_of_status(status);
    ret->server_wall_ms = date_of(self) * 1000;
    ret->retry_after_s = retry_after(self);
    if (operation == TM_OP_CACERTS) {
        self->reported = is_kept(self) ? self->seen.binding : (struct tm_curl_binding){.n = 0};
        ret->binding_n = self->reported.n;
        memcpy(ret->binding, self->reported.octets, self->reported.n);
    }
    if (ret->result != TM_RESULT_OK)
        take_text(self, status, ret);
    else if (self->json)
        take_json(self, ret);
    else if (operation != TM_OP_PROBE)
        take_body(self, ret);
}

/* The transfer ended before there was an answer. */
static void unanswered(const struct tm_curl *self, CURLcode code, struct tm_answer *ret) {
    const struct tm_curl_seen *seen = &self->seen;
    ret->result = TM_RESULT_NETWORK;
    if (seen->verify_error != 0 || code == CURLE_PEER_FAILED_VERIFICATION) {
        ret->result = TM_RESULT_UNTRUSTED;
        (void)snprintf(ret->text, sizeof ret->text, "the server's certificate: %s",
                       seen->verify_error ? X509_verify_cert_error_string(seen->verify_error)
                                          : "it does not name the server");
    } else if (seen->refusal != 0) {
        ret->result = TM_RESULT_DENIED;
        (void)snprintf(ret->text, sizeof ret->text, "the server's TLS alert: %s",
                       SSL_alert_desc_string_long(seen->refusal));
    } else if (seen->unusable) {
        ret->result = TM_RESULT_DENIED;
        TEXT_SET(ret->text, "the certificate cannot be shown: no sound chain or no key for it");
    } else if (seen->moved) {
        TEXT_SET(ret->text, "the connection that the request is bound to is gone");
    } else {
        const char *text = self->error[0] ? self->error : curl_easy_strerror(code);
        tm_curl_text(bytes_str(text), ret->text);
    }
}

void tm_curl_answer(struct tm_curl *self, CURLcode code, struct tm_answer *ret) {
    bool probe = self->exchange->operation == TM_OP_PROBE;
    if (self->seen.overflow && !probe)
        refuse(ret, "the answer is too large");
    else if (code == CURLE_OK || self->seen.overflow)
        answered(self, ret);
    else
        unanswered(self, code, ret);
}
