/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a fleet: one row per scenario. Constant, thread-safe. */
#ifndef TOUCHMARK_CLIENT_FLEET_SCENARIO_H
#define TOUCHMARK_CLIENT_FLEET_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

struct fleet_scenario {
    const char *name;
    const char *about;
    /* Of the plant, in spells of hours to weeks. */
    bool outages;  /* no route, 503 with and without Retry-After */
    bool lossy;    /* requests and answers get lost, connections break in between */
    bool bad;      /* certificates that are wrong in some way, and foreign roots in cacerts */
    bool probe;    /* where certificates are used nobody answers, or the new issuer is unknown */
    bool rollover; /* new root and issuing CA; the old root ends */
    bool steered;  /* the server says when it wants a certificate renewed */
    bool strict;   /* its TLS refuses every certificate that is expired or revoked at once */
    /* Devices to which it happens, per thousand. */
    unsigned off;       /* switched off for weeks or months, some longer than their certificate */
    unsigned unplugged; /* the same, but running without a network */
    unsigned asleep;    /* switched off for all of a root rollover */
    unsigned revoked;   /* the LDevID is revoked */
    unsigned retired;   /* the device is revoked, for good */
    unsigned suspended; /* the device gets nothing for weeks */
    unsigned refused;   /* a renewed certificate is refused in its soak time */
    unsigned clockless; /* no clock; as many again learn the time only an hour after each start */
    unsigned skewed;    /* the clock is minutes off */
    unsigned slow;      /* the key store answers later */
    unsigned keeps;     /* renewals keep the key */
    /* Per thousand writes of storage and key store. */
    unsigned cut;    /* the power is cut in the middle */
    unsigned failed; /* the write fails */
};

extern const struct fleet_scenario fleet_scenarios[];
extern const size_t fleet_scenario_count;
/* NULL: there is none of that name. */
const struct fleet_scenario *fleet_scenario_named(const char *name);

#endif
