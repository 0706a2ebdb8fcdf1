/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do to the registry: see admin_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/lifecycle.h"
#include "server/core/admin_internal.h"

#define SECRET_SECONDS_DEFAULT (24u * 3600)
#define SECRET_SECONDS_MAX (366u * 24 * 3600)

void admin_device_add(struct client *client, const struct ipc_admin_request *q) {
    struct ca_device device;
    memset(&device, 0, sizeof device);
    TEXT_SET(device.tenant, q->tenant);
    TEXT_SET(device.id, q->device);
    TEXT_SET(device.sku, q->sku);
    TEXT_SET(device.hardware_revision, q->hardware_revision);
    TEXT_SET(device.batch, q->batch);
    TEXT_SET(device.site, q->site);
    admin_act_begins(client);
    admin_act_begun(client, client->role >= CONF_ROLE_OFFICER
                                ? ca_registry_replace(client->admin->config.registry, &device,
                                                      client->actor, admin_registry_done, client)
                                : ca_registry_add(client->admin->config.registry, &device,
                                                  client->actor, admin_registry_done, client));
}

/* A state, or what people call the way there. */
static bool find_move(const char *name, struct ca_registry_move *move) {
    const struct ca_move *found = ca_move_find(name);
    if (!found)
        return !ca_state_find(name, &move->to);
    move->to = found->to;
    move->from = found->from;
    return true;
}

/* From any state? */
static bool may_make(enum ca_state to, unsigned who) {
    unsigned all = 0;
    for (unsigned from = CA_REGISTERED; from <= CA_STATE_LAST; from++)
        all |= ca_transition_who((enum ca_state)from, to);
    return all & who;
}

void admin_device_transition(struct client *client, const struct ipc_admin_request *q) {
    struct ca_registry_move move = {
        .tenant = q->tenant,
        .device = q->device,
        .who = client->role >= CONF_ROLE_OFFICER ? CA_BY_OFFICER | CA_BY_OPERATOR : CA_BY_OPERATOR,
        .reason = q->reason};
    if (!find_move(q->state, &move)) {
        admin_refuse_format(client,
                            "there is no state \"%s\"; states are registered, provisioning, "
                            "manufactured, stocked, shipped, activated, suspended, returned, "
                            "refurbished, retired, revoked",
                            q->state);
        return;
    }
    if (!may_make(move.to, move.who)) {
        admin_deny_format(client, "%s takes the role officer; yours is operator",
                          ca_state_name(move.to));
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_registry_move(client->admin->config.registry, &move, client->actor,
                                             admin_registry_done, client));
}

void admin_device_secret(struct client *client, const struct ipc_admin_request *q) {
    uint32_t seconds = q->seconds ? q->seconds : SECRET_SECONDS_DEFAULT;
    if (seconds > SECRET_SECONDS_MAX) {
        admin_refuse(client, "a secret is valid for at most 366 days");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_registry_secret(client->admin->config.registry, q->tenant, q->device,
                                               (int64_t)seconds * 1000, client->actor,
                                               admin_registry_done, client));
}

struct revocation {
    struct client *client;
    bool remote; /* another CA signed it */
};

static void cert_revoked(void *arg, enum tm_err result, const char *text,
                         const struct ca_device *device, const char *secret) {
    AUTO_MEM struct revocation *revocation = arg;
    struct client *client = revocation->client;
    if (result || !revocation->remote) {
        admin_registry_done(client, result, text, device, secret);
        return;
    }
    if (!admin_act_ends(client))
        return;
    json_t *object = admin_json_device(device);
    (void)json_object_set_new(
        object, "note",
        json_string("refused here from now on; another CA signed it, and is the only one that can "
                    "put it on a CRL: have it revoked there, too, by the serial that \"signed_as\" "
                    "of cert show has"));
    admin_send_object(client, object, false, "", (struct bytes){0}, (struct bytes){0});
}

static bool is_remote(struct client *client, const struct ca_serial *serial) {
    const struct core_admin_config *config = &client->admin->config;
    struct ca_certificate certificate;
    uint8_t memory[IPC_CERT_MAX];
    struct buf der = BUF_ON(memory);
    if (config->store->ops->certificate(config->store, serial, &certificate, &der))
        return false;
    const struct ca_issuer *issuer = core_issuer_named(config->setup, certificate.issuer);
    return issuer && issuer->remote;
}

static enum tm_err begin_revocation(struct client *client, const struct ca_serial *serial,
                                    uint8_t reason, const char *text) {
    struct revocation *revocation = malloc(sizeof *revocation);
    if (!revocation)
        return TM_ENOMEM;
    *revocation = (struct revocation){client, is_remote(client, serial)};
    enum tm_err err = ca_registry_revoke(client->admin->config.registry, serial, reason, text,
                                         client->actor, cert_revoked, revocation);
    if (err)
        free(revocation);
    return err;
}

void admin_cert_revoke(struct client *client, const struct ipc_admin_request *q) {
    struct ca_serial serial;
    uint8_t reason = 0;
    if (!admin_serial(q, &serial)) {
        admin_refuse(client, "a serial is 2 to 40 hex digits");
        return;
    }
    if (q->reason[0] && admin_reason_find(q->reason, &reason)) {
        admin_refuse(client,
                     "reasons are unspecified, keyCompromise, affiliationChanged, superseded, "
                     "cessationOfOperation, privilegeWithdrawn (RFC 5280, 5.3.1)");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, begin_revocation(client, &serial, reason, q->reason));
}
