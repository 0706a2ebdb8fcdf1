/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet as a load on a real server: devices in memory, as in the simulation, but by HTTPS or
 * MQTT and with the machine's clocks. Each thread takes one device after the other through its
 * enrollment and its renewals; or all devices stay, and each turn is everybody's.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_LOAD_H
#define TOUCHMARK_CLIENT_FLEET_LOAD_H

#include <stdio.h>

#include "client/device.h"

#define FLEET_SECRET_MAX 128
#define FLEET_GROUPS_MAX 64

/* A registered device and its one-time secret. */
struct fleet_login {
    char id[TM_DEVICE_ID_MAX + 1];
    char secret[FLEET_SECRET_MAX + 1];
};

struct fleet_load {
    const char *url; /* "https://host[:port]", "mqtt://host[:port]" or "mqtts://host[:port]" */
    const char *idevid_label, *ldevid_label; /* NULL: that one is not enrolled */
    struct bytes anchors;                    /* DER, one after the other */
    unsigned threads;                        /* 1 to 64 */
    unsigned renewals;                       /* of each device's LDevID */
    unsigned seconds;                        /* no device is begun after that, and none goes on */
    bool stay; /* all enroll, then all renew, and none closes its connection before the last */
    struct fleet_login *logins; /* the secrets are wiped as they are used */
    size_t count;

    /* MQTT: each device is a client of its own. */
    bool plain;                           /* the plain profile, not Sparkplug's edge nodes */
    const char *groups[FLEET_GROUPS_MAX]; /* of Sparkplug: device i is in group i mod count */
    size_t group_count;                   /* at least one */
    const char *host_id;                  /* primary host whose STATE is waited for; NULL: none */
    const char *prefix;                   /* of the plain profile; NULL: the usual one */
    const char *broker_anchors;           /* PEM file: CAs of the broker, for mqtts */
};

/* Reads "ID SECRET" lines up to the end. TM_EPARSE: a line that is none or has an ID or secret that
 * is too long, or no line; TM_EIO; TM_ENOMEM. */
MUST_USE enum tm_err fleet_logins_read(FILE *in, struct fleet_login **ret_logins,
                                       size_t *ret_count);

void fleet_logins_free(struct fleet_login *logins, size_t count); /* wipes; NULL-safe */

/* The certificates of a PEM file as DER, appended. TM_ENOTFOUND: no file, or none in it. */
MUST_USE enum tm_err fleet_anchors_read(const char *path, struct buf *out);

/* Makes the load and prints what came of it. false: a device is not as far as it was to come. Lifts
 * the limit of open files as far as it may. */
bool fleet_load_run(const struct fleet_load *load);

#endif
