/* SPDX-License-Identifier: Apache-2.0 */
/* See faults.h. */
#include "client/dut/faults.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 1000000

/* "NAME:number" and what follows it. */
static bool number_after(const char *text, const char *name, uint64_t *ret, const char **ret_rest) {
    size_t n = strlen(name);
    char *end;
    if (strncmp(text, name, n) != 0 || text[n] != ':' || text[n + 1] < '0' || text[n + 1] > '9')
        return false;
    unsigned long long value = strtoull(text + n + 1, &end, 10);
    if (value > NUMBER_MAX || (*end != '\0' && *end != ':'))
        return false;
    *ret = value;
    *ret_rest = *end == ':' ? end + 1 : end;
    return true;
}

static enum tm_err set_power_cut(struct faults *faults, uint64_t count, const char *rest) {
    faults->power_cut = count;
    faults->power_cut_writes = FLASH_UNLIMITED;
    if (*rest == '\0')
        return TM_OK;
    size_t digits = strspn(rest, "0123456789");
    if (digits > 4 || rest[digits] != '\0')
        return TM_EPARSE;
    faults->power_cut_writes = (uint32_t)strtoul(rest, NULL, 10);
    return TM_OK;
}

static enum tm_err set_counted(struct faults *faults, const char *text) {
    struct faults next = *faults;
    const char *rest;
    uint64_t n;
    enum tm_err err = TM_EPARSE;
    if (number_after(text, "drop-line", &n, &rest) && n > 0 && *rest == '\0') {
        next.drop_line = n;
        err = TM_OK;
    } else if (number_after(text, "power-cut", &n, &rest) && n > 0) {
        err = set_power_cut(&next, n, rest);
    } else if (number_after(text, "swap", &n, &rest) && n > 0 && *rest != '\0' &&
               strlen(rest) <= WIRE_NAME_MAX) {
        next.swap = n;
        TEXT_SET(next.swap_to, rest);
        err = TM_OK;
    } else if (number_after(text, "slow", &n, &rest) && *rest == '\0') {
        next.slow_ms = n;
        err = TM_OK;
    }
    if (!err)
        *faults = next;
    return err;
}

enum tm_err faults_set(struct faults *faults, const char *text) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"garbage", &faults->garbage},           {"wrong-key", &faults->wrong_key},
        {"refuses-lock", &faults->refuses_lock}, {"fails-test", &faults->fails_test},
        {"bad-read", &faults->bad_read},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(text, flags[i].name) == 0) {
            *flags[i].flag = true;
            return TM_OK;
        }
    return set_counted(faults, text);
}

bool faults_due(uint64_t *count) {
    return *count > 0 && --*count == 0;
}
