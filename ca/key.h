/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys that may be certified: which kind one is and whether it is as the RFCs ask, judged
 * without any cryptography. pki_spki_parse has looked at the AlgorithmIdentifier: an EC key whose
 * curve is not given by its name alone has no known curve. Pure; thread-safe.
 */
#ifndef TOUCHMARK_CA_KEY_H
#define TOUCHMARK_CA_KEY_H

#include "pki/cert.h"

#define CA_RSA_BITS_MIN 2048
#define CA_RSA_BITS_MAX 4096

/* The kind as a CA_KEY_* bit (ca/profile.h); 0: one that no profile can take. */
unsigned ca_key_kind(const struct pki_spki *spki);

/* What is wrong with a key of a known kind, as a constant sentence that names its section; NULL:
 * nothing. Whether an EC point lies on its curve is not looked at here. */
const char *ca_key_fault(const struct pki_spki *spki);

/* What OpenSSL calls this kind of ML-DSA key; NULL: it is none. */
const char *ca_key_ml_dsa_name(unsigned kind);
/* Has the OpenSSL that runs here this kind of key? ML-DSA is there from 3.5 on. */
bool ca_key_supported(unsigned kind);

/* Modulus and exponent of an RSAPublicKey (RFC 8017, A.1.1), without leading zeros. */
MUST_USE enum tm_err ca_key_rsa(const struct pki_spki *spki, struct bytes *ret_modulus,
                                struct bytes *ret_exponent);

/* The key identifier of RFC 7093, 2 (1): the first 160 bits of SHA-256 over the key's octets.
 * TM_ECRYPTO. */
#define CA_KEY_ID_SIZE 20
MUST_USE enum tm_err ca_key_id(const struct pki_spki *spki, uint8_t ret[CA_KEY_ID_SIZE]);

#endif
