/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made here, as OpenSSL judges them. Internal to ca/. Thread-safe. */
#ifndef TOUCHMARK_CA_X509_H
#define TOUCHMARK_CA_X509_H

#include <openssl/x509.h>

#include "base/bytes.h"

/* The certificate that is just these octets; the caller's. NULL: it is none, or no memory. */
X509 *ca_x509_read(struct bytes der);
/* Does OpenSSL accept it under this root, by all its strict rules? The same for both: a root on
 * itself. `between`: a certificate that the path leads over, or NULL. `purpose`: X509_PURPOSE_*, 0:
 * any. X509_V_OK, or the X509_V_ERR_* that says why not. */
int ca_x509_verify(X509 *certificate, X509 *between, X509 *root, int purpose);

#endif
