/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's cryptography by OpenSSL, its keys in files, and keys of any key store in TLS. What
 * OpenSSL itself makes and takes is the yardstick; the handshakes are real ones over a socket pair.
 */
#include "tests/unit/pki_fixture.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "client/port/openssl.h"
#include "pki/cert.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(X509, X509_free)

#define BANK 1

struct fixture {
    char folder[64]; /* of its own; removed afterwards */
    struct tm_key_files *files;
    const struct tm_keys *keys;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)strcpy(f->folder, "/tmp/touchmark-keys-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(tm_key_files_open(f->folder, &f->files), TM_OK);
    f->keys = tm_key_files_keys(f->files);
    *state = f;
    return 0;
}

struct path {
    char text[96];
};

static struct path path_of(const struct fixture *f, unsigned bank) {
    struct path path;
    (void)snprintf(path.text, sizeof path.text, "%s/key-%u.pem", f->folder, bank);
    return path;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    assert_int_equal(ERR_peek_error(), 0); /* no function leaves one behind for the next */
    tm_key_files_close(f->files);
    for (unsigned bank = 0; bank < TM_BANKS; bank++)
        (void)unlink(path_of(f, bank).text);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

/* ---- the table of cryptography ---- */

static enum tm_err verify(struct bytes spki, struct bytes algorithm, struct bytes message,
                          struct bytes signature) {
    const struct tm_crypto *crypto = tm_openssl_crypto();
    return crypto->verify(crypto->self, spki, algorithm, message, signature);
}

static enum tm_err verify_cert(const struct pki_cert *cert) {
    return verify(cert->spki.whole, cert->algorithm, cert->tbs, cert->signature);
}

/* A self-signed certificate by that key and digest (NULL: the key's own). */
static struct fixture_der signed_by(EVP_PKEY *key, const char *digest) {
    struct fixture_der der;
    AUTO(X509) cert = fixture_certificate(key, "D1", NULL);
    assert_true(X509_sign(cert, key, digest ? EVP_get_digestbyname(digest) : NULL) > 0);
    FIXTURE_I2D(&der, X509, cert);
    return der;
}

static struct pki_cert parsed(const struct fixture_der *der) {
    struct pki_cert cert;
    assert_int_equal(pki_cert_parse(fixture_bytes(der), &cert), TM_OK);
    return cert;
}

static EVP_PKEY *new_key(const char *type, const char *curve) {
    EVP_PKEY *key = curve                      ? EVP_EC_gen(curve)
                    : strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048)
                                               : EVP_PKEY_Q_keygen(NULL, NULL, type);
    assert_non_null(key);
    return key;
}

static const struct {
    const char *type, *curve, *digest;
} good[] = {
    {"EC", "P-256", "SHA256"}, {"EC", "P-384", "SHA384"}, {"EC", "P-521", "SHA512"},
    {"EC", "P-256", "SHA384"}, {"EC", "P-256", "SHA512"}, {"RSA", NULL, "SHA256"},
    {"RSA", NULL, "SHA384"},   {"RSA", NULL, "SHA512"},   {"ED25519", NULL, NULL},
};

static void signatures_of_certificates_verify(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        AUTO(EVP_PKEY) key = new_key(good[i].type, good[i].curve);
        struct fixture_der der = signed_by(key, good[i].digest);
        struct pki_cert cert = parsed(&der);
        assert_int_equal(verify_cert(&cert), TM_OK);
        fixture_free(&der);
    }
}

/* Each octet that counts, changed by one bit. */
static void a_changed_certificate_does_not_verify(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        AUTO(EVP_PKEY) key = new_key(good[i].type, good[i].curve);
        struct fixture_der der = signed_by(key, good[i].digest);
        struct pki_cert cert = parsed(&der);
        struct bytes parts[] = {cert.tbs, cert.signature, cert.spki.key};
        for (size_t part = 0; part < 3; part++)
            for (size_t at = 0; at < parts[part].n; at += parts[part].n / 7 + 1) {
                unsigned char *octet = der.p + (parts[part].p - der.p) + at;
                *octet ^= 0x10;
                assert_int_equal(verify_cert(&cert), TM_ECRYPTO);
                *octet ^= 0x10;
            }
        assert_int_equal(verify_cert(&cert), TM_OK);
        assert_int_equal(ERR_peek_error(), 0);
        fixture_free(&der);
    }
}

static void other_algorithms_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *type, *curve, *digest;
    } bad[] = {
        {"EC", "P-256", "SHA1"}, {"EC", "P-256", "SHA224"}, {"EC", "P-256", "SHA3-256"},
        {"RSA", NULL, "SHA1"},   {"RSA", NULL, "MD5"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AUTO(EVP_PKEY) key = new_key(bad[i].type, bad[i].curve);
        struct fixture_der der = signed_by(key, bad[i].digest);
        struct pki_cert cert = parsed(&der);
        assert_int_equal(verify_cert(&cert), TM_ECRYPTO);
        fixture_free(&der);
    }
}

static void rsa_pss_is_refused(void **state) {
    (void)state;
    AUTO(EVP_PKEY) key = EVP_RSA_gen(2048);
    AUTO(X509) cert = fixture_certificate(key, "D1", NULL);
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding;
    assert_int_equal(EVP_DigestSignInit(ctx, &padding, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING), 1);
    assert_true(X509_sign_ctx(cert, ctx) > 0);
    struct fixture_der der;
    FIXTURE_I2D(&der, X509, cert);
    struct pki_cert view = parsed(&der);
    assert_int_equal(verify_cert(&view), TM_ECRYPTO);
    fixture_free(&der);
}

/* The algorithm of one certificate with the key of another. */
static void key_and_algorithm_belong_together(void **state) {
    (void)state;
    AUTO(EVP_PKEY) ec = EVP_EC_gen("P-256");
    AUTO(EVP_PKEY) rsa = EVP_RSA_gen(2048);
    struct fixture_der ec_der = signed_by(ec, "SHA256"), rsa_der = signed_by(rsa, "SHA256");
    struct pki_cert a = parsed(&ec_der), b = parsed(&rsa_der);
    assert_int_equal(verify(a.spki.whole, b.algorithm, a.tbs, a.signature), TM_ECRYPTO);
    assert_int_equal(verify(b.spki.whole, a.algorithm, b.tbs, b.signature), TM_ECRYPTO);
    fixture_free(&ec_der);
    fixture_free(&rsa_der);
}

static void garbage_is_no_signature(void **state) {
    (void)state;
    static const uint8_t noise[] = {0x30, 0x03, 0x02, 0x01, 0x05, 0xff};
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    struct fixture_der der = signed_by(key, "SHA256");
    struct pki_cert cert = parsed(&der);
    struct bytes none = {NULL, 0}, bad = BYTES_OF(noise);
    assert_int_equal(verify(none, cert.algorithm, cert.tbs, cert.signature), TM_ECRYPTO);
    assert_int_equal(verify(bad, cert.algorithm, cert.tbs, cert.signature), TM_ECRYPTO);
    assert_int_equal(verify(cert.spki.whole, none, cert.tbs, cert.signature), TM_ECRYPTO);
    assert_int_equal(verify(cert.spki.whole, bad, cert.tbs, cert.signature), TM_ECRYPTO);
    assert_int_equal(verify(cert.spki.whole, cert.algorithm, none, cert.signature), TM_ECRYPTO);
    assert_int_equal(verify(cert.spki.whole, cert.algorithm, cert.tbs, none), TM_ECRYPTO);
    assert_int_equal(verify(cert.spki.whole, cert.algorithm, cert.tbs, bad), TM_ECRYPTO);
    assert_int_equal(ERR_peek_error(), 0);
    fixture_free(&der);
}

static void parts_are_hashed_as_one(void **state) {
    (void)state;
    const struct tm_crypto *crypto = tm_openssl_crypto();
    uint8_t whole[32], parts[32];
    struct bytes three[] = {bytes_str("ab"), {NULL, 0}, bytes_str("c")};
    assert_int_equal(EVP_Digest("abc", 3, whole, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(crypto->sha256(crypto->self, three, 3, parts), TM_OK);
    assert_memory_equal(parts, whole, 32);
    assert_int_equal(EVP_Digest("", 0, whole, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(crypto->sha256(crypto->self, NULL, 0, parts), TM_OK);
    assert_memory_equal(parts, whole, 32);
}

static void random_numbers_differ(void **state) {
    (void)state;
    const struct tm_crypto *crypto = tm_openssl_crypto();
    uint8_t a[32] = {0}, b[32] = {0};
    assert_int_equal(crypto->version, TM_TABLE_VERSION);
    assert_int_equal(crypto->random(crypto->self, a, sizeof a), TM_OK);
    assert_int_equal(crypto->random(crypto->self, b, sizeof b), TM_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

/* ---- keys in files ---- */

struct spki {
    uint8_t octets[TM_SPKI_MAX];
    struct buf buf;
};

static struct bytes public_key(const struct fixture *f, unsigned bank, struct spki *room) {
    room->buf = (struct buf){room->octets, sizeof room->octets, 0, false};
    assert_int_equal(f->keys->public_key(f->keys->self, bank, &room->buf), TM_OK);
    return buf_bytes(&room->buf);
}

static enum tm_err public_key_err(const struct fixture *f, unsigned bank) {
    uint8_t octets[TM_SPKI_MAX];
    struct buf out = BUF_ON(octets);
    enum tm_err err = f->keys->public_key(f->keys->self, bank, &out);
    assert_int_equal(out.n, err ? 0 : TM_SPKI_MAX);
    return err;
}

static enum tm_err sign_err(const struct fixture *f, unsigned bank) {
    static const uint8_t digest[TM_SHA256_SIZE] = {1};
    uint8_t octets[TM_SIGNATURE_MAX];
    struct buf out = BUF_ON(octets);
    enum tm_err err = f->keys->sign(f->keys->self, bank, digest, &out);
    assert_true((out.n == 0) == (err != TM_OK));
    return err;
}

/* Signs `message` and has OpenSSL verify that with the key that the store gives out. */
static void assert_signs(const struct fixture *f, unsigned bank) {
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    struct spki room;
    uint8_t digest[TM_SHA256_SIZE], signature[TM_SIGNATURE_MAX];
    struct buf out = BUF_ON(signature);
    struct bytes message = bytes_str("certificationRequestInfo");
    const struct tm_crypto *crypto = tm_openssl_crypto();
    assert_int_equal(crypto->sha256(crypto->self, &message, 1, digest), TM_OK);
    assert_int_equal(f->keys->sign(f->keys->self, bank, digest, &out), TM_OK);
    assert_int_equal(
        verify(public_key(f, bank, &room), BYTES_OF(ecdsa_sha256), message, buf_bytes(&out)),
        TM_OK);
}

static void a_key_signs_until_it_is_destroyed(void **state) {
    struct fixture *f = *state;
    assert_int_equal(f->keys->version, TM_TABLE_VERSION);
    for (unsigned bank = 0; bank < TM_BANKS; bank++) {
        assert_int_equal(public_key_err(f, bank), TM_ENOTFOUND);
        assert_int_equal(sign_err(f, bank), TM_ENOTFOUND);
        assert_int_equal(f->keys->generate(f->keys->self, bank), TM_OK);
        assert_signs(f, bank);
    }
    for (unsigned bank = 0; bank < TM_BANKS; bank++) {
        assert_signs(f, bank);
        assert_int_equal(f->keys->destroy(f->keys->self, bank), TM_OK);
        assert_int_equal(sign_err(f, bank), TM_ENOTFOUND);
        assert_int_equal(f->keys->destroy(f->keys->self, bank), TM_OK);
    }
}

static void a_new_key_takes_the_place_of_the_old(void **state) {
    struct fixture *f = *state;
    struct spki first, second;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    struct bytes old = public_key(f, BANK, &first);
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_false(bytes_equal(old, public_key(f, BANK, &second)));
    assert_signs(f, BANK);
}

static void only_four_banks_are_there(void **state) {
    struct fixture *f = *state;
    assert_int_equal(f->keys->generate(f->keys->self, TM_BANKS), TM_EINVAL);
    assert_int_equal(f->keys->destroy(f->keys->self, TM_BANKS), TM_EINVAL);
    assert_int_equal(public_key_err(f, TM_BANKS), TM_EINVAL);
    assert_int_equal(sign_err(f, TM_BANKS), TM_EINVAL);
}

static void outputs_that_do_not_fit_are_left_alone(void **state) {
    struct fixture *f = *state;
    static const uint8_t digest[TM_SHA256_SIZE] = {1};
    uint8_t octets[TM_SPKI_MAX];
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    struct buf out = {octets, TM_SPKI_MAX - 1, 0, false};
    assert_int_equal(f->keys->public_key(f->keys->self, BANK, &out), TM_ELIMIT);
    assert_true(out.n == 0 && !out.full);
    out.cap = 8;
    assert_int_equal(f->keys->sign(f->keys->self, BANK, digest, &out), TM_ELIMIT);
    assert_true(out.n == 0 && !out.full);
}

static EVP_PKEY *key_in_file(const struct fixture *f, unsigned bank) {
    BIO *bio = BIO_new_file(path_of(f, bank).text, "r");
    assert_non_null(bio);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(key);
    return key;
}

static void the_file_is_pkcs8_and_the_owner_s(void **state) {
    struct fixture *f = *state;
    struct stat st;
    struct spki room;
    char line[64] = "";
    unsigned char *spki = NULL;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_int_equal(stat(path_of(f, BANK).text, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    FILE *file = fopen(path_of(f, BANK).text, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    assert_string_equal(line, "-----BEGIN PRIVATE KEY-----\n");
    AUTO(EVP_PKEY) key = key_in_file(f, BANK);
    int n = i2d_PUBKEY(key, &spki);
    assert_bytes_equal((struct bytes){spki, (size_t)n}, public_key(f, BANK, &room));
    OPENSSL_free(spki);
}

static void a_key_that_others_may_read_is_refused(void **state) {
    struct fixture *f = *state;
    static const mode_t modes[] = {0640, 0604, 0620, 0601};
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path_of(f, BANK).text, modes[i]), 0);
        assert_int_equal(sign_err(f, BANK), TM_EDENIED);
        assert_int_equal(public_key_err(f, BANK), TM_EDENIED);
    }
    assert_int_equal(chmod(path_of(f, BANK).text, 0400), 0);
    assert_signs(f, BANK);
}

/* As a factory puts it there. */
static void put_key(const struct fixture *f, EVP_PKEY *key, const char *passphrase) {
    int fd = open(path_of(f, BANK).text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    BIO *bio = BIO_new_fd(fd, BIO_CLOSE);
    assert_non_null(bio);
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL,
                                                   NULL, 0, NULL, (void *)(uintptr_t)passphrase),
                     1);
    BIO_free(bio);
}

static void keys_of_other_kinds_are_refused(void **state) {
    struct fixture *f = *state;
    AUTO(EVP_PKEY) p384 = EVP_EC_gen("P-384");
    AUTO(EVP_PKEY) rsa = EVP_RSA_gen(2048);
    AUTO(EVP_PKEY) p256 = EVP_EC_gen("P-256");
    put_key(f, p384, NULL);
    assert_int_equal(sign_err(f, BANK), TM_ECORRUPT);
    put_key(f, rsa, NULL);
    assert_int_equal(public_key_err(f, BANK), TM_ECORRUPT);
    put_key(f, p256, "a passphrase"); /* nobody is asked for it */
    assert_int_equal(sign_err(f, BANK), TM_ECORRUPT);
    assert_int_equal(truncate(path_of(f, BANK).text, 40), 0);
    assert_int_equal(sign_err(f, BANK), TM_ECORRUPT);
    put_key(f, p256, NULL);
    assert_signs(f, BANK);
}

static void a_compressed_point_is_given_out_whole(void **state) {
    struct fixture *f = *state;
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                    "compressed"),
                     1);
    put_key(f, key, NULL);
    assert_int_equal(public_key_err(f, BANK), TM_OK);
    assert_signs(f, BANK);
}

/* ---- a key store that lets itself be waited for ---- */

struct slow {
    const struct tm_keys *keys;
    unsigned again;    /* how often sign answers TM_EAGAIN before it signs */
    enum tm_err fault; /* what it answers instead of a signature */
    unsigned asked;
};

static enum tm_err slow_public_key(void *self, unsigned bank, struct buf *out) {
    const struct slow *slow = self;
    return slow->keys->public_key(slow->keys->self, bank, out);
}

static enum tm_err slow_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                             struct buf *out) {
    struct slow *slow = self;
    slow->asked++;
    if (slow->fault)
        return slow->fault;
    if (slow->again) {
        slow->again--;
        return TM_EAGAIN;
    }
    return slow->keys->sign(slow->keys->self, bank, digest, out);
}

/* generate and destroy are not called by a key that only signs. */
static struct tm_keys slow_keys(struct slow *slow) {
    return (struct tm_keys){.version = TM_TABLE_VERSION,
                            .self = slow,
                            .public_key = slow_public_key,
                            .sign = slow_sign};
}

/* Signs with `key` as any program would and verifies with the public key in the file. */
static int signs_as_evp(const struct fixture *f, EVP_PKEY *key, const char *digest) {
    unsigned char signature[TM_SIGNATURE_MAX];
    size_t n = sizeof signature;
    AUTO(EVP_MD_CTX) signing = EVP_MD_CTX_new();
    AUTO(EVP_MD_CTX) verifying = EVP_MD_CTX_new();
    AUTO(EVP_PKEY) peer = key_in_file(f, BANK);
    if (EVP_DigestSignInit_ex(signing, NULL, digest, NULL, NULL, key, NULL) != 1 ||
        EVP_DigestSign(signing, signature, &n, (const unsigned char *)"text", 4) != 1) {
        ERR_clear_error();
        return 0;
    }
    assert_int_equal(EVP_DigestVerifyInit_ex(verifying, NULL, digest, NULL, NULL, peer, NULL), 1);
    assert_int_equal(EVP_DigestVerify(verifying, signature, n, (const unsigned char *)"text", 4),
                     1);
    return 1;
}

static void openssl_signs_with_the_key_store_s_key(void **state) {
    struct fixture *f = *state;
    AUTO(EVP_PKEY) key = NULL;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_int_equal(tm_openssl_key(f->keys, BANK, &key), TM_OK);
    for (unsigned i = 0; i < 20; i++) /* lengths of signatures vary */
        assert_int_equal(signs_as_evp(f, key, "SHA256"), 1);
    assert_int_equal(signs_as_evp(f, key, "SHA384"), 1);
    assert_int_equal(signs_as_evp(f, key, "SHA512"), 1);
    assert_int_equal(signs_as_evp(f, key, "SHA1"), 0);
}

static void a_key_store_is_waited_for_and_may_fail(void **state) {
    struct fixture *f = *state;
    struct slow slow = {.keys = f->keys, .again = 3};
    struct tm_keys keys = slow_keys(&slow);
    AUTO(EVP_PKEY) key = NULL;
    assert_int_equal(tm_openssl_key(&keys, BANK, &key), TM_ENOTFOUND);
    assert_null(key);
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_int_equal(tm_openssl_key(&keys, BANK, &key), TM_OK);
    assert_int_equal(signs_as_evp(f, key, "SHA256"), 1);
    assert_int_equal(slow.asked, 4);
    slow.fault = TM_ETOKEN;
    assert_int_equal(signs_as_evp(f, key, "SHA256"), 0);
    slow.fault = TM_OK;
    assert_int_equal(signs_as_evp(f, key, "SHA256"), 1);
}

static void keys_of_different_banks_and_copies_live_side_by_side(void **state) {
    struct fixture *f = *state;
    AUTO(EVP_PKEY) one = NULL;
    AUTO(EVP_PKEY) two = NULL;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_int_equal(f->keys->generate(f->keys->self, BANK + 1), TM_OK);
    assert_int_equal(tm_openssl_key(f->keys, BANK, &one), TM_OK);
    assert_int_equal(tm_openssl_key(f->keys, BANK + 1, &two), TM_OK);
    assert_int_equal(EVP_PKEY_eq(one, two), 0);
    EVP_PKEY *copy = EVP_PKEY_dup(one);
    assert_non_null(copy);
    assert_int_equal(signs_as_evp(f, copy, "SHA256"), 1);
    EVP_PKEY_free(copy);
    assert_int_equal(signs_as_evp(f, one, "SHA256"), 1);
}

static void a_table_of_another_version_is_refused(void **state) {
    struct fixture *f = *state;
    struct tm_keys keys = *f->keys;
    EVP_PKEY *key = NULL;
    keys.version = TM_TABLE_VERSION + 1;
    assert_int_equal(tm_openssl_key(&keys, BANK, &key), TM_EINVAL);
    assert_null(key);
}

/* ---- TLS ---- */

static int any_certificate(int good_so_far, X509_STORE_CTX *ctx) {
    (void)good_so_far, (void)ctx;
    return 1; /* who signed it is not what is tested here: CertificateVerify is */
}

static SSL_CTX *context(const SSL_METHOD *method, int version, X509 *cert, EVP_PKEY *key) {
    SSL_CTX *ctx = SSL_CTX_new(method);
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
    return ctx;
}

static bool goes_on(SSL *ssl) {
    int n = SSL_do_handshake(ssl);
    int why = SSL_get_error(ssl, n);
    return n == 1 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* Both ends in turn; the server is the one that says whether the client's signature is good. */
static bool handshake(SSL *client, SSL *server) {
    for (unsigned i = 0; i < 20; i++) {
        if (!goes_on(client) || !goes_on(server))
            break;
        if (SSL_is_init_finished(client) && SSL_is_init_finished(server))
            return true;
    }
    ERR_clear_error();
    return false;
}

/* A server that demands a certificate and prefers `algorithms` for its signature. */
static bool connects(EVP_PKEY *client_key, int version, const char *algorithms) {
    int fds[2];
    AUTO(EVP_PKEY) server_key = EVP_EC_gen("P-256");
    AUTO(X509) server_cert = fixture_certificate(server_key, "server", NULL);
    AUTO(X509) client_cert = fixture_certificate(server_key, "client", NULL);
    assert_int_equal(X509_set_pubkey(client_cert, client_key), 1);
    SSL_CTX *client_ctx = context(TLS_client_method(), version, client_cert, client_key);
    SSL_CTX *server_ctx = context(TLS_server_method(), version, server_cert, server_key);
    SSL_CTX_set_verify(server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       any_certificate);
    assert_int_equal(SSL_CTX_set1_client_sigalgs_list(server_ctx, algorithms), 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    SSL *client = SSL_new(client_ctx), *server = SSL_new(server_ctx);
    assert_int_equal(SSL_set_fd(client, fds[0]), 1);
    assert_int_equal(SSL_set_fd(server, fds[1]), 1);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    bool good_so_far = handshake(client, server) && SSL_get0_peer_certificate(server) &&
                       X509_cmp(SSL_get0_peer_certificate(server), client_cert) == 0;
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return good_so_far;
}

static void tls_clients_authenticate_with_it(void **state) {
    struct fixture *f = *state;
    struct slow slow = {.keys = f->keys};
    struct tm_keys keys = slow_keys(&slow);
    AUTO(EVP_PKEY) key = NULL;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_int_equal(tm_openssl_key(&keys, BANK, &key), TM_OK);
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        slow.again = 2;
        slow.asked = 0;
        assert_true(connects(key, versions[i], "ECDSA+SHA256:RSA+SHA256"));
        assert_int_equal(slow.asked, 3);
    }
    /* TLS 1.2 binds no digest to a curve, and the server's first choice is taken. */
    assert_true(connects(key, TLS1_2_VERSION, "ECDSA+SHA512:ECDSA+SHA384:ECDSA+SHA256"));
}

/* The server does check: a key that signs with something else gets nowhere, nor one that fails. */
static void tls_fails_with_the_key_store(void **state) {
    struct fixture *f = *state;
    struct slow slow = {.keys = f->keys};
    struct tm_keys keys = slow_keys(&slow);
    AUTO(EVP_PKEY) key = NULL;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_int_equal(tm_openssl_key(&keys, BANK, &key), TM_OK);
    assert_true(connects(key, TLS1_3_VERSION, "ECDSA+SHA256"));
    slow.fault = TM_ETOKEN;
    assert_false(connects(key, TLS1_3_VERSION, "ECDSA+SHA256"));
    slow.fault = TM_OK;
    assert_int_equal(f->keys->generate(f->keys->self, BANK), TM_OK);
    assert_false(connects(key, TLS1_3_VERSION, "ECDSA+SHA256"));
    assert_false(connects(key, TLS1_2_VERSION, "ECDSA+SHA256"));
}

#define WITH_KEYS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_certificates_verify),
        cmocka_unit_test(a_changed_certificate_does_not_verify),
        cmocka_unit_test(other_algorithms_are_refused),
        cmocka_unit_test(rsa_pss_is_refused),
        cmocka_unit_test(key_and_algorithm_belong_together),
        cmocka_unit_test(garbage_is_no_signature),
        cmocka_unit_test(parts_are_hashed_as_one),
        cmocka_unit_test(random_numbers_differ),
        WITH_KEYS(a_key_signs_until_it_is_destroyed),
        WITH_KEYS(a_new_key_takes_the_place_of_the_old),
        WITH_KEYS(only_four_banks_are_there),
        WITH_KEYS(outputs_that_do_not_fit_are_left_alone),
        WITH_KEYS(the_file_is_pkcs8_and_the_owner_s),
        WITH_KEYS(a_key_that_others_may_read_is_refused),
        WITH_KEYS(keys_of_other_kinds_are_refused),
        WITH_KEYS(a_compressed_point_is_given_out_whole),
        WITH_KEYS(openssl_signs_with_the_key_store_s_key),
        WITH_KEYS(a_key_store_is_waited_for_and_may_fail),
        WITH_KEYS(keys_of_different_banks_and_copies_live_side_by_side),
        WITH_KEYS(a_table_of_another_version_is_refused),
        WITH_KEYS(tls_clients_authenticate_with_it),
        WITH_KEYS(tls_fails_with_the_key_store),
    };
    return cmocka_run_group_tests_name("client_openssl", tests, NULL, NULL);
}
