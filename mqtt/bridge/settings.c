/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's configuration: refused with a sentence, or copied. See settings.h. */
#include "mqtt/bridge/settings.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt/bridge/broker.h"
#include "mqtt/wire/contract.h"

#define REORDER_DEFAULT_MS 2000
#define QUEUE_MAX 65535 /* of MQTT's receive maximum */
#define NODES_MAX 10000000
#define KEEPALIVE_MIN_S 5 /* what libmosquitto takes */
#define KEEPALIVE_MAX_S 65535

static bool prefix_valid(const char *prefix) {
    size_t n = prefix ? strlen(prefix) : 0;
    return n > 0 && n <= MQTT_PREFIX_MAX && !strpbrk(prefix, "+#") && prefix[0] != '/' &&
           prefix[n - 1] != '/' && strncmp(prefix, MQTT_SPARKPLUG, strlen(MQTT_SPARKPLUG)) != 0;
}

static bool password_valid(const struct mqtt_bridge_config *config) {
    struct bytes password = config->password;
    return password.n == 0 || (config->username && !memchr(password.p, 0, password.n));
}

static bool groups_valid(const struct mqtt_bridge_config *config) {
    for (size_t i = 0; i < config->group_count; i++)
        if (!mqtt_id_valid(config->groups[i]))
            return false;
    return true;
}

/* One clear sentence, NULL when all is well. */
static const char *fault_of_profiles(const struct mqtt_bridge_config *config) {
    if (!config->sparkplug && !config->plain && !config->events)
        return "neither Sparkplug nor the plain profile nor events are on";
    if (config->sparkplug && (!config->host_id || !mqtt_id_valid(config->host_id)))
        return "Sparkplug needs a host ID of 1 to 64 octets without '/', '+' and '#'";
    if (config->sparkplug && !groups_valid(config))
        return "a Sparkplug group is not a valid ID";
    if ((config->plain || config->events) && !prefix_valid(config->prefix))
        return "the topic prefix is not one to " MQTT_SPARKPLUG " apart, without wildcards, of at "
               "most 64 octets";
    return NULL;
}

static const char *fault_of_bounds(const struct mqtt_bridge_config *config) {
    if (config->queue == 0 || config->queue > QUEUE_MAX)
        return "the queue has to be 1 to 65535";
    if (config->nodes_max < 2 || config->nodes_max > NODES_MAX)
        return "the number of nodes has to be 2 to 10000000";
    if (config->births_per_second == 0)
        return "births per second have to be at least 1";
    if (config->retransmit_ms <= 0 || config->retransmit_max_ms < config->retransmit_ms)
        return "the pauses before an answer is sent again have to be positive and in order";
    if (config->keepalive_s < KEEPALIVE_MIN_S || config->keepalive_s > KEEPALIVE_MAX_S)
        return "the keep-alive has to be 5 to 65535 seconds";
    return NULL;
}

static const char *fault_of(const struct mqtt_bridge_config *config) {
    if (!config->host || !config->host[0] || config->port == 0 || config->port > 65535)
        return "the broker's host or port is missing";
    if (!config->client_id || !config->client_id[0])
        return "the client ID is missing";
    if (!password_valid(config))
        return "a password needs a user name and may not hold a NUL";
    if (!config->now_ms)
        return "there is no clock";
    const char *fault = fault_of_profiles(config);
    return fault ? fault : fault_of_bounds(config);
}

/* NULL stays NULL. False: no memory. */
static bool copy_text(const char **text) {
    if (!*text)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

static bool copy_groups(struct mqtt_bridge_config *config) {
    const char *const *groups = config->groups;
    size_t count = config->group_count;
    const char **copy = calloc(count ? count : 1, sizeof *copy);
    config->groups = copy;
    config->group_count = 0;
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(groups[i]);
        if (!copy[i])
            return false;
        config->group_count++;
    }
    return copy != NULL;
}

/* All that was borrowed becomes owned, or NULL: so that deinit may always follow. */
static bool own(struct mqtt_settings *settings) {
    struct mqtt_bridge_config *config = &settings->config;
    bool ok = copy_groups(config);
    const char **texts[] = {&config->host,     &config->client_id, &config->username,
                            &config->tls_name, &config->host_id,   &config->prefix};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ok = copy_text(texts[i]) && ok;
    if (config->password.n) {
        settings->password = strndup((const char *)config->password.p, config->password.n);
        ok = settings->password && ok;
    }
    struct bytes none = {NULL, 0};
    config->password = config->tls_anchors = config->tls_certificate = config->tls_key = none;
    return ok;
}

enum tm_err mqtt_settings_init(const struct mqtt_bridge_config *config, struct mqtt_settings *ret,
                               char text[IPC_TEXT_MAX + 1]) {
    const char *fault = fault_of(config);
    if (fault) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%s", fault);
        return TM_EINVAL;
    }
    struct mqtt_settings settings = {.config = *config};
    enum tm_err err = mqtt_tls_new(config, &settings.tls, text);
    if (err)
        return err;
    if (settings.config.reorder_ms <= 0)
        settings.config.reorder_ms = REORDER_DEFAULT_MS;
    if (!own(&settings)) {
        mqtt_settings_deinit(&settings);
        return TM_ENOMEM;
    }
    *ret = settings;
    return TM_OK;
}

static void free_text(const char *text) {
    free((void *)(uintptr_t)text);
}

void mqtt_settings_deinit(struct mqtt_settings *settings) {
    struct mqtt_bridge_config *config = &settings->config;
    for (size_t i = 0; i < config->group_count; i++)
        free_text(config->groups[i]);
    free((void *)(uintptr_t)config->groups);
    free_text(config->host);
    free_text(config->client_id);
    free_text(config->username);
    free_text(config->tls_name);
    free_text(config->host_id);
    free_text(config->prefix);
    if (settings->password)
        bytes_wipe(settings->password, strlen(settings->password));
    free(settings->password);
    SSL_CTX_free(settings->tls);
    *settings = (struct mqtt_settings){0};
}
