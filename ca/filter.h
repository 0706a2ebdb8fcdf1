/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an issuer's revocation filter (pki/filter.h has the format): every serial that it has
 * given out goes in, a signed file comes out that tells revoked from good for each of them, which
 * was tried on every one of them. It has no loop and no store of its own:
 *
 *     ca_filter_new(&terms, &filter);
 *     for each serial, in rising order: ca_filter_add(filter, &serial, kind);
 *     ca_filter_build(filter, &stop);                       takes seconds per million revoked
 *     the signer signs ca_filter_header(filter)
 *     ca_filter_seal(filter, issuer, signature, &file);
 *
 * One thread at a time; different calls may come from different threads. Memory: 16 octets per
 * serial, and while it is built some 25 more per revoked one.
 *
 * What the coverage promises is the caller's to keep: every serial of this issuer with a time from
 * from_ms to until_ms that has a certificate, or may still get one, is added. So until_ms lies
 * before the oldest open intent and before the present, since serials are given out before their
 * certificates are recorded. A serial that was left out may be called good if its certificate turns
 * up; one that never becomes a certificate is added as CA_FILTER_BURNED.
 */
#ifndef TOUCHMARK_CA_FILTER_H
#define TOUCHMARK_CA_FILTER_H

#include <stdatomic.h>

#include "ca/issuer.h"
#include "pki/filter.h"

struct ca_filter_terms {
    struct bytes key_id; /* ca_issuer.key_id */
    uint64_t number;     /* more than that of the one before */
    int64_t made_ms;
    int64_t next_ms;  /* a newer one is published by then */
    int64_t from_ms;  /* 0: from the beginning */
    int64_t until_ms; /* see above */
};

enum ca_filter_kind {
    CA_FILTER_GOOD = 1,
    CA_FILTER_REVOKED,
    CA_FILTER_BURNED, /* given out, no certificate: never good */
};

struct ca_filter;

/* key_id is copied. TM_EINVAL: the key identifier is empty or too long, or the times make no sense;
 * TM_ENOMEM. */
MUST_USE enum tm_err ca_filter_new(const struct ca_filter_terms *terms,
                                   struct ca_filter **ret_filter);
void ca_filter_free(struct ca_filter *filter); /* NULL-safe */

/* Serials rise strictly. One that the coverage leaves out, or that is not 16 octets long and so
 * never is covered, is passed over. TM_EINVAL: out of order, or the filter is built; TM_ENOMEM;
 * TM_ELIMIT: more than 2^31. */
MUST_USE enum tm_err ca_filter_add(struct ca_filter *filter, const struct ca_serial *serial,
                                   enum ca_filter_kind kind);

/* Solves, and tries every serial. stop: may be set by another thread; NULL: nobody does. TM_OK
 * once; TM_ECLOSED: stopped; TM_ENOMEM; TM_ELIMIT: the body would be too large; TM_ECRYPTO: no
 * random numbers; TM_ECORRUPT: no seed of many gave a filter that is right for all. */
MUST_USE enum tm_err ca_filter_build(struct ca_filter *filter, const atomic_bool *stop);

struct ca_filter_counts {
    uint64_t good, revoked, burned; /* covered serials */
    uint64_t body_n;                /* octets, once it is built */
};
struct ca_filter_counts ca_filter_counts(const struct ca_filter *filter);

/* What is to be signed, at most IPC_FILTER_HEADER_MAX octets, and the body that it names; borrowed.
 * Empty before it is built. */
struct bytes ca_filter_header(const struct ca_filter *filter);
struct bytes ca_filter_body(const struct ca_filter *filter);

/* The whole, in a memory file that nobody can change any more. */
struct ca_filter_file {
    int fd; /* the caller closes it */
    uint64_t size;
    uint8_t sha256[CA_HASH_SIZE];
};
/* TM_ECRYPTO: the signature is not the issuer's over this header; TM_EINVAL: not built, or of
 * another issuer; TM_EIO. */
MUST_USE enum tm_err ca_filter_seal(const struct ca_filter *filter, const struct ca_issuer *issuer,
                                    struct bytes signature, struct ca_filter_file *ret_file);

#endif
