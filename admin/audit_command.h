/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of the audit log share: what the core says, and files of an export. Notes and
 * proofs are checked where they are used (touchmark-audit, witnesses), not here.
 */
#ifndef TOUCHMARK_ADMIN_AUDIT_COMMAND_H
#define TOUCHMARK_ADMIN_AUDIT_COMMAND_H

#include <jansson.h>

#include "admin/command.h"
#include "audit/proof.h"

int admin_audit_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The core's answer to IPC_ADMIN_CHECKPOINT; hurry: a new one is to be signed soon. The caller owns
 * it. Returns the exit code. */
int admin_audit_ask_checkpoint(struct admin_call *call, bool hurry, json_t **ret_answer);
/* Of such an answer the newest note: the signed one, with the cosignatures of the other if they are
 * of the same text. "" if there is none; borrowed. */
const char *admin_audit_newest(const json_t *answer);
/* The checkpoint in a note. False: there is none. */
MUST_USE bool admin_audit_read(const char *note, struct audit_checkpoint *ret);

/* ---- audit_folder.c: files below a folder, as c2sp.org/tlog-tiles names them ---- */

#define ADMIN_PATH_MAX 4096

/* Makes the folders of a path. False, after a sentence: it cannot. */
MUST_USE bool admin_folder_make_for(const char *path);
/* DIR/tile/L/N or DIR/tile/entries/N (level negative), ".p/W" for a partial one. */
MUST_USE bool admin_folder_tile(const char *dir, int level, uint64_t index, size_t width,
                                char ret[ADMIN_PATH_MAX]);
/* Writes a whole file, with its folders. Returns the exit code. */
int admin_folder_write(const char *path, struct bytes content);

#endif
