/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark.yaml: a short production file, and the checks across keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "conf/conf.h"

/* The shortest production file: what has no sensible default. */
static const char shortest[] = "environment: prod\n"
                               "tls:\n"
                               "  names: [est.example.com, 192.0.2.1, '2001:db8::1']\n"
                               "signer:\n"
                               "  module: /usr/lib/hsm.so\n"
                               "issuers:\n"
                               "  - name: manufacturing\n"
                               "    key_label: m-2026\n"
                               "    certificate: ca/m.pem\n"
                               "    chain: ca/root.pem\n"
                               "tenants:\n"
                               "  - name: acme\n"
                               "    issuer: manufacturing\n"
                               "labels:\n"
                               "  - label: idevid\n"
                               "    tenant: acme\n"
                               "    profile: idevid\n";

static enum tm_err load(const char *text, struct conf *ret, char error[CONF_ERROR_MAX]) {
    return conf_open(text, strlen(text), "/etc/touchmark/touchmark.yaml", ret, error);
}

static void loads_shortest(void **state) {
    (void)state;
    struct conf conf;
    char error[CONF_ERROR_MAX];
    assert_int_equal(load(shortest, &conf, error), TM_OK);
    assert_int_equal(conf.environment, CONF_ENV_PROD);
    assert_string_equal(conf.process.user, "touchmark");
    assert_true(conf.process.sandbox);
    assert_int_equal(conf.process.log_level, CONF_LOG_INFO);
    assert_int_equal(conf.listen.port, 8443);
    assert_string_equal(conf.signer.pin_file, "credential:pin");
    assert_null(conf.signer.softhsm_conf);
    assert_string_equal(conf.tls.tenant, "acme");
    assert_int_equal(conf.tls.names.count, 3);
    const struct conf_issuer *issuer = conf.issuers.items;
    assert_string_equal(issuer->certificate, "/etc/touchmark/ca/m.pem");
    assert_null(conf.core.wrap_key);
    assert_null(conf.mqtt.broker);
    const struct conf_label *label = conf.labels.items;
    assert_false(label->is_default);
    conf_close(&conf);
}

/* The text with the first `from` replaced by `to`; the caller frees. */
static char *edited(const char *from, const char *to) {
    const char *at = strstr(shortest, from);
    assert_non_null(at);
    char *text;
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - shortest), shortest, to, at + strlen(from)) >
                0);
    return text;
}

#define GOOD_URL "https://ca.example/.well-known/est"
#define EST(url, more) "    kind: est\n    upstream: {url: '" url "', " more "}\n"

#define AUDIT(token) "audit: {origin: a, key_label: k, public_key: p, token: " token "}\ntls:\n"

/* Two officers in one line, what differs being given. */
#define OFFICERS(a, b) "officers: [{role: officer, " a "}, {role: officer, " b "}]\ntls:\n"

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *error;
    } cases[] = {
        {"issuer: manufacturing", "issuer: other",
         ":13: tenants.issuer: \"other\" is not the name"},
        {"tenant: acme", "tenant: other", ":16: labels.tenant: \"other\" is not the name"},
        {"label: idevid", "label: simpleenroll", ":15: labels.label: \"simpleenroll\" is an EST"},
        {"label: idevid", "label: CSRAttrs", ":15: labels.label: \"CSRAttrs\" is an EST"},
        {"    profile: idevid\n",
         "    profile: idevid\n  - {label: idevid, tenant: acme, profile: x}\n",
         ":18: labels.label: \"idevid\" is an earlier label"},
        {"    profile: idevid\n",
         "    profile: idevid\n    default: true\n"
         "  - {label: b, tenant: acme, profile: x, default: true}\n",
         ":19: labels.default: \"idevid\" is the default already"},
        {"labels:\n", "  - {name: acme, issuer: manufacturing}\nlabels:\n",
         ":14: tenants.name: \"acme\" is the name of an earlier tenant"},
        {"    key_label: m-2026\n", "", "issuers.key_label: is missing; must be the CKA_LABEL"},
        {"    chain: ca/root.pem\n", "", "issuers.chain: is missing; must be a path"},
        {"    key_label: m-2026\n", "    key_label: m-2026\n    upstream: {url: 'https://a'}\n",
         "issuers.upstream.url: is for the kind est"},
        {"    key_label: m-2026\n", "    key_label: m-2026\n    kind: est\n",
         "issuers.key_label: is for the kind token"},
        {"    key_label: m-2026\n", "    kind: est\n    crl_shards: 2\n",
         "issuers.crl_shards: is for the kind token"},
        {"    key_label: m-2026\n", "    kind: est\n", "issuers.upstream.url: is missing"},
        {"    key_label: m-2026\n", EST("http://a/.well-known/est", ""),
         "issuers.upstream.url: is not allowed; must be https://HOST"},
        {"    key_label: m-2026\n", EST(GOOD_URL, ""), "issuers.upstream.anchors: is missing"},
        {"    key_label: m-2026\n", EST(GOOD_URL, "anchors: a, certificate: c"),
         "issuers.upstream.certificate: certificate and key go together"},
        {"    key_label: m-2026\n", EST(GOOD_URL, "anchors: a, user: u"),
         "issuers.upstream.user: user and password_file go together"},
        {"    key_label: m-2026\n", EST(GOOD_URL, "anchors: a"),
         "issuers.upstream.certificate: is missing, and so is user"},
        {"issuers:\n",
         "status: {url: 'http://s', dir: /pub}\nissuers:\n  - name: e\n    certificate: c\n" EST(
             GOOD_URL, "anchors: /a, certificate: /c, key: /pub/k"),
         "status.dir: is public, and a secret for https://ca.example"},
        {"tenants:\n",
         "  - {name: manufacturing, key_label: k, certificate: c, chain: d}\ntenants:\n",
         ":11: issuers.name: \"manufacturing\" is the name of an earlier issuer"},
        {"labels:\n", "  - {name: b, issuer: manufacturing}\nlabels:\n",
         ":2: tls.tenant: is missing; must be the name of one of the tenants"},
        {"    issuer: manufacturing\n", "    issuer: manufacturing\n    register_unknown: true\n",
         ":14: tenants.register_unknown: registers devices under client_anchors"},
        {"  names: [est.example.com, 192.0.2.1, '2001:db8::1']\n", "",
         ":2: tls.names: is missing; tls.self_issue needs"},
        {"est.example.com", "est_x.example.com", ":3: tls.names: \"est_x.example.com\" is neither"},
        {"est.example.com", "-a.example", ":3: tls.names: \"-a.example\" is neither"},
        {"est.example.com", "a..example", ":3: tls.names: \"a..example\" is neither"},
        {"tls:\n", "tls:\n  tenant: other\n", ":3: tls.tenant: \"other\" is not the name"},
        {"tls:\n", "listen: {address: localhost}\ntls:\n",
         ":2: listen.address: \"localhost\" is not an IPv4 or IPv6 address"},
        {"tls:\n", "core: {map_size: 2GiB, max_map_size: 1GiB}\ntls:\n",
         ":2: core.max_map_size: is less than core.map_size"},
        {"tls:\n", "core: {request_timeout: 15s}\ntls:\n",
         ":1: listen.reply_timeout: must be longer than core.request_timeout"},
        {"  module: /usr/lib/hsm.so\n", "  module: /usr/lib/softhsm/libsofthsm2.so\n",
         ":5: signer.module: SoftHSM keeps keys in files; in prod it needs softhsm_in_prod: true"},
        {"  module: /usr/lib/hsm.so\n", "", ":4: signer.module: SoftHSM keeps keys in files"},
        {"  module: /usr/lib/hsm.so\n", "  standby_for: other\n  module: /usr/lib/hsm.so\n",
         ":5: signer.standby_for: must be left out"},
        {"  module: /usr/lib/hsm.so\n", "  pin_file: fd:2\n  module: /usr/lib/hsm.so\n",
         ":5: signer.pin_file: \"fd:2\" is not allowed; must be fd: and a number from 3"},
        {"  module: /usr/lib/hsm.so\n", "  pin_file: fd:4x\n  module: /usr/lib/hsm.so\n",
         ":5: signer.pin_file: \"fd:4x\" is not allowed"},
        {"tls:\n", "tokens: [{module: /a.so}]\ntls:\n",
         ":2: tokens.name: \"signer\" is the name of an earlier token"},
        {"tls:\n", "tokens: [{name: b, module: /usr/lib/hsm.so}]\ntls:\n",
         ":2: tokens.module: and softhsm_conf are those of token signer"},
        {"tls:\n", "tokens: [{name: b, module: /b.so, standby_for: b}]\ntls:\n",
         ":2: tokens.standby_for: \"b\" is not the name of another token"},
        {"tls:\n",
         "tokens: [{name: b, module: /b.so, standby_for: signer}, {name: c, module: /c.so, "
         "standby_for: b}]\ntls:\n",
         ":2: tokens.standby_for: \"b\" is a standby itself"},
        {"tls:\n",
         "tokens: [{name: b, module: /b.so, standby_for: signer}, {name: c, module: /c.so, "
         "standby_for: signer}]\ntls:\n",
         ":2: tokens.standby_for: \"signer\" has a standby already"},
        {"    key_label: m-2026\n", "    key_label: m-2026\n    token: b\n",
         ":9: issuers.token: \"b\" is not the name of one of the tokens"},
        {"tls:\n", "tls:\n  token: b\n", ":3: tls.token: has a meaning with tls.key_label only"},
        {"tls:\n", "tls:\n  key_label: k\n  self_issue: false\n",
         ":3: tls.key_label: needs tls.self_issue"},
        {"tls:\n", "tls:\n  key_label: k\n  token: b\n",
         ":4: tls.token: \"b\" is not the name of one of the tokens"},
        {"tls:\n",
         "tokens: [{name: b, module: /b.so, standby_for: signer}]\ntls:\n  key_label: k\n"
         "  token: b\n",
         ":5: tls.token: \"b\" is a standby"},
        {"tls:\n", "listen: {port: 65536}\ntls:\n", ":2: listen.port: \"65536\" is not allowed"},
        {"tls:\n", "core: {store: /s, wrap_key: /s/key}\ntls:\n", ":2: core.wrap_key: lies in"},
        {"tls:\n", "status: {url: 'https://s'}\ntls:\n", ":2: status.url: \"https://s\" is not"},
        {"tls:\n", "status: {url: 'http://'}\ntls:\n", ":2: status.url: \"http://\" is not"},
        {"tls:\n", "status: {url: 'http://s/'}\ntls:\n", ":2: status.url: \"http://s/\" is"},
        {"tls:\n", "status: {url: 'http://s/a//b'}\ntls:\n", ":2: status.url: \"http://s/a/"},
        {"tls:\n", "status: {url: 'http://s/..'}\ntls:\n", ":2: status.url: \"http://s/..\""},
        {"tls:\n", "status: {url: 'http://s/a?b'}\ntls:\n", ":2: status.url: \"http://s/a?b"},
        {"tls:\n", "status: {url: 'http://u@s'}\ntls:\n", ":2: status.url: \"http://u@s\" is"},
        {"tls:\n", "status: {url: 'http://s:0'}\ntls:\n", ":2: status.url: \"http://s:0\" is"},
        {"tls:\n", "status: {url: 'http://s', address: s}\ntls:\n",
         ":2: status.address: \"s\" is not an IPv4 or IPv6 address"},
        {"tls:\n", "status: {url: 'http://s', crl_lifetime: 1h}\ntls:\n",
         ": status.crl_lifetime: must be longer than status.crl_refresh"},
        {"tls:\n", "status: {url: 'http://s', crl_delay: 1h}\ntls:\n",
         ": status.crl_refresh: must be longer than status.crl_delay"},
        {"tls:\n", "core: {store: /s}\nstatus: {url: 'http://s', dir: /s/x}\ntls:\n",
         ":3: status.dir: lies in core.store"},
        {"tls:\n", "core: {store: /s/x}\nstatus: {url: 'http://s', dir: /s/}\ntls:\n",
         ":3: status.dir: is public, and core.store lies in it"},
        {"tls:\n", "status: {url: 'http://s', dir: /etc/touchmark}\ncore: {wrap_key: k}\ntls:\n",
         ":2: status.dir: is public, and core.wrap_key lies in it"},
        {"    chain: ca/root.pem\n",
         "    chain: ca/root.pem\n    crl_shards: 8\n"
         "  - {name: manufacturing-7, key_label: k, certificate: c, chain: d}\n"
         "status: {url: 'http://s'}\n",
         ":12: issuers.name: \"manufacturing-7\" is what a shard of \"manufacturing\""},
        {"tls:\n", "mqtt: {broker: 'tcp://b'}\ntls:\n", ":2: mqtt.broker: \"tcp://b\" is not"},
        {"tls:\n", "audit: {token: b}\ntls:\n", ":2: audit: needs origin"},
        {"tls:\n", "audit: {origin: 'a b'}\ntls:\n", ":2: audit.origin: \"a b\" is not allowed"},
        {"tls:\n", "audit: {origin: a, key_label: k, public_key: p}\ntls:\n",
         ":2: audit.token: is missing"},
        {"tls:\n", AUDIT("signer"), ":2: audit.token: \"signer\" holds other keys"},
        {"tls:\n", AUDIT("b"), ":2: audit.token: \"b\" is not the name of one of the tokens"},
        {"tls:\n", "tokens: [{name: b, module: /b.so, standby_for: signer}]\n" AUDIT("b"),
         ":3: audit.token: \"b\" is one of a pair"},
        {"tls:\n", OFFICERS("name: a, user: u", "name: a, user: v"),
         ":2: officers.name: \"a\" is the name of an earlier officer"},
        {"tls:\n", OFFICERS("name: a, user: u", "name: b, user: u"),
         ":2: officers.user: \"u\" is the user of an earlier officer"},
        {"tls:\n", OFFICERS("name: a, user: u, key: k", "name: b, user: v, key: ./k"),
         ":2: officers.key: /etc/touchmark/k is the key of an earlier officer"},
        {"tls:\n", OFFICERS("name: a, user: u, key: k", "name: b, user: v"),
         ":2: officers: one key only"},
        {"tls:\n", "officers: [{name: a, user: u, role: operator, key: k}]\ntls:\n",
         ":2: officers.key: has no use: a signs nothing"},
        {"tls:\n", "officers: [{name: a, role: auditor}]\ntls:\n", ":2: officers.user: is"},
        {"tls:\n", "mqtt: {broker: 'mqtt://'}\ntls:\n", ":2: mqtt.broker: \"mqtt://\" is not"},
        {"tls:\n", "mqtt: {broker: 'mqtt://a_b'}\ntls:\n", ":2: mqtt.broker: \"mqtt://a_b\" is"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b:0'}\ntls:\n", ":2: mqtt.broker: \"mqtt://b:0\" is"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b:65536'}\ntls:\n", ":2: mqtt.broker: \"mqtt://b:65"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b/x'}\ntls:\n", ":2: mqtt.broker: \"mqtt://b/x\" is"},
        {"tls:\n", "mqtt: {broker: 'mqtt://[::1'}\ntls:\n", ":2: mqtt.broker: \"mqtt://[::1\" "},
        {"tls:\n", "mqtt: {broker: 'mqtts://b'}\ntls:\n", ":2: mqtt.anchors: is missing"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', anchors: a}\ntls:\n",
         ":2: mqtt.broker: must begin with mqtts://"},
        {"tls:\n", "mqtt: {broker: 'mqtts://b', anchors: a, certificate: c}\ntls:\n",
         ":2: mqtt.certificate: mqtt.certificate and mqtt.key go together"},
        {"tls:\n", "mqtt: {broker: 'mqtts://b', anchors: a, key: c}\ntls:\n",
         ":2: mqtt.key: mqtt.certificate and mqtt.key go together"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', host_id: ''}\ntls:\n",
         ":2: mqtt.host_id: is missing"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', host_id: a/b}\ntls:\n", ":2: mqtt.host_id: \"a/b\""},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', groups: [g, '+']}\ntls:\n",
         ":2: mqtt.groups: \"+\""},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', groups: ['']}\ntls:\n",
         ":2: mqtt.groups: \"\" is not allowed"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', prefix: a/}\ntls:\n",
         ":2: mqtt.prefix: \"a/\" must"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', prefix: 'a/#'}\ntls:\n", ":2: mqtt.prefix: \"a/#\""},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', prefix: spBv1.0/x}\ntls:\n",
         ":2: mqtt.prefix: \"sp"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', sparkplug: false, plain: false}\ntls:\n",
         ":2: mqtt.plain: serves nobody"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', retransmit: 20m}\ntls:\n",
         "mqtt.retransmit_max: is less than mqtt.retransmit"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', keepalive: 1s}\ntls:\n", ":2: mqtt.keepalive: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO_MEM char *text = edited(cases[i].from, cases[i].to);
        struct conf conf;
        char error[CONF_ERROR_MAX] = "";
        enum tm_err err = load(text, &conf, error);
        if (err != TM_EPARSE || !strstr(error, cases[i].error))
            fail_msg("%s gives %d: %s", cases[i].to, err, error);
        static const struct conf zero;
        assert_memory_equal(&conf, &zero, sizeof(zero));
    }
}

static void takes_what_fits(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"tls:\n", "softhsm_in_prod: true\ntls:\n"},
        {"  module: /usr/lib/hsm.so\n", "  module: /opt/libsofthsm2/other.so\n"},
        {"  names: [est.example.com, 192.0.2.1, '2001:db8::1']\n", "  self_issue: false\n"},
        {"tls:\n", "process: {user: ''}\ntls:\n"},
        {"    profile: idevid\n", "    profile: idevid\n    default: true\n"},
        {"tls:\n", "listen: {address: '::', port: 0}\ntls:\n"},
        {"tls:\n", "core: {store: /s, wrap_key: /s.key}\ntls:\n"},
        {"tls:\n", "status: {url: 'http://s.example:8080/a/b.c', dir: /s.d}\ntls:\n"},
        {"tls:\n", "status: {url: 'http://[2001:db8::1]', address: '::', port: 0}\ntls:\n"},
        {"tls:\n", "status: {dir: /var/lib/touchmark, crl_delay: 2h}\ntls:\n"}, /* nobody uses it */
        {"tls:\n", OFFICERS("name: a, user: u", "name: b, user: v")},           /* nobody signs */
        {"tls:\n", OFFICERS("name: a, user: u, key: k", "name: b, user: v, key: l")},
        {"tls:\n", "mqtt: {broker: ''}\ntls:\n"},
        {"tls:\n", "mqtt: {host_id: a/b}\ntls:\n"}, /* nobody uses it */
        {"tls:\n", "mqtt: {broker: 'mqtt://b', sparkplug: false, host_id: ''}\ntls:\n"},
        {"tls:\n", "mqtt: {broker: 'mqtt://b', groups: [plant 1, b], prefix: spBv1.0x}\ntls:\n"},
        {"tls:\n", "mqtt: {broker: 'mqtts://b', anchors: a, certificate: c, key: k}\ntls:\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO_MEM char *text = edited(cases[i].from, cases[i].to);
        struct conf conf;
        char error[CONF_ERROR_MAX] = "";
        if (load(text, &conf, error))
            fail_msg("%s", error);
        conf_close(&conf);
    }
}

static void socket_path_fits(void **state) {
    (void)state;
    char name[128];
    memset(name, 's', sizeof(name));
    name[107 - strlen("/etc/touchmark/") + 1] = '\0';
    AUTO_MEM char *text = NULL;
    assert_true(asprintf(&text, "%score: {admin_socket: %s}\n", shortest, name) > 0);
    struct conf conf;
    char error[CONF_ERROR_MAX];
    assert_int_equal(load(text, &conf, error), TM_EPARSE);
    assert_non_null(strstr(error, "core.admin_socket: "));
    text[strlen(text) - 3] = '}';
    text[strlen(text) - 2] = ' ';
    assert_int_equal(load(text, &conf, error), TM_OK);
    assert_int_equal(strlen(conf.core.admin_socket), 107);
    conf_close(&conf);
}

static void mqtt_section(void **state) {
    (void)state;
    AUTO_MEM char *text = edited("tls:\n", "mqtt:\n  broker: mqtts://broker.example\n"
                                           "  password_file: credential:mqtt\n  anchors: ca.pem\n"
                                           "  groups: [plant]\n  retransmit: 2s\ntls:\n");
    struct conf conf;
    char error[CONF_ERROR_MAX] = "";
    if (load(text, &conf, error))
        fail_msg("%s", error);
    const struct conf_mqtt *mqtt = &conf.mqtt;
    assert_string_equal(mqtt->client_id, "touchmark");
    assert_null(mqtt->user);
    assert_string_equal(mqtt->password_file, "credential:mqtt");
    assert_string_equal(mqtt->anchors, "/etc/touchmark/ca.pem");
    assert_true(mqtt->sparkplug && mqtt->plain && !mqtt->events);
    assert_string_equal(mqtt->host_id, "touchmark");
    assert_int_equal(mqtt->groups.count, 1);
    assert_string_equal(mqtt->prefix, "touchmark/v1");
    assert_int_equal(mqtt->retransmit, 2000);
    conf_close(&conf);
}

static void broker_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text, *host;
        unsigned port;
        bool tls;
    } cases[] = {{"mqtt://b", "b", 1883, false},
                 {"mqtts://b", "b", 8883, true},
                 {"mqtt://192.0.2.1:1", "192.0.2.1", 1, false},
                 {"mqtts://[2001:db8::1]", "2001:db8::1", 8883, true},
                 {"mqtt://[::1]:65535", "::1", 65535, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct conf_broker broker;
        assert_int_equal(conf_broker_parse(cases[i].text, &broker), TM_OK);
        assert_string_equal(broker.host, cases[i].host);
        assert_int_equal(broker.port, cases[i].port);
        assert_int_equal(broker.tls, cases[i].tls);
    }
    static const char *const bad[] = {
        "",          "b",          "mqtt:b",      "mqtt://",         "mqtt://:1",    "mqtt://[]",
        "mqtt://b:", "mqtt://b:x", "mqtt://b:1x", "mqtt://b:123456", "mqtt://[::1]x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct conf_broker broker = {.port = 7};
        assert_int_equal(conf_broker_parse(bad[i], &broker), TM_EPARSE);
        assert_int_equal(broker.port, 7);
    }
}

static void est_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *path;
        unsigned port;
    } cases[] = {
        {"https://a/.well-known/est", "a", "/.well-known/est", 443},
        {"https://a.example:8443/.well-known/est/x-1", "a.example", "/.well-known/est/x-1", 8443},
        {"https://[::1]:1/.well-known/est", "::1", "/.well-known/est", 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct conf_est_url url;
        assert_int_equal(conf_est_url_parse(cases[i].text, &url), TM_OK);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.path, cases[i].path);
        assert_int_equal(url.port, cases[i].port);
    }
    static const char *const bad[] = {"",
                                      "https://a",
                                      "https://a/",
                                      "https://a/est",
                                      "http://a/.well-known/est",
                                      "https://a/.well-known/est/",
                                      "https://a/.well-known/est/b/c",
                                      "https://a/.well-known/establish",
                                      "https://a/.well-known/est?x",
                                      "https://a/.well-known/est/.."};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct conf_est_url url = {.port = 7};
        if (conf_est_url_parse(bad[i], &url) != TM_EPARSE || url.port != 7)
            fail_msg("%s was taken", bad[i]);
    }
}

static void takes_another_ca(void **state) {
    (void)state;
    struct conf conf;
    char error[CONF_ERROR_MAX];
    AUTO_MEM char *text =
        edited("    key_label: m-2026\n", EST(GOOD_URL, "anchors: a.pem, user: ra, password_file: "
                                                        "'credential:ca', names: request"));
    if (load(text, &conf, error))
        fail_msg("%s", error);
    const struct conf_issuer *issuer = conf.issuers.items;
    assert_true(conf_has_issuer_of(&conf, CONF_ISSUER_EST));
    assert_false(conf_has_issuer_of(&conf, CONF_ISSUER_TOKEN));
    assert_null(issuer->key_label);
    assert_string_equal(issuer->upstream.anchors, "/etc/touchmark/a.pem");
    assert_string_equal(issuer->upstream.password_file, "credential:ca");
    assert_int_equal(issuer->upstream.names, CONF_UPSTREAM_REQUEST);
    assert_int_equal(issuer->upstream.timeout, 10000);
    assert_int_equal(issuer->upstream.connections, 4);
    conf_close(&conf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_shortest),  cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(takes_what_fits), cmocka_unit_test(socket_path_fits),
        cmocka_unit_test(mqtt_section),    cmocka_unit_test(broker_addresses),
        cmocka_unit_test(est_addresses),   cmocka_unit_test(takes_another_ca),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
