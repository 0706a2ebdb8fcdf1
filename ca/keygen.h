/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side key generation (RFC 7030, 4.4): what a request that asks for a key has beside struct
 * ca_request, and the steps that are only its. Not for other folders.
 *
 *   keygen.c            may a key be made, which one; made, put into the answer, sealed
 *   keygen_recipient.c  for whom it is encrypted, and how, as the request asks
 *   keygen_package.c    AsymmetricKeyPackage, SignedData by the issuing CA, EnvelopedData
 *   keygen_rows.c       what is kept so that a lost answer can be given again, and for how long
 *
 * The private key is in this process's memory from the decision until the answer is durable, and
 * outside of it only as the answer has it or sealed by core.wrap_key. For identity, policy, intent,
 * lint and record the request is one like the others, with the key made here in place of its own.
 */
#ifndef TOUCHMARK_CA_KEYGEN_H
#define TOUCHMARK_CA_KEYGEN_H

#include "ca/request.h"
#include "est/wire/signed_data.h"

#define CA_PKCS8_MAX 256 /* octets: P-384 with its public key has 185 */
#define CA_SPKI_MAX 128  /* octets of a key that is made here */
/* What is sealed is the answer's key part behind one octet that says whether it is encrypted. */
#define CA_KEY_PART_MAX (CA_KEYGEN_SEALED_MAX - CA_WRAP_OVERHEAD - 1)

/* How the key is encrypted to the client, if it asks for that. */
struct ca_key_recipient {
    bool wanted;
    unsigned kind; /* CA_KEY_P256, P384 or RSA2048: of its TLS client certificate */
    unsigned aes;  /* bits of the content's key, and of the key wrap of an EC recipient: 128, 256 */
    enum pki_oid kdf; /* of an EC recipient: ECDH_SHA256_KDF or ECDH_SHA384_KDF */
};

struct ca_generated {
    unsigned kind; /* CA_KEY_*: which key is made */
    struct ca_key_recipient recipient;

    bool has_stored; /* a key was made for this device and profile before: */
    struct ca_keygen stored;
    bool delivered; /* what is stored is on its way out, since the device has it in use */

    struct ca_keygen row;    /* as it will be stored */
    struct ca_ticket ticket; /* for the SignedData */

    size_t pkcs8_n, package_n, attributes_n, part_n;
    uint8_t pkcs8[CA_PKCS8_MAX];
    uint8_t spki[CA_SPKI_MAX];
    uint8_t package[CA_PKCS8_MAX + 8]; /* AsymmetricKeyPackage */
    uint8_t digest[EST_DIGEST_MAX];    /* of the package */
    uint8_t attributes[EST_SIGNED_ATTRIBUTES_MAX];
    uint8_t part[CA_KEY_PART_MAX + 1]; /* the octet, and then what the answer brings */
    uint8_t sealed[CA_ROW_MEMORY_MAX]; /* of `stored`, then of `row` */
};

/* ---- keygen.c ---- */

MUST_USE enum tm_err ca_keygen_new(struct ca_request *r); /* TM_ENOMEM */
void ca_keygen_free(struct ca_generated *generated);      /* NULL-safe; wipes */
/* Does the label's profile make keys at all? */
MUST_USE bool ca_keygen_offered(const struct ca_request *r, struct ca_refusal *ret);
/* Which key, and for whom; the PKCS#10 is read. Its own key and signature count for nothing. */
MUST_USE bool ca_keygen_fits(struct ca_request *r, struct ca_refusal *ret);
/* What belongs to the request key beside what every request has there. */
#define CA_KEYGEN_PARTS 3
void ca_keygen_parts(const struct ca_request *r, struct bytes ret[CA_KEYGEN_PARTS]);
/* Makes the key pair; from here on the request's SubjectPublicKeyInfo is the new one's. */
MUST_USE bool ca_keygen_make(struct ca_request *r, struct ca_refusal *ret);
/* The certificate is there: makes the answer's key part and the row, then ca_record or ca_burn. */
void ca_keygen_finish(struct ca_request *r);
/* The rest of that, once the key part stands behind the first octet of `part`. */
void ca_keygen_seal(struct ca_request *r);
struct bytes ca_keygen_part(const struct ca_generated *generated);

/* ---- keygen_recipient.c ---- */

MUST_USE bool ca_key_recipient_choose(const struct pki_csr *csr, struct bytes leaf,
                                      struct ca_key_recipient *ret_recipient,
                                      struct ca_refusal *ret);

/* ---- keygen_package.c ---- */

/* Signs and encrypts; goes on with ca_keygen_seal or ca_burn. */
void ca_keygen_package(struct ca_request *r);

/* ---- keygen_rows.c ---- */

/* Reads what is stored for the device and profile. */
MUST_USE bool ca_keygen_load(struct ca_request *r, struct ca_refusal *ret);
/* The certificate whose key is to be given again; its part is then there. NULL: none. */
const struct ca_cert_ref *ca_keygen_repeat(struct ca_request *r);
/* What is bound to the sealed octets of a row: CA_KEYGEN_BOUND parts. */
#define CA_KEYGEN_BOUND 6
void ca_keygen_bound(const struct ca_keygen *row, struct bytes ret[CA_KEYGEN_BOUND]);
/* Who asks with the certificate of a key that was made here has that key: it is forgotten here. */
void ca_keygen_delivered(struct ca_request *r);
/* Forgets keys whose time is over; call it at least every 100 ms. */
void ca_keygen_sweep(struct ca_service *s, int64_t now_ms);

#endif
