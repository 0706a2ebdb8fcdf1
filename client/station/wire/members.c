/* SPDX-License-Identifier: Apache-2.0 */
/* Values between C and JSON, one function each way per type: see members.h. */
#include "client/station/wire/members.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "est/wire/base64.h"

AUTO_DEFINE(json_t, json_decref)

#define OCTETS_TEXT_MAX ((WIRE_DER_MAX + 2) / 3 * 4)

enum tm_err member_word(const char *const *words, const char *word, unsigned *ret) {
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0) {
            *ret = i;
            return TM_OK;
        }
    return TM_ENOTFOUND;
}

static bool is_text(const char *text) {
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    return true;
}

/* A slot becomes a file's name in units that have files. */
static bool is_name(const char *text) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    return text[0] != '\0' && text[0] != '.' && text[strspn(text, allowed)] == '\0';
}

static bool fits(enum member_type type, const char *text) {
    size_t max = type == MEMBER_TEXT ? WIRE_TEXT_MAX : WIRE_NAME_MAX;
    if (strnlen(text, max + 1) > max || !is_text(text))
        return false;
    return type == MEMBER_TEXT || (type == MEMBER_ID && text[0] != '\0') || is_name(text);
}

/* ---- writing ---- */

static json_t *octets_json(struct bytes octets) {
    uint8_t text[OCTETS_TEXT_MAX];
    struct buf out = BUF_ON(text);
    if (octets.n == 0 || est_base64_encode(octets, 0, &out))
        return NULL;
    return json_stringn((const char *)out.p, out.n);
}

static json_t *chain_json(const struct bytes *chain, size_t n) {
    AUTO(json_t) list = json_array();
    for (size_t i = 0; i < n; i++)
        if (!list || n > WIRE_CHAIN_MAX || json_array_append_new(list, octets_json(chain[i])))
            return NULL;
    return TAKE(list);
}

static json_t *tests_json(const struct wire_test *tests, size_t n) {
    AUTO(json_t) object = json_object();
    for (size_t i = 0; i < n; i++)
        if (!object || n > WIRE_TESTS_MAX || !fits(MEMBER_ID, tests[i].name) ||
            json_object_set_new(object, tests[i].name, json_boolean(tests[i].passed)))
            return NULL;
    return TAKE(object);
}

static json_t *word_json(const char *const *words, unsigned index) {
    for (unsigned i = 0; words[i]; i++)
        if (i == index)
            return json_string(words[i]);
    return NULL;
}

static json_t *value_json(const struct member *m, const void *s) {
    const char *at = (const char *)s + m->offset;
    size_t count = 0;
    if (m->type == MEMBER_CHAIN || m->type == MEMBER_TESTS)
        memcpy(&count, (const char *)s + m->count, sizeof count);
    switch (m->type) {
    case MEMBER_INTEGER:
        return *(const uint64_t *)at <= WIRE_INTEGER_MAX
                   ? json_integer((json_int_t) * (const uint64_t *)at)
                   : NULL;
    case MEMBER_BOOL:
        return json_boolean(*(const bool *)at);
    case MEMBER_NAME:
    case MEMBER_ID:
    case MEMBER_TEXT:
        return fits(m->type, at) ? json_string(at) : NULL;
    case MEMBER_WORD:
        return word_json(m->words, *(const unsigned *)at);
    case MEMBER_OCTETS:
        return octets_json(*(const struct bytes *)at);
    case MEMBER_CHAIN:
        return chain_json((const struct bytes *)at, count);
    case MEMBER_TESTS:
        return tests_json((const struct wire_test *)at, count);
    }
    return NULL;
}

enum tm_err members_write(const struct member *table, const void *s, json_t *object) {
    for (const struct member *m = table; m->key; m++)
        if (json_object_set_new(object, m->key, value_json(m, s)))
            return TM_EINVAL;
    return TM_OK;
}

/* ---- reading ---- */

/* base64 without anything that is not needed, so that one value has one text. */
static enum tm_err read_octets(const json_t *value, struct buf *room, struct bytes *ret) {
    if (!json_is_string(value))
        return TM_EPARSE;
    size_t start = room->n, text_n = json_string_length(value);
    struct bytes text = {(const uint8_t *)json_string_value(value), text_n};
    enum tm_err err = est_base64_decode(text, room);
    if (err)
        return err == TM_ELIMIT ? err : TM_EPARSE;
    *ret = (struct bytes){room->p + start, room->n - start};
    return ret->n > 0 && est_base64_size(ret->n, 0) == text_n ? TM_OK : TM_EPARSE;
}

static enum tm_err read_chain(const json_t *value, struct buf *room, struct bytes *ret,
                              size_t *ret_n) {
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > WIRE_CHAIN_MAX)
        return TM_EPARSE;
    for (size_t i = 0; i < n; i++) {
        enum tm_err err = read_octets(json_array_get(value, i), room, &ret[i]);
        if (err)
            return err;
    }
    *ret_n = n;
    return TM_OK;
}

static enum tm_err read_tests(const json_t *value, struct wire_test *ret, size_t *ret_n) {
    const char *name;
    json_t *passed;
    size_t n = 0;
    if (!json_is_object(value) || json_object_size(value) > WIRE_TESTS_MAX)
        return TM_EPARSE;
    json_object_foreach((json_t *)value, name, passed) {
        if (!fits(MEMBER_ID, name) || !json_is_boolean(passed))
            return TM_EPARSE;
        TEXT_SET(ret[n].name, name);
        ret[n++].passed = json_is_true(passed);
    }
    *ret_n = n;
    return TM_OK;
}

static enum tm_err read_text(const struct member *m, const json_t *value, char *ret) {
    const char *text = json_string_value(value);
    if (!text || !fits(m->type, text))
        return TM_EPARSE;
    text_copy(ret, (m->type == MEMBER_TEXT ? WIRE_TEXT_MAX : WIRE_NAME_MAX) + 1, text);
    return TM_OK;
}

static enum tm_err read_integer(const json_t *value, uint64_t *ret) {
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || (uint64_t)n > WIRE_INTEGER_MAX)
        return TM_EPARSE;
    *ret = (uint64_t)n;
    return TM_OK;
}

static enum tm_err read_value(const struct member *m, const json_t *value, struct buf *room,
                              void *s) {
    char *at = (char *)s + m->offset;
    const char *word = json_string_value(value);
    switch (m->type) {
    case MEMBER_INTEGER:
        return read_integer(value, (uint64_t *)at);
    case MEMBER_BOOL:
        if (!json_is_boolean(value))
            return TM_EPARSE;
        *(bool *)at = json_is_true(value);
        return TM_OK;
    case MEMBER_NAME:
    case MEMBER_ID:
    case MEMBER_TEXT:
        return read_text(m, value, at);
    case MEMBER_WORD:
        return word ? member_word(m->words, word, (unsigned *)at) : TM_EPARSE;
    case MEMBER_OCTETS:
        return read_octets(value, room, (struct bytes *)at);
    case MEMBER_CHAIN:
        return read_chain(value, room, (struct bytes *)at, (size_t *)((char *)s + m->count));
    case MEMBER_TESTS:
        return read_tests(value, (struct wire_test *)at, (size_t *)((char *)s + m->count));
    }
    return TM_EPARSE;
}

enum tm_err members_read(const struct member *table, const json_t *object, struct buf *room,
                         void *s, size_t *ret_n, char ret_text[WIRE_TEXT_MAX + 1]) {
    size_t n = 0;
    for (const struct member *m = table; m->key; m++, n++) {
        const json_t *value = json_object_get(object, m->key);
        if (!value || read_value(m, value, room, s)) {
            (void)snprintf(ret_text, WIRE_TEXT_MAX + 1, "\"%s\" %s", m->key,
                           value ? "is not what it has to be" : "is missing");
            return TM_EPARSE;
        }
    }
    *ret_n = n;
    return TM_OK;
}
