/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer's check of tickets over arbitrary messages: whatever it accepts must be, in
 * OpenSSL's eyes too, a certificate that is no CA and may sign no certificate; or a CMC response's
 * signed attributes, which are never a certificate and make a SignedData of that response; or what
 * says which certificates are good, each kind by its key, and never a certificate either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ca/build.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"
#include "pkcs11/ticket.h"
#include "pki/crl.h"
#include "pki/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The certificate of the CA that the seeds are for. */
static const uint8_t issuer_der[] = {
    0x30, 0x82, 0x01, 0xbe, 0x30, 0x82, 0x01, 0x63, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x10, 0x01,
    0xa1, 0xfd, 0x19, 0x55, 0x4b, 0x31, 0x3a, 0xa5, 0x58, 0x5f, 0x04, 0xdd, 0x47, 0xd0, 0x32, 0x30,
    0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x30, 0x2a, 0x31, 0x0d, 0x30,
    0x0b, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x04, 0x52, 0x6f, 0x6f, 0x74, 0x31, 0x19, 0x30, 0x17,
    0x06, 0x03, 0x55, 0x04, 0x0b, 0x0c, 0x10, 0x45, 0x6e, 0x76, 0x69, 0x72, 0x6f, 0x6e, 0x6d, 0x65,
    0x6e, 0x74, 0x20, 0x74, 0x65, 0x73, 0x74, 0x30, 0x20, 0x17, 0x0d, 0x32, 0x36, 0x31, 0x31, 0x32,
    0x31, 0x30, 0x37, 0x35, 0x34, 0x31, 0x38, 0x5a, 0x18, 0x0f, 0x39, 0x39, 0x39, 0x39, 0x31, 0x32,
    0x33, 0x31, 0x32, 0x33, 0x35, 0x39, 0x35, 0x39, 0x5a, 0x30, 0x2d, 0x31, 0x10, 0x30, 0x0e, 0x06,
    0x03, 0x55, 0x04, 0x03, 0x0c, 0x07, 0x46, 0x61, 0x63, 0x74, 0x6f, 0x72, 0x79, 0x31, 0x19, 0x30,
    0x17, 0x06, 0x03, 0x55, 0x04, 0x0b, 0x0c, 0x10, 0x45, 0x6e, 0x76, 0x69, 0x72, 0x6f, 0x6e, 0x6d,
    0x65, 0x6e, 0x74, 0x20, 0x74, 0x65, 0x73, 0x74, 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03,
    0x42, 0x00, 0x04, 0xf9, 0x48, 0x1c, 0x5b, 0x09, 0xb6, 0xd6, 0x1f, 0xb1, 0x69, 0x33, 0x3a, 0xe7,
    0x46, 0x6e, 0xa8, 0xb3, 0x8c, 0xaf, 0xb7, 0x9e, 0x77, 0xca, 0x47, 0xaf, 0x1f, 0x3f, 0xd5, 0x05,
    0x4f, 0xaf, 0x85, 0x15, 0xb1, 0x79, 0xba, 0xca, 0xc5, 0xa6, 0x39, 0x55, 0x89, 0x39, 0xba, 0x8a,
    0xd0, 0x49, 0x87, 0xd8, 0x43, 0x50, 0x91, 0xe9, 0x27, 0x73, 0xb9, 0x7e, 0xae, 0x07, 0x98, 0x5f,
    0x94, 0xb4, 0x96, 0xa3, 0x66, 0x30, 0x64, 0x30, 0x12, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01,
    0xff, 0x04, 0x08, 0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00, 0x30, 0x0e, 0x06, 0x03, 0x55,
    0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x01, 0x06, 0x30, 0x1d, 0x06, 0x03, 0x55,
    0x1d, 0x0e, 0x04, 0x16, 0x04, 0x14, 0xdb, 0x20, 0xda, 0x45, 0xd5, 0xe2, 0x44, 0xe9, 0x5a, 0x89,
    0xb2, 0x90, 0x4a, 0x4a, 0xdc, 0x78, 0x54, 0xdf, 0xbc, 0x3e, 0x30, 0x1f, 0x06, 0x03, 0x55, 0x1d,
    0x23, 0x04, 0x18, 0x30, 0x16, 0x80, 0x14, 0x1f, 0x71, 0x51, 0x6c, 0x72, 0x59, 0x3a, 0xe5, 0x26,
    0x60, 0x4d, 0x4b, 0x18, 0x4f, 0x02, 0xdf, 0xae, 0x96, 0x18, 0x8b, 0x30, 0x0a, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x03, 0x49, 0x00, 0x30, 0x46, 0x02, 0x21, 0x00, 0x98,
    0x65, 0xf1, 0x0e, 0x75, 0xe7, 0x7e, 0xfc, 0x5a, 0xab, 0x72, 0x0d, 0xed, 0x05, 0x01, 0xf3, 0xac,
    0x26, 0x7a, 0x75, 0x06, 0xe3, 0xcf, 0xe5, 0x99, 0x13, 0x59, 0x61, 0x49, 0x8e, 0xaf, 0x0e, 0x02,
    0x21, 0x00, 0xff, 0xd8, 0x91, 0x2e, 0x4d, 0xb9, 0x11, 0x01, 0xb7, 0xf9, 0x94, 0x73, 0xe0, 0x59,
    0xb7, 0x9b, 0xf3, 0x50, 0xbe, 0x8c, 0xb2, 0x2d, 0x32, 0x95, 0xb5, 0xfd, 0x0e, 0xba, 0x06, 0x00,
    0xbd, 0xc5,
};

static const char profile_yaml[] =
    "kind: idevid\nkeys: [p256]\nsubject: [{type: serialNumber, value: \"{id}\"}]\n"
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\n"
    "not_after: 99991231235959Z\ncredentials: [secret]\nstates: [registered]\n"
    "next_state: manufactured\n";

static struct ca_issuer issuer;
static struct ca_profile profile;

static void demand(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void load_once(void) {
    char error[CONF_ERROR_MAX] = "";
    if (issuer.der.n)
        return;
    issuer = (struct ca_issuer){.name = "factory", .der = BYTES_OF(issuer_der)};
    demand(!pki_cert_parse(issuer.der, &issuer.view), "issuer does not parse");
    demand(!pki_cert_ski(&issuer.view, &issuer.key_id), "issuer has no key identifier");
    issuer.signature = PKI_OID_ECDSA_SHA256;
    issuer.crl_shards = 2;
    demand(!ca_profile_load_text(profile_yaml, sizeof profile_yaml - 1, "idevid.yaml", &profile,
                                 error),
           error);
}

static void judge(struct bytes tbs) {
    static const uint8_t signature[] = {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01};
    static uint8_t memory[IPC_MESSAGE_MAX + 256];
    struct buf out = BUF_ON(memory);
    demand(!ca_build_certificate(&issuer, tbs, BYTES_OF(signature), &out), "too long");
    const unsigned char *p = memory;
    X509 *certificate = d2i_X509(NULL, &p, (long)out.n);
    demand(certificate && p == memory + out.n, "accepted what OpenSSL cannot read");
    demand(X509_check_ca(certificate) == 0, "accepted a CA");
    demand(!(X509_get_key_usage(certificate) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)),
           "accepted a key that signs certificates or CRLs");
    X509_free(certificate);
    ERR_clear_error();
}

static void judge_cmc(const struct ipc_cmc_ticket *ticket, struct bytes attributes) {
    static const uint8_t signature[] = {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01};
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    static uint8_t memory[IPC_MESSAGE_MAX];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response response;
    struct pki_cert cert;
    demand(!est_cmc_response_read(ticket->content, &response), "accepted what is no PKIResponse");
    demand(attributes.p[0] == 0x31, "the attributes are no SET OF");
    demand(pki_tbs_parse(attributes, &cert) != TM_OK, "the attributes are a TBSCertificate");
    const struct est_signed message = {
        .content_type = PKI_OID_CCT_PKI_RESPONSE,
        .content = ticket->content,
        .has_signer = true,
        .signer = {.issuer = issuer.view.issuer, .serial = issuer.view.serial},
        .digest = ca_issuer_digest(&issuer),
        .attributes = attributes,
        .algorithm = BYTES_OF(ecdsa_sha256),
        .signature = BYTES_OF(signature)};
    demand(!est_signed_write(&message, &out), "too long");
    const unsigned char *p = memory;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)out.n);
    demand(cms && p == memory + out.n, "made what OpenSSL cannot read");
    CMS_SignerInfo *signer = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
    demand(CMS_signed_get_attr_by_NID(signer, NID_pkcs9_messageDigest, -1) >= 0 &&
               CMS_signed_get_attr_by_NID(signer, NID_pkcs9_contentType, -1) >= 0 &&
               CMS_signed_get_attr_by_NID(signer, NID_pkcs9_signingTime, -1) >= 0 &&
               CMS_signed_get_attr_count(signer) == 3,
           "other attributes");
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
}

static void try_cmc(const struct hsm_rules *rules, struct bytes in) {
    struct ipc_cmc_ticket ticket;
    uint8_t memory[EST_SIGNED_ATTRIBUTES_MAX];
    struct buf attributes = BUF_ON(memory);
    size_t index = 7;
    char text[IPC_TEXT_MAX + 1];
    if (codec_decode(&ipc_cmc_ticket_schema, in, &ticket))
        return;
    /* The clock stands where the ticket wants it: it alone would keep out what stands behind it. */
    int64_t now_ms = ticket.signing_time_ms;
    if (now_ms < 0 || now_ms > INT64_C(1) << 53)
        now_ms = 0; /* no clock says that */
    if (hsm_cmc_ticket_check(rules, &ticket, now_ms, &index, &attributes, text)) {
        demand(index == 7 && attributes.n == 0, "a refusal with an output");
        return;
    }
    demand(index == 0, "another issuer");
    judge_cmc(&ticket, buf_bytes(&attributes));
}

static void try_certificate(const struct hsm_rules *rules, struct bytes in) {
    struct ipc_ticket ticket;
    size_t index = 7;
    char text[IPC_TEXT_MAX + 1];
    if (codec_decode(&ipc_ticket_schema, in, &ticket))
        return;
    if (!hsm_ticket_check(rules, &ticket, &index, text)) {
        demand(index == 0, "another issuer");
        judge(ticket.tbs);
    }
    /* The hash alone would keep out what stands behind it. */
    memcpy(ticket.profile_hash, profile.hash, sizeof ticket.profile_hash);
    if (!hsm_ticket_check(rules, &ticket, &index, text))
        judge(ticket.tbs);
}

/* When a thing says that it was made: its own checks are behind that of the clock. */
static int64_t made_ms(const struct ipc_status_ticket *ticket, struct bytes file) {
    struct pki_crl crl;
    struct pki_ocsp_data data;
    struct pki_filter_header header;
    switch ((enum ipc_status_kind)ticket->kind) {
    case IPC_STATUS_CRL:
        return pki_crl_tbs_parse(file, &crl) ? 0 : crl.this_update_ms;
    case IPC_STATUS_OCSP:
        return pki_ocsp_data_parse(ticket->content, &data) ? 0 : data.produced_ms;
    default:
        return pki_filter_header_read(ticket->content, &header) ? 0 : header.made_ms;
    }
}

/* By the issuer's key nothing is signed that is a certificate, and a CRL only as a CRL. */
static void judge_status(const struct ipc_status_ticket *ticket, const struct hsm_permit *permit) {
    struct bytes message = permit->message;
    struct pki_cert cert;
    struct pki_crl crl;
    bool is_crl = pki_crl_tbs_parse(message, &crl) == TM_OK;
    demand(message.n > 0 && pki_tbs_parse(message, &cert) != TM_OK, "signed a TBSCertificate");
    demand(permit->issuer == 0, "another issuer");
    demand(is_crl == (ticket->kind == IPC_STATUS_CRL), "signed a CRL as something else");
    demand(permit->ocsp == (ticket->kind == IPC_STATUS_OCSP), "signed by the wrong key");
    demand(permit->numbered == !permit->ocsp, "no number that rises");
    demand(ticket->kind != IPC_STATUS_FILTER || memcmp(message.p, "TMFILTER", 8) == 0,
           "not a filter's header");
    if (!is_crl)
        return;
    const unsigned char *p = message.p;
    X509_CRL_INFO *theirs = d2i_X509_CRL_INFO(NULL, &p, (long)message.n);
    demand(theirs && p == message.p + message.n, "accepted what OpenSSL cannot read");
    X509_CRL_INFO_free(theirs);
    ERR_clear_error();
}

static void try_status(const struct hsm_rules *rules, struct bytes in) {
    struct ipc_status_ticket ticket;
    struct hsm_permit permit = {.issuer = 7};
    struct bytes file = {0};
    char text[IPC_TEXT_MAX + 1];
    if (codec_decode(&ipc_status_ticket_schema, in, &ticket))
        return;
    if (ticket.kind == IPC_STATUS_CRL) {
        file = ticket.content;
        ticket.content = (struct bytes){0};
    }
    int64_t now_ms = made_ms(&ticket, file);
    if (hsm_status_ticket_check(rules, &ticket, file, now_ms, &permit, text))
        demand(permit.issuer == 7, "a refusal with an output");
    else
        judge_status(&ticket, &permit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    load_once();
    const struct ca_issuer *issuers[] = {&issuer};
    static const struct hsm_ocsp_name ocsp = {.there = true, .key_hash = {1, 2, 3}};
    const struct hsm_rules rules = {.issuers = issuers,
                                    .issuer_count = 1,
                                    .profiles = &profile,
                                    .profile_count = 1,
                                    .ocsp = &ocsp};
    const struct bytes in = {data, size};
    if (codec_peek(in) == IPC_TYPE_CMC_TICKET)
        try_cmc(&rules, in);
    else if (codec_peek(in) == IPC_TYPE_STATUS_TICKET)
        try_status(&rules, in);
    else
        try_certificate(&rules, in);
    return 0;
}
