/* SPDX-License-Identifier: Apache-2.0 */
/* Build tool: a manual page of the agent from its template in docs/man/, with what its option table
 * prints. */
#include <stdlib.h>
#include <string.h>

#include "client/agent/options.h"
#include "conf/page.h"

static void print_options(FILE *out) {
    conf_print_manual(agent_rows, out);
}

static void print_sample(FILE *out) {
    if (conf_print_troff_sample(agent_rows, out))
        abort();
}

static void print_default_file(FILE *out) {
    conf_print_troff(AGENT_DEFAULT_FILE, strlen(AGENT_DEFAULT_FILE), out);
    fputc('\n', out);
}

static const struct conf_page_part parts[] = {
    {"@OPTIONS@", print_options},
    {"@OPTIONS_SAMPLE@", print_sample},
    {"@DEFAULT_FILE@", print_default_file},
};

int main(int argc, char **argv) {
    if (argc == 2 &&
        conf_print_page(argv[1], parts, sizeof parts / sizeof parts[0], stdout) == TM_OK)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "touchmark-agent-manual: give a template that can be read\n");
    return EXIT_FAILURE;
}
