/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRLs (RFC 5280, 5) of any size, built straight into DER in a memory file: first the TBSCertList,
 * entry by entry, then, with the issuer's signature, the whole CertificateList. Two formats of the
 * one content exist for a reason: the signer gets the first and judges it, the world the second.
 *
 * A full CRL has no issuingDistributionPoint and covers every certificate of the issuer, whatever
 * its cRLDistributionPoints says; a shard has a critical one with the URL that stands in the
 * certificates which it covers.
 */
#ifndef TOUCHMARK_CA_CRL_H
#define TOUCHMARK_CA_CRL_H

#include "ca/issuer.h"

#define CA_URL_MAX 512 /* octets of a URL that a profile or a CRL names */

/* A TBSCertList on its way. Belongs to one thread at a time. */
struct ca_crl;

/* v2, with authorityKeyIdentifier and cRLNumber. url: of the shard, NULL: the full CRL. Times are
 * cut to seconds. The issuer must outlive it. TM_EINVAL: nextUpdate is not after thisUpdate, or the
 * URL is empty or longer than CA_URL_MAX; TM_ENOMEM, TM_EIO. */
MUST_USE enum tm_err ca_crl_begin(const struct ca_issuer *issuer, uint64_t number,
                                  int64_t this_update_ms, int64_t next_update_ms, const char *url,
                                  struct ca_crl **ret_crl);
/* One entry; not_after_ms is not looked at. TM_EINVAL: its serial is not above the one before, or
 * is no positive INTEGER; TM_ELIMIT: more than IPC_TBS_FILE_MAX octets; TM_EFULL: no memory. After
 * a failure only ca_crl_free is allowed. */
MUST_USE enum tm_err ca_crl_add(struct ca_crl *crl, const struct ca_revoked *revoked);
/* The TBSCertList in a sealed memory file at its start, which is the caller's to close. Errors as
 * of ca_crl_add; afterwards only ca_crl_free is allowed. */
MUST_USE enum tm_err ca_crl_finish(struct ca_crl *crl, int *ret_fd, uint64_t *ret_size,
                                   uint64_t *ret_entries);
void ca_crl_free(struct ca_crl *crl); /* NULL-safe */

/* The CertificateList of a sealed TBSCertList and its signature, in a sealed memory file that is
 * the caller's to close, and its SHA-256. TM_ECRYPTO: the signature is not the issuer's over this
 * TBSCertList; then nothing was made. TM_EDENIED, TM_ELIMIT: see memfile_map; TM_EFULL, TM_EIO.
 * Thread-safe; takes about 50 ms for a million entries. */
MUST_USE enum tm_err ca_crl_assemble(const struct ca_issuer *issuer, int tbs_fd,
                                     struct bytes signature, int *ret_fd, uint64_t *ret_size,
                                     uint8_t ret_sha256[CA_HASH_SIZE]);

/* In which shard an issuer's certificates stand: the last two octets of the serial, big endian,
 * modulo crl_shards. 0 without shards. */
unsigned ca_crl_shard(const struct ca_issuer *issuer, struct bytes serial);

#endif
