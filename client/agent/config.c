/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-agent.yaml as a whole: loading, and the checks that concern several options. */
#include <string.h>

#include "base/auto.h"
#include "client/agent/options.h"

struct check {
    const char *text;
    size_t n;
    const char *name;
    struct agent_conf *conf;
    char *error;
};

#define REFUSE(c, path, ...)                                                                       \
    conf_refuse((c)->text, (c)->n, (c)->name, path, (c)->error, __VA_ARGS__)

static bool begins(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static enum tm_err check_urls(const struct check *c) {
    const struct agent_conf *conf = c->conf;
    if (conf->transport == AGENT_TRANSPORT_HTTPS && !conf->server)
        return REFUSE(c, "server", "is missing; transport: https needs it");
    if (conf->server && !begins(conf->server, "https://"))
        return REFUSE(c, "server", "must begin with https://");
    if (conf->requests.probe_url && !begins(conf->requests.probe_url, "https://"))
        return REFUSE(c, "requests.probe_url", "must begin with https://");
    if (conf->requests.probe_url && conf->transport == AGENT_TRANSPORT_MQTT)
        return REFUSE(
            c, "requests.probe_url",
            "is for transport: https; over mqtt a certificate is confirmed to its server");
    return TM_OK;
}

/* Sparkplug B 3.0, 4.1: these three separate levels and stand for others in topics. */
static enum tm_err check_id(const struct check *c, const char *path, const char *id) {
    if (id && strpbrk(id, "+/#"))
        return REFUSE(c, path, "must be without \"+\", \"/\" and \"#\"");
    return TM_OK;
}

static enum tm_err check_node(const struct check *c) {
    const struct agent_mqtt *mqtt = &c->conf->mqtt;
    if (mqtt->profile != AGENT_PROFILE_SPARKPLUG)
        return TM_OK;
    if (!mqtt->group)
        return REFUSE(c, "mqtt.group", "is missing; mqtt.profile: sparkplug needs it");
    enum tm_err err = check_id(c, "mqtt.group", mqtt->group);
    if (!err)
        err = check_id(c, "mqtt.edge_node", mqtt->edge_node);
    return err ? err : check_id(c, "mqtt.host_id", mqtt->host_id);
}

static enum tm_err check_broker_tls(const struct check *c) {
    const struct agent_mqtt *mqtt = &c->conf->mqtt;
    bool tls = begins(mqtt->url, "mqtts://");
    if (tls && !mqtt->anchors)
        return REFUSE(c, "mqtt.anchors", "is missing; mqtts:// needs it");
    if (!tls && mqtt->anchors)
        return REFUSE(c, "mqtt.anchors", "is for mqtts://");
    if (!tls && mqtt->certificate)
        return REFUSE(c, "mqtt.certificate", "is for mqtts://");
    if (mqtt->certificate && !mqtt->key)
        return REFUSE(c, "mqtt.key", "is missing; mqtt.certificate needs it");
    if (mqtt->key && !mqtt->certificate)
        return REFUSE(c, "mqtt.certificate", "is missing; mqtt.key is nothing without it");
    return TM_OK;
}

static enum tm_err check_mqtt(const struct check *c) {
    const struct agent_mqtt *mqtt = &c->conf->mqtt;
    if (c->conf->transport != AGENT_TRANSPORT_MQTT)
        return TM_OK;
    if (!mqtt->url)
        return REFUSE(c, "mqtt.url", "is missing; transport: mqtt needs it");
    if (!begins(mqtt->url, "mqtt://") && !begins(mqtt->url, "mqtts://"))
        return REFUSE(c, "mqtt.url", "must begin with mqtt:// or mqtts://");
    if (mqtt->password_file && !mqtt->user)
        return REFUSE(c, "mqtt.user", "is missing; mqtt.password_file needs it");
    enum tm_err err = check_broker_tls(c);
    return err ? err : check_node(c);
}

static enum tm_err check_keys(const struct check *c) {
    const struct agent_keys *keys = &c->conf->keys;
    if (keys->store != AGENT_STORE_PKCS11)
        return TM_OK;
    if (!keys->module)
        return REFUSE(c, "keys.module", "is missing; keys.store: pkcs11 needs it");
    if (!keys->token)
        return REFUSE(c, "keys.token", "is missing; keys.store: pkcs11 needs it");
    if (!keys->pin_file)
        return REFUSE(c, "keys.pin_file", "is missing; keys.store: pkcs11 needs it");
    return TM_OK;
}

static enum tm_err check_together(const struct check *c) {
    const struct agent_conf *conf = c->conf;
    if (conf->renewal.backoff_max < conf->renewal.backoff_min)
        return REFUSE(c, "renewal.backoff_max", "is less than renewal.backoff_min");
    if (conf->hook.program && !conf->export.folder)
        return REFUSE(c, "hook.program", "needs export.folder, whose changes it is run for");
    if (conf->export.folder && strcmp(conf->export.folder, conf->state) == 0)
        return REFUSE(c, "export.folder", "must not be the folder of state");
    return TM_OK;
}

/* A status that has no place of its own stands in `state`. */
static enum tm_err place_status(const struct check *c) {
    if (c->conf->status)
        return TM_OK;
    if (asprintf(&c->conf->status, "%s/status.json", c->conf->state) >= 0)
        return TM_OK;
    c->conf->status = NULL;
    (void)snprintf(c->error, CONF_ERROR_MAX, "%s: out of memory", c->name);
    return TM_ENOMEM;
}

static enum tm_err check_all(const struct check *c) {
    static enum tm_err (*const checks[])(const struct check *) = {
        check_urls, check_mqtt, check_keys, check_together, place_status};
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && !err; i++)
        err = checks[i](c);
    return err;
}

enum tm_err agent_conf_open_file(const char *path, struct agent_conf *ret_conf,
                                 char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (!err)
        err = conf_load_text(text, n, path, agent_rows, ret_conf, sizeof *ret_conf, error);
    if (err)
        return err;
    const struct check c = {text, n, path, ret_conf, error};
    err = check_all(&c);
    if (err)
        agent_conf_close(ret_conf);
    return err;
}

void agent_conf_close(struct agent_conf *conf) {
    conf_free(agent_rows, conf, sizeof *conf);
}
