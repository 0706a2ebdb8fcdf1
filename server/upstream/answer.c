/* SPDX-License-Identifier: Apache-2.0 */
/* From the end of a transfer to the core's answer (RFC 7030, 4.2.3): see upstream.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "est/wire/base64.h"
#include "est/wire/certs_only.h"
#include "est/wire/http.h"
#include "pki/csr.h"
#include "server/upstream/upstream.h"

/* The first line of a sentence from elsewhere, in printable ASCII. */
static void set_text(struct ipc_upstream_answer *ret, struct bytes sentence) {
    size_t n = 0;
    for (; n < sentence.n && n < sizeof ret->text - 1; n++) {
        uint8_t c = sentence.p[n];
        if (c == '\r' || c == '\n')
            break;
        ret->text[n] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    ret->text[n] = '\0';
}

static void say(struct ipc_upstream_answer *ret, enum ipc_upstream_status status,
                const char *text) {
    ret->status = (uint8_t)status;
    set_text(ret, bytes_str(text));
}

/* NULL: there is none. */
static const char *header(CURL *easy, const char *name) {
    struct curl_header *found;
    return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value
                                                                                  : NULL;
}

/* delay-seconds, or a date (RFC 9110, 10.2.3), which is taken against the server's own clock. */
static uint32_t retry_after(CURL *easy) {
    const char *value = header(easy, "Retry-After"), *date = header(easy, "Date");
    if (!value)
        return 0;
    size_t digits = strspn(value, "0123456789");
    if (digits > 0 && value[digits] == '\0')
        return digits > 9 ? INT_MAX : (uint32_t)strtoul(value, NULL, 10);
    time_t then = curl_getdate(value, NULL), now = date ? curl_getdate(date, NULL) : -1;
    return then > now && now > 0 && then - now < INT_MAX ? (uint32_t)(then - now) : 0;
}

/* ---- the certificate ---- */

static bool has_key(struct bytes der, const struct pki_csr *csr) {
    struct pki_cert cert;
    return !pki_cert_parse(der, &cert) && bytes_equal(cert.spki.key, csr->spki.key);
}

/* It is the only one (RFC 7030, 4.2.3). Some CAs put their own beside it: then it is the one with
 * the request's key. */
static struct bytes choose(struct bytes certificates, struct bytes request) {
    struct pki_csr csr;
    struct bytes rest = certificates;
    struct der each;
    if (!certificates.n || der_next(&rest, &each))
        return (struct bytes){0};
    if (!rest.n)
        return each.whole;
    if (pki_csr_parse(request, &csr))
        return (struct bytes){0};
    for (rest = certificates; rest.n && !der_next(&rest, &each);)
        if (has_key(each.whole, &csr))
            return each.whole;
    return (struct bytes){0};
}

static void take_certificate(const struct upstream_end *end, struct buf *room,
                             struct ipc_upstream_answer *ret) {
    struct bytes certificates;
    if (!est_media_type_is(header(end->easy, "Content-Type"), "application/pkcs7-mime")) {
        say(ret, IPC_UPSTREAM_BAD, "the answer is not application/pkcs7-mime (RFC 7030, 4.2.3)");
        return;
    }
    if (est_base64_decode_lenient(end->body, room) ||
        est_certs_only_read(buf_bytes(room), &certificates)) {
        say(ret, IPC_UPSTREAM_BAD,
            "the answer is not a certs-only message in base64 (RFC 7030, 4.1.3; RFC 8951, 3.1)");
        return;
    }
    struct bytes certificate = choose(certificates, end->csr);
    if (!certificate.n || certificate.n > IPC_CERT_MAX) {
        say(ret, IPC_UPSTREAM_BAD, "the answer holds no certificate for the request's key");
        return;
    }
    ret->status = IPC_UPSTREAM_CERTIFICATE;
    ret->certificate = certificate;
}

/* ---- statuses ---- */

/* 401 speaks of our credential, which devices cannot mend; 5xx but 503 may come from a machine in
 * between, behind which the request was taken on. */
static enum ipc_upstream_status status_of(long status) {
    if (status == 202)
        return IPC_UPSTREAM_PENDING;
    if (status == 401 || status == 408 || status == 429 || status == 503)
        return IPC_UPSTREAM_LATER;
    return status >= 500   ? IPC_UPSTREAM_LOST
           : status >= 300 ? IPC_UPSTREAM_REFUSED
                           : IPC_UPSTREAM_BAD;
}

static void answered(const struct upstream_end *end, struct buf *room,
                     struct ipc_upstream_answer *ret) {
    long status = 0;
    (void)curl_easy_getinfo(end->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        take_certificate(end, room, ret);
        return;
    }
    ret->status = (uint8_t)status_of(status);
    ret->retry_after_s = retry_after(end->easy);
    if (end->body.n && est_media_type_is(header(end->easy, "Content-Type"), "text/plain"))
        set_text(ret, end->body);
    if (!ret->text[0])
        (void)snprintf(ret->text, sizeof ret->text, "HTTP status %ld", status);
}

void upstream_answer_read(const struct upstream_end *end, struct buf *room,
                          struct ipc_upstream_answer *ret) {
    if (end->overflow)
        say(ret, IPC_UPSTREAM_BAD, "the answer is too large");
    else if (end->code == CURLE_OK)
        answered(end, room, ret);
    else
        say(ret, end->sent ? IPC_UPSTREAM_LOST : IPC_UPSTREAM_UNREACHABLE,
            end->error[0] ? end->error : curl_easy_strerror(end->code));
}
