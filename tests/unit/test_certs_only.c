/* SPDX-License-Identifier: Apache-2.0 */
/* certs-only messages: OpenSSL reads ours by both of its readers, we read OpenSSL's. */
#include "pki_fixture.h"

#include <openssl/cms.h>
#include <openssl/pkcs7.h>

#include "est/wire/certs_only.h"
#include "pki/der.h"
#include "pki/oid.h"

#define CERTIFICATES 3

struct three {
    EVP_PKEY *key;
    X509 *certs[CERTIFICATES];
    struct fixture_der ders[CERTIFICATES];
};

/* Of different sizes, so that DER's order of a SET would be another than ours. */
static int make_three(void **state) {
    static const char *const ids[CERTIFICATES] = {"SN-long-enough-to-come-last-in-der", "SN-2",
                                                  "S"};
    struct three *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->key = fixture_p256();
    for (size_t i = 0; i < CERTIFICATES; i++) {
        t->certs[i] = fixture_certificate(t->key, ids[i], NULL);
        FIXTURE_I2D(&t->ders[i], X509, t->certs[i]);
    }
    *state = t;
    return 0;
}

static int free_three(void **state) {
    struct three *t = *state;
    for (size_t i = 0; i < CERTIFICATES; i++) {
        X509_free(t->certs[i]);
        fixture_free(&t->ders[i]);
    }
    EVP_PKEY_free(t->key);
    free(t);
    return 0;
}

static void assert_stack(const struct three *t, const STACK_OF(X509) * certs, size_t count) {
    assert_int_equal(sk_X509_num(certs), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(X509_cmp(sk_X509_value(certs, (int)i), t->certs[i]), 0);
}

static void openssl_reads_ours_in_order(void **state) {
    const struct three *t = *state;
    uint8_t chain[4096], memory[4096];
    struct buf certificates = BUF_ON(chain);
    for (size_t count = 1; count <= CERTIFICATES; count++) {
        buf_put(&certificates, fixture_bytes(&t->ders[count - 1]));
        struct buf out = BUF_ON(memory);
        buf_put(&out, bytes_str("before"));
        assert_int_equal(est_certs_only_write(buf_bytes(&certificates), &out), TM_OK);
        const unsigned char *p = memory + 6;
        PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)out.n - 6);
        assert_non_null(p7);
        assert_ptr_equal(p, memory + out.n);
        assert_true(PKCS7_type_is_signed(p7));
        assert_stack(t, p7->d.sign->cert, count);
        assert_true(sk_PKCS7_SIGNER_INFO_num(p7->d.sign->signer_info) <= 0);
        PKCS7_free(p7);
        p = memory + 6;
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)out.n - 6);
        assert_non_null(cms);
        STACK_OF(X509) *certs = CMS_get1_certs(cms);
        assert_stack(t, certs, count);
        sk_X509_pop_free(certs, X509_free);
        CMS_ContentInfo_free(cms);
        struct bytes back;
        assert_int_equal(est_certs_only_read((struct bytes){memory + 6, out.n - 6}, &back), TM_OK);
        assert_bytes_equal(back, buf_bytes(&certificates));
    }
}

/* As `openssl crl2pkcs7 -nocrl -certfile` makes it. */
static void we_read_openssls_pkcs7(void **state) {
    const struct three *t = *state;
    PKCS7 *p7 = PKCS7_new();
    assert_true(PKCS7_set_type(p7, NID_pkcs7_signed));
    assert_true(PKCS7_content_new(p7, NID_pkcs7_data));
    for (size_t i = 0; i < CERTIFICATES; i++)
        assert_true(PKCS7_add_certificate(p7, t->certs[i]));
    ASN1_OCTET_STRING_free(p7->d.sign->contents->d.data);
    p7->d.sign->contents->d.data = NULL;
    struct fixture_der der;
    FIXTURE_I2D(&der, PKCS7, p7);
    struct bytes certificates;
    assert_int_equal(est_certs_only_read(fixture_bytes(&der), &certificates), TM_OK);
    size_t total = 0;
    for (size_t i = 0; i < CERTIFICATES; i++)
        total += (size_t)t->ders[i].n;
    assert_int_equal(certificates.n, total);
    fixture_free(&der);
    PKCS7_free(p7);
}

static void signed_messages_are_refused(void **state) {
    const struct three *t = *state;
    BIO *bio = BIO_new_mem_buf("hello", 5);
    const unsigned flags[] = {CMS_BINARY, CMS_BINARY | CMS_DETACHED};
    for (size_t i = 0; i < 2; i++) {
        CMS_ContentInfo *cms = CMS_sign(t->certs[0], t->key, NULL, bio, flags[i]);
        assert_non_null(cms);
        struct fixture_der der;
        FIXTURE_I2D(&der, CMS_ContentInfo, cms);
        struct bytes certificates = {NULL, 77};
        assert_int_equal(est_certs_only_read(fixture_bytes(&der), &certificates), TM_EPARSE);
        assert_int_equal(certificates.n, 77);
        fixture_free(&der);
        CMS_ContentInfo_free(cms);
    }
    BIO_free(bio);
}

static void what_holds_no_certificate_is_refused(void **state) {
    const struct three *t = *state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct bytes none = {0}, not_der = bytes_str("junk"), cut = fixture_bytes(&t->ders[0]);
    cut.n--;
    assert_int_equal(est_certs_only_write(none, &out), TM_EPARSE);
    assert_int_equal(est_certs_only_write(not_der, &out), TM_EPARSE);
    assert_int_equal(est_certs_only_write(cut, &out), TM_EPARSE);
    assert_int_equal(out.n, 0);
    struct bytes certificates;
    assert_int_equal(est_certs_only_read(fixture_bytes(&t->ders[0]), &certificates), TM_EPARSE);
    /* the same message with its certificates taken out (OpenSSL's empty stack) */
    static const uint8_t empty[] = {0x30, 0x25, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                    0x01, 0x07, 0x02, 0xa0, 0x18, 0x30, 0x16, 0x02, 0x01, 0x01,
                                    0x31, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                    0xf7, 0x0d, 0x01, 0x07, 0x01, 0xa0, 0x00, 0x31, 0x00};
    const unsigned char *p = empty;
    PKCS7 *p7 = d2i_PKCS7(NULL, &p, sizeof empty);
    assert_non_null(p7);
    PKCS7_free(p7);
    assert_int_equal(est_certs_only_read(BYTES_OF(empty), &certificates), TM_EPARSE);
}

/* A message of parts, each of which can be wrong alone. */
struct recipe {
    uint32_t version;
    enum pki_oid content_type, inner_type;
    struct bytes inner_content; /* behind the inner type */
    struct bytes crls;          /* whole [1], may be empty */
    struct bytes signers;       /* content of the SET */
    struct bytes trailing;      /* behind SignedData's SET */
};

static enum tm_err read_recipe(const struct recipe *r, struct bytes certificates) {
    static uint8_t memory[4096];
    struct bytes read;
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t end = der_mark(&w);
    der_raw(&w, r->trailing);
    der_put(&w, DER_SET, r->signers);
    der_raw(&w, r->crls);
    der_put(&w, DER_CONTEXT_CONSTRUCTED(0), certificates);
    size_t inner = der_mark(&w);
    der_raw(&w, r->inner_content);
    der_put(&w, DER_OID, pki_oid_bytes(r->inner_type));
    der_wrap(&w, DER_SEQUENCE, inner);
    der_put(&w, DER_SET, (struct bytes){0});
    der_put_small(&w, r->version);
    der_wrap(&w, DER_SEQUENCE, end);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_put(&w, DER_OID, pki_oid_bytes(r->content_type));
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return est_certs_only_read(der_written(&w), &read);
}

static void each_part_is_checked(void **state) {
    const struct three *t = *state;
    struct bytes certificate = fixture_bytes(&t->ders[1]), null = bytes_str("\x05");
    null.n = 2; /* with its length octet, the literal's NUL */
    const struct recipe good = {
        .version = 1, .content_type = PKI_OID_SIGNED_DATA, .inner_type = PKI_OID_DATA};
    struct recipe r = good;
    assert_int_equal(read_recipe(&r, certificate), TM_OK);
    r.version = 3;
    r.crls = bytes_str("\xa1\x02\x30");
    r.crls.n = 4;
    assert_int_equal(read_recipe(&r, certificate), TM_OK);
    r = good;
    r.version = 0;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    r.version = 6;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    r = good;
    r.content_type = PKI_OID_DATA;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    r = good;
    r.inner_type = PKI_OID_SIGNED_DATA;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    r = good;
    r.inner_content = null;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    r = good;
    r.signers = null;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    r = good;
    r.trailing = null;
    assert_int_equal(read_recipe(&r, certificate), TM_EPARSE);
    assert_int_equal(read_recipe(&good, null), TM_EPARSE); /* a choice that is no Certificate */
}

static void every_cut_is_refused(void **state) {
    const struct three *t = *state;
    uint8_t memory[1024];
    struct buf out = BUF_ON(memory);
    struct bytes certificates;
    assert_int_equal(est_certs_only_write(fixture_bytes(&t->ders[1]), &out), TM_OK);
    for (size_t n = 0; n < out.n; n++) {
        uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, memory, n);
        assert_int_equal(est_certs_only_read((struct bytes){exact, n}, &certificates), TM_EPARSE);
        free(exact);
    }
    buf_put_u8(&out, 0);
    assert_int_equal(est_certs_only_read(buf_bytes(&out), &certificates), TM_EPARSE);
}

static void a_full_buffer_is_left_as_it_was(void **state) {
    const struct three *t = *state;
    uint8_t memory[1024];
    struct buf whole = BUF_ON(memory);
    assert_int_equal(est_certs_only_write(fixture_bytes(&t->ders[1]), &whole), TM_OK);
    for (size_t cap = 0; cap < whole.n; cap += 7) {
        uint8_t *exact = malloc(cap + 1);
        assert_non_null(exact);
        struct buf out = {exact, cap, 0, false};
        assert_int_equal(est_certs_only_write(fixture_bytes(&t->ders[1]), &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_reads_ours_in_order),
        cmocka_unit_test(we_read_openssls_pkcs7),
        cmocka_unit_test(signed_messages_are_refused),
        cmocka_unit_test(what_holds_no_certificate_is_refused),
        cmocka_unit_test(each_part_is_checked),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
    };
    return cmocka_run_group_tests(tests, make_three, free_three);
}
