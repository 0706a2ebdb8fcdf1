/* SPDX-License-Identifier: Apache-2.0 */
/* Every option of touchmark.yaml, profiles, products and ceremonies stands in manual page and
 * sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "ca/ceremony.h"
#include "ca/product.h"
#include "ca/profile.h"
#include "conf/conf.h"

static char *printed(void (*print)(const struct conf_row *, FILE *), const struct conf_row *rows) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(rows, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* The text from the section's heading on; the whole of it for no section. */
static const char *section_of(const char *manual, const char *path) {
    char heading[160];
    if (!path[0])
        return manual;
    (void)snprintf(heading, sizeof(heading), "\n.SS %s\n", path);
    const char *at = strstr(manual, heading);
    if (!at)
        fail_msg("%s has no section in the manual", path);
    return at;
}

static void assert_row(const struct conf_row *row, const char *sample, const char *section) {
    char key[80], bold[80];
    (void)snprintf(key, sizeof(key), "%s:", row->key);
    (void)snprintf(bold, sizeof(bold), "\n\\fB%s\\fR\n%.20s", row->key, row->help);
    if (!strstr(sample, key))
        fail_msg("%s is not in the sample", row->key);
    if (row->type != CONF_GROUP && row->type != CONF_LIST && !strstr(section, bold))
        fail_msg("%s is not in the manual", row->key);
    if (row->help[strlen(row->help) - 1] != '.')
        fail_msg("%s has no sentence that helps", row->key);
}

static void assert_rows(const struct conf_row *rows, const char *path, const char *sample,
                        const char *manual) {
    const char *section = section_of(manual, path);
    for (const struct conf_row *row = rows; row->key; row++) {
        assert_row(row, sample, section);
        char inner[128];
        (void)snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] ? "." : "", row->key);
        if (row->rows)
            assert_rows(row->rows, inner, sample, manual);
    }
}

static void options_are_documented(void **state) {
    (void)state;
    AUTO_MEM char *sample = printed(conf_print_sample, conf_rows);
    AUTO_MEM char *manual = printed(conf_print_manual, conf_rows);
    assert_rows(conf_rows, "", sample, manual);
}

static void profile_is_documented(void **state) {
    (void)state;
    AUTO_MEM char *sample = printed(conf_print_sample, ca_profile_rows);
    AUTO_MEM char *manual = printed(conf_print_manual, ca_profile_rows);
    assert_rows(ca_profile_rows, "", sample, manual);
}

static void product_is_documented(void **state) {
    (void)state;
    AUTO_MEM char *sample = printed(conf_print_sample, ca_product_rows);
    AUTO_MEM char *manual = printed(conf_print_manual, ca_product_rows);
    assert_rows(ca_product_rows, "", sample, manual);
}

static void ceremony_is_documented(void **state) {
    (void)state;
    AUTO_MEM char *sample = printed(conf_print_sample, ca_ceremony_rows);
    AUTO_MEM char *manual = printed(conf_print_manual, ca_ceremony_rows);
    assert_rows(ca_ceremony_rows, "", sample, manual);
}

static void sample_loads(void **state) {
    (void)state;
    AUTO_MEM char *text = printed(conf_print_sample, conf_rows);
    struct conf conf;
    char error[CONF_ERROR_MAX] = "";
    if (conf_open(text, strlen(text), "/etc/touchmark.yaml", &conf, error))
        fail_msg("%s", error);
    conf_close(&conf);
}

static void profile_sample_loads(void **state) {
    (void)state;
    AUTO_MEM char *text = printed(conf_print_sample, ca_profile_rows);
    struct ca_profile profile;
    char error[CONF_ERROR_MAX] = "";
    if (ca_profile_load_text(text, strlen(text), "/etc/sample.yaml", &profile, error))
        fail_msg("%s\n%s", error, text);
    ca_profile_free(&profile);
}

static void product_sample_loads(void **state) {
    (void)state;
    AUTO_MEM char *text = printed(conf_print_sample, ca_product_rows);
    struct ca_product product;
    char error[CONF_ERROR_MAX] = "";
    if (ca_product_load_text(text, strlen(text), "/etc/sample.yaml", &product, error))
        fail_msg("%s\n%s", error, text);
    ca_product_free(&product);
}

static void ceremony_sample_loads(void **state) {
    (void)state;
    AUTO_MEM char *text = printed(conf_print_sample, ca_ceremony_rows);
    struct ca_ceremony plan;
    char error[CONF_ERROR_MAX] = "";
    if (conf_load_text(text, strlen(text), "/c.yaml", ca_ceremony_rows, &plan, sizeof(plan), error))
        fail_msg("%s\n%s", error, text);
    conf_free(ca_ceremony_rows, &plan, sizeof(plan));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_documented), cmocka_unit_test(profile_is_documented),
        cmocka_unit_test(ceremony_is_documented), cmocka_unit_test(sample_loads),
        cmocka_unit_test(profile_sample_loads),   cmocka_unit_test(ceremony_sample_loads),
        cmocka_unit_test(product_is_documented),  cmocka_unit_test(product_sample_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
