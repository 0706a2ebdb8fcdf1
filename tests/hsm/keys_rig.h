/* SPDX-License-Identifier: Apache-2.0 */
/* What any key store of a device has to do, whatever holds its keys. */
#ifndef TOUCHMARK_TESTS_HSM_KEYS_RIG_H
#define TOUCHMARK_TESTS_HSM_KEYS_RIG_H

#include "tests/unit/pki_fixture.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "client/port/openssl.h"

struct public_key {
    uint8_t spki[TM_SPKI_MAX];
};

UNUSED static struct public_key public_key_of(const struct tm_keys *keys, unsigned bank) {
    struct public_key key;
    struct buf out = BUF_ON(key.spki);
    assert_int_equal(keys->public_key(keys->self, bank, &out), TM_OK);
    assert_int_equal(out.n, TM_SPKI_MAX);
    return key;
}

UNUSED static bool same_key(const struct public_key *a, const struct public_key *b) {
    return memcmp(a->spki, b->spki, TM_SPKI_MAX) == 0;
}

UNUSED static void assert_empty(const struct tm_keys *keys, unsigned bank) {
    uint8_t memory[TM_SPKI_MAX], digest[TM_SHA256_SIZE] = {0};
    struct buf out = BUF_ON(memory);
    assert_int_equal(keys->public_key(keys->self, bank, &out), TM_ENOTFOUND);
    assert_int_equal(keys->sign(keys->self, bank, digest, &out), TM_ENOTFOUND);
    assert_int_equal(out.n, 0);
}

UNUSED static bool verifies(const struct public_key *key, const uint8_t digest[TM_SHA256_SIZE],
                            struct bytes signature) {
    const unsigned char *p = key->spki;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, TM_SPKI_MAX);
    assert_non_null(pkey);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    assert_non_null(ctx);
    assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
    int good = EVP_PKEY_verify(ctx, signature.p, signature.n, digest, TM_SHA256_SIZE);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return good == 1;
}

/* Private and public key of the bank belong together. The signature is appended. */
UNUSED static void assert_signs(const struct tm_keys *keys, unsigned bank) {
    uint8_t digest[TM_SHA256_SIZE], memory[4 + TM_SIGNATURE_MAX] = {1, 2, 3, 4};
    assert_int_equal(RAND_bytes(digest, sizeof digest), 1);
    struct buf out = {memory, sizeof memory, 4, false};
    assert_int_equal(keys->sign(keys->self, bank, digest, &out), TM_OK);
    struct public_key key = public_key_of(keys, bank);
    struct bytes signature = {memory + 4, out.n - 4};
    assert_true(verifies(&key, digest, signature));
    assert_memory_equal(memory, ((uint8_t[]){1, 2, 3, 4}), 4);
    digest[7] ^= 1;
    assert_false(verifies(&key, digest, signature));
}

UNUSED static void generate_in(const struct tm_keys *keys, unsigned bank) {
    assert_int_equal(keys->generate(keys->self, bank), TM_OK);
}

/* Empty, filled, replaced, emptied: each bank for itself. The store is empty before and after. */
UNUSED static void banks_live(const struct tm_keys *keys) {
    struct public_key made[TM_BANKS];
    assert_int_equal(keys->version, TM_TABLE_VERSION);
    for (unsigned bank = 0; bank < TM_BANKS; bank++) {
        assert_empty(keys, bank);
        generate_in(keys, bank);
        made[bank] = public_key_of(keys, bank);
        for (unsigned other = 0; other < bank; other++)
            assert_false(same_key(&made[bank], &made[other]));
    }
    for (unsigned bank = 0; bank < TM_BANKS; bank++)
        assert_signs(keys, bank);
    generate_in(keys, 2);
    for (unsigned bank = 0; bank < TM_BANKS; bank++) {
        struct public_key now = public_key_of(keys, bank);
        assert_int_equal(same_key(&now, &made[bank]), bank != 2);
        assert_signs(keys, bank);
    }
    for (unsigned bank = 0; bank < TM_BANKS; bank++) {
        assert_int_equal(keys->destroy(keys->self, bank), TM_OK);
        assert_empty(keys, bank);
        if (bank + 1 < TM_BANKS)
            assert_signs(keys, bank + 1);
        assert_int_equal(keys->destroy(keys->self, bank), TM_OK);
    }
}

/* Outputs that are too small, and banks that there are not. Bank 0 is filled. */
UNUSED static void bounds_hold(const struct tm_keys *keys) {
    uint8_t memory[TM_SPKI_MAX], digest[TM_SHA256_SIZE] = {0};
    struct buf out = {memory, TM_SPKI_MAX - 1, 0, false};
    assert_int_equal(keys->public_key(keys->self, 0, &out), TM_ELIMIT);
    assert_int_equal(out.n, 0);
    out = (struct buf){memory, 60, 0, false};
    assert_int_equal(keys->sign(keys->self, 0, digest, &out), TM_ELIMIT);
    assert_int_equal(out.n, 0);
    out = BUF_ON(memory);
    assert_int_equal(keys->generate(keys->self, TM_BANKS), TM_EINVAL);
    assert_int_equal(keys->public_key(keys->self, TM_BANKS, &out), TM_EINVAL);
    assert_int_equal(keys->sign(keys->self, TM_BANKS, digest, &out), TM_EINVAL);
    assert_int_equal(keys->destroy(keys->self, TM_BANKS), TM_EINVAL);
    assert_signs(keys, 0);
}

/* ---- TLS ---- */

/* The handshake's own checks are not what is tested, but the proof that the key is there. */
UNUSED static int take_any_certificate(int good, X509_STORE_CTX *ctx) {
    (void)good, (void)ctx;
    return 1;
}

UNUSED static SSL *new_peer(const SSL_METHOD *method, X509 *cert, EVP_PKEY *key) {
    SSL_CTX *ctx = SSL_CTX_new(method);
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       take_any_certificate);
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    SSL_CTX_free(ctx);
    return ssl;
}

UNUSED static void exchange_flights(SSL *client, SSL *server) {
    for (int i = 0; i < 10 && !(SSL_is_init_finished(client) && SSL_is_init_finished(server));
         i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client));
    assert_true(SSL_is_init_finished(server));
}

/* A client that has the bank's key and a certificate signed with it is let in by a server that
 * asks for client authentication, which sees this certificate. */
UNUSED static void authenticates_in_tls(const struct tm_keys *keys, unsigned bank, int version) {
    EVP_PKEY *key = NULL, *server_key = fixture_p256();
    assert_int_equal(tm_openssl_key(keys, bank, &key), TM_OK);
    X509 *cert = fixture_certificate(key, "device", NULL);
    X509 *server_cert = fixture_certificate(server_key, "server", NULL);
    SSL *client = new_peer(TLS_client_method(), cert, key);
    SSL *server = new_peer(TLS_server_method(), server_cert, server_key);
    assert_int_equal(SSL_set_max_proto_version(client, version), 1);
    BIO *client_end, *server_end;
    assert_int_equal(BIO_new_bio_pair(&client_end, 0, &server_end, 0), 1);
    SSL_set_bio(client, client_end, client_end);
    SSL_set_bio(server, server_end, server_end);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    exchange_flights(client, server);
    assert_int_equal(SSL_version(server), version);
    X509 *seen = SSL_get0_peer_certificate(server);
    assert_non_null(seen);
    assert_int_equal(X509_cmp(seen, cert), 0);
    SSL_free(client);
    SSL_free(server);
    X509_free(cert);
    X509_free(server_cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(server_key);
}

#endif
