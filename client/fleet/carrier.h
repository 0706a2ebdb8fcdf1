/* SPDX-License-Identifier: Apache-2.0 */
/* How a device of the load reaches its server: by the transport that the URL's scheme names. */
#ifndef TOUCHMARK_CLIENT_FLEET_CARRIER_H
#define TOUCHMARK_CLIENT_FLEET_CARRIER_H

#include "client/fleet/load.h"
#include "client/fleet/unit.h"
#include "client/port/curl.h"
#include "client/port/mqtt.h"

struct fleet_carrier {
    struct tm_curl *curl; /* one of them */
    struct tm_mqtt *mqtt;
    const struct tm_transport *transport;
};

/* For the device number `number` of the load. Load, unit and crypto have to outlive it. TM_EINVAL:
 * a URL or ID that cannot be; errors of the transports. */
MUST_USE enum tm_err fleet_carrier_open(const struct fleet_load *load, size_t number,
                                        const struct fleet_unit *unit,
                                        const struct tm_crypto *crypto, struct fleet_carrier *ret);
void fleet_carrier_close(struct fleet_carrier *carrier);
/* Waits; over MQTT the device stays online meanwhile. Earlier, and then with true, when the server
 * calls it. */
bool fleet_carrier_wait(const struct fleet_carrier *carrier, int64_t until_mono_ms);

#endif
