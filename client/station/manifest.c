/* SPDX-License-Identifier: Apache-2.0 */
/* See manifest.h. */
#include "client/station/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "client/station/wire/wire.h"
#include "conf/value.h"

#define SECOND UINT64_C(1000)

static const struct conf_row label_rows[] = {
    {.key = "label",
     .type = CONF_NAME,
     .offset = offsetof(struct manifest_label, label),
     .example = "idevid",
     .help = "EST label that the certificate is asked for under."},
    {.key = "profile",
     .type = CONF_NAME,
     .offset = offsetof(struct manifest_label, profile),
     .example = "idevid",
     .help = "The label's profile, and the name of the key's slot in the unit."},
    {.key = "key",
     .type = CONF_ENUM,
     .offset = offsetof(struct manifest_label, key),
     .preset = "p256",
     .words = wire_key_words,
     .help = "Kind of key that the unit makes for it; the profile has to allow it."},
    {.key = NULL},
};

static const struct conf_row timeout_rows[] = {
    {.key = "answer",
     .type = CONF_DURATION,
     .offset = offsetof(struct manifest_timeouts, answer),
     .preset = "2s",
     .min = 10,
     .max = 600 * SECOND,
     .help = "Until the unit must have answered; then it is asked again."},
    {.key = "slow_answer",
     .type = CONF_DURATION,
     .offset = offsetof(struct manifest_timeouts, slow_answer),
     .preset = "60s",
     .min = 10,
     .max = 600 * SECOND,
     .help = "The same for keygen, csr, test and lock."},
    {.key = "line",
     .type = CONF_DURATION,
     .offset = offsetof(struct manifest_timeouts, line),
     .preset = "20s",
     .min = 10,
     .max = 3600 * SECOND,
     .help = "How long a unit that fell silent, or a line that is dead, is waited for."},
    {.key = "unit",
     .type = CONF_DURATION,
     .offset = offsetof(struct manifest_timeouts, unit),
     .preset = "60s",
     .min = 10,
     .max = 3600 * SECOND,
     .help = "How long the unit whose ID was scanned may take to be on the station."},
    {.key = NULL},
};

const struct conf_row manifest_rows[] = {
    {.key = "job",
     .type = CONF_NAME,
     .offset = offsetof(struct manifest, job),
     .example = "J-2026-17",
     .help = "The job's name at the server."},
    {.key = "product",
     .type = CONF_STRING,
     .offset = offsetof(struct manifest, product),
     .preset = "",
     .max = WIRE_NAME_MAX,
     .help = "What hello has to say; left out, it is not looked at."},
    {.key = "batch",
     .type = CONF_STRING,
     .offset = offsetof(struct manifest, batch),
     .preset = "",
     .max = WIRE_NAME_MAX,
     .help = "The job's batch, for people."},
    {.key = "site",
     .type = CONF_STRING,
     .offset = offsetof(struct manifest, site),
     .preset = "",
     .max = WIRE_NAME_MAX,
     .help = "The job's site, for people."},
    {.key = "labels",
     .type = CONF_LIST,
     .offset = offsetof(struct manifest, labels),
     .rows = label_rows,
     .elem_size = sizeof(struct manifest_label),
     .help = "The certificates that each unit gets, in this order; up to four."},
    {.key = "first",
     .type = CONF_STRING,
     .offset = offsetof(struct manifest, first),
     .preset = "",
     .max = WIRE_NAME_MAX,
     .help = "First ID of the job's range, for people: the server judges IDs."},
    {.key = "last",
     .type = CONF_STRING,
     .offset = offsetof(struct manifest, last),
     .preset = "",
     .max = WIRE_NAME_MAX,
     .help = "Last ID of the range."},
    {.key = "listed",
     .type = CONF_UINT,
     .offset = offsetof(struct manifest, listed),
     .preset = "0",
     .help = "How many IDs the job lists, when it has no range."},
    {.key = "from",
     .type = CONF_TIME,
     .offset = offsetof(struct manifest, from),
     .preset = "",
     .help = "When the job begins."},
    {.key = "until",
     .type = CONF_TIME,
     .offset = offsetof(struct manifest, until),
     .preset = "",
     .help = "When the job ends; a run that begins later is refused."},
    {.key = "operator_required",
     .type = CONF_BOOL,
     .offset = offsetof(struct manifest, operator_required),
     .preset = "false",
     .help = "Must somebody be logged in at the station?"},
    {.key = "serial",
     .type = CONF_PATH,
     .offset = offsetof(struct manifest, serial),
     .example = "/dev/ttyUSB0",
     .help = "Serial line that the units are on."},
    {.key = "baud",
     .type = CONF_UINT,
     .offset = offsetof(struct manifest, baud),
     .preset = "115200",
     .help = "Its speed: 9600, 19200, 38400, 57600, 115200, 230400, 460800 or 921600."},
    {.key = "test",
     .type = CONF_BOOL,
     .offset = offsetof(struct manifest, test),
     .preset = "true",
     .help = "Does the unit test itself before it is locked?"},
    {.key = "timeouts",
     .type = CONF_GROUP,
     .offset = offsetof(struct manifest, timeouts),
     .rows = timeout_rows,
     .help = "How long units are waited for."},
    {.key = NULL},
};

bool manifest_baud_valid(uint64_t baud) {
    static const uint64_t speeds[] = {9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600};
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i] == baud)
            return true;
    return false;
}

/* ---- checks ---- */

struct check {
    const char *text;
    size_t n;
    const char *name;
    const struct manifest *manifest;
    char *error;
};

static enum tm_err refuse(const struct check *c, const char *path, const char *sentence) {
    return conf_refuse(c->text, c->n, c->name, path, c->error, "%s", sentence);
}

/* One slot for one certificate. */
static enum tm_err check_label(const struct check *c, size_t index) {
    const struct manifest_label *labels = c->manifest->labels.items;
    char path[64];
    (void)snprintf(path, sizeof path, "labels[%zu].profile", index);
    if (labels[index].profile[0] == '.')
        return refuse(c, path, "must not begin with a dot");
    for (size_t i = 0; i < index; i++)
        if (strcmp(labels[i].profile, labels[index].profile) == 0)
            return refuse(c, path, "is there twice; a unit has one slot for it");
    return TM_OK;
}

static enum tm_err check_all(const struct check *c) {
    const struct manifest *m = c->manifest;
    enum tm_err err = TM_OK;
    if (m->labels.count == 0 || m->labels.count > MANIFEST_LABELS_MAX)
        return refuse(c, "labels", "must be one to four labels");
    for (size_t i = 0; i < m->labels.count && !err; i++)
        err = check_label(c, i);
    if (err)
        return err;
    if (m->job[0] == '.')
        return refuse(c, "job", "must not begin with a dot");
    if (!m->first != !m->last)
        return refuse(c, m->first ? "first" : "last", "a range has both first and last");
    if (m->from && m->until && m->until <= m->from)
        return refuse(c, "until", "must be later than from");
    if (!manifest_baud_valid(m->baud))
        return refuse(c, "baud",
                      "must be 9600, 19200, 38400, 57600, 115200, 230400, 460800 or "
                      "921600");
    return TM_OK;
}

enum tm_err manifest_open_text(const char *text, size_t n, const char *name, struct manifest *ret,
                               char error[CONF_ERROR_MAX]) {
    enum tm_err err = conf_load_text(text, n, name, manifest_rows, ret, sizeof *ret, error);
    if (err)
        return err;
    const struct check c = {text, n, name, ret, error};
    err = check_all(&c);
    if (err)
        manifest_close(ret);
    return err;
}

enum tm_err manifest_open_file(const char *path, struct manifest *ret, char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    return err ? err : manifest_open_text(text, n, path, ret, error);
}

void manifest_close(struct manifest *manifest) {
    conf_free(manifest_rows, manifest, sizeof *manifest);
}

/* ---- writing ---- */

static void write_row(const struct conf_row *row, const void *field, FILE *out) {
    char *text = NULL;
    size_t n = 0;
    FILE *value = open_memstream(&text, &n);
    if (!value)
        return;
    conf_value_show(row, field, value);
    if (fclose(value) == 0 && n > 0)
        (void)fprintf(out, "%s: %s\n", row->key, text);
    free(text);
}

void manifest_write(const struct manifest *manifest, FILE *out) {
    bool timeouts = manifest->timeouts.answer > 0; /* else left out: each has its default */
    for (const struct conf_row *row = manifest_rows; row->key; row++)
        if (row->type != CONF_GROUP || timeouts)
            write_row(row, (const char *)manifest + row->offset, out);
}
