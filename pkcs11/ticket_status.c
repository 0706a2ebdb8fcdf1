/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer's check of what says which certificates are good: CRLs, OCSP answers and revocation
 * filters. What they say of a certificate is the core's business; that they are this issuer's,
 * of now, of a bounded time, and signed by the key that such things are signed by, is checked here.
 */
#include <openssl/evp.h>
#include <string.h>

#include "ca/crl.h"
#include "ca/ocsp.h"
#include "pkcs11/ticket.h"
#include "pki/crl.h"
#include "pki/filter.h"

#define DAY_MS INT64_C(86400000)
#define NEXT_MAX_MS (400 * DAY_MS) /* a thisUpdate holds for so long at most */

static bool is_recent(int64_t time_ms, int64_t now_ms) {
    return time_ms >= now_ms - HSM_STATUS_AGE_MS && time_ms <= now_ms + HSM_CMC_SKEW_MS;
}

static bool is_period(int64_t from_ms, int64_t to_ms) {
    return to_ms > from_ms && to_ms - from_ms <= NEXT_MAX_MS;
}

/* What numbers rise under: kind, issuer and, of a CRL's shard, its URL. */
static enum tm_err name_series(const struct ipc_status_ticket *ticket, struct bytes url,
                               struct hsm_permit *permit, char text[IPC_TEXT_MAX + 1]) {
    uint8_t memory[1 + sizeof ticket->issuer + CA_URL_MAX];
    struct buf name = BUF_ON(memory);
    buf_put_u8(&name, ticket->kind);
    buf_put(&name, (struct bytes){(const uint8_t *)ticket->issuer, sizeof ticket->issuer});
    buf_put(&name, url);
    if (name.full || EVP_Digest(name.p, name.n, permit->name, NULL, EVP_sha256(), NULL) != 1)
        return hsm_ticket_refuse(text, "the shard's URL is too long");
    permit->numbered = true;
    return TM_OK;
}

/* ---- CRLs ---- */

static bool algorithm_is(struct bytes algorithm, enum pki_oid signature) {
    uint8_t memory[32];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    ca_put_signature_algorithm(&w, signature);
    return bytes_equal(algorithm, der_written(&w));
}

static enum tm_err check_crl_head(const struct ca_issuer *issuer, const struct pki_crl *crl,
                                  int64_t now_ms, char text[IPC_TEXT_MAX + 1]) {
    uint16_t usage = 0;
    if (pki_cert_key_usage(&issuer->view, &usage) || !(usage & PKI_KU_CRL_SIGN))
        return hsm_ticket_refuse(text, "the issuer's keyUsage lacks cRLSign (RFC 5280, 4.2.1.3)");
    if (!bytes_equal(crl->issuer, issuer->view.subject))
        return hsm_ticket_refuse(text, "the issuer's name is another (RFC 5280, 5.1.2.3)");
    if (!bytes_equal(crl->key_id, issuer->key_id))
        return hsm_ticket_refuse(text, "authorityKeyIdentifier is another's (RFC 5280, 5.2.1)");
    if (!algorithm_is(crl->tbs_algorithm, issuer->signature))
        return hsm_ticket_refuse(text,
                                 "the signature algorithm is not the key's (RFC 5280, 5.1.2.2)");
    if (!is_recent(crl->this_update_ms, now_ms))
        return hsm_ticket_refuse(text, "thisUpdate is not now (RFC 5280, 5.1.2.4)");
    if (!is_period(crl->this_update_ms, crl->next_update_ms))
        return hsm_ticket_refuse(text, "nextUpdate is not within 400 days (RFC 5280, 5.1.2.5)");
    if (crl->url.n && !issuer->crl_shards)
        return hsm_ticket_refuse(text, "issuer %s has no shards", issuer->name);
    return TM_OK;
}

static enum tm_err check_crl(const struct ca_issuer *issuer, const struct ipc_status_ticket *ticket,
                             struct bytes tbs, int64_t now_ms, struct hsm_permit *permit,
                             char text[IPC_TEXT_MAX + 1]) {
    struct pki_crl crl;
    uint64_t count;
    if (ticket->content.n)
        return hsm_ticket_refuse(text, "a CRL comes in a memory file alone");
    if (pki_crl_tbs_parse(tbs, &crl) != TM_OK)
        return hsm_ticket_refuse(text, "not a TBSCertList as it is made here (RFC 5280, 5.1)");
    enum tm_err err = check_crl_head(issuer, &crl, now_ms, text);
    if (err)
        return err;
    if (pki_crl_walk(&crl, &count) != TM_OK)
        return hsm_ticket_refuse(text, "an entry is malformed, or the serials do not rise");
    permit->number = crl.number;
    permit->message = tbs;
    return name_series(ticket, crl.url, permit, text);
}

/* ---- OCSP ---- */

static enum tm_err check_single(const struct ca_issuer *issuer,
                                const struct pki_ocsp_single *single, int64_t now_ms,
                                char text[IPC_TEXT_MAX + 1]) {
    if (!ca_ocsp_names_issuer(issuer, &single->id))
        return hsm_ticket_refuse(
            text, "the answer is on another issuer's certificate (RFC 6960, 4.2.2.2)");
    if (!is_recent(single->this_update_ms, now_ms))
        return hsm_ticket_refuse(text, "thisUpdate is not now (RFC 6960, 4.2.2.1)");
    if (!is_period(single->this_update_ms, single->next_update_ms))
        return hsm_ticket_refuse(text, "nextUpdate is not within 400 days (RFC 5019, 2.2.4)");
    return TM_OK;
}

static enum tm_err check_ocsp(const struct ca_issuer *issuer, const struct hsm_ocsp_name *own,
                              const struct ipc_status_ticket *ticket, int64_t now_ms,
                              struct hsm_permit *permit, char text[IPC_TEXT_MAX + 1]) {
    struct pki_ocsp_data data;
    if (!own || !own->there)
        return hsm_ticket_refuse(text, "issuer %s has no OCSP key", issuer->name);
    if (pki_ocsp_data_parse(ticket->content, &data) != TM_OK)
        return hsm_ticket_refuse(text, "not a ResponseData as it is made here (RFC 6960, 4.2.1)");
    if (!bytes_equal(data.key_hash, BYTES_OF(own->key_hash)))
        return hsm_ticket_refuse(text, "the responder is not the OCSP key (RFC 6960, 4.2.2.3)");
    if (!hsm_is_now(data.produced_ms, now_ms))
        return hsm_ticket_refuse(text, "producedAt is not now (RFC 6960, 2.4)");
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < data.count && !err; i++)
        err = check_single(issuer, &data.singles[i], now_ms, text);
    permit->ocsp = true;
    permit->message = ticket->content;
    return err;
}

/* ---- filters ---- */

static enum tm_err check_filter(const struct ca_issuer *issuer,
                                const struct ipc_status_ticket *ticket, int64_t now_ms,
                                struct hsm_permit *permit, char text[IPC_TEXT_MAX + 1]) {
    struct pki_filter_header header;
    if (pki_filter_header_read(ticket->content, &header) != TM_OK)
        return hsm_ticket_refuse(text, "not a revocation filter's header");
    if (!bytes_equal(header.key_id, issuer->key_id))
        return hsm_ticket_refuse(text, "the filter is another issuer's");
    if (!is_recent(header.made_ms, now_ms))
        return hsm_ticket_refuse(text, "the filter was not made now");
    if (!is_period(header.made_ms, header.next_ms))
        return hsm_ticket_refuse(text, "the filter is not to be replaced within 400 days");
    if (header.until_ms > (uint64_t)header.made_ms)
        return hsm_ticket_refuse(text, "the filter covers certificates that do not exist yet");
    permit->number = header.number;
    permit->message = ticket->content;
    return name_series(ticket, (struct bytes){0}, permit, text);
}

enum tm_err hsm_status_ticket_check(const struct hsm_rules *rules,
                                    const struct ipc_status_ticket *ticket, struct bytes file,
                                    int64_t now_ms, struct hsm_permit *ret,
                                    char text[IPC_TEXT_MAX + 1]) {
    struct hsm_permit permit = {0};
    if (!hsm_rules_find(rules, ticket->issuer, &permit.issuer))
        return hsm_ticket_refuse(text, "no issuer %s here", ticket->issuer);
    const struct ca_issuer *issuer = rules->issuers[permit.issuer];
    enum tm_err err = TM_EDENIED;
    switch ((enum ipc_status_kind)ticket->kind) {
    case IPC_STATUS_CRL:
        err = check_crl(issuer, ticket, file, now_ms, &permit, text);
        break;
    case IPC_STATUS_OCSP:
        err = check_ocsp(issuer, rules->ocsp ? &rules->ocsp[permit.issuer] : NULL, ticket, now_ms,
                         &permit, text);
        break;
    case IPC_STATUS_FILTER:
        err = check_filter(issuer, ticket, now_ms, &permit, text);
        break;
    default:
        return hsm_ticket_refuse(text, "no kind of status");
    }
    if (!err)
        *ret = permit;
    return err;
}
