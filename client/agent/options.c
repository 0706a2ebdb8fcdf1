/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table of touchmark-agent.yaml: the only place where an option's type, range, default
 * and help stand. touchmark-agent.yaml(5), --sample and every refusal come from it.
 */
#include "client/agent/options.h"

#define SECOND UINT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

static const char *const environment_words[] = {"any", "dev", "test", "prod", NULL};
static const char *const level_words[] = {"error", "warn", "info", "debug", NULL};
static const char *const store_words[] = {"files", "pkcs11", "tpm", NULL};
static const char *const linking_words[] = {"optional", "required", "off", NULL};
static const char *const pin_words[] = {"credential:", NULL};

static const struct conf_row labels_rows[] = {
    {.key = "idevid",
     .type = CONF_NAME,
     .offset = offsetof(struct agent_labels, idevid),
     .preset = "",
     .help = "EST label that gives the IDevID; left out, none is asked for."},
    {.key = "ldevid",
     .type = CONF_NAME,
     .offset = offsetof(struct agent_labels, ldevid),
     .preset = "",
     .help = "EST label that gives and renews the LDevID; left out, the server's default."},
    {.key = NULL},
};

static const struct conf_row keys_rows[] = {
    {.key = "store",
     .type = CONF_ENUM,
     .offset = offsetof(struct agent_keys, store),
     .preset = "files",
     .words = store_words,
     .help = "Where private keys are made and stay: files below state, a PKCS#11 token or a "
             "TPM 2.0."},
    {.key = "module",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_keys, module),
     .preset = "",
     .help = "PKCS#11 module (.so), for pkcs11."},
    {.key = "token",
     .type = CONF_STRING,
     .offset = offsetof(struct agent_keys, token),
     .preset = "",
     .max = 32,
     .help = "Label of the token, for pkcs11."},
    {.key = "label",
     .type = CONF_STRING,
     .offset = offsetof(struct agent_keys, label),
     .preset = "touchmark",
     .min = 1,
     .max = 64,
     .help = "CKA_LABEL of the keys, for pkcs11; devices that share a token need one each."},
    {.key = "pin_file",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_keys, pin_file),
     .preset = "",
     .words = pin_words,
     .help = "File with the user PIN, readable by its owner only, for pkcs11; credential:NAME is "
             "the systemd credential NAME."},
    {.key = "tcti",
     .type = CONF_STRING,
     .offset = offsetof(struct agent_keys, tcti),
     .preset = "",
     .help = "How the TPM is reached, for tpm, such as device:/dev/tpmrm0; left out, the system's "
             "default."},
    {.key = NULL},
};

static const struct conf_row requests_rows[] = {
    {.key = "linking",
     .type = CONF_ENUM,
     .offset = offsetof(struct agent_requests, linking),
     .preset = "optional",
     .words = linking_words,
     .help = "Bind requests to their TLS connection (RFC 7030, 3.5): whenever it can be done, "
             "never without, or not."},
    {.key = "keep_key",
     .type = CONF_BOOL,
     .offset = offsetof(struct agent_requests, keep_key),
     .preset = "false",
     .help = "Renew with the same key; otherwise each certificate gets a new one."},
    {.key = "any_subject",
     .type = CONF_BOOL,
     .offset = offsetof(struct agent_requests, any_subject),
     .preset = "false",
     .help = "Take a first certificate whatever its subject; otherwise its commonName or "
             "serialNumber must be the device ID."},
    {.key = "probe_url",
     .type = CONF_STRING,
     .offset = offsetof(struct agent_requests, probe_url),
     .preset = "",
     .help = "https URL of the service that the certificate is for: each new one is tried there "
             "before it is used; left out, at the EST server."},
    {.key = "timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_requests, timeout),
     .preset = "30s",
     .min = SECOND,
     .max = 120 * SECOND,
     .help = "Until an exchange with the server must be done; a stop may wait as long."},
    {.key = "connect_timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_requests, connect_timeout),
     .preset = "10s",
     .min = SECOND,
     .max = 120 * SECOND,
     .help = "Until the connection must be there."},
    {.key = NULL},
};

static const struct conf_row renewal_rows[] = {
    {.key = "window",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_renewal, window),
     .preset = "0s",
     .max = 3650 * DAY,
     .help = "Renewals spread over so long after two thirds of the lifetime; 0s is a twelfth of "
             "the lifetime."},
    {.key = "soak",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_renewal, soak),
     .preset = "1d",
     .min = SECOND,
     .max = 365 * DAY,
     .help = "How long the previous certificate and key are kept after a renewal, to fall back "
             "on."},
    {.key = "backoff_min",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_renewal, backoff_min),
     .preset = "30s",
     .min = SECOND,
     .max = DAY,
     .help = "A try that failed is repeated at a random time up to this, which doubles with each "
             "failure; a restart waits up to this too."},
    {.key = "backoff_max",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_renewal, backoff_max),
     .preset = "6h",
     .min = SECOND,
     .max = 30 * DAY,
     .help = "The largest that renewal.backoff_min doubles to."},
    {.key = NULL},
};

static const struct conf_row export_rows[] = {
    {.key = "folder",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_export, folder),
     .preset = "",
     .example = "/var/lib/touchmark-agent/export",
     .help = "Folder that gets certificate.pem, chain.pem, ca.pem and, for keys in files, key.pem; "
             "all change in one moment. It is the agent's own and is made when it is not there."},
    {.key = "group",
     .type = CONF_STRING,
     .offset = offsetof(struct agent_export, group),
     .preset = "",
     .max = 32,
     .help = "System group that may read key.pem (mode 0640), which the agent must be a member of; "
             "left out, only the agent's user may (0600)."},
    {.key = NULL},
};

static const struct conf_row hook_rows[] = {
    {.key = "program",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_hook, program),
     .preset = "",
     .help = "Executable that is run after what is in export.folder changed, without arguments and "
             "without a shell; its environment says what changed."},
    {.key = "timeout",
     .type = CONF_DURATION,
     .offset = offsetof(struct agent_hook, timeout),
     .preset = "30s",
     .min = SECOND,
     .max = 120 * SECOND,
     .help = "How long it may run; beyond it, it is killed."},
    {.key = NULL},
};

const struct conf_row agent_rows[] = {
    {.key = "device",
     .type = CONF_NAME,
     .offset = offsetof(struct agent_conf, device),
     .example = "SN-0001",
     .help = "The device's ID in the server's registry."},
    {.key = "server",
     .type = CONF_STRING,
     .offset = offsetof(struct agent_conf, server),
     .min = sizeof "https://",
     .example = "https://est.example.com:8443",
     .help = "The EST server: https, its name and port, and nothing behind them."},
    {.key = "anchors",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_conf, anchors),
     .example = "/etc/touchmark/anchors.pem",
     .help = "PEM file of the root certificates that the server is trusted by; read once, before "
             "the first enrollment, and kept up to date by the server from then on."},
    {.key = "bootstrap",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_conf, bootstrap),
     .preset = "",
     .example = "/var/lib/touchmark-agent/bootstrap",
     .help = "File with the one-time secret of the device, one line that its owner only may read. "
             "It is moved below state at the next start, and destroyed once a certificate is in "
             "use."},
    {.key = "idevid",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_conf, idevid),
     .preset = "",
     .help = "PEM file of the IDevID that the device came with and the CA certificates above it; "
             "its key must be number 0 of the key store. Read once, as anchors."},
    {.key = "environment",
     .type = CONF_ENUM,
     .offset = offsetof(struct agent_conf, environment),
     .preset = "any",
     .words = environment_words,
     .help = "Refuse root certificates whose organizationalUnit is not \"Environment dev\" and so "
             "on."},
    {.key = "state",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_conf, state),
     .preset = "/var/lib/touchmark-agent/state",
     .help = "Folder of what the agent must not lose: certificates, keys, trust anchors. It is "
             "made, for the agent's user only, when it is not there."},
    {.key = "status",
     .type = CONF_PATH,
     .offset = offsetof(struct agent_conf, status),
     .preset = "",
     .help = "File that says how the device is, in JSON; left out, status.json in state."},
    {.key = "log_level",
     .type = CONF_ENUM,
     .offset = offsetof(struct agent_conf, log_level),
     .preset = "info",
     .words = level_words,
     .help = "Least urgent messages that are logged (JSON lines on standard error)."},
    {.key = "labels",
     .type = CONF_GROUP,
     .offset = offsetof(struct agent_conf, labels),
     .rows = labels_rows,
     .help = "Where at the server the certificates come from."},
    {.key = "keys",
     .type = CONF_GROUP,
     .offset = offsetof(struct agent_conf, keys),
     .rows = keys_rows,
     .help = "The private keys."},
    {.key = "requests",
     .type = CONF_GROUP,
     .offset = offsetof(struct agent_conf, requests),
     .rows = requests_rows,
     .help = "How certificates are asked for."},
    {.key = "renewal",
     .type = CONF_GROUP,
     .offset = offsetof(struct agent_conf, renewal),
     .rows = renewal_rows,
     .help = "When certificates are asked for; fractions of a second count as a whole one."},
    {.key = "export",
     .type = CONF_GROUP,
     .offset = offsetof(struct agent_conf, export),
     .rows = export_rows,
     .help = "Files for the services that use the certificate."},
    {.key = "hook",
     .type = CONF_GROUP,
     .offset = offsetof(struct agent_conf, hook),
     .rows = hook_rows,
     .help = "What is run when a certificate changed."},
    {.key = NULL},
};

const char *agent_anchor_unit(const struct agent_conf *conf) {
    static const char *const units[] = {NULL, "Environment dev", "Environment test",
                                        "Environment prod"};
    return units[conf->environment];
}
