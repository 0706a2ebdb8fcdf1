/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this ticket be signed? The signer's own judgement, on the DER itself: it trusts neither
 * the core that built the certificate nor that the core linted it. Pure: no token, no
 * socket. Thread-safe. Internal to pkcs11/.
 *
 * A CMC ticket does not say which octets are signed. It brings a PKIResponse, and what is signed is
 * the SET OF signed attributes that are made here of its digest. A SET OF begins with 0x31, a
 * TBSCertificate, CRL or request with 0x30: so no signature for CMC is ever one on a certificate,
 * whatever the content may be.
 */
#ifndef TOUCHMARK_PKCS11_TICKET_H
#define TOUCHMARK_PKCS11_TICKET_H

#include "ca/issuer.h"
#include "ca/profile.h"
#include "pkcs11/guard.h"
#include "pki/ocsp.h"

/* How an issuer's OCSP key is named in answers. */
struct hsm_ocsp_name {
    bool there;
    uint8_t key_hash[PKI_OCSP_KEY_HASH_SIZE];
};

/* What the signer was started with. */
struct hsm_rules {
    const struct ca_issuer *const *issuers;
    size_t issuer_count;
    const struct ca_profile *profiles;
    size_t profile_count;
    const struct hsm_ocsp_name *ocsp; /* by issuer; NULL: no issuer has an OCSP key */
    struct bytes tls_spki;            /* of the TLS server's key; empty: it is not on this token */
    const char *origin;               /* of the audit log; NULL: its key is not on this token */
};

/* Is there an issuer of this name? */
bool hsm_rules_find(const struct hsm_rules *rules, const char *issuer, size_t *ret_index);

/* Says in text which rule a ticket breaks; TM_EDENIED. */
enum tm_err hsm_ticket_refuse(char text[IPC_TEXT_MAX + 1], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* TM_OK and the issuer's index; TM_EDENIED and in text which rule the ticket breaks. */
MUST_USE enum tm_err hsm_ticket_check(const struct hsm_rules *rules,
                                      const struct ipc_ticket *ticket, size_t *ret_issuer,
                                      char text[IPC_TEXT_MAX + 1]);

/* Is the profile that the ticket names, and that it passed, of the kind proof? */
bool hsm_ticket_is_proof(const struct hsm_rules *rules, const struct ipc_ticket *ticket);

#define HSM_CMC_SKEW_MS INT64_C(300000) /* between a signing-time and this process's clock */
/* Is it, give or take that? Never 0, which est_signed_attributes_write takes for none. */
bool hsm_is_now(int64_t time_ms, int64_t now_ms);

/* The same for a PKIResponse; the signed attributes (RFC 5652, 5.4), which are what the key signs,
 * are appended to `out`, for which EST_SIGNED_ATTRIBUTES_MAX octets are enough. now_ms: the wall
 * clock. */
MUST_USE enum tm_err hsm_cmc_ticket_check(const struct hsm_rules *rules,
                                          const struct ipc_cmc_ticket *ticket, int64_t now_ms,
                                          size_t *ret_issuer, struct buf *out,
                                          char text[IPC_TEXT_MAX + 1]);

/* The same for the digest of an AsymmetricKeyPackage (RFC 5958, 2), which stays with the core. */
MUST_USE enum tm_err hsm_keygen_ticket_check(const struct hsm_rules *rules,
                                             const struct ipc_keygen_ticket *ticket, int64_t now_ms,
                                             size_t *ret_issuer, struct buf *out,
                                             char text[IPC_TEXT_MAX + 1]);

/* What a ticket may have signed, and by which key. */
struct hsm_permit {
    size_t issuer;
    bool ocsp;                  /* by the issuer's OCSP key, not its own */
    bool tls;                   /* by the TLS server's key, which no issuer has */
    bool proof;                 /* a certificate of the kind proof, of which there are few */
    bool checkpoint;            /* by the audit log's key, which no issuer has */
    struct hsm_checkpoint tree; /* of which; only if it is not behind the last */
    struct bytes message;       /* borrowed from what was checked */
    bool numbered;              /* only if its number is above those before under its name */
    uint8_t name[HSM_NAME_SIZE];
    uint64_t number;
};

/* The same for the audit log's key: a checkpoint of that very log without extension lines
 * (c2sp.org/tlog-checkpoint). */
MUST_USE enum tm_err hsm_checkpoint_ticket_check(const struct hsm_rules *rules,
                                                 const struct ipc_checkpoint_ticket *ticket,
                                                 struct hsm_permit *ret,
                                                 char text[IPC_TEXT_MAX + 1]);

/* The same for the TLS server's key: the content of a server's CertificateVerify in TLS 1.3 (RFC
 * 8446, 4.4.3), which begins with blanks and so is nothing else, or a CertificationRequestInfo (RFC
 * 2986, 4.1) for this very key, which says so itself. */
MUST_USE enum tm_err hsm_tls_ticket_check(const struct hsm_rules *rules,
                                          const struct ipc_tls_ticket *ticket,
                                          struct hsm_permit *ret, char text[IPC_TEXT_MAX + 1]);

/* From the start of a walk over all certificates to the ticket for what came of it. */
#define HSM_STATUS_AGE_MS INT64_C(1800000)

/* The same for what says which certificates are good. `file` is the content of a CRL's memory file.
 * A filter's header begins with 0x54 and a CRL with 0x30, so that neither can be the other. */
MUST_USE enum tm_err hsm_status_ticket_check(const struct hsm_rules *rules,
                                             const struct ipc_status_ticket *ticket,
                                             struct bytes file, int64_t now_ms,
                                             struct hsm_permit *ret, char text[IPC_TEXT_MAX + 1]);

#endif
