/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EST over HTTPS (RFC 7030) by libcurl on OpenSSL, as a struct tm_transport. Certificates and trust
 * anchors come from the device's storage for each exchange, the private key's signatures from its
 * key store; nothing of the system's trust store is used. Connections are kept where the next
 * exchange may use them; a bound request goes over the connection whose binding was reported, or
 * not at all.
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
/* Strings and tables must outlive it. TM_EINVAL: not an https URL, with the path "/" or none. */
MUST_USE enum tm_err tm_curl_open(const struct tm_curl_config *config, struct tm_curl **ret);
void tm_curl_close(struct tm_curl *curl); /* NULL-safe */
const struct tm_transport *tm_curl_transport(struct tm_curl *curl);

#ifdef __cplusplus
}
#endif
#endif
