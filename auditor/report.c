/* SPDX-License-Identifier: Apache-2.0 */
/* What was found: see auditor.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "auditor/auditor.h"
#include "base/auto.h"
#include "base/clock.h"

#define SHOWN_MAX 1000

AUTO_DEFINE(json_t, json_decref)

static const char *const kind_names[AUDITOR_KIND_COUNT] = {"log", "signature", "history",
                                                           "cosignatures", "registry"};

static void print_json(json_t *object) {
    AUTO_MEM char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text)
        printf("%s\n", text);
}

void auditor_find(struct auditor_report *report, enum auditor_kind kind, const char *format, ...) {
    char text[512];
    va_list args;
    if (report->counts[kind]++ >= SHOWN_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (report->json)
        print_json(json_pack("{s:s, s:s}", "kind", kind_names[kind], "finding", text));
    else
        printf("%s: %s\n", kind_names[kind], text);
}

void auditor_tell_key(const struct auditor_report *report, const struct auditor_key_use *use) {
    char first[CLOCK_TEXT_MAX] = "", last[CLOCK_TEXT_MAX] = "";
    if (use->first_ms) {
        clock_format(use->first_ms, first);
        clock_format(use->last_ms, last);
    }
    if (report->json)
        print_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "provider", use->provider,
                             "issuer", use->issuer, "key_use", use->what, "signatures",
                             (json_int_t)use->signatures, "leaves", (json_int_t)use->leaves,
                             "first", first, "last", last));
    else
        printf("key of %s on %s: %s: %" PRIu64 " signatures counted%s%s%s%s, %" PRIu64
               " with leaves of their own\n",
               use->issuer[0] ? use->issuer : "no issuer", use->provider, use->what,
               use->signatures, first[0] ? " from " : "", first, first[0] ? " to " : "", last,
               use->leaves);
}

int auditor_conclude(const struct auditor_report *report, uint64_t leaves, size_t cosigned) {
    int code = 0;
    uint64_t found = 0;
    for (int kind = AUDITOR_KIND_COUNT - 1; kind >= 0; kind--) {
        found += report->counts[kind];
        if (report->counts[kind])
            code = AUDITOR_EXIT(kind);
    }
    if (report->json)
        print_json(json_pack("{s:b, s:I, s:I, s:I, s:i}", "verified", !code, "leaves",
                             (json_int_t)leaves, "cosigned", (json_int_t)cosigned, "findings",
                             (json_int_t)found, "exit", code));
    else if (code)
        printf("NOT verified: %" PRIu64 " findings\n", found);
    else
        printf("verified: %" PRIu64 " leaves, cosigned by %zu witnesses\n", leaves, cosigned);
    return code;
}
