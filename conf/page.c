/* SPDX-License-Identifier: Apache-2.0 */
/* See page.h. */
#include "conf/page.h"

#include <string.h>

#include "base/auto.h"

void conf_print_troff(const char *text, size_t n, FILE *out) {
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

enum tm_err conf_print_troff_sample(const struct conf_row *rows, FILE *out) {
    AUTO_MEM char *text = NULL;
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    if (!memory)
        return TM_ENOMEM;
    conf_print_sample(rows, memory);
    if (fclose(memory))
        return TM_ENOMEM;
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        conf_print_troff(line, n, out);
        fputc('\n', out);
        line += n + (line[n] == '\n');
    }
    return TM_OK;
}

static void print_line(const char *line, const struct conf_page_part *parts, size_t count,
                       FILE *out) {
    size_t n = strcspn(line, "\n");
    for (size_t i = 0; i < count; i++)
        if (strlen(parts[i].name) == n && memcmp(parts[i].name, line, n) == 0) {
            parts[i].print(out);
            return;
        }
    fputs(line, out);
}

enum tm_err conf_print_page(const char *template_path, const struct conf_page_part *parts,
                            size_t count, FILE *out) {
    FILE *in = fopen(template_path, "re");
    AUTO_MEM char *line = NULL;
    size_t size = 0;
    if (!in)
        return TM_EIO;
    while (getline(&line, &size, in) > 0)
        print_line(line, parts, count, out);
    bool good = !ferror(in);
    (void)fclose(in);
    return good && fflush(out) == 0 ? TM_OK : TM_EIO;
}
