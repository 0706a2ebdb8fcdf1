/* SPDX-License-Identifier: Apache-2.0 */
/* CRLs on the worker's thread: one walk over the issuer's revoked certificates for all of them. */
#include <stdlib.h>

#include "base/auto.h"
#include "server/core/publish_internal.h"

#define PAGE 256

static void stop(struct core_run *run, enum tm_err err, const char *what) {
    run->err = err;
    TEXT_SET(run->text, what);
}

static enum tm_err begin(struct core_run *run) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        err = ca_crl_begin(run->issuer, part->row.number, run->this_update_ms, run->next_update_ms,
                           part->url[0] ? part->url : NULL, &part->crl);
    }
    return err;
}

/* What expired before the CRL of last time need not be named any more (RFC 5280, 3.3). */
static enum tm_err add(struct core_run *run, const struct ca_revoked *revoked) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        if (revoked->not_after_ms >= part->keep_ms &&
            core_object_names(part->object, &revoked->serial))
            err = ca_crl_add(part->crl, revoked);
    }
    return err;
}

static enum tm_err add_all(struct core_run *run) {
    struct core_publish *p = run->publish;
    AUTO_MEM struct ca_revoked *rows = calloc(PAGE, sizeof *rows);
    struct ca_serial cursor = {0};
    size_t n = 0;
    enum tm_err err = rows ? TM_OK : TM_ENOMEM;
    do {
        if (!err && core_job_stops(&run->job))
            err = TM_ECLOSED;
        if (!err)
            err = p->config.store->ops->scan_revoked(p->scan, run->issuer->name, &cursor, rows,
                                                     PAGE, &n);
        for (size_t i = 0; !err && i < n; i++)
            err = add(run, &rows[i]);
    } while (!err && n);
    return err;
}

static enum tm_err finish(struct core_run *run) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        err = ca_crl_finish(part->crl, &part->tbs_fd, &part->row.size, &part->row.entries);
        part->ticket.kind = CA_TICKET_CRL;
        part->ticket.content_fd = part->tbs_fd;
    }
    return err;
}

void core_crl_make(struct core_run *run) {
    enum tm_err err = begin(run);
    if (!err)
        err = add_all(run);
    if (!err)
        err = finish(run);
    if (err)
        stop(run, err, "");
}

void core_crl_finish(struct core_run *run) {
    for (size_t i = 0; i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        enum tm_err err = ca_crl_assemble(run->issuer, part->tbs_fd,
                                          (struct bytes){part->signature, part->signature_n},
                                          &part->fd, &part->row.size, part->row.sha256);
        if (err) {
            run->wrong = &part->ticket;
            stop(run, err, "");
            return;
        }
    }
}
