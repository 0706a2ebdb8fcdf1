/* SPDX-License-Identifier: Apache-2.0 */
/* How a configuration is refused: "name:line: key: sentence". Private to conf/. Thread-safe. */
#ifndef TOUCHMARK_CONF_REFUSE_H
#define TOUCHMARK_CONF_REFUSE_H

#include <stdarg.h>

#include "conf/schema.h"
#include "conf/value.h"

#define CONF_KEY_PATH_MAX 256

/* path: "listen.port", or "" for the document as a whole. Cut at CONF_ERROR_MAX. */
void conf_error(char ret[CONF_ERROR_MAX], const char *name, unsigned line, const char *path,
                const char *format, va_list args) __attribute__((format(printf, 5, 0)));

/* The key of the rows that `key` was probably meant to be, or NULL. */
const char *conf_nearest_key(const struct conf_row *rows, const char *key);
/* All keys of the rows, "address, port, ...". */
void conf_known_keys(const struct conf_row *rows, char ret[CONF_ALLOWED_MAX]);

#endif
