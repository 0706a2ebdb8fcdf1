/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's folder and data file as files, without LMDB: who has it open, and whether the
 * file is as long as its meta page says.
 */
#ifndef TOUCHMARK_STORE_DATAFILE_H
#define TOUCHMARK_STORE_DATAFILE_H

#include "base/bytes.h"
#include "ipc/messages.h"

#define STORE_DATA_FILE "data.mdb" /* LMDB's own name */
#define STORE_META_SIZE 152        /* octets of a page that store_meta_parse reads */

/* What one of LMDB's two meta pages says (LMDB 0.9, mdb.c, MDB_page and MDB_meta, data
 * version 1): in the machine's own octet order and 64-bit layout, as LMDB writes them. */
struct store_meta {
    uint64_t page_size; /* octets */
    uint64_t last_page; /* number of the last page in use */
    uint64_t txn;       /* the transaction that wrote it: of the two, the higher one counts */
};

/* Reads the first STORE_META_SIZE octets of a meta page. TM_EPARSE when it is none. Pure. */
MUST_USE enum tm_err store_meta_parse(struct bytes page, struct store_meta *ret_meta);

/* Opens the folder's lock file and takes it for this process until *ret_fd is closed. The folder
 * must be closed to others. TM_ENOTFOUND: no such folder; TM_EDENIED; TM_EAGAIN: another process
 * has it. The sentence goes to `text`. */
MUST_USE enum tm_err store_folder_lock(const char *path, int *ret_fd, char text[IPC_TEXT_MAX + 1]);

/* Checks the data file of a folder that nobody has open: LMDB maps what the meta page
 * promises, and a file that was cut short raises SIGBUS at some later read. TM_ENOTFOUND: there
 * is no data file; TM_ECORRUPT; TM_EIO. */
MUST_USE enum tm_err store_datafile_check(const char *path, char text[IPC_TEXT_MAX + 1]);

/* Joins folder and name. TM_ELIMIT. */
MUST_USE enum tm_err store_path(const char *path, const char *name, char *ret, size_t cap);

/* Makes sure that the file is `size` octets long and that they have room on the disk, so that
 * no later write can find it full. On a filesystem without fallocate(2) it is only made long
 * enough. TM_EFULL: no room; TM_EIO. */
MUST_USE enum tm_err store_file_reserve(int fd, uint64_t size);

#endif
