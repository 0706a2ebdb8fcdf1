/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's own copy of its configuration, checked. */
#ifndef TOUCHMARK_MQTT_BRIDGE_SETTINGS_H
#define TOUCHMARK_MQTT_BRIDGE_SETTINGS_H

#include <openssl/types.h>

#include "mqtt/bridge/bridge.h"

/* `config` with all that it points to owned; tls_anchors, tls_certificate and tls_key are empty:
 * they became `tls`. */
struct mqtt_settings {
    struct mqtt_bridge_config config;
    char *password; /* NUL-terminated; wiped with the settings */
    SSL_CTX *tls;   /* NULL: none */
};

/* TM_EINVAL with a sentence in text; TM_ENOMEM. */
MUST_USE enum tm_err mqtt_settings_init(const struct mqtt_bridge_config *config,
                                        struct mqtt_settings *ret, char text[IPC_TEXT_MAX + 1]);
void mqtt_settings_deinit(struct mqtt_settings *settings);

#endif
