/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enrollment contract between devices and the bridge (docs/mqtt.md), in its two forms. The
 * bytes of offers, requests and responses are CMC (est/wire/cmc.h) and the same in both, and at EST
 * fullcmc.
 *
 * Sparkplug: an edge node, or a device behind one, lists these metrics in its birth.
 *   Touchmark/Device    String  ID in the registry; is_null: the device's (edge node's) own ID
 *   Touchmark/Label     String  EST label; is_null or "": the default one
 *   Touchmark/State     String  "idle", "waiting" (for an offer), "requested", "unconfirmed"
 *   Touchmark/Request   Bytes   written by the device in NDATA/DDATA: a Full PKI Request
 *   Touchmark/Offer     Bytes   written by the host in NCMD/DCMD
 *   Touchmark/Response  Bytes   written by the host in NCMD/DCMD: a Full PKI Response
 * A birth only triggers: it never carries a request, since brokers may keep births.
 *
 * Plain MQTT 5: a request names its response topic and correlation data.
 *   {prefix}/{device}/offer      empty payload; answered with an offer
 *   {prefix}/{device}/request    a Full PKI Request; answered with a Full PKI Response
 * The response topic has to be {prefix}/{device}/response, or one level below it. The label of an
 * offer is the user property "label". What cannot be answered now gets no answer: the device asks
 * again.
 */
#ifndef TOUCHMARK_MQTT_WIRE_CONTRACT_H
#define TOUCHMARK_MQTT_WIRE_CONTRACT_H

#include "mqtt/wire/payload.h"
#include "mqtt/wire/topic.h"

#define MQTT_METRIC_DEVICE "Touchmark/Device"
#define MQTT_METRIC_LABEL "Touchmark/Label"
#define MQTT_METRIC_STATE "Touchmark/State"
#define MQTT_METRIC_REQUEST "Touchmark/Request"
#define MQTT_METRIC_OFFER "Touchmark/Offer"
#define MQTT_METRIC_RESPONSE "Touchmark/Response"
#define MQTT_METRIC_REBIRTH "Node Control/Rebirth"
#define MQTT_METRIC_BDSEQ "bdSeq"

/* Octets of a request or response: larger ones are not published. */
#define MQTT_MESSAGE_MAX 16384
#define MQTT_PREFIX_DEFAULT "touchmark/v1"
#define MQTT_PREFIX_MAX 64
#define MQTT_CONTENT_REQUEST "application/pkcs7-mime; smime-type=CMC-request"
#define MQTT_CONTENT_RESPONSE "application/pkcs7-mime; smime-type=CMC-response"
#define MQTT_PROPERTY_LABEL "label"

enum mqtt_state {
    MQTT_STATE_IDLE = 1,
    MQTT_STATE_WAITING,
    MQTT_STATE_REQUESTED,
    MQTT_STATE_UNCONFIRMED
};
/* "waiting"; never NULL. */
const char *mqtt_state_name(enum mqtt_state state);
/* TM_ENOTFOUND: none of them. */
MUST_USE enum tm_err mqtt_state_find(struct bytes name, enum mqtt_state *ret);

/* What a birth or data payload says of the contract. Aliases are the reader's business: `names`
 * below. */
struct mqtt_contract {
    bool has_device, has_label, has_request, has_offer, has_response; /* listed */
    bool has_state;                                                   /* listed and not null */
    bool rebirth;                 /* Node Control/Rebirth is listed */
    char device[MQTT_ID_MAX + 1]; /* "" when null */
    char label[MQTT_ID_MAX + 1];
    enum mqtt_state state;
    struct bytes request; /* borrowed; empty: none, and always so of a birth */
    bool has_bdseq;
    uint64_t bdseq;
};
/* Which contract metric an alias stands for, as a birth said it; MQTT_ALIASES_MAX at most. */
#define MQTT_ALIASES_MAX 8
struct mqtt_aliases {
    size_t count;
    struct {
        uint64_t alias;
        uint8_t metric; /* this folder's own number */
    } rows[MQTT_ALIASES_MAX];
};
/* Reads a birth (aliases are learnt) or data (they are used; NULL: none), NDEATH like data. A
 * contract metric of another datatype than above, twice, with a value that is none, or without a
 * datatype in a birth is TM_EPARSE; other metrics and historical values are passed over. TM_ELIMIT:
 * an ID or label that is too long, or a request over MQTT_MESSAGE_MAX. */
MUST_USE enum tm_err mqtt_contract_read_birth(const struct mqtt_payload *payload,
                                              struct mqtt_contract *ret,
                                              struct mqtt_aliases *ret_aliases);
MUST_USE enum tm_err mqtt_contract_read_data(const struct mqtt_payload *payload,
                                             const struct mqtt_aliases *aliases,
                                             struct mqtt_contract *ret);

/* The alias that a birth gave `name`, one of the above; false: none. */
bool mqtt_alias_find(const struct mqtt_aliases *aliases, const char *name, uint64_t *ret);

/* What a command to a device says that was born without aliases. TM_EPARSE and TM_ELIMIT as above.
 */
struct mqtt_command {
    bool rebirth;
    struct bytes offer;    /* empty: none; borrowed */
    struct bytes response; /* empty: none; borrowed */
};
MUST_USE enum tm_err mqtt_command_read(const struct mqtt_payload *payload,
                                       struct mqtt_command *ret);

/* Appends payloads. timestamp_ms: UTC now. Birth of an edge node (with bdSeq and Rebirth) when
 * `node`, else of a device behind one. TM_ELIMIT: no room in `out`, or a request or value over
 * MQTT_MESSAGE_MAX; TM_EINVAL: what may not stand there: an ID that is none, seq or bdSeq over 255,
 * seq of an edge node's birth that is not 0. */
struct mqtt_birth {
    bool node;
    uint64_t seq;
    uint64_t bdseq;
    const char *device; /* NULL: is_null */
    const char *label;
    enum mqtt_state state;
};
MUST_USE enum tm_err mqtt_birth_write(const struct mqtt_birth *birth, uint64_t timestamp_ms,
                                      struct buf *out);
MUST_USE enum tm_err mqtt_death_write(uint64_t bdseq, uint64_t timestamp_ms, struct buf *out);
/* State and, unless it is empty, request. */
MUST_USE enum tm_err mqtt_data_write(uint64_t seq, enum mqtt_state state, struct bytes request,
                                     uint64_t timestamp_ms, struct buf *out);
/* One command metric: `name` of the above; a Boolean true for REBIRTH, else `value` as Bytes. It
 * names its datatype, though it should not (tck-id-payloads-metric-datatype-not-req): widespread
 * implementations take a value without one for null, and would lose offers and responses. */
MUST_USE enum tm_err mqtt_command_write(const char *name, struct bytes value, uint64_t timestamp_ms,
                                        struct buf *out);
/* The same to somebody whose birth may have used aliases (NULL: it did not): a metric that has one
 * goes by it alone (tck-id-payloads-alias-data-cmd-requirement). */
MUST_USE enum tm_err mqtt_command_write_aliased(const struct mqtt_aliases *aliases,
                                                const char *name, struct bytes value,
                                                uint64_t timestamp_ms, struct buf *out);

/* ---- plain MQTT 5 ---- */

enum mqtt_plain_kind { MQTT_PLAIN_OFFER = 1, MQTT_PLAIN_REQUEST, MQTT_PLAIN_RESPONSE };
struct mqtt_plain {
    enum mqtt_plain_kind kind;
    char device[MQTT_ID_MAX + 1];
};
/* 1 to MQTT_PREFIX_MAX octets: levels that could be IDs (mqtt_id_valid), the first without "$" in
 * front. */
bool mqtt_prefix_valid(const char *prefix);
/* As mqtt_topic_parse. Of RESPONSE also topics one level below. */
MUST_USE enum tm_err mqtt_plain_parse(const char *prefix, const char *topic,
                                      struct mqtt_plain *ret);
MUST_USE enum tm_err mqtt_plain_format(const char *prefix, const struct mqtt_plain *plain,
                                       char ret[MQTT_TOPIC_MAX]);

#endif
