/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CA needs of a signer: tickets in, signatures out. The interface is the
 * CA's. A ticket asks for a certificate's signature, or for that of a Full PKI Response (CMC).
 * In touchmarkd it is the link to the signer process (server/core/signer_link.c);
 * in the key ceremony it is a token in this process (pkcs11/).
 */
#ifndef TOUCHMARK_CA_SIGNER_H
#define TOUCHMARK_CA_SIGNER_H

#include "ca/lint.h"
#include "ca/types.h"

struct ca_signer;

enum ca_ticket_kind {
    CA_TICKET_CERTIFICATE,
    CA_TICKET_CMC,
    CA_TICKET_CRL,           /* by the issuer's key */
    CA_TICKET_OCSP,          /* by the issuer's OCSP key, never by its own */
    CA_TICKET_FILTER,        /* by the issuer's key */
    CA_TICKET_KEYGEN,        /* by the issuer's key */
    CA_TICKET_TLS_HANDSHAKE, /* by the TLS server's key; no issuer */
    CA_TICKET_TLS_REQUEST,   /* likewise */
    CA_TICKET_CHECKPOINT,    /* by the audit log's key; no issuer */
};

/* One signature wanted. Only ca_lint makes the lint token, so no unlinted certificate can be
 * asked for. The caller keeps it until `done`. */
struct ca_ticket {
    enum ca_ticket_kind kind;
    const char *issuer; /* "" where there is none */
    /* CERTIFICATE */
    struct ca_lint_token lint; /* names the TBS it was made for */
    const char *profile;
    const uint8_t *profile_hash; /* CA_HASH_SIZE octets */
    struct bytes tbs;
    /* CMC: the signature is over est_signed_attributes_write(CCT_PKI_RESPONSE, digest of `content`,
     * signing_time_ms), with the digest of ca_issuer_digest. */
    struct bytes content; /* DER PKIResponse */
    int64_t signing_time_ms;
    /* KEYGEN: `content` is no more than the digest of a DER AsymmetricKeyPackage; the signature is
     * over est_signed_attributes_write(CT_KP_AKEY_PACKAGE, `content`, signing_time_ms). */
    /* OCSP: `content` is a DER ResponseData (RFC 6960, 4.2.1). FILTER: a revocation filter's header
     * (pki/filter.h). CRL: the DER TBSCertList (RFC 5280, 5.1.2), which may have megabytes,
     * stands in a sealed memory file. The signature is over these octets. */
    /* CHECKPOINT: `content` is the text of a checkpoint of the audit log, and signed as it is. */
    /* TLS_*: `content` as in ipc_tls_ticket; the signature is over these octets. */
    int content_fd; /* CRL only; the caller's */
    /* Called once, never from inside `sign`. signature is valid during the call.
     * IPC_SIGN_OK, or why not. */
    void (*done)(struct ca_ticket *ticket, enum ipc_sign_status status, struct bytes signature);
    void *arg;
    const char *provider;   /* of an answer that is IPC_SIGN_OK: the token that signed, or NULL */
    uint64_t id;            /* the signer's own */
    size_t token;           /* the signer's own: which of several it was given to */
    int64_t sent_ms;        /* the signer's own */
    unsigned failures;      /* the signer's own */
    struct ca_ticket *next; /* the signer's own */
};

struct ca_signer_ops {
    /* TM_EFULL: too many are waiting; TM_EDENIED: a certificate whose lint token is not this TBS's.
     */
    enum tm_err (*sign)(struct ca_signer *signer, struct ca_ticket *ticket);
    /* The signature that this ticket got did not verify: whoever made it has to start over. */
    void (*distrust)(struct ca_signer *signer, const struct ca_ticket *ticket);
};

struct ca_signer {
    const struct ca_signer_ops *ops;
};

#endif
