/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation filters on the worker's thread: a walk over every certificate there is. */
#include <string.h>

#include "server/core/publish_internal.h"

static enum ca_filter_kind kind_of(const struct ca_summary *row) {
    switch ((enum ca_cert_status)row->status) {
    case CA_CERT_REVOKED:
        return CA_FILTER_REVOKED;
    case CA_CERT_BURNED:
        return CA_FILTER_BURNED;
    default:
        return CA_FILTER_GOOD;
    }
}

static enum tm_err add_page(struct core_run *run, struct ca_serial *cursor, void *rows, size_t max,
                            size_t *ret_n) {
    struct core_publish *p = run->publish;
    const struct ca_summary *certs = rows;
    enum tm_err err = p->config.store->ops->scan_certificates(p->scan, cursor, rows, max, ret_n);
    for (size_t i = 0; !err && i < *ret_n; i++)
        if (strcmp(certs[i].issuer, run->issuer->name) == 0)
            err = ca_filter_add(run->parts[0].filter, &certs[i].serial, kind_of(&certs[i]));
    return err;
}

void core_filter_make(struct core_run *run) {
    struct core_part *part = &run->parts[0];
    const struct ca_filter_terms terms = {.key_id = run->issuer->key_id,
                                          .number = part->row.number,
                                          .made_ms = run->this_update_ms,
                                          .next_ms = run->next_update_ms,
                                          .until_ms = run->covers_until_ms};
    run->err = ca_filter_new(&terms, &part->filter);
    if (!run->err)
        run->err = core_run_pages(run, add_page, sizeof(struct ca_summary));
    if (!run->err)
        run->err = ca_filter_build(part->filter, core_job_stop_flag(&run->job));
    if (run->err)
        return;
    struct ca_filter_counts counts = ca_filter_counts(part->filter);
    part->row.entries = counts.revoked;
    part->ticket.kind = CA_TICKET_FILTER;
    part->ticket.content = ca_filter_header(part->filter);
}

void core_filter_finish(struct core_run *run) {
    struct core_part *part = &run->parts[0];
    struct ca_filter_file file;
    run->err = ca_filter_seal(part->filter, run->issuer,
                              (struct bytes){part->signature, part->signature_n}, &file);
    run->wrong = &part->ticket;
    if (run->err)
        return;
    part->fd = file.fd;
    part->row.size = file.size;
    memcpy(part->row.sha256, file.sha256, sizeof part->row.sha256);
}
