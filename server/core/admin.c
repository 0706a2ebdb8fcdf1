/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration socket (ipc/admin.h): who may connect is the socket file's mode and
 * owner; who did is in the audit by SO_PEERCRED.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "server/core/admin_internal.h"

#define CLIENTS_MAX 64

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

void admin_act_begins(struct client *client) {
    client->acts++;
}

bool admin_act_ends(struct client *client) {
    client->acts--;
    if (!client->gone)
        return true;
    client_free(client);
    return false;
}

void admin_act_begun(struct client *client, enum tm_err err) {
    if (err && admin_act_ends(client))
        admin_refuse(client, "the server has no memory for this now");
}

/* Who may ask for what. What takes two officers is proposed and signed, never asked for. */
static const struct {
    admin_handler_fn *fn;
    enum conf_officer_role role;
} handlers[IPC_ADMIN_VERB_LAST + 1] = {
    [IPC_ADMIN_STATUS] = {admin_status, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_DEVICE_ADD] = {admin_device_add, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_DEVICE_SHOW] = {admin_device_show, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_DEVICE_LIST] = {admin_device_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_DEVICE_TRANSITION] = {admin_device_transition, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_DEVICE_SECRET] = {admin_device_secret, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_CERT_SHOW] = {admin_cert_show, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_CERT_LIST] = {admin_cert_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_CERT_REVOKE] = {admin_cert_revoke, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_INTENT_LIST] = {admin_intent_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_AUDIT_LIST] = {admin_audit_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_AUDIT_HEAD] = {admin_audit_head, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_ACT_PROPOSE] = {admin_act_propose, CONF_ROLE_OFFICER},
    [IPC_ADMIN_ACT_LIST] = {admin_act_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_ACT_SHOW] = {admin_act_show, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_ACT_SIGN] = {admin_act_sign, CONF_ROLE_OFFICER},
    [IPC_ADMIN_ACT_WITHDRAW] = {admin_act_withdraw, CONF_ROLE_OFFICER},
    [IPC_ADMIN_REVOKE_PREVIEW] = {admin_revoke_preview, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_KEYS] = {admin_keys, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_PROFILES] = {admin_profiles, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_DEVICE_IMPORT] = {admin_device_import, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_DEVICE_EXPORT] = {admin_device_export, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_PRODUCTS] = {admin_products, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_RELOAD] = {admin_reload, CONF_ROLE_OFFICER},
    [IPC_ADMIN_PUBLISH] = {admin_publish, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_PUBLISHED] = {admin_published, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_STORE_CHECK] = {admin_store_check, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_PENDING_LIST] = {admin_pending_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_PENDING_DECIDE] = {admin_pending_decide, CONF_ROLE_OFFICER},
    [IPC_ADMIN_STORE_ACCEPT] = {admin_store_accept, CONF_ROLE_OFFICER},
    [IPC_ADMIN_CHECKPOINT] = {admin_checkpoint, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_PROVE] = {admin_prove, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_COSIGN] = {admin_cosign, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_AUDIT_EXPORT] = {admin_audit_export, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_JOB_LIST] = {admin_job_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_JOB_SHOW] = {admin_job_show, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_JOB_OPEN] = {admin_job_open, CONF_ROLE_OFFICER},
    [IPC_ADMIN_JOB_STOP] = {admin_job_stop, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_JOB_RESUME] = {admin_job_resume, CONF_ROLE_OFFICER},
    [IPC_ADMIN_JOB_CLOSE] = {admin_job_close, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_JOB_SCRAP] = {admin_job_scrap, CONF_ROLE_OPERATOR},
    [IPC_ADMIN_STATION_LIST] = {admin_station_list, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_OPERATOR_PUT] = {admin_operator_put, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_CLOUD_PROOF] = {admin_cloud_proof, CONF_ROLE_OFFICER},
    [IPC_ADMIN_DEVICE_QUERY] = {admin_device_find, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_REPORT] = {admin_report, CONF_ROLE_AUDITOR},
    [IPC_ADMIN_EVENTS] = {admin_events, CONF_ROLE_AUDITOR},
};

static const char *const role_words[] = {"auditor", "operator", "officer"};

static void dispatch(struct client *client, struct ipc_admin_request *q) {
    if (!q->tenant[0])
        TEXT_SET(q->tenant, client->admin->config.default_tenant);
    if (q->verb > IPC_ADMIN_VERB_LAST || !handlers[q->verb].fn)
        admin_refuse(client, "this server does not know that command");
    else if (client->role < handlers[q->verb].role)
        admin_deny_format(client, "this takes the role %s; yours is %s",
                          role_words[handlers[q->verb].role], role_words[client->role]);
    else
        handlers[q->verb].fn(client, q);
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
        admin_refuse(client,
                     "this is no request that the server can read; are both of one version?");
    else if (client->stranger)
        admin_deny_format(client, "uid %lu is not one of the officers in the configuration",
                          (unsigned long)client->uid);
    else if (!known_tenant(client->admin, request.tenant))
        admin_refuse(client, "there is no such tenant in the server's configuration");
    else
        dispatch(client, &request);
}

static void client_closed(void *arg, struct ipc_link *link) {
    (void)link;
    client_free(arg);
}

static const struct ipc_link_events client_events = {client_message, client_closed};

/* Who it is, and what it may do. touchmarkd's own user and root are nobody in particular. */
static void client_name(struct client *client, uid_t uid) {
    const struct core_setup *setup = client->admin->config.setup;
    client->uid = uid;
    client->officer = core_officer_of(setup, uid);
    client->stranger = setup->officer_count && !client->officer;
    client->role = client->officer ? client->officer->role : CONF_ROLE_OFFICER;
    if (client->officer)
        ca_officer_actor(client->officer, client->actor);
    else
        (void)snprintf(client->actor, sizeof client->actor, "uid:%lu", (unsigned long)uid);
}

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
    client_name(client, peer.uid);
    if (ipc_link_open(admin->loop, fd, ADMIN_ROWS_MAX + 16, &client_events, client,
                      &client->link)) {
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

void core_admin_tick(struct core_admin *admin) {
    for (struct client *client = admin ? admin->first : NULL; client;) {
        struct client *next = client->next;
        if (client->awaits && !client->gone)
            admin_events_tick(client);
        client = next;
    }
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
