/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of touchmark-agent that a whole agent shows badly: that every option is documented and the
 * sample loads, what is no PEM and no secret, and what a hook's end is called.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/auto.h"
#include "client/agent/hook.h"
#include "client/agent/options.h"
#include "client/agent/pem.h"
#include "client/agent/secret.h"

struct fixture {
    char folder[64];
    char path[96]; /* of the one file */
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f)
        return -1;
    TEXT_SET(f->folder, "/tmp/touchmark-agent-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    (void)snprintf(f->path, sizeof f->path, "%s/file", f->folder);
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    (void)unlink(f->path);
    int failed = rmdir(f->folder);
    free(f);
    return failed;
}

static void put(const struct fixture *f, const char *text, mode_t mode) {
    (void)unlink(f->path);
    FILE *out = fopen(f->path, "we");
    assert_non_null(out);
    assert_int_equal(fputs(text, out) == EOF, false);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(f->path, mode), 0);
}

/* ---- options ---- */

static char *printed(void (*print)(const struct conf_row *, FILE *)) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(agent_rows, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_rows(const struct conf_row *rows, const char *sample, const char *manual) {
    for (const struct conf_row *row = rows; row->key; row++) {
        char key[80], help[400];
        (void)snprintf(key, sizeof key, "%s:", row->key);
        /* Up to the first hyphen, which troff has escaped. */
        (void)snprintf(help, sizeof help, "\n%.*s", (int)strcspn(row->help, "-"), row->help);
        assert_non_null(strstr(sample, key));
        assert_non_null(strstr(manual, help));
        assert_int_equal(row->help[strlen(row->help) - 1], '.');
        if (row->rows)
            assert_rows(row->rows, sample, manual);
    }
}

static void options_are_documented(void **state) {
    (void)state;
    AUTO_MEM char *sample = printed(conf_print_sample);
    AUTO_MEM char *manual = printed(conf_print_manual);
    assert_rows(agent_rows, sample, manual);
}

static void sample_loads(void **state) {
    const struct fixture *f = *state;
    AUTO_MEM char *sample = printed(conf_print_sample);
    struct agent_conf conf;
    char error[CONF_ERROR_MAX] = "";
    put(f, sample, 0600);
    if (agent_conf_open_file(f->path, &conf, error))
        fail_msg("%s", error);
    assert_string_equal(conf.device, "SN-0001");
    assert_string_equal(conf.status, "/var/lib/touchmark-agent/state/status.json");
    assert_null(conf.labels.idevid);
    assert_null(agent_anchor_unit(&conf));
    agent_conf_close(&conf);
}

#define BASE "device: d\nanchors: /a\n"
#define MQTT BASE "transport: mqtt\nmqtt:\n  url: "
#define PLAIN MQTT "mqtt://b\n  profile: plain\n"

static void assert_refused(const struct fixture *f, const char *text, const char *want) {
    struct agent_conf conf;
    char error[CONF_ERROR_MAX] = "", expected[CONF_ERROR_MAX];
    put(f, text, 0600);
    assert_int_equal(agent_conf_open_file(f->path, &conf, error), TM_EPARSE);
    (void)snprintf(expected, sizeof expected, "%s:%s", f->path, want);
    assert_string_equal(error, expected);
}

static void transports_need_what_they_need(void **state) {
    const struct fixture *f = *state;
    static const struct {
        const char *text, *want;
    } refused[] = {
        {BASE, "1: server: is missing; transport: https needs it"},
        {BASE "server: http://x", "3: server: must begin with https://"},
        {BASE "transport: mqtt", "1: mqtt.url: is missing; transport: mqtt needs it"},
        {MQTT "https://b", "5: mqtt.url: must begin with mqtt:// or mqtts://"},
        {MQTT "mqtt://b", "4: mqtt.group: is missing; mqtt.profile: sparkplug needs it"},
        {MQTT "mqtt://b\n  group: a/b", "6: mqtt.group: must be without \"+\", \"/\" and \"#\""},
        {MQTT "mqtt://b\n  group: a\n  host_id: '#'",
         "7: mqtt.host_id: must be without \"+\", \"/\" and \"#\""},
        {MQTT "mqtts://b\n  group: a", "4: mqtt.anchors: is missing; mqtts:// needs it"},
        {PLAIN "  anchors: /x", "7: mqtt.anchors: is for mqtts://"},
        {PLAIN "  certificate: /x", "7: mqtt.certificate: is for mqtts://"},
        {MQTT "mqtts://b\n  anchors: /x\n  certificate: /x",
         "4: mqtt.key: is missing; mqtt.certificate needs it"},
        {MQTT "mqtts://b\n  anchors: /x\n  key: /x",
         "4: mqtt.certificate: is missing; mqtt.key is nothing without it"},
        {PLAIN "  password_file: /x", "4: mqtt.user: is missing; mqtt.password_file needs it"},
        {PLAIN "requests:\n  probe_url: https://x",
         "8: requests.probe_url: is for transport: https; over mqtt a certificate is confirmed to "
         "its server"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_refused(f, refused[i].text, refused[i].want);
}

static void transport_mqtt_needs_no_server(void **state) {
    const struct fixture *f = *state;
    struct agent_conf conf;
    char error[CONF_ERROR_MAX] = "";
    put(f, MQTT "mqtt://b\n  group: a", 0600);
    if (agent_conf_open_file(f->path, &conf, error))
        fail_msg("%s", error);
    assert_null(conf.server);
    assert_null(conf.mqtt.edge_node);
    assert_int_equal(conf.mqtt.timeout, 60000);
    assert_int_equal(conf.mqtt.repeat, 10000);
    agent_conf_close(&conf);
}

/* ---- secrets ---- */

static void assert_secret(const struct fixture *f, const char *text, mode_t mode, enum tm_err want,
                          const char *want_secret) {
    char secret[AGENT_SECRET_MAX] = "untouched";
    put(f, text, mode);
    assert_int_equal(agent_secret_read(f->path, secret), want);
    assert_string_equal(secret, want_secret);
}

static void secret_is_one_line_of_its_owner(void **state) {
    const struct fixture *f = *state;
    char longest[AGENT_SECRET_MAX + 1];
    memset(longest, 'x', sizeof longest);
    longest[AGENT_SECRET_MAX - 1] = '\0';
    assert_secret(f, "open sesame\n", 0600, TM_OK, "open sesame");
    assert_secret(f, "open sesame", 0400, TM_OK, "open sesame");
    assert_secret(f, longest, 0600, TM_OK, longest);
    longest[AGENT_SECRET_MAX - 1] = 'x';
    longest[AGENT_SECRET_MAX] = '\0';
    assert_secret(f, longest, 0600, TM_EPARSE, "untouched");
    assert_secret(f, "", 0600, TM_EPARSE, "untouched");
    assert_secret(f, "\n", 0600, TM_EPARSE, "untouched");
    assert_secret(f, "two\nlines\n", 0600, TM_EPARSE, "untouched");
    assert_secret(f, "open sesame\n", 0640, TM_EDENIED, "untouched");
    assert_secret(f, "open sesame\n", 0604, TM_EDENIED, "untouched");
}

static void secret_may_be_a_credential(void **state) {
    const struct fixture *f = *state;
    char secret[AGENT_SECRET_MAX];
    put(f, "open sesame\n", 0640);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(agent_secret_read("credential:file", secret), TM_EIO);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->folder, 1), 0);
    assert_int_equal(agent_secret_read("credential:file", secret), TM_OK);
    assert_string_equal(secret, "open sesame");
    assert_int_equal(agent_secret_read("credential:other", secret), TM_ENOTFOUND);
    assert_int_equal(agent_secret_read("credential:../file", secret), TM_EIO);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

/* ---- PEM ---- */

static void assert_pem(const struct fixture *f, const char *text, size_t cap, enum tm_err want) {
    uint8_t der[64];
    struct buf out = {der, cap, 0, false};
    put(f, text, 0644);
    assert_int_equal(agent_pem_read(f->path, &out), want);
}

#define BLOCK(name, body) "-----BEGIN " name "-----\n" body "\n-----END " name "-----\n"

static void pem_is_certificates_only(void **state) {
    const struct fixture *f = *state;
    static const char one[] = BLOCK("CERTIFICATE", "MAMCAQE=");
    assert_pem(f, one, 64, TM_OK);
    assert_pem(f, one, 4, TM_ELIMIT);
    assert_pem(f, "", 64, TM_EPARSE);
    assert_pem(f, "MAMCAQE=\n", 64, TM_EPARSE);
    assert_pem(f, BLOCK("CERTIFICATE", "MAM!AQE="), 64, TM_EPARSE);
    assert_pem(f, BLOCK("PRIVATE KEY", "MAMCAQE="), 64, TM_EPARSE);
    assert_pem(f, BLOCK("CERTIFICATE", "MAMCAQE=") BLOCK("PRIVATE KEY", "MAMCAQE="), 64, TM_EPARSE);
}

static void pem_comes_back(void **state) {
    const struct fixture *f = *state;
    uint8_t der[64], text[512];
    struct buf read = BUF_ON(der), again = BUF_ON(text);
    static const char two[] = BLOCK("CERTIFICATE", "MAMCAQE=") BLOCK("CERTIFICATE", "MAMCAQI=");
    put(f,
        "for people: the root\n" BLOCK("CERTIFICATE", "MAMCAQE=") BLOCK("CERTIFICATE", "MAMCAQI="),
        0644);
    assert_int_equal(agent_pem_read(f->path, &read), TM_OK);
    assert_int_equal(agent_pem_put(buf_bytes(&read), &again), TM_OK);
    assert_true(bytes_equal(buf_bytes(&again), bytes_str(two)));
    struct buf little = {text, 100, 0, false};
    assert_int_equal(agent_pem_put(buf_bytes(&read), &little), TM_ELIMIT);
}

/* ---- hook ---- */

static void assert_hook(const struct fixture *f, const char *script, int64_t timeout_ms,
                        enum tm_err want, const char *want_text) {
    char text[AGENT_HOOK_TEXT_MAX] = "";
    const struct agent_variable variables[] = {{"A", "1"}, {"B", NULL}};
    put(f, script, 0755);
    assert_int_equal(agent_hook_run(f->path, timeout_ms, variables, 2, text), want);
    assert_string_equal(text, want_text);
}

static void hook_says_how_it_ended(void **state) {
    const struct fixture *f = *state;
    assert_hook(f, "#!/bin/sh\n", 60000, TM_OK, "done");
    assert_hook(f, "#!/bin/sh\nexit 9\n", 60000, TM_EIO, "exit code 9");
    assert_hook(f, "#!/bin/sh\nkill -TERM $$\n", 60000, TM_EIO, "killed by signal 15");
    assert_hook(f, "#!/bin/sh\nsleep 3600\n", 1000, TM_ETIMEOUT, "killed after 1 s");
    assert_hook(f, "#!/bin/sh\ntest \"$A\" = 1 && test -z \"${B+there}\"\n", 60000, TM_OK, "done");
    assert_hook(f, "#!/no/such/shell\n", 60000, TM_EIO,
                "cannot be started: No such file or directory");
}

/* A service manager starts the agent with signals as it likes; the hook has none blocked. */
static void hook_gets_its_signals(void **state) {
    const struct fixture *f = *state;
    sigset_t all, before;
    (void)sigfillset(&all);
    assert_int_equal(sigprocmask(SIG_BLOCK, &all, &before), 0);
    assert_hook(f, "#!/bin/sh\nkill -USR1 $$\nexit 0\n", 60000, TM_EIO, "killed by signal 10");
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_documented),
        cmocka_unit_test_setup_teardown(sample_loads, setup, teardown),
        cmocka_unit_test_setup_teardown(transports_need_what_they_need, setup, teardown),
        cmocka_unit_test_setup_teardown(transport_mqtt_needs_no_server, setup, teardown),
        cmocka_unit_test_setup_teardown(secret_is_one_line_of_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(secret_may_be_a_credential, setup, teardown),
        cmocka_unit_test_setup_teardown(pem_is_certificates_only, setup, teardown),
        cmocka_unit_test_setup_teardown(pem_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(hook_says_how_it_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(hook_gets_its_signals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
