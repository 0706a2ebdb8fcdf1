/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touchmark-agent.yaml: the agent's configuration, as one struct and one option table
 * (options.c). It holds no secret, only where secrets are. A text or path that was left out
 * or is "" is NULL; durations are milliseconds.
 */
#ifndef TOUCHMARK_AGENT_OPTIONS_H
#define TOUCHMARK_AGENT_OPTIONS_H

#include "conf/schema.h"

enum agent_environment { AGENT_ENV_ANY, AGENT_ENV_DEV, AGENT_ENV_TEST, AGENT_ENV_PROD };
enum agent_transport { AGENT_TRANSPORT_HTTPS, AGENT_TRANSPORT_MQTT };
enum agent_profile { AGENT_PROFILE_SPARKPLUG, AGENT_PROFILE_PLAIN };
enum agent_store { AGENT_STORE_FILES, AGENT_STORE_PKCS11, AGENT_STORE_TPM };
enum agent_linking { AGENT_LINKING_OPTIONAL, AGENT_LINKING_REQUIRED, AGENT_LINKING_OFF };

struct agent_labels {
    char *idevid; /* NULL: no IDevID is asked for */
    char *ldevid; /* NULL: the server's default label */
};

struct agent_keys {
    unsigned store; /* enum agent_store */
    char *module;
    char *token;
    char *label;
    char *pin_file;
    char *tcti;
};

struct agent_requests {
    unsigned linking; /* enum agent_linking */
    bool keep_key;
    bool any_subject;
    char *probe_url;
    int64_t timeout;
    int64_t connect_timeout;
};

struct agent_mqtt {
    char *url;
    unsigned profile; /* enum agent_profile */
    char *group;
    char *edge_node;
    char *host_id;
    char *prefix;
    char *client_id;
    char *user;
    char *password_file;
    char *anchors;
    char *certificate;
    char *key;
    int64_t timeout;
    int64_t repeat;
};

struct agent_renewal {
    int64_t window; /* 0: by the lifetime */
    int64_t soak;
    int64_t backoff_min;
    int64_t backoff_max;
};

struct agent_export {
    char *folder; /* NULL: nothing is exported */
    char *group;
};

struct agent_hook {
    char *program; /* NULL: there is none; else export.folder is set */
    int64_t timeout;
};

struct agent_conf {
    char *device;
    unsigned transport; /* enum agent_transport */
    char *server;       /* NULL only with MQTT */
    char *anchors;
    char *bootstrap;
    char *idevid;
    unsigned environment; /* enum agent_environment */
    char *state;
    char *status; /* never NULL after agent_conf_open_file */
    unsigned log_level;
    struct agent_labels labels;
    struct agent_keys keys;
    struct agent_requests requests;
    struct agent_mqtt mqtt;
    struct agent_renewal renewal;
    struct agent_export export;
    struct agent_hook hook;
};

/* AGENT_DEFAULT_FILE, a string from the build, is where touchmark-agent.yaml lies if nobody says.
 */

extern const struct conf_row agent_rows[];
/* What organizationalUnits of trust anchors have to be; NULL: anything. */
const char *agent_anchor_unit(const struct agent_conf *conf);

/* Loads and cross-checks. As conf_load_file. */
MUST_USE enum tm_err agent_conf_open_file(const char *path, struct agent_conf *ret_conf,
                                          char error[CONF_ERROR_MAX]);
void agent_conf_close(struct agent_conf *conf);

#endif
