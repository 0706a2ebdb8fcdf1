/* SPDX-License-Identifier: Apache-2.0 */
/* CRLs on the worker's thread: one walk over the issuer's revoked certificates for all of them. */
#include "server/core/publish_internal.h"

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

static enum tm_err add_page(struct core_run *run, struct ca_serial *cursor, void *rows, size_t max,
                            size_t *ret_n) {
    struct core_publish *p = run->publish;
    const struct ca_revoked *revoked = rows;
    enum tm_err err =
        p->config.store->ops->scan_revoked(p->scan, run->issuer->name, cursor, rows, max, ret_n);
    for (size_t i = 0; !err && i < *ret_n; i++)
        err = add(run, &revoked[i]);
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
    run->err = begin(run);
    if (!run->err)
        run->err = core_run_pages(run, add_page, sizeof(struct ca_revoked));
    if (!run->err)
        run->err = finish(run);
}

void core_crl_finish(struct core_run *run) {
    for (size_t i = 0; !run->err && i < run->count; i++) {
        struct core_part *part = &run->parts[i];
        run->err = ca_crl_assemble(run->issuer, part->tbs_fd,
                                   (struct bytes){part->signature, part->signature_n}, &part->fd,
                                   &part->row.size, part->row.sha256);
        if (run->err)
            run->wrong = &part->ticket;
    }
}
