/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the tlscert role (server/role_tlscert.c): is the server's certificate as it should
 * be, a key and a request for another, and how both get to their files.
 */
#ifndef TOUCHMARK_SERVER_TLSCERT_TLSCERT_H
#define TOUCHMARK_SERVER_TLSCERT_TLSCERT_H

#include <openssl/evp.h>

#include "ca/service.h"
#include "conf/conf.h"

enum tlscert_state {
    TLSCERT_CURRENT,  /* nothing to do */
    TLSCERT_DUE,      /* serves still; in the last third of its life */
    TLSCERT_UNUSABLE, /* missing, expired, of another CA, for other names or another key */
};

/* Looks at certificate and key files. spki: of the key that is on a token (conf_tls.key_label);
 * empty: it is not known yet, any is right. `reason`: why it is not current, a constant. */
enum tlscert_state tlscert_check(const struct conf_tls *tls, const struct ca_issuer *issuer,
                                 struct bytes spki, int64_t now_ms, const char **ret_reason);

/* A P-256 key; the caller frees it. TM_ECRYPTO. */
MUST_USE enum tm_err tlscert_make_key(EVP_PKEY **ret_key);
/* A PKCS#10 request in DER with the names as subjectAltName and, where it fits, the first as
 * CN (64 characters, RFC 5280, A.1). TM_ECRYPTO, TM_ELIMIT. */
MUST_USE enum tm_err tlscert_make_csr(EVP_PKEY *key, const struct conf_strings *names,
                                      struct buf *out);

/* The same with a key on a token, in two steps: what it has to sign (CertificationRequestInfo, RFC
 * 2986, 4.1), and the request from that and the signature. TM_ECRYPTO, TM_ELIMIT. */
MUST_USE enum tm_err tlscert_make_info(EVP_PKEY *public, const struct conf_strings *names,
                                       struct buf *out);
MUST_USE enum tm_err tlscert_join_csr(EVP_PKEY *public, struct bytes info, struct bytes signature,
                                      struct buf *out);

/* Files under way: written beside their places and renamed when all is there, so that a
 * reader finds the old ones or the new ones. When key and certificate are two files the key goes
 * first; a crash between leaves a pair that tlscert_check calls unusable. With tls.key_label there
 * is no key file. */
struct tlscert_output;

/* Makes the folders that are missing, for `user` when this process is root (and not for
 * itself). Logs. TM_EIO, TM_ENOTFOUND. */
MUST_USE enum tm_err tlscert_output_prepare(const struct conf_tls *tls, const char *user);
/* Opens the temporary files, as the user who may rename them later. Logs. TM_EIO, TM_ENOMEM. */
MUST_USE enum tm_err tlscert_output_open(const struct conf_tls *tls,
                                         struct tlscert_output **ret_output);
/* Unfinished files are removed. NULL-safe. */
void tlscert_output_close(struct tlscert_output *output);
/* The key, mode 0600. TM_EIO, TM_ECRYPTO, logged. */
MUST_USE enum tm_err tlscert_output_key(struct tlscert_output *output, EVP_PKEY *key);
/* The certificate and the issuers that a client needs: all but the root (RFC 8446, 4.4.2), and what
 * leads who knows only another root to it; then puts everything in place. TM_EIO, logged. */
MUST_USE enum tm_err tlscert_output_finish(struct tlscert_output *output, struct bytes certificate,
                                           const struct ca_tenant *tenant);

#endif
