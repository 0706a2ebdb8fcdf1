/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration socket (ipc/admin.h): who may connect is the socket file's mode and
 * owner; who did is in the audit by SO_PEERCRED.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ca/lifecycle.h"
#include "ipc/admin.h"
#include "server/core/admin_json.h"
#include "server/core/core.h"
#include "store/store.h"

#define CLIENTS_MAX 64
#define ROWS_DEFAULT 100
#define ROWS_MAX 1000
#define SECRET_SECONDS_DEFAULT (24u * 3600)
#define SECRET_SECONDS_MAX (366u * 24 * 3600)
#define CHECK_LEAVES_MAX 200000 /* beyond it a check would hold issuance up for seconds */

struct core_admin {
    struct core_admin_config config;
    struct ca_registry registry;
    struct loop *loop;
    int listen_fd;
    struct loop_fd *watch;
    struct client *first;
    size_t count;
};

struct client {
    struct core_admin *admin;
    struct client *prev, *next;
    struct ipc_link *link;
    char actor[32];
    unsigned acts; /* changes under way that will answer to this client */
    bool gone;     /* closed while an act was under way: freed with its answer */
};

static void client_free(struct client *client) {
    struct core_admin *admin = client->admin;
    if (client->link) {
        ipc_link_close(client->link);
        client->link = NULL;
        admin->count--;
    }
    client->gone = true;
    if (client->acts)
        return;
    if (client->prev)
        client->prev->next = client->next;
    else
        admin->first = client->next;
    if (client->next)
        client->next->prev = client->prev;
    free(client);
}

/* ---- answering ---- */

static void send_reply(struct client *client, const struct ipc_admin_reply *reply) {
    if (!client->link)
        return;
    enum tm_err err = ipc_link_send(client->link, &ipc_admin_reply_schema, reply);
    if (err && err != TM_ECLOSED)
        log_warn("administration: answer to %s dropped: %s", client->actor, tm_err_name(err));
}

static void refuse(struct client *client, const char *text) {
    struct ipc_admin_reply reply = {0};
    TEXT_SET(reply.text, text);
    send_reply(client, &reply);
}

/* Takes the reference to object over. */
static void send_object(struct client *client, json_t *object, bool more, const char *cursor,
                        struct bytes secret, struct bytes der) {
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    struct ipc_admin_reply reply = {.ok = true, .more = more, .secret = secret, .der = der};
    if (text)
        reply.json = bytes_str(text);
    TEXT_SET(reply.cursor, cursor);
    send_reply(client, &reply);
    free(text);
    json_decref(object);
}

static void answer(struct client *client, json_t *object) {
    send_object(client, object, false, "", (struct bytes){0}, (struct bytes){0});
}

static void row(struct client *client, json_t *object) {
    send_object(client, object, true, "", (struct bytes){0}, (struct bytes){0});
}

/* The end of a listing; cursor "" = there is no more. */
static void end_rows(struct client *client, const char *cursor) {
    send_object(client, NULL, false, cursor, (struct bytes){0}, (struct bytes){0});
}

static uint32_t rows_wanted(const struct ipc_admin_request *request) {
    return request->limit == 0         ? ROWS_DEFAULT
           : request->limit > ROWS_MAX ? ROWS_MAX
                                       : request->limit;
}

static bool serial_of(const struct ipc_admin_request *request, struct ca_serial *ret) {
    size_t n = 0;
    *ret = (struct ca_serial){0};
    if (hex_decode(request->serial, ret->octets, sizeof ret->octets, &n) || !n)
        return false;
    ret->n = (uint8_t)n;
    return true;
}

/* ---- changes ---- */

static void act_done(void *arg, enum tm_err result, const char *text,
                     const struct ca_device *device, const char *secret) {
    struct client *client = arg;
    client->acts--;
    if (client->gone) {
        client_free(client);
        return;
    }
    if (result) {
        refuse(client, text);
        return;
    }
    send_object(client, admin_json_device(device), false, "",
                secret ? bytes_str(secret) : (struct bytes){0}, (struct bytes){0});
}

static void start_act(struct client *client, enum tm_err err) {
    if (!err)
        return;
    client->acts--;
    refuse(client, "the server has no memory for this now");
}

static void do_add(struct client *client, const struct ipc_admin_request *q) {
    struct ca_device device;
    memset(&device, 0, sizeof device);
    TEXT_SET(device.tenant, q->tenant);
    TEXT_SET(device.id, q->device);
    TEXT_SET(device.sku, q->sku);
    TEXT_SET(device.hardware_revision, q->hardware_revision);
    TEXT_SET(device.batch, q->batch);
    TEXT_SET(device.site, q->site);
    client->acts++;
    start_act(client,
              ca_registry_add(&client->admin->registry, &device, client->actor, act_done, client));
}

static void do_transition(struct client *client, const struct ipc_admin_request *q) {
    enum ca_state to;
    if (ca_state_find(q->state, &to)) {
        char text[IPC_TEXT_MAX + 1];
        (void)snprintf(text, sizeof text,
                       "there is no state \"%s\"; states are registered, provisioning, "
                       "manufactured, stocked, shipped, activated, suspended, returned, "
                       "refurbished, retired, revoked",
                       q->state);
        refuse(client, text);
        return;
    }
    client->acts++;
    start_act(client, ca_registry_transition(&client->admin->registry, q->tenant, q->device, to,
                                             q->reason, client->actor, act_done, client));
}

static void do_secret(struct client *client, const struct ipc_admin_request *q) {
    uint32_t seconds = q->seconds ? q->seconds : SECRET_SECONDS_DEFAULT;
    if (seconds > SECRET_SECONDS_MAX) {
        refuse(client, "a secret is valid for at most 366 days");
        return;
    }
    client->acts++;
    start_act(client, ca_registry_secret(&client->admin->registry, q->tenant, q->device,
                                         (int64_t)seconds * 1000, client->actor, act_done, client));
}

static void do_revoke(struct client *client, const struct ipc_admin_request *q) {
    struct ca_serial serial;
    uint8_t reason = 0;
    if (!serial_of(q, &serial)) {
        refuse(client, "a serial is 2 to 40 hex digits");
        return;
    }
    if (q->reason[0] && admin_reason_find(q->reason, &reason)) {
        refuse(client, "reasons are unspecified, keyCompromise, affiliationChanged, superseded, "
                       "cessationOfOperation, privilegeWithdrawn (RFC 5280, 5.3.1)");
        return;
    }
    client->acts++;
    start_act(client, ca_registry_revoke(&client->admin->registry, &serial, reason, q->reason,
                                         client->actor, act_done, client));
}

/* ---- questions ---- */

static json_t *store_json(const struct ca_store *store) {
    struct store_stats stats;
    store_stats(store, &stats);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "used", (json_int_t)stats.used, "map_size",
                     (json_int_t)stats.map_size, "commits", (json_int_t)stats.commits, "batches",
                     (json_int_t)stats.batches, "conflicts", (json_int_t)stats.conflicts);
}

static json_t *outcomes_json(const struct ca_service_counts *counts) {
    json_t *outcomes = json_object();
    for (unsigned i = 1; i <= IPC_OUTCOME_LAST; i++)
        if (counts->outcomes[i])
            (void)json_object_set_new(outcomes, ipc_outcome_name((enum ipc_outcome)i),
                                      json_integer((json_int_t)counts->outcomes[i]));
    return outcomes;
}

static void add_bridge(json_t *object, const struct core_admin_config *config) {
    if (!config->bridge)
        return;
    bool linked = core_faces_has(config->faces, IPC_ROLE_BRIDGE);
    (void)json_object_set_new(object, "bridge", json_string(linked ? "linked" : "down"));
    if (config->events)
        (void)json_object_set_new(object, "events_published",
                                  json_integer((json_int_t)core_events_next(config->events)));
}

static void do_status(struct client *client) {
    const struct core_admin_config *config = &client->admin->config;
    const struct ca_service_counts *counts = ca_service_counts(config->service);
    struct ca_audit_head head = {0};
    char started[CLOCK_TEXT_MAX];
    clock_format(config->started_ms, started);
    json_t *object = json_object();
    (void)json_object_set_new(object, "version", json_string(TOUCHMARK_VERSION));
    (void)json_object_set_new(object, "environment", json_string(config->environment));
    (void)json_object_set_new(object, "started", json_string(started));
    (void)json_object_set_new(object, "signer",
                              json_string(core_signer_ready(config->signer) ? "ready" : "down"));
    add_bridge(object, config);
    (void)json_object_set_new(object, "requests_under_way",
                              json_integer((json_int_t)ca_service_active(config->service)));
    (void)json_object_set_new(object, "burned_serials", json_integer((json_int_t)counts->burned));
    (void)json_object_set_new(object, "outcomes", outcomes_json(counts));
    if (!config->store->ops->audit_head(config->store, &head))
        (void)json_object_set_new(object, "audit", admin_json_head(&head));
    (void)json_object_set_new(object, "store", store_json(config->store));
    answer(client, object);
}

static void do_device_show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = store->ops->device(store, q->tenant, q->device, &device);
    if (!err) {
        answer(client, admin_json_device(&device));
        return;
    }
    if (err == TM_ENOTFOUND)
        (void)snprintf(text, sizeof text, "tenant %s has no device %s", q->tenant, q->device);
    else
        (void)snprintf(text, sizeof text, "device %s cannot be read: %s", q->device,
                       tm_err_name(err));
    refuse(client, text);
}

static void do_device_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    char cursor[IPC_NAME_MAX + 1];
    TEXT_SET(cursor, q->cursor);
    for (uint32_t i = 0; i < rows_wanted(q); i++) {
        if (store->ops->next_device(store, q->tenant, cursor, &device)) {
            end_rows(client, "");
            return;
        }
        row(client, admin_json_device(&device));
    }
    end_rows(client, cursor);
}

static void do_cert_show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_certificate certificate;
    struct ca_serial serial;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    if (!serial_of(q, &serial) || store->ops->certificate(store, &serial, &certificate, &buf)) {
        refuse(client, "no certificate has this serial");
        return;
    }
    send_object(client, admin_json_certificate(&certificate), false, "", (struct bytes){0},
                certificate.der);
}

/* The certificates that a device's record names, newest first. */
static void list_device_certs(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    if (store->ops->device(store, q->tenant, q->device, &device)) {
        refuse(client, "there is no such device");
        return;
    }
    for (size_t i = 0; i < device.cert_count; i++) {
        struct ca_certificate certificate;
        uint8_t der[IPC_CERT_MAX];
        struct buf buf = BUF_ON(der);
        if (store->ops->certificate(store, &device.certs[i].serial, &certificate, &buf))
            continue;
        certificate.status = device.certs[i].status;
        row(client, admin_json_certificate(&certificate));
    }
    end_rows(client, "");
}

static void do_cert_list(struct client *client, const struct ipc_admin_request *q) {
    if (q->device[0]) {
        list_device_certs(client, q);
        return;
    }
    struct ca_store *store = client->admin->config.store;
    struct ca_serial cursor = {0};
    size_t n = 0;
    if (q->cursor[0] && hex_decode(q->cursor, cursor.octets, sizeof cursor.octets, &n)) {
        refuse(client, "the cursor is a serial in hex");
        return;
    }
    cursor.n = (uint8_t)n;
    for (uint32_t i = 0; i < rows_wanted(q); i++) {
        struct ca_certificate certificate;
        uint8_t der[IPC_CERT_MAX];
        struct buf buf = BUF_ON(der);
        if (store->ops->next_certificate(store, &cursor, &certificate, &buf)) {
            end_rows(client, "");
            return;
        }
        row(client, admin_json_certificate(&certificate));
    }
    char text[2 * CA_SERIAL_MAX + 1] = "";
    if (hex_encode((struct bytes){cursor.octets, cursor.n}, text, sizeof text))
        text[0] = 0;
    end_rows(client, text);
}

static void do_intent_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_serial cursor = {0};
    struct ca_intent intent;
    for (uint32_t i = 0; i < rows_wanted(q); i++) {
        if (store->ops->next_intent(store, &cursor, &intent))
            break;
        row(client, admin_json_intent(&intent));
    }
    end_rows(client, "");
}

static void do_audit_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    char *end;
    errno = 0;
    uint64_t sequence = q->cursor[0] ? strtoull(q->cursor, &end, 10) : 0;
    if (q->cursor[0] && (*end || errno)) {
        refuse(client, "the cursor of the audit is a sequence number");
        return;
    }
    for (uint32_t i = 0; i < rows_wanted(q); i++, sequence++) {
        struct ca_leaf leaf;
        if (store->ops->leaf(store, sequence, &leaf)) {
            end_rows(client, "");
            return;
        }
        row(client, admin_json_leaf(sequence, &leaf));
    }
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)sequence);
    end_rows(client, text);
}

static void do_audit_head(struct client *client) {
    struct ca_store *store = client->admin->config.store;
    struct ca_audit_head head;
    if (store->ops->audit_head(store, &head))
        refuse(client, "the audit head cannot be read");
    else
        answer(client, admin_json_head(&head));
}

struct check_run {
    struct client *client;
    unsigned faults;
};

static void report_fault(void *arg, const char *text) {
    struct check_run *run = arg;
    if (run->faults++ < ROWS_MAX)
        row(run->client, json_pack("{s:s}", "fault", text));
}

static void do_check(struct client *client) {
    struct ca_store *store = client->admin->config.store;
    struct ca_audit_head head = {0};
    struct check_run run = {client, 0};
    if (store->ops->audit_head(store, &head) || head.size > CHECK_LEAVES_MAX) {
        refuse(client, "the store is too large to check while it serves: stop touchmarkd and use "
                       "`touchmark store check --offline`");
        return;
    }
    enum tm_err err = store->ops->check(store, report_fault, &run);
    if (err || run.faults)
        refuse(client, "the store has faults");
    else
        answer(client, json_pack("{s:s, s:I}", "result", "sound", "leaves", (json_int_t)head.size));
}

/* ---- clients ---- */

static void dispatch(struct client *client, struct ipc_admin_request *q) {
    if (!q->tenant[0])
        TEXT_SET(q->tenant, client->admin->config.default_tenant);
    switch ((enum ipc_admin_verb)q->verb) {
    case IPC_ADMIN_STATUS:
        do_status(client);
        return;
    case IPC_ADMIN_DEVICE_ADD:
        do_add(client, q);
        return;
    case IPC_ADMIN_DEVICE_SHOW:
        do_device_show(client, q);
        return;
    case IPC_ADMIN_DEVICE_LIST:
        do_device_list(client, q);
        return;
    case IPC_ADMIN_DEVICE_TRANSITION:
        do_transition(client, q);
        return;
    case IPC_ADMIN_DEVICE_SECRET:
        do_secret(client, q);
        return;
    case IPC_ADMIN_CERT_SHOW:
        do_cert_show(client, q);
        return;
    case IPC_ADMIN_CERT_LIST:
        do_cert_list(client, q);
        return;
    case IPC_ADMIN_CERT_REVOKE:
        do_revoke(client, q);
        return;
    case IPC_ADMIN_INTENT_LIST:
        do_intent_list(client, q);
        return;
    case IPC_ADMIN_AUDIT_LIST:
        do_audit_list(client, q);
        return;
    case IPC_ADMIN_AUDIT_HEAD:
        do_audit_head(client);
        return;
    case IPC_ADMIN_STORE_CHECK:
        do_check(client);
        return;
    }
    refuse(client, "this server does not know that command");
}

static bool known_tenant(const struct core_admin *admin, const char *tenant) {
    for (size_t i = 0; i < admin->config.setup->tenant_count; i++)
        if (strcmp(admin->config.setup->tenants[i].name, tenant) == 0)
            return true;
    return !tenant[0];
}

static void client_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct client *client = arg;
    struct ipc_admin_request request;
    (void)link;
    if (fd >= 0)
        (void)close(fd);
    if (codec_decode(&ipc_admin_request_schema, message, &request))
        refuse(client, "this is no request that the server can read; are both of one version?");
    else if (!known_tenant(client->admin, request.tenant))
        refuse(client, "there is no such tenant in the server's configuration");
    else
        dispatch(client, &request);
}

static void client_closed(void *arg, struct ipc_link *link) {
    (void)link;
    client_free(arg);
}

static const struct ipc_link_events client_events = {client_message, client_closed};

static void client_new(struct core_admin *admin, int fd) {
    struct ucred peer;
    socklen_t n = sizeof peer;
    struct client *client = calloc(1, sizeof *client);
    if (!client || admin->count >= CLIENTS_MAX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n)) {
        log_warn("administration: a client was turned away");
        (void)close(fd);
        free(client);
        return;
    }
    client->admin = admin;
    (void)snprintf(client->actor, sizeof client->actor, "uid:%lu", (unsigned long)peer.uid);
    if (ipc_link_open(admin->loop, fd, ROWS_MAX + 16, &client_events, client, &client->link)) {
        free(client);
        return;
    }
    client->next = admin->first;
    if (admin->first)
        admin->first->prev = client;
    admin->first = client;
    admin->count++;
}

static void accept_clients(void *arg, uint32_t events) {
    struct core_admin *admin = arg;
    (void)events;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        int fd = accept4(admin->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        client_new(admin, fd);
    }
}

enum tm_err core_admin_new(struct loop *loop, int listen_fd, const struct core_admin_config *config,
                           struct core_admin **ret_admin) {
    struct core_admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return TM_ENOMEM;
    admin->config = *config;
    admin->registry = (struct ca_registry){
        .store = config->store, .wrap = config->wrap, .now_ms = config->now_ms};
    admin->loop = loop;
    admin->listen_fd = listen_fd;
    enum tm_err err = loop_add(loop, listen_fd, EPOLLIN, accept_clients, admin, &admin->watch);
    if (err) {
        free(admin);
        return err;
    }
    *ret_admin = admin;
    return TM_OK;
}

void core_admin_free(struct core_admin *admin) {
    if (!admin)
        return;
    loop_remove(admin->watch);
    for (struct client *client = admin->first; client;) {
        struct client *next = client->next;
        client->acts = 0; /* the store is closed: no act answers any more */
        client_free(client);
        client = next;
    }
    free(admin);
}
