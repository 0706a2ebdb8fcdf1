/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP (RFC 6960, RFC 5019): requests, and the part of a response that is signed. Bounded passes
 * over untrusted DER, fields borrowed from it, nothing allocated, no signature checked.
 * Thread-safe.
 */
#ifndef TOUCHMARK_PKI_OCSP_H
#define TOUCHMARK_PKI_OCSP_H

#include "pki/der.h"
#include "pki/oid.h"

#define PKI_OCSP_SINGLES_MAX 8 /* certificates in one request or response */

/* CertID (4.1.1): which certificate, by hashes of its issuer's name and key. */
struct pki_ocsp_cert_id {
    struct bytes whole; /* DER, as it came: an answer repeats it octet for octet */
    enum pki_oid hash;  /* PKI_OID_SHA1, PKI_OID_SHA256, or UNKNOWN */
    struct bytes name_hash;
    struct bytes key_hash;
    struct bytes serial; /* INTEGER content octets, minimal */
};
/* `der` is a whole CertID. TM_EPARSE; unknown hashes parse. */
MUST_USE enum tm_err pki_ocsp_cert_id_parse(struct bytes der, struct pki_ocsp_cert_id *ret);
/* Appends one of its parts: `whole` is not read. TM_ELIMIT; TM_EINVAL: hash UNKNOWN. */
MUST_USE enum tm_err pki_ocsp_cert_id_write(const struct pki_ocsp_cert_id *id, struct buf *out);

/* OCSPRequest (4.1.1). Its signature and extensions, a nonce among them, are not heeded (RFC 5019,
 * 2.1.1, 4), as long as they are well-formed. */
struct pki_ocsp_request {
    size_t count; /* at least 1 */
    struct pki_ocsp_cert_id ids[PKI_OCSP_SINGLES_MAX];
};
/* TM_EPARSE: malformed, or asks for nothing; TM_ELIMIT: asks for more than PKI_OCSP_SINGLES_MAX. */
MUST_USE enum tm_err pki_ocsp_request_parse(struct bytes der, struct pki_ocsp_request *ret);

enum pki_ocsp_status { PKI_OCSP_GOOD, PKI_OCSP_REVOKED, PKI_OCSP_UNKNOWN }; /* the tags in DER */

/* SingleResponse (4.2.1). */
struct pki_ocsp_single {
    struct pki_ocsp_cert_id id;
    enum pki_ocsp_status status;
    int64_t revoked_ms; /* REVOKED only, as is the reason */
    uint8_t reason;     /* RFC 5280, 5.3.1; 0 is not written */
    int64_t this_update_ms;
    int64_t next_update_ms; /* 0: none */
};

/* ResponseData (4.2.1) of a responder that names itself by its key. */
struct pki_ocsp_data {
    struct bytes key_hash; /* SHA-1 of the responder's subjectPublicKey, 20 octets */
    int64_t produced_ms;
    size_t count; /* at least 1 */
    struct pki_ocsp_single singles[PKI_OCSP_SINGLES_MAX];
};
#define PKI_OCSP_KEY_HASH_SIZE 20

/* Appends the ResponseData; of each CertID `whole` is written. TM_ELIMIT; TM_EINVAL: no single
 * response, too many, a time out of years 0 to 9999, or a reason that is none. */
MUST_USE enum tm_err pki_ocsp_data_write(const struct pki_ocsp_data *data, struct buf *out);
/* Reads what the writer writes. TM_EPARSE: another form, extensions among them; TM_ELIMIT. */
MUST_USE enum tm_err pki_ocsp_data_parse(struct bytes der, struct pki_ocsp_data *ret);

#endif
