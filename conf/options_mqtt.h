/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the section `mqtt`. Private to conf/. */
#ifndef TOUCHMARK_CONF_OPTIONS_MQTT_H
#define TOUCHMARK_CONF_OPTIONS_MQTT_H

#include "conf/conf.h"

extern const struct conf_row conf_mqtt_rows[];

#endif
