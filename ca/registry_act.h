/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change of the registry under way: decided on what is stored, submitted, and decided again
 * when the device changed meanwhile. Internal to ca/registry*.c.
 *
 *   registry_act.c   the act itself, and what all kinds share
 *   registry.c       secrets, single revocations
 *   registry_add.c   devices, also under an ID that another had
 *   registry_move.c  transitions, with what the product's policy makes of the certificates
 */
#ifndef TOUCHMARK_CA_REGISTRY_ACT_H
#define TOUCHMARK_CA_REGISTRY_ACT_H

#include "ca/dropped.h"
#include "ca/registry.h"

/* A certificate that is revoked in the same transaction. */
struct ca_registry_act_revoked {
    struct ca_certificate certificate;
    struct ca_leaf leaf;
};

/* Of the certificates that dropped out of the device's record, those of one transaction, with
 * revocation, leaf and end of the row of each. */
#define CA_REGISTRY_ACT_DROPPED_MAX 10

struct ca_registry_act {
    const struct ca_registry *registry;
    enum tm_err (*decide)(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]);
    ca_registry_fn *done;
    void *arg;
    unsigned attempts;
    struct ca_device wanted; /* what the caller gave */
    enum ca_state to;
    unsigned from; /* states that it may be in, 1u << enum ca_state; 0: any */
    unsigned who;  /* CA_BY_*; 0: the caller has judged that */
    bool replaces; /* the device of this ID that is out of use */
    uint8_t reason;
    struct ca_serial serial;
    int64_t valid_ms;
    char secret[CA_SECRET_TEXT];
    struct ca_device device;
    struct ca_leaf leaf;
    size_t revoked_count;
    struct ca_registry_act_revoked revoked[CA_DEVICE_CERTS_MAX];
    size_t dropped_count;
    struct ca_dropped dropped[CA_REGISTRY_ACT_DROPPED_MAX];
    bool part; /* the batch comes before the one that the act is */
    struct ca_batch batch;
    char words[IPC_TEXT_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
};

/* NULL: no memory, which ca_registry_act_start says. */
struct ca_registry_act *ca_registry_act_new(const struct ca_registry *registry, const char *tenant,
                                            const char *id, const char *actor, const char *words);
/* Takes the act over. */
MUST_USE enum tm_err ca_registry_act_start(struct ca_registry_act *act,
                                           enum tm_err (*decide)(struct ca_registry_act *, char *),
                                           ca_registry_fn *done, void *arg);

/* The device of act->wanted, into act->device; else what is wrong, into text. */
MUST_USE enum tm_err ca_registry_act_load(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]);
/* A leaf about act->device as it is now. */
void ca_registry_act_leaf(const struct ca_registry_act *act, enum ca_event event,
                          struct ca_leaf *ret);
void ca_registry_act_change(struct ca_registry_act *act, struct ca_change change);
/* The device with its next version, and act->leaf. */
void ca_registry_act_change_device(struct ca_registry_act *act);
/* One certificate and its leaf; the device's record says so, too, if it names it. */
void ca_registry_act_revoke(struct ca_registry_act *act, const struct ca_certificate *certificate,
                            uint8_t reason);
/* The row of a dropped certificate goes. */
void ca_registry_act_end_dropped(struct ca_registry_act *act, const struct ca_dropped *dropped);
/* All of the device's that were not revoked; none that was issued before counts any more.
 * TM_EAGAIN, which the caller's decision passes on: there are such as dropped out of the device's
 * record. They do not fit into the same transaction, so the batch revokes some of them, and
 * afterwards it is decided again. */
MUST_USE enum tm_err ca_registry_act_revoke_all(struct ca_registry_act *act, uint8_t reason,
                                                char text[IPC_TEXT_MAX + 1]);

#endif
