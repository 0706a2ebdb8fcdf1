/* SPDX-License-Identifier: Apache-2.0 */
/* See parts.h. */
#include "client/agent/parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/agent/secret.h"
#include "client/port/curl.h"
#include "client/port/files.h"
#include "client/port/mqtt.h"
#include "client/port/openssl.h"
#include "client/port/pkcs11.h"
#include "client/port/run.h"
#include "client/port/tpm.h"

/* ---- key stores ---- */

static enum tm_err open_token(struct agent_parts *parts) {
    const struct agent_keys *keys = &parts->conf->keys;
    char pin[AGENT_SECRET_MAX];
    enum tm_err err = agent_secret_read(keys->pin_file, pin);
    if (err == TM_ENOTFOUND) {
        log_error("keys.pin_file %s: no such file", keys->pin_file);
        return TM_EINVAL;
    }
    if (err)
        return err;
    const struct tm_pkcs11_config config = {
        .module = keys->module, .token = keys->token, .label = keys->label, .pin = bytes_str(pin)};
    err = tm_pkcs11_open(&config, &parts->token);
    bytes_wipe(pin, sizeof pin);
    if (err == TM_EDENIED)
        log_error("token \"%s\" refuses the PIN of %s", keys->token, keys->pin_file);
    else if (err)
        log_error("token \"%s\" of %s cannot be used: %s", keys->token, keys->module,
                  tm_err_name(err));
    if (!err)
        parts->keys = tm_pkcs11_keys(parts->token);
    return err;
}

static enum tm_err open_tpm(struct agent_parts *parts) {
    const struct agent_conf *conf = parts->conf;
    const struct tm_tpm_config config = {.tcti = conf->keys.tcti, .folder = conf->state};
    enum tm_err err = tm_tpm_open(&config, &parts->tpm);
    if (err)
        log_error("the TPM cannot be used: %s", tm_err_name(err));
    else
        parts->keys = tm_tpm_keys(parts->tpm);
    return err;
}

static enum tm_err open_key_files(struct agent_parts *parts) {
    enum tm_err err = tm_key_files_open(parts->conf->state, &parts->key_files);
    if (!err)
        parts->keys = tm_key_files_keys(parts->key_files);
    return err;
}

static enum tm_err open_keys(struct agent_parts *parts) {
    switch ((enum agent_store)parts->conf->keys.store) {
    case AGENT_STORE_FILES:
        return open_key_files(parts);
    case AGENT_STORE_PKCS11:
        return open_token(parts);
    case AGENT_STORE_TPM:
        return open_tpm(parts);
    }
    return TM_EINVAL;
}

/* ---- all ---- */

enum tm_err agent_parts_open(const struct agent_conf *conf, struct agent_parts *ret) {
    struct agent_parts parts = {.conf = conf};
    enum tm_err err = tm_files_open(conf->state, &parts.files);
    if (err) {
        log_error("the folder of state, %s, cannot be used: %s", conf->state, tm_err_name(err));
        return err;
    }
    parts.storage = tm_files_storage(parts.files);
    err = open_keys(&parts);
    if (err)
        agent_parts_close(&parts);
    else
        *ret = parts;
    return err;
}

void agent_parts_close(struct agent_parts *parts) {
    tm_curl_close(parts->curl);
    tm_mqtt_close(parts->mqtt);
    tm_key_files_close(parts->key_files);
    tm_pkcs11_close(parts->token);
    tm_tpm_close(parts->tpm);
    tm_files_close(parts->files);
    *parts = (struct agent_parts){0};
}

/* ---- transport ---- */

static uint32_t seconds(int64_t ms) {
    return (uint32_t)((ms + 999) / 1000);
}

static enum tm_err connect_https(struct agent_parts *parts, bool without_time) {
    if (parts->curl && parts->without_time == without_time)
        return TM_OK;
    const struct agent_conf *conf = parts->conf;
    const struct tm_curl_config config = {
        .url = conf->server,
        .probe_url = conf->requests.probe_url,
        .timeout_s = seconds(conf->requests.timeout),
        .connect_timeout_s = seconds(conf->requests.connect_timeout),
        .without_time = without_time,
        .keys = parts->keys,
        .storage = parts->storage,
    };
    struct tm_curl *curl;
    enum tm_err err = tm_curl_open(&config, &curl);
    if (err == TM_EINVAL)
        log_error("server or requests.probe_url is no URL that can be used: \"%s\"%s%s",
                  conf->server, config.probe_url ? ", " : "",
                  config.probe_url ? config.probe_url : "");
    if (err)
        return err;
    tm_curl_close(parts->curl);
    parts->curl = curl;
    parts->without_time = without_time;
    return TM_OK;
}

/* The agent's own rules for secrets in files hold for the password too; the transport reads it from
 * a path. */
static enum tm_err password_path(const struct agent_mqtt *mqtt, char **ret) {
    static const char credential[] = "credential:";
    char password[AGENT_SECRET_MAX];
    const char *source = mqtt->password_file;
    if (!source)
        return TM_OK;
    enum tm_err err = agent_secret_read(source, password);
    bytes_wipe(password, sizeof password);
    if (err == TM_ENOTFOUND)
        log_error("mqtt.password_file %s: no such file", source);
    if (err)
        return err == TM_ENOTFOUND ? TM_EINVAL : err;
    bool held = strncmp(source, credential, sizeof credential - 1) == 0;
    int n = held ? asprintf(ret, "%s/%s", getenv("CREDENTIALS_DIRECTORY"),
                            source + sizeof credential - 1)
                 : asprintf(ret, "%s", source);
    if (n < 0)
        *ret = NULL;
    return n < 0 ? TM_ENOMEM : TM_OK;
}

static struct tm_mqtt_config mqtt_config_of(const struct agent_parts *parts) {
    const struct agent_mqtt *mqtt = &parts->conf->mqtt;
    bool plain = mqtt->profile == AGENT_PROFILE_PLAIN;
    return (struct tm_mqtt_config){
        .url = mqtt->url,
        .user = mqtt->user,
        .anchors_file = mqtt->anchors,
        .certificate_file = mqtt->certificate,
        .key_file = mqtt->key,
        .profile = plain ? TM_MQTT_PLAIN : TM_MQTT_SPARKPLUG,
        .group = mqtt->group,
        .edge_node = mqtt->edge_node,
        .host_id = mqtt->host_id,
        .prefix = mqtt->prefix,
        .device_id = parts->conf->device,
        .client_id = mqtt->client_id,
        .folder = parts->conf->state,
        .timeout_s = seconds(mqtt->timeout),
        .repeat_s = seconds(mqtt->repeat),
        .keys = parts->keys,
        .storage = parts->storage,
        .crypto = tm_openssl_crypto(),
    };
}

static enum tm_err connect_mqtt(struct agent_parts *parts) {
    if (parts->mqtt)
        return TM_OK;
    AUTO_MEM char *password = NULL;
    struct tm_mqtt_config config = mqtt_config_of(parts);
    enum tm_err err = password_path(&parts->conf->mqtt, &password);
    if (err)
        return err;
    config.password_file = password;
    err = tm_mqtt_open(&config, &parts->mqtt);
    if (err == TM_EINVAL)
        log_error("mqtt: \"%s\" is no broker that can be used, or an ID or prefix is none",
                  config.url);
    return err;
}

enum tm_err agent_parts_connect(struct agent_parts *parts, bool without_time) {
    return parts->conf->transport == AGENT_TRANSPORT_MQTT ? connect_mqtt(parts)
                                                          : connect_https(parts, without_time);
}

bool agent_parts_wait(struct agent_parts *parts, int64_t until_mono_ms, int wake_fd) {
    if (parts->mqtt)
        return tm_mqtt_wait(parts->mqtt, until_mono_ms, wake_fd);
    int64_t left = until_mono_ms - tm_clock_now().mono_ms;
    struct pollfd fd = {.fd = wake_fd, .events = POLLIN};
    if (poll(&fd, 1, left > 0 ? (int)left : 0) < 0 && errno != EINTR)
        log_error("poll: %s", strerror(errno));
    return false;
}

static const struct tm_transport *inner_transport(const struct agent_parts *parts) {
    return parts->mqtt ? tm_mqtt_transport(parts->mqtt) : tm_curl_transport(parts->curl);
}

static const char *operation_name(enum tm_operation operation) {
    static const char *const names[] = {
        [TM_OP_CACERTS] = "cacerts",
        [TM_OP_ENROLL] = "simpleenroll",
        [TM_OP_REENROLL] = "simplereenroll",
        [TM_OP_PROBE] = "probe",
    };
    return names[operation];
}

static const char *result_name(enum tm_result result) {
    static const char *const names[] = {
        [TM_RESULT_OK] = "ok",
        [TM_RESULT_NETWORK] = "no answer",
        [TM_RESULT_UNTRUSTED] = "server not trusted",
        [TM_RESULT_DENIED] = "denied",
        [TM_RESULT_LATER] = "later",
        [TM_RESULT_REFUSED] = "refused",
    };
    return names[result];
}

static void exchange(void *self, const struct tm_exchange *exchange, struct tm_answer *ret) {
    struct agent_parts *parts = self;
    const struct tm_transport *inner = inner_transport(parts);
    if (parts->before)
        parts->before();
    inner->exchange(inner->self, exchange, ret);
    parts->result = ret->result;
    log_debug("%s%s%s: %s %s", operation_name(exchange->operation), exchange->label[0] ? " " : "",
              exchange->label, result_name(ret->result), ret->text);
}

struct tm_transport agent_parts_transport(struct agent_parts *parts) {
    return (struct tm_transport){.version = TM_TABLE_VERSION, .self = parts, .exchange = exchange};
}

/* ---- where a key is ---- */

/* RFC 7512, 2.3: unreserved characters stand as they are. */
static void put_escaped(struct buf *out, struct bytes text) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c != '\0' && strchr(plain, c)) {
            buf_put_u8(out, c);
            continue;
        }
        buf_put_u8(out, '%');
        buf_put_u8(out, (uint8_t)hex[c >> 4]);
        buf_put_u8(out, (uint8_t)hex[c & 15]);
    }
}

static enum tm_err token_uri(const struct agent_parts *parts, unsigned bank,
                             char ret[AGENT_KEY_PLACE_MAX]) {
    const struct agent_keys *keys = &parts->conf->keys;
    uint8_t octets[16];
    struct buf id = BUF_ON(octets), out = {(uint8_t *)ret, AGENT_KEY_PLACE_MAX, 0, false};
    enum tm_err err = tm_pkcs11_id(parts->token, bank, &id);
    if (err)
        return err;
    buf_put(&out, bytes_str("pkcs11:token="));
    put_escaped(&out, bytes_str(keys->token));
    buf_put(&out, bytes_str(";object="));
    put_escaped(&out, bytes_str(keys->label));
    buf_put(&out, bytes_str(";id="));
    put_escaped(&out, buf_bytes(&id));
    buf_put(&out, bytes_str(";type=private"));
    buf_put_u8(&out, '\0');
    return out.full ? TM_ELIMIT : TM_OK;
}

enum tm_err agent_parts_key(const struct agent_parts *parts, unsigned bank,
                            char ret[AGENT_KEY_PLACE_MAX]) {
    const struct agent_conf *conf = parts->conf;
    if (conf->keys.store == AGENT_STORE_PKCS11)
        return token_uri(parts, bank, ret);
    bool tpm = conf->keys.store == AGENT_STORE_TPM;
    int n = snprintf(ret, AGENT_KEY_PLACE_MAX, tpm ? "%s/tpm-key-%u" : "%s/key-%u.pem", conf->state,
                     bank);
    return n < 0 || n >= AGENT_KEY_PLACE_MAX ? TM_ELIMIT : TM_OK;
}
