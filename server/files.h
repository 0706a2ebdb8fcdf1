/* SPDX-License-Identifier: Apache-2.0 */
/* What roles that reach out read before their sandbox: PEM files and passwords, in memory that is
 * wiped. What cannot be read is logged, under the name of its option. */
#ifndef TOUCHMARK_SERVER_FILES_H
#define TOUCHMARK_SERVER_FILES_H

#include "conf/conf.h"
#include "pkcs11/token.h"

/* The text of a PEM file, owned; path NULL: empty. TM_EIO, TM_ENOMEM. */
MUST_USE enum tm_err server_file_read(const char *option, const char *path, struct bytes *ret);
/* NULL-safe text goes; what it was is wiped. */
void server_file_wipe(struct bytes text);
/* source: a path, or "credential:NAME" of systemd's; NULL: "". TM_EIO, TM_EDENIED, TM_EPARSE. */
MUST_USE enum tm_err server_password_read(const char *option, const char *source,
                                          char ret[HSM_PIN_MAX]);

#endif
