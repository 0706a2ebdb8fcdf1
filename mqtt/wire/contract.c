/* SPDX-License-Identifier: Apache-2.0 */
/* What births, data and commands say of the enrollment contract. */
#include <assert.h>

#include "mqtt/wire/contract.h"
#include "mqtt/wire/fields.h"

enum { DEVICE, LABEL, STATE, REQUEST, OFFER, RESPONSE, REBIRTH, BDSEQ, METRICS };
static_assert(METRICS <= MQTT_ALIASES_MAX, "each may have an alias");

#define TYPE(datatype) (1u << (datatype))
#define INTEGERS                                                                                   \
    (TYPE(MQTT_INT8) | TYPE(MQTT_INT16) | TYPE(MQTT_INT32) | TYPE(MQTT_INT64) | TYPE(MQTT_UINT8) | \
     TYPE(MQTT_UINT16) | TYPE(MQTT_UINT32) | TYPE(MQTT_UINT64))

static const struct {
    const char *name;
    uint32_t types;
} contract_metrics[METRICS] = {
    [DEVICE] = {MQTT_METRIC_DEVICE, TYPE(MQTT_STRING)},
    [LABEL] = {MQTT_METRIC_LABEL, TYPE(MQTT_STRING)},
    [STATE] = {MQTT_METRIC_STATE, TYPE(MQTT_STRING)},
    [REQUEST] = {MQTT_METRIC_REQUEST, TYPE(MQTT_BYTES)},
    [OFFER] = {MQTT_METRIC_OFFER, TYPE(MQTT_BYTES)},
    [RESPONSE] = {MQTT_METRIC_RESPONSE, TYPE(MQTT_BYTES)},
    [REBIRTH] = {MQTT_METRIC_REBIRTH, TYPE(MQTT_BOOLEAN)},
    /* The specification's own examples have Int64 in NBIRTH and UInt64 in NDEATH (section 6.4). */
    [BDSEQ] = {MQTT_METRIC_BDSEQ, INTEGERS},
};

static const char *const states[] = {
    [MQTT_STATE_IDLE] = "idle",
    [MQTT_STATE_WAITING] = "waiting",
    [MQTT_STATE_REQUESTED] = "requested",
    [MQTT_STATE_UNCONFIRMED] = "unconfirmed",
};
#define STATES (sizeof states / sizeof *states)

const char *mqtt_state_name(enum mqtt_state state) {
    return state >= MQTT_STATE_IDLE && state < STATES ? states[state] : "unknown";
}

enum tm_err mqtt_state_find(struct bytes name, enum mqtt_state *ret) {
    for (size_t i = MQTT_STATE_IDLE; i < STATES; i++)
        if (bytes_equal(name, bytes_str(states[i]))) {
            *ret = (enum mqtt_state)i;
            return TM_OK;
        }
    return TM_ENOTFOUND;
}

/* ---- the contract's metrics in a payload ---- */

struct found {
    bool there[METRICS];
    struct mqtt_metric metrics[METRICS];
};

static bool has_value(const struct found *found, size_t which) {
    return found->there[which] && !found->metrics[which].is_null;
}

/* Which metric of the contract this is; METRICS: none. */
static size_t find_name(struct bytes name) {
    size_t i = 0;
    while (i < METRICS && !bytes_equal(name, bytes_str(contract_metrics[i].name)))
        i++;
    return i;
}

static size_t find_alias(const struct mqtt_aliases *aliases, uint64_t alias) {
    for (size_t i = 0; aliases && i < aliases->count; i++)
        if (aliases->rows[i].alias == alias)
            return aliases->rows[i].metric;
    return METRICS;
}

static size_t which_metric(const struct mqtt_metric *metric, const struct mqtt_aliases *aliases) {
    if (metric->name.n > 0)
        return find_name(metric->name);
    return metric->has_alias ? find_alias(aliases, metric->alias) : METRICS;
}

/* tck-id-payloads-metric-datatype-req, -not-req: only births have to name the datatype. */
static bool of_type(const struct mqtt_metric *metric, uint32_t types) {
    for (uint32_t type = 0; type <= MQTT_TEMPLATE; type++)
        if ((types & TYPE(type)) && (!metric->has_datatype || metric->datatype == type) &&
            (metric->is_null || metric->value == mqtt_datatype_value(type)))
            return true;
    return false;
}

static enum tm_err take(const struct mqtt_metric *metric, size_t which, bool birth,
                        struct found *found) {
    if (found->there[which] || (birth && !metric->has_datatype) ||
        !of_type(metric, contract_metrics[which].types))
        return TM_EPARSE;
    found->there[which] = true;
    found->metrics[which] = *metric;
    return TM_OK;
}

/* Historical values say nothing about now (section 6.4.6, is_historical). */
static enum tm_err collect(const struct mqtt_payload *payload, const struct mqtt_aliases *aliases,
                           bool birth, struct found *found) {
    struct mqtt_metric metric;
    size_t state = 0;
    enum tm_err err;
    *found = (struct found){.there = {false}};
    while ((err = mqtt_metric_next(payload, &state, &metric)) == TM_OK) {
        size_t which = which_metric(&metric, aliases);
        if (which == METRICS || metric.is_historical)
            continue;
        err = take(&metric, which, birth, found);
        if (err != TM_OK)
            return err;
    }
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* Null and "" both leave `ret` empty. */
static enum tm_err read_id(const struct found *found, size_t which, char ret[MQTT_ID_MAX + 1]) {
    if (!has_value(found, which) || found->metrics[which].octets.n == 0)
        return TM_OK;
    return mqtt_id_read(found->metrics[which].octets, ret);
}

static enum tm_err read_message(const struct found *found, size_t which, struct bytes *ret) {
    if (!has_value(found, which))
        return TM_OK;
    if (found->metrics[which].octets.n > MQTT_MESSAGE_MAX)
        return TM_ELIMIT;
    *ret = found->metrics[which].octets;
    return TM_OK;
}

static enum tm_err fill(const struct found *found, struct mqtt_contract *contract) {
    *contract = (struct mqtt_contract){.has_device = found->there[DEVICE],
                                       .has_label = found->there[LABEL],
                                       .has_state = has_value(found, STATE),
                                       .has_request = found->there[REQUEST],
                                       .has_offer = found->there[OFFER],
                                       .has_response = found->there[RESPONSE],
                                       .rebirth = found->there[REBIRTH],
                                       .has_bdseq = has_value(found, BDSEQ),
                                       .bdseq = found->metrics[BDSEQ].u64};
    if (contract->has_state &&
        mqtt_state_find(found->metrics[STATE].octets, &contract->state) != TM_OK)
        return TM_EPARSE;
    enum tm_err err = read_id(found, DEVICE, contract->device);
    return err == TM_OK ? read_id(found, LABEL, contract->label) : err;
}

static enum tm_err learn(const struct found *found, struct mqtt_aliases *aliases) {
    aliases->count = 0;
    for (size_t i = 0; i < METRICS; i++) {
        if (!found->there[i] || !found->metrics[i].has_alias)
            continue;
        uint64_t alias = found->metrics[i].alias;
        if (find_alias(aliases, alias) != METRICS) /* tck-id-payloads-alias-uniqueness */
            return TM_EPARSE;
        aliases->rows[aliases->count].alias = alias;
        aliases->rows[aliases->count].metric = (uint8_t)i;
        aliases->count++;
    }
    return TM_OK;
}

enum tm_err mqtt_contract_read_birth(const struct mqtt_payload *payload, struct mqtt_contract *ret,
                                     struct mqtt_aliases *ret_aliases) {
    struct found found;
    struct mqtt_contract contract;
    struct mqtt_aliases aliases = {.count = 0};
    enum tm_err err = collect(payload, NULL, true, &found);
    if (err == TM_OK)
        err = fill(&found, &contract);
    if (err == TM_OK)
        err = learn(&found, &aliases);
    if (err != TM_OK)
        return err;
    *ret = contract;
    *ret_aliases = aliases;
    return TM_OK;
}

enum tm_err mqtt_contract_read_data(const struct mqtt_payload *payload,
                                    const struct mqtt_aliases *aliases, struct mqtt_contract *ret) {
    struct found found;
    struct mqtt_contract contract;
    enum tm_err err = collect(payload, aliases, false, &found);
    if (err == TM_OK)
        err = fill(&found, &contract);
    if (err == TM_OK)
        err = read_message(&found, REQUEST, &contract.request);
    if (err == TM_OK)
        *ret = contract;
    return err;
}

enum tm_err mqtt_command_read(const struct mqtt_payload *payload, struct mqtt_command *ret) {
    struct found found;
    struct mqtt_command command = {.rebirth = false};
    enum tm_err err = collect(payload, NULL, false, &found);
    if (err == TM_OK)
        err = read_message(&found, OFFER, &command.offer);
    if (err == TM_OK)
        err = read_message(&found, RESPONSE, &command.response);
    if (err != TM_OK)
        return err;
    command.rebirth = has_value(&found, REBIRTH) && found.metrics[REBIRTH].u64 != 0;
    *ret = command;
    return TM_OK;
}

bool mqtt_alias_find(const struct mqtt_aliases *aliases, const char *name, uint64_t *ret) {
    size_t which = find_name(bytes_str(name));
    for (size_t i = 0; aliases && i < aliases->count; i++)
        if (aliases->rows[i].metric == which) {
            *ret = aliases->rows[i].alias;
            return true;
        }
    return false;
}
