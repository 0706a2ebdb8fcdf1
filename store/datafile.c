/* SPDX-License-Identifier: Apache-2.0 */
/* Lock file, length check and disk reservation: see store/datafile.h. */
#include "store/datafile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/log.h"

#define LOCK_FILE "touchmark.lock"

/* MDB_page: pgno 8, pad 2, flags 2, lower and upper 4. MDB_meta follows: magic 4, version 4,
 * address 8, mapsize 8, two MDB_db of 48 (the page size is the first field of the first), last page
 * 8, transaction 8. */
#define PAGE_FLAGS_AT 10
#define META_AT 16
#define META_VERSION_AT (META_AT + 4)
#define META_PAGE_SIZE_AT (META_AT + 24)
#define META_LAST_PAGE_AT (META_AT + 120)
#define META_TXN_AT (META_AT + 128)
#define PAGE_FLAG_META 0x08
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1
#define PAGE_SIZE_LEAST 512
#define PAGE_SIZE_MOST 65536

static uint16_t native_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t native_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t native_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

enum tm_err store_meta_parse(struct bytes page, struct store_meta *ret_meta) {
    if (page.n < STORE_META_SIZE || !(native_u16(page.p + PAGE_FLAGS_AT) & PAGE_FLAG_META) ||
        native_u32(page.p + META_AT) != META_MAGIC ||
        native_u32(page.p + META_VERSION_AT) != META_VERSION)
        return TM_EPARSE;
    uint32_t page_size = native_u32(page.p + META_PAGE_SIZE_AT);
    uint64_t last_page = native_u64(page.p + META_LAST_PAGE_AT);
    if (page_size < PAGE_SIZE_LEAST || page_size > PAGE_SIZE_MOST || (page_size & (page_size - 1)))
        return TM_EPARSE;
    if (last_page >= INT64_MAX / PAGE_SIZE_MOST)
        return TM_EPARSE;
    *ret_meta = (struct store_meta){page_size, last_page, native_u64(page.p + META_TXN_AT)};
    return TM_OK;
}

enum tm_err store_path(const char *path, const char *name, char *ret, size_t cap) {
    int n = snprintf(ret, cap, "%s/%s", path, name);
    return n < 0 || (size_t)n >= cap ? TM_ELIMIT : TM_OK;
}

static enum tm_err check_folder(const char *path, char text[IPC_TEXT_MAX + 1]) {
    struct stat st;
    if (stat(path, &st)) {
        enum tm_err err = errno == ENOENT || errno == ENOTDIR ? TM_ENOTFOUND : TM_EIO;
        (void)snprintf(text, IPC_TEXT_MAX + 1, "there is no store at %.160s: %s", path,
                       strerror(errno));
        return err;
    }
    if (!S_ISDIR(st.st_mode)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.160s is not a folder", path);
        return TM_ENOTFOUND;
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the store's folder %.160s is open to others (mode %04o); make it 0700",
                       path, (unsigned)(st.st_mode & 07777));
        return TM_EDENIED;
    }
    return TM_OK;
}

enum tm_err store_folder_lock(const char *path, int *ret_fd, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = check_folder(path, text);
    if (err)
        return err;
    char name[4096];
    if (store_path(path, LOCK_FILE, name, sizeof name)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store's path is too long");
        return TM_ELIMIT;
    }
    AUTO_FD int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.160s cannot be opened: %s", name,
                       strerror(errno));
        return errno == EACCES || errno == EPERM ? TM_EDENIED : TM_EIO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store %.160s is open in another process", path);
        return errno == EWOULDBLOCK ? TM_EAGAIN : TM_EIO;
    }
    *ret_fd = TAKE_FD(fd);
    return TM_OK;
}

static enum tm_err read_meta(int fd, uint64_t at, struct store_meta *ret_meta) {
    uint8_t page[STORE_META_SIZE];
    ssize_t n = pread(fd, page, sizeof page, (off_t)at);
    if (n < 0)
        return TM_EIO;
    return store_meta_parse((struct bytes){page, (size_t)n}, ret_meta);
}

/* The second meta page follows the first, and the one of the later transaction counts. */
static enum tm_err read_current_meta(int fd, struct store_meta *ret_meta) {
    struct store_meta first, second;
    enum tm_err err = read_meta(fd, 0, &first);
    if (!err)
        err = read_meta(fd, first.page_size, &second);
    if (!err)
        *ret_meta = second.txn > first.txn ? second : first;
    return err;
}

static enum tm_err check_length(int fd, const char *name, char text[IPC_TEXT_MAX + 1]) {
    struct stat st;
    struct store_meta meta;
    enum tm_err err = fstat(fd, &st) ? TM_EIO : read_current_meta(fd, &meta);
    if (err == TM_EPARSE) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "%.160s is not an LMDB 0.9 data file; restore it from a backup", name);
        return TM_ECORRUPT;
    }
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.160s cannot be read: %s", name, strerror(errno));
        return err;
    }
    uint64_t least = (meta.last_page + 1) * meta.page_size;
    if ((uint64_t)st.st_size >= least)
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "%.120s was cut short: %" PRIu64 " octets of at least %" PRIu64
                   "; restore it from a backup",
                   name, (uint64_t)st.st_size, least);
    return TM_ECORRUPT;
}

enum tm_err store_datafile_check(const char *path, char text[IPC_TEXT_MAX + 1]) {
    char name[4096];
    if (store_path(path, STORE_DATA_FILE, name, sizeof name)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store's path is too long");
        return TM_ELIMIT;
    }
    AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        enum tm_err err = errno == ENOENT ? TM_ENOTFOUND : TM_EIO;
        (void)snprintf(text, IPC_TEXT_MAX + 1, "there is no store at %.160s: %s", path,
                       strerror(errno));
        return err;
    }
    return check_length(fd, name, text);
}

static enum tm_err lengthen(int fd, uint64_t size) {
    struct stat st;
    if (fstat(fd, &st))
        return TM_EIO;
    if ((uint64_t)st.st_size >= size)
        return TM_OK;
    return ftruncate(fd, (off_t)size) ? TM_EIO : TM_OK;
}

enum tm_err store_file_reserve(int fd, uint64_t size) {
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)size);
    while (rc && errno == EINTR);
    if (!rc)
        return TM_OK;
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return TM_EFULL;
    case EOPNOTSUPP:
    case ENOSYS:
        return lengthen(fd, size);
    default:
        log_error("reserving room for the store failed: %s", strerror(errno));
        return TM_EIO;
    }
}
