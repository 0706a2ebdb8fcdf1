/* SPDX-License-Identifier: Apache-2.0 */
/* See client/fleet/carrier.h. */
#include "client/fleet/carrier.h"

#include <string.h>
#include <time.h>

#include "client/port/run.h"

static enum tm_err open_curl(const struct fleet_load *load, const struct fleet_unit *unit,
                             struct fleet_carrier *ret) {
    const struct tm_curl_config config = {
        .url = load->url, .keys = &unit->keys, .storage = &unit->storage};
    struct tm_curl *curl;
    enum tm_err err = tm_curl_open(&config, &curl);
    if (!err)
        *ret = (struct fleet_carrier){.curl = curl, .transport = tm_curl_transport(curl)};
    return err;
}

/* An edge node of its own, or a client of the plain profile. */
static enum tm_err open_mqtt(const struct fleet_load *load, size_t number,
                             const struct fleet_unit *unit, const struct tm_crypto *crypto,
                             struct fleet_carrier *ret) {
    const struct tm_mqtt_config config = {
        .url = load->url,
        .anchors_file = load->broker_anchors,
        .profile = load->plain ? TM_MQTT_PLAIN : TM_MQTT_SPARKPLUG,
        .group = load->groups[number % load->group_count],
        .host_id = load->host_id,
        .prefix = load->prefix,
        .device_id = load->logins[number].id,
        .timeout_s = load->seconds < 60 ? load->seconds : 60,
        .keys = &unit->keys,
        .storage = &unit->storage,
        .crypto = crypto,
    };
    struct tm_mqtt *mqtt;
    enum tm_err err = tm_mqtt_open(&config, &mqtt);
    if (!err)
        *ret = (struct fleet_carrier){.mqtt = mqtt, .transport = tm_mqtt_transport(mqtt)};
    return err;
}

enum tm_err fleet_carrier_open(const struct fleet_load *load, size_t number,
                               const struct fleet_unit *unit, const struct tm_crypto *crypto,
                               struct fleet_carrier *ret) {
    return strncmp(load->url, "mqtt", 4) == 0 ? open_mqtt(load, number, unit, crypto, ret)
                                              : open_curl(load, unit, ret);
}

void fleet_carrier_close(struct fleet_carrier *carrier) {
    tm_curl_close(carrier->curl);
    tm_mqtt_close(carrier->mqtt);
    *carrier = (struct fleet_carrier){0};
}

bool fleet_carrier_wait(const struct fleet_carrier *carrier, int64_t until_mono_ms) {
    if (carrier->mqtt)
        return tm_mqtt_wait(carrier->mqtt, until_mono_ms, -1);
    int64_t ms = until_mono_ms - tm_clock_now().mono_ms;
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0)
        (void)nanosleep(&t, NULL);
    return false;
}
