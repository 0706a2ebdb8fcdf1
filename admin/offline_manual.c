/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build tool: a manual page from its template in docs/man/. A line that is one of the names
 * below is replaced by what the programs' own tables print; every other line is copied.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"
#include "ca/ceremony.h"
#include "ca/profile.h"
#include "conf/conf.h"

/* Text inside a paragraph or an example, so that troff prints it as it is. */
static void print_text(const char *text, size_t n, FILE *out) {
    if (n > 0 && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '~')
            fputs("\\(ti", out);
        else
            fputc(text[i], out);
    }
}

static void print_string(const char *text, FILE *out) {
    print_text(text, strlen(text), out);
}

static void print_sample(const struct conf_row *rows, FILE *out) {
    AUTO_MEM char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    if (!memory)
        abort();
    conf_print_sample(rows, memory);
    if (fclose(memory))
        abort();
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        print_text(line, n, out);
        fputc('\n', out);
        line += n + (line[n] == '\n');
    }
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
static void print_takers(unsigned bit, FILE *out) {
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
            print_takers(1u << id, out);
    }
}

static void print_default_file(FILE *out) {
    print_string(CONF_DEFAULT_FILE, out);
    fputc('\n', out);
}

static const struct {
    const char *name;
    void (*print)(FILE *out);
} parts[] = {
    {"@OPTIONS@\n", print_options},
    {"@OPTIONS_SAMPLE@\n", print_options_sample},
    {"@OPTIONS_PLAIN_SAMPLE@\n", print_plain_sample},
    {"@PROFILE@\n", print_profile},
    {"@PROFILE_SAMPLE@\n", print_profile_sample},
    {"@CEREMONY@\n", print_ceremony},
    {"@CEREMONY_SAMPLE@\n", print_ceremony_sample},
    {"@COMMANDS@\n", print_commands},
    {"@COMMAND_OPTIONS@\n", print_command_options},
    {"@DEFAULT_FILE@\n", print_default_file},
};

static void print_line(const char *line, FILE *out) {
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(parts[i].name, line) == 0) {
            parts[i].print(out);
            return;
        }
    fputs(line, out);
}

int main(int argc, char **argv) {
    FILE *in = argc == 2 ? fopen(argv[1], "re") : NULL;
    AUTO_MEM char *line = NULL;
    size_t size = 0;
    if (!in) {
        fprintf(stderr, "touchmark-manual: give a template that can be read\n");
        return EXIT_FAILURE;
    }
    while (getline(&line, &size, in) > 0)
        print_line(line, stdout);
    (void)fclose(in);
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
