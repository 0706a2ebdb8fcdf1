/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRLs, built and read here, against OpenSSL: every CRL that is assembled is read back by it,
 * verified by the CA's key, and says of each certificate what it was told.
 */
#include "ca_fixture.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/memfile.h"
#include "ca/crl.h"
#include "der_rewrite.h"
#include "pki/crl.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define NOW_MS INT64_C(1900000000000) /* 2030-03-17T17:46:40Z */
#define NEXT_MS (NOW_MS + 7 * DAY_MS)
#define SHARD_URL "http://status.example.com/factory-3.crl"
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const char *const issuer_kinds[] = {"P-256", "P-384", "RSA2048", "ED25519"};

/* A serial of 16 octets as ca_serial_make gives them out, by its number. */
static struct ca_revoked revoked_at(uint64_t number) {
    struct ca_revoked r = {.serial = {.octets = {1, 2, 3, 4, 5, 6, 7, 8}, .n = 16},
                           .revoked_ms = NOW_MS - DAY_MS + (int64_t)number * 1000,
                           .not_after_ms = NEXT_MS};
    for (unsigned i = 0; i < 8; i++)
        r.serial.octets[8 + i] = (uint8_t)(number >> (56 - 8 * i));
    return r;
}

static struct ca_crl *begin(const struct ca_fixture *f, uint64_t number, const char *url) {
    struct ca_crl *crl = NULL;
    assert_int_equal(ca_crl_begin(&f->issuer, number, NOW_MS, NEXT_MS, url, &crl), TM_OK);
    return crl;
}

/* A TBSCertList on its way to becoming a CRL. */
struct made {
    int tbs_fd, fd;
    uint64_t tbs_size, entries, size;
    uint8_t sha256[CA_HASH_SIZE];
    struct bytes tbs, der;
    uint8_t signature[512];
    size_t signature_n;
};

static void finish(struct ca_crl *crl, struct made *m) {
    *m = (struct made){.tbs_fd = -1, .fd = -1};
    assert_int_equal(ca_crl_finish(crl, &m->tbs_fd, &m->tbs_size, &m->entries), TM_OK);
    ca_crl_free(crl);
    assert_int_equal(memfile_map(m->tbs_fd, IPC_TBS_FILE_MAX, &m->tbs), TM_OK);
    assert_int_equal(m->tbs.n, m->tbs_size);
}

static void sign(const struct ca_fixture *f, struct made *m) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    m->signature_n = sizeof m->signature;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, ca_fixture_digest(f->key), NULL, f->key), 1);
    assert_int_equal(EVP_DigestSign(ctx, m->signature, &m->signature_n, m->tbs.p, m->tbs.n), 1);
    EVP_MD_CTX_free(ctx);
}

static struct bytes signature_of(const struct made *m) {
    return (struct bytes){m->signature, m->signature_n};
}

static void assemble(const struct ca_fixture *f, struct made *m) {
    uint8_t sha256[CA_HASH_SIZE];
    sign(f, m);
    assert_int_equal(
        ca_crl_assemble(&f->issuer, m->tbs_fd, signature_of(m), &m->fd, &m->size, m->sha256),
        TM_OK);
    assert_int_equal(memfile_map(m->fd, IPC_TBS_FILE_MAX, &m->der), TM_OK);
    assert_int_equal(m->der.n, m->size);
    assert_int_equal(EVP_Digest(m->der.p, m->der.n, sha256, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(sha256, m->sha256, sizeof sha256);
}

static void drop(struct made *m) {
    memfile_unmap(m->tbs);
    memfile_unmap(m->der);
    assert_int_equal(close(m->tbs_fd), 0);
    if (m->fd >= 0)
        assert_int_equal(close(m->fd), 0);
}

/* OpenSSL's view, whose signature is good. */
static X509_CRL *foreign(const struct ca_fixture *f, const struct made *m) {
    const unsigned char *p = m->der.p;
    X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)m->der.n);
    assert_non_null(crl);
    assert_ptr_equal(p, m->der.p + m->der.n);
    assert_int_equal(X509_CRL_verify(crl, f->key), 1);
    return crl;
}

static X509_REVOKED *look_up(X509_CRL *crl, const struct ca_serial *serial) {
    X509_REVOKED *found = NULL;
    BIGNUM *n = BN_bin2bn(serial->octets, serial->n, NULL);
    ASN1_INTEGER *integer = BN_to_ASN1_INTEGER(n, NULL);
    (void)X509_CRL_get0_by_serial(crl, &found, integer);
    ASN1_INTEGER_free(integer);
    BN_free(n);
    return found;
}

static int64_t time_of(const ASN1_TIME *time) {
    struct tm tm;
    assert_int_equal(ASN1_TIME_to_tm(time, &tm), 1);
    return (int64_t)timegm(&tm) * 1000;
}

static int reason_of(const X509_REVOKED *revoked) {
    int critical = 0;
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(revoked, NID_crl_reason, &critical, NULL);
    int value = reason ? (int)ASN1_ENUMERATED_get(reason) : 0;
    ASN1_ENUMERATED_free(reason);
    return value;
}

/* ---- building ---- */

static void openssl_reads_what_is_built(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(issuer_kinds); k++) {
        struct ca_fixture f;
        struct made m;
        ca_fixture_open(&f, issuer_kinds[k]);
        struct ca_crl *crl = begin(&f, 4711, NULL);
        for (uint64_t i = 0; i < 1000; i++) {
            struct ca_revoked r = revoked_at(2 * i);
            const uint8_t reasons[] = {0, 1, 3, 4, 5, 6, 9, 10};
            r.reason = reasons[i % sizeof reasons];
            assert_int_equal(ca_crl_add(crl, &r), TM_OK);
        }
        finish(crl, &m);
        assert_int_equal(m.entries, 1000);
        assemble(&f, &m);
        X509_CRL *theirs = foreign(&f, &m);
        assert_int_equal(X509_CRL_get_version(theirs), X509_CRL_VERSION_2);
        assert_int_equal(time_of(X509_CRL_get0_lastUpdate(theirs)), NOW_MS);
        assert_int_equal(time_of(X509_CRL_get0_nextUpdate(theirs)), NEXT_MS);
        assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(theirs)), 1000);
        for (uint64_t i = 0; i < 2000; i++) {
            struct ca_revoked r = revoked_at(i);
            X509_REVOKED *found = look_up(theirs, &r.serial);
            if (i % 2) {
                assert_null(found);
                continue;
            }
            const int reasons[] = {0, 1, 3, 4, 5, 6, 9, 10};
            assert_non_null(found);
            assert_int_equal(time_of(X509_REVOKED_get0_revocationDate(found)), r.revoked_ms);
            assert_int_equal(reason_of(found), reasons[i / 2 % 8]);
            assert_int_equal(X509_REVOKED_get_ext_count(found), reasons[i / 2 % 8] ? 1 : 0);
        }
        X509_CRL_free(theirs);
        drop(&m);
        ca_fixture_close(&f);
    }
}

static void a_crl_without_entries_has_no_list(void **state) {
    (void)state;
    struct ca_fixture f;
    struct made m;
    ca_fixture_open(&f, "P-256");
    finish(begin(&f, 0, NULL), &m);
    assert_int_equal(m.entries, 0);
    assemble(&f, &m);
    X509_CRL *theirs = foreign(&f, &m);
    assert_null(X509_CRL_get_REVOKED(theirs)); /* RFC 5280, 5.1.2.6: absent, not empty */
    X509_CRL_free(theirs);
    drop(&m);
    ca_fixture_close(&f);
}

static void extensions_are_those_of_the_rfc(void **state) {
    (void)state;
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    for (int shard = 0; shard < 2; shard++) {
        struct made m;
        int critical;
        finish(begin(&f, UINT64_MAX, shard ? SHARD_URL : NULL), &m);
        assemble(&f, &m);
        X509_CRL *theirs = foreign(&f, &m);
        assert_int_equal(X509_CRL_get_ext_count(theirs), shard ? 3 : 2);
        ASN1_INTEGER *number = X509_CRL_get_ext_d2i(theirs, NID_crl_number, &critical, NULL);
        uint64_t value = 0;
        assert_non_null(number);
        assert_int_equal(critical, 0);
        assert_int_equal(ASN1_INTEGER_get_uint64(&value, number), 1);
        assert_true(value == UINT64_MAX);
        AUTHORITY_KEYID *aki =
            X509_CRL_get_ext_d2i(theirs, NID_authority_key_identifier, &critical, NULL);
        assert_non_null(aki);
        assert_int_equal(ASN1_OCTET_STRING_cmp(aki->keyid, X509_get0_subject_key_id(f.cert)), 0);
        ISSUING_DIST_POINT *idp =
            X509_CRL_get_ext_d2i(theirs, NID_issuing_distribution_point, &critical, NULL);
        assert_int_equal(idp != NULL, shard);
        if (shard) {
            assert_int_equal(critical, 1);
            GENERAL_NAME *name = sk_GENERAL_NAME_value(idp->distpoint->name.fullname, 0);
            assert_int_equal(name->type, GEN_URI);
            assert_string_equal(
                (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), SHARD_URL);
        }
        ISSUING_DIST_POINT_free(idp);
        AUTHORITY_KEYID_free(aki);
        ASN1_INTEGER_free(number);
        X509_CRL_free(theirs);
        drop(&m);
    }
    ca_fixture_close(&f);
}

/* RFC 5280, 5.1.2.6: UTCTime through 2049, GeneralizedTime from then on. */
static void times_change_their_form_in_2050(void **state) {
    (void)state;
    struct ca_fixture f;
    struct made m;
    struct ca_revoked last = revoked_at(1), first = revoked_at(2);
    last.revoked_ms = INT64_C(2524607999999);
    first.revoked_ms = INT64_C(2524608000000);
    ca_fixture_open(&f, "P-256");
    struct ca_crl *crl = begin(&f, 1, NULL);
    assert_int_equal(ca_crl_add(crl, &last), TM_OK);
    assert_int_equal(ca_crl_add(crl, &first), TM_OK);
    finish(crl, &m);
    assemble(&f, &m);
    X509_CRL *theirs = foreign(&f, &m);
    const ASN1_TIME *time = X509_REVOKED_get0_revocationDate(look_up(theirs, &last.serial));
    assert_int_equal(ASN1_STRING_type(time), V_ASN1_UTCTIME);
    assert_string_equal((const char *)ASN1_STRING_get0_data(time), "491231235959Z");
    time = X509_REVOKED_get0_revocationDate(look_up(theirs, &first.serial));
    assert_int_equal(ASN1_STRING_type(time), V_ASN1_GENERALIZEDTIME);
    assert_string_equal((const char *)ASN1_STRING_get0_data(time), "20500101000000Z");
    X509_CRL_free(theirs);
    drop(&m);
    ca_fixture_close(&f);
}

static void bad_terms_begin_nothing(void **state) {
    (void)state;
    struct ca_fixture f;
    struct ca_crl *crl = NULL;
    char url[CA_URL_MAX + 2];
    memset(url, 'u', sizeof url);
    url[sizeof url - 1] = '\0';
    ca_fixture_open(&f, "P-256");
    assert_int_equal(ca_crl_begin(&f.issuer, 1, NOW_MS, NOW_MS, NULL, &crl), TM_EINVAL);
    assert_int_equal(ca_crl_begin(&f.issuer, 1, NOW_MS, NOW_MS + 999, NULL, &crl), TM_EINVAL);
    assert_int_equal(ca_crl_begin(&f.issuer, 1, NOW_MS, NEXT_MS, "", &crl), TM_EINVAL);
    assert_int_equal(ca_crl_begin(&f.issuer, 1, NOW_MS, NEXT_MS, url, &crl), TM_EINVAL);
    assert_null(crl);
    url[CA_URL_MAX] = '\0';
    struct made m;
    assert_int_equal(ca_crl_begin(&f.issuer, 1, NOW_MS, NEXT_MS, url, &crl), TM_OK);
    finish(crl, &m);
    drop(&m);
    ca_crl_free(NULL);
    ca_fixture_close(&f);
}

static void only_rising_serials_are_taken(void **state) {
    (void)state;
    struct ca_fixture f;
    const struct ca_serial bad[] = {
        {.n = 0}, {.octets = {0}, .n = 1}, {.octets = {0x80}, .n = 1}, {.octets = {0, 1}, .n = 2}};
    ca_fixture_open(&f, "P-256");
    struct ca_crl *crl = begin(&f, 1, NULL);
    struct ca_revoked r = revoked_at(5);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ca_revoked wrong = {.serial = bad[i], .revoked_ms = NOW_MS};
        assert_int_equal(ca_crl_add(crl, &wrong), TM_EINVAL);
    }
    for (unsigned reason = 7; reason < 256; reason++) {
        r.reason = (uint8_t)reason;
        if (reason != 9 && reason != 10)
            assert_int_equal(ca_crl_add(crl, &r), TM_EINVAL);
    }
    r.reason = 0;
    struct ca_revoked one = {.serial = {.octets = {1}, .n = 1}, .revoked_ms = NOW_MS};
    struct ca_revoked two = {.serial = {.octets = {0, 0xff}, .n = 2}, .revoked_ms = NOW_MS};
    assert_int_equal(ca_crl_add(crl, &one), TM_OK);
    assert_int_equal(ca_crl_add(crl, &two), TM_OK);
    assert_int_equal(ca_crl_add(crl, &one), TM_EINVAL);
    assert_int_equal(ca_crl_add(crl, &r), TM_OK);
    assert_int_equal(ca_crl_add(crl, &r), TM_EINVAL);
    r = revoked_at(4);
    assert_int_equal(ca_crl_add(crl, &r), TM_EINVAL);
    ca_crl_free(crl);
    ca_fixture_close(&f);
}

static void nobody_changes_a_finished_file(void **state) {
    (void)state;
    struct ca_fixture f;
    struct made m;
    ca_fixture_open(&f, "P-256");
    finish(begin(&f, 1, NULL), &m);
    assemble(&f, &m);
    const int fds[] = {m.tbs_fd, m.fd};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pwrite(fds[i], "x", 1, 0), -1);
        assert_int_equal(ftruncate(fds[i], 0), -1);
        assert_ptr_equal(mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0), MAP_FAILED);
    }
    drop(&m);
    ca_fixture_close(&f);
}

static void a_signature_that_is_not_good_makes_nothing(void **state) {
    (void)state;
    struct ca_fixture f, other;
    struct made m, older;
    ca_fixture_open(&f, "P-256");
    ca_fixture_open(&other, "P-256");
    finish(begin(&f, 2, NULL), &m);
    finish(begin(&f, 1, NULL), &older);
    sign(&f, &m);
    sign(&f, &older);
    uint64_t size = 77;
    int fd = -7;
    uint8_t sha256[CA_HASH_SIZE] = {9};
    struct bytes good = signature_of(&m), none = {m.signature, 0};
    struct bytes of_older = signature_of(&older);
    assert_int_equal(ca_crl_assemble(&other.issuer, m.tbs_fd, good, &fd, &size, sha256),
                     TM_ECRYPTO);
    assert_int_equal(ca_crl_assemble(&f.issuer, m.tbs_fd, of_older, &fd, &size, sha256),
                     TM_ECRYPTO);
    assert_int_equal(ca_crl_assemble(&f.issuer, m.tbs_fd, none, &fd, &size, sha256), TM_ECRYPTO);
    m.signature[m.signature_n - 1] ^= 1;
    assert_int_equal(ca_crl_assemble(&f.issuer, m.tbs_fd, good, &fd, &size, sha256), TM_ECRYPTO);
    m.signature[m.signature_n - 1] ^= 1;
    int open_file = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(open_file, m.tbs.p, m.tbs.n), m.tbs.n);
    assert_int_equal(ca_crl_assemble(&f.issuer, open_file, good, &fd, &size, sha256), TM_EDENIED);
    assert_int_equal(memfile_seal(open_file), TM_OK);
    assert_int_equal(fd, -7);
    assert_int_equal(size, 77);
    assert_int_equal(sha256[0], 9);
    assert_int_equal(ca_crl_assemble(&f.issuer, open_file, good, &fd, &size, sha256), TM_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(open_file), 0);
    drop(&m);
    drop(&older);
    ca_fixture_close(&f);
    ca_fixture_close(&other);
}

static void a_serial_names_its_shard(void **state) {
    (void)state;
    struct ca_issuer issuer = {.crl_shards = 7};
    const uint8_t serial[] = {0x01, 0x02, 0x03};
    assert_int_equal(ca_crl_shard(&issuer, BYTES_OF(serial)), 0x0203 % 7);
    assert_int_equal(ca_crl_shard(&issuer, (struct bytes){serial, 1}), 1);
    issuer.crl_shards = 1024;
    assert_int_equal(ca_crl_shard(&issuer, BYTES_OF(serial)), 0x0203);
    issuer.crl_shards = 0;
    assert_int_equal(ca_crl_shard(&issuer, BYTES_OF(serial)), 0);
}

/* ---- reading ---- */

static void what_is_built_reads_back(void **state) {
    (void)state;
    struct ca_fixture f;
    struct made m;
    struct pki_crl view, tbs;
    ca_fixture_open(&f, "P-384");
    struct ca_crl *crl = begin(&f, 300, SHARD_URL);
    for (uint64_t i = 0; i < 100; i++) {
        struct ca_revoked r = revoked_at(i);
        r.reason = i % 2 ? 4 : 0;
        assert_int_equal(ca_crl_add(crl, &r), TM_OK);
    }
    finish(crl, &m);
    assemble(&f, &m);
    assert_int_equal(pki_crl_parse(m.der, &view), TM_OK);
    assert_int_equal(pki_crl_tbs_parse(m.tbs, &tbs), TM_OK);
    assert_true(bytes_equal(view.tbs, m.tbs));
    assert_true(bytes_equal(view.signature, signature_of(&m)));
    assert_int_equal(tbs.whole.n + tbs.signature.n + tbs.algorithm.n, 0);
    assert_true(bytes_equal(view.issuer, f.issuer.view.subject));
    assert_true(bytes_equal(view.key_id, f.issuer.key_id));
    assert_true(bytes_equal(view.url, bytes_str(SHARD_URL)));
    assert_int_equal(view.number, 300);
    assert_int_equal(view.this_update_ms, NOW_MS);
    assert_int_equal(view.next_update_ms, NEXT_MS);
    uint64_t count = 0;
    assert_int_equal(pki_crl_walk(&view, &count), TM_OK);
    assert_int_equal(count, 100);
    for (uint64_t i = 0; i < 100; i++) {
        struct pki_crl_entry entry;
        struct ca_revoked r = revoked_at(i);
        assert_int_equal(pki_crl_next(&view.entries, &entry), TM_OK);
        assert_true(bytes_equal(entry.serial, (struct bytes){r.serial.octets, r.serial.n}));
        assert_int_equal(entry.revoked_ms, r.revoked_ms);
        assert_int_equal(entry.reason, i % 2 ? 4 : 0);
    }
    assert_int_equal(view.entries.n, 0);
    drop(&m);
    ca_fixture_close(&f);
}

/* A CRL by OpenSSL, with what is asked for. */
static struct fixture_der by_openssl(const struct ca_fixture *f, bool numbered, bool delta,
                                     bool twice) {
    struct fixture_der der;
    X509V3_CTX ctx;
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = ASN1_TIME_set(NULL, NOW_MS / 1000);
    ASN1_TIME *next = ASN1_TIME_set(NULL, NEXT_MS / 1000);
    assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(f->cert)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, now), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, next), 1);
    for (long i = 1; i <= (twice ? 2 : 3); i++) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        assert_int_equal(ASN1_INTEGER_set(serial, twice ? 7 : i), 1);
        assert_int_equal(X509_REVOKED_set_serialNumber(revoked, serial), 1);
        assert_int_equal(X509_REVOKED_set_revocationDate(revoked, now), 1);
        assert_int_equal(X509_CRL_add0_revoked(crl, revoked), 1);
        ASN1_INTEGER_free(serial);
    }
    X509V3_set_ctx(&ctx, f->cert, NULL, NULL, crl, 0);
    X509_EXTENSION *aki = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid");
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    assert_non_null(aki);
    assert_int_equal(X509_CRL_add_ext(crl, aki, -1), 1);
    assert_int_equal(ASN1_INTEGER_set(number, 300), 1);
    assert_int_equal(!numbered || X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0), 1);
    assert_int_equal(!delta || X509_CRL_add1_ext_i2d(crl, NID_delta_crl, number, 1, 0), 1);
    X509_EXTENSION_free(aki);
    ASN1_INTEGER_free(number);
    assert_true(X509_CRL_sign(crl, f->key, EVP_sha256()) > 0);
    FIXTURE_I2D(&der, X509_CRL, crl);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    return der;
}

static void crls_of_openssl_are_read(void **state) {
    (void)state;
    struct ca_fixture f;
    struct pki_crl view;
    uint64_t count = 0;
    ca_fixture_open(&f, "P-256");
    struct fixture_der der = by_openssl(&f, true, false, false);
    assert_int_equal(pki_crl_parse(fixture_bytes(&der), &view), TM_OK);
    assert_int_equal(view.number, 300);
    assert_int_equal(view.url.n, 0);
    assert_int_equal(pki_crl_walk(&view, &count), TM_OK);
    assert_int_equal(count, 3);
    assert_int_equal(ca_issuer_verify(&f.issuer, view.tbs, view.signature), TM_OK);
    fixture_free(&der);
    der = by_openssl(&f, false, false, false); /* no number */
    assert_int_equal(pki_crl_parse(fixture_bytes(&der), &view), TM_EPARSE);
    fixture_free(&der);
    der = by_openssl(&f, true, true, false); /* a delta CRL */
    assert_int_equal(pki_crl_parse(fixture_bytes(&der), &view), TM_EPARSE);
    fixture_free(&der);
    der = by_openssl(&f, true, false, true);
    assert_int_equal(pki_crl_parse(fixture_bytes(&der), &view), TM_OK);
    assert_int_equal(pki_crl_walk(&view, &count), TM_EPARSE);
    fixture_free(&der);
    ca_fixture_close(&f);
}

/* A small TBSCertList of our own, to be damaged. */
static void small_tbs(const struct ca_fixture *f, struct made *m) {
    struct ca_crl *crl = begin(f, 300, SHARD_URL);
    for (uint64_t i = 0; i < 2; i++) {
        struct ca_revoked r = revoked_at(i);
        r.reason = 1;
        assert_int_equal(ca_crl_add(crl, &r), TM_OK);
    }
    finish(crl, m);
}

static bool reads(struct bytes tbs) {
    struct pki_crl view;
    uint64_t count;
    return !pki_crl_tbs_parse(tbs, &view) && !pki_crl_walk(&view, &count);
}

static void damage_is_seen(void **state) {
    (void)state;
    struct ca_fixture f;
    struct made m;
    uint8_t memory[1024];
    ca_fixture_open(&f, "P-256");
    small_tbs(&f, &m);
    assert_true(m.tbs.n < sizeof memory);
    assert_true(reads(m.tbs));
    for (size_t n = 0; n < m.tbs.n; n++)
        assert_false(reads((struct bytes){m.tbs.p, n}));
    memcpy(memory, m.tbs.p, m.tbs.n);
    memory[m.tbs.n] = 0;
    assert_false(reads((struct bytes){memory, m.tbs.n + 1}));
    drop(&m);
    ca_fixture_close(&f);
}

static void structure_is_demanded(void **state) {
    (void)state;
    struct ca_fixture f;
    struct made m;
    uint8_t memory[1024];
    ca_fixture_open(&f, "P-256");
    small_tbs(&f, &m);
    struct pki_crl view;
    assert_int_equal(pki_crl_tbs_parse(m.tbs, &view), TM_OK);
    size_t count = rewrite_count(m.tbs);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        struct rewrite more = {.kind = REWRITE_APPEND, .target = i};
        struct bytes changed = rewrite_der(m.tbs, &more, memory, sizeof memory);
        if (more.applied && more.element.whole.p != view.tbs_algorithm.p) /* parameters: anything */
            assert_false(reads(changed));
        struct rewrite other = {.kind = REWRITE_RETAG, .target = i};
        changed = rewrite_der(m.tbs, &other, memory, sizeof memory);
        bool in_name = other.element.whole.p > view.issuer.p &&
                       other.element.whole.p < view.issuer.p + view.issuer.n;
        if (!in_name)
            assert_false(reads(changed));
        struct rewrite less = {.kind = REWRITE_REMOVE, .target = i};
        changed = rewrite_der(m.tbs, &less, memory, sizeof memory);
        bool is_list = less.element.value.p == view.entries.p;
        if (less.depth == 1 && !is_list)
            assert_false(reads(changed));
    }
    drop(&m);
    ca_fixture_close(&f);
}

static void odd_entries_are_refused(void **state) {
    (void)state;
    static const uint8_t good[] = {0x30, 0x12, 0x02, 0x01, 0x05, 0x17, 0x0d, '3', '0', '0',
                                   '3',  '1',  '7',  '0',  '0',  '0',  '0',  '0', '0', 'Z'};
    struct bytes in = BYTES_OF(good);
    struct pki_crl_entry entry;
    assert_int_equal(pki_crl_next(&in, &entry), TM_OK);
    assert_int_equal(in.n, 0);
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 0x31}, {2, 0x0a}, {4, 0x00}, {4, 0x80}, {5, 0x18}, {7, 'x'}, {1, 0x11}};
    for (size_t i = 0; i < COUNT(changes); i++) {
        uint8_t bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[changes[i].at] = changes[i].value;
        in = BYTES_OF(bad);
        assert_int_equal(pki_crl_next(&in, &entry), TM_EPARSE);
        assert_ptr_equal(in.p, bad);
    }
    in = (struct bytes){0};
    assert_int_equal(pki_crl_next(&in, &entry), TM_EPARSE);
}

/* ---- a million ---- */

static int64_t cpu_us(void) {
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * INT64_C(1000000) +
           used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* Its outer length takes four octets, and reading it must be linear. */
static void a_million_entries_are_no_matter(void **state) {
    (void)state;
    enum { MILLION = 1000000 };
    struct ca_fixture f;
    struct made m;
    struct pki_crl view;
    uint64_t count = 0;
    ca_fixture_open(&f, "P-256");
    int64_t t0 = cpu_us();
    struct ca_crl *crl = begin(&f, 1, NULL);
    for (uint64_t i = 0; i < MILLION; i++) {
        struct ca_revoked r = revoked_at(i);
        r.reason = 4;
        assert_int_equal(ca_crl_add(crl, &r), TM_OK);
    }
    finish(crl, &m);
    int64_t t1 = cpu_us();
    assert_int_equal(pki_crl_tbs_parse(m.tbs, &view), TM_OK);
    assert_int_equal(pki_crl_walk(&view, &count), TM_OK);
    assert_int_equal(count, MILLION);
    int64_t t2 = cpu_us();
    assemble(&f, &m);
    int64_t t3 = cpu_us();
    assert_int_equal(pki_crl_parse(m.der, &view), TM_OK);
    assert_true(m.size > (1u << 24));
    print_message("a million entries: %llu octets, built in %lld ms, read in %lld ms, signed, "
                  "verified and assembled in %lld ms of CPU\n",
                  (unsigned long long)m.size, (long long)(t1 - t0) / 1000,
                  (long long)(t2 - t1) / 1000, (long long)(t3 - t2) / 1000);
    X509_CRL *theirs = foreign(&f, &m);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(theirs)), MILLION);
    X509_CRL_free(theirs);
    drop(&m);
    ca_fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_reads_what_is_built),
        cmocka_unit_test(a_crl_without_entries_has_no_list),
        cmocka_unit_test(extensions_are_those_of_the_rfc),
        cmocka_unit_test(times_change_their_form_in_2050),
        cmocka_unit_test(bad_terms_begin_nothing),
        cmocka_unit_test(only_rising_serials_are_taken),
        cmocka_unit_test(nobody_changes_a_finished_file),
        cmocka_unit_test(a_signature_that_is_not_good_makes_nothing),
        cmocka_unit_test(a_serial_names_its_shard),
        cmocka_unit_test(what_is_built_reads_back),
        cmocka_unit_test(crls_of_openssl_are_read),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(structure_is_demanded),
        cmocka_unit_test(odd_entries_are_refused),
        cmocka_unit_test(a_million_entries_are_no_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
