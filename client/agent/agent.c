/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to a device that can be stepped: see agent.h. */
#include "client/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/agent/export.h"
#include "client/agent/pem.h"
#include "client/agent/secret.h"
#include "client/port/files.h"
#include "client/port/openssl.h"
#include "client/port/run.h"

static enum agent_exit exit_of(enum tm_err err) {
    switch (err) {
    case TM_OK:
        return AGENT_EXIT_DONE;
    case TM_EINVAL:
    case TM_EPARSE:
    case TM_EDENIED:
    case TM_ELIMIT:
        return AGENT_EXIT_CONFIG;
    case TM_ECORRUPT:
        return AGENT_EXIT_DENIED;
    default:
        return AGENT_EXIT_AGAIN;
    }
}

static uint32_t seconds(int64_t ms) {
    return (uint32_t)((ms + 999) / 1000);
}

/* CMC links identity and proof of possession itself (RFC 5272, 6.2), and has no connection to bind
 * a request to. */
static enum tm_linking linking_of(const struct agent_conf *conf) {
    static const enum tm_linking linking[] = {
        [AGENT_LINKING_OPTIONAL] = TM_LINKING_OPTIONAL,
        [AGENT_LINKING_REQUIRED] = TM_LINKING_REQUIRED,
        [AGENT_LINKING_OFF] = TM_LINKING_OFF,
    };
    return conf->transport == AGENT_TRANSPORT_MQTT ? TM_LINKING_OFF
                                                   : linking[conf->requests.linking];
}

static struct tm_config config_of(const struct agent_conf *conf) {
    return (struct tm_config){
        .device_id = conf->device,
        .idevid_label = conf->labels.idevid,
        .ldevid_label = conf->labels.ldevid ? conf->labels.ldevid : "",
        .any_subject = conf->requests.any_subject,
        .keep_key = conf->requests.keep_key,
        .linking = linking_of(conf),
        .anchor_unit = agent_anchor_unit(conf),
        .renew_window_s = seconds(conf->renewal.window),
        .soak_s = seconds(conf->renewal.soak),
        .backoff_min_s = seconds(conf->renewal.backoff_min),
        .backoff_max_s = seconds(conf->renewal.backoff_max),
    };
}

/* ---- the one-time secret ---- */

/* A secret that could not be destroyed where it is is not taken. TM_ENOTFOUND: there is none. */
static enum tm_err read_bootstrap(const struct agent_conf *conf, char ret[AGENT_SECRET_MAX]) {
    enum tm_err err = conf->bootstrap ? agent_secret_read(conf->bootstrap, ret) : TM_ENOTFOUND;
    if (err && err != TM_ENOTFOUND)
        log_error("bootstrap %s cannot be used", conf->bootstrap);
    if (err)
        return err;
    AUTO_FD int folder = -1;
    const char *name;
    err = agent_folder_of(conf->bootstrap, &folder, &name);
    if (!err && faccessat(folder, ".", W_OK, AT_EACCESS) != 0) {
        log_error("bootstrap %s: its folder must be one where the agent may remove it",
                  conf->bootstrap);
        err = TM_EDENIED;
    }
    if (err)
        bytes_wipe(ret, AGENT_SECRET_MAX);
    return err;
}

/* User NUL password, as the transport takes it. */
static enum tm_err store_bootstrap(const struct agent *agent, const char *secret) {
    uint8_t octets[TM_DEVICE_ID_MAX + 1 + AGENT_SECRET_MAX];
    struct buf item = BUF_ON(octets);
    const struct tm_storage *storage = agent->parts.storage;
    buf_put(&item, bytes_str(agent->conf->device));
    buf_put_u8(&item, '\0');
    buf_put(&item, bytes_str(secret));
    enum tm_err err = storage->write(storage->self, TM_ITEM_BOOTSTRAP, buf_bytes(&item));
    bytes_wipe(octets, sizeof octets);
    return err;
}

static enum tm_err take_bootstrap(const struct agent *agent, bool *ret_taken) {
    char secret[AGENT_SECRET_MAX];
    enum tm_err err = read_bootstrap(agent->conf, secret);
    *ret_taken = err == TM_OK;
    if (err)
        return err == TM_ENOTFOUND ? TM_OK : err;
    err = store_bootstrap(agent, secret);
    bytes_wipe(secret, sizeof secret);
    return err;
}

/* It is safe below `state` now. */
static enum tm_err remove_bootstrap(const struct agent *agent) {
    const char *path = agent->conf->bootstrap;
    AUTO_FD int folder = -1;
    const char *name;
    enum tm_err err = agent_folder_of(path, &folder, &name);
    if (err)
        return err;
    if (unlinkat(folder, name, 0) != 0 || fsync(folder) != 0) {
        log_error("bootstrap %s cannot be removed: %s", path, strerror(errno));
        return TM_EDENIED;
    }
    log_info("the one-time secret was moved from %s to %s", path, agent->conf->state);
    return TM_OK;
}

/* ---- provisioning ---- */

static enum tm_err read_provision(const struct agent_conf *conf, struct buf *anchors,
                                  struct buf *idevid) {
    enum tm_err err = agent_pem_read(conf->anchors, anchors);
    return err || !conf->idevid ? err : agent_pem_read(conf->idevid, idevid);
}

static void explain(enum tm_err err, const struct agent_conf *conf) {
    switch (err) {
    case TM_EDENIED:
        log_error("%s: a root is not named for \"%s\", as environment demands", conf->anchors,
                  agent_anchor_unit(conf));
        break;
    case TM_EINVAL:
        log_error("%s: the certificate is not for the key of the IDevID (number 0)", conf->idevid);
        break;
    case TM_ENOTFOUND:
        log_error("idevid: the key store has no key of the IDevID (number 0)");
        break;
    default:
        log_error("%s cannot be the trust anchors: %s", conf->anchors, tm_err_name(err));
        break;
    }
}

static enum tm_err provision(struct agent *agent, const struct tm_config *config) {
    const struct agent_conf *conf = agent->conf;
    const struct agent_parts *parts = &agent->parts;
    uint8_t anchor_octets[TM_ANCHORS_MAX], idevid_octets[TM_CHAIN_MAX];
    struct buf anchors = BUF_ON(anchor_octets), idevid = BUF_ON(idevid_octets);
    enum tm_err err = read_provision(conf, &anchors, &idevid);
    if (err)
        return err == TM_EIO ? TM_EINVAL : err;
    err = tm_device_provision(config, parts->keys, parts->storage, tm_openssl_crypto(), agent->work,
                              sizeof agent->work, buf_bytes(&anchors), buf_bytes(&idevid));
    if (err)
        explain(err, conf);
    else
        log_info("a new device: trust anchors are those of %s", conf->anchors);
    return err == TM_ENOTFOUND ? TM_EINVAL : err;
}

static enum tm_err init_device(struct agent *agent, const struct tm_config *config) {
    const struct agent_parts *parts = &agent->parts;
    return tm_device_init(&agent->device, config, parts->keys, parts->storage, tm_openssl_crypto(),
                          agent->work, sizeof agent->work);
}

static enum tm_err start_device(struct agent *agent) {
    const struct tm_config config = config_of(agent->conf);
    enum tm_err err = init_device(agent, &config);
    if (err == TM_ENOTFOUND) {
        err = provision(agent, &config);
        if (err)
            return err;
        err = init_device(agent, &config);
    }
    if (err)
        log_error("the device's records in %s cannot be used: %s", agent->conf->state,
                  tm_err_name(err));
    return err;
}

static enum tm_err start(struct agent *agent) {
    bool taken = false;
    enum tm_err err = agent_export_prepare(agent->conf);
    if (!err)
        err = agent_parts_connect(&agent->parts, tm_clock_now().wall_ms == 0);
    if (!err)
        err = take_bootstrap(agent, &taken);
    if (!err)
        err = start_device(agent);
    return err || !taken ? err : remove_bootstrap(agent);
}

enum agent_exit agent_open(struct agent *agent, const struct agent_conf *conf) {
    *agent = (struct agent){.conf = conf, .changed = "restored"};
    enum tm_err err = agent_parts_open(conf, &agent->parts);
    if (err)
        return exit_of(err);
    err = start(agent);
    if (err)
        agent_parts_close(&agent->parts);
    return exit_of(err);
}

void agent_close(struct agent *agent) {
    agent_parts_close(&agent->parts);
    free(agent->status_text);
    agent->status_text = NULL;
}

/* ---- --check ---- */

static bool is_provisioned(const struct agent_conf *conf) {
    AUTO_MEM char *journal = NULL;
    if (asprintf(&journal, "%s/%s", conf->state, tm_files_name(TM_ITEM_JOURNAL_A)) < 0) {
        journal = NULL;
        return false;
    }
    return access(journal, F_OK) == 0;
}

static enum tm_err check_provision(const struct agent_conf *conf) {
    uint8_t anchor_octets[TM_ANCHORS_MAX], idevid_octets[TM_CHAIN_MAX];
    struct buf anchors = BUF_ON(anchor_octets), idevid = BUF_ON(idevid_octets);
    return is_provisioned(conf) ? TM_OK : read_provision(conf, &anchors, &idevid);
}

static enum tm_err check_secret(const char *source, const char *key, bool required) {
    char secret[AGENT_SECRET_MAX];
    enum tm_err err = source ? agent_secret_read(source, secret) : TM_ENOTFOUND;
    bytes_wipe(secret, sizeof secret);
    if (err == TM_ENOTFOUND && required)
        log_error("%s %s: no such file", key, source);
    return err == TM_ENOTFOUND && !required ? TM_OK : err;
}

static enum tm_err check_hook(const struct agent_conf *conf) {
    if (!conf->hook.program || access(conf->hook.program, X_OK) == 0)
        return TM_OK;
    log_error("hook.program %s: %s", conf->hook.program, strerror(errno));
    return TM_EINVAL;
}

static enum tm_err check_mqtt(const struct agent_conf *conf) {
    const struct agent_mqtt *mqtt = &conf->mqtt;
    const struct {
        const char *key, *path;
    } files[] = {
        {"anchors", mqtt->anchors}, {"certificate", mqtt->certificate}, {"key", mqtt->key}};
    if (conf->transport != AGENT_TRANSPORT_MQTT)
        return TM_OK;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i].path && access(files[i].path, R_OK) != 0) {
            log_error("mqtt.%s %s: %s", files[i].key, files[i].path, strerror(errno));
            return TM_EINVAL;
        }
    return mqtt->password_file ? check_secret(mqtt->password_file, "mqtt.password_file", true)
                               : TM_OK;
}

enum agent_exit agent_check(const struct agent_conf *conf) {
    gid_t group;
    enum tm_err err = check_provision(conf);
    if (!err)
        err = check_secret(conf->bootstrap, "bootstrap", false);
    if (!err && conf->keys.store == AGENT_STORE_PKCS11)
        err = check_secret(conf->keys.pin_file, "keys.pin_file", true);
    if (!err)
        err = check_mqtt(conf);
    if (!err)
        err = check_hook(conf);
    if (!err)
        err = agent_export_group(conf, &group);
    return err ? AGENT_EXIT_CONFIG : AGENT_EXIT_DONE;
}
