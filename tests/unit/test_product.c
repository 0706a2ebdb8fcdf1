/* SPDX-License-Identifier: Apache-2.0 */
/* Products: check digits by their standards' own examples, IDs, and what a wrong file is told. */
#include "ca_fixture.h"

#include "ca/product.h"

static void assert_digit(enum ca_check_digit kind, const char *text, const char *digit) {
    char right[CA_CHECK_DIGITS_MAX + 1] = "";
    assert_true(ca_check_digit(kind, bytes_str(text), right));
    assert_string_equal(right, digit);
}

static void check_digits_are_those_of_their_standards(void **ctx) {
    (void)ctx;
    assert_digit(CA_CHECK_NONE, "anything", "");
    /* ISO/IEC 7812-1, annex B; the number that texts on it use. */
    assert_digit(CA_CHECK_LUHN, "7992739871", "3");
    assert_digit(CA_CHECK_LUHN, "0001", "8");
    assert_digit(CA_CHECK_LUHN, "", "0");
    /* ISO/IEC 7064's own examples. */
    assert_digit(CA_CHECK_MOD11_10, "0794", "5");
    assert_digit(CA_CHECK_MOD97_10, "794", "44");
    /* The example of the Global Release Identifier, MOD 37,36. */
    assert_digit(CA_CHECK_MOD37_36, "A12425GABC1234002", "M");
    /* Legal entity identifiers (ISO 17442). */
    assert_digit(CA_CHECK_MOD97_10, "5493001KJTIIGC8Y1R", "12");
    assert_digit(CA_CHECK_MOD97_10, "969500KSV493XWY0PS", "33");
    /* Damm's thesis. */
    assert_digit(CA_CHECK_DAMM, "572", "4");
    assert_digit(CA_CHECK_DAMM, "5724", "0");
}

/* What they are for: one wrong character, and two neighbours that changed places (which ISO/IEC
 * 7064's hybrid systems and Luhn do not find in every case). */
static void check_digits_find_a_wrong_character(void **ctx) {
    (void)ctx;
    static const enum ca_check_digit kinds[] = {CA_CHECK_LUHN, CA_CHECK_MOD11_10, CA_CHECK_MOD37_36,
                                                CA_CHECK_DAMM, CA_CHECK_MOD97_10};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        char right[CA_CHECK_DIGITS_MAX + 1], other[CA_CHECK_DIGITS_MAX + 1];
        char text[] = "48150162342";
        assert_true(ca_check_digit(kinds[k], bytes_str(text), right));
        for (size_t i = 0; text[i]; i++) {
            char kept = text[i];
            for (char c = '0'; c <= '9'; c++) {
                text[i] = c;
                assert_true(ca_check_digit(kinds[k], bytes_str(text), other));
                assert_int_equal(strcmp(right, other) == 0, c == kept);
            }
            text[i] = kept;
        }
    }
}

static void check_digits_refuse_what_they_are_not_over(void **ctx) {
    (void)ctx;
    char right[CA_CHECK_DIGITS_MAX + 1];
    assert_false(ca_check_digit(CA_CHECK_LUHN, bytes_str("12A"), right));
    assert_false(ca_check_digit(CA_CHECK_DAMM, bytes_str("1-2"), right));
    assert_false(ca_check_digit(CA_CHECK_MOD37_36, bytes_str("12a"), right));
    assert_false(
        ca_check_digit(CA_CHECK_MOD97_10, (struct bytes){(const uint8_t *)"1\0", 2}, right));
}

/* ---- files ---- */

static struct ca_product loaded(const char *text) {
    char error[CONF_ERROR_MAX] = "";
    struct ca_product product = {0};
    if (ca_product_load_text(text, strlen(text), "/x/gw.yaml", &product, error))
        fail_msg("%s", error);
    return product;
}

static void shipped_ones_load_and_their_examples_fit(void **ctx) {
    (void)ctx;
    static const char *const names[] = {"gateway", "sensor", "secure-element"};
    static const char *const examples[] = {"GW-00000", "000000000V", "000000000000000000"};
    for (size_t i = 0; i < 3; i++) {
        char path[512], error[CONF_ERROR_MAX] = "", id[IPC_NAME_MAX + 1], text[IPC_TEXT_MAX + 1];
        struct ca_product product;
        (void)snprintf(path, sizeof path, "%s/%s.yaml", SHIPPED_PRODUCTS, names[i]);
        if (ca_product_load(path, &product, error))
            fail_msg("%s", error);
        assert_string_equal(product.sku, names[i]);
        ca_product_id_example(&product, id);
        if (!ca_product_id_fits(&product, id, text))
            fail_msg("%s", text);
        assert_string_equal(id, examples[i]);
        ca_product_free(&product);
    }
}

static void wrong_files_are_told_where_and_what(void **ctx) {
    (void)ctx;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"id_min: 3\n", "profiles"},
        {"profiles: [a]\nid_min: 9\nid_max: 8\n", "gw.yaml:3: id_max: is less than id_min"},
        {"profiles: [a]\nid_prefix: GW_\n", "gw.yaml:2: id_prefix: a device ID has"},
        {"profiles: [a]\nid_characters: 'a b'\n", "gw.yaml:2: id_characters: a device ID has"},
        {"id_prefix: GW-\nid_min: 4\nid_charset: [digits]\ncheck_digit: luhn\nprofiles: [a]\n",
         "gw.yaml:2: id_min: must be at least 5"},
        {"check_digit: luhn\nid_min: 4\nid_charset: [digits, upper]\nprofiles: [a]\n",
         "gw.yaml:1: check_digit: luhn is over 0123456789 only"},
        {"check_digit: luhn\nid_min: 4\nprofiles: [a]\n", "check_digit: luhn is over"},
        {"check_digit: crc\nprofiles: [a]\n", "iso7064-mod37-36"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[CONF_ERROR_MAX] = "";
        struct ca_product product;
        assert_int_equal(ca_product_load_text(cases[i].text, strlen(cases[i].text), "/x/gw.yaml",
                                              &product, error),
                         TM_EPARSE);
        if (!strstr(error, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error, cases[i].says);
    }
}

static void the_hash_covers_the_rules_and_nothing_else(void **ctx) {
    (void)ctx;
    struct ca_product a = loaded("profiles: [a, b]\nid_min: 4\n");
    struct ca_product same = loaded("# other words\nid_min:   4\nprofiles: [a, b]\nrma: reuse\n");
    struct ca_product other = loaded("profiles: [a, b]\nid_min: 4\nrma: revoke\n");
    assert_memory_equal(a.hash, same.hash, CA_HASH_SIZE);
    assert_memory_not_equal(a.hash, other.hash, CA_HASH_SIZE);
    ca_product_free(&a);
    ca_product_free(&same);
    ca_product_free(&other);
}

/* ---- devices ---- */

static void assert_says(const struct ca_products *products, const char *tenant, const char *sku,
                        const char *id, const char *says) {
    struct ca_device device = {0};
    char text[IPC_TEXT_MAX + 1] = "";
    TEXT_SET(device.tenant, tenant);
    TEXT_SET(device.sku, sku);
    TEXT_SET(device.id, id);
    bool good = ca_products_admit(products, &device, text);
    if (good != !says || (says && !strstr(text, says)))
        fail_msg("%s %s: \"%s\"", sku, id, text);
}

static const char gateway[] = "id_prefix: GW-\nid_min: 8\nid_max: 9\nid_charset: [digits]\n"
                              "check_digit: luhn\nprofiles: [idevid, ldevid]\n";

static void an_id_is_refused_with_what_it_must_be(void **ctx) {
    (void)ctx;
    struct ca_product product = loaded(gateway);
    const char *strict[] = {"strict"};
    struct ca_products products = {&product, 1, strict, 1};
    assert_says(&products, "free", "gw", "GW-00018", NULL);
    assert_says(&products, "free", "gw", "GW-00017",
                "ID GW-00017: check digit is 7, it must be 8 (luhn)");
    assert_says(&products, "free", "gw", "GW-0018", "has 7 characters; product gw wants 8 to 9");
    assert_says(&products, "free", "gw", "GX-00018", "wants IDs that begin with GW-");
    assert_says(&products, "free", "gw", "GW-0A018",
                "\"A\" is not allowed; product gw takes digits");
    assert_says(&products, "free", "other", "x", NULL);
    assert_says(&products, "free", "", "x", NULL);
    assert_says(&products, "strict", "other", "x", "its SKU is other, and must be a product: gw");
    assert_says(&products, "strict", "", "x", "its SKU is missing, and must be a product: gw");
    assert_says(&products, "strict", "gw", "GW-00018", NULL);
    assert_says(NULL, "strict", "", "x", NULL);
    ca_product_free(&product);
}

static void a_profile_that_is_not_the_products_is_refused(void **ctx) {
    (void)ctx;
    struct ca_product product = loaded(gateway);
    const char *strict[] = {"strict"};
    struct ca_products products = {&product, 1, strict, 1};
    struct ca_device device = {.tenant = "free", .id = "GW-00018", .sku = "gw"};
    char text[IPC_TEXT_MAX + 1] = "";
    assert_true(ca_products_allow(&products, &device, "ldevid", text));
    assert_false(ca_products_allow(&products, &device, "tls", text));
    assert_string_equal(text, "devices of product gw have no certificate of profile tls, only of: "
                              "idevid, ldevid");
    TEXT_SET(device.sku, "none");
    assert_true(ca_products_allow(&products, &device, "tls", text));
    TEXT_SET(device.tenant, "strict");
    assert_false(ca_products_allow(&products, &device, "tls", text));
    ca_product_free(&product);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_digits_are_those_of_their_standards),
        cmocka_unit_test(check_digits_find_a_wrong_character),
        cmocka_unit_test(check_digits_refuse_what_they_are_not_over),
        cmocka_unit_test(shipped_ones_load_and_their_examples_fit),
        cmocka_unit_test(wrong_files_are_told_where_and_what),
        cmocka_unit_test(the_hash_covers_the_rules_and_nothing_else),
        cmocka_unit_test(an_id_is_refused_with_what_it_must_be),
        cmocka_unit_test(a_profile_that_is_not_the_products_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
