/* SPDX-License-Identifier: Apache-2.0 */
/* libmosquitto on the loop: connect, will, reading and writing, and again for ever. See broker.h.
 * Its own threads and its own loop are not used. */
#include "mqtt/bridge/broker.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/broker_internal.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 60000
#define BACKOFF_FLOOR_MS 50 /* full jitter goes down to nearly nothing, not to a busy loop */
#define LASTED_MS 30000     /* a connection that lasted so long was a good one */
#define CONNECT_TIMEOUT_MS 20000
#define HOUSEKEEPING_MS 1000
#define LINGER_MS 500
#define PACKET_MAX_DEFAULT 268435455 /* MQTT 5, 2.1.4: what no CONNACK limits */

static void settle(struct mqtt_broker *broker);

static void tend_at(struct mqtt_broker *broker, int64_t at) {
    if (loop_timer_set(broker->loop, &broker->timer, at))
        log_error("no memory for the broker's timer");
}

void mqtt_broker_tend(struct mqtt_broker *broker) {
    if (!broker->inside)
        tend_at(broker, clock_mono_ms());
}

/* ---- callbacks of the library ---- */

static void on_connect(struct mosquitto *client, void *arg, int reason, int flags,
                       const mosquitto_property *properties) {
    struct mqtt_broker *broker = arg;
    (void)client;
    (void)flags;
    if (reason) {
        log_warn("the broker refuses the connection: %s", mosquitto_reason_string(reason));
        return;
    }
    broker->packet_max = PACKET_MAX_DEFAULT;
    (void)mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                        &broker->packet_max, false);
    broker->connected = true;
    broker->since = clock_mono_ms();
    broker->events->connected(broker->arg);
}

/* reason: one of MQTT 5 when the broker said it (0x80 and above), else of the library. */
static void on_disconnect(struct mosquitto *client, void *arg, int reason,
                          const mosquitto_property *properties) {
    struct mqtt_broker *broker = arg;
    (void)client;
    (void)properties;
    broker->reason = reason;
    broker->system_error = errno;
}

static void on_log(struct mosquitto *client, void *arg, int level, const char *line) {
    (void)client;
    (void)arg;
    if (level & (MOSQ_LOG_ERR | MOSQ_LOG_WARNING))
        log_warn("libmosquitto: %s", line);
}

/* ---- one connection ---- */

/* The address to try now. libmosquitto tries the first of a name and, when that does not answer,
 * never another: so each try that fails is followed by one with the next. */
static int find_address(const struct mqtt_broker *broker, char ret[NI_MAXHOST]) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    if (getaddrinfo(broker->settings->config.host, NULL, &hints, &all) != 0)
        return MOSQ_ERR_EAI;
    unsigned count = 0;
    for (const struct addrinfo *a = all; a; a = a->ai_next)
        count++;
    const struct addrinfo *one = all;
    for (unsigned i = broker->address % count; i > 0; i--)
        one = one->ai_next;
    int rc = getnameinfo(one->ai_addr, one->ai_addrlen, ret, NI_MAXHOST, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(all);
    return rc ? MOSQ_ERR_EAI : MOSQ_ERR_SUCCESS;
}

static int set_will(struct mqtt_broker *broker) {
    struct mqtt_outgoing will = {0};
    if (!broker->events->will(broker->arg, &will))
        return MOSQ_ERR_SUCCESS;
    return mosquitto_will_set(broker->client, will.topic, (int)will.payload.n, will.payload.p,
                              will.qos, will.retain);
}

static int set_options(struct mqtt_broker *broker) {
    const struct mqtt_settings *settings = broker->settings;
    struct mosquitto *client = broker->client;
    int rc = mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    if (!rc)
        rc = mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, (int)settings->config.queue);
    if (!rc)
        rc = mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    if (!rc && settings->config.username)
        rc = mosquitto_username_pw_set(client, settings->config.username, settings->password);
    if (!rc && settings->tls)
        rc = mosquitto_int_option(client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    if (!rc && settings->tls)
        rc = mosquitto_void_option(client, MOSQ_OPT_SSL_CTX, settings->tls);
    if (!rc && settings->tls)
        mqtt_tls_host(settings->tls, settings->config.host);
    return rc ? rc : set_will(broker);
}

/* The broker shall not pass on what is larger than anything that we read. Only the blocking call
 * takes properties of CONNECT, and keeps them for the connections that follow: it is made with a
 * keep-alive that it refuses, and so connects to nothing. */
static int announce_maximum(struct mqtt_broker *broker) {
    const struct mqtt_bridge_config *config = &broker->settings->config;
    mosquitto_property *properties = NULL;
    int rc =
        mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, MQTT_PACKET_MAX);
    if (!rc) {
        rc = mosquitto_connect_bind_v5(broker->client, config->host, (int)config->port, -1, NULL,
                                       properties);
        rc = rc == MOSQ_ERR_INVAL ? MOSQ_ERR_SUCCESS : rc;
    }
    mosquitto_property_free_all(&properties);
    return rc;
}

static int make_client(struct mqtt_broker *broker) {
    const struct mqtt_bridge_config *config = &broker->settings->config;
    broker->client = mosquitto_new(config->client_id, true, broker);
    if (!broker->client)
        return errno == EINVAL ? MOSQ_ERR_INVAL : MOSQ_ERR_NOMEM;
    mosquitto_connect_v5_callback_set(broker->client, on_connect);
    mosquitto_disconnect_v5_callback_set(broker->client, on_disconnect);
    mosquitto_log_callback_set(broker->client, on_log);
    mqtt_broker_set_callbacks(broker->client);
    char address[NI_MAXHOST];
    int rc = set_options(broker);
    if (!rc)
        rc = announce_maximum(broker);
    if (!rc)
        rc = find_address(broker, address);
    if (!rc)
        rc = mosquitto_connect_bind_async(broker->client, address, (int)config->port,
                                          (int)config->keepalive_s, NULL);
    return rc;
}

/* Full jitter: a plant's clients do not come back all at once. */
static int64_t backoff_ms(const struct mqtt_broker *broker) {
    int64_t most = BACKOFF_MAX_MS;
    if (broker->attempts < 6 && broker->reason != MQTT_RC_SESSION_TAKEN_OVER)
        most = (int64_t)BACKOFF_MIN_MS << broker->attempts;
    most = most > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : most;
    return BACKOFF_FLOOR_MS + (int64_t)arc4random_uniform((uint32_t)most);
}

static void drop_client(struct mqtt_broker *broker) {
    loop_remove(TAKE(broker->watch));
    mosquitto_destroy(TAKE(broker->client));
    broker->connected = broker->open = broker->stuck = broker->read_due = false;
    broker->waiting_count = 0;
    broker->last_id = 0;
}

static const char *reason_text(const struct mqtt_broker *broker) {
    if (broker->reason == MOSQ_ERR_ERRNO)
        return strerror(broker->system_error);
    if (broker->reason == MOSQ_ERR_TIMEOUT)
        return "it does not answer";
    if (broker->reason == MOSQ_ERR_EAI)
        return "its name cannot be resolved";
    return broker->reason >= 0x80 ? mosquitto_reason_string(broker->reason)
                                  : mosquitto_strerror(broker->reason);
}

/* The connection is over, or never was. */
static void over(struct mqtt_broker *broker) {
    bool was = broker->connected;
    if (was && clock_mono_ms() - broker->since >= LASTED_MS)
        broker->attempts = 0;
    drop_client(broker);
    int64_t pause = backoff_ms(broker);
    broker->attempts++;
    broker->address += !was;
    log_warn("%s the broker: %s%s", was ? "lost" : "cannot reach", reason_text(broker),
             broker->last ? "" : "; trying again");
    if (broker->last)
        loop_timer_stop(broker->loop, &broker->timer);
    else
        tend_at(broker, clock_mono_ms() + pause);
    if (was)
        broker->events->lost(broker->arg);
}

/* TLS's handshake is the business of reading. */
static bool shakes_hands(const struct mqtt_broker *broker) {
    return broker->settings->tls && !broker->connected;
}

/* Once TCP is connected, the library says all through TLS's handshake that it wants to write,
 * although it waits for the other side: then only reading goes on. */
static uint32_t interest(const struct mqtt_broker *broker) {
    uint32_t events = broker->paused ? 0 : EPOLLIN;
    if (mosquitto_want_write(broker->client) && !(shakes_hands(broker) && broker->open))
        events |= EPOLLOUT;
    return events;
}

static void settle(struct mqtt_broker *broker) {
    if (mosquitto_socket(broker->client) < 0 || broker->stuck ||
        loop_change(broker->watch, interest(broker)))
        over(broker);
}

static void on_socket(void *arg, uint32_t events) {
    struct mqtt_broker *broker = arg;
    int rc = MOSQ_ERR_SUCCESS;
    broker->inside = true;
    ERR_clear_error(); /* what others left would be taken for TLS's */
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) || shakes_hands(broker))
        rc = mosquitto_loop_read(broker->client, 1);
    if (!rc && mosquitto_want_write(broker->client))
        rc = mosquitto_loop_write(broker->client, 1);
    broker->inside = false;
    broker->open = broker->open || (events & EPOLLOUT);
    if (rc)
        broker->reason = broker->reason ? broker->reason : rc;
    settle(broker);
}

static void start(struct mqtt_broker *broker) {
    broker->since = clock_mono_ms();
    broker->inside = true;
    broker->reason = make_client(broker);
    broker->system_error = errno;
    broker->inside = false;
    int fd = broker->client ? mosquitto_socket(broker->client) : -1;
    if (broker->reason || fd < 0 ||
        loop_add(broker->loop, fd, EPOLLIN | EPOLLOUT, on_socket, broker, &broker->watch)) {
        over(broker);
        return;
    }
    tend_at(broker, clock_mono_ms() + HOUSEKEEPING_MS);
}

static bool is_late(const struct mqtt_broker *broker) {
    return !broker->connected && clock_mono_ms() - broker->since > CONNECT_TIMEOUT_MS;
}

static void keep_alive(struct mqtt_broker *broker) {
    broker->inside = true;
    (void)mosquitto_loop_misc(broker->client);
    broker->inside = false;
    if (is_late(broker)) {
        broker->reason = MOSQ_ERR_TIMEOUT;
        broker->stuck = true;
    }
}

static void tend(void *arg) {
    struct mqtt_broker *broker = arg;
    if (!broker->client) {
        start(broker);
        return;
    }
    tend_at(broker, clock_mono_ms() + HOUSEKEEPING_MS);
    keep_alive(broker);
    /* What TLS has read already, no event tells of. */
    if (broker->read_due && !broker->stuck && mosquitto_socket(broker->client) >= 0) {
        broker->read_due = false;
        on_socket(broker, EPOLLIN);
        return;
    }
    settle(broker);
}

/* ---- the object ---- */

enum tm_err mqtt_broker_new(struct loop *loop, const struct mqtt_settings *settings,
                            const struct mqtt_broker_events *events, void *arg,
                            struct mqtt_broker **ret, char text[IPC_TEXT_MAX + 1]) {
    if (mosquitto_validate_utf8(settings->config.client_id,
                                (int)strnlen(settings->config.client_id, UINT16_MAX))) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the client ID is not UTF-8");
        return TM_EINVAL;
    }
    struct mqtt_broker *broker = calloc(1, sizeof *broker);
    if (!broker || mosquitto_lib_init()) {
        free(broker);
        return TM_ENOMEM;
    }
    broker->loop = loop;
    broker->settings = settings;
    broker->events = events;
    broker->arg = arg;
    broker->timer = (struct loop_timer){.fn = tend, .arg = broker};
    enum tm_err err = loop_timer_set(loop, &broker->timer, clock_mono_ms());
    if (err) {
        mqtt_broker_free(broker);
        return err;
    }
    *ret = broker;
    return TM_OK;
}

/* A connection that is closed while the broker's answers to the last messages are on their way is
 * reset, and these messages with it: until the broker closes it too, but not for long. */
static void linger(int connection) {
    int64_t end = clock_mono_ms() + LINGER_MS;
    int64_t left = connection < 0 || shutdown(connection, SHUT_WR) ? 0 : LINGER_MS;
    uint8_t octets[4096];
    for (; left > 0; left = end - clock_mono_ms()) {
        struct pollfd poll_fd = {.fd = connection, .events = POLLIN};
        if (poll(&poll_fd, 1, (int)left) > 0 &&
            recv(connection, octets, sizeof octets, MSG_DONTWAIT) <= 0)
            return;
    }
}

void mqtt_broker_free(struct mqtt_broker *broker) {
    if (!broker)
        return;
    loop_timer_stop(broker->loop, &broker->timer);
    broker->waiting_count = 0; /* so that no event comes */
    AUTO_FD int connection = broker->connected ? dup(mosquitto_socket(broker->client)) : -1;
    if (broker->connected) {
        ERR_clear_error();
        (void)mosquitto_disconnect(broker->client);
    }
    drop_client(broker);
    linger(connection);
    (void)mosquitto_lib_cleanup();
    free(broker);
}

void mqtt_broker_pause(struct mqtt_broker *broker, bool paused) {
    if (broker->paused == paused)
        return;
    broker->paused = paused;
    broker->read_due = !paused;
    if (broker->client)
        mqtt_broker_tend(broker);
}

void mqtt_broker_last(struct mqtt_broker *broker) {
    broker->last = true;
    if (!broker->client)
        loop_timer_stop(broker->loop, &broker->timer);
}
