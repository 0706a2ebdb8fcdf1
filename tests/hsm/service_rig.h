/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The issuing service on real parts in one process: LMDB on disk, a SoftHSM token behind the
 * signer's own threads, and the core's link to it. Only TLS and HTTP are missing.
 */
#ifndef TOUCHMARK_TESTS_HSM_SERVICE_RIG_H
#define TOUCHMARK_TESTS_HSM_SERVICE_RIG_H

#include <openssl/x509.h>

#include "ca/registry.h"
#include "ca/service.h"
#include "pkcs11/signer.h"
#include "server/core/core.h"
#include "softhsm.h"

struct rig {
    struct softhsm hsm;
    char store_path[128];
    struct loop *loop;
    struct ca_store *store;
    struct core_setup setup;
    struct ca_service_config config;
    struct core_signer *signer_link;
    struct hsm_signer_issuer hsm_issuer;
    struct hsm_signer *signer;
    struct ca_service *service;
    struct ca_registry registry;
    struct ca_wrap *wrap;
    struct ca_jobs *jobs;
    unsigned alarms; /* of jobs */
    unsigned distrusted;
};

/* One tenant "acme" with labels idevid, ldevid (default) and strict (PoP linking required); another
 * tenant "other" with label elsewhere. Beside them labels whose keys are made by the server: keygen
 * (existing ones are superseded), sealed (encrypted only; its certificates agree on keys), and rsa,
 * whose certificates encipher keys; and of stations: station, their own, and factory, which takes
 * registration authorities alone. The service's wall clock is rig_now_ms, which the test
 * moves. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* The same for cmocka, with a rig on the heap; the teardown checks the store first. */
int rig_setup(void **state);
int rig_teardown(void **state);
int64_t rig_now_ms(void);
void rig_set_clock(int64_t wall_ms); /* 0 = the real one */

/* Stops the signer and its link; rig_signer_start brings another. */
void rig_signer_stop(struct rig *rig);
void rig_signer_start(struct rig *rig);

/* A device, and a request with its answer. */
void rig_device_add(struct rig *rig, const char *id, char ret_secret[CA_SECRET_TEXT]);
void rig_transition(struct rig *rig, const char *id, enum ca_state to);
void rig_revoke(struct rig *rig, const struct ca_serial *serial);

struct rig_answer {
    bool done;
    enum ipc_outcome outcome;
    uint32_t retry_after_s;
    char text[IPC_TEXT_MAX + 1];
    uint8_t der[IPC_CERT_MAX];
    size_t der_n;
    uint8_t cmc[IPC_CMC_MAX]; /* Full PKI Response */
    size_t cmc_n;
    uint8_t key[IPC_PRIVATE_KEY_MAX]; /* made by the server */
    size_t key_n;
    bool key_encrypted;
};

struct rig_request {
    const char *label;
    bool reenroll;
    const char *user, *secret; /* NULL = none */
    struct bytes certificate;  /* the peer's */
    EVP_PKEY *key;
    const char *cn;        /* subject CN, and serialNumber; NULL = empty subject */
    const char *dns;       /* dNSName asked for, NULL = none */
    const char *challenge; /* challengePassword, NULL = none */
    struct bytes exporter;
    bool keygen;      /* serverkeygen */
    struct bytes csr; /* sent as it is; empty: made of the above */
};
/* Sends; the answer comes while the loop runs. */
void rig_send(struct rig *rig, const struct rig_request *request, struct rig_answer *answer);
/* A DER PKCS#10 as `request` wants it, with a subjectKeyIdentifier when key_id is set. The caller
 * frees it with OPENSSL_free. */
size_t rig_make_csr(const struct rig_request *request, struct bytes key_id, uint8_t **ret);
/* Sends a Full PKI Request as the bridge would; tls_leaf: over HTTPS with that client certificate.
 */
void rig_send_cmc(struct rig *rig, const char *label, struct bytes message, struct bytes tls_leaf,
                  struct rig_answer *answer);
/* Runs the loop until all n answers are there, at most 20 s. */
void rig_wait(struct rig *rig, struct rig_answer *answers, size_t n);
/* Both. */
void rig_enroll(struct rig *rig, const struct rig_request *request, struct rig_answer *answer);
/* Fails the test with what the answer says instead. */
void rig_assert_outcome(const struct rig_answer *answer, enum ipc_outcome outcome);

/* Certificates (not burned serials) and burned serials in the store; leaves of an event. */
size_t rig_count(struct rig *rig, enum ca_cert_status status);
size_t rig_leaves(struct rig *rig, enum ca_event event, enum ipc_outcome outcome);
/* The newest leaf of an event; the test fails where there is none. */
struct ca_leaf rig_last_leaf(struct rig *rig, enum ca_event event);
void rig_check_store(struct rig *rig);

#endif
