/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the signer's tests: a CA made by a real ceremony on a SoftHSM of its own, a profile, and
 * tickets as a core would send them.
 */
#ifndef TOUCHMARK_TESTS_HSM_SIGNER_RIG_H
#define TOUCHMARK_TESTS_HSM_SIGNER_RIG_H

#include "softhsm.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "ca/build.h"
#include "ca/ceremony.h"
#include "ca/ceremony_cert.h"
#include "ca/issuer.h"
#include "ca/profile.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"
#include "ipc/link.h"
#include "pkcs11/keystore.h"
#include "pkcs11/signer.h"

#define RIG_TBS_MAX 2048
#define UNUSED __attribute__((unused))

struct signer_rig {
    struct softhsm hsm;
    char control[128]; /* of the shim */
    struct ca_issuer issuer;
    struct ca_profile profile;
    struct hsm_signer_issuer entry;
    struct hsm_signer_config config;
    uint8_t spki_memory[128];
    struct pki_spki spki; /* a device's */
    uint8_t in[IPC_MESSAGE_MAX];
};

static const char rig_ceremony[] =
    "environment: test\ntranscript: transcript.yaml\nout: ca\n"
    "tokens: [{name: works, module: " SOFTHSM_MODULE
    ", label: works, init: true, pin: pin, so_pin: pin}]\n"
    "root: {name: root, token: works, key_label: root-key, key_type: p256, "
    "subject: [{type: CN, value: Root}], not_after: 99991231235959Z}\n"
    "intermediates: [{name: factory, token: works, key_label: factory-key, "
    "subject: [{type: CN, value: Factory}], not_after: 99991231235959Z, key_type: %s}]\n";

static const char rig_profile[] =
    "kind: idevid\nkeys: [p256]\nsubject: [{type: serialNumber, value: \"{id}\"}]\n"
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\n"
    "not_after: 99991231235959Z\ncredentials: [secret]\nstates: [registered]\n"
    "next_state: manufactured\n";

static void rig_step(void *arg, const char *line) {
    (void)arg;
    (void)line;
}

static void rig_hold_ceremony(struct signer_rig *rig, const char *key_type) {
    char path[128], text[sizeof rig_ceremony + 16], error[CONF_ERROR_MAX] = "";
    struct ca_ceremony plan;
    struct ca_keystore *keystore = NULL;
    const struct ca_ceremony_host host = {"here", "test", "test", "rig", rig_step, NULL};
    (void)snprintf(path, sizeof path, "%s/pin", rig->hsm.folder);
    write_text(path, SOFTHSM_PIN);
    assert_int_equal(chmod(path, 0600), 0);
    (void)snprintf(path, sizeof path, "%s/ceremony.yaml", rig->hsm.folder);
    (void)snprintf(text, sizeof text, rig_ceremony, key_type);
    write_text(path, text);
    assert_int_equal(hsm_keystore_new(&keystore), TM_OK);
    if (ca_ceremony_load(path, &plan, error) || ca_ceremony_run(&plan, keystore, &host, error))
        fail_msg("%s", error);
    ca_ceremony_free(&plan);
    hsm_keystore_free(keystore);
}

static void rig_make_device_key(struct signer_rig *rig) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    uint8_t *p = rig->spki_memory;
    assert_non_null(key);
    int n = i2d_PUBKEY(key, NULL);
    assert_true(n > 0 && (size_t)n <= sizeof rig->spki_memory);
    assert_int_equal(i2d_PUBKEY(key, &p), n);
    struct bytes der = {rig->spki_memory, (size_t)n};
    assert_int_equal(pki_spki_parse(der, &rig->spki), TM_OK);
    EVP_PKEY_free(key);
}

static void rig_dead(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "signer dead: %s\n", text);
    _exit(70);
}

/* key_type: of the issuing CA, as the ceremony calls it. */
static struct signer_rig *rig_open_for(const char *key_type) {
    struct signer_rig *rig = calloc(1, sizeof *rig);
    char certificate[128], chain[128], text[IPC_TEXT_MAX + 1] = "", error[CONF_ERROR_MAX] = "";
    assert_non_null(rig);
    softhsm_setup(&rig->hsm);
    (void)snprintf(rig->control, sizeof rig->control, "%s/control", rig->hsm.folder);
    assert_int_equal(setenv("TM_SHIM_CONTROL", rig->control, 1), 0);
    rig_hold_ceremony(rig, key_type);
    (void)snprintf(certificate, sizeof certificate, "%s/ca/factory.pem", rig->hsm.folder);
    (void)snprintf(chain, sizeof chain, "%s/ca/factory-chain.pem", rig->hsm.folder);
    if (ca_issuer_load("factory", certificate, chain, &rig->issuer, text))
        fail_msg("%s", text);
    if (ca_profile_load_text(rig_profile, sizeof rig_profile - 1, "idevid.yaml", &rig->profile,
                             error))
        fail_msg("%s", error);
    rig_make_device_key(rig);
    rig->entry = (struct hsm_signer_issuer){.issuer = &rig->issuer, .key_label = "factory-key"};
    rig->config = (struct hsm_signer_config){.token = {SOFTHSM_MODULE, "works"},
                                             .issuers = &rig->entry,
                                             .issuer_count = 1,
                                             .profiles = &rig->profile,
                                             .profile_count = 1,
                                             .threads = 4,
                                             .watchdog_ms = 20000,
                                             .dead = rig_dead};
    return rig;
}

UNUSED static struct signer_rig *rig_open(void) {
    return rig_open_for("p256");
}

static void rig_close(struct signer_rig *rig) {
    ca_issuer_free(&rig->issuer);
    ca_profile_free(&rig->profile);
    softhsm_teardown(&rig->hsm);
    free(rig);
}

/* ---- tickets ---- */

static void rig_build(struct signer_rig *rig, struct buf *out) {
    struct ca_device device = {.id = "TM-0001", .state = CA_REGISTERED};
    struct ca_serial serial;
    int64_t now = clock_wall_ms();
    assert_int_equal(ca_serial_make(now, &serial), TM_OK);
    const struct ca_build build = {.profile = &rig->profile,
                                   .issuer = &rig->issuer,
                                   .device = &device,
                                   .serial = &serial,
                                   .spki = &rig->spki,
                                   .now_ms = now};
    assert_int_equal(ca_build_tbs(&build, out), TM_OK);
}

static struct ipc_ticket rig_ticket(const struct signer_rig *rig, uint64_t id, struct bytes tbs) {
    struct ipc_ticket ticket = {.id = id, .issuer = "factory", .profile = "idevid", .tbs = tbs};
    memcpy(ticket.profile_hash, rig->profile.hash, sizeof ticket.profile_hash);
    return ticket;
}

/* A Full PKI Response's content: appends a PKIResponse that refuses a request. */
UNUSED static void rig_response(struct buf *out) {
    const struct est_cmc_response response = {.transaction = bytes_str("transaction"),
                                              .sender_nonce = bytes_str("a new challenge"),
                                              .recipient_nonce = bytes_str("the device's nonce"),
                                              .has_status = true,
                                              .status = EST_CMC_FAILED,
                                              .part = EST_CMC_PART_CSR,
                                              .text = bytes_str("not today"),
                                              .has_fail = true,
                                              .fail = EST_CMC_TRY_LATER};
    assert_int_equal(est_cmc_response_write(&response, out), TM_OK);
}

UNUSED static struct ipc_cmc_ticket rig_cmc_ticket(uint64_t id, struct bytes content) {
    return (struct ipc_cmc_ticket){
        .id = id, .issuer = "factory", .signing_time_ms = clock_wall_ms(), .content = content};
}

UNUSED static void rig_send_cmc(int core, const struct ipc_cmc_ticket *ticket) {
    assert_int_equal(ipc_send(core, &ipc_cmc_ticket_schema, ticket), TM_OK);
}

static void rig_send(int core, const struct ipc_ticket *ticket) {
    assert_int_equal(ipc_send(core, &ipc_ticket_schema, ticket), TM_OK);
}

/* The next answer; its signature is valid until the next call. */
static struct ipc_signed rig_receive(struct signer_rig *rig, int core) {
    struct bytes message;
    struct ipc_signed answer;
    assert_int_equal(ipc_receive(core, rig->in, sizeof rig->in, 60000, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_signed_schema, message, &answer), TM_OK);
    return answer;
}

static void rig_expect_keys(struct signer_rig *rig, int core) {
    struct bytes message;
    struct ipc_key key;
    assert_int_equal(ipc_receive(core, rig->in, sizeof rig->in, 60000, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_key_schema, message, &key), TM_OK);
    assert_int_equal(key.count, 1);
    assert_string_equal(key.issuer, "factory");
    assert_true(ca_issuer_has_key(&rig->issuer, key.spki));
}

UNUSED static struct hsm_signer *rig_signer(struct signer_rig *rig) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX] = "";
    if (hsm_signer_open(&rig->config, SOFTHSM_PIN, &signer, text))
        fail_msg("%s", text);
    return signer;
}

/* A link as the core has it: the core's end. */
UNUSED static int rig_link(struct signer_rig *rig, struct hsm_signer *signer) {
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    assert_int_equal(hsm_signer_link(signer, fds[1]), TM_OK);
    rig_expect_keys(rig, fds[0]);
    return fds[0];
}

/* What a core that somebody took over would ask for first: a CA of its own. */
UNUSED static void rig_put_ca_tbs(const struct signer_rig *rig, struct buf *out) {
    struct ca_serial serial;
    uint8_t name_memory[256];
    struct buf name = BUF_ON(name_memory);
    struct ca_ceremony_attribute cn = {(char[]){"CN"}, (char[]){"Evil"}};
    const struct ca_ceremony_ca ca = {.subject = {&cn, 1}};
    assert_int_equal(ca_serial_make(clock_wall_ms(), &serial), TM_OK);
    assert_int_equal(ca_ceremony_name(&ca, 1, &name), TM_OK);
    const struct ca_ceremony_tbs tbs = {.subject = buf_bytes(&name),
                                        .issuer = rig->issuer.view.subject,
                                        .spki = rig->spki,
                                        .signer = rig->issuer.view.spki,
                                        .signer_key_id = rig->issuer.key_id,
                                        .serial = &serial,
                                        .not_before_ms = clock_wall_ms(),
                                        .not_after_ms = clock_wall_ms() + 86400000};
    assert_int_equal(ca_ceremony_put_tbs(&tbs, out), TM_OK);
}

#endif
