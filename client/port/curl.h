/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EST over HTTPS (RFC 7030) by libcurl on OpenSSL, as a struct tm_transport. Certificates and trust
 * anchors come from the device's storage for each exchange, the private key's signatures from its
 * key store; nothing of the system's trust store is used. Connections are kept where the next
 * exchange may use them; a bound request goes over the connection whose binding was reported, or
 * not at all. A connection that the server ends with its answer (HTTP/1.0, Connection: close) has
 * none to report.
 *
 * Results beyond client/transport.h: a chain or key that can never be shown (not there, or not of
 * each other) is TM_RESULT_DENIED, a storage or key store that fails TM_RESULT_NETWORK; status 408
 * is TM_RESULT_LATER. Only an alert that comes after the certificate was shown speaks of it. A
 * probe is denied by 401 and 403, put off by 408, 429 and 5xx, and accepted by every other status.
 * Bodies over 64 KiB are refused.
 *
 * One exchange at a time; different objects are independent. No signal is used or handled.
 */
#ifndef TOUCHMARK_CLIENT_PORT_CURL_H
#define TOUCHMARK_CLIENT_PORT_CURL_H

#include "client/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tm_curl_config {
    const char *url;       /* "https://host[:port]"; EST paths are put behind it */
    const char *probe_url; /* where a new certificate is tried: an https URL of the service it is
                              for, asked by GET; NULL: csrattrs of the EST server */
    uint32_t timeout_s;    /* for one exchange; default 30 */
    uint32_t connect_timeout_s; /* default 10 */
    bool tls12;                 /* nothing newer than TLS 1.2 */
    bool without_time; /* this device has no clock: server certificates are not refused for their
                          validity */
    const struct tm_keys *keys;
    const struct tm_storage *storage;
};

struct tm_curl;
/* Strings and tables must outlive it. TM_EINVAL: not an https URL, or one with a path, a query or a
 * user; a table version that is not known. TM_ENOMEM. */
MUST_USE enum tm_err tm_curl_open(const struct tm_curl_config *config, struct tm_curl **ret);
void tm_curl_close(struct tm_curl *curl); /* NULL-safe */
const struct tm_transport *tm_curl_transport(struct tm_curl *curl);

/* Something other than EST that the same server offers, over the same connections: posts one JSON
 * object to `path` ("/..."), authenticated as `credential` says (tm_device_credential; its other
 * members do not count). On TM_RESULT_OK the body is the JSON that came back, as text. *ret_status:
 * the HTTP status, 0 when there was no answer. The object is the caller's to wipe. */
void tm_curl_post(struct tm_curl *curl, const struct tm_exchange *credential, const char *path,
                  struct bytes json, struct tm_answer *ret, long *ret_status);

#ifdef __cplusplus
}
#endif
#endif
