/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that come in files: the token's PIN and the one-time secret. Never logged. */
#ifndef TOUCHMARK_AGENT_SECRET_H
#define TOUCHMARK_AGENT_SECRET_H

#include "base/bytes.h"

#define AGENT_SECRET_MAX 129 /* octets of a secret, its NUL included */

/* The one line of a file that only its owner may read, or of "credential:NAME" below
 * $CREDENTIALS_DIRECTORY. The caller wipes it. TM_ENOTFOUND: there is no such file (not logged);
 * TM_EDENIED: others may read it; TM_EPARSE: not one line of 1 to 128 octets; TM_EIO. */
MUST_USE enum tm_err agent_secret_read(const char *source, char ret[AGENT_SECRET_MAX]);

/* Opens the folder that the path of a file names; *ret_name is the file's name in it. TM_EIO. */
MUST_USE enum tm_err agent_folder_of(const char *path, int *ret_folder, const char **ret_name);

#endif
