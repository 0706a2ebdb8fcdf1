/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station.yaml: what a factory station is, as one struct and one option table (options.c). It holds
 * no secret, only where secrets are. A text or path that was left out is NULL; durations are ms.
 */
#ifndef TOUCHMARK_STATION_OPTIONS_H
#define TOUCHMARK_STATION_OPTIONS_H

#include "client/agent/options.h"
#include "conf/schema.h"

struct station_keys {
    unsigned store; /* enum agent_store; never TPM */
    char *module;
    char *token;
    char *label;
    char *pin_file;
};

struct station_requests {
    int64_t timeout;
    int64_t connect_timeout;
    int64_t patience;
};

struct station_conf {
    char *station; /* its ID in the server's registry */
    char *server;
    char *anchors;
    char *bootstrap;
    unsigned environment; /* enum agent_environment */
    char *label;          /* NULL: the server's default */
    char *state;
    char *jobs;
    char *serial;
    unsigned log_level;
    struct station_keys keys;
    struct station_requests requests;
};

extern const struct conf_row station_rows[];

/* Loads and cross-checks. As conf_load_file. */
MUST_USE enum tm_err station_conf_open_file(const char *path, struct station_conf *ret_conf,
                                            char error[CONF_ERROR_MAX]);
void station_conf_close(struct station_conf *conf);

#endif
