/* SPDX-License-Identifier: Apache-2.0 */
/* Transitions of devices, and what they do to certificates: see ca/registry_act.h. */
#include <stdio.h>
#include <string.h>

#include "ca/registry_act.h"

/* Of the codes of RFC 5280, 5.3.1: what a certificate was for has ended; it is not to be had any
 * more. */
#define CESSATION_OF_OPERATION 5
#define PRIVILEGE_WITHDRAWN 9

static enum tm_err may_move(const struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    enum ca_state from = (enum ca_state)act->device.state;
    unsigned who = ca_transition_who(from, act->to);
    char names[128];
    if (who && act->from && !(act->from & 1u << from)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s is %s, and not in a state for that",
                       act->device.id, ca_state_name(from));
        return TM_EDENIED;
    }
    if (!who) {
        ca_transitions_from(from, CA_BY_ANY, names, sizeof names);
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s is %s and may become: %s", act->device.id,
                       ca_state_name(from), names[0] ? names : "nothing else");
        return TM_EDENIED;
    }
    if (!act->who || who & act->who)
        return TM_OK;
    ca_who_names(who, names, sizeof names);
    (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s is %s; %s is not yours to say, but: %s",
                   act->device.id, ca_state_name(from), ca_state_name(act->to), names);
    return TM_EDENIED;
}

/* ---- what the product says ---- */

static enum tm_err within_limits(const struct ca_registry_act *act,
                                 const struct ca_product *product, enum ca_step step,
                                 char text[IPC_TEXT_MAX + 1]) {
    const struct ca_device *device = &act->device;
    bool rework = step == CA_STEP_REWORK;
    uint64_t most = rework ? product->max_reworks : product->max_rmas;
    uint64_t count = rework ? (uint64_t)device->rework_count + 1 : device->rma_count;
    if ((!rework && step != CA_STEP_REFURBISH) || !most || count <= most)
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s was %s %u times, and product %s allows %llu",
                   device->id, rework ? "reworked" : "returned",
                   rework ? device->rework_count : device->rma_count, product->sku,
                   (unsigned long long)most);
    return TM_EDENIED;
}

/* A new one may be issued beside none of these; they are not revoked. */
static void supersede_all(struct ca_device *device) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (ca_cert_in_use(&device->certs[i]))
            device->certs[i].status = CA_CERT_SUPERSEDED;
}

/* A device that is out of use keeps its secret, which opens nothing any more: so it is told that it
 * is out of use, and not that the secret is wrong. */
static enum tm_err withdraw_all(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    bool revoked = act->to == CA_DEVICE_REVOKED;
    enum tm_err err = ca_registry_act_revoke_all(
        act, revoked ? PRIVILEGE_WITHDRAWN : CESSATION_OF_OPERATION, text);
    if (!err && !revoked && act->to != CA_RETIRED)
        act->device.secret = (struct ca_secret){0};
    return err;
}

static enum tm_err apply_policy(struct ca_registry_act *act, enum ca_policy policy,
                                char text[IPC_TEXT_MAX + 1]) {
    switch (policy) {
    case CA_POLICY_REUSE:
        return TM_OK;
    case CA_POLICY_REISSUE:
        act->device.pinned = false; /* the new key is none of those before */
        supersede_all(&act->device);
        return TM_OK;
    case CA_POLICY_REVOKE:
        act->device.pinned = false;
        return withdraw_all(act, text);
    }
    return TM_EINVAL;
}

static enum tm_err take_step(struct ca_registry_act *act, enum ca_step step,
                             char text[IPC_TEXT_MAX + 1]) {
    const struct ca_product *product = ca_product_named(act->registry->products, act->device.sku);
    enum tm_err err = product ? within_limits(act, product, step, text) : TM_OK;
    if (err)
        return err;
    act->device.rework_count += step == CA_STEP_REWORK;
    act->device.rma_count += step == CA_STEP_RETURN;
    return apply_policy(act, ca_product_policy(product, step), text);
}

/* ---- the transition ---- */

static enum tm_err decide_move(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = ca_registry_act_load(act, text);
    if (!err)
        err = may_move(act, text);
    if (err)
        return err;
    ca_registry_act_leaf(act, CA_EVENT_TRANSITION, &act->leaf);
    act->leaf.to_state = (uint8_t)act->to;
    err = take_step(act, ca_transition_step((enum ca_state)act->device.state, act->to), text);
    if (err)
        return err;
    act->device.state = (uint8_t)act->to;
    ca_registry_act_change_device(act);
    return TM_OK;
}

enum tm_err ca_registry_move(const struct ca_registry *registry,
                             const struct ca_registry_move *move, const char *actor,
                             ca_registry_fn *done, void *arg) {
    struct ca_registry_act *act =
        ca_registry_act_new(registry, move->tenant, move->device, actor, move->reason);
    if (act) {
        act->to = move->to;
        act->from = move->from;
        act->who = move->who;
    }
    return ca_registry_act_start(act, decide_move, done, arg);
}

enum tm_err ca_registry_transition(const struct ca_registry *registry, const char *tenant,
                                   const char *id, enum ca_state to, const char *reason,
                                   const char *actor, ca_registry_fn *done, void *arg) {
    const struct ca_registry_move move = {
        .tenant = tenant, .device = id, .to = to, .reason = reason};
    return ca_registry_move(registry, &move, actor, done, arg);
}
