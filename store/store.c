/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and making a store, and the table behind ca/store.h: see store/store.h. */
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "store/check.h"
#include "store/datafile.h"
#include "store/format.h"
#include "store/scan.h"
#include "store/writer.h"

struct store {
    struct ca_store base;
    int lock_fd;
    int wake_fd;
    bool env_open;
    struct store_env env;
    struct store_reader reader;
    struct store_writer *writer;
    struct loop_fd *watch;
    void (*fatal)(void *arg, const char *text);
    void *arg;
};

static struct store *store_of(struct ca_store *base) {
    return (struct store *)base;
}

/* ---- the table ---- */

static enum tm_err op_submit(struct ca_store *base, struct ca_batch *batch) {
    return store_writer_submit(store_of(base)->writer, batch);
}

static enum tm_err op_device(struct ca_store *base, const char *tenant, const char *id,
                             struct ca_device *ret) {
    return store_read_device(&store_of(base)->reader, tenant, id, ret);
}

static enum tm_err op_certificate(struct ca_store *base, const struct ca_serial *serial,
                                  struct ca_certificate *ret, struct buf *der) {
    return store_read_certificate(&store_of(base)->reader, serial, ret, der);
}

static enum tm_err op_key_owner(struct ca_store *base, const uint8_t spki_hash[CA_HASH_SIZE],
                                char ret_tenant[IPC_NAME_MAX + 1], char ret_id[IPC_NAME_MAX + 1]) {
    struct store_owner owner;
    enum tm_err err = store_read_owner(&store_of(base)->reader, spki_hash, &owner);
    if (!err) {
        memcpy(ret_tenant, owner.tenant, sizeof owner.tenant);
        memcpy(ret_id, owner.device, sizeof owner.device);
    }
    return err;
}

static enum tm_err op_transaction(struct ca_store *base, const char *tenant, const char *id,
                                  struct ca_transaction *ret, struct buf *response) {
    return store_read_transaction(&store_of(base)->reader, tenant, id, ret, response);
}

static enum tm_err op_cursor(struct ca_store *base, const char *consumer, uint64_t *ret_next) {
    struct store_cursor cursor;
    enum tm_err err = store_read_cursor(&store_of(base)->reader, consumer, &cursor);
    if (!err)
        *ret_next = cursor.next;
    return err;
}

static enum tm_err op_next_cursor(struct ca_store *base, char consumer[IPC_NAME_MAX + 1],
                                  uint64_t *ret_next) {
    struct store_cursor cursor;
    enum tm_err err = store_read_next_cursor(&store_of(base)->reader, consumer, &cursor);
    if (!err)
        *ret_next = cursor.next;
    return err;
}

static enum tm_err op_leaf(struct ca_store *base, uint64_t sequence, struct ca_leaf *ret) {
    return store_read_leaf(&store_of(base)->reader, sequence, ret);
}

static enum tm_err op_audit_head(struct ca_store *base, struct ca_audit_head *ret) {
    return store_read_head(&store_of(base)->reader, ret);
}

static enum tm_err op_leaf_octets(struct ca_store *base, uint64_t sequence, struct buf *out) {
    return store_read_leaf_octets(&store_of(base)->reader, sequence, out);
}

static enum tm_err op_audit_node(struct ca_store *base, unsigned level, uint64_t index,
                                 uint8_t ret[CA_HASH_SIZE]) {
    return store_read_node(&store_of(base)->reader, level, index, ret);
}

static enum tm_err op_audit_tile(struct ca_store *base, uint64_t size, unsigned level,
                                 uint64_t index, struct buf *out) {
    return store_read_tile(&store_of(base)->reader, size, level, index, out);
}

static enum tm_err op_next_tenant(struct ca_store *base, char tenant[IPC_NAME_MAX + 1]) {
    return store_read_next_tenant(&store_of(base)->reader, tenant);
}

static enum tm_err op_row(struct ca_store *base, enum ca_table table, void *row,
                          struct buf *memory) {
    return store_read_row(&store_of(base)->reader, table, row, memory);
}

static enum tm_err op_next_row(struct ca_store *base, enum ca_table table, struct buf *cursor,
                               void *ret_row, struct buf *memory) {
    return store_read_next_row(&store_of(base)->reader, table, cursor, ret_row, memory);
}

static enum tm_err op_next_device(struct ca_store *base, const char *tenant,
                                  char cursor[IPC_NAME_MAX + 1], struct ca_device *ret) {
    return store_read_next_device(&store_of(base)->reader, tenant, cursor, ret);
}

static enum tm_err op_next_certificate(struct ca_store *base, struct ca_serial *cursor,
                                       struct ca_certificate *ret, struct buf *der) {
    return store_read_next_certificate(&store_of(base)->reader, cursor, ret, der);
}

static enum tm_err op_next_intent(struct ca_store *base, struct ca_serial *cursor,
                                  struct ca_intent *ret) {
    return store_read_next_intent(&store_of(base)->reader, cursor, ret);
}

static enum tm_err op_scan_open(struct ca_store *base, struct ca_scan **ret_scan) {
    return store_scan_open(&store_of(base)->env, ret_scan);
}

static enum tm_err op_check(struct ca_store *base, void (*report)(void *arg, const char *text),
                            void *arg) {
    return store_check(&store_of(base)->reader, report, arg);
}

static const struct ca_store_ops OPS = {
    .submit = op_submit,
    .device = op_device,
    .certificate = op_certificate,
    .key_owner = op_key_owner,
    .transaction = op_transaction,
    .cursor = op_cursor,
    .leaf = op_leaf,
    .audit_head = op_audit_head,
    .leaf_octets = op_leaf_octets,
    .audit_node = op_audit_node,
    .audit_tile = op_audit_tile,
    .row = op_row,
    .next_tenant = op_next_tenant,
    .next_device = op_next_device,
    .next_certificate = op_next_certificate,
    .next_intent = op_next_intent,
    .next_cursor = op_next_cursor,
    .next_row = op_next_row,
    .scan_open = op_scan_open,
    .scan_close = store_scan_close,
    .scan_revoked = store_scan_revoked,
    .scan_certificates = store_scan_certificates,
    .scan_devices = store_scan_devices,
    .scan_device = store_scan_device,
    .scan_every_device = store_scan_every_device,
    .scan_leaf = store_scan_leaf,
    .scan_audit_head = store_scan_audit_head,
    .check = op_check,
};

/* ---- opening ---- */

/* The writer decided some batches, or failed. */
static void woken(void *arg, uint32_t events) {
    struct store *s = arg;
    uint64_t groups;
    (void)events;
    if (read(s->wake_fd, &groups, sizeof groups) < 0)
        return;
    store_writer_deliver(s->writer);
    if (!store_writer_failed(s->writer))
        return;
    loop_remove(TAKE(s->watch)); /* once is enough */
    s->fatal(s->arg, "the store could not commit; reopen it and recover");
}

/* Is it a store that this program may open? One of an older format becomes one of its own. */
static enum tm_err settle_format(struct store *s, const struct store_config *config,
                                 char text[IPC_TEXT_MAX + 1]) {
    struct store_format format;
    enum tm_err err = store_format_check(&s->reader, config, &format, text);
    if (err)
        return err;
    if (format.format == STORE_FORMAT && !s->env.whole) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store %.160s lacks a database", config->path);
        return TM_ECORRUPT;
    }
    if (format.format == STORE_FORMAT)
        return TM_OK;
    err = store_format_raise(&s->env, s->reader.hasher, &format);
    if (err)
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the store %.160s of format %" PRIu32 " cannot be brought to format %d: %s",
                       config->path, format.format, STORE_FORMAT, tm_err_name(err));
    return err;
}

static enum tm_err open_files(struct store *s, const struct store_config *config,
                              char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = store_folder_lock(config->path, &s->lock_fd, text);
    if (!err)
        err = store_datafile_check(config->path, text);
    if (!err)
        err = store_env_open(&s->env, config->path, config->map_size, config->max_map_size, false,
                             text);
    s->env_open = !err;
    return err;
}

static enum tm_err start(struct store *s, struct loop *loop, const struct store_config *config) {
    enum store_room room; /* the first is reserved before anything is given up or promised */
    enum tm_err err = store_env_room(&s->env, &room);
    if (err)
        return err;
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return TM_EIO;
    err = loop_add(loop, s->wake_fd, EPOLLIN, woken, s, &s->watch);
    struct store_committer *committer;
    if (!err)
        err = store_committer_new(&s->env, &committer);
    return err ? err : store_writer_start(committer, config->queue_max, s->wake_fd, &s->writer);
}

static enum tm_err open_all(struct store *s, struct loop *loop, const struct store_config *config,
                            char text[IPC_TEXT_MAX + 1]) {
    if (config->queue_max == 0) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store's queue must hold at least one batch");
        return TM_EINVAL;
    }
    enum tm_err err = open_files(s, config, text);
    if (err)
        return err;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "the store %.160s cannot be read", config->path);
    err = store_reader_init(&s->reader, &s->env);
    if (!err)
        err = settle_format(s, config, text);
    if (err)
        return err;
    err = start(s, loop, config);
    if (err)
        (void)snprintf(
            text, IPC_TEXT_MAX + 1, "the store %.160s cannot be started: %s", config->path,
            err == TM_ECORRUPT ? "its audit tree does not fit its leaves" : tm_err_name(err));
    return err;
}

enum tm_err store_open(struct loop *loop, const struct store_config *config,
                       struct ca_store **ret_store, char text[IPC_TEXT_MAX + 1]) {
    struct store *s = calloc(1, sizeof *s);
    if (!s) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "there is no memory for the store");
        return TM_ENOMEM;
    }
    s->base.ops = &OPS;
    s->lock_fd = s->wake_fd = -1;
    s->fatal = config->fatal;
    s->arg = config->arg;
    enum tm_err err = open_all(s, loop, config, text);
    if (err) {
        store_close(&s->base);
        return err;
    }
    text[0] = 0;
    *ret_store = &s->base;
    return TM_OK;
}

void store_close(struct ca_store *store) {
    if (!store)
        return;
    struct store *s = store_of(store);
    if (s->writer) {
        store_writer_stop(s->writer);
        store_writer_deliver(s->writer);
    }
    store_writer_free(s->writer);
    loop_remove(s->watch);
    store_reader_deinit(&s->reader);
    if (s->env_open)
        store_env_close(&s->env);
    auto_close_fd(&s->wake_fd);
    auto_close_fd(&s->lock_fd);
    free(s);
}

void store_stats(const struct ca_store *store, struct store_stats *ret) {
    struct store *s = (struct store *)(uintptr_t)store;
    struct store_counts counts;
    store_writer_counts(s->writer, &counts);
    ret->commits = counts.commits;
    ret->batches = counts.batches;
    ret->conflicts = counts.conflicts;
    ret->full_mono_ms = counts.full_mono_ms;
    store_env_size(&s->env, &ret->map_size, &ret->used);
}
