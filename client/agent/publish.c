/* SPDX-License-Identifier: Apache-2.0 */
/* See publish.h. */
#include "client/agent/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/agent/export.h"
#include "client/agent/hook.h"
#include "client/agent/pem.h"
#include "client/agent/secret.h"
#include "client/port/folder.h"
#include "client/port/openssl.h"
#include "pki/der.h"

#define MARK "published" /* in `state`: the hash of what was told last */
#define KEY_MAX 2048
#define HASH_TEXT_MAX (2 * TM_SHA256_SIZE + 1)

struct material {
    uint8_t certificate[AGENT_PEM_MAX(TM_CHAIN_MAX)];
    uint8_t chain[AGENT_PEM_MAX(TM_CHAIN_MAX)];
    uint8_t ca[AGENT_PEM_MAX(TM_ANCHORS_MAX)];
    uint8_t key[KEY_MAX];
    char key_place[AGENT_KEY_PLACE_MAX];
    struct agent_export_set set;
};

static void material_free(struct material *m) {
    bytes_wipe(m, sizeof *m);
    free(m);
}
typedef struct material material;
AUTO_DEFINE(material, material_free)

/* ---- what is in use ---- */

static enum tm_err load_certificate(struct agent *agent, struct material *m) {
    uint8_t der[TM_CHAIN_MAX];
    struct buf chain = BUF_ON(der), certificate_pem = BUF_ON(m->certificate),
               chain_pem = BUF_ON(m->chain);
    struct der first;
    enum tm_err err = tm_device_chain(&agent->device, TM_SLOT_CURRENT, &chain);
    struct bytes rest = buf_bytes(&chain);
    if (!err)
        err = agent_pem_put(rest, &chain_pem);
    if (!err)
        err = der_next(&rest, &first);
    if (!err)
        err = agent_pem_put(first.whole, &certificate_pem);
    m->set.certificate = buf_bytes(&certificate_pem);
    m->set.chain = buf_bytes(&chain_pem);
    return err;
}

static enum tm_err load_ca(struct agent *agent, struct material *m) {
    uint8_t der[TM_ANCHORS_MAX];
    struct buf anchors = BUF_ON(der), pem = BUF_ON(m->ca);
    enum tm_err err = tm_device_anchors(&agent->device, &anchors);
    if (!err)
        err = agent_pem_put(buf_bytes(&anchors), &pem);
    m->set.ca = buf_bytes(&pem);
    return err;
}

/* Its place, and itself where it is in a file that others can use. */
static enum tm_err load_key(struct agent *agent, struct material *m) {
    struct tm_status status;
    tm_device_status(&agent->device, (struct tm_now){0}, &status);
    unsigned bank = status.slots[TM_SLOT_CURRENT].key_bank;
    enum tm_err err = agent_parts_key(&agent->parts, bank, m->key_place);
    if (err || agent->conf->keys.store != AGENT_STORE_FILES)
        return err;
    AUTO_FD int folder = -1;
    const char *name;
    struct buf key = BUF_ON(m->key);
    err = agent_folder_of(m->key_place, &folder, &name);
    if (!err)
        err = tm_folder_read_secret(folder, name, &key);
    m->set.key = buf_bytes(&key);
    return err;
}

static enum tm_err load(struct agent *agent, struct material *m) {
    enum tm_err err = load_certificate(agent, m);
    if (!err)
        err = load_ca(agent, m);
    return err ? err : load_key(agent, m);
}

/* ---- what was told ---- */

static enum tm_err hash_of(const struct agent *agent, const struct material *m,
                           char ret[HASH_TEXT_MAX]) {
    const struct agent_export *export = &agent->conf->export;
    const struct tm_crypto *crypto = tm_openssl_crypto();
    const struct bytes parts[] = {
        m->set.chain,
        m->set.ca,
        bytes_str(m->key_place),
        bytes_str(export->folder),
        bytes_str(export->group ? export->group : ""),
    };
    uint8_t hash[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, parts, sizeof parts / sizeof parts[0], hash);
    return err ? err : hex_encode(BYTES_OF(hash), ret, HASH_TEXT_MAX);
}

static bool was_told(int state, const struct agent *agent, const char *hash) {
    uint8_t octets[HASH_TEXT_MAX];
    struct buf told = BUF_ON(octets);
    return agent_export_exists(agent->conf) && tm_folder_read(state, MARK, &told) == TM_OK &&
           bytes_equal(buf_bytes(&told), bytes_str(hash));
}

/* ---- telling ---- */

struct place {
    char path[4352];
};

static struct place place_of(const struct agent *agent, const char *name) {
    struct place place;
    (void)snprintf(place.path, sizeof place.path, "%s/%s", agent->conf->export.folder, name);
    return place;
}

static void run_hook(struct agent *agent, const struct material *m) {
    const struct agent_conf *conf = agent->conf;
    struct agent_report *report = &agent->report;
    if (!conf->hook.program)
        return;
    const struct place certificate = place_of(agent, AGENT_EXPORT_CERTIFICATE);
    const struct place chain = place_of(agent, AGENT_EXPORT_CHAIN);
    const struct place ca = place_of(agent, AGENT_EXPORT_CA);
    const struct place key = place_of(agent, AGENT_EXPORT_KEY);
    const struct agent_variable variables[] = {
        {"TOUCHMARK_EVENT", agent->changed},
        {"TOUCHMARK_DEVICE", conf->device},
        {"TOUCHMARK_CERTIFICATE", certificate.path},
        {"TOUCHMARK_CHAIN", chain.path},
        {"TOUCHMARK_CA", ca.path},
        {"TOUCHMARK_KEY", m->set.key.n ? key.path : m->key_place},
    };
    enum tm_err err = agent_hook_run(conf->hook.program, conf->hook.timeout, variables,
                                     sizeof variables / sizeof variables[0], report->hook_result);
    report->hook_event = agent->changed;
    report->hook_ms = clock_wall_ms();
    if (err)
        log_error("hook %s (%s): %s", conf->hook.program, agent->changed, report->hook_result);
    else
        log_info("hook %s (%s): done", conf->hook.program, agent->changed);
}

static enum tm_err tell(struct agent *agent, const struct material *m, int state,
                        const char *hash) {
    enum tm_err err = agent_export_write(agent->conf, &m->set);
    if (err)
        return err;
    log_info("%s has the certificate in use", agent->conf->export.folder);
    run_hook(agent, m);
    return tm_folder_write(state, MARK, bytes_str(hash));
}

static enum tm_err publish(struct agent *agent) {
    AUTO(material) m = calloc(1, sizeof *m);
    AUTO_FD int state = -1;
    char hash[HASH_TEXT_MAX];
    if (!m)
        return TM_ENOMEM;
    enum tm_err err = load(agent, m);
    if (!err)
        err = hash_of(agent, m, hash);
    if (!err)
        err = tm_folder_open(agent->conf->state, &state);
    return err || was_told(state, agent, hash) ? err : tell(agent, m, state, hash);
}

static bool has_certificate(const struct agent *agent) {
    struct tm_status status;
    tm_device_status(&agent->device, (struct tm_now){0}, &status);
    return status.slots[TM_SLOT_CURRENT].used;
}

void agent_publish(struct agent *agent) {
    if (!agent->changed)
        return;
    enum tm_err err = agent->conf->export.folder && has_certificate(agent) ? publish(agent) : TM_OK;
    if (err)
        log_error("the certificate in use could not be exported: %s; it will be tried again",
                  tm_err_name(err));
    else
        agent->changed = NULL;
}
