/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key's file: 64 hex digits of the seed. The state's file: a line for each log with the newest
 * note that was cosigned, in base64. Each bears this witness's own signature, so that a file that
 * was damaged, or is another's, is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "witness/witness.h"

#define SEED_TEXT (2 * AUDIT_ED25519_SEED_SIZE)

static enum tm_err fail(enum tm_err err, const char *path, const char *what) {
    fprintf(stderr, "touchmark-witness: %s: %s\n", path, what);
    return err;
}

/* ---- key ---- */

static enum tm_err make_key(const char *path) {
    uint8_t seed[AUDIT_ED25519_SEED_SIZE];
    char text[SEED_TEXT + 2];
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed ||
        hex_encode(BYTES_OF(seed), text, sizeof text))
        return fail(TM_ECRYPTO, path, "no random numbers");
    text[SEED_TEXT] = '\n';
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && !file_write(fd, (struct bytes){(uint8_t *)text, SEED_TEXT + 1}) &&
                !fsync(fd) && !file_sync_folder(path);
    bytes_wipe(seed, sizeof seed);
    bytes_wipe(text, sizeof text);
    return good ? TM_OK : fail(TM_EIO, path, strerror(errno));
}

static enum tm_err read_seed(const char *path, uint8_t ret[AUDIT_ED25519_SEED_SIZE]) {
    char text[SEED_TEXT + 2] = "";
    struct stat st;
    size_t n = 0;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return TM_EIO;
    if (st.st_mode & 077)
        return fail(TM_EDENIED, path, "others may read it; its mode must be 0600");
    ssize_t got = read(fd, text, sizeof text);
    bool good = got == SEED_TEXT + 1 && text[SEED_TEXT] == '\n';
    text[SEED_TEXT] = 0;
    good =
        good && !hex_decode(text, ret, AUDIT_ED25519_SEED_SIZE, &n) && n == AUDIT_ED25519_SEED_SIZE;
    bytes_wipe(text, sizeof text);
    return good ? TM_OK : fail(TM_EPARSE, path, "it is no key of a witness");
}

enum tm_err witness_key_open(struct witness *witness, const char *path, const char *name) {
    uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE];
    enum tm_err err = access(path, F_OK) ? make_key(path) : TM_OK;
    if (!err)
        err = read_seed(path, witness->seed);
    if (!err)
        err = audit_ed25519_public(witness->seed, public_key);
    if (!err)
        err = audit_key_make(AUDIT_KEY_WITNESS, bytes_str(name), public_key, &witness->key);
    return err;
}

/* ---- state ---- */

/* One of our notes becomes the log's newest. Logs that are not watched any more are forgotten. */
static enum tm_err take_note(struct witness *witness, struct bytes octets) {
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    uint64_t time;
    if (audit_note_parse(octets, &note) || audit_checkpoint_parse(note.text, &checkpoint) ||
        audit_note_verify(&note, &witness->key, &time))
        return TM_ECORRUPT;
    for (size_t i = 0; i < witness->log_count; i++) {
        struct witness_log *log = &witness->logs[i];
        if (!bytes_equal(checkpoint.origin, bytes_str(log->key.name)))
            continue;
        log->size = checkpoint.size;
        log->root = checkpoint.root;
        memcpy(log->note, octets.p, octets.n);
        log->note_n = octets.n;
    }
    return TM_OK;
}

static enum tm_err take_lines(struct witness *witness, struct bytes text) {
    struct bytes line;
    enum tm_err err = TM_OK;
    while (!err && audit_line(&text, &line)) {
        uint8_t memory[AUDIT_NOTE_MAX + 3];
        struct buf note = BUF_ON(memory);
        err = audit_base64_read(line, &note) ? TM_ECORRUPT : take_note(witness, buf_bytes(&note));
    }
    return !err && text.n ? TM_ECORRUPT : err;
}

static enum tm_err read_state(int fd, size_t n, struct witness *witness) {
    AUTO_MEM uint8_t *octets = malloc(n + 1);
    for (size_t at = 0; octets && at < n;) {
        ssize_t got = read(fd, octets + at, n - at);
        if (got <= 0)
            return TM_EIO;
        at += (size_t)got;
    }
    return octets ? take_lines(witness, (struct bytes){octets, n}) : TM_ENOMEM;
}

enum tm_err witness_state_load(struct witness *witness) {
    struct stat st;
    AUTO_FD int fd = open(witness->state, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return TM_OK;
    if (fd < 0 || fstat(fd, &st))
        return fail(TM_EIO, witness->state, strerror(errno));
    enum tm_err err = read_state(fd, (size_t)st.st_size, witness);
    return err ? fail(err, witness->state, "it does not hold what this witness has signed") : TM_OK;
}

enum tm_err witness_state_save(const struct witness *witness) {
    size_t room = witness->log_count * (AUDIT_NOTE_MAX * 2) + 1;
    AUTO_MEM uint8_t *octets = malloc(room);
    struct buf out = {octets, room, 0, false};
    if (!octets)
        return TM_ENOMEM;
    for (size_t i = 0; i < witness->log_count; i++) {
        const struct witness_log *log = &witness->logs[i];
        if (!log->note_n)
            continue;
        if (audit_base64_put(&out, (struct bytes){log->note, log->note_n}))
            return TM_ELIMIT;
        buf_put_u8(&out, '\n');
    }
    return file_replace(witness->state, buf_bytes(&out), 0600);
}
