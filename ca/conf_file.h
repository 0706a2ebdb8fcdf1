/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What profiles and products, each a YAML file by an option table, have in common: a name that is
 * the file's, refusals that point to a line, and a hash over the canonical form. Thread-safe.
 */
#ifndef TOUCHMARK_CA_CONF_FILE_H
#define TOUCHMARK_CA_CONF_FILE_H

#include "ca/types.h"
#include "conf/schema.h"

/* The file's name without folder and .yaml, the caller's; NULL when that is not 1 to 64 of A-Z a-z
 * 0-9 . _ ~ - (`what`, "profile", stands in `error`), or there is no memory. */
char *ca_conf_name(const char *path, const char *what, char error[CONF_ERROR_MAX]);
/* fault: one sentence that begins with the key that it is about. Always TM_EPARSE. */
MUST_USE enum tm_err ca_conf_refuse(const char *text, size_t n, const char *path, const char *fault,
                                    char error[CONF_ERROR_MAX]);
/* SHA-256 over `label`, the name, and every row's key and value as the struct holds them.
 * TM_ECRYPTO. */
MUST_USE enum tm_err ca_conf_hash(const char *label, const char *name, const struct conf_row *rows,
                                  const void *s, uint8_t ret[CA_HASH_SIZE]);

#endif
