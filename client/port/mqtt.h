/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrollment over MQTT by libmosquitto, as a struct tm_transport: a Sparkplug B 3.0 edge node, or
 * the plain MQTT 5 profile (docs/mqtt.md). Every message is authenticated end to end
 * (client/cmc.h); the broker is only a carrier, and TLS to it, its user name and its certificate
 * are its own matter, set here, and no credential of enrollment.
 *
 * The connection is kept between exchanges and made again when it is lost; as an edge node it says
 * its births and deaths. timeout_s bounds one exchange: a request is published again, with the same
 * bytes, until its answer is there. No answer is TM_RESULT_NETWORK, and so is everything that the
 * broker refuses; a request that is larger than the broker takes is TM_RESULT_REFUSED.
 * TM_RESULT_UNTRUSTED does not occur: what nobody signed who may is passed over. Only name
 * resolution and the tables may block beyond a deadline. One call at a time; different objects are
 * independent. Threads are not used, no signal is handled.
 *
 * Nobody serves the connection while the caller does not call: a program that waits does so in
 * tm_mqtt_wait, or the broker takes it for dead (it then says the death) and the next exchange
 * connects again.
 */
#ifndef TOUCHMARK_CLIENT_PORT_MQTT_H
#define TOUCHMARK_CLIENT_PORT_MQTT_H

#include "client/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

enum tm_mqtt_profile { TM_MQTT_SPARKPLUG, TM_MQTT_PLAIN };

struct tm_mqtt_config {
    const char *url;                         /* "mqtt://host[:1883]" or "mqtts://host[:8883]" */
    const char *user;                        /* at the broker; NULL = none */
    const char *password_file;               /* first line; NULL = none */
    const char *anchors_file;                /* PEM: CAs of the broker; needed for mqtts */
    const char *certificate_file, *key_file; /* PEM, shown to the broker; NULL = none */
    enum tm_mqtt_profile profile;
    const char *group;     /* Sparkplug: group ID */
    const char *edge_node; /* Sparkplug: edge node ID; NULL = device_id */
    const char *host_id;   /* Sparkplug: wait for this primary host's STATE; NULL = do not wait */
    const char *prefix;    /* plain: NULL = "touchmark/v1" */
    const char *device_id; /* as in tm_config */
    const char *client_id; /* NULL = device_id */
    /* Sparkplug: folder of the device's own that keeps the bdSeq of the last CONNECT, so that it
     * goes on by one after a restart (tck-id-topics-nbirth-bdseq-increment), and no death of an
     * earlier run is taken for one of this. NULL: it begins at 0 with each tm_mqtt_open. */
    const char *folder;
    uint32_t timeout_s; /* for one exchange; default 60 */
    uint32_t repeat_s;  /* a request without answer is published again after so long; default 10,
                           doubles */
    const struct tm_keys *keys;
    const struct tm_storage *storage;
    const struct tm_crypto *crypto;
};

struct tm_mqtt;
/* Strings and tables must outlive it. The connection is made by the first exchange. TM_EINVAL: a
 * URL, ID or combination that cannot be; TM_EIO: a file that cannot be read; TM_ENOMEM. */
MUST_USE enum tm_err tm_mqtt_open(const struct tm_mqtt_config *config, struct tm_mqtt **ret);
void tm_mqtt_close(struct tm_mqtt *mqtt); /* NULL-safe; disconnects (as an edge node: NDEATH) */
const struct tm_transport *tm_mqtt_transport(struct tm_mqtt *mqtt);

/*
 * Keeps the device online while there is nothing to do: connects, keeps alive, answers rebirth
 * requests, follows the primary host's STATE. Until until_mono_ms, as tm_clock_now counts
 * (client/port/run.h), or until wake_fd can be read (-1: none). Earlier, and then with true, when
 * the host writes what an exchange without answer was waiting for: an offer, or a response that is
 * not confirmed; the caller may do now what it had put off. Nothing of that is proven, so it is
 * believed at most once in repeat_s.
 */
bool tm_mqtt_wait(struct tm_mqtt *mqtt, int64_t until_mono_ms, int wake_fd);

#ifdef __cplusplus
}
#endif
#endif
