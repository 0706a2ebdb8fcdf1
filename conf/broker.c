/* SPDX-License-Identifier: Apache-2.0 */
/* The address of an MQTT broker as it stands in a configuration. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

#define PORT_PLAIN 1883
#define PORT_TLS 8883

static bool take_scheme(const char **at, bool *ret_tls) {
    static const struct {
        const char *text;
        bool tls;
    } schemes[] = {{"mqtt://", false}, {"mqtts://", true}};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t n = strlen(schemes[i].text);
        if (strncmp(*at, schemes[i].text, n) == 0) {
            *at += n;
            *ret_tls = schemes[i].tls;
            return true;
        }
    }
    return false;
}

/* "host" or "[2001:db8::1]"; `at` is left behind it. */
static bool take_host(const char **at, char ret[CONF_BROKER_MAX + 1]) {
    bool brackets = **at == '[';
    const char *start = *at + (brackets ? 1 : 0);
    size_t n = strcspn(start, brackets ? "]" : ":/");
    if (n == 0 || n > CONF_BROKER_MAX || (brackets && start[n] != ']'))
        return false;
    memcpy(ret, start, n);
    ret[n] = '\0';
    *at = start + n + (brackets ? 1 : 0);
    return true;
}

/* Nothing, or ":PORT" up to the end. */
static bool take_port(const char *at, unsigned *port) {
    if (*at == '\0')
        return true;
    size_t digits = strspn(at + 1, "0123456789");
    if (*at != ':' || digits < 1 || digits > 5 || at[1 + digits] != '\0')
        return false;
    unsigned long value = strtoul(at + 1, NULL, 10);
    *port = (unsigned)value;
    return value >= 1 && value <= 65535;
}

enum tm_err conf_broker_parse(const char *text, struct conf_broker *ret) {
    struct conf_broker broker = {.tls = false};
    if (!take_scheme(&text, &broker.tls) || !take_host(&text, broker.host))
        return TM_EPARSE;
    broker.port = broker.tls ? PORT_TLS : PORT_PLAIN;
    if (!take_port(text, &broker.port))
        return TM_EPARSE;
    *ret = broker;
    return TM_OK;
}
