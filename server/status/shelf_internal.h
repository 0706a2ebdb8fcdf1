/* SPDX-License-Identifier: Apache-2.0 */
/* Between shelf.c (the folder) and shelf_put.c (what may follow what). */
#ifndef TOUCHMARK_SERVER_STATUS_SHELF_INTERNAL_H
#define TOUCHMARK_SERVER_STATUS_SHELF_INTERNAL_H

#include <sys/stat.h>

#include "server/status/shelf.h"

/* A CRL is its TBSCertList and a signature. */
#define STATUS_FILE_MAX ((off_t)IPC_TBS_FILE_MAX + IPC_MESSAGE_MAX)

/* What is known of one file. It stays when the file goes: the number must not fall even then. */
struct status_record {
    char name[STATUS_NAME_MAX + 1];
    bool present;   /* and is what the file below is */
    bool from_disk; /* the file itself is the only witness of what it should be */
    uint64_t number;
    uint8_t sha256[STATUS_HASH_SIZE];
    ino_t inode;
    off_t size;
    struct timespec modified;
};

struct status_shelf {
    int dir;
    struct status_record *records;
    size_t count, cap;
};

MUST_USE enum tm_err status_shelf_lock(struct status_shelf *shelf);
void status_shelf_unlock(struct status_shelf *shelf);

/* TM_ENOTFOUND; TM_EPARSE: not what its name says; TM_EIO, TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err status_shelf_read(const struct status_shelf *shelf, const char *name,
                                       struct stat *ret_stat, struct status_item **ret_item);
/* Replaces the file. TM_EFULL, TM_EIO (logged). */
MUST_USE enum tm_err status_shelf_write(const struct status_shelf *shelf, const char *name,
                                        struct bytes octets, struct stat *ret_stat);

/* Notes what was read. TM_ECONFLICT: a higher number is known; TM_ENOMEM. */
MUST_USE enum tm_err status_shelf_found(struct status_shelf *shelf, const char *name,
                                        const struct status_item *item, const struct stat *st);

#endif
