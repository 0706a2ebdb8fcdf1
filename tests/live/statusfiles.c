/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what foreign programs are to read: a CA of OpenSSL's making, certificates under it of
 * which some are revoked, and CRLs and OCSP answers by our code, signed by the CA's key in memory.
 *
 *     statusfiles FOLDER KIND      KIND: P-256, P-384, RSA2048, ED25519
 *
 * root.pem ca.pem chain.pem ocsp.pem; good.pem revoked.pem (serials 16 and 17) and shard-good.pem
 * shard-revoked.pem (32 and 33), whose CRL is a shard; full.crl shard.crl; good.ocsp revoked.ocsp.
 */
#include "tests/unit/ca_fixture.h"

#include "base/memfile.h"
#include "ca/crl.h"
#include "ca/ocsp.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define SHARD_URL "http://status.example.com/factory-1.crl"

static const char *folder, *kind;

static void write_der(const char *name, struct bytes der) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(der.p, 1, der.n, f), der.n);
    assert_int_equal(fclose(f), 0);
}

static void write_pem(const char *name, X509 *const *certs, size_t count) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    ca_fixture_write(path, certs, count);
}

/* extensions: of the end, by NID; NULL ends them. */
static X509 *leaf(const struct ca_fixture *f, EVP_PKEY *key, long serial, int nid,
                  const char *value) {
    X509 *cert = ca_fixture_make(&(struct ca_fixture_cert){.name = "Leaf",
                                                           .key = key,
                                                           .issuer = f->cert,
                                                           .issuer_key = f->key,
                                                           .key_usage = "critical,digitalSignature",
                                                           .from_s = -3600,
                                                           .to_s = CA_FIXTURE_YEAR});
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial), 1);
    ca_fixture_add(cert, f->cert, nid, value);
    assert_true(X509_sign(cert, f->key, ca_fixture_digest(f->key)) > 0);
    return cert;
}

static void write_leaves(const struct ca_fixture *f) {
    static const struct {
        const char *name;
        long serial;
        const char *point;
    } leaves[] = {{"good.pem", 16, NULL},
                  {"revoked.pem", 17, NULL},
                  {"shard-good.pem", 32, "URI:" SHARD_URL},
                  {"shard-revoked.pem", 33, "URI:" SHARD_URL}};
    EVP_PKEY *key = ca_fixture_key("P-256");
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++) {
        X509 *cert = leaf(f, key, leaves[i].serial, NID_crl_distribution_points, leaves[i].point);
        write_pem(leaves[i].name, &cert, 1);
        X509_free(cert);
    }
    EVP_PKEY_free(key);
}

static struct bytes sign(EVP_PKEY *key, struct bytes tbs, uint8_t memory[512]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = 512;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, ca_fixture_digest(key), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, memory, &n, tbs.p, tbs.n), 1);
    EVP_MD_CTX_free(ctx);
    return (struct bytes){memory, n};
}

static void write_crl(const struct ca_fixture *f, const char *name, const char *url) {
    static const uint8_t serials[] = {17, 33};
    struct ca_crl *crl = NULL;
    int64_t now = clock_wall_ms();
    uint8_t signature[512], sha256[CA_HASH_SIZE];
    uint64_t size, entries;
    int tbs_fd, fd;
    struct bytes tbs, der;
    assert_int_equal(ca_crl_begin(&f->issuer, 4711, now, now + DAY_MS, url, &crl), TM_OK);
    for (size_t i = url ? 1 : 0; i < 2; i++) {
        const struct ca_revoked revoked = {.serial = {.octets = {serials[i]}, .n = 1},
                                           .revoked_ms = now - DAY_MS,
                                           .reason = i ? 0 : 1};
        assert_int_equal(ca_crl_add(crl, &revoked), TM_OK);
    }
    assert_int_equal(ca_crl_finish(crl, &tbs_fd, &size, &entries), TM_OK);
    ca_crl_free(crl);
    assert_int_equal(memfile_map(tbs_fd, IPC_TBS_FILE_MAX, &tbs), TM_OK);
    assert_int_equal(
        ca_crl_assemble(&f->issuer, tbs_fd, sign(f->key, tbs, signature), &fd, &size, sha256),
        TM_OK);
    assert_int_equal(memfile_map(fd, IPC_TBS_FILE_MAX, &der), TM_OK);
    write_der(name, der);
    memfile_unmap(tbs);
    memfile_unmap(der);
    (void)close(tbs_fd);
    (void)close(fd);
}

static void write_answer(const struct ca_fixture *f, const struct ca_ocsp_responder *responder,
                         EVP_PKEY *key, const char *name, uint8_t serial) {
    uint8_t id_memory[256], data_memory[512], signature[512], memory[8192];
    struct buf id = BUF_ON(id_memory), data = BUF_ON(data_memory), out = BUF_ON(memory);
    const struct ca_serial number = {.octets = {serial}, .n = 1};
    int64_t now = clock_wall_ms();
    struct pki_ocsp_single single = {.status = serial == 17 ? PKI_OCSP_REVOKED : PKI_OCSP_GOOD,
                                     .revoked_ms = now - DAY_MS,
                                     .reason = 1,
                                     .this_update_ms = now,
                                     .next_update_ms = now + DAY_MS};
    assert_int_equal(ca_ocsp_cert_id(&f->issuer, PKI_OID_SHA1, &number, &id), TM_OK);
    assert_int_equal(pki_ocsp_cert_id_parse(buf_bytes(&id), &single.id), TM_OK);
    assert_int_equal(ca_ocsp_data(responder, now, &single, 1, &data), TM_OK);
    assert_int_equal(
        ca_ocsp_response(responder, buf_bytes(&data), sign(key, buf_bytes(&data), signature), &out),
        TM_OK);
    write_der(name, buf_bytes(&out));
}

static void write_answers(const struct ca_fixture *f) {
    EVP_PKEY *key = ca_fixture_key(kind);
    X509 *cert = leaf(f, key, 64, NID_ext_key_usage, "OCSPSigning");
    struct fixture_der der;
    struct ca_ocsp_responder responder;
    char text[IPC_TEXT_MAX + 1] = "";
    FIXTURE_I2D(&der, X509, cert);
    if (ca_ocsp_responder_load(&f->issuer, fixture_bytes(&der), &responder, text))
        fail_msg("%s", text);
    write_pem("ocsp.pem", &cert, 1);
    write_answer(f, &responder, key, "good.ocsp", 16);
    write_answer(f, &responder, key, "revoked.ocsp", 17);
    ca_ocsp_responder_free(&responder);
    fixture_free(&der);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void write_all(void **state) {
    (void)state;
    struct ca_fixture f;
    ca_fixture_open(&f, kind);
    X509 *chain[] = {f.cert, f.root};
    write_pem("ca.pem", &f.cert, 1);
    write_pem("root.pem", &f.root, 1);
    write_pem("chain.pem", chain, 2);
    write_leaves(&f);
    write_crl(&f, "full.crl", NULL);
    write_crl(&f, "shard.crl", SHARD_URL);
    write_answers(&f);
    ca_fixture_close(&f);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    folder = argv[1];
    kind = argv[2];
    const struct CMUnitTest tests[] = {cmocka_unit_test(write_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
