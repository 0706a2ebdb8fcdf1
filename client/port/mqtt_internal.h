/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the MQTT transport share: mqtt.c is the object and its configuration,
 * mqtt_exchange.c makes the exchanges, mqtt_link.c is the connection (libmosquitto), mqtt_node.c
 * the Sparkplug edge node, mqtt_host.c its primary host, mqtt_plain.c the plain profile. Only for
 * them.
 */
#ifndef TOUCHMARK_CLIENT_PORT_MQTT_INTERNAL_H
#define TOUCHMARK_CLIENT_PORT_MQTT_INTERNAL_H

#include <mosquitto.h>

#include "client/cmc.h"
#include "client/port/mqtt.h"
#include "mqtt/wire/contract.h"

#define TM_MQTT_PASSWORD_MAX 257
#define TM_MQTT_BODY_MAX 32768                        /* octets of an answer's body */
#define TM_MQTT_PAYLOAD_MAX (MQTT_MESSAGE_MAX + 1024) /* octets of a payload that is published */
#define TM_MQTT_CORRELATION_SIZE 16

/* How far the connection is. */
enum tm_mqtt_phase {
    TM_MQTT_DOWN,
    TM_MQTT_CONNECTING,  /* until CONNACK */
    TM_MQTT_SUBSCRIBING, /* until the SUBACKs */
    TM_MQTT_SUBSCRIBED,  /* an edge node waits for its primary host */
    TM_MQTT_UP           /* born */
};

struct tm_mqtt_message {
    const char *topic;
    struct bytes payload;
    const mosquitto_property *properties;
};

/* What the profiles do each in its own way. */
struct tm_mqtt_ways {
    /* Before CONNECT: the will. */
    enum tm_err (*prepare)(struct tm_mqtt *m);
    /* After CONNACK. TM_OK: the subscriptions are on their way. */
    enum tm_err (*subscribe)(struct tm_mqtt *m);
    /* Subscribed: says that the device is there. TM_EAGAIN: the primary host is not. */
    enum tm_err (*begin)(struct tm_mqtt *m);
    /* When tend has something to do though nothing came; INT64_MAX: never. */
    int64_t (*due_ms)(const struct tm_mqtt *m);
    /* Does what messages asked for since. TM_ECLOSED: the session has to end. */
    enum tm_err (*tend)(struct tm_mqtt *m);
    /* Publishes m->state and, unless it is empty, m->request. TM_ELIMIT: the broker takes no packet
     * of that size. */
    enum tm_err (*say)(struct tm_mqtt *m);
    void (*receive)(struct tm_mqtt *m, const struct tm_mqtt_message *message);
    /* Before DISCONNECT: *ret_mid is the message that must have arrived, 0 for none. */
    enum tm_err (*end)(struct tm_mqtt *m, int *ret_mid);
    int goodbye; /* reason code of an orderly DISCONNECT */
};

/* The connection. */
struct tm_mqtt_link {
    struct mosquitto *mosq; /* NULL: DOWN */
    enum tm_mqtt_phase phase;
    unsigned awaited;          /* SUBACKs */
    bool refused;              /* CONNACK or SUBACK said no; `trouble` says why */
    int arrived_mid;           /* last message that the broker acknowledged */
    int64_t give_up_ms;        /* not SUBSCRIBED until then: it is given up */
    int64_t connect_ms;        /* not connected again before */
    unsigned failures;         /* one after the other */
    char trouble[TM_TEXT_MAX]; /* why there is no connection; "" = nothing known */
    char said[TM_TEXT_MAX];    /* libmosquitto's last error message */
    char logged[TM_TEXT_MAX];  /* the trouble that was logged: once, however often it is met */
};

/* The Sparkplug edge node. */
struct tm_mqtt_node {
    char nbirth[MQTT_TOPIC_MAX], ndeath[MQTT_TOPIC_MAX], ndata[MQTT_TOPIC_MAX],
        ncmd[MQTT_TOPIC_MAX];
    char host[MQTT_TOPIC_MAX]; /* STATE of the primary host; "" = there is none */
    int folder;                /* keeps bdSeq; -1 = none */
    uint8_t bdseq;             /* of the last CONNECT, or of the one that is tried */
    bool bdseq_used;           /* the CONNECT went out */
    uint8_t seq;
    bool rebirth; /* was asked for */
    int64_t born_ms;
    bool host_seen, host_online;
    int64_t host_ms; /* timestamp of the newest STATE */
};

/* The plain profile. */
struct tm_mqtt_plain {
    char offer[MQTT_TOPIC_MAX], request[MQTT_TOPIC_MAX], response[MQTT_TOPIC_MAX];
};

enum tm_mqtt_want { TM_MQTT_WANT_NOTHING, TM_MQTT_WANT_OFFER, TM_MQTT_WANT_RESPONSE };

struct tm_mqtt {
    struct tm_transport table;
    struct tm_mqtt_config config; /* with the defaults filled in */
    const struct tm_mqtt_ways *ways;
    char *host;
    int port;
    bool tls;
    char password[TM_MQTT_PASSWORD_MAX];
    struct tm_mqtt_link link;
    struct tm_mqtt_node node;
    struct tm_mqtt_plain plain;

    /* What the device says. */
    char label[MQTT_ID_MAX + 1];
    bool birth_due; /* the last one named another label, or is not what the host has */
    enum mqtt_state state;
    struct bytes request; /* in request_octets */
    uint8_t correlation[TM_MQTT_CORRELATION_SIZE];
    bool unsaid; /* state or request are not published yet in this session */

    /* What it hears. */
    enum tm_mqtt_want want;
    const struct tm_exchange *exchange;
    struct tm_answer *answer;
    bool heard;      /* *answer is the answer */
    bool called;     /* the host wrote what an exchange without answer was waiting for */
    int64_t call_ms; /* the next call is not believed before */

    struct tm_cmc cmc;
    uint8_t work[TM_CMC_WORK_SIZE];
    uint8_t request_octets[TM_CMC_REQUEST_MAX];
    uint8_t body[TM_MQTT_BODY_MAX];
    uint8_t payload[TM_MQTT_PAYLOAD_MAX];
};

/* ---- mqtt_link.c ---- */

/* One round: connects when it is time, waits until something comes or until_mono_ms, and does what
 * is due. True: wake_fd can be read. */
bool tm_mqtt_serve(struct tm_mqtt *m, int64_t until_mono_ms, int wake_fd);
/* Ends the session in order; bounded. */
void tm_mqtt_leave(struct tm_mqtt *m);
/* TM_ELIMIT: larger than the broker takes; TM_ECLOSED: the connection is (as good as) gone. Takes
 * *properties over; ret_mid may be NULL. */
MUST_USE enum tm_err tm_mqtt_publish(struct tm_mqtt *m, const char *topic, struct bytes payload,
                                     int qos, mosquitto_property **properties, int *ret_mid);
/* With QoS 1; options of MQTT 5. */
MUST_USE enum tm_err tm_mqtt_subscribe(struct tm_mqtt *m, const char *topic, int options);

/* SIGPIPE is held back while libmosquitto writes to sockets. */
struct tm_mqtt_quiet {
    bool blocked; /* by us */
};
void tm_mqtt_quiet_begin(struct tm_mqtt_quiet *quiet);
void tm_mqtt_quiet_end(const struct tm_mqtt_quiet *quiet);

/* ---- mqtt_node.c, mqtt_host.c, mqtt_plain.c ---- */

extern const struct tm_mqtt_ways tm_mqtt_node_ways, tm_mqtt_plain_ways;
/* TM_EINVAL: IDs or prefix that cannot be; TM_EIO. */
MUST_USE enum tm_err tm_mqtt_node_open(struct tm_mqtt *m);
void tm_mqtt_node_close(struct tm_mqtt *m);
MUST_USE enum tm_err tm_mqtt_plain_open(struct tm_mqtt *m);
/* A STATE message of the primary host. */
void tm_mqtt_host_says(struct tm_mqtt_node *node, struct bytes payload);

/* ---- mqtt_exchange.c ---- */

void tm_mqtt_exchange(void *arg, const struct tm_exchange *exchange, struct tm_answer *ret);
/* Publishes what is not said yet. */
void tm_mqtt_speak(struct tm_mqtt *m);
/* An offer or a response came, from whomever. */
void tm_mqtt_hear_offer(struct tm_mqtt *m, struct bytes offer);
void tm_mqtt_hear_response(struct tm_mqtt *m, struct bytes response);

#endif
