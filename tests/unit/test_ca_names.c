/* SPDX-License-Identifier: Apache-2.0 */
/* Templates, subject attributes and general names: what is well-formed and what is not. */
#include "ca_fixture.h"

#include "ca/attribute.h"
#include "ca/san.h"
#include "ca/template.h"

static void templates_expand(void **ctx) {
    (void)ctx;
    char text[64];
    assert_int_equal(ca_template_expand("{sku}/{hardware_revision}-{batch}@{site}:{id}{id}",
                                        &ca_fixture_device, text, sizeof text),
                     TM_OK);
    assert_string_equal(text, "GW200/B-2026-07@ULM:TM-000417TM-000417");
    assert_int_equal(ca_template_expand("plain", &ca_fixture_device, text, sizeof text), TM_OK);
    assert_string_equal(text, "plain");
    assert_int_equal(ca_template_expand("", &ca_fixture_device, text, sizeof text), TM_OK);
    assert_string_equal(text, "");
}

static void templates_end_at_their_bound(void **ctx) {
    (void)ctx;
    char text[10];
    assert_int_equal(ca_template_expand("{id}", &ca_fixture_device, text, 10), TM_OK);
    assert_string_equal(text, "TM-000417");
    assert_int_equal(ca_template_expand("{id}", &ca_fixture_device, text, 9), TM_ELIMIT);
    assert_int_equal(ca_template_expand("x{id}", &ca_fixture_device, text, 10), TM_ELIMIT);
}

static void a_placeholder_without_value_is_an_error(void **ctx) {
    (void)ctx;
    struct ca_device device = ca_fixture_device;
    char text[64] = "as before";
    device.batch[0] = '\0';
    assert_int_equal(ca_template_expand("urn:{batch}:{id}", &device, text, sizeof text), TM_EINVAL);
    static const char *const bad[] = {"{", "}", "{}", "{id", "id}", "{ID}", "{id }", "a{{id}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(ca_template_valid(bad[i]));
        assert_int_equal(ca_template_expand(bad[i], &device, text, sizeof text), TM_EINVAL);
    }
}

static const char *attribute(const char *name, uint8_t tag, const char *value) {
    const struct ca_attribute *a = ca_attribute_named(name);
    assert_non_null(a);
    assert_ptr_equal(ca_attribute_of(a->type), a);
    return ca_attribute_fault(a, tag, bytes_str(value));
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void attributes_keep_their_types_and_bounds(void **ctx) {
    (void)ctx;
    static const struct {
        const char *name;
        uint8_t tag;
        const char *value;
        bool good;
    } rows[] = {
        {"CN", DER_UTF8_STRING, SIXTY "0123", true},
        {"CN", DER_UTF8_STRING, SIXTY "01234", false},
        /* characters, not octets */
        {"CN", DER_UTF8_STRING, SIXTY "äöüß", true},
        {"CN", DER_PRINTABLE_STRING, "Plain 'n' simple", true},
        {"CN", DER_PRINTABLE_STRING, "a_b", false},
        {"CN", DER_IA5_STRING, "abc", false},
        {"CN", DER_T61_STRING, "abc", false},
        {"CN", DER_UTF8_STRING, "", false},
        {"CN", DER_UTF8_STRING, "a\nb", false},
        {"CN", DER_UTF8_STRING, "a\x7f", false},
        {"CN", DER_UTF8_STRING, "\xc0\x80", false},
        {"CN", DER_UTF8_STRING, "\xff", false},
        {"serialNumber", DER_PRINTABLE_STRING, "TM-1.2", true},
        {"serialNumber", DER_PRINTABLE_STRING, "TM_1", false},
        {"serialNumber", DER_UTF8_STRING, "TM-1", false},
        {"C", DER_PRINTABLE_STRING, "DE", true},
        {"C", DER_PRINTABLE_STRING, "DEU", false},
        {"C", DER_PRINTABLE_STRING, "D", false},
        {"C", DER_UTF8_STRING, "DE", false},
        {"O", DER_UTF8_STRING, SIXTY "01234", false},
        {"OU", DER_UTF8_STRING, SIXTY "01234", false},
        {"L", DER_UTF8_STRING, SIXTY SIXTY "01234567", true},
        {"L", DER_UTF8_STRING, SIXTY SIXTY "012345678", false},
        {"ST", DER_UTF8_STRING, SIXTY SIXTY "012345678", false},
        {"UID", DER_UTF8_STRING, SIXTY SIXTY SIXTY SIXTY "0123456789012345", true},
        {"UID", DER_UTF8_STRING, SIXTY SIXTY SIXTY SIXTY "01234567890123456", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!attribute(rows[i].name, rows[i].tag, rows[i].value) != rows[i].good)
            fail_msg("%s as %02x: %s", rows[i].name, rows[i].tag, rows[i].value);
    assert_null(ca_attribute_named("DC"));
    assert_null(ca_attribute_of(PKI_OID_EMAIL_ADDRESS));
    assert_null(ca_attribute_of(PKI_OID_UNKNOWN));
}

static const char *name_fault(uint8_t tag, const char *value) {
    const struct der name = {.tag = tag, .value = bytes_str(value)};
    return ca_san_fault(&name);
}

static void dns_names_are_in_preferred_syntax(void **ctx) {
    (void)ctx;
    static const char *const good[] = {"a",      "est.example.com", "3com.example",
                                       "x-y.z0", "a.b.c.d.e.f.g",   "xn--kse-qla.example"};
    static const char *const bad[] = {
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a.example",
        "a-.example",
        "a.-b",
        "a_b.example",
        "a b",
        "*.example.com",
        "*",
        "ä.example",
        "a.example\n",
        "est.example.com:443",
        "0123456789012345678901234567890123456789012345678901234567890123.example"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (name_fault(CA_SAN_DNS, good[i]))
            fail_msg("%s: %s", good[i], name_fault(CA_SAN_DNS, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!name_fault(CA_SAN_DNS, bad[i]))
            fail_msg("taken: %s", bad[i]);
    char longest[256];
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 8 == 7 ? '.' : 'a';
    longest[253] = '\0';
    assert_null(name_fault(CA_SAN_DNS, longest));
    longest[253] = 'a';
    longest[254] = '\0';
    assert_non_null(name_fault(CA_SAN_DNS, longest));
}

static void uris_are_absolute(void **ctx) {
    (void)ctx;
    static const char *const good[] = {"urn:dev:ops:32473-GW-1", "http://a.example/?x=1#y",
                                       "coap+tcp://[2001:db8::1]/", "a:b"};
    static const char *const bad[] = {"",     ":",       "a:",       "//example.com", "example.com",
                                      "1a:b", "urn:a b", "urn:{id}", "urn:\"x\"",     "urn:ä",
                                      "+a:b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (name_fault(CA_SAN_URI, good[i]))
            fail_msg("%s: %s", good[i], name_fault(CA_SAN_URI, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!name_fault(CA_SAN_URI, bad[i]))
            fail_msg("taken: %s", bad[i]);
}

static void other_kinds(void **ctx) {
    (void)ctx;
    assert_null(name_fault(CA_SAN_IP, "1234"));
    assert_null(name_fault(CA_SAN_IP, "0123456789abcdef"));
    assert_non_null(name_fault(CA_SAN_IP, ""));
    assert_non_null(name_fault(CA_SAN_IP, "12345678")); /* with a mask: only in nameConstraints */
    static const uint8_t refused[] = {DER_CONTEXT(1),
                                      DER_CONTEXT_CONSTRUCTED(3),
                                      DER_CONTEXT_CONSTRUCTED(4),
                                      DER_CONTEXT_CONSTRUCTED(5),
                                      DER_CONTEXT(8),
                                      DER_UTF8_STRING};
    for (size_t i = 0; i < sizeof refused; i++)
        assert_non_null(name_fault(refused[i], "a@example.com"));
}

static void hardware_module_names(void **ctx) {
    (void)ctx;
    /* SEQUENCE of otherNames as OpenSSL writes them */
    static const struct {
        const char *conf;
        bool good;
    } rows[] = {
        {"otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw", true},
        {"otherName:1.3.6.1.5.5.7.8.5;SEQUENCE:hw", false},
        {"otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:swapped", false},
        {"otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:empty", false},
        {"otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:more", false},
        {"otherName:1.3.6.1.5.5.7.8.4;UTF8:x", false},
    };
    static const char sections[] = "[hw]\na=OID:1.2.3.4\nb=OCT:123\n"
                                   "[swapped]\na=OCT:123\nb=OID:1.2.3.4\n"
                                   "[empty]\na=OID:1.2.3.4\nb=OCT:\n"
                                   "[more]\na=OID:1.2.3.4\nb=OCT:1\nc=OCT:2\n";
    CONF *conf = NCONF_new(NULL);
    BIO *in = BIO_new_mem_buf(sections, -1);
    long line;
    assert_int_equal(NCONF_load_bio(conf, in, &line), 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        X509V3_CTX v3;
        X509V3_set_ctx(&v3, NULL, NULL, NULL, NULL, 0);
        X509V3_set_nconf(&v3, conf);
        X509_EXTENSION *e = X509V3_EXT_nconf_nid(conf, &v3, NID_subject_alt_name, rows[i].conf);
        assert_non_null(e);
        const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(e);
        struct bytes whole = {value->data, (size_t)value->length}, names;
        struct der name;
        assert_int_equal(ca_san_open(whole, &names), TM_OK);
        assert_int_equal(der_next(&names, &name), TM_OK);
        if (!ca_san_fault(&name) != rows[i].good)
            fail_msg("%s: %s", rows[i].conf, ca_san_fault(&name));
        assert_true(ca_san_contains(whole, name.whole));
        assert_false(ca_san_contains(whole, name.value));
        X509_EXTENSION_free(e);
    }
    BIO_free(in);
    NCONF_free(conf);
    assert_false(ca_san_contains((struct bytes){0}, bytes_str("x")));
    static const uint8_t broken[] = {0x30, 0x03, 0x82, 0x05, 'a'};
    assert_false(ca_san_contains(BYTES_OF(broken), bytes_str("a")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_expand),
        cmocka_unit_test(templates_end_at_their_bound),
        cmocka_unit_test(a_placeholder_without_value_is_an_error),
        cmocka_unit_test(attributes_keep_their_types_and_bounds),
        cmocka_unit_test(dns_names_are_in_preferred_syntax),
        cmocka_unit_test(uris_are_absolute),
        cmocka_unit_test(other_kinds),
        cmocka_unit_test(hardware_module_names),
    };
    return cmocka_run_group_tests_name("ca_names", tests, NULL, NULL);
}
