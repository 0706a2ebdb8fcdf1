/* SPDX-License-Identifier: Apache-2.0 */
/* What the TLS server's key on a token signs, and all that it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/ticket.h"
#include "pki/der.h"

#define HEAD 98 /* 64 blanks, 33 characters, 0 */

static const uint8_t key[] = {DER_SEQUENCE, 3, DER_OID, 1, 42};
static const uint8_t other[] = {DER_SEQUENCE, 3, DER_OID, 1, 43};
static const struct hsm_rules rules = {.tls_spki = {key, sizeof key}};

static size_t verify_content(const char *context, size_t hash, uint8_t ret[256]) {
    memset(ret, 0x20, 64);
    memcpy(ret + 64, context, strlen(context) + 1);
    memset(ret + 64 + strlen(context) + 1, 0xa5, hash);
    return 64 + strlen(context) + 1 + hash;
}

static bool passes(const struct hsm_rules *by, uint8_t kind, struct bytes content) {
    struct hsm_permit permit = {0};
    char text[IPC_TEXT_MAX + 1] = "";
    const struct ipc_tls_ticket ticket = {.id = 1, .kind = kind, .content = content};
    enum tm_err err = hsm_tls_ticket_check(by, &ticket, &permit, text);
    if (err) {
        assert_int_equal(err, TM_EDENIED);
        assert_true(text[0]);
        return false;
    }
    assert_true(permit.tls);
    assert_false(permit.ocsp);
    assert_true(bytes_equal(permit.message, content));
    return true;
}

static void handshakes_of_a_server_pass(void **state) {
    (void)state;
    uint8_t content[256];
    static const char context[] = "TLS 1.3, server CertificateVerify";
    for (size_t hash = 0; hash < 70; hash++) {
        size_t n = verify_content(context, hash, content);
        assert_int_equal(passes(&rules, IPC_TLS_HANDSHAKE, (struct bytes){content, n}),
                         hash == 32 || hash == 48);
    }
    size_t n = verify_content(context, 32, content);
    for (size_t i = 0; i < HEAD; i++) {
        content[i] ^= 1;
        assert_false(passes(&rules, IPC_TLS_HANDSHAKE, (struct bytes){content, n}));
        content[i] ^= 1;
    }
    assert_false(passes(&rules, IPC_TLS_REQUEST, (struct bytes){content, n}));
    assert_false(passes(&rules, IPC_TLS_KEY, (struct bytes){content, n}));
    static const struct hsm_rules none = {0};
    assert_false(passes(&none, IPC_TLS_HANDSHAKE, (struct bytes){content, n}));
    n = verify_content("TLS 1.3, client CertificateVerify", 32, content);
    assert_false(passes(&rules, IPC_TLS_HANDSHAKE, (struct bytes){content, n}));
}

/* A CertificationRequestInfo with an empty name and no attributes. */
static struct bytes info(uint8_t memory[64], uint32_t version, struct bytes spki, bool more) {
    struct der_writer w = der_writer_on(memory, 64);
    size_t end = der_mark(&w);
    if (more)
        der_put_small(&w, 1);
    der_put(&w, DER_CONTEXT_CONSTRUCTED(0), (struct bytes){0});
    der_raw(&w, spki);
    der_put(&w, DER_SEQUENCE, (struct bytes){0});
    der_put_small(&w, version);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_written(&w);
}

static void requests_for_the_key_itself_pass(void **state) {
    (void)state;
    uint8_t memory[64];
    assert_true(passes(&rules, IPC_TLS_REQUEST, info(memory, 0, BYTES_OF(key), false)));
    assert_false(passes(&rules, IPC_TLS_HANDSHAKE, info(memory, 0, BYTES_OF(key), false)));
    assert_false(passes(&rules, IPC_TLS_REQUEST, info(memory, 0, BYTES_OF(other), false)));
    assert_false(passes(&rules, IPC_TLS_REQUEST, info(memory, 1, BYTES_OF(key), false)));
    assert_false(passes(&rules, IPC_TLS_REQUEST, info(memory, 0, BYTES_OF(key), true)));
    struct bytes good = info(memory, 0, BYTES_OF(key), false);
    for (size_t n = 0; n < good.n; n++)
        assert_false(passes(&rules, IPC_TLS_REQUEST, (struct bytes){good.p, n}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_of_a_server_pass),
        cmocka_unit_test(requests_for_the_key_itself_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
