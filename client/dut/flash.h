/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a simulated unit does not lose with its power: files in a folder, each written whole or not
 * at all. One thread.
 */
#ifndef TOUCHMARK_DUT_FLASH_H
#define TOUCHMARK_DUT_FLASH_H

#include "base/bytes.h"

#define FLASH_UNLIMITED UINT32_MAX

struct flash {
    int folder;
    uint32_t writes_left; /* then the power is cut; FLASH_UNLIMITED: it is not */
};

/* Opens the unit's folder below `root`; both are made when they are not there. TM_EIO, TM_EDENIED;
 * TM_ELIMIT: the path is too long. */
MUST_USE enum tm_err flash_open(const char *root, const char *unit, struct flash *ret);
void flash_close(struct flash *flash);

/* Names of at most 63 octets. TM_ENOTFOUND, TM_ELIMIT, TM_EIO. */
MUST_USE enum tm_err flash_read(const struct flash *flash, const char *name, struct buf *out);
/* TM_ECLOSED: the power is gone, before this change. */
MUST_USE enum tm_err flash_write(struct flash *flash, const char *name, struct bytes data);
MUST_USE enum tm_err flash_erase(struct flash *flash, const char *name);

/* How many files have names that end so; the name of one of them in `ret_name` unless it is NULL.
 * TM_EIO. */
#define FLASH_NAME_MAX 64
MUST_USE enum tm_err flash_count(const struct flash *flash, const char *ending, size_t *ret_n,
                                 char ret_name[FLASH_NAME_MAX]);

#endif
