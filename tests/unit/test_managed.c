/* SPDX-License-Identifier: Apache-2.0 */
/* The issuers file: what it changes in a configuration, what is refused, and writing it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "conf/managed.h"

#define BASE_START "environment: dev\ntls: {self_issue: false}\nissuers_file: issuers.yaml\n"
#define BASE                                                                                       \
    BASE_START                                                                                     \
    "issuers:\n  - {name: a, key_label: ka, certificate: a.pem, chain: root.pem}\n"                \
    "tenants:\n  - {name: t, issuer: a}\n  - {name: u, issuer: a}\n"                               \
    "labels:\n  - {label: l, tenant: t, profile: p}\n"
#define B "issuers:\n  - {name: b, key_label: kb, certificate: b.pem, chain: /r.pem}\n"

static enum tm_err merge(const char *text, struct conf *ret, char error[CONF_ERROR_MAX]) {
    if (conf_open(BASE, strlen(BASE), "/etc/tm/touchmark.yaml", ret, error))
        fail_msg("%s", error);
    return conf_merge(ret, text, strlen(text), error);
}

static const struct conf_issuer *issuer(const struct conf *conf, size_t i) {
    return (const struct conf_issuer *)conf->issuers.items + i;
}
static const struct conf_tenant *tenant(const struct conf *conf, size_t i) {
    return (const struct conf_tenant *)conf->tenants.items + i;
}

static void nothing_said_changes_nothing(void **state) {
    (void)state;
    char error[CONF_ERROR_MAX];
    struct conf conf;
    assert_int_equal(merge("", &conf, error), TM_OK);
    assert_string_equal(conf.issuers_file, "/etc/tm/issuers.yaml");
    assert_int_equal(conf.issuers.count, 1);
    assert_string_equal(tenant(&conf, 0)->issuer, "a");
    conf_close(&conf);
}

static void issuers_are_added_and_assigned(void **state) {
    (void)state;
    char error[CONF_ERROR_MAX];
    struct conf conf;
    if (merge(B "tenants:\n  - {name: t, issuer: b, also: [a]}\n", &conf, error))
        fail_msg("%s", error);
    assert_int_equal(conf.issuers.count, 2);
    assert_string_equal(issuer(&conf, 1)->name, "b");
    assert_string_equal(issuer(&conf, 1)->certificate, "/etc/tm/b.pem");
    assert_string_equal(tenant(&conf, 0)->issuer, "b");
    assert_int_equal(tenant(&conf, 0)->also.count, 1);
    assert_string_equal(tenant(&conf, 0)->also.items[0], "a");
    assert_string_equal(tenant(&conf, 1)->issuer, "a");
    assert_int_equal(tenant(&conf, 1)->also.count, 0);
    conf_close(&conf);
}

static void whom_nobody_has_may_be_retired(void **state) {
    (void)state;
    char error[CONF_ERROR_MAX];
    struct conf conf;
    if (merge(B "tenants: [{name: t, issuer: b}, {name: u, issuer: b}]\nretired: [a]\n", &conf,
              error))
        fail_msg("%s", error);
    assert_true(issuer(&conf, 0)->retired);
    assert_false(issuer(&conf, 1)->retired);
    conf_close(&conf);
}

static void what_does_not_fit_names_its_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"issuers:\n  - {name: a, key_label: k, certificate: c, chain: d}\n",
         "/etc/tm/issuers.yaml:2: issuers.name: \"a\" is the name of an earlier issuer"},
        {B "  - {name: b, key_label: k, certificate: c, chain: d}\n",
         ":3: issuers.name: \"b\" is the name of an earlier issuer"},
        {"tenants: [{name: v, issuer: a}]\n", "tenants.name: \"v\" is not the name of one"},
        {"tenants: [{name: t, issuer: c}]\n", "tenants.issuer: \"c\" is not the name of one"},
        {"tenants: [{name: t, issuer: a, also: [d]}]\n", "tenants.also: \"d\" is not the name"},
        {"retired: [c]\n", "retired: \"c\" is not the name of one of the issuers"},
        {"retired: [a]\n", "retired: \"a\" is still an issuer of a tenant"},
        {B "tenants: [{name: t, issuer: b}, {name: u, issuer: b, also: [a]}]\nretired: [a]\n",
         "\"a\" is still an issuer of a tenant"},
        {"labels: []\n", "labels: unknown key"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char error[CONF_ERROR_MAX];
        struct conf conf;
        assert_int_equal(merge(bad[i].text, &conf, error), TM_EPARSE);
        conf_close(&conf);
        if (!strstr(error, bad[i].says))
            fail_msg("%zu: \"%s\" is not in: %s", i, bad[i].says, error);
    }
}

/* ISSUER-3.crl is a shard's file. */
static void a_shard_and_an_issuer_share_no_name(void **state) {
    static const struct {
        const char *text, *says;
    } bad[] = {{"issuers:\n  - {name: a-1, key_label: k, certificate: b.pem, chain: r.pem}\n",
                "issuers.yaml:2: issuers.name: \"a-1\" is the name of an issuer"},
               {"issuers:\n  - {name: x, key_label: k, certificate: b.pem, chain: r.pem}\n"
                "  - {name: z, key_label: k, certificate: b.pem, chain: r.pem, crl_shards: 9}\n",
                "issuers.yaml:3: issuers.name: \"z-8\" is the name of an issuer"}};
    static const char base[] =
        BASE_START "issuers:\n"
                   "  - {name: a, key_label: k, certificate: a.pem, chain: r.pem, crl_shards: 2}\n"
                   "  - {name: z-8, key_label: k, certificate: a.pem, chain: r.pem}\n"
                   "tenants:\n  - {name: t, issuer: a}\n"
                   "labels:\n  - {label: l, tenant: t, profile: p}\n"
                   "status: {url: \"http://status.example.com\"}\n";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char error[CONF_ERROR_MAX];
        struct conf conf;
        if (conf_open(base, strlen(base), "/etc/tm/touchmark.yaml", &conf, error))
            fail_msg("%s", error);
        assert_int_equal(conf_merge(&conf, bad[i].text, strlen(bad[i].text), error), TM_EPARSE);
        assert_non_null(strstr(error, bad[i].says));
        conf_close(&conf);
    }
}

static void tenants_are_assigned_and_dropped(void **state) {
    static const char *const issuers[] = {"b", "a"};
    char error[CONF_ERROR_MAX];
    struct conf conf;
    (void)state;
    assert_int_equal(merge(B, &conf, error), TM_OK);
    assert_int_equal(conf_assign(&conf, "x", issuers, 2), TM_ENOTFOUND);
    assert_int_equal(conf_assign(&conf, "t", issuers, 2), TM_OK);
    assert_string_equal(tenant(&conf, 0)->issuer, "b");
    assert_int_equal(tenant(&conf, 0)->also.count, 1);
    assert_string_equal(tenant(&conf, 0)->also.items[0], "a");
    assert_string_equal(tenant(&conf, 1)->issuer, "a");
    conf_drop_tenant(&conf, "t");
    assert_int_equal(conf.tenants.count, 1);
    assert_string_equal(tenant(&conf, 0)->name, "u");
    assert_int_equal(conf.labels.count, 0);
    conf_drop_tenant(&conf, "t");
    assert_int_equal(conf.tenants.count, 1);
    conf_close(&conf);
}

/* What is written is what was read, whatever octets it has. */
static void writing_and_reading_agree(void **state) {
    (void)state;
    static const char text[] =
        "issuers:\n"
        "  - {name: b, key_label: \"k\\\"\\\\ \\xfc:#\", certificate: /c d.pem, chain: "
        "/r.pem, "
        "ocsp_key_label: o, crl_shards: 64, old_with_new: /o.pem, new_with_old: /n.pem}\n"
        "tenants: [{name: t, issuer: b, also: [a, c]}]\nretired: [x]\n";
    char folder[] = "/tmp/touchmark-managed-XXXXXX", path[64], error[CONF_ERROR_MAX];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/issuers.yaml", folder);
    if (conf_managed_replace(path, text, strlen(text), error))
        fail_msg("%s", error);
    assert_int_equal(chmod(path, 0640), 0);
    struct conf_managed first, second;
    AUTO_MEM char *once = NULL;
    AUTO_MEM char *twice = NULL;
    size_t once_n, twice_n;
    assert_int_equal(conf_managed_load(path, &first, error), TM_OK);
    const struct conf_issuer *row = first.issuers.items;
    assert_string_equal(row->key_label, "k\"\\ \xc3\xbc:#");
    assert_int_equal(conf_managed_print(&first, &once, &once_n), TM_OK);
    assert_int_equal(conf_managed_replace(path, once, once_n, error), TM_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(conf_managed_load(path, &second, error), TM_OK);
    assert_int_equal(conf_managed_print(&second, &twice, &twice_n), TM_OK);
    assert_int_equal(once_n, twice_n);
    assert_memory_equal(once, twice, once_n);
    row = second.issuers.items;
    assert_string_equal(row->key_label, "k\"\\ \xc3\xbc:#");
    assert_int_equal(row->crl_shards, 64);
    assert_string_equal(row->new_with_old, "/n.pem");
    conf_free(conf_managed_rows, &first, sizeof first);
    conf_free(conf_managed_rows, &second, sizeof second);
    assert_int_equal(conf_managed_replace(path, "", 0, error), TM_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_changes_nothing),
        cmocka_unit_test(issuers_are_added_and_assigned),
        cmocka_unit_test(whom_nobody_has_may_be_retired),
        cmocka_unit_test(what_does_not_fit_names_its_line),
        cmocka_unit_test(a_shard_and_an_issuer_share_no_name),
        cmocka_unit_test(tenants_are_assigned_and_dropped),
        cmocka_unit_test(writing_and_reading_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
