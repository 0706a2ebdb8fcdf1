/* SPDX-License-Identifier: Apache-2.0 */
/* URLs as they stand in a configuration: of an MQTT broker, the status face, an upstream CA. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "conf/conf.h"

#define PORT_PLAIN 1883
#define PORT_TLS 8883
#define PORT_HTTP 80
#define PORT_HTTPS 443

static bool take_text(const char **at, const char *text) {
    size_t n = strlen(text);
    bool found = strncmp(*at, text, n) == 0;
    *at += found ? n : 0;
    return found;
}

/* "host" or "[2001:db8::1]"; `at` is left behind it. */
static bool take_host(const char **at, char *ret, size_t cap) {
    bool brackets = **at == '[';
    const char *start = *at + (brackets ? 1 : 0);
    size_t n = strcspn(start, brackets ? "]" : ":/");
    if (n == 0 || n >= cap || (brackets && start[n] != ']'))
        return false;
    memcpy(ret, start, n);
    ret[n] = '\0';
    *at = start + n + (brackets ? 1 : 0);
    return true;
}

/* Nothing, or ":PORT"; `at` is left behind it. */
static bool take_port(const char **at, unsigned *port) {
    if (**at != ':')
        return true;
    size_t digits = strspn(*at + 1, "0123456789");
    if (digits < 1 || digits > 5)
        return false;
    unsigned long value = strtoul(*at + 1, NULL, 10);
    *at += 1 + digits;
    *port = (unsigned)value;
    return value >= 1 && value <= 65535;
}

enum tm_err conf_broker_parse(const char *text, struct conf_broker *ret) {
    struct conf_broker broker = {.tls = false};
    broker.tls = take_text(&text, "mqtts://");
    if ((!broker.tls && !take_text(&text, "mqtt://")) ||
        !take_host(&text, broker.host, sizeof broker.host))
        return TM_EPARSE;
    broker.port = broker.tls ? PORT_TLS : PORT_PLAIN;
    if (!take_port(&text, &broker.port) || *text != '\0')
        return TM_EPARSE;
    *ret = broker;
    return TM_OK;
}

/* "" or "/a/b": segments that need no percent-encoding (RFC 3986, 2.3), none empty, "." or "..". */
static bool is_path(const char *at) {
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    while (*at == '/') {
        size_t n = strspn(++at, unreserved);
        if (n == 0 || strspn(at, ".") == n)
            return false;
        at += n;
    }
    return *at == '\0';
}

enum tm_err conf_status_url_parse(const char *text, struct conf_status_url *ret) {
    struct conf_status_url url = {.port = PORT_HTTP};
    if (!take_text(&text, "http://") || !take_host(&text, url.host, sizeof url.host) ||
        !take_port(&text, &url.port) || !is_path(text) || strlen(text) >= sizeof url.path)
        return TM_EPARSE;
    TEXT_SET(url.path, text);
    *ret = url;
    return TM_OK;
}

enum tm_err conf_est_url_parse(const char *text, struct conf_est_url *ret) {
    static const char well_known[] = "/.well-known/est";
    struct conf_est_url url = {.port = PORT_HTTPS};
    if (strlen(text) > CONF_EST_URL_MAX || !take_text(&text, "https://") ||
        !take_host(&text, url.host, sizeof url.host) || !take_port(&text, &url.port))
        return TM_EPARSE;
    TEXT_SET(url.path, text);
    if (!take_text(&text, well_known) || !is_path(text) || (*text && strchr(text + 1, '/')))
        return TM_EPARSE;
    *ret = url;
    return TM_OK;
}
