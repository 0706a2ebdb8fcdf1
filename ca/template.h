/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text templates of profiles: literal text with {id} {sku} {hardware_revision} {batch} {site},
 * which stand for the fields of a device's record. Pure; thread-safe.
 */
#ifndef TOUCHMARK_CA_TEMPLATE_H
#define TOUCHMARK_CA_TEMPLATE_H

#include "ca/types.h"

/* Does it hold only placeholders that exist, and every brace in a pair? */
bool ca_template_valid(const char *text);
/* NUL-terminated text to ret. TM_EINVAL: not a valid template, or the device's record has
 * nothing for one of its placeholders; TM_ELIMIT: longer than cap. */
MUST_USE enum tm_err ca_template_expand(const char *text, const struct ca_device *device, char *ret,
                                        size_t cap);

#endif
