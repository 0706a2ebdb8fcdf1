/* SPDX-License-Identifier: Apache-2.0 */
/* What was shown to others, held against the log: see checkpoint.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/core/checkpoint_internal.h"
#include "server/core/restored.h"

static enum tm_err node(void *arg, unsigned level, uint64_t index, struct audit_hash *ret) {
    struct ca_store *store = arg;
    return store->ops->audit_node(store, level, index, ret->octets);
}

struct audit_nodes checkpoint_nodes(struct core_checkpoint *c) {
    return (struct audit_nodes){node, c->config.store};
}

enum tm_err checkpoint_continues(struct core_checkpoint *c, uint64_t size,
                                 const uint8_t root[CA_HASH_SIZE], const char *shown,
                                 char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = c->config.store;
    const struct audit_nodes nodes = checkpoint_nodes(c);
    struct ca_audit_head head;
    struct audit_hash own;
    enum tm_err err = store->ops->audit_head(store, &head);
    if (err)
        return err;
    if (size > head.size) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the store was put back: %.60s shows an audit log of %" PRIu64
                       " leaves, and it has %" PRIu64,
                       shown, size, head.size);
        return TM_EDENIED;
    }
    err = audit_root(&nodes, size, &own);
    if (err || memcmp(own.octets, root, CA_HASH_SIZE) == 0)
        return err;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "the audit log was rewritten: its first %" PRIu64
                   " leaves are not those that %.60s shows",
                   size, shown);
    return TM_EDENIED;
}

enum tm_err checkpoint_judge(struct core_checkpoint *c, uint64_t size,
                             const uint8_t root[CA_HASH_SIZE], const char *shown,
                             char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = checkpoint_continues(c, size, root, shown, text);
    if (err != TM_EDENIED || size <= c->accepted.size)
        return err == TM_EDENIED ? TM_OK : err;
    struct ca_checkpoint ahead = c->accepted;
    TEXT_SET(ahead.name, CA_CHECKPOINT_ACCEPTED);
    ahead.size = size;
    memcpy(ahead.root, root, CA_HASH_SIZE);
    core_restored_hold(c->config.restored, text, &ahead);
    return TM_EDENIED;
}

/* At the start an alarm has to wait until the store takes leaves. */
static enum tm_err judge_at_start(struct core_checkpoint *c, uint64_t size,
                                  const uint8_t root[CA_HASH_SIZE], const char *shown) {
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = checkpoint_judge(c, size, root, shown, text);
    if (err != TM_EDENIED)
        return err;
    TEXT_SET(c->alarm, text);
    return TM_OK;
}

/* ---- what there is ---- */

static enum tm_err load_row(struct core_checkpoint *c, const char *name,
                            struct checkpoint_kept *ret) {
    struct ca_store *store = c->config.store;
    struct buf memory = BUF_ON(ret->memory);
    TEXT_SET(ret->row.name, name);
    enum tm_err err = store->ops->row(store, CA_TABLE_CHECKPOINT, &ret->row, &memory);
    if (err == TM_ENOTFOUND)
        ret->row.version = 0;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err load_witness(struct core_checkpoint *c, size_t i) {
    struct ca_store *store = c->config.store;
    uint8_t octets[CA_COSIGNATURE_MAX];
    struct buf memory = BUF_ON(octets);
    TEXT_SET(c->seen[i].witness, c->config.audit->witnesses[i].name);
    enum tm_err err = store->ops->row(store, CA_TABLE_COSIGNATURE, &c->seen[i], &memory);
    c->seen[i].line = (struct bytes){0};
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err load_rows(struct core_checkpoint *c) {
    struct checkpoint_kept accepted = {0};
    enum tm_err err = load_row(c, CA_CHECKPOINT_ACCEPTED, &accepted);
    c->accepted = accepted.row;
    c->accepted.note = (struct bytes){0};
    if (!err)
        err = load_row(c, CA_CHECKPOINT_SIGNED, &c->signed_);
    if (!err)
        err = load_row(c, CA_CHECKPOINT_COSIGNED, &c->cosigned);
    for (size_t i = 0; i < c->config.audit->witness_count && !err; i++)
        err = load_witness(c, i);
    return err;
}

/* What anybody put there, not being the log's, shows nothing. */
static enum tm_err judge_file(struct core_checkpoint *c) {
    const char *path = c->config.conf->seen;
    uint8_t octets[AUDIT_NOTE_MAX];
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    if (!path)
        return TM_OK;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, octets, sizeof octets);
    if (n < 0) {
        if (errno != ENOENT)
            log_error("audit.seen: %s: %s", path, strerror(errno));
        return TM_OK;
    }
    if (audit_checkpoint_open((struct bytes){octets, (size_t)n}, &c->config.audit->key, &note,
                              &checkpoint)) {
        log_error("audit.seen: %s holds no checkpoint of this log", path);
        return TM_OK;
    }
    return judge_at_start(c, checkpoint.size, checkpoint.root.octets, "audit.seen");
}

/* One that was accepted as not being of this log proves nothing of it. */
static enum tm_err drop_foreign(struct core_checkpoint *c, struct checkpoint_kept *kept) {
    struct audit_hash empty;
    char text[IPC_TEXT_MAX + 1];
    if (!kept->row.version)
        return TM_OK;
    enum tm_err err = checkpoint_continues(c, kept->row.size, kept->row.root, "", text);
    if (err != TM_EDENIED)
        return err;
    err = audit_sha256(NULL, 0, &empty);
    kept->row.size = 0;
    kept->row.note = (struct bytes){0};
    memcpy(kept->row.root, empty.octets, CA_HASH_SIZE);
    return err;
}

static enum tm_err judge_rows(struct core_checkpoint *c) {
    enum tm_err err = TM_OK;
    if (c->signed_.row.version)
        err = judge_at_start(c, c->signed_.row.size, c->signed_.row.root, "its own checkpoint");
    if (!err && c->cosigned.row.version)
        err =
            judge_at_start(c, c->cosigned.row.size, c->cosigned.row.root, "a cosigned checkpoint");
    for (size_t i = 0; i < c->config.audit->witness_count && !err; i++)
        if (c->seen[i].version)
            err = judge_at_start(c, c->seen[i].size, c->seen[i].root, c->seen[i].witness);
    return err;
}

enum tm_err checkpoint_look(struct core_checkpoint *c) {
    enum tm_err err = load_rows(c);
    if (!err)
        err = judge_rows(c);
    if (!err)
        err = judge_file(c);
    if (!err)
        err = drop_foreign(c, &c->signed_);
    return err ? err : drop_foreign(c, &c->cosigned);
}
