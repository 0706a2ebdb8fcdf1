/* SPDX-License-Identifier: Apache-2.0 */
/* See content.h. */
#include "server/status/content.h"

#include <openssl/evp.h>
#include <string.h>

#include "pki/cert.h"
#include "pki/crl.h"
#include "pki/filter.h"

/* A shard says where it is found, and the whole CRL that it is no shard (RFC 5280, 5.2.5). */
static bool is_shard_name(const char *name) {
    const char *dash = strrchr(name, '-');
    return dash && strspn(dash + 1, "0123456789") > 0 &&
           strcmp(dash + 1 + strspn(dash + 1, "0123456789"), ".crl") == 0;
}

static enum tm_err read_crl(const char *name, struct status_item *item) {
    struct pki_crl crl;
    enum tm_err err = pki_crl_parse(item->octets, &crl);
    if (err)
        return err;
    if (crl.url.n > 0 && !is_shard_name(name))
        return TM_EPARSE;
    item->media_type = "application/pkix-crl";
    item->number = crl.number;
    item->this_update_ms = crl.this_update_ms;
    item->next_update_ms = crl.next_update_ms;
    return TM_OK;
}

static enum tm_err read_certificate(struct status_item *item) {
    struct pki_cert cert;
    enum tm_err err = pki_cert_parse(item->octets, &cert);
    if (err)
        return err;
    item->media_type = "application/pkix-cert";
    item->this_update_ms = cert.not_before_ms;
    return TM_OK;
}

static enum tm_err check_body(const struct pki_filter_header *header, struct bytes body) {
    uint8_t hash[STATUS_HASH_SIZE];
    enum tm_err err = pki_filter_body_check(header, body);
    if (err)
        return err;
    if (EVP_Digest(body.p, body.n, hash, NULL, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    return memcmp(hash, header->body_sha256, sizeof hash) == 0 ? TM_OK : TM_EPARSE;
}

static enum tm_err read_filter(struct status_item *item) {
    struct pki_filter_file file;
    struct pki_filter_header header;
    enum tm_err err = pki_filter_file_read(item->octets, &file);
    if (!err)
        err = pki_filter_header_read(file.header, &header);
    if (!err)
        err = check_body(&header, file.body);
    if (err)
        return err;
    item->media_type = "application/octet-stream";
    item->number = header.number;
    item->this_update_ms = header.made_ms;
    item->next_update_ms = header.next_ms;
    return TM_OK;
}

enum tm_err status_content_read(enum ipc_publish_kind kind, const char *name,
                                struct status_item *item) {
    switch (kind) {
    case IPC_PUBLISH_CRL:
        return read_crl(name, item);
    case IPC_PUBLISH_CERTIFICATE:
        return read_certificate(item);
    case IPC_PUBLISH_FILTER:
        return read_filter(item);
    }
    return TM_EPARSE;
}
