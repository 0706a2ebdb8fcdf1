/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges over MQTT: what the device says until it hears the answer. What it hears is judged
 * where it comes in, one message after the other, so that no number of forged ones covers the real
 * one.
 */
#include <string.h>

#include "base/log.h"
#include "client/port/mqtt_internal.h"
#include "client/port/run.h"
#include "est/wire/http.h"

#define POLL_MS 100 /* a key store that is at work is asked again */

_Static_assert(TM_CMC_REQUEST_MAX <= MQTT_MESSAGE_MAX, "every request may be published");

static void answer(struct tm_answer *ret, enum tm_result result, const char *text) {
    *ret = (struct tm_answer){.result = result};
    TEXT_SET(ret->text, text);
}

/* ---- hearing ---- */

static void heard(struct tm_mqtt *m) {
    m->want = TM_MQTT_WANT_NOTHING;
    m->heard = true;
}

/* Nobody asks now. An exchange that had no answer may have been for this. */
static void note_call(struct tm_mqtt *m) {
    m->called =
        m->called ||
        (!m->exchange && (m->state == MQTT_STATE_WAITING || m->state == MQTT_STATE_UNCONFIRMED));
}

void tm_mqtt_hear_offer(struct tm_mqtt *m, struct bytes offer) {
    if (m->want != TM_MQTT_WANT_OFFER) {
        note_call(m);
        return;
    }
    struct buf body = BUF_ON(m->body);
    enum tm_err err = tm_cmc_offer(&m->cmc, offer, &body);
    if (err) {
        log_debug("an offer is passed over: %s", tm_err_name(err));
        return;
    }
    answer(m->answer, TM_RESULT_OK, "");
    m->answer->body = buf_bytes(&body);
    heard(m);
}

void tm_mqtt_hear_response(struct tm_mqtt *m, struct bytes response) {
    if (m->want != TM_MQTT_WANT_RESPONSE) {
        note_call(m);
        return;
    }
    struct buf body = BUF_ON(m->body);
    struct tm_answer judged = {.result = TM_RESULT_NETWORK};
    enum tm_err err =
        tm_cmc_response(&m->cmc, m->exchange, tm_clock_now().wall_ms, response, &body, &judged);
    if (err == TM_EDENIED) {
        log_debug("a response is passed over: %s", judged.text);
        return;
    }
    if (err)
        answer(&judged, TM_RESULT_NETWORK, "the device's storage or key store fails");
    *m->answer = judged;
    heard(m);
}

/* ---- saying ---- */

void tm_mqtt_speak(struct tm_mqtt *m) {
    if (!m->unsaid || m->link.phase != TM_MQTT_UP)
        return;
    enum tm_err err = m->ways->say(m);
    if (err == TM_ELIMIT && m->exchange) {
        answer(m->answer, TM_RESULT_REFUSED, "the request is larger than the broker takes");
        heard(m);
    }
    m->unsaid = err != TM_OK && err != TM_ELIMIT;
}

static void set_state(struct tm_mqtt *m, enum mqtt_state state, bool tell) {
    m->unsaid = m->unsaid || (tell && m->state != state);
    m->state = state;
}

/* A new label stands in a new birth: there only. */
static enum tm_err set_label(struct tm_mqtt *m, const char *label) {
    if ((label[0] && !est_label_valid(label)) || strlen(label) >= sizeof m->label)
        return TM_EINVAL;
    m->birth_due = m->birth_due || strcmp(m->label, label) != 0;
    TEXT_SET(m->label, label);
    return TM_OK;
}

/* ---- conversing ---- */

static void no_answer(struct tm_mqtt *m) {
    const struct tm_mqtt_link *link = &m->link;
    const char *why = "no answer from the server", *detail = "";
    char *text = m->answer->text;
    if (link->phase == TM_MQTT_SUBSCRIBED) {
        why = "the primary host is not online: ";
        detail = m->config.host_id;
    } else if (link->phase != TM_MQTT_UP) {
        why = "no connection to the broker: ";
        detail = link->trouble;
    }
    TEXT_SET(m->answer->text, why);
    text_copy(text + strlen(text), sizeof m->answer->text - strlen(text), detail);
}

/* Says it, again and again with growing pauses, until the answer is heard or the time is over. */
static void converse(struct tm_mqtt *m, enum tm_mqtt_want want, int64_t deadline_ms) {
    int64_t now = tm_clock_now().mono_ms, pause = (int64_t)m->config.repeat_s * 1000;
    int64_t again = now + pause;
    m->want = want;
    m->heard = false;
    m->unsaid = true;
    for (; !m->heard && now < deadline_ms; now = tm_clock_now().mono_ms) {
        if (now >= again) {
            m->unsaid = true;
            pause *= 2;
            again = now + pause;
        }
        tm_mqtt_speak(m);
        if (!m->heard)
            (void)tm_mqtt_serve(m, again < deadline_ms ? again : deadline_ms, -1);
    }
    m->want = TM_MQTT_WANT_NOTHING;
    if (m->heard)
        return;
    no_answer(m);
    /* Somebody may have told the host another birth in this one's name. */
    m->birth_due = true;
}

/* Correlates offers and responses with what asked for them, in the plain profile. */
static enum tm_err new_correlation(struct tm_mqtt *m) {
    const struct tm_crypto *crypto = m->config.crypto;
    return crypto->random(crypto->self, m->correlation, sizeof m->correlation);
}

static void ask_for_offer(struct tm_mqtt *m, int64_t deadline_ms) {
    m->request = (struct bytes){0};
    m->state = MQTT_STATE_WAITING;
    if (new_correlation(m) == TM_OK)
        converse(m, TM_MQTT_WANT_OFFER, deadline_ms);
}

static void cannot_ask(struct tm_mqtt *m, enum tm_err err) {
    if (err == TM_ENOTFOUND)
        answer(m->answer, TM_RESULT_DENIED, "there is no credential that can be shown");
    else if (err == TM_ELIMIT || err == TM_EINVAL)
        answer(m->answer, TM_RESULT_REFUSED, "the request is too large, or none that CMC has");
    else
        answer(m->answer, TM_RESULT_NETWORK, "the device's storage or key store fails");
}

/* The key store may take its time: the connection is served meanwhile. */
static enum tm_err make_request(struct tm_mqtt *m, int64_t deadline_ms) {
    for (;;) {
        struct buf out = BUF_ON(m->request_octets);
        enum tm_err err = tm_cmc_request(&m->cmc, m->exchange, &out);
        int64_t now = tm_clock_now().mono_ms;
        if (err == TM_OK)
            m->request = buf_bytes(&out);
        if (err != TM_EAGAIN || now >= deadline_ms)
            return err;
        (void)tm_mqtt_serve(m, now + POLL_MS, -1);
    }
}

static void ask(struct tm_mqtt *m, int64_t deadline_ms) {
    enum tm_err err = make_request(m, deadline_ms);
    if (!err)
        err = new_correlation(m);
    if (err) {
        cannot_ask(m, err);
        return;
    }
    m->state = MQTT_STATE_REQUESTED;
    converse(m, TM_MQTT_WANT_RESPONSE, deadline_ms);
    m->request = (struct bytes){0};
}

/* ---- exchanges ---- */

/* Without an answer the next birth asks for a challenge, and what the host writes to it calls. */
static void enroll(struct tm_mqtt *m, int64_t deadline_ms) {
    if (!tm_cmc_ready(&m->cmc)) {
        ask_for_offer(m, deadline_ms);
        if (!m->heard)
            return;
        answer(m->answer, TM_RESULT_NETWORK, "");
    }
    ask(m, deadline_ms);
    enum tm_result result = m->answer->result;
    if (result == TM_RESULT_NETWORK)
        set_state(m, MQTT_STATE_WAITING, false);
    else
        set_state(m, result == TM_RESULT_OK ? MQTT_STATE_UNCONFIRMED : MQTT_STATE_IDLE, true);
}

static void probe(struct tm_mqtt *m, int64_t deadline_ms) {
    bool next = m->exchange->slot == TM_SLOT_NEXT;
    enum mqtt_state before = next ? MQTT_STATE_UNCONFIRMED : MQTT_STATE_IDLE;
    set_state(m, before, false);
    ask(m, deadline_ms);
    if (m->answer->result == TM_RESULT_NETWORK)
        set_state(m, before, false);
    else
        set_state(m, MQTT_STATE_IDLE, true);
}

static void perform(struct tm_mqtt *m, int64_t deadline_ms) {
    switch (m->exchange->operation) {
    case TM_OP_CACERTS:
        ask_for_offer(m, deadline_ms);
        break;
    case TM_OP_ENROLL:
    case TM_OP_REENROLL:
        enroll(m, deadline_ms);
        break;
    case TM_OP_PROBE:
        probe(m, deadline_ms);
        break;
    }
}

void tm_mqtt_exchange(void *arg, const struct tm_exchange *exchange, struct tm_answer *ret) {
    struct tm_mqtt *m = arg;
    struct tm_mqtt_quiet quiet;
    answer(ret, TM_RESULT_NETWORK, "");
    if (set_label(m, exchange->label) != TM_OK) {
        answer(ret, TM_RESULT_REFUSED, "this is no EST label");
        return;
    }
    tm_mqtt_quiet_begin(&quiet);
    m->exchange = exchange;
    m->answer = ret;
    m->heard = false;
    m->called = false;
    perform(m, tm_clock_now().mono_ms + (int64_t)m->config.timeout_s * 1000);
    m->exchange = NULL;
    m->answer = NULL;
    tm_mqtt_speak(m);
    tm_mqtt_quiet_end(&quiet);
}
