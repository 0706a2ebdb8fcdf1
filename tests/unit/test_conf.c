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
        {"tls:\n", "listen: {port: 65536}\ntls:\n", ":2: listen.port: \"65536\" is not allowed"},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_shortest),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(takes_what_fits),
        cmocka_unit_test(socket_path_fits),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
