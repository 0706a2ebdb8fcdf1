/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to the registry: a device is added or moved through its lifecycle, gets a one-time
 * secret, or a certificate is revoked. Each is one transaction with its audit leaf; a
 * change that loses against a concurrent one of the same device is decided again. One
 * loop's thread, like the store it works on.
 */
#ifndef TOUCHMARK_CA_REGISTRY_H
#define TOUCHMARK_CA_REGISTRY_H

#include "ca/product.h"
#include "ca/store.h"
#include "ca/wrap.h"

/* A device ID that the registry takes: 1 to 64 of A-Z a-z 0-9 . - (no colon: it is the
 * user name of HTTP Basic, RFC 7617, section 2; no underscore: it is the serialNumber of names, a
 * PrintableString, RFC 5280, appendix A). */
bool ca_device_id_valid(const char *id);

/* What is said of one that it does not take: the ID and IPC_NAME_MAX. */
#define CA_DEVICE_ID_FAULT "\"%.64s\" is no device ID: 1 to %d of A-Z a-z 0-9 . - are allowed"

#define CA_SECRET_TEXT 41 /* 40 hex digits, 160 random bits, and a NUL */

/* Called once, when the change is durable (TM_OK; text is empty) or was refused: text is one
 * clear sentence. `device` is the device as it is now, or NULL. `secret` is set by
 * ca_registry_secret only; it is wiped after the call. */
typedef void ca_registry_fn(void *arg, enum tm_err result, const char *text,
                            const struct ca_device *device, const char *secret);

struct ca_registry {
    struct ca_store *store;
    struct ca_wrap *wrap;               /* NULL: secrets do for HTTP Basic, not for CMC */
    const struct ca_products *products; /* NULL: there are none */
    int64_t (*now_ms)(void);
    /* Called when a certificate is revoked, durably; NULL: nobody wants to know. */
    void (*revoked)(void *arg, const struct ca_certificate *certificate);
    void *arg;
};

/* Only tenant, id, sku, hardware_revision, batch and site of *device are read. actor: who, for
 * the audit. The functions copy what they need; an error return means `done` is not called. */
MUST_USE enum tm_err ca_registry_add(const struct ca_registry *registry,
                                     const struct ca_device *device, const char *actor,
                                     ca_registry_fn *done, void *arg);
/* The same by an officer: where its product allows it, the device takes the place of one of its ID
 * that is retired or revoked, whose certificates are revoked with it. */
MUST_USE enum tm_err ca_registry_replace(const struct ca_registry *registry,
                                         const struct ca_device *device, const char *actor,
                                         ca_registry_fn *done, void *arg);

/* A transition. What the product's policy makes of the device's certificates (ca_product.rework,
 * rma, refurbishment) is part of it, and its counters are. */
struct ca_registry_move {
    const char *tenant;
    const char *device;
    enum ca_state to;
    unsigned from;      /* states that the device may be in, 1u << enum ca_state; 0: any */
    unsigned who;       /* CA_BY_*: who wants it; 0: whether they may was judged before */
    const char *reason; /* in words */
};
MUST_USE enum tm_err ca_registry_move(const struct ca_registry *registry,
                                      const struct ca_registry_move *move, const char *actor,
                                      ca_registry_fn *done, void *arg);
/* The same from any state, by who may. */
MUST_USE enum tm_err ca_registry_transition(const struct ca_registry *registry, const char *tenant,
                                            const char *id, enum ca_state to, const char *reason,
                                            const char *actor, ca_registry_fn *done, void *arg);
/* Replaces an earlier secret, used or not. */
MUST_USE enum tm_err ca_registry_secret(const struct ca_registry *registry, const char *tenant,
                                        const char *id, int64_t valid_ms, const char *actor,
                                        ca_registry_fn *done, void *arg);
/* reason: RFC 5280, 5.3.1 (0 unspecified, 1 keyCompromise, 3 affiliationChanged, 4 superseded,
 * 5 cessationOfOperation, 9 privilegeWithdrawn); text: the operator's words. */
MUST_USE enum tm_err ca_registry_revoke(const struct ca_registry *registry,
                                        const struct ca_serial *serial, uint8_t reason,
                                        const char *text, const char *actor, ca_registry_fn *done,
                                        void *arg);

#endif
