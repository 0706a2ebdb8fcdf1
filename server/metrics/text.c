/* SPDX-License-Identifier: Apache-2.0 */
/* See text.h. */
#include "server/metrics/text.h"

#include <math.h>
#include <string.h>

static void put_escaped(const char *text, FILE *out) {
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static void put_label(const char *name, const char *value, bool *any, FILE *out) {
    if (!name || !value[0])
        return;
    (void)fprintf(out, "%s%s=\"", *any ? "," : "{", name);
    put_escaped(value, out);
    (void)fputc('"', out);
    *any = true;
}

static void put_number(uint64_t bits, FILE *out) {
    double value;
    memcpy(&value, &bits, sizeof value);
    if (isnan(value))
        (void)fputs("NaN\n", out);
    else if (isinf(value))
        (void)fputs(value > 0 ? "+Inf\n" : "-Inf\n", out);
    else
        (void)fprintf(out, "%.15g\n", value);
}

/* NULL: this type has no such part. */
static const char *suffix_of(enum metric_type type, enum ipc_sample_part part) {
    switch (part) {
    case IPC_SAMPLE_VALUE:
        return type == METRIC_GAUGE || type == METRIC_COUNTER ? "" : NULL;
    case IPC_SAMPLE_BUCKET:
        return type == METRIC_HISTOGRAM ? "_bucket" : NULL;
    case IPC_SAMPLE_SUM:
        return type == METRIC_HISTOGRAM || type == METRIC_SUMMARY ? "_sum" : NULL;
    case IPC_SAMPLE_COUNT:
        return type == METRIC_HISTOGRAM || type == METRIC_SUMMARY ? "_count" : NULL;
    }
    return NULL;
}

static void put_sample(const struct metric_row *row, const struct metrics_said *who,
                       const struct ipc_sample *sample, FILE *out) {
    const char *suffix = suffix_of(row->type, (enum ipc_sample_part)sample->part);
    bool any = false;
    if (!suffix)
        return;
    (void)fprintf(out, "%s%s", row->name, suffix);
    put_label(row->per_process ? "process" : NULL, who->process, &any, out);
    put_label(row->labels[0], sample->first, &any, out);
    put_label(row->labels[1], sample->second, &any, out);
    put_label(row->labels[2], sample->third, &any, out);
    (void)fputs(any ? "} " : " ", out);
    put_number(sample->bits, out);
}

static void put_metric(const struct metric_row *row, const struct metrics_said *said, size_t count,
                       FILE *out) {
    bool begun = false;
    for (size_t i = 0; i < count; i++) {
        if (row->role != IPC_ROLE_SUPERVISOR && row->role != said[i].role)
            continue;
        for (size_t j = 0; j < said[i].count; j++) {
            if (said[i].samples[j].metric != row->metric)
                continue;
            if (!begun)
                (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                              metric_type_name(row->type));
            begun = true;
            put_sample(row, &said[i], &said[i].samples[j], out);
        }
    }
}

void metrics_text(const struct metrics_said *said, size_t count, FILE *out) {
    for (unsigned metric = 1; metric <= METRIC_LAST; metric++)
        put_metric(metric_row(metric), said, count, out);
}
