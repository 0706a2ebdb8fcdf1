/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical text of an act: printer and reader side by side. The reader takes what the printer
 * writes and nothing else, since it prints again what it read, and compares.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ca/act_internal.h"
#include "conf/value.h"

#define FIRST_LINE "touchmark act 1\n"
#define PARAMETER "parameter "

static void put(struct buf *out, const char *text) {
    buf_put(out, bytes_str(text));
}

static bool is_plain(const char *value, size_t at) {
    unsigned char c = (unsigned char)value[at];
    bool edge = at == 0 || value[at + 1] == '\0';
    return c > 0x20 ? c < 0x7f && c != '\\' : c == 0x20 && !edge;
}

static void put_value(struct buf *out, const char *value) {
    for (size_t i = 0; value[i]; i++) {
        char escaped[8] = {value[i]};
        if (value[i] == '\\')
            (void)strcpy(escaped, "\\\\");
        else if (!is_plain(value, i))
            (void)snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)value[i]);
        put(out, escaped);
    }
}

static void put_member(struct buf *out, const char *prefix, const char *name, const char *value) {
    put(out, prefix);
    put(out, name);
    put(out, ": ");
    put_value(out, value);
    put(out, "\n");
}

/* To the second. */
static void format_time(int64_t wall_ms, char ret[CLOCK_TEXT_MAX]) {
    clock_format(wall_ms, ret);
    (void)strcpy(ret + strlen("0000-00-00T00:00:00"), "Z");
}

enum tm_err ca_act_text_print(const struct ca_act_text *text, struct buf *out) {
    size_t before = out->n;
    char id[CA_ACT_ID_TEXT], proposed[CLOCK_TEXT_MAX], expires[CLOCK_TEXT_MAX];
    enum tm_err err = hex_encode(BYTES_OF(text->id), id, sizeof id);
    if (err)
        return err;
    format_time(text->proposed_ms, proposed);
    format_time(text->expires_ms, expires);
    put(out, FIRST_LINE);
    put_member(out, "", "environment", text->environment);
    put_member(out, "", "kind", text->kind);
    put_member(out, "", "id", id);
    put_member(out, "", "proposed", proposed);
    put_member(out, "", "expires", expires);
    put_member(out, "", "proposer", text->proposer);
    for (size_t i = 0; i < text->params.count; i++)
        put_member(out, PARAMETER, text->params.items[i].name, text->params.items[i].value);
    if (!out->full && out->n - before <= CA_ACT_TEXT_MAX)
        return TM_OK;
    out->n = before;
    return TM_ELIMIT;
}

/* ---- reading ---- */

/* What follows up to `end`, which is read over. False: there is none. */
static bool take_until(struct bytes *in, char end, struct bytes *ret) {
    const uint8_t *at = in->n ? memchr(in->p, end, in->n) : NULL;
    if (!at)
        return false;
    *ret = (struct bytes){in->p, (size_t)(at - in->p)};
    *in = (struct bytes){at + 1, in->n - ret->n - 1};
    return true;
}

static bool take_prefix(struct bytes *in, const char *prefix) {
    size_t n = strlen(prefix);
    if (in->n < n || memcmp(in->p, prefix, n) != 0)
        return false;
    *in = (struct bytes){in->p + n, in->n - n};
    return true;
}

/* One octet of a value. False: an escape that is none, or a NUL. */
static bool take_octet(struct bytes *in, char *ret) {
    struct bytes rest = {in->p + 1, in->n - 1};
    char hex[3] = "";
    uint8_t octet = in->p[0];
    size_t n;
    if (octet == '\\' && take_prefix(&rest, "x")) {
        if (rest.n < 2)
            return false;
        memcpy(hex, rest.p, 2);
        rest = (struct bytes){rest.p + 2, rest.n - 2};
        if (hex_decode(hex, &octet, 1, &n))
            return false;
    } else if (octet == '\\' && !take_prefix(&rest, "\\")) {
        return false;
    }
    *in = rest;
    *ret = (char)octet;
    return octet != 0;
}

/* A value into `cap` octets. */
static bool read_value(struct bytes in, char *ret, size_t cap) {
    size_t n = 0;
    while (in.n) {
        if (n + 1 >= cap || !take_octet(&in, &ret[n]))
            return false;
        n++;
    }
    ret[n] = '\0';
    return true;
}

/* A line "name: value". */
static bool take_line(struct bytes *in, struct bytes *ret_name, char *ret_value, size_t cap) {
    struct bytes line;
    return take_until(in, '\n', &line) && take_until(&line, ':', ret_name) &&
           take_prefix(&line, " ") && read_value(line, ret_value, cap);
}

static bool take_member(struct bytes *in, const char *name, char *ret_value, size_t cap) {
    struct bytes found;
    return take_line(in, &found, ret_value, cap) && bytes_equal(found, bytes_str(name));
}

static bool take_time(struct bytes *in, const char *name, int64_t *ret_ms) {
    static const struct conf_row row = {.type = CONF_TIME};
    char text[CLOCK_TEXT_MAX];
    return take_member(in, name, text, sizeof text) && !conf_value_parse(&row, text, "/", ret_ms);
}

static bool take_id(struct bytes *in, uint8_t ret[CA_ACT_ID_SIZE]) {
    char text[CA_ACT_ID_TEXT];
    size_t n;
    return take_member(in, "id", text, sizeof text) && !hex_decode(text, ret, CA_ACT_ID_SIZE, &n) &&
           n == CA_ACT_ID_SIZE;
}

static bool take_parameter(struct bytes *in, struct ca_act_params *params) {
    struct bytes found;
    char name[IPC_NAME_MAX + 1], value[IPC_TEXT_MAX + 1];
    return take_line(in, &found, value, sizeof value) && take_prefix(&found, PARAMETER) &&
           read_value(found, name, sizeof name) && !ca_act_param_add(params, name, value);
}

static bool take_all(struct bytes in, struct ca_act_text *ret) {
    bool good = take_prefix(&in, FIRST_LINE) &&
                take_member(&in, "environment", ret->environment, sizeof ret->environment) &&
                take_member(&in, "kind", ret->kind, sizeof ret->kind) && take_id(&in, ret->id) &&
                take_time(&in, "proposed", &ret->proposed_ms) &&
                take_time(&in, "expires", &ret->expires_ms) &&
                take_member(&in, "proposer", ret->proposer, sizeof ret->proposer);
    while (good && in.n)
        good = take_parameter(&in, &ret->params);
    return good;
}

enum tm_err ca_act_text_parse(struct bytes octets, struct ca_act_text *ret) {
    uint8_t memory[CA_ACT_TEXT_MAX];
    struct buf again = BUF_ON(memory);
    memset(ret, 0, sizeof *ret);
    if (take_all(octets, ret) && !ca_act_text_print(ret, &again) &&
        bytes_equal(buf_bytes(&again), octets))
        return TM_OK;
    memset(ret, 0, sizeof *ret);
    return TM_EPARSE;
}
