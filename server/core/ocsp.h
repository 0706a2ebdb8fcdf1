/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP (RFC 6960) in the core: what the status face has no answer for is looked up, and signed by
 * the issuer's OCSP key; and those keys have certificates, which are renewed in time. On the loop's
 * thread. Not having any is NULL, which all but _new take.
 */
#ifndef TOUCHMARK_SERVER_CORE_OCSP_H
#define TOUCHMARK_SERVER_CORE_OCSP_H

#include "conf/conf.h"
#include "server/core/core.h"

struct core_ocsp;

struct core_ocsp_config {
    struct ca_store *store;
    struct ca_service *service;
    struct core_signer *signer;
    const struct core_setup *setup; /* with its ocsp_profile */
    const struct conf_status *conf;
    int64_t (*now_ms)(void);
    const bool *held; /* while it is true nothing is answered; NULL: it never is */
};

/* Answers that are on their way when it is freed are never given; the signer is freed before, and
 * the service has nothing under way. */
MUST_USE enum tm_err core_ocsp_new(const struct core_ocsp_config *config,
                                   struct core_ocsp **ret_ocsp);
void core_ocsp_free(struct core_ocsp *ocsp);

void core_ocsp_link(struct core_ocsp *ocsp, struct ipc_link *link);
void core_ocsp_unlink(struct core_ocsp *ocsp, const struct ipc_link *link);
/* Answers over the link that it came by. False: it is no question. */
MUST_USE bool core_ocsp_asked(struct core_ocsp *ocsp, struct ipc_link *link,
                              const struct ipc_ocsp_ask *ask);
/* A certificate is revoked, durably: who keeps answers on it must forget them. */
void core_ocsp_revoked(struct core_ocsp *ocsp, const struct ca_certificate *certificate);
/* Gets and renews certificates; call it every 100 ms. */
void core_ocsp_tick(struct core_ocsp *ocsp);
/* notAfter of the certificate of an issuer's OCSP key. 0: there is none. */
int64_t core_ocsp_not_after(const struct core_ocsp *ocsp, const char *issuer);

#endif
