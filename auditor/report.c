/* SPDX-License-Identifier: Apache-2.0 */
/* What was found: see auditor.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "auditor/auditor.h"
#include "base/auto.h"

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
