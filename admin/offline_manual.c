/* SPDX-License-Identifier: Apache-2.0 */
/* Build tool: a manual page from its template in docs/man/, with what the programs' own tables
 * print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/command.h"
#include "ca/ceremony.h"
#include "ca/job.h"
#include "ca/product.h"
#include "ca/profile.h"
#include "conf/conf.h"
#include "conf/page.h"

static void print_string(const char *text, FILE *out) {
    conf_print_troff(text, strlen(text), out);
}

static void print_sample(const struct conf_row *rows, FILE *out) {
    if (conf_print_troff_sample(rows, out))
        abort();
}

static void print_plain_sample(FILE *out) {
    conf_print_sample(conf_rows, out);
}
static void print_options(FILE *out) {
    conf_print_manual(conf_rows, out);
}
static void print_options_sample(FILE *out) {
    print_sample(conf_rows, out);
}
static void print_profile(FILE *out) {
    conf_print_manual(ca_profile_rows, out);
}
static void print_profile_sample(FILE *out) {
    print_sample(ca_profile_rows, out);
}

static void print_job(FILE *out) {
    conf_print_manual(ca_job_rows, out);
}
static void print_job_sample(FILE *out) {
    print_sample(ca_job_rows, out);
}
static void print_product(FILE *out) {
    conf_print_manual(ca_product_rows, out);
}
static void print_product_sample(FILE *out) {
    print_sample(ca_product_rows, out);
}

static void print_ceremony(FILE *out) {
    conf_print_manual(ca_ceremony_rows, out);
}
static void print_ceremony_sample(FILE *out) {
    print_sample(ca_ceremony_rows, out);
}

static void print_command(const struct admin_command *command, FILE *out) {
    fputs(".TP\n\\fB", out);
    print_string(command->words, out);
    fputs("\\fR", out);
    for (size_t i = 0; command->arguments[i] != ADMIN_NO_FIELD; i++)
        fprintf(out, i < command->required ? " \\fI%s\\fR" : " [\\fI%s\\fR]",
                admin_fields[command->arguments[i]].name);
    if (command->repeats)
        fputs(" ...", out);
    if (command->demanded) {
        fputs(" \\fB\\-\\-", out);
        print_string(admin_fields[command->demanded].name, out);
        fprintf(out, "\\fR \\fI%s\\fR", admin_fields[command->demanded].metavar);
    }
    fputc('\n', out);
    print_string(command->help, out);
    fputc('\n', out);
}

static void print_commands(FILE *out) {
    for (const struct admin_command *command = admin_commands; command->words; command++)
        print_command(command, out);
}

/* The commands that take an option, when not all do. */
static void print_takers(uint64_t bit, FILE *out) {
    const char *separator = "For ";
    for (const struct admin_command *command = admin_commands; command->words; command++)
        if (command->options & bit) {
            fputs(separator, out);
            print_string(command->words, out);
            separator = ", ";
        }
    fputs(".\n", out);
}

static void print_command_options(FILE *out) {
    for (int id = 1; id < ADMIN_FIELD_COUNT; id++) {
        const struct admin_field *field = &admin_fields[id];
        if (!field->help)
            continue;
        fputs(".TP\n", out);
        if (field->letter)
            fprintf(out, "\\fB\\-%c\\fR, ", field->letter);
        fputs("\\fB\\-\\-", out);
        print_string(field->name, out);
        fputs("\\fR", out);
        if (field->metavar)
            fprintf(out, "=\\fI%s\\fR", field->metavar);
        fputc('\n', out);
        print_string(field->help, out);
        fputs(".\n", out);
        if (id != ADMIN_CONF && id != ADMIN_SOCKET && id != ADMIN_JSON)
            print_takers(UINT64_C(1) << id, out);
    }
}

static void print_default_file(FILE *out) {
    print_string(CONF_DEFAULT_FILE, out);
    fputc('\n', out);
}

static const struct conf_page_part parts[] = {
    {"@OPTIONS@", print_options},
    {"@OPTIONS_SAMPLE@", print_options_sample},
    {"@OPTIONS_PLAIN_SAMPLE@", print_plain_sample},
    {"@PROFILE@", print_profile},
    {"@PROFILE_SAMPLE@", print_profile_sample},
    {"@JOB@", print_job},
    {"@JOB_SAMPLE@", print_job_sample},
    {"@PRODUCT@", print_product},
    {"@PRODUCT_SAMPLE@", print_product_sample},
    {"@CEREMONY@", print_ceremony},
    {"@CEREMONY_SAMPLE@", print_ceremony_sample},
    {"@COMMANDS@", print_commands},
    {"@COMMAND_OPTIONS@", print_command_options},
    {"@DEFAULT_FILE@", print_default_file},
};

int main(int argc, char **argv) {
    if (argc == 2 &&
        conf_print_page(argv[1], parts, sizeof(parts) / sizeof(parts[0]), stdout) == TM_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "touchmark-manual: give a template that can be read\n");
    return EXIT_FAILURE;
}
