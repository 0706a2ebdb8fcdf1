/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage in a folder of a POSIX file system: a file per item, mode 0600, replaced by write to a
 * temporary file, fsync, rename and fsync of the folder. So a power cut leaves an item old or new,
 * never torn. One process at a time: the folder is locked.
 */
#ifndef TOUCHMARK_CLIENT_PORT_FILES_H
#define TOUCHMARK_CLIENT_PORT_FILES_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tm_files;

/* The folder is made (0700) when its parent exists. Left-over temporary files are removed. TM_EIO;
 * TM_EAGAIN: another process has it; TM_EDENIED: others may write to the folder. */
MUST_USE enum tm_err tm_files_open(const char *folder, struct tm_files **ret);
void tm_files_close(struct tm_files *files); /* NULL-safe */
/* Valid until close. Its functions: TM_EIO, and TM_EFULL when a write finds no room. */
const struct tm_storage *tm_files_storage(struct tm_files *files);

/* File name of an item in the folder, for people and other programs: "chain-1.der". Never NULL. */
const char *tm_files_name(enum tm_item item);

#ifdef __cplusplus
}
#endif
#endif
