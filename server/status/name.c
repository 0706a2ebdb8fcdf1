/* SPDX-License-Identifier: Apache-2.0 */
/* See name.h. */
#include "server/status/name.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum ipc_publish_kind kind;
    const char *object, *suffix;
} kinds[] = {{IPC_PUBLISH_CRL, "crl", ".crl"},
             {IPC_PUBLISH_CERTIFICATE, "certificate", ".cer"},
             {IPC_PUBLISH_FILTER, "filter", ".filter"}};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* The characters that conf/ lets names have: nothing of them leads to another folder or needs an
 * escape. */
static bool is_stem(const char *text, size_t n) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    return n > 0 && strspn(text, allowed) >= n;
}

/* "crl-7" is "-7", "crl" is "": no leading zeros, so that a shard has one name. */
static bool shard_part(const char *object, const char **ret_part) {
    unsigned shard = 0;
    char again[16];
    if (strncmp(object, "crl", 3) != 0)
        return false;
    *ret_part = object + 3;
    if (**ret_part == '\0')
        return true;
    if (sscanf(*ret_part, "-%5u", &shard) != 1)
        return false;
    (void)snprintf(again, sizeof again, "-%u", shard);
    return strcmp(again, *ret_part) == 0;
}

enum tm_err status_name_make(const struct ipc_publish *publish, char ret[STATUS_NAME_MAX + 1]) {
    const char *shard = "";
    if (!is_stem(publish->issuer, strlen(publish->issuer)))
        return TM_EINVAL;
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].kind != (enum ipc_publish_kind)publish->kind)
            continue;
        bool fits = publish->kind == IPC_PUBLISH_CRL
                        ? shard_part(publish->object, &shard)
                        : strcmp(publish->object, kinds[i].object) == 0;
        if (!fits)
            return TM_EINVAL;
        (void)snprintf(ret, STATUS_NAME_MAX + 1, "%s%s%s", publish->issuer, shard, kinds[i].suffix);
        return TM_OK;
    }
    return TM_EINVAL;
}

enum tm_err status_name_kind(const char *name, enum ipc_publish_kind *ret_kind) {
    const char *dot = strrchr(name, '.');
    if (!dot || strlen(name) > STATUS_NAME_MAX || !is_stem(name, (size_t)(dot - name)))
        return TM_EPARSE;
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(dot, kinds[i].suffix) == 0) {
            *ret_kind = kinds[i].kind;
            return TM_OK;
        }
    return TM_EPARSE;
}

enum tm_err status_names_due(const struct conf *conf,
                             enum tm_err (*fn)(void *arg, const char *name), void *arg) {
    const struct conf_issuer *issuers = conf->issuers.items;
    char name[STATUS_NAME_MAX + 1];
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < conf->issuers.count && !err; i++) {
        if (issuers[i].kind != CONF_ISSUER_TOKEN)
            continue;
        for (size_t j = 0; j < KINDS && !err; j++) {
            (void)snprintf(name, sizeof name, "%s%s", issuers[i].name, kinds[j].suffix);
            if (kinds[j].kind != IPC_PUBLISH_FILTER || conf->status.filter_refresh > 0)
                err = fn(arg, name);
        }
        for (uint64_t shard = 0; shard < issuers[i].crl_shards && !err; shard++) {
            (void)snprintf(name, sizeof name, "%s-%u.crl", issuers[i].name, (unsigned)shard);
            err = fn(arg, name);
        }
    }
    return err;
}
