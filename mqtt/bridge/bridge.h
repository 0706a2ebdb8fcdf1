/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MQTT bridge: a Sparkplug B 3.0 host application and the plain MQTT 5 profile, on one broker
 * connection (libmosquitto, MQTT 5), between devices and the core. It proves nothing and holds no
 * key of a CA: what devices and core say to each other is authenticated end to end (CMC), and the
 * bridge carries it. It remembers who is online, where answers go, and what was not confirmed yet.
 *
 *   bridge.c      the whole: the broker's events and the core's answers, each to whom it concerns
 *   pump.c        what goes to the core, how fast, and when devices have to wait
 *   requests.c    requests that wait for the core or its answer, bounded
 *   births.c      births that wait for the core or its answer, bounded
 *   host.c        Sparkplug: births, deaths and data
 *   sequence.c    Sparkplug: sequence numbers, reordering, rebirth requests
 *   state.c       Sparkplug: STATE of this host application
 *   plain.c       the plain MQTT 5 profile
 *   answers.c     what the core answered, to devices
 *   nodes.c       edge nodes and devices that are known, bounded
 *   outbox.c      answers that were not confirmed, and when they are sent again
 *   events.c      lifecycle events to the broker
 *   settings.c    the configuration, checked and copied
 *   broker.c      libmosquitto on the loop: connect, will, reconnect
 *   messages.c    subscriptions and messages over the connection
 *   tls.c         TLS to the broker
 *
 * Nothing here blocks but name resolution. Everything runs on the loop's thread. The process has to
 * ignore SIGPIPE: libmosquitto writes to connections that may be gone.
 */
#ifndef TOUCHMARK_MQTT_BRIDGE_BRIDGE_H
#define TOUCHMARK_MQTT_BRIDGE_BRIDGE_H

#include "base/loop.h"
#include "ipc/messages.h"

struct mqtt_bridge;

struct mqtt_bridge_config {
    const char *host; /* of the broker */
    unsigned port;
    const char *client_id;
    const char *username;  /* NULL = none */
    struct bytes password; /* copied, wiped with the bridge; empty = none */
    /* TLS to the broker: PEM text that was read before the sandbox; all empty: no TLS. */
    struct bytes tls_anchors;     /* CAs of the broker */
    struct bytes tls_certificate; /* the bridge's own, leaf first; empty: no client certificate */
    struct bytes tls_key;
    const char *tls_name; /* name in the broker's certificate; NULL: `host` */
    bool sparkplug;
    const char *host_id;       /* of STATE; required with sparkplug */
    const char *const *groups; /* Sparkplug groups; count 0: all ("+") */
    size_t group_count;
    bool plain;
    const char *prefix;         /* of the plain profile and of events */
    bool events;                /* publish lifecycle events below {prefix}/event/ */
    size_t queue;               /* requests at the core at once; more wait in the broker's window */
    size_t nodes_max;           /* edge nodes and devices that are remembered */
    unsigned births_per_second; /* births that are passed on to the core; more wait, in order */
    int64_t retransmit_ms; /* first pause before an unconfirmed answer is sent again; doubles */
    int64_t retransmit_max_ms;
    int64_t keepalive_s;
    int64_t reorder_ms;      /* Sparkplug's Reorder Timeout; 0: 2000 */
    int64_t (*now_ms)(void); /* wall clock */
};

/* Events that the core may have sent and not seen acknowledged. More are not taken: they come again
 * over a new link. */
#define MQTT_BRIDGE_EVENTS_MAX 64

/* What the bridge asks of the core; sent over the link by whoever owns it. False: not now; the
 * bridge asks again when mqtt_bridge_core says that the core is there. Nothing is kept. */
struct mqtt_bridge_upstream {
    bool (*enroll)(void *arg, const struct ipc_enroll *request);
    bool (*birth)(void *arg, const struct ipc_birth *birth);
    bool (*event_ack)(void *arg, const struct ipc_event_ack *ack);
};

/* Starts connecting, and tries again for ever. What `config` points to may go afterwards. TM_EINVAL
 * with a sentence in text; TM_ENOMEM. */
MUST_USE enum tm_err mqtt_bridge_new(struct loop *loop, const struct mqtt_bridge_config *config,
                                     const struct mqtt_bridge_upstream *upstream, void *arg,
                                     struct mqtt_bridge **ret, char text[IPC_TEXT_MAX + 1]);
/* Says STATE offline and disconnects; waits half a second at most for the broker. NULL-safe. */
void mqtt_bridge_free(struct mqtt_bridge *bridge);

/* The core is there (again): everything that was not answered is asked again, under the same IDs.
 * Or it is not: devices' messages wait, in the broker once the queue is full. */
void mqtt_bridge_core(struct mqtt_bridge *bridge, bool there);
void mqtt_bridge_reply(struct mqtt_bridge *bridge, const struct ipc_reply *reply);
void mqtt_bridge_offer(struct mqtt_bridge *bridge, const struct ipc_offer *offer);
void mqtt_bridge_event(struct mqtt_bridge *bridge, const struct ipc_event *event);

/* Takes nothing new from devices; true once nothing is under way: draining. */
bool mqtt_bridge_drain(struct mqtt_bridge *bridge);

struct mqtt_bridge_stats {
    bool connected;
    uint64_t connects, births, deaths, requests, replies, offers, retransmissions, rebirths,
        malformed, too_large, events, dropped; /* requests that did not fit: devices ask again */
    size_t nodes, waiting, unconfirmed;
};
void mqtt_bridge_stats(const struct mqtt_bridge *bridge, struct mqtt_bridge_stats *ret);

#endif
