/* SPDX-License-Identifier: Apache-2.0 */
/* Distinguished names against OpenSSL's: equality, text, writing. */
#include "pki_fixture.h"

#include "pki/name.h"

#define B(...) BYTES_OF(((const uint8_t[]){__VA_ARGS__}))

static struct fixture_der name_der(X509_NAME *name) {
    struct fixture_der der;
    FIXTURE_I2D(&der, X509_NAME, name);
    return der;
}

static X509_NAME *make(const char *type, int string_type, const char *value) {
    X509_NAME *name = X509_NAME_new();
    assert_non_null(name);
    assert_true(X509_NAME_add_entry_by_txt(name, type, string_type, (const unsigned char *)value,
                                           -1, -1, 0));
    return name;
}

/* A small generator of its own: the same names on every run. */
static unsigned next_random(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static X509_NAME *random_name(unsigned *seed) {
    static const char *const types[] = {"CN", "O", "OU", "serialNumber", "C", "DC", "UID"};
    static const char *const values[] = {"ab", "AB", "a b",      "a  b",     " a b ", "a\tb",
                                         "c",  "",   "\xc3\xa9", "\xc3\x89", "a b c"};
    static const int kinds[] = {V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING, V_ASN1_T61STRING,
                                V_ASN1_IA5STRING};
    X509_NAME *name = X509_NAME_new();
    assert_non_null(name);
    unsigned count = next_random(seed) % 3;
    for (unsigned i = 0; i < count; i++) {
        const char *value = values[next_random(seed) % (sizeof values / sizeof *values)];
        int kind = kinds[next_random(seed) % 4];
        if ((unsigned char)value[0] >= 0x80 || strchr(value, '\t'))
            kind = V_ASN1_UTF8STRING;
        assert_true(X509_NAME_add_entry_by_txt(name, types[next_random(seed) % 7], kind,
                                               (const unsigned char *)value, -1, -1, 0));
    }
    return name;
}

static void equality_is_openssls(void **state) {
    (void)state;
    unsigned seed = 1, equal = 0;
    for (int i = 0; i < 20000; i++) {
        X509_NAME *a = random_name(&seed), *b = random_name(&seed);
        struct fixture_der da = name_der(a), db = name_der(b);
        bool theirs = X509_NAME_cmp(a, b) == 0;
        assert_int_equal(pki_name_equal(fixture_bytes(&da), fixture_bytes(&db)), theirs);
        assert_true(pki_name_equal(fixture_bytes(&da), fixture_bytes(&da)));
        equal += theirs;
        fixture_free(&da);
        fixture_free(&db);
        X509_NAME_free(a);
        X509_NAME_free(b);
    }
    assert_true(equal > 1000 && equal < 15000);
}

static void string_types_do_not_matter(void **state) {
    (void)state;
    static const struct {
        int type;
        const char *octets;
        int n;
    } forms[] = {
        {V_ASN1_UTF8STRING, "D\xc3\xa9j\xc3\xa0 Vu", 9},
        {V_ASN1_T61STRING, "D\xe9j\xe0 vu", 7},
        {V_ASN1_BMPSTRING, "\0d\0\xe9\0j\0\xe0\0 \0V\0U", 14},
        {V_ASN1_UNIVERSALSTRING, "\0\0\0D\0\0\0\xe9\0\0\0J\0\0\0\xe0\0\0\0 \0\0\0V\0\0\0u", 28},
    };
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            X509_NAME *a = X509_NAME_new(), *b = X509_NAME_new();
            assert_true(X509_NAME_add_entry_by_txt(
                a, "CN", forms[i].type, (const unsigned char *)forms[i].octets, forms[i].n, -1, 0));
            assert_true(X509_NAME_add_entry_by_txt(
                b, "CN", forms[j].type, (const unsigned char *)forms[j].octets, forms[j].n, -1, 0));
            struct fixture_der da = name_der(a), db = name_der(b);
            assert_int_equal(X509_NAME_cmp(a, b), 0);
            assert_true(pki_name_equal(fixture_bytes(&da), fixture_bytes(&db)));
            fixture_free(&da);
            fixture_free(&db);
            X509_NAME_free(a);
            X509_NAME_free(b);
        }
}

static void malformed_names_equal_nothing(void **state) {
    (void)state;
    const struct bytes bad[] = {
        {NULL, 0},
        B(0x31, 0x00),                                                    /* not a SEQUENCE */
        B(0x30, 0x02, 0x31, 0x00),                                        /* empty RDN */
        B(0x30, 0x00, 0x00),                                              /* trailing octet */
        B(0x30, 0x09, 0x30, 0x07, 6, 3, 0x55, 4, 3, 5, 0),                /* no SET */
        B(0x30, 0x0b, 0x31, 0x09, 0x30, 0x07, 6, 3, 0x55, 4, 0x83, 5, 0), /* OID does not end */
        B(0x30, 0x0b, 0x31, 0x09, 0x30, 0x05, 6, 3, 0x55, 4, 3, 5, 0),    /* no value */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pki_attribute attribute;
        size_t at = 0;
        char text[32];
        assert_false(pki_name_valid(bad[i]));
        assert_false(pki_name_equal(bad[i], bad[i]));
        assert_int_equal(pki_name_next(bad[i], &at, &attribute), TM_EPARSE);
        pki_name_format(bad[i], text, sizeof text);
        assert_string_equal(text, "(malformed)");
    }
    /* well-formed names whose string breaks its type */
    struct bytes utf8 = B(0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 6, 3, 0x55, 4, 3, 12, 2, 0xc0, 0x80);
    struct bytes odd = B(0x30, 0x0e, 0x31, 0x0c, 0x30, 0x0a, 6, 3, 0x55, 4, 3, 30, 3, 0, 'a', 0);
    struct bytes star = B(0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 6, 3, 0x55, 4, 3, 19, 1, '*');
    assert_true(pki_name_valid(utf8) && pki_name_valid(odd) && pki_name_valid(star));
    assert_false(pki_name_equal(utf8, utf8));
    assert_false(pki_name_equal(odd, odd));
    assert_false(pki_name_equal(star, star));
}

static void other_types_are_compared_as_they_stand(void **state) {
    (void)state;
#define NAME(tag, value) B(0x30, 12, 0x31, 10, 0x30, 8, 6, 3, 0x55, 4, 3, tag, 1, value)
    assert_true(pki_name_equal(NAME(2, 7), NAME(2, 7)));
    assert_false(pki_name_equal(NAME(2, 7), NAME(2, 8)));
    assert_false(pki_name_equal(NAME(2, 'a'), NAME(4, 'a')));
    assert_false(pki_name_equal(NAME(4, 'a'), NAME(4, 'A')));
    assert_false(pki_name_equal(NAME(12, 'a'), NAME(4, 'a')));
    assert_true(pki_name_equal(NAME(12, 'a'), NAME(19, 'A')));
#undef NAME
}

static void rdn_boundaries_count(void **state) {
    (void)state;
    X509_NAME *apart = make("CN", V_ASN1_UTF8STRING, "a"), *together = X509_NAME_dup(apart);
    assert_true(X509_NAME_add_entry_by_txt(apart, "O", V_ASN1_UTF8STRING,
                                           (const unsigned char *)"b", -1, -1, 0));
    assert_true(X509_NAME_add_entry_by_txt(together, "O", V_ASN1_UTF8STRING,
                                           (const unsigned char *)"b", -1, -1, -1));
    struct fixture_der da = name_der(apart), dt = name_der(together);
    assert_int_not_equal(X509_NAME_cmp(apart, together), 0);
    assert_false(pki_name_equal(fixture_bytes(&da), fixture_bytes(&dt)));
    assert_true(pki_name_equal(fixture_bytes(&dt), fixture_bytes(&dt)));
    fixture_free(&da);
    fixture_free(&dt);
    X509_NAME_free(apart);
    X509_NAME_free(together);
}

static void walking_gives_every_attribute(void **state) {
    (void)state;
    X509_NAME *name = fixture_name("SN-1");
    assert_true(X509_NAME_add_entry_by_txt(name, "CN", V_ASN1_UTF8STRING,
                                           (const unsigned char *)"x", -1, -1, -1));
    assert_true(X509_NAME_add_entry_by_txt(name, "1.2.3.4", V_ASN1_UTF8STRING,
                                           (const unsigned char *)"y", -1, -1, 0));
    struct fixture_der der = name_der(name);
    /* back from DER, where the attributes of one RDN are in another order */
    const unsigned char *p = der.p;
    assert_non_null(d2i_X509_NAME(&name, &p, der.n));
    int count = X509_NAME_entry_count(name);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        struct pki_attribute attribute;
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
        assert_int_equal(pki_name_next(fixture_bytes(&der), &at, &attribute), TM_OK);
        assert_bytes_equal(attribute.oid, (struct bytes){OBJ_get0_data(type), OBJ_length(type)});
        assert_int_equal(attribute.tag, ASN1_STRING_type(value));
        assert_bytes_equal(attribute.value, (struct bytes){ASN1_STRING_get0_data(value),
                                                           (size_t)ASN1_STRING_length(value)});
    }
    struct pki_attribute attribute;
    assert_int_equal(count, 5);
    assert_int_equal(pki_name_next(fixture_bytes(&der), &at, &attribute), TM_ENOTFOUND);
    assert_int_equal(pki_name_next(fixture_bytes(&der), &at, &attribute), TM_ENOTFOUND);
    at = 0;
    assert_int_equal(pki_name_next(B(0x30, 0x00), &at, &attribute), TM_ENOTFOUND);
    assert_true(pki_name_empty(B(0x30, 0x00)));
    assert_false(pki_name_empty(B(0x31, 0x00)));
    assert_false(pki_name_empty(B(0x30, 0x00, 0x00)));
    assert_false(pki_name_empty(fixture_bytes(&der)));
    fixture_free(&der);
    X509_NAME_free(name);
}

static void text_is_openssls(void **state) {
    (void)state;
    static const char *const values[] = {"plain",       "#lead",       " lead", "trail ",
                                         " ",           "a,b+c\"d\\e", "<x>;",  "mid # = ok",
                                         "caf\xc3\xa9", "line\nfeed"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        X509_NAME *name = fixture_name("SN-1");
        assert_true(X509_NAME_add_entry_by_txt(name, "CN", V_ASN1_UTF8STRING,
                                               (const unsigned char *)values[i], -1, -1, 0));
        struct fixture_der der = name_der(name);
        BIO *bio = BIO_new(BIO_s_mem());
        unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
        assert_true(X509_NAME_print_ex(bio, name, 0, flags) > 0);
        assert_int_equal(BIO_write(bio, "", 1), 1);
        char *theirs, text[256];
        (void)BIO_get_mem_data(bio, &theirs);
        pki_name_format(fixture_bytes(&der), text, sizeof text);
        assert_string_equal(text, theirs);
        fixture_free(&der);
        BIO_free(bio);
        X509_NAME_free(name);
    }
}

static void text_single(const char *value, const char *expect) {
    X509_NAME *name = make("CN", V_ASN1_UTF8STRING, value);
    struct fixture_der der = name_der(name);
    char text[64];
    pki_name_format(fixture_bytes(&der), text, sizeof text);
    assert_string_equal(text, expect);
    fixture_free(&der);
    X509_NAME_free(name);
}

static void text_is_escaped(void **state) {
    (void)state;
    text_single("#a", "CN=\\#a");
    text_single(" a ", "CN=\\ a\\ ");
    text_single("a,b", "CN=a\\,b");
    text_single("a\nb", "CN=a\\0Ab");
    text_single("\x7f", "CN=\\7F");
    text_single("\xc2\x85", "CN=\\C2\\85");
    text_single("\xc2\x80", "CN=\\C2\\80");
    text_single("\xc2\x9f\xc2\xa0", "CN=\\C2\\9F\xc2\xa0");
    text_single("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80",
                "CN=\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80");
    text_single("caf\xc3\xa9", "CN=caf\xc3\xa9");
    char text[64];
    pki_name_format(B(0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 6, 3, 0x55, 4, 3, 2, 1, 7), text,
                    sizeof text);
    assert_string_equal(text, "CN=#020107");
    pki_name_format(B(0x30, 0x0b, 0x31, 0x09, 0x30, 0x07, 6, 2, 0x2a, 3, 12, 1, 'x'), text,
                    sizeof text);
    assert_string_equal(text, "1.2.3=x");
    pki_name_format(B(0x30, 0x00), text, sizeof text);
    assert_string_equal(text, "");
    pki_name_format(B(0x30, 22, 0x31, 20, 0x30, 8, 6, 3, 0x55, 4, 3, 12, 1, 'x', 0x30, 8, 6, 3,
                      0x55, 4, 10, 12, 1, 'y'),
                    text, sizeof text);
    assert_string_equal(text, "CN=x+O=y");
}

static void text_is_cut_between_characters(void **state) {
    (void)state;
    static const char *const cut[] = {"",
                                      "",
                                      "",
                                      "CN=",
                                      "CN=a",
                                      "CN=a",
                                      "CN=a\xc3\xa9",
                                      "CN=a\xc3\xa9",
                                      "CN=a\xc3\xa9\\,",
                                      "CN=a\xc3\xa9\\,",
                                      "CN=a\xc3\xa9\\,",
                                      "CN=a\xc3\xa9\\,\\0A"};
    X509_NAME *name = make("CN", V_ASN1_UTF8STRING, "a\xc3\xa9,\nz");
    struct fixture_der der = name_der(name);
    for (size_t cap = 3; cap <= 12; cap++) {
        char *text = malloc(cap);
        assert_non_null(text);
        pki_name_format(fixture_bytes(&der), text, cap);
        assert_true(strlen(text) < cap);
        assert_string_equal(text, cap == 3 ? "CN" : cut[cap - 1]);
        free(text);
    }
    fixture_free(&der);
    X509_NAME_free(name);
}

static void written_names_are_openssls(void **state) {
    (void)state;
    const struct pki_rdn rdns[] = {{PKI_OID_COUNTRY, "DE"},
                                   {PKI_OID_ORGANIZATION, "Caf\xc3\xa9 Works"},
                                   {PKI_OID_DOMAIN_COMPONENT, "example"},
                                   {PKI_OID_SERIAL_NUMBER, "A-17"},
                                   {PKI_OID_COMMON_NAME, "dev"}};
    static const int types[] = {V_ASN1_PRINTABLESTRING, V_ASN1_UTF8STRING, V_ASN1_IA5STRING,
                                V_ASN1_PRINTABLESTRING, V_ASN1_UTF8STRING};
    uint8_t memory[256];
    X509_NAME *name = X509_NAME_new();
    for (size_t i = 0; i < 5; i++)
        assert_true(X509_NAME_add_entry_by_txt(name, pki_oid_name(rdns[i].type), types[i],
                                               (const unsigned char *)rdns[i].value, -1, -1, 0));
    struct fixture_der der = name_der(name);
    struct der_writer w = der_writer_on(memory, sizeof memory);
    pki_name_write(&w, rdns, 5);
    assert_bytes_equal(der_written(&w), fixture_bytes(&der));
    fixture_free(&der);
    X509_NAME_free(name);
}

static void values_that_do_not_fit_their_type_are_not_written(void **state) {
    (void)state;
    const struct pki_rdn bad[] = {{PKI_OID_SERIAL_NUMBER, "A_17"},
                                  {PKI_OID_COUNTRY, "D*"},
                                  {PKI_OID_DOMAIN_COMPONENT, "caf\xc3\xa9"},
                                  {PKI_OID_COMMON_NAME, "\xff"},
                                  {PKI_OID_COMMON_NAME, "\xed\xa0\x80"},
                                  {PKI_OID_COMMON_NAME, "\xc0\x80"},
                                  {PKI_OID_COMMON_NAME, "\xf4\x90\x80\x80"},
                                  {PKI_OID_COMMON_NAME, "\xe2\x82"},
                                  {PKI_OID_COMMON_NAME, ""}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t memory[64];
        struct der_writer w = der_writer_on(memory, sizeof memory);
        assert_false(pki_rdn_fits(&bad[i]));
        pki_name_write(&w, &bad[i], 1);
        assert_true(w.full);
    }
    const struct pki_rdn good = {PKI_OID_COMMON_NAME, "\xf0\x9f\x94\xa7 \xe2\x82\xac \xc3\xa9"};
    assert_true(pki_rdn_fits(&good));
}

/* Every character of every type, by OpenSSL's judgement. */
static void characters_are_those_of_their_type(void **state) {
    (void)state;
    for (int c = 1; c < 0x80; c++) {
        const char value[] = {(char)c, '\0'};
        const struct pki_rdn printable = {PKI_OID_SERIAL_NUMBER, value};
        const struct pki_rdn ia5 = {PKI_OID_DOMAIN_COMPONENT, value};
        bool theirs =
            ASN1_PRINTABLE_type((const unsigned char *)value, 1) == V_ASN1_PRINTABLESTRING;
        assert_int_equal(pki_rdn_fits(&printable), theirs);
        assert_true(pki_rdn_fits(&ia5));
    }
    const struct pki_rdn beyond = {PKI_OID_DOMAIN_COMPONENT, "\x80"};
    assert_false(pki_rdn_fits(&beyond));
}

/* Every code point as OpenSSL writes it, and with each of its octets damaged. */
static void utf8_is_openssls(void **state) {
    (void)state;
    for (unsigned long c = 1; c <= 0x110100; c += c < 0x3000 ? 1 : 97) {
        char value[8] = {0};
        const struct pki_rdn rdn = {PKI_OID_COMMON_NAME, value};
        int n = UTF8_putc((unsigned char *)value, 6, c);
        if (n <= 0)
            continue; /* a surrogate, or beyond Unicode */
        assert_true(pki_rdn_fits(&rdn));
        for (int i = 0; i < n; i++) {
            unsigned long back;
            value[i] = (char)(value[i] ^ 0x80);
            bool theirs =
                value[i] != '\0' && UTF8_getc((const unsigned char *)value, n, &back) == n;
            if (n > 1 && value[0] != '\0' && value[i] != '\0')
                assert_int_equal(pki_rdn_fits(&rdn), theirs);
            value[i] = (char)(value[i] ^ 0x80);
        }
        value[n - 1] = '\0';
        assert_false(pki_rdn_fits(&rdn));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_openssls),
        cmocka_unit_test(string_types_do_not_matter),
        cmocka_unit_test(malformed_names_equal_nothing),
        cmocka_unit_test(other_types_are_compared_as_they_stand),
        cmocka_unit_test(rdn_boundaries_count),
        cmocka_unit_test(walking_gives_every_attribute),
        cmocka_unit_test(text_is_openssls),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(written_names_are_openssls),
        cmocka_unit_test(values_that_do_not_fit_their_type_are_not_written),
        cmocka_unit_test(characters_are_those_of_their_type),
        cmocka_unit_test(utf8_is_openssls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
