/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of an import: see import_source.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/import_source.h"
#include "base/auto.h"
#include "ca/registry.h"
#include "conf/value.h"

const char import_column_names[] =
    "device, sku, hardware_revision, batch, site, job, firmware, provisioning_version";

static const struct {
    const char *name;
    enum import_column column;
} columns[] = {
    {"device", IMPORT_DEVICE},
    {"sku", IMPORT_SKU},
    {"hardware_revision", IMPORT_HARDWARE_REVISION},
    {"batch", IMPORT_BATCH},
    {"site", IMPORT_SITE},
    {"job", IMPORT_JOB},
    {"firmware", IMPORT_FIRMWARE},
    {"provisioning_version", IMPORT_PROVISIONING_VERSION},
    {"tenant", IMPORT_PASSED_OVER},
    {"state", IMPORT_PASSED_OVER},
    {"version", IMPORT_PASSED_OVER},
    {"created", IMPORT_PASSED_OVER},
    {"changed", IMPORT_PASSED_OVER},
    {"station", IMPORT_PASSED_OVER},
    {"operator", IMPORT_PASSED_OVER},
    {"rma_count", IMPORT_PASSED_OVER},
    {"rework_count", IMPORT_PASSED_OVER},
    {"pinned", IMPORT_PASSED_OVER},
    {"certificates", IMPORT_PASSED_OVER},
};

enum import_column import_column(struct bytes name) {
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (bytes_equal(name, bytes_str(columns[i].name)))
            return columns[i].column;
    return IMPORT_NONE;
}

static const char *name_of(enum import_column column) {
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (columns[i].column == column)
            return columns[i].name;
    return "";
}

static char *place_of(struct ipc_import_row *row, enum import_column column) {
    switch (column) {
    case IMPORT_DEVICE:
        return row->device;
    case IMPORT_SKU:
        return row->sku;
    case IMPORT_HARDWARE_REVISION:
        return row->hardware_revision;
    case IMPORT_BATCH:
        return row->batch;
    case IMPORT_SITE:
        return row->site;
    case IMPORT_JOB:
        return row->job;
    case IMPORT_FIRMWARE:
        return row->firmware;
    case IMPORT_NONE:
    case IMPORT_PASSED_OVER:
    case IMPORT_PROVISIONING_VERSION:
        break;
    }
    return NULL;
}

static bool refuse(char text[IPC_TEXT_MAX + 1], enum import_column column, struct bytes value,
                   const struct conf_row *rule) {
    char allowed[CONF_ALLOWED_MAX], shown[41];
    size_t n = value.n < sizeof shown - 1 ? value.n : sizeof shown - 1;
    for (size_t i = 0; i < n; i++)
        shown[i] = value.p[i] >= 0x20 && value.p[i] < 0x7f ? (char)value.p[i] : '?';
    shown[n] = '\0';
    conf_value_allowed(rule, allowed);
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%s \"%s\" is not allowed; must be %.150s",
                   name_of(column), shown, allowed);
    return false;
}

/* The same values that options of commands take (admin/fields.c). */
bool import_set(struct ipc_import_row *row, enum import_column column, struct bytes value,
                char text[IPC_TEXT_MAX + 1]) {
    static const struct conf_row name_rule = {.type = CONF_NAME};
    static const struct conf_row number_rule = {.type = CONF_UINT, .max = UINT32_MAX};
    const bool number = column == IMPORT_PROVISIONING_VERSION;
    const struct conf_row *rule = number ? &number_rule : &name_rule;
    char copy[IPC_NAME_MAX + 1];
    AUTO_MEM char *name = NULL;
    uint64_t count = 0;
    if (!value.n)
        return true;
    if (value.n > IPC_NAME_MAX || memchr(value.p, 0, value.n))
        return refuse(text, column, value, rule);
    memcpy(copy, value.p, value.n);
    copy[value.n] = '\0';
    if (conf_value_parse(rule, copy, "/", number ? (void *)&count : (void *)&name))
        return refuse(text, column, value, rule);
    if (number)
        row->provisioning_version = (uint32_t)count;
    else
        text_copy(place_of(row, column), IPC_NAME_MAX + 1, name);
    return true;
}

bool import_row_fits(const struct ipc_import_row *row, char text[IPC_TEXT_MAX + 1]) {
    if (!row->device[0]) {
        text_copy(text, IPC_TEXT_MAX + 1, "device is missing");
        return false;
    }
    if (ca_device_id_valid(row->device))
        return true;
    (void)snprintf(text, IPC_TEXT_MAX + 1, CA_DEVICE_ID_FAULT, row->device, IPC_NAME_MAX);
    return false;
}
