/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core's JSON for people: objects as "key: value" lines, rows as a table. It knows no
 * field by name, so the core can add some. What could move a terminal's cursor is escaped.
 */
#ifndef TOUCHMARK_ADMIN_RENDER_H
#define TOUCHMARK_ADMIN_RENDER_H

#include <jansson.h>
#include <stdio.h>

void admin_render_object(const json_t *object, FILE *out);
/* rows: an array of objects; columns in the order in which their keys first appear. */
void admin_render_table(const json_t *rows, FILE *out);

#endif
