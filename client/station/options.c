/* SPDX-License-Identifier: Apache-2.0 */
/* The option table of station.yaml: station.yaml(5), --sample and every refusal come from it. */
#include "client/station/options.h"

#include <string.h>

#include "base/auto.h"

#define SECOND UINT64_C(1000)

static const char *const environment_words[] = {"any", "dev", "test", "prod", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};
static const char *const store_words[] = {"files", "pkcs11", NULL};
static const char *const pin_words[] = {"credential:", NULL};

static const struct conf_row keys_rows[] = {
    {.key = "store",
     .type = CONF_ENUM,
     .offset = offsetof(struct station_keys, store),
     .preset = "files",
     .words = store_words,
     .help = "Where the station's own private key is made and stays: a file below state, or a "
             "PKCS#11 token."},
    {.key = "module",
     .type = CONF_PATH,
     .offset = offsetof(struct station_keys, module),
     .preset = "",
     .help = "PKCS#11 module (.so), for pkcs11."},
    {.key = "token",
     .type = CONF_STRING,
     .offset = offsetof(struct station_keys, token),
     .preset = "",
     .max = 32,
     .help = "Label of the token, for pkcs11."},
    {.key = "label",
     .type = CONF_STRING,
     .offset = offsetof(struct station_keys, label),
     .preset = "touchmark",
     .min = 1,
     .max = 64,
     .help = "CKA_LABEL of the keys, for pkcs11; stations that share a token need one each."},
    {.key = "pin_file",
     .type = CONF_PATH,
     .offset = offsetof(struct station_keys, pin_file),
     .preset = "",
     .words = pin_words,
     .help = "File with the user PIN, readable by its owner only, for pkcs11; credential:NAME is "
             "the systemd credential NAME."},
    {.key = NULL},
};

static const struct conf_row requests_rows[] = {
    {.key = "timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct station_requests, timeout),
     .preset = "30s",
     .min = SECOND,
     .max = 120 * SECOND,
     .help = "Until a request to the server must be answered."},
    {.key = "connect_timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct station_requests, connect_timeout),
     .preset = "10s",
     .min = SECOND,
     .max = 120 * SECOND,
     .help = "Until the connection to the server must be there."},
    {.key = "patience",
     .type = CONF_DURATION,
     .offset = offsetof(struct station_requests, patience),
     .preset = "2m",
     .max = 86400 * SECOND,
     .help = "How long a server that does not answer, or says \"later\", is asked again before a "
             "run ends; what was begun is kept for job resume."},
    {.key = NULL},
};

const struct conf_row station_rows[] = {
    {.key = "station",
     .type = CONF_NAME,
     .offset = offsetof(struct station_conf, station),
     .example = "STATION-1",
     .help = "The station's ID in the server's registry."},
    {.key = "server",
     .type = CONF_STRING,
     .offset = offsetof(struct station_conf, server),
     .min = 1,
     .example = "https://est.example.com:8443",
     .help = "The server: https, its name and port, and nothing behind them."},
    {.key = "anchors",
     .type = CONF_PATH,
     .offset = offsetof(struct station_conf, anchors),
     .example = "/etc/touchmark/anchors.pem",
     .help = "PEM file of the root certificates that the server is trusted by; read once, at the "
             "first enroll, and kept up to date by the server from then on."},
    {.key = "bootstrap",
     .type = CONF_PATH,
     .offset = offsetof(struct station_conf, bootstrap),
     .preset = "",
     .example = "/var/lib/touchmark-station/bootstrap",
     .help = "File with the one-time secret of the station, one line that its owner only may read. "
             "It is moved below state by enroll, and destroyed once there is a certificate."},
    {.key = "environment",
     .type = CONF_ENUM,
     .offset = offsetof(struct station_conf, environment),
     .preset = "any",
     .words = environment_words,
     .help = "Refuse root certificates whose organizationalUnit is not \"Environment dev\" and so "
             "on."},
    {.key = "label",
     .type = CONF_NAME,
     .offset = offsetof(struct station_conf, label),
     .preset = "",
     .example = "station",
     .help = "EST label that gives and renews the station's own certificate; left out, the "
             "server's default."},
    {.key = "state",
     .type = CONF_PATH,
     .offset = offsetof(struct station_conf, state),
     .preset = "/var/lib/touchmark-station/state",
     .help = "Folder of the station's own key and certificate. It is made, for this user only, "
             "when it is not there."},
    {.key = "jobs",
     .type = CONF_PATH,
     .offset = offsetof(struct station_conf, jobs),
     .preset = "/var/lib/touchmark-station/jobs",
     .help = "Folder of manifests and journals, a pair of files for each job; made likewise. A "
             "journal must not get lost while its job is open."},
    {.key = "serial",
     .type = CONF_PATH,
     .offset = offsetof(struct station_conf, serial),
     .preset = "/dev/ttyUSB0",
     .help = "Serial line of the units, as job fetch writes it into manifests."},
    {.key = "log_level",
     .type = CONF_ENUM,
     .offset = offsetof(struct station_conf, log_level),
     .preset = "warn",
     .words = level_words,
     .help = "Least urgent messages that are logged (JSON lines on standard error)."},
    {.key = "keys",
     .type = CONF_GROUP,
     .offset = offsetof(struct station_conf, keys),
     .rows = keys_rows,
     .help = "The station's own private key."},
    {.key = "requests",
     .type = CONF_GROUP,
     .offset = offsetof(struct station_conf, requests),
     .rows = requests_rows,
     .help = "How the server is asked."},
    {.key = NULL},
};

struct check {
    const char *text;
    size_t n;
    const char *name;
    const struct station_conf *conf;
    char *error;
};

static enum tm_err refuse(const struct check *c, const char *path, const char *sentence) {
    return conf_refuse(c->text, c->n, c->name, path, c->error, "%s", sentence);
}

static enum tm_err check_all(const struct check *c) {
    const struct station_keys *keys = &c->conf->keys;
    if (strncmp(c->conf->server, "https://", strlen("https://")) != 0)
        return refuse(c, "server", "must begin with https://");
    if (strcmp(c->conf->jobs, c->conf->state) == 0)
        return refuse(c, "jobs", "must not be the folder of state");
    if (keys->store != AGENT_STORE_PKCS11)
        return TM_OK;
    if (!keys->module)
        return refuse(c, "keys.module", "is missing; keys.store: pkcs11 needs it");
    if (!keys->token)
        return refuse(c, "keys.token", "is missing; keys.store: pkcs11 needs it");
    if (!keys->pin_file)
        return refuse(c, "keys.pin_file", "is missing; keys.store: pkcs11 needs it");
    return TM_OK;
}

enum tm_err station_conf_open_file(const char *path, struct station_conf *ret_conf,
                                   char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (!err)
        err = conf_load_text(text, n, path, station_rows, ret_conf, sizeof *ret_conf, error);
    if (err)
        return err;
    const struct check c = {text, n, path, ret_conf, error};
    err = check_all(&c);
    if (err)
        station_conf_close(ret_conf);
    return err;
}

void station_conf_close(struct station_conf *conf) {
    conf_free(station_rows, conf, sizeof *conf);
}
