/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark.yaml as a whole: loading, and the checks that concern several options. */
#include "conf/conf.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "conf/check.h"
#include "conf/managed.h"

/* RFC 7030, 3.2.2: a label must not be confused with an operation's path segment. */
static const char *const operations[] = {
    "cacerts", "simpleenroll", "simplereenroll", "fullcmc", "csrattrs", "serverkeygen", NULL};

#define KEY_MAX 64

/* The path of a list entry's key, "labels[1].tenant". */
static const char *entry_path(char ret[KEY_MAX], const char *list, size_t i, const char *key) {
    (void)snprintf(ret, KEY_MAX, "%s[%zu].%s", list, i, key);
    return ret;
}

static const struct conf_issuer *issuer_at(const struct conf *conf, size_t i) {
    return (const struct conf_issuer *)conf->issuers.items + i;
}
static const struct conf_tenant *tenant_at(const struct conf *conf, size_t i) {
    return (const struct conf_tenant *)conf->tenants.items + i;
}
static const struct conf_label *label_at(const struct conf *conf, size_t i) {
    return (const struct conf_label *)conf->labels.items + i;
}

bool conf_is_address(const char *text) {
    unsigned char octets[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1;
}

/* RFC 1123, 2.1: letters, digits and hyphens in labels of 1 to 63, 253 octets in all. */
bool conf_is_dns_name(const char *text) {
    static const char inner[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
    if (strlen(text) > 253)
        return false;
    for (const char *at = text;; at++) {
        size_t n = strspn(at, inner);
        if (n < 1 || n > 63 || at[0] == '-' || at[n - 1] == '-')
            return false;
        at += n;
        if (*at == '\0')
            return true;
        if (*at != '.')
            return false;
    }
}

struct conf_issuer *conf_issuer_named(const struct conf *conf, const char *name) {
    struct conf_issuer *items = conf->issuers.items;
    for (size_t i = 0; i < conf->issuers.count; i++)
        if (strcmp(items[i].name, name) == 0)
            return &items[i];
    return NULL;
}

struct conf_tenant *conf_tenant_named(const struct conf *conf, const char *name) {
    struct conf_tenant *items = conf->tenants.items;
    for (size_t i = 0; i < conf->tenants.count; i++)
        if (strcmp(items[i].name, name) == 0)
            return &items[i];
    return NULL;
}

bool conf_has_issuer_of(const struct conf *conf, enum conf_issuer_kind kind) {
    for (size_t i = 0; i < conf->issuers.count; i++)
        if (issuer_at(conf, i)->kind == (unsigned)kind)
            return true;
    return false;
}

static enum tm_err check_issuer(const struct conf_check *c, size_t i) {
    char path[KEY_MAX];
    const char *key = "";
    const char *fault = conf_issuer_fault(issuer_at(c->conf, i), &key);
    if (fault)
        return CONF_REFUSE(c, entry_path(path, "issuers", i, key), "%s", fault);
    for (size_t j = 0; j < i; j++)
        if (strcmp(issuer_at(c->conf, i)->name, issuer_at(c->conf, j)->name) == 0)
            return CONF_REFUSE(c, entry_path(path, "issuers", i, "name"),
                               "\"%s\" is the name of an earlier issuer",
                               issuer_at(c->conf, i)->name);
    return TM_OK;
}

static enum tm_err check_issuers(const struct conf_check *c) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < c->conf->issuers.count && !err; i++)
        err = check_issuer(c, i);
    return err;
}

static enum tm_err check_products(const struct conf_check *c, size_t i) {
    char path[KEY_MAX];
    const struct conf_tenant *tenant = tenant_at(c->conf, i);
    if (tenant->products != CONF_PRODUCTS_REQUIRED)
        return TM_OK;
    if (!c->conf->products_dir)
        return CONF_REFUSE(c, entry_path(path, "tenants", i, "products"),
                           "are required, and products_dir names no folder of any");
    if (tenant->register_unknown)
        return CONF_REFUSE(c, entry_path(path, "tenants", i, "register_unknown"),
                           "registers devices that have no SKU yet, and products are required");
    return TM_OK;
}

static enum tm_err check_tenants(const struct conf_check *c) {
    char path[KEY_MAX];
    for (size_t i = 0; i < c->conf->tenants.count; i++) {
        const struct conf_tenant *tenant = tenant_at(c->conf, i);
        for (size_t j = 0; j < i; j++)
            if (strcmp(tenant->name, tenant_at(c->conf, j)->name) == 0)
                return CONF_REFUSE(c, entry_path(path, "tenants", i, "name"),
                                   "\"%s\" is the name of an earlier tenant", tenant->name);
        if (!conf_issuer_named(c->conf, tenant->issuer))
            return CONF_REFUSE(c, entry_path(path, "tenants", i, "issuer"),
                               "\"%s\" is not the name of one of the issuers", tenant->issuer);
        for (size_t j = 0; j < tenant->also.count; j++)
            if (!conf_issuer_named(c->conf, tenant->also.items[j]))
                return CONF_REFUSE(c, entry_path(path, "tenants", i, "also"),
                                   "\"%.64s\" is not the name of one of the issuers",
                                   tenant->also.items[j]);
        if (tenant->register_unknown && !tenant->client_anchors)
            return CONF_REFUSE(c, entry_path(path, "tenants", i, "register_unknown"),
                               "registers devices under client_anchors, and there are none");
        enum tm_err err = check_products(c, i);
        if (err)
            return err;
    }
    return TM_OK;
}

static enum tm_err check_label(const struct conf_check *c, size_t i) {
    char path[KEY_MAX];
    const struct conf_label *label = label_at(c->conf, i);
    for (const char *const *operation = operations; *operation; operation++)
        if (strcasecmp(label->label, *operation) == 0)
            return CONF_REFUSE(c, entry_path(path, "labels", i, "label"),
                               "\"%s\" is an EST operation and cannot be a label (RFC 7030, 3.2.2)",
                               label->label);
    if (!conf_tenant_named(c->conf, label->tenant))
        return CONF_REFUSE(c, entry_path(path, "labels", i, "tenant"),
                           "\"%s\" is not the name of one of the tenants", label->tenant);
    for (size_t j = 0; j < i; j++) {
        if (strcmp(label->label, label_at(c->conf, j)->label) == 0)
            return CONF_REFUSE(c, entry_path(path, "labels", i, "label"),
                               "\"%s\" is an earlier label", label->label);
        if (label->is_default && label_at(c->conf, j)->is_default)
            return CONF_REFUSE(c, entry_path(path, "labels", i, "default"),
                               "\"%s\" is the default already", label_at(c->conf, j)->label);
    }
    return TM_OK;
}

static enum tm_err check_labels(const struct conf_check *c) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < c->conf->labels.count && !err; i++)
        err = check_label(c, i);
    return err;
}

static enum tm_err check_names(const struct conf_check *c) {
    char path[KEY_MAX];
    const struct conf_strings *names = &c->conf->tls.names;
    for (size_t i = 0; i < names->count; i++)
        if (!conf_is_address(names->items[i]) && !conf_is_dns_name(names->items[i])) {
            (void)snprintf(path, sizeof(path), "tls.names[%zu]", i);
            return CONF_REFUSE(c, path, "\"%.100s\" is neither a DNS name nor an IP address",
                               names->items[i]);
        }
    return TM_OK;
}

static enum tm_err check_tls(const struct conf_check *c) {
    struct conf_tls *tls = &c->conf->tls;
    enum tm_err err = check_names(c);
    if (err || !tls->self_issue)
        return err;
    if (tls->names.count == 0)
        return CONF_REFUSE(c, "tls.names",
                           "is missing; tls.self_issue needs the names of the server");
    if (!tls->tenant && c->conf->tenants.count > 1)
        return CONF_REFUSE(c, "tls.tenant", "is missing; must be the name of one of the tenants");
    if (!tls->tenant) {
        tls->tenant = strdup(tenant_at(c->conf, 0)->name);
        (void)snprintf(c->error, CONF_ERROR_MAX, "%s: out of memory", c->name);
        return tls->tenant ? TM_OK : TM_ENOMEM;
    }
    if (!conf_tenant_named(c->conf, tls->tenant))
        return CONF_REFUSE(c, "tls.tenant", "\"%s\" is not the name of one of the tenants",
                           tls->tenant);
    return TM_OK;
}

static enum tm_err check_limits(const struct conf_check *c) {
    const struct conf *conf = c->conf;
    if (!conf_is_address(conf->listen.address))
        return CONF_REFUSE(c, "listen.address", "\"%s\" is not an IPv4 or IPv6 address",
                           conf->listen.address);
    if (!conf_is_address(conf->metrics.address))
        return CONF_REFUSE(c, "metrics.address", "\"%s\" is not an IPv4 or IPv6 address",
                           conf->metrics.address);
    if (conf->core.max_map_size < conf->core.map_size)
        return CONF_REFUSE(c, "core.max_map_size", "is less than core.map_size");
    if (conf->listen.reply_timeout <= conf->core.request_timeout)
        return CONF_REFUSE(c, "listen.reply_timeout", "must be longer than core.request_timeout");
    return TM_OK;
}

bool conf_lies_in(const char *path, const char *folder) {
    size_t n = strlen(folder);
    while (n > 0 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The key lies apart from what it seals. */
static enum tm_err check_wrap_key(const struct conf_check *c) {
    const struct conf_core *core = &c->conf->core;
    if (core->wrap_key && conf_lies_in(core->wrap_key, core->store))
        return CONF_REFUSE(c, "core.wrap_key",
                           "lies in core.store; a copy of that must not hold it");
    return TM_OK;
}

/* ---- MQTT ---- */

/* What stands between two slashes of a topic (Sparkplug B 3.0, 4.1: no "+", "/" and "#"). */
static bool is_mqtt_id(const char *text, const char *reserved) {
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || strchr(reserved, text[i]))
            return false;
    return n >= 1 && n <= CONF_MQTT_ID_MAX;
}

/* Some levels of a topic, none of them empty, and none of somebody else's. */
static bool is_prefix(const char *text) {
    static const char sparkplug[] = "spBv1.0";
    size_t n = strlen(text), first = strcspn(text, "/");
    bool foreign =
        text[0] == '$' || (first == strlen(sparkplug) && strncmp(text, sparkplug, first) == 0);
    return is_mqtt_id(text, "+#") && !foreign && first > 0 && text[n - 1] != '/' &&
           !strstr(text, "//");
}

static enum tm_err check_broker(const struct conf_check *c) {
    const struct conf_mqtt *mqtt = &c->conf->mqtt;
    struct conf_broker broker;
    if (conf_broker_parse(mqtt->broker, &broker) ||
        (!conf_is_address(broker.host) && !conf_is_dns_name(broker.host)))
        return CONF_REFUSE(c, "mqtt.broker",
                           "\"%.100s\" is not allowed; must be mqtt://HOST[:PORT] or "
                           "mqtts://HOST[:PORT]",
                           mqtt->broker);
    if (broker.tls && !mqtt->anchors)
        return CONF_REFUSE(c, "mqtt.anchors", "is missing; mqtts needs the CAs of the broker");
    if (!broker.tls && (mqtt->anchors || mqtt->certificate || mqtt->name))
        return CONF_REFUSE(c, "mqtt.broker",
                           "must begin with mqtts:// for anchors, certificate or name "
                           "to have a meaning");
    if (!mqtt->certificate != !mqtt->key)
        return CONF_REFUSE(c, mqtt->key ? "mqtt.key" : "mqtt.certificate",
                           "mqtt.certificate and mqtt.key go together");
    return TM_OK;
}

static enum tm_err check_mqtt_ids(const struct conf_check *c) {
    const struct conf_mqtt *mqtt = &c->conf->mqtt;
    char path[KEY_MAX];
    if (mqtt->sparkplug && !mqtt->host_id)
        return CONF_REFUSE(c, "mqtt.host_id", "is missing; mqtt.sparkplug needs it");
    if (mqtt->host_id && !is_mqtt_id(mqtt->host_id, "+/#"))
        return CONF_REFUSE(c, "mqtt.host_id", "\"%s\" has one of + / # in it", mqtt->host_id);
    for (size_t i = 0; i < mqtt->groups.count; i++)
        if (!is_mqtt_id(mqtt->groups.items[i], "+/#")) {
            (void)snprintf(path, sizeof(path), "mqtt.groups[%zu]", i);
            return CONF_REFUSE(c, path, "\"%.100s\" must be 1 to %d octets without + / #",
                               mqtt->groups.items[i], CONF_MQTT_ID_MAX);
        }
    if (!is_prefix(mqtt->prefix))
        return CONF_REFUSE(
            c, "mqtt.prefix",
            "\"%s\" must be levels of a topic, without + and #, not below $ or spBv1.0",
            mqtt->prefix);
    return TM_OK;
}

static enum tm_err check_mqtt(const struct conf_check *c) {
    const struct conf_mqtt *mqtt = &c->conf->mqtt;
    if (!mqtt->broker)
        return TM_OK;
    enum tm_err err = check_broker(c);
    if (!err)
        err = check_mqtt_ids(c);
    if (err)
        return err;
    if (!mqtt->sparkplug && !mqtt->plain)
        return CONF_REFUSE(c, "mqtt.plain",
                           "serves nobody: mqtt.sparkplug or mqtt.plain must be true");
    if (mqtt->retransmit_max < mqtt->retransmit)
        return CONF_REFUSE(c, "mqtt.retransmit_max", "is less than mqtt.retransmit");
    return TM_OK;
}

static enum tm_err check_all(const struct conf_check *c) {
    static enum tm_err (*const checks[])(const struct conf_check *) = {
        check_issuers,     check_tenants,       check_labels,    check_tls,
        check_limits,      check_wrap_key,      check_mqtt,      conf_check_tokens,
        conf_check_status, conf_check_officers, conf_check_audit};
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && !err; i++)
        err = checks[i](c);
    return err;
}

enum tm_err conf_open(const char *text, size_t n, const char *path, struct conf *ret_conf,
                      char error[CONF_ERROR_MAX]) {
    enum tm_err err = conf_load_text(text, n, path, conf_rows, ret_conf, sizeof(*ret_conf), error);
    if (err)
        return err;
    const struct conf_check c = {text, n, path, ret_conf, error};
    err = check_all(&c);
    if (err)
        conf_close(ret_conf);
    return err;
}

enum tm_err conf_open_file(const char *path, struct conf *ret_conf, char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    AUTO_MEM char *managed = NULL;
    size_t n, managed_n = 0;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (!err)
        err = conf_open(text, n, path, ret_conf, error);
    if (err)
        return err;
    err = conf_managed_read(ret_conf->issuers_file, &managed, &managed_n, error);
    if (!err)
        err = conf_merge(ret_conf, managed, managed_n, error);
    if (err)
        conf_close(ret_conf);
    return err;
}

void conf_close(struct conf *conf) {
    conf_free(conf_rows, conf, sizeof(*conf));
}
