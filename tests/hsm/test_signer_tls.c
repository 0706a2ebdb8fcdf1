/* SPDX-License-Identifier: Apache-2.0 */
/* The signer and the TLS server's key, on a real token. */
#include "signer_rig.h"

#include <unistd.h>

#include "ca/signature.h"

#define LABEL "tls-server"

static void generate(struct signer_rig *rig, enum hsm_key_type type, const char *label) {
    struct hsm_token *token = NULL;
    char text[HSM_TEXT_MAX] = "";
    if (hsm_token_open(&rig->config.token, SOFTHSM_PIN, &token, text) ||
        hsm_key_generate(token, type, label, text))
        fail_msg("%s", text);
    hsm_token_close(token);
}

static int setup(void **state) {
    *state = rig_open();
    generate(*state, HSM_KEY_P256, LABEL);
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    return 0;
}

static void assert_does_not_open(struct signer_rig *rig, const char *label, enum tm_err wanted,
                                 const char *why) {
    struct hsm_signer *signer = NULL;
    char text[HSM_TEXT_MAX] = "";
    rig->config.tls_key_label = label;
    assert_int_equal(hsm_signer_open(&rig->config, SOFTHSM_PIN, &signer, text), wanted);
    if (!strstr(text, why))
        fail_msg("%s", text);
}

static void it_is_a_key_of_its_own(void **state) {
    struct signer_rig *rig = *state;
    generate(rig, HSM_KEY_RSA3072, "rsa");
    assert_does_not_open(rig, "nowhere", TM_ENOTFOUND, "TLS server");
    assert_does_not_open(rig, "factory-key", TM_EDENIED, "is an issuer's");
    assert_does_not_open(rig, "rsa", TM_EDENIED, "neither P-256 nor P-384");
}

/* It is shown before the issuer's. */
static int open_linked(struct signer_rig *rig, struct hsm_signer **ret_signer, uint8_t memory[128],
                       struct bytes *ret_spki) {
    struct bytes message;
    struct ipc_key key;
    int fds[2];
    *ret_signer = rig_signer(rig);
    assert_int_equal(ipc_pair(fds), TM_OK);
    assert_int_equal(hsm_signer_link(*ret_signer, fds[1]), TM_OK);
    assert_int_equal(ipc_receive(fds[0], rig->in, sizeof rig->in, 20000, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_key_schema, message, &key), TM_OK);
    assert_int_equal(key.tls, 1);
    assert_int_equal(key.index, 0);
    assert_int_equal(key.count, 2);
    assert_string_equal(key.issuer, "");
    assert_true(key.spki.n && key.spki.n <= 128);
    memcpy(memory, key.spki.p, key.spki.n);
    *ret_spki = (struct bytes){memory, key.spki.n};
    assert_int_equal(ipc_receive(fds[0], rig->in, sizeof rig->in, 20000, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_key_schema, message, &key), TM_OK);
    assert_int_equal(key.tls, 0);
    assert_int_equal(key.index, 1);
    assert_string_equal(key.issuer, "factory");
    return fds[0];
}

static struct ipc_signed ask(struct signer_rig *rig, int core, uint64_t id, enum ipc_tls_kind kind,
                             struct bytes content) {
    const struct ipc_tls_ticket ticket = {.id = id, .kind = (uint8_t)kind, .content = content};
    assert_int_equal(ipc_send(core, &ipc_tls_ticket_schema, &ticket), TM_OK);
    return rig_receive(rig, core);
}

static void it_signs_handshakes_and_nothing_of_a_ca(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = NULL;
    struct bytes spki;
    struct pki_spki parsed;
    struct ca_checker *checker = NULL;
    uint8_t memory[128], tbs_memory[RIG_TBS_MAX], content[130];
    static const char context[] = "TLS 1.3, server CertificateVerify";
    memset(content, 0x20, 64);
    memcpy(content + 64, context, sizeof context);
    memset(content + 64 + sizeof context, 0x5a, 32);
    rig->config.tls_key_label = LABEL;
    rig->config.max_total = 1;
    int core = open_linked(rig, &signer, memory, &spki);
    assert_int_equal(pki_spki_parse(spki, &parsed), TM_OK);
    assert_int_equal(ca_checker_new(&checker), TM_OK);
    for (uint64_t id = 1; id <= 5; id++) { /* which no ceiling counts */
        struct ipc_signed answer = ask(rig, core, id, IPC_TLS_HANDSHAKE, BYTES_OF(content));
        assert_int_equal(answer.status, IPC_SIGN_OK);
        assert_int_equal(ca_signature_verify(checker, &parsed, PKI_OID_ECDSA_SHA256,
                                             BYTES_OF(content), answer.signature),
                         TM_OK);
    }
    ca_checker_free(checker);
    struct buf tbs = BUF_ON(tbs_memory);
    rig_build(rig, &tbs);
    assert_int_equal(ask(rig, core, 6, IPC_TLS_HANDSHAKE, buf_bytes(&tbs)).status,
                     IPC_SIGN_REFUSED);
    assert_int_equal(ask(rig, core, 7, IPC_TLS_REQUEST, buf_bytes(&tbs)).status, IPC_SIGN_REFUSED);
    const struct ipc_ticket ticket = rig_ticket(rig, 8, buf_bytes(&tbs));
    rig_send(core, &ticket); /* the one that the ceiling allows is still there */
    assert_int_equal(rig_receive(rig, core).status, IPC_SIGN_OK);
    (void)close(core);
    hsm_signer_close(signer);
}

static void without_the_key_it_refuses(void **state) {
    struct signer_rig *rig = *state;
    uint8_t content[130] = {0};
    struct hsm_signer *signer = rig_signer(rig);
    int core = rig_link(rig, signer);
    struct ipc_signed answer = ask(rig, core, 1, IPC_TLS_HANDSHAKE, BYTES_OF(content));
    assert_int_equal(answer.status, IPC_SIGN_REFUSED);
    assert_non_null(strstr(answer.text, "is not here"));
    (void)close(core);
    hsm_signer_close(signer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_a_key_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(it_signs_handshakes_and_nothing_of_a_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_key_it_refuses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
