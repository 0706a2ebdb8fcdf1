/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manual pages from templates, for build tools: a line of the template that is one of the parts'
 * names is replaced by what the part prints, every other line is copied.
 */
#ifndef TOUCHMARK_CONF_PAGE_H
#define TOUCHMARK_CONF_PAGE_H

#include "conf/schema.h"

struct conf_page_part {
    const char *name; /* "@OPTIONS@" */
    void (*print)(FILE *out);
};

/* TM_EIO: the template cannot be read, or the page not be written. */
MUST_USE enum tm_err conf_print_page(const char *template_path, const struct conf_page_part *parts,
                                     size_t count, FILE *out);

/* n octets of text inside a paragraph or an example, so that troff prints them as they are. */
void conf_print_troff(const char *text, size_t n, FILE *out);
/* conf_print_sample for troff. TM_ENOMEM. */
MUST_USE enum tm_err conf_print_troff_sample(const struct conf_row *rows, FILE *out);

#endif
