/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file format of revocation filters, shared by who makes them (ca/filter.h), who signs them and
 * who reads them (client/filter.h). A filter divides the certificates that one issuer has issued
 * within a time, all of them known when it is made, into revoked and not revoked, without an error
 * and in little more than the fewest octets that can say so.
 *
 * It says nothing about a serial that was not among those: the answer for one is any. So a bare
 * serial never is good by a filter; client/filter.h asks for the certificate and checks its
 * signature first.
 *
 * File: header, u16 length of the signature, signature, body. Integers are big endian.
 *
 * Header, which is what the issuer's key signs: "TMFILTER", u16 length of what follows, and
 * struct pki_filter_header as base/codec.h lays it out. The signature is raw, as in a certificate's
 * BIT STRING (RFC 5280, 4.1.1.3), by the algorithm that goes with the issuer's key: ECDSA with
 * SHA-256 on P-256, with SHA-384 on P-384, with SHA-512 on P-521; RSA (PKCS #1 v1.5) with SHA-256;
 * Ed25519.
 *
 * Body: a table with 8 octets per bucket, then the buckets' bits, one bucket after the other.
 *
 *     u32  where the bucket's bits begin, in octets from the end of the table
 *     u16  slots of layer 1
 *     u8   seed of layer 1
 *     u8   seed of layer 2
 *
 * The listed certificates are the revoked ones, or when `inverted` the others, whichever are fewer.
 * A serial's hash names its bucket and in each layer a row: PKI_FILTER_WIDTH coefficients over
 * consecutive slots (a ribbon). Layer 1 has `columns` bits per slot, column after column; a serial
 * may be listed only if the sum (XOR) over its row is its fingerprint in every column. Layer 2
 * has the bucket's other bits, one per slot: among those that may be listed, the sum says which
 * are. Bits count from the most significant one of the first octet. Without buckets none is listed.
 *
 * Everything here is thread-safe, allocates nothing and reads no octet outside of what it is given.
 */
#ifndef TOUCHMARK_PKI_FILTER_H
#define TOUCHMARK_PKI_FILTER_H

#include "base/bytes.h"

#define PKI_FILTER_HEADER_MAX 1024
#define PKI_FILTER_KEY_ID_MAX 64
#define PKI_FILTER_SIGNATURE_MAX 8192
#define PKI_FILTER_BODY_MAX (256u << 20)
#define PKI_FILTER_COLUMNS_MAX 32
#define PKI_FILTER_SERIAL_SIZE 16 /* octets of serials that filters know */
#define PKI_FILTER_TIME_MAX ((UINT64_C(1) << 47) - 1)
#define PKI_FILTER_ENTRY_SIZE 8 /* octets of a bucket in the table */

struct pki_filter_header {
    struct bytes key_id; /* the issuer's subjectKeyIdentifier, 1 to PKI_FILTER_KEY_ID_MAX octets */
    uint64_t number;     /* rises with each filter of the issuer */
    int64_t made_ms;     /* ms since 1970 */
    int64_t next_ms;     /* a newer one is there by then */
    uint64_t from_ms;    /* covers serials from this time (their first 48 bits, ms since 1970) */
    uint64_t until_ms;   /* to this, both included */
    uint8_t inverted;    /* bool: those that are not revoked are listed */
    uint8_t columns;     /* bits of layer 1 per slot */
    uint32_t buckets;
    uint64_t seed;
    uint32_t body_n; /* octets of the body */
    uint8_t body_sha256[32];
};

/* `header` must be exactly one header. TM_EPARSE; it may then still contradict its body, see
 * pki_filter_body_check. Writing appends; TM_EINVAL: what reading would refuse; TM_ELIMIT. */
MUST_USE enum tm_err pki_filter_header_read(struct bytes header, struct pki_filter_header *ret);
MUST_USE enum tm_err pki_filter_header_write(const struct pki_filter_header *header,
                                             struct buf *out);

struct pki_filter_file {
    struct bytes header, signature, body;
};
/* Takes a file apart, and looks into none of the parts. TM_EPARSE. */
MUST_USE enum tm_err pki_filter_file_read(struct bytes file, struct pki_filter_file *ret);
/* Appends what stands between header and body. TM_EINVAL: empty or too long; TM_ELIMIT. */
MUST_USE enum tm_err pki_filter_signature_write(struct bytes signature, struct buf *out);

/* Is the body what the header says, but for its hash: the length, and buckets one behind the other
 * up to its end? TM_EPARSE. */
MUST_USE enum tm_err pki_filter_body_check(const struct pki_filter_header *header,
                                           struct bytes body);

/* Is it a serial (INTEGER content octets) of the form and the time that the filter covers? */
bool pki_filter_covers(const struct pki_filter_header *header, struct bytes serial);

/* Of a certificate that the issuer has issued, by its serial, which the filter covers: was it
 * revoked when the filter was made? Any other serial gets any answer. The body was checked. */
bool pki_filter_revoked(const struct pki_filter_header *header, struct bytes body,
                        const uint8_t serial[PKI_FILTER_SERIAL_SIZE]);

/* ---- rows, for who makes filters ---- */

#define PKI_FILTER_WIDTH 128
#define PKI_FILTER_WORDS (PKI_FILTER_WIDTH / 64)

struct pki_filter_row {
    uint32_t start;                          /* slot of the first coefficient, which is 1 */
    uint64_t coefficients[PKI_FILTER_WORDS]; /* from the most significant bit on; none beyond the
                                                last slot */
    uint32_t fingerprint;                    /* column 0 is the most significant bit */
};

uint64_t pki_filter_hash(uint64_t seed, const uint8_t serial[PKI_FILTER_SERIAL_SIZE]);
uint32_t pki_filter_bucket(uint64_t hash, uint32_t buckets);
/* The row in layer 1 or 2 of a bucket with so many slots, at least one. */
void pki_filter_row(uint64_t hash, unsigned layer, uint8_t seed, uint32_t slots,
                    struct pki_filter_row *ret);
/* May it be listed, says layer 1 of its bucket? Of a filter with buckets. */
bool pki_filter_maybe(const struct pki_filter_header *header, struct bytes body, uint64_t hash);

#endif
