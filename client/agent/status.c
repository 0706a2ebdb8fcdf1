/* SPDX-License-Identifier: Apache-2.0 */
/* See status.h. */
#include "client/agent/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/agent/secret.h"
#include "client/port/folder.h"
#include "client/port/openssl.h"
#include "client/port/run.h"
#include "pki/der.h"

AUTO_DEFINE(json_t, json_decref)

static const char *phase_name(enum tm_phase phase) {
    static const char *const names[] = {
        [TM_PHASE_IDLE] = "idle",
        [TM_PHASE_REQUEST] = "request",
        [TM_PHASE_PROBE] = "probe",
        [TM_PHASE_SOAK] = "soak",
    };
    return names[phase];
}

/* What a request that is under way is for; NULL: none is. */
static const char *purpose_name(enum tm_purpose purpose) {
    static const char *const names[] = {
        [TM_PURPOSE_IDEVID] = "idevid",
        [TM_PURPOSE_FIRST] = "first",
        [TM_PURPOSE_RENEW] = "renew",
        [TM_PURPOSE_RECOVER] = "recover",
    };
    return names[purpose];
}

/* ---- parts of the object ---- */

static json_t *time_json(int64_t wall_ms) {
    char text[CLOCK_TEXT_MAX];
    if (wall_ms == 0 || wall_ms == INT64_MAX)
        return json_null();
    clock_format(wall_ms - wall_ms % 1000, text);
    return json_string(text);
}

static json_t *hex_json(struct bytes octets) {
    char text[2 * TM_SHA256_SIZE + 1];
    return hex_encode(octets, text, sizeof text) ? json_null() : json_string(text);
}

/* SHA-256 of the certificate, as openssl x509 -fingerprint -sha256 has it, without colons. */
static json_t *fingerprint_json(struct agent *agent, enum tm_slot slot) {
    const struct tm_crypto *crypto = tm_openssl_crypto();
    uint8_t der[TM_CHAIN_MAX], hash[TM_SHA256_SIZE];
    struct buf chain = BUF_ON(der);
    struct der first;
    enum tm_err err = tm_device_chain(&agent->device, slot, &chain);
    struct bytes rest = buf_bytes(&chain);
    if (!err)
        err = der_next(&rest, &first);
    if (!err)
        err = crypto->sha256(crypto->self, &first.whole, 1, hash);
    return err ? json_null() : hex_json(BYTES_OF(hash));
}

static json_t *slot_json(struct agent *agent, const struct tm_status *status, enum tm_slot slot) {
    const struct tm_certificate *c = &status->slots[slot];
    if (!c->used)
        return json_null();
    return json_pack("{sosososo}", "serial", hex_json((struct bytes){c->serial, c->serial_n}),
                     "not_before", time_json(c->not_before_ms), "not_after",
                     time_json(c->not_after_ms), "sha256", fingerprint_json(agent, slot));
}

static json_t *slots_json(struct agent *agent, const struct tm_status *status) {
    return json_pack("{sosososo}", "idevid", slot_json(agent, status, TM_SLOT_IDEVID), "current",
                     slot_json(agent, status, TM_SLOT_CURRENT), "next",
                     slot_json(agent, status, TM_SLOT_NEXT), "previous",
                     slot_json(agent, status, TM_SLOT_PREVIOUS));
}

static json_t *event_json(const struct agent_report *report) {
    return report->event ? json_pack("{sssoss}", "name", report->event, "time",
                                     time_json(report->event_ms), "text", report->event_text)
                         : json_null();
}

static json_t *hook_json(const struct agent_report *report) {
    return report->hook_event ? json_pack("{sssoss}", "event", report->hook_event, "time",
                                          time_json(report->hook_ms), "result", report->hook_result)
                              : json_null();
}

/* When the next step is, by the wall clock. */
static int64_t next_wall_ms(const struct tm_status *status, struct tm_now now) {
    if (!status->wall_ms || status->next_mono_ms == INT64_MAX)
        return 0;
    return status->wall_ms + status->next_mono_ms - now.mono_ms;
}

/* Whom the agent asks. */
static const char *server_of(const struct agent_conf *conf) {
    return conf->transport == AGENT_TRANSPORT_MQTT ? conf->mqtt.url : conf->server;
}

static json_t *describe(struct agent *agent, const struct tm_status *status, struct tm_now now) {
    const struct agent_conf *conf = agent->conf;
    return json_pack("{ss ss ss sI sb ss ss? so so so sI ss so so}", "version", TOUCHMARK_VERSION,
                     "device", conf->device, "server", server_of(conf), "pid", (json_int_t)getpid(),
                     "stranded", agent->stranded, "phase", phase_name(status->phase), "purpose",
                     purpose_name(status->purpose), "slots", slots_json(agent, status), "renew_at",
                     time_json(status->renew_at_ms), "next_try",
                     time_json(next_wall_ms(status, now)), "failures", (json_int_t)status->failures,
                     "text", status->text, "event", event_json(&agent->report), "hook",
                     hook_json(&agent->report));
}

/* ---- the file ---- */

static enum tm_err write_file(const char *path, const char *text) {
    AUTO_FD int folder = -1;
    const char *name;
    enum tm_err err = agent_folder_of(path, &folder, &name);
    return err ? err : tm_folder_write_as(folder, name, bytes_str(text), 0644, TM_FOLDER_OWN_GROUP);
}

/* One line for systemctl status. */
static void notify(const struct tm_status *status) {
    char until[CLOCK_TEXT_MAX];
    const struct tm_certificate *current = &status->slots[TM_SLOT_CURRENT];
    clock_format(current->not_after_ms, until);
    (void)sd_notifyf(0, "STATUS=%s%s%s%s", current->used ? "certificate until " : "no certificate",
                     current->used ? until : "", status->text[0] ? "; last try failed: " : "",
                     status->text);
}

void agent_status_write(struct agent *agent) {
    struct tm_now now = tm_clock_now();
    struct tm_status status;
    tm_device_status(&agent->device, now, &status);
    AUTO(json_t) object = describe(agent, &status, now);
    AUTO_MEM char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    if (!text) {
        log_error("no memory for the status");
        return;
    }
    if (agent->status_text && strcmp(agent->status_text, text) == 0)
        return;
    if (write_file(agent->conf->status, text) != TM_OK) {
        log_error("status %s cannot be written", agent->conf->status);
        return;
    }
    notify(&status);
    free(agent->status_text);
    agent->status_text = TAKE(text);
}

enum agent_exit agent_status_print(const struct agent_conf *conf) {
    AUTO(json_t) object = NULL;
    json_error_t error;
    object = json_load_file(conf->status, 0, &error);
    if (!object) {
        (void)fprintf(stderr, "touchmark-agent: there is no status in %s: %s\n", conf->status,
                      error.text);
        return AGENT_EXIT_AGAIN;
    }
    (void)json_dumpf(object, stdout, JSON_INDENT(2));
    return puts("") == EOF || fflush(stdout) ? AGENT_EXIT_AGAIN : AGENT_EXIT_DONE;
}
