/* SPDX-License-Identifier: Apache-2.0 */
/* See restored.h. */
#include "server/core/restored.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "pki/crl.h"

#define FILE_MAX ((off_t)IPC_TBS_FILE_MAX + IPC_MESSAGE_MAX)
#define REVIVED_STEP 1024

/* ---- files ---- */

static enum tm_err read_file(int fd, size_t n, uint8_t *to) {
    for (size_t got = 0; got < n;) {
        ssize_t more = pread(fd, to + got, n - got, (off_t)got);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return TM_EIO;
        got += (size_t)more;
    }
    return TM_OK;
}

/* TM_ENOTFOUND: there is no such file, or nothing that could be one of ours. */
static enum tm_err load_file(const char *dir, const char *name, struct bytes *ret) {
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return TM_ENOMEM;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    free(path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        st.st_size > FILE_MAX)
        return TM_ENOTFOUND;
    AUTO_MEM uint8_t *octets = malloc((size_t)st.st_size);
    if (!octets)
        return TM_ENOMEM;
    if (read_file(fd, (size_t)st.st_size, octets))
        return TM_ENOTFOUND;
    *ret = (struct bytes){octets, (size_t)st.st_size};
    (void)TAKE(octets);
    return TM_OK;
}

/* ---- what a CRL shows ---- */

static enum tm_err note_number(struct core_restored *r, const struct ca_published *row,
                               uint64_t number) {
    struct ca_published *more = realloc(r->numbers, (r->number_count + 1) * sizeof *more);
    if (!more)
        return TM_ENOMEM;
    r->numbers = more;
    r->numbers[r->number_count] = *row;
    r->numbers[r->number_count++].number = number;
    if (r->held)
        return TM_OK;
    r->held = true;
    (void)snprintf(r->text, sizeof r->text,
                   "the store is older than what was published: %s of %s has number %" PRIu64
                   ", and the store knows %" PRIu64,
                   row->object, row->issuer, number, row->number);
    return TM_OK;
}

static enum tm_err note_revived(struct core_restored *r, const struct ca_serial *serial,
                                uint8_t reason) {
    if (r->revived_count % REVIVED_STEP == 0) {
        struct core_revived *more =
            realloc(r->revived, (r->revived_count + REVIVED_STEP) * sizeof *more);
        if (!more)
            return TM_ENOMEM;
        r->revived = more;
    }
    r->revived[r->revived_count++] = (struct core_revived){*serial, reason};
    return TM_OK;
}

static enum tm_err judge_entry(struct core_restored *r, struct ca_store *store,
                               const struct pki_crl_entry *entry) {
    struct ca_certificate certificate;
    struct ca_serial serial;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    if (!ca_serial_read(entry->serial, &serial))
        return TM_OK;
    enum tm_err err = store->ops->certificate(store, &serial, &certificate, &buf);
    if (err == TM_ENOTFOUND)
        r->unknown++;
    if (err)
        return err == TM_ENOTFOUND ? TM_OK : err;
    return certificate.status == CA_CERT_REVOKED ? TM_OK : note_revived(r, &serial, entry->reason);
}

static enum tm_err judge_entries(struct core_restored *r, struct ca_store *store,
                                 const struct pki_crl *crl) {
    struct bytes rest = crl->entries;
    struct pki_crl_entry entry;
    enum tm_err err = TM_OK;
    while (rest.n && !err && !pki_crl_next(&rest, &entry))
        err = judge_entry(r, store, &entry);
    return err;
}

/* What anybody put there, not being the issuer's, shows nothing. */
static bool is_ours(const struct ca_issuer *issuer, struct bytes der, struct pki_crl *ret) {
    return !pki_crl_parse(der, ret) && !ca_issuer_verify(issuer, ret->tbs, ret->signature);
}

static enum tm_err look_at(struct core_restored *r, const char *dir, struct ca_store *store,
                           const struct ca_issuer *issuer, int shard) {
    char name[IPC_NAME_MAX + 24], suffix[16] = "";
    struct ca_published row = {0};
    struct pki_crl crl;
    struct bytes der = {0};
    if (shard >= 0)
        (void)snprintf(suffix, sizeof suffix, "-%d", shard);
    (void)snprintf(name, sizeof name, "%s%s.crl", issuer->name, suffix);
    (void)snprintf(row.object, sizeof row.object, "crl%s", suffix);
    TEXT_SET(row.issuer, issuer->name);
    enum tm_err err = load_file(dir, name, &der);
    if (err)
        return err == TM_ENOTFOUND ? TM_OK : err;
    AUTO_MEM void *owned = (void *)(uintptr_t)der.p;
    (void)owned;
    err = store->ops->row(store, CA_TABLE_PUBLISHED, &row, NULL);
    if (err == TM_ENOTFOUND)
        err = TM_OK;
    if (err || !is_ours(issuer, der, &crl) || crl.number <= row.number)
        return err;
    err = note_number(r, &row, crl.number);
    return err || shard >= 0 ? err : judge_entries(r, store, &crl);
}

void core_restored_hold(struct core_restored *r, const char *text,
                        const struct ca_checkpoint *ahead) {
    if (!r->held) {
        r->held = true;
        TEXT_SET(r->text, text);
        log_error("%s: nothing is issued or published until that is accepted (touchmark store "
                  "accept)",
                  text);
    }
    if (ahead->size > r->ahead.size)
        r->ahead = *ahead;
}

enum tm_err core_restored_look(const struct conf_status *conf, const struct core_setup *setup,
                               struct ca_store *store, struct core_restored *ret) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; conf->url && i < setup->issuer_count && !err; i++) {
        const struct ca_issuer *issuer = &setup->issuers[i];
        for (int shard = -1; shard < (int)issuer->crl_shards && !err; shard++)
            err = look_at(ret, conf->dir, store, issuer, shard);
    }
    if (ret->held)
        log_error("%s: nothing is issued or published until that is accepted (touchmark store "
                  "accept)",
                  ret->text);
    return err;
}
