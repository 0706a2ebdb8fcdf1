/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device of the fleet: its memory (storage and keys in RAM, which a power cut treats as the
 * contract of client/tables.h allows), its power, its clock and what is going to happen to it.
 * One thread.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_UNIT_H
#define TOUCHMARK_CLIENT_FLEET_UNIT_H

#include "client/device.h"
#include "client/fleet/weather.h"
#include "client/fleet/x509.h"

#define FLEET_INCIDENTS_MAX 8

enum fleet_kind {
    FLEET_WITH_IDEVID,   /* came with the maker's IDevID */
    FLEET_FROM_FACTORY,  /* gets its IDevID by one-time secret, then the LDevID with it */
    FLEET_WITHOUT_IDEVID /* gets its LDevID by one-time secret and has nothing else */
};

enum fleet_clock {
    FLEET_CLOCK_GOOD,
    FLEET_CLOCK_LATE, /* not set in the first hour after a start */
    FLEET_CLOCK_NONE,
};

enum fleet_incident_kind {
    FLEET_SWITCHED_OFF,
    FLEET_UNPLUGGED,
    FLEET_REVOKED_CERT,
    FLEET_RETIRED,
    FLEET_SUSPENDED,
};

struct fleet_incident {
    enum fleet_incident_kind kind;
    int64_t from_ms, until_ms;
    bool begun;
};

struct fleet_item {
    uint8_t *p; /* NULL: it is not there */
    size_t n;
};

struct fleet_unit {
    struct tm_device device;
    struct tm_keys keys;
    struct tm_storage storage;
    uint8_t work[TM_WORK_SIZE];
    struct fleet_item items[TM_ITEM_COUNT];
    struct fleet_key banks[TM_BANKS];
    char id[24];
    enum fleet_kind kind;
    enum fleet_clock clock;
    int64_t skew_ms;
    bool slow;            /* every second call of the key store says TM_EAGAIN */
    bool asked;           /* and this is the second one */
    bool keeps;           /* its key when it renews */
    unsigned cut, failed; /* per thousand writes */
    bool asleep;          /* off for all of a root rollover: nobody can bring it back */
    bool on;              /* has power, and the library runs */
    bool dark;            /* the power was cut within a call */
    bool unplugged;       /* has no network */
    int64_t born_ms;      /* when it leaves the factory */
    int64_t started_ms;   /* when it was switched on */
    int64_t trouble_ms;   /* when anything of its own last stood in its way */
    int64_t lived_ms;     /* virtual time within the burst under way */
    struct fleet_random random;
    struct fleet_incident incidents[FLEET_INCIDENTS_MAX];
    size_t incident_count;
    /* What the connection is, for requests that are bound to it. */
    bool connected;
    uint8_t binding[32];
    /* What was seen of it. */
    int64_t given_up_ms; /* since when policy leaves it no way back; 0: it does */
    bool removed;        /* and somebody took it away */
    uint32_t current;    /* number of the certificate in CURRENT when last looked at */
    int64_t use_ms; /* when its application uses CURRENT next, if that tells anything; 0: never */
    bool refused;   /* and is refused, whatever CURRENT is */
    bool stranded;  /* it said so, and nothing good happened since */
};

/* Its dice, and what happens to it. */
void fleet_unit_draw(struct fleet_unit *unit, size_t number, const struct fleet_scenario *scenario,
                     const struct fleet_weather *weather, uint64_t seed);
void fleet_unit_free(struct fleet_unit *unit);
/* What its clocks say. */
struct tm_now fleet_unit_now(const struct fleet_unit *unit);
/* An item as it stands. */
struct bytes fleet_unit_item(const struct fleet_unit *unit, enum tm_item item);
/* The first certificate of a chain; empty: there is none. */
struct bytes fleet_unit_leaf(const struct fleet_unit *unit, unsigned chain_bank);
/* Fills the tables for the library. */
void fleet_unit_tables(struct fleet_unit *unit);

#endif
