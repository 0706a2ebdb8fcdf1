/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark device export`: the registry as CSV (RFC 4180) or JSON lines, page by page. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)

/* Those that are imported first; the names are the server's. */
static const char *const columns[] = {
    "device",  "sku",         "hardware_revision", "batch",
    "site",    "job",         "firmware",          "provisioning_version",
    "tenant",  "state",       "created",           "changed",
    "station", "operator",    "rma_count",         "rework_count",
    "pinned",  "certificates"};
#define COLUMNS (sizeof columns / sizeof columns[0])

static void put_field(const char *text, FILE *out) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* "ldevid:SERIAL:active", one after the other. */
static void put_certificates(const json_t *certificates, FILE *out) {
    size_t i;
    const json_t *certificate;
    json_array_foreach(certificates, i, certificate) {
        fprintf(out, "%s%s:%s:%s", i ? " " : "", text_of(certificate, "profile"),
                text_of(certificate, "serial"), text_of(certificate, "status"));
    }
}

static void put_value(const json_t *value, FILE *out) {
    if (json_is_string(value))
        put_field(json_string_value(value), out);
    else if (json_is_integer(value))
        fprintf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_true(value))
        fputs("true", out);
    else if (json_is_array(value))
        put_certificates(value, out);
}

static int put_csv(void *arg, struct bytes json) {
    AUTO(json_t) row = NULL;
    FILE *out = arg;
    int code = admin_row_read(json, &row);
    if (code != EX_OK)
        return code;
    for (size_t i = 0; i < COLUMNS; i++) {
        fputs(i ? "," : "", out);
        put_value(json_object_get(row, columns[i]), out);
    }
    fputs("\r\n", out);
    return ferror(out) ? EX_IOERR : EX_OK;
}

int admin_device_export(struct admin_call *call) {
    bool csv = !call->json && (!call->format || strcmp(call->format, "csv") == 0);
    for (size_t i = 0; csv && i < COLUMNS; i++)
        printf("%s%s", i ? "," : "", columns[i]);
    fputs(csv ? "\r\n" : "", stdout);
    const struct admin_taker taker = {csv ? put_csv : admin_put_row, NULL, stdout};
    return admin_each(call, &taker);
}
