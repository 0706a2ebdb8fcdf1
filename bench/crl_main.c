/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touchmark-bench-crl: what a CRL weighs and costs, by the code that the server uses, with a key in
 * memory in the place of the token's. The floor of the same run is SHA-256 over the same octets,
 * which no signature goes without.
 */
#include <argp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/argument.h"
#include "base/auto.h"
#include "base/memfile.h"
#include "ca/crl.h"
#include "pki/crl.h"

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

#define FROM_MS INT64_C(1760000000000)
#define WEEK_MS INT64_C(604800000)
#define SIGNATURE_MAX 128

/* Of this process, which has one thread: what else the machine does counts little. */
static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* ---- an issuer ---- */

static bool extend(X509 *certificate, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static X509 *certify(EVP_PKEY *key) {
    AUTO(X509) certificate = X509_new();
    if (!certificate)
        return NULL;
    X509_NAME *name = X509_get_subject_name(certificate);
    bool good = X509_set_version(certificate, X509_VERSION_3) == 1 &&
                ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"Benchmark",
                                           -1, -1, 0) == 1 &&
                X509_set_issuer_name(certificate, name) == 1 &&
                X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
                X509_gmtime_adj(X509_getm_notAfter(certificate), 86400) &&
                X509_set_pubkey(certificate, key) == 1 &&
                extend(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
                extend(certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                extend(certificate, NID_subject_key_identifier, "hash") &&
                X509_sign(certificate, key, EVP_sha256()) > 0;
    return good ? TAKE(certificate) : NULL;
}

/* An issuer is read from files, as the server does. */
static enum tm_err load_issuer(X509 *certificate, struct ca_issuer *ret) {
    char path[] = "/tmp/touchmark-bench-crl-XXXXXX";
    char text[IPC_TEXT_MAX + 1] = "";
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    enum tm_err err = file && PEM_write_X509(file, certificate) == 1 ? TM_OK : TM_EIO;
    if (file && fclose(file))
        err = TM_EIO;
    if (!err)
        err = ca_issuer_load("benchmark", path, path, ret, text);
    if (fd >= 0)
        (void)unlink(path);
    if (err)
        (void)fprintf(stderr, "touchmark-bench-crl: %s\n", text);
    return err;
}

/* ---- the CRL ---- */

static struct ca_revoked revoked_at(unsigned long i) {
    struct ca_revoked revoked = {
        .revoked_ms = FROM_MS, .not_after_ms = FROM_MS + WEEK_MS, .reason = 1};
    struct buf out = BUF_ON(revoked.serial.octets);
    buf_put_be(&out, (uint64_t)FROM_MS + i * 400, 6);
    buf_put_be(&out, i * UINT64_C(0x9e3779b97f4a7c15), 8);
    buf_put_be(&out, i, 2);
    revoked.serial.n = (uint8_t)out.n;
    return revoked;
}

static enum tm_err build(const struct ca_issuer *issuer, unsigned long count, int *ret_fd,
                         uint64_t *ret_size) {
    struct ca_crl *crl;
    uint64_t entries = 0;
    enum tm_err err = ca_crl_begin(issuer, 1, FROM_MS + WEEK_MS, FROM_MS + 2 * WEEK_MS, NULL, &crl);
    if (err)
        return err;
    for (unsigned long i = 0; !err && i < count; i++) {
        const struct ca_revoked revoked = revoked_at(i);
        err = ca_crl_add(crl, &revoked);
    }
    if (!err)
        err = ca_crl_finish(crl, ret_fd, ret_size, &entries);
    ca_crl_free(crl);
    return err ? err : entries == count ? TM_OK : TM_ECORRUPT;
}

static enum tm_err sign(EVP_PKEY *key, int fd, uint8_t ret[SIGNATURE_MAX], size_t *ret_n) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    struct bytes tbs;
    enum tm_err err = memfile_map(fd, IPC_TBS_FILE_MAX, &tbs);
    if (err)
        return err;
    *ret_n = SIGNATURE_MAX;
    bool good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(ctx, ret, ret_n, tbs.p, tbs.n) == 1;
    memfile_unmap(tbs);
    return good ? TM_OK : TM_ECRYPTO;
}

static enum tm_err read_back(int fd, unsigned long count) {
    struct bytes der;
    struct pki_crl crl;
    uint64_t found = 0;
    enum tm_err err = memfile_map(fd, IPC_TBS_FILE_MAX, &der);
    if (err)
        return err;
    err = pki_crl_parse(der, &crl);
    if (!err)
        err = pki_crl_walk(&crl, &found);
    memfile_unmap(der);
    return err ? err : found == count ? TM_OK : TM_ECORRUPT;
}

static enum tm_err hash(int fd) {
    uint8_t digest[32];
    struct bytes der;
    enum tm_err err = memfile_map(fd, IPC_TBS_FILE_MAX, &der);
    if (err)
        return err;
    bool good = EVP_Digest(der.p, der.n, digest, NULL, EVP_sha256(), NULL) == 1;
    memfile_unmap(der);
    return good ? TM_OK : TM_ECRYPTO;
}

static enum tm_err run(EVP_PKEY *key, const struct ca_issuer *issuer, unsigned long count) {
    AUTO_FD int tbs_fd = -1, fd = -1;
    uint8_t signature[SIGNATURE_MAX], sha256[CA_HASH_SIZE];
    size_t signature_n = 0;
    uint64_t size = 0;
    double at[6] = {cpu_seconds()};
    enum tm_err err = build(issuer, count, &tbs_fd, &size);
    at[1] = cpu_seconds();
    if (!err)
        err = sign(key, tbs_fd, signature, &signature_n);
    at[2] = cpu_seconds();
    if (!err)
        err = ca_crl_assemble(issuer, tbs_fd, (struct bytes){signature, signature_n}, &fd, &size,
                              sha256);
    at[3] = cpu_seconds();
    if (!err)
        err = read_back(fd, count);
    at[4] = cpu_seconds();
    if (!err)
        err = hash(fd);
    at[5] = cpu_seconds();
    if (err)
        return err;
    double floor_s = at[5] - at[4];
    (void)printf("octets: %llu\n", (unsigned long long)size);
    if (count)
        (void)printf("per revoked certificate: %.1f octets\n", (double)size / (double)count);
    static const char *const steps[] = {"built", "signed", "verified and put together",
                                        "read whole"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        (void)printf("%s: %.3f s of CPU, %.1f times the floor\n", steps[i], at[i + 1] - at[i],
                     floor_s > 0 ? (at[i + 1] - at[i]) / floor_s : 0);
    (void)printf("floor, SHA-256 over it: %.3f s of CPU\n", floor_s);
    return TM_OK;
}

/* ---- arguments ---- */

static const struct argp_option option_rows[] = {
    {"revoked", 'r', "N", 0, "Certificates revoked (default 1000000)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    unsigned long *count = state->input;
    if (key != 'r')
        return ARGP_ERR_UNKNOWN;
    *count = argument_number(state, arg, 0, 8000000);
    return 0;
}

int main(int argc, char **argv) {
    unsigned long count = 1000000;
    const struct argp argp = {
        .options = option_rows, .parser = parse_option, .doc = "The size and time of a CRL."};
    if (argp_parse(&argp, argc, argv, 0, NULL, &count) != 0)
        return 2;
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    AUTO(X509) certificate = key ? certify(key) : NULL;
    struct ca_issuer issuer = {0};
    enum tm_err err = certificate ? load_issuer(certificate, &issuer) : TM_ECRYPTO;
    if (!err)
        err = run(key, &issuer, count);
    ca_issuer_free(&issuer);
    if (err)
        (void)fprintf(stderr, "touchmark-bench-crl: %s\n", tm_err_name(err));
    return err ? 1 : 0;
}
