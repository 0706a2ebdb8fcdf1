/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs for clouds (requirement B8): AWS IoT Core and Azure IoT DPS give a code, and take an
 * issuer for ours when its key has signed a certificate with that code as subject. To register it
 * in an account is to let that account's owner speak for its devices: where there are officers,
 * two of them sign the act "cloud-proof".
 */
#ifndef TOUCHMARK_SERVER_CORE_CLOUD_H
#define TOUCHMARK_SERVER_CORE_CLOUD_H

#include "ca/act.h"
#include "server/core/core.h"

#define CORE_CLOUD_ACT "cloud-proof" /* parameters issuer, cloud ("aws", "azure"), code */

struct core_cloud;
struct core_cloud_config {
    struct loop *loop;
    struct ca_store *store;
    struct ca_service *service;
    const struct core_setup *setup;
};

/* Adds the kind to the acts. TM_ENOMEM, TM_EEXISTS, what the store says. */
MUST_USE enum tm_err core_cloud_new(const struct core_cloud_config *config, struct ca_acts *acts,
                                    struct core_cloud **ret_cloud);
/* After the store is closed; the service has nothing under way. NULL-safe. */
void core_cloud_free(struct core_cloud *cloud);

/* Could there be this proof? TM_ENOTFOUND, TM_EDENIED, TM_EINVAL: one clear sentence in `text`. */
MUST_USE enum tm_err core_cloud_judge(const struct core_cloud *cloud, const char *issuer,
                                      const char *name, const char *code,
                                      char text[IPC_TEXT_MAX + 1]);
/* Issues it, or finds the one that this code has. After core_cloud_judge. actor: for the audit. */
void core_cloud_prove(struct core_cloud *cloud, const char *issuer, const char *code,
                      const char *actor, ca_reply_fn *reply, void *arg);

/* Would a certificate of a device with this ID serve a cloud for a proof? AWS IoT Core's codes are
 * told by their form; others are known once a proof was asked for. NULL-safe: none would. */
bool core_cloud_reserves(const struct core_cloud *cloud, const char *device);

#endif
