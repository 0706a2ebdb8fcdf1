/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the broker: libmosquitto without its threads, in a poll loop of our own. Each
 * session has a client object of its own, so that nothing of an earlier one is sent in a later one.
 */
#include <errno.h>
#include <mqtt_protocol.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "client/port/mqtt_internal.h"
#include "client/port/run.h"

#define KEEPALIVE_S 60
#define ROUND_MAX_MS 5000  /* libmosquitto looks after its keep-alive so often */
#define SESSION_MS 20000   /* from connecting to the last SUBACK */
#define LEAVE_MS 2000      /* for a last message and DISCONNECT */
#define PAUSE_MAX_MS 60000 /* between tries to connect */
#define REFUSAL 0x80       /* reason codes from here on say no */

/* ---- SIGPIPE ---- */

static sigset_t sigpipe(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

void tm_mqtt_quiet_begin(struct tm_mqtt_quiet *quiet) {
    sigset_t set = sigpipe(), before;
    (void)sigemptyset(&before);
    quiet->blocked =
        pthread_sigmask(SIG_BLOCK, &set, &before) == 0 && !sigismember(&before, SIGPIPE);
}

void tm_mqtt_quiet_end(const struct tm_mqtt_quiet *quiet) {
    sigset_t set = sigpipe();
    const struct timespec none = {0};
    if (!quiet->blocked)
        return;
    while (sigtimedwait(&set, NULL, &none) > 0)
        ;
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the end of a session ---- */

static int64_t pause_after(const struct tm_mqtt *m) {
    unsigned doublings = m->link.failures < 7 ? m->link.failures : 7;
    int64_t bound = 500 << doublings;
    uint16_t jitter = 0;
    if (bound > PAUSE_MAX_MS)
        bound = PAUSE_MAX_MS;
    if (m->config.crypto->random(m->config.crypto->self, (uint8_t *)&jitter, sizeof jitter))
        jitter = 0;
    return bound / 2 + bound / 2 * jitter / UINT16_MAX;
}

/* Did the CONNECT leave this machine? */
static void note_connect(struct tm_mqtt *m) {
    const SSL *ssl = mosquitto_ssl_get(m->link.mosq);
    if (!mosquitto_want_write(m->link.mosq) && (!ssl || SSL_is_init_finished(ssl)))
        m->node.bdseq_used = true;
}

static void drop(struct tm_mqtt *m) {
    struct tm_mqtt_link *link = &m->link;
    mosquitto_destroy(link->mosq);
    link->mosq = NULL;
    link->phase = TM_MQTT_DOWN;
    link->failures++;
    link->connect_ms = tm_clock_now().mono_ms + pause_after(m);
}

static void lost(struct tm_mqtt *m, const char *why) {
    struct tm_mqtt_link *link = &m->link;
    if (!link->refused)
        TEXT_SET(link->trouble, link->said[0] ? link->said : why);
    if (strcmp(link->trouble, link->logged) != 0)
        log_info("no connection to the broker %s: %s", m->config.url, link->trouble);
    TEXT_SET(link->logged, link->trouble);
    drop(m);
}

/* ---- what libmosquitto reports ---- */

static void on_log(struct mosquitto *mosq, void *arg, int level, const char *text) {
    struct tm_mqtt *m = arg;
    (void)mosq;
    if (level == MOSQ_LOG_ERR)
        TEXT_SET(m->link.said, text);
}

static void refused(struct tm_mqtt_link *link, const char *what, int reason) {
    link->refused = true;
    (void)snprintf(link->trouble, sizeof link->trouble, "the broker refuses %.40s: %.80s", what,
                   mosquitto_reason_string(reason));
}

static void on_connect(struct mosquitto *mosq, void *arg, int reason, int flags,
                       const mosquitto_property *properties) {
    struct tm_mqtt *m = arg;
    (void)mosq;
    (void)flags;
    (void)properties;
    m->node.bdseq_used = true;
    m->link.phase = TM_MQTT_SUBSCRIBING;
    if (reason != 0)
        refused(&m->link, "the connection", reason);
    else if (m->ways->subscribe(m) != TM_OK)
        refused(&m->link, "a subscription", MQTT_RC_UNSPECIFIED);
}

static void on_subscribe(struct mosquitto *mosq, void *arg, int mid, int count, const int *granted,
                         const mosquitto_property *properties) {
    struct tm_mqtt *m = arg;
    (void)mosq;
    (void)mid;
    (void)properties;
    for (int i = 0; i < count; i++)
        if (granted[i] >= REFUSAL)
            refused(&m->link, "a subscription", granted[i]);
    if (m->link.awaited > 0)
        m->link.awaited--;
}

static void on_disconnect(struct mosquitto *mosq, void *arg, int reason,
                          const mosquitto_property *properties) {
    struct tm_mqtt *m = arg;
    (void)mosq;
    (void)properties;
    if (reason >= REFUSAL && !m->link.refused) /* the broker's own, not one of libmosquitto's */
        refused(&m->link, "to go on", reason);
}

static void on_publish(struct mosquitto *mosq, void *arg, int mid, int reason,
                       const mosquitto_property *properties) {
    struct tm_mqtt *m = arg;
    (void)mosq;
    (void)reason;
    (void)properties;
    m->link.arrived_mid = mid;
}

static void on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    struct tm_mqtt *m = arg;
    const uint8_t *payload = message->payload;
    (void)mosq;
    m->ways->receive(m, &(struct tm_mqtt_message){
                            .topic = message->topic,
                            .payload = {payload, payload ? (size_t)message->payloadlen : 0},
                            .properties = properties,
                        });
}

/* ---- connecting ---- */

static void set_callbacks(struct mosquitto *mosq) {
    mosquitto_log_callback_set(mosq, on_log);
    mosquitto_connect_v5_callback_set(mosq, on_connect);
    mosquitto_subscribe_v5_callback_set(mosq, on_subscribe);
    mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
    mosquitto_publish_v5_callback_set(mosq, on_publish);
    mosquitto_message_v5_callback_set(mosq, on_message);
}

static int set_tls(const struct tm_mqtt *m, struct mosquitto *mosq) {
    const struct tm_mqtt_config *c = &m->config;
    int rc = mosquitto_tls_set(mosq, c->anchors_file, NULL, c->certificate_file, c->key_file, NULL);
    if (rc == MOSQ_ERR_SUCCESS) /* "tlsv1.2" is the lowest; the name is checked unless insecure */
        rc = mosquitto_tls_opts_set(mosq, SSL_VERIFY_PEER, "tlsv1.2", NULL);
    return rc;
}

static int set_options(const struct tm_mqtt *m, struct mosquitto *mosq) {
    int rc = mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
    if (rc == MOSQ_ERR_SUCCESS && m->config.user)
        rc = mosquitto_username_pw_set(mosq, m->config.user, m->password[0] ? m->password : NULL);
    if (rc == MOSQ_ERR_SUCCESS && m->tls)
        rc = set_tls(m, mosq);
    return rc;
}

static void begin_session(struct tm_mqtt *m, struct mosquitto *mosq) {
    struct tm_mqtt_link *link = &m->link;
    link->mosq = mosq;
    link->phase = TM_MQTT_CONNECTING;
    link->awaited = 0;
    link->refused = false;
    link->said[0] = '\0';
    link->give_up_ms = tm_clock_now().mono_ms + SESSION_MS;
}

/* Clean Start, and no Session Expiry Interval: the session ends with the connection. */
static void connect_broker(struct tm_mqtt *m) {
    struct mosquitto *mosq = mosquitto_new(m->config.client_id, true, m);
    begin_session(m, mosq);
    if (!mosq) {
        lost(m, "no memory");
        return;
    }
    set_callbacks(mosq);
    int rc = set_options(m, mosq);
    if (rc == MOSQ_ERR_SUCCESS && m->ways->prepare(m) != TM_OK)
        rc = MOSQ_ERR_INVAL;
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_connect_async(mosq, m->host, m->port, KEEPALIVE_S);
    if (rc == MOSQ_ERR_ERRNO)
        lost(m, strerror(errno));
    else if (rc == MOSQ_ERR_EAI)
        lost(m, "its name cannot be resolved");
    else if (rc != MOSQ_ERR_SUCCESS)
        lost(m, mosquitto_strerror(rc));
}

/* ---- rounds ---- */

static int work(struct mosquitto *mosq, short events) {
    int rc = MOSQ_ERR_SUCCESS;
    if (events & (POLLIN | POLLHUP | POLLERR))
        rc = mosquitto_loop_read(mosq, 1);
    if (rc == MOSQ_ERR_SUCCESS && (events & POLLOUT))
        rc = mosquitto_loop_write(mosq, 1);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_loop_misc(mosq);
    return rc;
}

/* Waits for socket, wake_fd and time, and lets libmosquitto work. True: wake_fd can be read. */
static bool pump(struct tm_mqtt *m, int64_t until_mono_ms, int wake_fd) {
    struct mosquitto *mosq = m->link.mosq;
    int64_t left = until_mono_ms - tm_clock_now().mono_ms;
    left = left < 0 ? 0 : left > ROUND_MAX_MS ? ROUND_MAX_MS : left;
    struct pollfd fds[] = {{.fd = mosq ? mosquitto_socket(mosq) : -1, .events = POLLIN},
                           {.fd = wake_fd, .events = POLLIN}};
    if (mosq && mosquitto_want_write(mosq))
        fds[0].events |= POLLOUT;
    if (poll(fds, 2, (int)left) < 0)
        return false;
    if (mosq) {
        errno = 0;
        int rc = work(mosq, fds[0].revents);
        note_connect(m);
        if (rc == MOSQ_ERR_ERRNO)
            lost(m, strerror(errno));
        else if (rc != MOSQ_ERR_SUCCESS || mosquitto_socket(mosq) < 0)
            lost(m, mosquitto_strerror(rc));
    }
    return fds[1].revents != 0;
}

/* The birth says what there is to be said, but for a request. */
static void begin(struct tm_mqtt *m) {
    enum tm_err err = m->ways->begin(m);
    if (err == TM_EAGAIN)
        return;
    if (err) {
        lost(m, "the broker does not take the birth");
        return;
    }
    m->link.phase = TM_MQTT_UP;
    m->link.failures = 0;
    m->link.trouble[0] = '\0';
    m->link.logged[0] = '\0';
}

static void advance(struct tm_mqtt *m) {
    struct tm_mqtt_link *link = &m->link;
    if (link->mosq && link->refused)
        lost(m, link->trouble);
    else if (link->phase == TM_MQTT_SUBSCRIBING && link->awaited == 0)
        link->phase = TM_MQTT_SUBSCRIBED;
    else if (link->mosq && link->phase < TM_MQTT_SUBSCRIBED &&
             tm_clock_now().mono_ms >= link->give_up_ms)
        lost(m, "it does not answer");
    if (link->phase == TM_MQTT_SUBSCRIBED)
        begin(m);
    else if (link->phase == TM_MQTT_UP && m->ways->tend(m) != TM_OK)
        tm_mqtt_leave(m);
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

bool tm_mqtt_serve(struct tm_mqtt *m, int64_t until_mono_ms, int wake_fd) {
    struct tm_mqtt_link *link = &m->link;
    if (!link->mosq && tm_clock_now().mono_ms >= link->connect_ms)
        connect_broker(m);
    int64_t until = until_mono_ms;
    if (!link->mosq)
        until = earlier(until, link->connect_ms);
    else if (link->phase < TM_MQTT_SUBSCRIBED)
        until = earlier(until, link->give_up_ms);
    else
        until = earlier(until, m->ways->due_ms(m));
    bool woken = pump(m, until, wake_fd);
    advance(m);
    return woken;
}

void tm_mqtt_leave(struct tm_mqtt *m) {
    struct tm_mqtt_link *link = &m->link;
    int64_t deadline = tm_clock_now().mono_ms + LEAVE_MS;
    int mid = 0;
    link->arrived_mid = 0;
    if (link->phase == TM_MQTT_UP && m->ways->end(m, &mid) == TM_OK)
        while (link->mosq && mid && link->arrived_mid != mid && tm_clock_now().mono_ms < deadline)
            (void)pump(m, deadline, -1);
    if (link->mosq && link->phase > TM_MQTT_CONNECTING &&
        mosquitto_disconnect_v5(link->mosq, m->ways->goodbye, NULL) == MOSQ_ERR_SUCCESS)
        while (link->mosq && mosquitto_socket(link->mosq) >= 0 && tm_clock_now().mono_ms < deadline)
            (void)pump(m, deadline, -1);
    if (link->mosq)
        drop(m);
}

/* ---- messages ---- */

enum tm_err tm_mqtt_publish(struct tm_mqtt *m, const char *topic, struct bytes payload, int qos,
                            mosquitto_property **properties, int *ret_mid) {
    int rc = MOSQ_ERR_NO_CONN;
    if (m->link.mosq)
        rc = mosquitto_publish_v5(m->link.mosq, ret_mid, topic, (int)payload.n, payload.p, qos,
                                  false, properties ? *properties : NULL);
    if (properties)
        mosquitto_property_free_all(properties);
    if (rc == MOSQ_ERR_OVERSIZE_PACKET)
        return TM_ELIMIT;
    return rc == MOSQ_ERR_SUCCESS ? TM_OK : TM_ECLOSED;
}

enum tm_err tm_mqtt_subscribe(struct tm_mqtt *m, const char *topic, int options) {
    int rc = mosquitto_subscribe_v5(m->link.mosq, NULL, topic, 1, options, NULL);
    if (rc != MOSQ_ERR_SUCCESS)
        return TM_ECLOSED;
    m->link.awaited++;
    return TM_OK;
}
