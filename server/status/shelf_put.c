/* SPDX-License-Identifier: Apache-2.0 */
/* What may follow what in the folder: see shelf.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memfile.h"
#include "server/status/content.h"
#include "server/status/shelf_internal.h"

/* ---- what is known ---- */

static struct status_record *find(const struct status_shelf *shelf, const char *name) {
    for (size_t i = 0; i < shelf->count; i++)
        if (strcmp(shelf->records[i].name, name) == 0)
            return &shelf->records[i];
    return NULL;
}

static enum tm_err record_of(struct status_shelf *shelf, const char *name,
                             struct status_record **ret) {
    *ret = find(shelf, name);
    if (*ret)
        return TM_OK;
    if (shelf->count == shelf->cap) {
        size_t cap = shelf->cap ? 2 * shelf->cap : 16;
        struct status_record *records =
            reallocarray(shelf->records, cap, sizeof(struct status_record));
        if (!records)
            return TM_ENOMEM;
        shelf->records = records;
        shelf->cap = cap;
    }
    *ret = &shelf->records[shelf->count++];
    **ret = (struct status_record){.present = false};
    TEXT_SET((*ret)->name, name);
    return TM_OK;
}

static void note(struct status_record *record, const struct status_item *item,
                 const struct stat *st, bool from_disk) {
    record->present = true;
    record->from_disk = from_disk;
    record->number = item->number;
    memcpy(record->sha256, item->sha256, sizeof record->sha256);
    record->inode = st->st_ino;
    record->size = st->st_size;
    record->modified = st->st_mtim;
}

enum tm_err status_shelf_found(struct status_shelf *shelf, const char *name,
                               const struct status_item *item, const struct stat *st) {
    struct status_record *record;
    enum tm_err err = record_of(shelf, name, &record);
    if (err)
        return err;
    if (item->number < record->number)
        return TM_ECONFLICT;
    note(record, item, st, true);
    return TM_OK;
}

static bool is_noted(const struct status_record *record, const struct stat *st) {
    return record->present && record->inode == st->st_ino && record->size == st->st_size &&
           record->modified.tv_sec == st->st_mtim.tv_sec &&
           record->modified.tv_nsec == st->st_mtim.tv_nsec;
}

/* Another process may have written the file, or somebody removed it. */
static enum tm_err look(struct status_shelf *shelf, struct status_record *record) {
    AUTO(status_item) item = NULL;
    struct stat st;
    if (fstatat(shelf->dir, record->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_noted(record, &st))
        return TM_OK;
    record->present = false;
    enum tm_err err = status_shelf_read(shelf, record->name, &st, &item);
    if (!err && item->number >= record->number)
        note(record, item, &st, true);
    return err == TM_ENOMEM ? err : TM_OK; /* what cannot be read is replaced */
}

/* ---- what comes ---- */

/* TM_OK: it is to be written; TM_EEXISTS: it is there. */
static enum tm_err judge(const struct status_record *record, enum ipc_publish_kind kind,
                         const struct status_item *item, char text[IPC_TEXT_MAX + 1]) {
    bool same = memcmp(record->sha256, item->sha256, sizeof record->sha256) == 0;
    if (same && record->number == item->number)
        return record->present ? TM_EEXISTS : TM_OK;
    if (kind == IPC_PUBLISH_CERTIFICATE || item->number > record->number)
        return TM_OK;
    if (item->number < record->number) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "number %" PRIu64 " is there already, and numbers do not fall",
                       record->number);
        return TM_ECONFLICT;
    }
    /* Then the file has changed where it lies. */
    if (record->from_disk)
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "number %" PRIu64 " is there already, with other content", item->number);
    return TM_ECONFLICT;
}

static enum tm_err place(struct status_shelf *shelf, enum ipc_publish_kind kind, const char *name,
                         const struct status_item *item, char text[IPC_TEXT_MAX + 1]) {
    struct status_record *record;
    struct stat st;
    enum tm_err err = record_of(shelf, name, &record);
    if (!err)
        err = look(shelf, record);
    if (!err)
        err = judge(record, kind, item, text);
    if (err == TM_EEXISTS) {
        record->from_disk = false;
        return TM_OK;
    }
    if (!err)
        err = status_shelf_write(shelf, name, item->octets, &st);
    if (!err)
        note(record, item, &st, false);
    return err;
}

static enum tm_err refuse(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *why) {
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%s", why);
    return err;
}

/* Is it what the message says? */
static enum tm_err take(const struct ipc_publish *publish, int fd, const char *name,
                        struct status_item **ret_item, char text[IPC_TEXT_MAX + 1]) {
    AUTO(status_item) item = NULL;
    struct bytes octets;
    enum tm_err err = memfile_map(fd, STATUS_FILE_MAX, &octets);
    if (err)
        return refuse(text, err, "what came is no sealed memory file of a size that is served");
    err = status_item_new(octets, true, &item);
    if (err)
        return err;
    if (octets.n != publish->size || memcmp(item->sha256, publish->sha256, sizeof item->sha256))
        return refuse(text, TM_EINVAL, "size or hash are not those of the memory file");
    err = status_content_read((enum ipc_publish_kind)publish->kind, name, item);
    if (err)
        return refuse(text, err, "it is not what its kind has to be");
    if (item->number != publish->number)
        return refuse(text, TM_EINVAL, "its number is not the one that was said");
    *ret_item = TAKE(item);
    return TM_OK;
}

enum tm_err status_shelf_put(struct status_shelf *shelf, const struct ipc_publish *publish, int fd,
                             char ret_name[STATUS_NAME_MAX + 1], struct status_item **ret_item,
                             char text[IPC_TEXT_MAX + 1]) {
    AUTO(status_item) item = NULL;
    char name[STATUS_NAME_MAX + 1];
    if (status_name_make(publish, name))
        return refuse(text, TM_EINVAL, "that is no issuer and object");
    enum tm_err err = take(publish, fd, name, &item, text);
    if (!err)
        err = status_shelf_lock(shelf);
    if (err)
        return err;
    err = place(shelf, (enum ipc_publish_kind)publish->kind, name, item, text);
    status_shelf_unlock(shelf);
    if (err)
        return err;
    memcpy(ret_name, name, sizeof name);
    *ret_item = TAKE(item);
    return TM_OK;
}
