/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of client quirks. Everybody reads one line of base64 and LF while it is short; a longer
 * one is where clients part: some read only one line, some only wrapped lines.
 */
#include "est/service/quirks.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    const char
        *product;    /* a product of User-Agent (RFC 9110, 10.1.5), whole, without its version */
    size_t line_max; /* characters of a line that it still reads unwrapped */
    size_t wrap;     /* characters per line beyond that */
} quirks[] = {
    /* OpenSSL's base64 filter with line breaks, whose buffer takes 1024 characters. */
    {"libest", 1020, 64},
};

/* A product token ends at its version, at white space or at the end. */
static bool product_is(const char *product, size_t n, const char *name) {
    return n == strlen(name) && memcmp(product, name, n) == 0;
}

/* Behind the comment that starts at p; comments nest (RFC 9110, 5.6.5). */
static const char *skip_comment(const char *p) {
    size_t depth = 0;
    for (; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p + 1;
    }
    return p;
}

/* User-Agent = product *( RWS ( product / comment ) ) */
static bool names_product(const char *user_agent, const char *name) {
    for (const char *p = user_agent; *p;) {
        if (*p == '(') {
            p = skip_comment(p);
            continue;
        }
        size_t product = strcspn(p, "/ \t(");
        if (product_is(p, product, name))
            return true;
        p += product;
        p += strcspn(p, " \t("); /* the version */
        p += strspn(p, " \t");
    }
    return false;
}

size_t quirks_wrap(const char *user_agent, size_t characters) {
    for (size_t i = 0; user_agent && i < sizeof quirks / sizeof *quirks; i++)
        if (characters > quirks[i].line_max && names_product(user_agent, quirks[i].product))
            return quirks[i].wrap;
    return 0;
}
