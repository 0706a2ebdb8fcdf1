/* SPDX-License-Identifier: Apache-2.0 */
/* Build tool: a manual page of the station's tool from its template in docs/man/, with what its
 * tables print. */
#include <stdlib.h>
#include <string.h>

#include "client/station/commands.h"
#include "client/station/manifest.h"
#include "conf/page.h"

static void print_options(FILE *out) {
    conf_print_manual(station_rows, out);
}

static void print_manifest(FILE *out) {
    conf_print_manual(manifest_rows, out);
}

static void print_sample(FILE *out) {
    if (conf_print_troff_sample(station_rows, out))
        abort();
}

static void print_manifest_sample(FILE *out) {
    if (conf_print_troff_sample(manifest_rows, out))
        abort();
}

static void print_default_file(FILE *out) {
    conf_print_troff(STATION_DEFAULT_FILE, strlen(STATION_DEFAULT_FILE), out);
    fputc('\n', out);
}

static void print_commands(FILE *out) {
    for (const struct station_command *c = station_commands; c->name; c++) {
        (void)fprintf(out, ".TP\n.B %s%s%s", c->group ? c->group : "", c->group ? " " : "",
                      c->name);
        for (const char *const *what = c->arguments; *what; what++)
            (void)fprintf(out, **what == '?' ? " [%s]" : " %s", *what + (**what == '?'));
        (void)fprintf(out, "\n%s.\n", c->help);
    }
}

static const struct conf_page_part parts[] = {
    {"@OPTIONS@", print_options},           {"@OPTIONS_SAMPLE@", print_sample},
    {"@MANIFEST@", print_manifest},         {"@MANIFEST_SAMPLE@", print_manifest_sample},
    {"@DEFAULT_FILE@", print_default_file}, {"@COMMANDS@", print_commands},
};

int main(int argc, char **argv) {
    if (argc == 2 &&
        conf_print_page(argv[1], parts, sizeof parts / sizeof parts[0], stdout) == TM_OK)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "touchmark-station-manual: give a template that can be read\n");
    return EXIT_FAILURE;
}
