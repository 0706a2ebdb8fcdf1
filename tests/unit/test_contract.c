/* SPDX-License-Identifier: Apache-2.0 */
/* The enrollment contract in Sparkplug payloads. Tests that are named tck_... show that assertion
 * of the Sparkplug specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt/wire/contract.h"

#define NOW 1700000000000u
#define METRICS_MAX 12

static const struct bytes null_value = {NULL, 0};

/* A payload with its octets. */
struct message {
    uint8_t octets[MQTT_PAYLOAD_MAX];
    struct buf out;
    struct mqtt_payload payload;
};

static struct buf *start(struct message *m) {
    m->out = BUF_ON(m->octets);
    return &m->out;
}

static const struct mqtt_payload *finish(struct message *m) {
    assert_int_equal(mqtt_payload_read(buf_bytes(&m->out), &m->payload), TM_OK);
    return &m->payload;
}

static const struct mqtt_payload *message_of(struct message *m, const struct mqtt_metric *metrics,
                                             size_t count) {
    const struct mqtt_payload head = {.has_timestamp = true, .timestamp_ms = NOW, .has_seq = true};
    assert_int_equal(mqtt_payload_write(&head, metrics, count, start(m)), TM_OK);
    return finish(m);
}

static size_t metrics_of(const struct mqtt_payload *payload, struct mqtt_metric metrics[]) {
    size_t n = 0, at = 0;
    while (n < METRICS_MAX && mqtt_metric_next(payload, &at, &metrics[n]) == TM_OK)
        n++;
    assert_int_equal(n, payload->metric_count);
    return n;
}

static const struct mqtt_metric *metric_named(const struct mqtt_metric *metrics, size_t count,
                                              const char *name) {
    const struct mqtt_metric *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(metrics[i].name, bytes_str(name))) {
            assert_null(found);
            found = &metrics[i];
        }
    assert_non_null(found);
    return found;
}

static const struct mqtt_payload *birth_of(struct message *m, const struct mqtt_birth *birth) {
    assert_int_equal(mqtt_birth_write(birth, NOW, start(m)), TM_OK);
    return finish(m);
}

static const struct mqtt_birth node_birth = {
    .node = true, .bdseq = 3, .device = "gw-1", .label = "plant", .state = MQTT_STATE_WAITING};

/* ---- births ---- */

/* And tck-id-topics-nbirth-timestamp, tck-id-topics-nbirth-metrics,
 * tck-id-payloads-name-birth-data-requirement, tck-id-payloads-metric-datatype-req. */
static void tck_id_topics_nbirth_metric_reqs(void **state) {
    struct message *m = *state;
    static const struct {
        const char *name;
        enum mqtt_datatype datatype;
    } wanted[] = {
        {"bdSeq", MQTT_INT64},
        {"Node Control/Rebirth", MQTT_BOOLEAN},
        {"Touchmark/Device", MQTT_STRING},
        {"Touchmark/Label", MQTT_STRING},
        {"Touchmark/State", MQTT_STRING},
        {"Touchmark/Request", MQTT_BYTES},
        {"Touchmark/Offer", MQTT_BYTES},
        {"Touchmark/Response", MQTT_BYTES},
    };
    struct mqtt_metric metrics[METRICS_MAX];
    const struct mqtt_payload *payload = birth_of(m, &node_birth);
    size_t n = metrics_of(payload, metrics);
    assert_true(payload->has_timestamp);
    assert_int_equal(payload->timestamp_ms, NOW);
    assert_int_equal(n, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < n; i++) {
        const struct mqtt_metric *metric = metric_named(metrics, n, wanted[i].name);
        assert_true(metric->has_datatype && metric->has_timestamp);
        assert_int_equal(metric->datatype, wanted[i].datatype);
        assert_int_equal(metric->timestamp_ms, NOW);
        assert_true(metric->is_null || metric->value != MQTT_VALUE_NONE);
    }
    assert_true(metric_named(metrics, n, "Touchmark/Request")->is_null);
}

static void tck_id_topics_nbirth_seq_num(void **state) {
    struct message *m = *state;
    struct mqtt_birth birth = node_birth;
    const struct mqtt_payload *payload = birth_of(m, &birth);
    assert_true(payload->has_seq);
    assert_int_equal(payload->seq, 0);
    birth.seq = 1;
    assert_int_equal(mqtt_birth_write(&birth, NOW, start(m)), TM_EINVAL);
    assert_int_equal(m->out.n, 0);
}

static void tck_id_topics_nbirth_bdseq_included(void **state) {
    struct message *m = *state;
    struct mqtt_birth birth = node_birth;
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    birth.bdseq = 255;
    assert_int_equal(mqtt_contract_read_birth(birth_of(m, &birth), &contract, &aliases), TM_OK);
    assert_true(contract.has_bdseq);
    assert_int_equal(contract.bdseq, 255);
    birth.bdseq = 256;
    assert_int_equal(mqtt_birth_write(&birth, NOW, start(m)), TM_EINVAL);
}

static void tck_id_topics_nbirth_rebirth_metric(void **state) {
    struct message *m = *state;
    struct mqtt_metric metrics[METRICS_MAX];
    size_t n = metrics_of(birth_of(m, &node_birth), metrics);
    const struct mqtt_metric *rebirth = metric_named(metrics, n, "Node Control/Rebirth");
    assert_int_equal(rebirth->datatype, MQTT_BOOLEAN);
    assert_int_equal(rebirth->value, MQTT_VALUE_BOOLEAN);
    assert_int_equal(rebirth->u64, 0);
}

static void tck_id_topics_dbirth_seq(void **state) {
    struct message *m = *state;
    struct mqtt_birth birth = {.seq = 255, .state = MQTT_STATE_IDLE};
    struct mqtt_metric metrics[METRICS_MAX];
    const struct mqtt_payload *payload = birth_of(m, &birth);
    assert_int_equal(payload->seq, 255);
    assert_int_equal(metrics_of(payload, metrics), 6); /* no bdSeq, no Rebirth */
    birth.seq = 256;
    assert_int_equal(mqtt_birth_write(&birth, NOW, start(m)), TM_EINVAL);
}

static void births_say_who_wants_what(void **state) {
    struct message *m = *state;
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    assert_int_equal(mqtt_contract_read_birth(birth_of(m, &node_birth), &contract, &aliases),
                     TM_OK);
    assert_true(contract.has_device && contract.has_label && contract.has_state);
    assert_true(contract.has_request && contract.has_offer && contract.has_response);
    assert_true(contract.rebirth);
    assert_string_equal(contract.device, "gw-1");
    assert_string_equal(contract.label, "plant");
    assert_int_equal(contract.state, MQTT_STATE_WAITING);
    assert_int_equal(contract.request.n, 0);
    assert_int_equal(aliases.count, 0);
    const struct mqtt_birth behind = {.seq = 7, .state = MQTT_STATE_UNCONFIRMED};
    assert_int_equal(mqtt_contract_read_birth(birth_of(m, &behind), &contract, &aliases), TM_OK);
    assert_true(contract.has_device && contract.has_label && contract.has_request);
    assert_string_equal(contract.device, "");
    assert_string_equal(contract.label, "");
    assert_int_equal(contract.state, MQTT_STATE_UNCONFIRMED);
    assert_false(contract.has_bdseq || contract.rebirth);
}

static void a_birth_carries_no_request(void **state) {
    struct message *m = *state;
    const struct mqtt_metric metric = mqtt_metric_bytes(MQTT_METRIC_REQUEST, bytes_str("cmc"), NOW);
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    assert_int_equal(mqtt_contract_read_birth(message_of(m, &metric, 1), &contract, &aliases),
                     TM_OK);
    assert_true(contract.has_request);
    assert_int_equal(contract.request.n, 0);
}

static void births_that_cannot_be_are_not_written(void **state) {
    struct message *m = *state;
    static const struct mqtt_birth bad[] = {
        {.state = (enum mqtt_state)0},
        {.state = (enum mqtt_state)5},
        {.state = MQTT_STATE_IDLE, .device = ""},
        {.state = MQTT_STATE_IDLE, .device = "a/b"},
        {.state = MQTT_STATE_IDLE, .label = "\xff"},
        {.state = MQTT_STATE_IDLE,
         .device = "01234567890123456789012345678901234567890123456789012345678901234"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mqtt_birth_write(&bad[i], NOW, start(m)), TM_EINVAL);
        assert_int_equal(m->out.n, 0);
    }
    struct buf small = {.p = m->octets, .cap = 40};
    assert_int_equal(mqtt_birth_write(&node_birth, NOW, &small), TM_ELIMIT);
}

/* ---- deaths ---- */

/* And tck-id-payloads-ndeath-bdseq. */
static void tck_id_payloads_ndeath_seq(void **state) {
    struct message *m = *state;
    struct mqtt_contract contract;
    assert_int_equal(mqtt_death_write(7, NOW, start(m)), TM_OK);
    assert_false(finish(m)->has_seq);
    assert_int_equal(m->payload.metric_count, 1);
    assert_int_equal(mqtt_contract_read_data(&m->payload, NULL, &contract), TM_OK);
    assert_true(contract.has_bdseq);
    assert_int_equal(contract.bdseq, 7);
    assert_int_equal(mqtt_death_write(256, NOW, start(m)), TM_EINVAL);
}

static void bdseq_may_be_of_any_integer_datatype(void **state) {
    struct message *m = *state;
    struct mqtt_contract contract;
    for (uint32_t datatype = MQTT_INT8; datatype <= MQTT_DOUBLE; datatype++) {
        bool is_long = datatype == MQTT_INT64 || datatype == MQTT_UINT64;
        struct mqtt_metric metric = {.name = bytes_str("bdSeq"),
                                     .has_datatype = true,
                                     .datatype = datatype,
                                     .value = is_long ? MQTT_VALUE_LONG : MQTT_VALUE_INT,
                                     .u64 = 9};
        bool integer = datatype < MQTT_FLOAT;
        if (!integer)
            metric.value = datatype == MQTT_FLOAT ? MQTT_VALUE_FLOAT : MQTT_VALUE_DOUBLE;
        assert_int_equal(mqtt_contract_read_data(message_of(m, &metric, 1), NULL, &contract),
                         integer ? TM_OK : TM_EPARSE);
        if (integer)
            assert_int_equal(contract.bdseq, 9);
    }
}

/* ---- data ---- */

/* And tck-id-topics-ndata-timestamp, tck-id-payloads-name-birth-data-requirement,
 * tck-id-payloads-metric-datatype-not-req. */
static void tck_id_topics_ndata_seq_num(void **state) {
    struct message *m = *state;
    struct mqtt_metric metrics[METRICS_MAX];
    struct mqtt_contract contract;
    const struct bytes request = bytes_str("full PKI request");
    assert_int_equal(mqtt_data_write(255, MQTT_STATE_REQUESTED, request, NOW, start(m)), TM_OK);
    assert_true(finish(m)->has_seq && m->payload.has_timestamp);
    assert_int_equal(m->payload.seq, 255);
    assert_int_equal(metrics_of(&m->payload, metrics), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(metrics[i].has_timestamp);
        assert_false(metrics[i].has_datatype);
    }
    assert_int_equal(mqtt_contract_read_data(&m->payload, NULL, &contract), TM_OK);
    assert_int_equal(contract.state, MQTT_STATE_REQUESTED);
    assert_true(contract.has_request && bytes_equal(contract.request, request));
    assert_int_equal(mqtt_data_write(256, MQTT_STATE_IDLE, request, NOW, start(m)), TM_EINVAL);
    assert_int_equal(mqtt_data_write(0, (enum mqtt_state)9, request, NOW, start(m)), TM_EINVAL);
}

static void data_may_say_the_state_alone(void **state) {
    struct message *m = *state;
    struct mqtt_contract contract;
    assert_int_equal(mqtt_data_write(1, MQTT_STATE_IDLE, null_value, NOW, start(m)), TM_OK);
    assert_int_equal(mqtt_contract_read_data(finish(m), NULL, &contract), TM_OK);
    assert_true(contract.has_state && !contract.has_request && !contract.has_device);
    assert_int_equal(contract.state, MQTT_STATE_IDLE);
}

static void messages_have_a_bound(void **state) {
    struct message *m = *state;
    static uint8_t long_message[MQTT_MESSAGE_MAX + 1];
    const struct bytes longest = {long_message, MQTT_MESSAGE_MAX};
    const struct bytes too_long = {long_message, sizeof long_message};
    struct mqtt_contract contract = {.bdseq = 77};
    struct mqtt_command command = {.rebirth = true};
    assert_int_equal(mqtt_data_write(1, MQTT_STATE_IDLE, longest, NOW, start(m)), TM_OK);
    assert_int_equal(mqtt_contract_read_data(finish(m), NULL, &contract), TM_OK);
    assert_int_equal(contract.request.n, MQTT_MESSAGE_MAX);
    assert_int_equal(mqtt_data_write(1, MQTT_STATE_IDLE, too_long, NOW, start(m)), TM_ELIMIT);
    assert_int_equal(mqtt_command_write(MQTT_METRIC_OFFER, longest, NOW, start(m)), TM_OK);
    assert_int_equal(mqtt_command_write(MQTT_METRIC_OFFER, too_long, NOW, start(m)), TM_ELIMIT);
    contract.bdseq = 77;
    const struct mqtt_metric request = mqtt_metric_bytes(MQTT_METRIC_REQUEST, too_long, NOW);
    assert_int_equal(mqtt_contract_read_data(message_of(m, &request, 1), NULL, &contract),
                     TM_ELIMIT);
    assert_int_equal(contract.bdseq, 77);
    const struct mqtt_metric response = mqtt_metric_bytes(MQTT_METRIC_RESPONSE, too_long, NOW);
    assert_int_equal(mqtt_command_read(message_of(m, &response, 1), &command), TM_ELIMIT);
    assert_true(command.rebirth);
}

/* ---- what others send ---- */

static void other_metrics_are_passed_over(void **state) {
    struct message *m = *state;
    const struct mqtt_metric metrics[] = {
        mqtt_metric_int64("Temperature", 21, NOW),
        mqtt_metric_int64("Temperature", 22, NOW),
        mqtt_metric_int64("Touchmark/States", 1, NOW),
        mqtt_metric_int64("touchmark/state", 1, NOW),
        {.has_alias = true, .alias = 5, .value = MQTT_VALUE_INT},
        mqtt_metric_string(MQTT_METRIC_STATE, bytes_str("waiting"), NOW),
    };
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    assert_int_equal(mqtt_contract_read_birth(message_of(m, metrics, 6), &contract, &aliases),
                     TM_OK);
    assert_int_equal(contract.state, MQTT_STATE_WAITING);
    assert_false(contract.has_device || contract.rebirth || contract.has_bdseq);
}

static void historical_values_say_nothing_about_now(void **state) {
    struct message *m = *state;
    struct mqtt_metric metrics[] = {
        mqtt_metric_bytes(MQTT_METRIC_REQUEST, bytes_str("old"), NOW),
        mqtt_metric_bytes(MQTT_METRIC_REQUEST, bytes_str("new"), NOW),
    };
    struct mqtt_contract contract;
    metrics[0].is_historical = true;
    assert_int_equal(mqtt_contract_read_data(message_of(m, metrics, 2), NULL, &contract), TM_OK);
    assert_true(bytes_equal(contract.request, bytes_str("new")));
}

/* Refused as birth and as data. */
static void assert_refused(struct message *m, const struct mqtt_metric *metrics, size_t count,
                           enum tm_err err) {
    struct mqtt_contract contract = {.bdseq = 77};
    struct mqtt_aliases aliases = {.count = 77};
    const struct mqtt_payload *payload = message_of(m, metrics, count);
    assert_int_equal(mqtt_contract_read_birth(payload, &contract, &aliases), err);
    assert_int_equal(mqtt_contract_read_data(payload, NULL, &contract), err);
    assert_int_equal(contract.bdseq, 77);
    assert_int_equal(aliases.count, 77);
}

static void contract_metrics_of_another_datatype_are_refused(void **state) {
    struct message *m = *state;
    static const char *const names[] = {
        MQTT_METRIC_DEVICE, MQTT_METRIC_LABEL,    MQTT_METRIC_STATE,   MQTT_METRIC_REQUEST,
        MQTT_METRIC_OFFER,  MQTT_METRIC_RESPONSE, MQTT_METRIC_REBIRTH, MQTT_METRIC_BDSEQ};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct mqtt_metric text = {.name = bytes_str(names[i]),
                                         .has_datatype = true,
                                         .datatype = MQTT_TEXT,
                                         .value = MQTT_VALUE_STRING,
                                         .octets = bytes_str("idle")};
        const struct mqtt_metric null_file = {.name = bytes_str(names[i]),
                                              .has_datatype = true,
                                              .datatype = MQTT_FILE,
                                              .is_null = true};
        const struct mqtt_metric number = {
            .name = bytes_str(names[i]), .value = MQTT_VALUE_DOUBLE, .number = 1};
        assert_refused(m, &text, 1, TM_EPARSE);
        assert_refused(m, &null_file, 1, TM_EPARSE);
        assert_refused(m, &number, 1, TM_EPARSE);
    }
}

static void a_value_of_another_kind_than_its_datatype_is_refused(void **state) {
    struct message *m = *state;
    /* name "bdSeq", datatype Int64, int_value 1: what mqtt_payload_write would not write */
    static const uint8_t octets[] = {0x12, 11,  0x0a, 5,    'b',  'd', 'S',
                                     'e',  'q', 0x20, 0x04, 0x50, 0x01};
    struct mqtt_contract contract;
    buf_put(start(m), BYTES_OF(octets));
    assert_int_equal(mqtt_contract_read_data(finish(m), NULL, &contract), TM_EPARSE);
}

static void contract_metrics_stand_there_once(void **state) {
    struct message *m = *state;
    const struct mqtt_metric twice[] = {
        mqtt_metric_bytes(MQTT_METRIC_REQUEST, bytes_str("one"), NOW),
        mqtt_metric_bytes(MQTT_METRIC_REQUEST, bytes_str("one"), NOW)};
    struct mqtt_command command;
    assert_refused(m, twice, 2, TM_EPARSE);
    assert_int_equal(mqtt_command_read(&m->payload, &command), TM_EPARSE);
}

static void values_that_are_none_are_refused(void **state) {
    struct message *m = *state;
    const struct {
        const char *name;
        struct bytes value;
        enum tm_err err;
    } bad[] = {
        {MQTT_METRIC_STATE, bytes_str(""), TM_EPARSE},
        {MQTT_METRIC_STATE, bytes_str("Waiting"), TM_EPARSE},
        {MQTT_METRIC_STATE, bytes_str("waiting "), TM_EPARSE},
        {MQTT_METRIC_DEVICE, bytes_str("a/b"), TM_EPARSE},
        {MQTT_METRIC_DEVICE, (struct bytes){(const uint8_t *)"a\0b", 3}, TM_EPARSE},
        {MQTT_METRIC_LABEL, bytes_str("a\n"), TM_EPARSE},
        {MQTT_METRIC_LABEL,
         bytes_str("01234567890123456789012345678901234567890123456789012345678901234"), TM_ELIMIT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct mqtt_metric metric = mqtt_metric_string(bad[i].name, bad[i].value, NOW);
        assert_refused(m, &metric, 1, bad[i].err);
    }
}

static void a_null_state_says_nothing(void **state) {
    struct message *m = *state;
    const struct mqtt_metric metric = mqtt_metric_string(MQTT_METRIC_STATE, null_value, NOW);
    struct mqtt_contract contract;
    assert_int_equal(mqtt_contract_read_data(message_of(m, &metric, 1), NULL, &contract), TM_OK);
    assert_false(contract.has_state);
}

static void births_name_datatypes(void **state) {
    struct message *m = *state;
    struct mqtt_metric metric = mqtt_metric_string(MQTT_METRIC_STATE, bytes_str("idle"), NOW);
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    metric.has_datatype = false;
    const struct mqtt_payload *payload = message_of(m, &metric, 1);
    assert_int_equal(mqtt_contract_read_birth(payload, &contract, &aliases), TM_EPARSE);
    assert_int_equal(mqtt_contract_read_data(payload, NULL, &contract), TM_OK);
}

/* ---- aliases ---- */

static void give_aliases(struct mqtt_metric *metrics, size_t count) {
    for (size_t i = 0; i < count; i++) {
        metrics[i].has_alias = true;
        metrics[i].alias = 100 + i;
    }
}

static void aliases_speak_for_metrics(void **state) {
    struct message *m = *state;
    struct mqtt_metric metrics[METRICS_MAX];
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    size_t n = metrics_of(birth_of(m, &node_birth), metrics);
    struct message copy; /* the metrics borrow from m */
    give_aliases(metrics, n);
    assert_int_equal(mqtt_contract_read_birth(message_of(&copy, metrics, n), &contract, &aliases),
                     TM_OK);
    assert_int_equal(aliases.count, n);
    const struct mqtt_metric data[] = {
        {.has_alias = true, .alias = 104, .value = MQTT_VALUE_STRING, .octets = bytes_str("idle")},
        {.has_alias = true, .alias = 105, .value = MQTT_VALUE_BYTES, .octets = bytes_str("cmc")},
        {.has_alias = true, .alias = 999, .value = MQTT_VALUE_BYTES, .octets = bytes_str("else")},
    };
    const struct mqtt_payload *payload = message_of(m, data, 3);
    assert_int_equal(mqtt_contract_read_data(payload, &aliases, &contract), TM_OK);
    assert_int_equal(contract.state, MQTT_STATE_IDLE);
    assert_true(bytes_equal(contract.request, bytes_str("cmc")));
    assert_int_equal(mqtt_contract_read_data(payload, NULL, &contract), TM_OK);
    assert_false(contract.has_state || contract.has_request);
}

static void tck_id_payloads_alias_uniqueness(void **state) {
    struct message *m = *state;
    struct mqtt_metric metrics[] = {mqtt_metric_string(MQTT_METRIC_STATE, bytes_str("idle"), NOW),
                                    mqtt_metric_bytes(MQTT_METRIC_REQUEST, null_value, NOW)};
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    give_aliases(metrics, 2);
    metrics[1].alias = metrics[0].alias;
    assert_int_equal(mqtt_contract_read_birth(message_of(m, metrics, 2), &contract, &aliases),
                     TM_EPARSE);
}

static void tck_id_payloads_alias_data_cmd_requirement(void **state) {
    struct message *m = *state;
    struct mqtt_metric metric = mqtt_metric_bytes(MQTT_METRIC_OFFER, null_value, NOW);
    struct mqtt_metric metrics[METRICS_MAX];
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    uint64_t alias;
    give_aliases(&metric, 1);
    assert_int_equal(mqtt_contract_read_birth(message_of(m, &metric, 1), &contract, &aliases),
                     TM_OK);
    assert_true(mqtt_alias_find(&aliases, MQTT_METRIC_OFFER, &alias));
    assert_int_equal(alias, 100);
    assert_false(mqtt_alias_find(&aliases, MQTT_METRIC_RESPONSE, &alias));
    assert_false(mqtt_alias_find(&aliases, "Temperature", &alias));
    assert_false(mqtt_alias_find(NULL, MQTT_METRIC_OFFER, &alias));
    assert_int_equal(
        mqtt_command_write_aliased(&aliases, MQTT_METRIC_OFFER, bytes_str("x"), NOW, start(m)),
        TM_OK);
    assert_int_equal(metrics_of(finish(m), metrics), 1);
    assert_int_equal(metrics[0].name.n, 0);
    assert_true(metrics[0].has_alias);
    assert_int_equal(metrics[0].alias, 100);
    assert_int_equal(
        mqtt_command_write_aliased(&aliases, MQTT_METRIC_RESPONSE, bytes_str("x"), NOW, start(m)),
        TM_OK);
    assert_int_equal(metrics_of(finish(m), metrics), 1);
    assert_true(bytes_equal(metrics[0].name, bytes_str(MQTT_METRIC_RESPONSE)));
    assert_false(metrics[0].has_alias);
}

/* ---- commands ---- */

static struct mqtt_command command_of(struct message *m, const char *name, struct bytes value) {
    struct mqtt_command command;
    assert_int_equal(mqtt_command_write(name, value, NOW, start(m)), TM_OK);
    assert_int_equal(mqtt_command_read(finish(m), &command), TM_OK);
    return command;
}

/* And tck-id-payloads-dcmd-seq, tck-id-payloads-ncmd-timestamp. */
static void tck_id_payloads_ncmd_seq(void **state) {
    struct message *m = *state;
    struct mqtt_metric metrics[METRICS_MAX];
    (void)command_of(m, MQTT_METRIC_OFFER, bytes_str("offer"));
    assert_false(m->payload.has_seq);
    assert_true(m->payload.has_timestamp);
    assert_int_equal(m->payload.timestamp_ms, NOW);
    assert_int_equal(metrics_of(&m->payload, metrics), 1);
    assert_true(metrics[0].has_datatype); /* or others read null */
    assert_int_equal(metrics[0].datatype, MQTT_BYTES);
}

static void commands_are_read_as_written(void **state) {
    struct message *m = *state;
    struct mqtt_command command = command_of(m, MQTT_METRIC_OFFER, bytes_str("offer"));
    assert_true(bytes_equal(command.offer, bytes_str("offer")));
    assert_true(command.response.n == 0 && !command.rebirth);
    command = command_of(m, MQTT_METRIC_RESPONSE, bytes_str("response"));
    assert_true(bytes_equal(command.response, bytes_str("response")));
    assert_true(command.offer.n == 0 && !command.rebirth);
    command = command_of(m, MQTT_METRIC_REBIRTH, null_value);
    assert_true(command.rebirth && command.offer.n == 0 && command.response.n == 0);
}

static void rebirth_is_asked_for_by_true_alone(void **state) {
    struct message *m = *state;
    const struct mqtt_metric metrics[] = {
        mqtt_metric_boolean(MQTT_METRIC_REBIRTH, false, NOW),
        mqtt_metric_string(MQTT_METRIC_REBIRTH, bytes_str("true"), NOW),
    };
    struct mqtt_command command;
    assert_int_equal(mqtt_command_read(message_of(m, &metrics[0], 1), &command), TM_OK);
    assert_false(command.rebirth);
    assert_int_equal(mqtt_command_read(message_of(m, &metrics[1], 1), &command), TM_EPARSE);
}

static void only_what_a_host_writes_is_a_command(void **state) {
    struct message *m = *state;
    static const char *const names[] = {MQTT_METRIC_STATE, MQTT_METRIC_REQUEST, MQTT_METRIC_BDSEQ,
                                        "Temperature", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(mqtt_command_write(names[i], bytes_str("x"), NOW, start(m)), TM_EINVAL);
    assert_int_equal(mqtt_command_write(MQTT_METRIC_OFFER, null_value, NOW, start(m)), TM_EINVAL);
    assert_int_equal(m->out.n, 0);
}

static void states_have_names(void **state) {
    (void)state;
    for (int i = MQTT_STATE_IDLE; i <= MQTT_STATE_UNCONFIRMED; i++) {
        enum mqtt_state found;
        const char *name = mqtt_state_name((enum mqtt_state)i);
        assert_int_equal(mqtt_state_find(bytes_str(name), &found), TM_OK);
        assert_int_equal(found, i);
    }
    enum mqtt_state found;
    assert_int_equal(mqtt_state_find(bytes_str("unknown"), &found), TM_ENOTFOUND);
    assert_string_equal(mqtt_state_name((enum mqtt_state)0), "unknown");
    assert_string_equal(mqtt_state_name((enum mqtt_state)5), "unknown");
}

static int setup(void **state) {
    static struct message message;
    *state = &message;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tck_id_topics_nbirth_metric_reqs),
        cmocka_unit_test(tck_id_topics_nbirth_seq_num),
        cmocka_unit_test(tck_id_topics_nbirth_bdseq_included),
        cmocka_unit_test(tck_id_topics_nbirth_rebirth_metric),
        cmocka_unit_test(tck_id_topics_dbirth_seq),
        cmocka_unit_test(births_say_who_wants_what),
        cmocka_unit_test(a_birth_carries_no_request),
        cmocka_unit_test(births_that_cannot_be_are_not_written),
        cmocka_unit_test(tck_id_payloads_ndeath_seq),
        cmocka_unit_test(bdseq_may_be_of_any_integer_datatype),
        cmocka_unit_test(tck_id_topics_ndata_seq_num),
        cmocka_unit_test(data_may_say_the_state_alone),
        cmocka_unit_test(messages_have_a_bound),
        cmocka_unit_test(other_metrics_are_passed_over),
        cmocka_unit_test(historical_values_say_nothing_about_now),
        cmocka_unit_test(contract_metrics_of_another_datatype_are_refused),
        cmocka_unit_test(a_value_of_another_kind_than_its_datatype_is_refused),
        cmocka_unit_test(contract_metrics_stand_there_once),
        cmocka_unit_test(values_that_are_none_are_refused),
        cmocka_unit_test(a_null_state_says_nothing),
        cmocka_unit_test(births_name_datatypes),
        cmocka_unit_test(aliases_speak_for_metrics),
        cmocka_unit_test(tck_id_payloads_alias_uniqueness),
        cmocka_unit_test(tck_id_payloads_alias_data_cmd_requirement),
        cmocka_unit_test(tck_id_payloads_ncmd_seq),
        cmocka_unit_test(commands_are_read_as_written),
        cmocka_unit_test(rebirth_is_asked_for_by_true_alone),
        cmocka_unit_test(only_what_a_host_writes_is_a_command),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
