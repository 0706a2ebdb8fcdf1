/* SPDX-License-Identifier: Apache-2.0 */
/* Extensions (RFC 5280, 4.2) and AlgorithmIdentifiers (4.1.1.2), the same in certificates, requests
 * and CRLs. All but the writing of one is for pki/ itself. */
#ifndef TOUCHMARK_PKI_EXTENSIONS_H
#define TOUCHMARK_PKI_EXTENSIONS_H

#include "pki/cert.h"
#include "pki/der.h"

/* Takes an AlgorithmIdentifier off *in, whole; its parameters are not looked at. */
MUST_USE enum tm_err pki_algorithm_parse(struct bytes *in, struct bytes *ret_whole);

/* `extensions` is exactly one Extensions SEQUENCE. TM_EPARSE: malformed, none, or one twice;
 * TM_ELIMIT: more than PKI_EXTENSIONS_MAX. On failure the array is undefined. */
MUST_USE enum tm_err pki_extensions_parse(struct bytes extensions,
                                          struct pki_extension ret[PKI_EXTENSIONS_MAX],
                                          size_t *ret_count);

/* NULL when absent. */
const struct pki_extension *pki_extension_find(const struct pki_extension *extensions, size_t count,
                                               enum pki_oid type);

/* What was written since `mark` becomes the value of an extension: SEQUENCE { type, critical, OCTET
 * STRING }. */
void pki_extension_wrap(struct der_writer *w, enum pki_oid type, bool critical, size_t mark);

#endif
