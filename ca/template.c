/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/template.h. */
#include "ca/template.h"

#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} placeholders[] = {
    {"{id}", offsetof(struct ca_device, id)},
    {"{sku}", offsetof(struct ca_device, sku)},
    {"{hardware_revision}", offsetof(struct ca_device, hardware_revision)},
    {"{batch}", offsetof(struct ca_device, batch)},
    {"{site}", offsetof(struct ca_device, site)},
};
#define PLACEHOLDER_COUNT (sizeof placeholders / sizeof placeholders[0])

/* Which placeholder `text` starts with; PLACEHOLDER_COUNT if none. */
static size_t placeholder_at(const char *text) {
    size_t i = 0;
    while (i < PLACEHOLDER_COUNT &&
           strncmp(text, placeholders[i].name, strlen(placeholders[i].name)) != 0)
        i++;
    return i;
}

bool ca_template_valid(const char *text) {
    while (*text) {
        if (*text != '{' && *text != '}') {
            text++;
            continue;
        }
        size_t i = placeholder_at(text);
        if (i == PLACEHOLDER_COUNT)
            return false;
        text += strlen(placeholders[i].name);
    }
    return true;
}

enum tm_err ca_template_expand(const char *text, const struct ca_device *device, char *ret,
                               size_t cap) {
    if (!ca_template_valid(text))
        return TM_EINVAL;
    size_t n = 0;
    while (*text) {
        const char *piece = text;
        size_t piece_n = strcspn(text, "{");
        text += piece_n;
        if (piece_n == 0) {
            size_t i = placeholder_at(text);
            piece = (const char *)device + placeholders[i].offset;
            piece_n = strlen(piece);
            text += strlen(placeholders[i].name);
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
