/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/template.h. */
#include "ca/template.h"

#include <stdio.h>
#include <string.h>

struct placeholder {
    const char *name;
    const char *value;
};

struct placeholders {
    size_t count;
    struct placeholder items[5];
};

static struct placeholders of_device(const struct ca_device *device) {
    return (struct placeholders){.count = 5,
                                 .items = {{"{id}", device->id},
                                           {"{sku}", device->sku},
                                           {"{hardware_revision}", device->hardware_revision},
                                           {"{batch}", device->batch},
                                           {"{site}", device->site}}};
}

/* Which placeholder `text` starts with; NULL if none. */
static const struct placeholder *placeholder_at(const struct placeholders *known,
                                                const char *text) {
    for (size_t i = 0; i < known->count; i++)
        if (strncmp(text, known->items[i].name, strlen(known->items[i].name)) == 0)
            return &known->items[i];
    return NULL;
}

static bool is_valid(const struct placeholders *known, const char *text) {
    while (*text) {
        if (*text != '{' && *text != '}') {
            text++;
            continue;
        }
        const struct placeholder *placeholder = placeholder_at(known, text);
        if (!placeholder)
            return false;
        text += strlen(placeholder->name);
    }
    return true;
}

static enum tm_err expand(const struct placeholders *known, const char *text, char *ret,
                          size_t cap) {
    if (!is_valid(known, text))
        return TM_EINVAL;
    size_t n = 0;
    while (*text) {
        const char *piece = text;
        size_t piece_n = strcspn(text, "{");
        text += piece_n;
        if (piece_n == 0) {
            const struct placeholder *placeholder = placeholder_at(known, text);
            piece = placeholder->value;
            piece_n = strlen(piece);
            text += strlen(placeholder->name);
            if (piece_n == 0)
                return TM_EINVAL;
        }
        if (piece_n >= cap - n)
            return TM_ELIMIT;
        memcpy(ret + n, piece, piece_n);
        n += piece_n;
    }
    if (n >= cap)
        return TM_ELIMIT;
    ret[n] = '\0';
    return TM_OK;
}

bool ca_template_valid(const char *text) {
    static const struct ca_device none;
    struct placeholders known = of_device(&none);
    return is_valid(&known, text);
}

enum tm_err ca_template_expand(const char *text, const struct ca_device *device, char *ret,
                               size_t cap) {
    struct placeholders known = of_device(device);
    return expand(&known, text, ret, cap);
}

enum tm_err ca_template_url(const char *text, const char *issuer, const char *shard, char *ret,
                            size_t cap) {
    const struct placeholders known = {.count = 2,
                                       .items = {{"{issuer}", issuer}, {"{shard}", shard}}};
    return expand(&known, text, ret, cap);
}

enum tm_err ca_template_url_of(const char *text, const struct ca_issuer *issuer,
                               struct bytes serial, char ret[CA_URL_MAX + 1]) {
    char shard[12] = "";
    if (issuer->crl_shards)
        (void)snprintf(shard, sizeof shard, "%u", ca_crl_shard(issuer, serial));
    return ca_template_url(text, issuer->name, shard, ret, CA_URL_MAX + 1);
}
