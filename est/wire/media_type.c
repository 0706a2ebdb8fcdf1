/* SPDX-License-Identifier: Apache-2.0 */
/* Media types and their parameters (RFC 9110, 8.3.1 and 5.6.6). */
#include <string.h>
#include <strings.h>

#include "est/wire/http.h"

/* RFC 9110, 5.6.2. */
static bool is_token_char(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c);
}

static struct bytes take_token(const char **p) {
    const char *start = *p;
    while (is_token_char(**p))
        (*p)++;
    return (struct bytes){(const uint8_t *)start, (size_t)(*p - start)};
}

static void skip_space(const char **p) {
    while (**p == ' ' || **p == '\t')
        (*p)++;
}

static bool equal_without_case(struct bytes a, struct bytes b) {
    return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

/* type "/" subtype, as one run. */
static enum tm_err take_type(const char **p, struct bytes *ret) {
    skip_space(p);
    struct bytes type = take_token(p);
    if (type.n == 0 || *(*p)++ != '/')
        return TM_EPARSE;
    struct bytes subtype = take_token(p);
    if (subtype.n == 0)
        return TM_EPARSE;
    *ret = (struct bytes){type.p, type.n + 1 + subtype.n};
    return TM_OK;
}

/* RFC 9110, 5.6.4; what the quotes hold, as it stands. */
static enum tm_err take_quoted(const char **p, struct bytes *ret) {
    const char *start = ++*p;
    for (; **p != '"'; (*p)++) {
        if (**p == '\\')
            (*p)++;
        if (**p == '\0')
            return TM_EPARSE;
    }
    *ret = (struct bytes){(const uint8_t *)start, (size_t)(*p - start)};
    (*p)++;
    return TM_OK;
}

struct parameter {
    struct bytes name;
    struct bytes value;
};

static enum tm_err take_parameter(const char **p, struct parameter *ret) {
    struct parameter found = {.name = take_token(p)};
    if (found.name.n == 0 || *(*p)++ != '=')
        return TM_EPARSE;
    if (**p == '"') {
        if (take_quoted(p, &found.value) != TM_OK)
            return TM_EPARSE;
    } else {
        found.value = take_token(p);
        if (found.value.n == 0)
            return TM_EPARSE;
    }
    *ret = found;
    return TM_OK;
}

/* The next parameter behind the type; empty ones (";;") are allowed. TM_ENOTFOUND at the end. */
static enum tm_err next_parameter(const char **p, struct parameter *ret) {
    for (;;) {
        skip_space(p);
        if (**p == '\0')
            return TM_ENOTFOUND;
        if (*(*p)++ != ';')
            return TM_EPARSE;
        skip_space(p);
        if (**p != ';' && **p != '\0')
            return take_parameter(p, ret);
    }
}

static bool well_formed(const char *parameters) {
    struct parameter parameter;
    enum tm_err err;
    while ((err = next_parameter(&parameters, &parameter)) == TM_OK)
        continue;
    return err == TM_ENOTFOUND;
}

static bool has_parameter(const char *parameters, const struct parameter *wanted) {
    struct parameter parameter;
    while (next_parameter(&parameters, &parameter) == TM_OK)
        if (equal_without_case(parameter.name, wanted->name))
            return equal_without_case(parameter.value, wanted->value);
    return false;
}

bool est_media_type_is(const char *header, const char *expect) {
    struct bytes type, expected;
    struct parameter wanted;
    if (!header || take_type(&header, &type) != TM_OK || take_type(&expect, &expected) != TM_OK ||
        !equal_without_case(type, expected) || !well_formed(header))
        return false;
    while (next_parameter(&expect, &wanted) == TM_OK)
        if (!has_parameter(header, &wanted))
            return false;
    return true;
}

enum tm_err est_media_type_parameter(const char *header, const char *name, char *ret, size_t cap) {
    struct bytes type;
    struct parameter parameter;
    if (!header || take_type(&header, &type) != TM_OK || !well_formed(header))
        return TM_EPARSE;
    while (next_parameter(&header, &parameter) == TM_OK) {
        if (!equal_without_case(parameter.name, bytes_str(name)))
            continue;
        if (parameter.value.n >= cap)
            return TM_ELIMIT;
        memcpy(ret, parameter.value.p, parameter.value.n);
        ret[parameter.value.n] = '\0';
        return TM_OK;
    }
    return TM_ENOTFOUND;
}
