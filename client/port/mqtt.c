/* SPDX-License-Identifier: Apache-2.0 */
/* The MQTT transport as an object: what can be configured, and the time between exchanges. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/mqtt_internal.h"
#include "client/port/run.h"
#include "client/port/url.h"

AUTO_DEFINE(CURLU, curl_url_cleanup)

/* ---- configuration ---- */

static bool tables_are_known(const struct tm_mqtt_config *c) {
    return c->keys && c->keys->version == TM_TABLE_VERSION && c->storage &&
           c->storage->version == TM_TABLE_VERSION && c->crypto &&
           c->crypto->version == TM_TABLE_VERSION;
}

/* What TLS is made with goes with mqtts, and nothing of it without. */
static bool tls_is_whole(const struct tm_mqtt_config *c, bool tls) {
    if (!tls)
        return !c->anchors_file && !c->certificate_file && !c->key_file;
    return c->anchors_file && !c->certificate_file == !c->key_file;
}

/* The host as the resolver takes it: an IPv6 address without its brackets. */
static enum tm_err take_host(struct tm_mqtt *m, CURLU *url) {
    char *text = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &text, 0) != CURLUE_OK)
        return TM_EINVAL;
    size_t n = strlen(text);
    bool bracketed = n > 2 && text[0] == '[' && text[n - 1] == ']';
    m->host = bracketed ? strndup(text + 1, n - 2) : strdup(text);
    curl_free(text);
    return m->host ? TM_OK : TM_ENOMEM;
}

static void take_port(struct tm_mqtt *m, CURLU *url) {
    char *text = NULL;
    m->port = m->tls ? 8883 : 1883;
    if (curl_url_get(url, CURLUPART_PORT, &text, 0) == CURLUE_OK)
        m->port = (int)strtol(text, NULL, 10);
    curl_free(text);
}

static enum tm_err parse_url(struct tm_mqtt *m) {
    AUTO(CURLU) url = curl_url();
    if (!url)
        return TM_ENOMEM;
    if (!m->config.url ||
        curl_url_set(url, CURLUPART_URL, m->config.url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return TM_EINVAL;
    m->tls = tm_url_part_is(url, CURLUPART_SCHEME, "mqtts");
    if ((!m->tls && !tm_url_part_is(url, CURLUPART_SCHEME, "mqtt")) || !tm_url_without_user(url) ||
        !tm_url_is_authority(url))
        return TM_EINVAL;
    take_port(m, url);
    return m->port > 0 && m->port <= 65535 ? take_host(m, url) : TM_EINVAL;
}

static enum tm_err read_password(struct tm_mqtt *m) {
    const char *path = m->config.password_file;
    if (!path)
        return TM_OK;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, m->password, sizeof m->password - 1);
    if (n < 0) {
        log_error("%s: %s", path, strerror(errno));
        return TM_EIO;
    }
    m->password[n] = '\0';
    size_t length = strcspn(m->password, "\r\n");
    m->password[length] = '\0';
    return length > 0 && length < sizeof m->password - 1 ? TM_OK : TM_EINVAL;
}

/* libmosquitto opens the files at each connection; that they are none is better known now. */
static enum tm_err check_files(const struct tm_mqtt *m) {
    const char *const paths[] = {m->config.anchors_file, m->config.certificate_file,
                                 m->config.key_file};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] && access(paths[i], R_OK) != 0) {
            log_error("%s: %s", paths[i], strerror(errno));
            return TM_EIO;
        }
    return TM_OK;
}

static void fill_in(struct tm_mqtt_config *c) {
    c->edge_node = c->edge_node ? c->edge_node : c->device_id;
    c->client_id = c->client_id ? c->client_id : c->device_id;
    c->prefix = c->prefix ? c->prefix : MQTT_PREFIX_DEFAULT;
    c->timeout_s = c->timeout_s ? c->timeout_s : 60;
    c->repeat_s = c->repeat_s ? c->repeat_s : 10;
}

static enum tm_err open_profile(struct tm_mqtt *m) {
    switch (m->config.profile) {
    case TM_MQTT_SPARKPLUG:
        m->ways = &tm_mqtt_node_ways;
        return tm_mqtt_node_open(m);
    case TM_MQTT_PLAIN:
        m->ways = &tm_mqtt_plain_ways;
        return tm_mqtt_plain_open(m);
    }
    return TM_EINVAL;
}

static enum tm_err configure(struct tm_mqtt *m) {
    const struct tm_mqtt_config *c = &m->config;
    if (!tables_are_known(c) || !c->device_id || !mqtt_id_valid(c->device_id) ||
        (c->password_file && !c->user))
        return TM_EINVAL;
    fill_in(&m->config);
    enum tm_err err = parse_url(m);
    if (!err && !tls_is_whole(c, m->tls))
        err = TM_EINVAL;
    if (!err)
        err = check_files(m);
    if (!err)
        err = read_password(m);
    if (!err)
        err = open_profile(m);
    const struct tm_cmc_config cmc = {c->device_id, c->keys, c->storage, c->crypto};
    return err ? err : tm_cmc_init(&m->cmc, &cmc, m->work, sizeof m->work);
}

/* ---- the object ---- */

/* libmosquitto counts its users without a lock, and objects may be opened by several threads. Never
 * undone: mosquitto_lib_cleanup unloads what OpenSSL's configuration loaded, which is the whole
 * program's. */
static int library_result = MOSQ_ERR_UNKNOWN;

static void init_library(void) {
    library_result = mosquitto_lib_init();
}

static bool library_is_ready(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_library);
    return library_result == MOSQ_ERR_SUCCESS;
}

enum tm_err tm_mqtt_open(const struct tm_mqtt_config *config, struct tm_mqtt **ret) {
    struct tm_mqtt *m = calloc(1, sizeof *m);
    if (!m || !library_is_ready()) {
        free(m);
        return TM_ENOMEM;
    }
    m->table = (struct tm_transport){TM_TABLE_VERSION, m, tm_mqtt_exchange};
    m->config = *config;
    m->state = MQTT_STATE_IDLE;
    m->node.folder = -1;
    enum tm_err err = configure(m);
    if (err) {
        tm_mqtt_close(m);
        return err;
    }
    *ret = m;
    return TM_OK;
}

void tm_mqtt_close(struct tm_mqtt *m) {
    if (!m)
        return;
    struct tm_mqtt_quiet quiet;
    tm_mqtt_quiet_begin(&quiet);
    tm_mqtt_leave(m);
    tm_mqtt_quiet_end(&quiet);
    tm_mqtt_node_close(m);
    free(m->host);
    bytes_wipe(m, sizeof *m);
    free(m);
}

const struct tm_transport *tm_mqtt_transport(struct tm_mqtt *m) {
    return &m->table;
}

/* ---- between exchanges ---- */

/* Whoever may write to the device's topics can call it: not more often than it would ask itself. */
static bool take_call(struct tm_mqtt *m, int64_t now_ms) {
    if (!m->called || now_ms < m->call_ms)
        return false;
    m->called = false;
    m->call_ms = now_ms + (int64_t)m->config.repeat_s * 1000;
    return true;
}

bool tm_mqtt_wait(struct tm_mqtt *m, int64_t until_mono_ms, int wake_fd) {
    struct tm_mqtt_quiet quiet;
    bool called = false, woken = false;
    tm_mqtt_quiet_begin(&quiet);
    for (;;) {
        int64_t now = tm_clock_now().mono_ms, until = until_mono_ms;
        called = take_call(m, now);
        if (called || woken || now >= until_mono_ms)
            break;
        if (m->called && m->call_ms < until)
            until = m->call_ms;
        tm_mqtt_speak(m);
        woken = tm_mqtt_serve(m, until, wake_fd);
    }
    tm_mqtt_quiet_end(&quiet);
    return called;
}
