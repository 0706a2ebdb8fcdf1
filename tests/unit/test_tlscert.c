/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's own certificate: when it is current, due or unusable; what is asked for; how files
 * are replaced. With certificates made by OpenSSL in a temporary folder.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "ca/pem.h"
#include "ca/san.h"
#include "pki/csr.h"
#include "pki/name.h"
#include "server/tlscert/tlscert.h"

#define START INT64_C(1700000000) /* notBefore of all certificates here, seconds */
#define DAY INT64_C(86400)
#define LIFE (90 * DAY)

struct ca {
    EVP_PKEY *key;
    X509 *cert;
};

struct fixture {
    char folder[64];
    char certificate[128], key[128];
    struct conf_tls tls;
    char *names[3];
    struct ca root, issuing, stranger;
    struct ca_issuer issuer;
    EVP_PKEY *server_key;
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *make_certificate(EVP_PKEY *key, const char *name, const struct ca *by, int64_t life) {
    static long serial = 1;
    X509 *cert = X509_new();
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), START));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), START + life));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(by->cert ? by->cert : cert)),
                     1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    return cert;
}

static struct ca make_ca(const char *name, const struct ca *by) {
    static const struct ca none;
    struct ca ca = {.key = EVP_EC_gen("P-256")};
    ca.cert = make_certificate(ca.key, name, by ? by : &none, 36500 * DAY);
    X509 *issuer = by ? by->cert : ca.cert;
    add_extension(ca.cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca.cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(ca.cert, issuer, NID_subject_key_identifier, "hash");
    add_extension(ca.cert, issuer, NID_authority_key_identifier, "keyid");
    assert_true(X509_sign(ca.cert, by ? by->key : ca.key, EVP_sha256()) > 0);
    return ca;
}

static void free_ca(struct ca *ca) {
    EVP_PKEY_free(ca->key);
    X509_free(ca->cert);
}

static void path_of(const struct fixture *f, const char *name, char ret[128]) {
    (void)snprintf(ret, 128, "%s/%s", f->folder, name);
}

static void save_certificate(const char *path, X509 *cert) {
    BIO *file = BIO_new_file(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_bio_X509(file, cert), 1);
    BIO_free_all(file);
}

static void save_key(const char *path, EVP_PKEY *key) {
    BIO *file = BIO_new_file(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free_all(file);
}

static X509 *server_certificate(const struct fixture *f, const char *san, const struct ca *by) {
    X509 *cert = make_certificate(f->server_key, "server", by, LIFE);
    add_extension(cert, by->cert, NID_subject_alt_name, san);
    assert_true(X509_sign(cert, by->key, EVP_sha256()) > 0);
    return cert;
}

/* What the configuration wants: three names, our CA, this key. */
#define GOOD_NAMES "DNS:est.example.com,IP:192.0.2.1,IP:2001:db8::1"

static void install(const struct fixture *f, const char *san, const struct ca *by) {
    X509 *cert = server_certificate(f, san, by);
    save_certificate(f->certificate, cert);
    save_key(f->key, f->server_key);
    X509_free(cert);
}

static int setup(void **state) {
    static char first[] = "est.example.com", second[] = "192.0.2.1", third[] = "2001:db8::1";
    struct fixture *f = calloc(1, sizeof *f);
    char ca_path[128], chain_path[128], text[IPC_TEXT_MAX + 1];
    *state = f;
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/touchmark-tlscert-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    path_of(f, "server.pem", f->certificate);
    path_of(f, "server.key", f->key);
    f->names[0] = first;
    f->names[1] = second;
    f->names[2] = third;
    f->tls = (struct conf_tls){
        .certificate = f->certificate, .key = f->key, .self_issue = true, .names = {f->names, 3}};
    f->root = make_ca("Root", NULL);
    f->issuing = make_ca("Issuing", &f->root);
    f->stranger = make_ca("Issuing", &f->root);
    f->server_key = EVP_EC_gen("P-256");
    path_of(f, "ca.pem", ca_path);
    path_of(f, "root.pem", chain_path);
    save_certificate(ca_path, f->issuing.cert);
    save_certificate(chain_path, f->root.cert);
    return ca_issuer_load("ca", ca_path, chain_path, &f->issuer, text) ? -1 : 0;
}

static void remove_folder(const char *folder) {
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            (void)remove(path);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(folder);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    char made[128];
    path_of(f, "made", made);
    remove_folder(made);
    remove_folder(f->folder);
    ca_issuer_free(&f->issuer);
    free_ca(&f->root);
    free_ca(&f->issuing);
    free_ca(&f->stranger);
    EVP_PKEY_free(f->server_key);
    free(f);
    return 0;
}

static void assert_state(const struct fixture *f, int64_t at_s, enum tlscert_state expected,
                         const char *expected_reason) {
    const char *reason = NULL;
    assert_int_equal(tlscert_check(&f->tls, &f->issuer, (struct bytes){0}, at_s * 1000, &reason),
                     expected);
    if (expected_reason)
        assert_non_null(strstr(reason, expected_reason));
}

/* ---- when ---- */

static void test_times(void **state) {
    struct fixture *f = *state;
    assert_state(f, START, TLSCERT_UNUSABLE, "there is none");
    install(f, GOOD_NAMES, &f->issuing);
    assert_state(f, START - 1, TLSCERT_UNUSABLE, "not valid now");
    assert_state(f, START, TLSCERT_CURRENT, NULL);
    assert_state(f, START + LIFE / 3 * 2 - 1, TLSCERT_CURRENT, NULL);
    assert_state(f, START + LIFE / 3 * 2, TLSCERT_DUE, "last third");
    assert_state(f, START + LIFE, TLSCERT_DUE, NULL);
    assert_state(f, START + LIFE + 1, TLSCERT_UNUSABLE, "not valid now");
}

static void test_names(void **state) {
    struct fixture *f = *state;
    static const char *const others[] = {
        "DNS:est.example.com,IP:192.0.2.1",
        GOOD_NAMES ",DNS:other.example.com",
        "DNS:est.example.org,IP:192.0.2.1,IP:2001:db8::1",
        "DNS:est.example.com,IP:192.0.2.2,IP:2001:db8::1",
        "DNS:est.example.com,DNS:192.0.2.1,IP:2001:db8::1",
        "URI:est.example.com,IP:192.0.2.1,IP:2001:db8::1",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        install(f, others[i], &f->issuing);
        assert_state(f, START, TLSCERT_UNUSABLE, "tls.names");
    }
    install(f, "IP:2001:db8::1,DNS:est.example.com,IP:192.0.2.1", &f->issuing);
    assert_state(f, START, TLSCERT_CURRENT, NULL);
}

static void test_another_ca_of_the_same_name(void **state) {
    struct fixture *f = *state;
    install(f, GOOD_NAMES, &f->stranger);
    assert_state(f, START, TLSCERT_UNUSABLE, "this CA");
}

/* What a crash between the two renames leaves. */
static void test_another_key(void **state) {
    struct fixture *f = *state;
    install(f, GOOD_NAMES, &f->issuing);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    save_key(f->key, other);
    EVP_PKEY_free(other);
    assert_state(f, START, TLSCERT_UNUSABLE, "key");
    assert_int_equal(unlink(f->key), 0);
    assert_state(f, START, TLSCERT_UNUSABLE, "key");
}

static void test_unreadable(void **state) {
    struct fixture *f = *state;
    install(f, GOOD_NAMES, &f->issuing);
    assert_int_equal(truncate(f->certificate, 100), 0);
    assert_state(f, START, TLSCERT_UNUSABLE, "cannot be read");
    assert_int_equal(truncate(f->certificate, 0), 0);
    assert_state(f, START, TLSCERT_UNUSABLE, "cannot be read");
}

/* ---- what is asked for ---- */

static struct pki_csr make_csr(const struct fixture *f, struct buf *out) {
    struct pki_csr csr;
    assert_int_equal(tlscert_make_csr(f->server_key, &f->tls.names, out), TM_OK);
    assert_int_equal(pki_csr_parse(buf_bytes(out), &csr), TM_OK);
    const unsigned char *p = out->p;
    X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)out->n);
    assert_non_null(req);
    assert_int_equal(X509_REQ_verify(req, f->server_key), 1);
    X509_REQ_free(req);
    return csr;
}

static void test_request(void **state) {
    struct fixture *f = *state;
    static const uint8_t dns[] = "\x82\x0f"
                                 "est.example.com";
    static const uint8_t v4[] = {0x87, 4, 192, 0, 2, 1};
    static const uint8_t v6[] = {0x87, 16, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0,
                                 0,    0,  0,    0,    0,    0,    0, 0, 1};
    uint8_t room[2048];
    struct buf out = BUF_ON(room);
    struct pki_csr csr = make_csr(f, &out);
    char subject[64];
    pki_name_format(csr.subject, subject, sizeof subject);
    assert_string_equal(subject, "CN=est.example.com");
    const struct pki_extension *san = pki_csr_extension(&csr, PKI_OID_SUBJECT_ALT_NAME);
    assert_non_null(san);
    assert_true(ca_san_contains(san->value, (struct bytes){dns, sizeof dns - 1}));
    assert_true(ca_san_contains(san->value, BYTES_OF(v4)));
    assert_true(ca_san_contains(san->value, BYTES_OF(v6)));
}

static void test_request_with_a_long_name(void **state) {
    struct fixture *f = *state;
    static char name[] =
        "a-name-that-is-longer-than-a-common-name-may-be.but-fine-as-a-dns-name.example.com";
    uint8_t room[2048], tight[64];
    struct buf out = BUF_ON(room), little = BUF_ON(tight);
    f->names[0] = name;
    struct pki_csr csr = make_csr(f, &out);
    assert_true(pki_name_empty(csr.subject));
    assert_int_equal(tlscert_make_csr(f->server_key, &f->tls.names, &little), TM_ELIMIT);
}

/* ---- files ---- */

static struct bytes der_of(X509 *cert, uint8_t room[4096]) {
    unsigned char *p = room;
    int n = i2d_X509(cert, &p);
    assert_in_range(n, 1, 4096);
    return (struct bytes){room, (size_t)n};
}

static void assert_mode(const char *path, mode_t mode) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static size_t files_in(const char *folder) {
    size_t n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

/* Writes a pair as the role does; the mode of files must not depend on the umask. */
static void replace(const struct fixture *f) {
    uint8_t room[4096];
    struct tlscert_output *output = NULL;
    X509 *cert = server_certificate(f, GOOD_NAMES, &f->issuing);
    assert_int_equal(tlscert_output_prepare(&f->tls, ""), TM_OK);
    assert_int_equal(tlscert_output_open(&f->tls, &output), TM_OK);
    assert_int_equal(tlscert_output_key(output, f->server_key), TM_OK);
    const struct ca_tenant tenant = {.issuer = &f->issuer};
    assert_int_equal(tlscert_output_finish(output, der_of(cert, room), &tenant), TM_OK);
    tlscert_output_close(output);
    X509_free(cert);
}

static void assert_chain_without_root(const struct fixture *f) {
    char text[IPC_TEXT_MAX + 1];
    uint8_t room[4096];
    struct bytes all;
    struct der leaf, issuing;
    assert_int_equal(ca_pem_load(f->certificate, &all, text), TM_OK);
    struct bytes rest = all;
    assert_int_equal(der_next(&rest, &leaf), TM_OK);
    assert_int_equal(der_next(&rest, &issuing), TM_OK);
    assert_int_equal(rest.n, 0);
    assert_true(bytes_equal(issuing.whole, der_of(f->issuing.cert, room)));
    free((void *)(uintptr_t)all.p);
}

static void test_new_files(void **state) {
    struct fixture *f = *state;
    char folder[128];
    path_of(f, "made", folder);
    path_of(f, "made/server.pem", f->certificate);
    path_of(f, "made/server.key", f->key);
    mode_t before = umask(0);
    replace(f);
    (void)umask(before);
    assert_mode(f->key, 0600);
    assert_mode(f->certificate, 0644);
    assert_int_equal(files_in(folder), 2);
    assert_chain_without_root(f);
    assert_state(f, START, TLSCERT_CURRENT, NULL);
}

static void test_one_file_for_both(void **state) {
    struct fixture *f = *state;
    (void)snprintf(f->key, sizeof f->key, "%s", f->certificate);
    replace(f);
    assert_mode(f->certificate, 0600);
    assert_chain_without_root(f);
    assert_state(f, START, TLSCERT_CURRENT, NULL);
}

static void test_unfinished_changes_nothing(void **state) {
    struct fixture *f = *state;
    struct tlscert_output *output = NULL;
    char left[136];
    install(f, GOOD_NAMES, &f->issuing);
    size_t files = files_in(f->folder);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    (void)snprintf(left, sizeof left, "%s.new", f->key);
    save_key(left, other); /* of a run that was killed */
    assert_int_equal(tlscert_output_open(&f->tls, &output), TM_OK);
    assert_int_equal(tlscert_output_key(output, other), TM_OK);
    assert_mode(left, 0600);
    assert_state(f, START, TLSCERT_CURRENT, NULL);
    tlscert_output_close(output);
    EVP_PKEY_free(other);
    assert_int_equal(files_in(f->folder), files);
    assert_state(f, START, TLSCERT_CURRENT, NULL);
}

static void test_folder_that_cannot_be(void **state) {
    struct fixture *f = *state;
    struct tlscert_output *output = NULL;
    path_of(f, "root.pem/server.key", f->key);
    assert_int_equal(tlscert_output_open(&f->tls, &output), TM_EIO);
    assert_null(output);
    path_of(f, "no/where/server.key", f->key);
    assert_int_equal(tlscert_output_prepare(&f->tls, ""), TM_EIO);
}

#define TLSCERT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TLSCERT_TEST(test_times),
        TLSCERT_TEST(test_names),
        TLSCERT_TEST(test_another_ca_of_the_same_name),
        TLSCERT_TEST(test_another_key),
        TLSCERT_TEST(test_unreadable),
        TLSCERT_TEST(test_request),
        TLSCERT_TEST(test_request_with_a_long_name),
        TLSCERT_TEST(test_new_files),
        TLSCERT_TEST(test_one_file_for_both),
        TLSCERT_TEST(test_unfinished_changes_nothing),
        TLSCERT_TEST(test_folder_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
