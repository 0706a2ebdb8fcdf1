/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CsrAttrs (RFC 7030, 4.5.2; RFC 9908): what the server wants in a request, in the
 * old form (OIDs and Attributes) and as an RFC 9908 template. One response holds
 * both, so that old parsers and new ones find theirs. No allocation, thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_CSRATTRS_H
#define TOUCHMARK_EST_WIRE_CSRATTRS_H

#include "pki/oid.h"

#define EST_CSRATTRS_OIDS_MAX 16
#define EST_CSRATTRS_MAX 2048 /* octets are always enough for what est_csrattrs_write writes */

/* What a profile asks for. Empty means: nothing is asked, answer 204. */
struct est_csrattrs {
    enum pki_oid key_algorithm; /* as in struct pki_spki; UNKNOWN = any */
    enum pki_oid curve;         /* EC: the curve; else UNKNOWN */
    unsigned rsa_bits;          /* RSA: the size; else 0 */
    enum pki_oid signature;     /* ECDSA_SHA256, ...; UNKNOWN = any */
    bool challenge_password;    /* PoP linking wanted (RFC 7030, 3.5) */
    bool template_form;         /* also the RFC 9908 template */
    size_t subject_count;       /* RDN types of the template subject, in order, values open */
    enum pki_oid subject[EST_CSRATTRS_OIDS_MAX];
    size_t eku_count; /* extKeyUsage among the extensions */
    enum pki_oid eku[EST_CSRATTRS_OIDS_MAX];
    uint16_t key_usage; /* PKI_KU_* bits, 0 = not asked */
};
/* Appends the CsrAttrs to out, or nothing when nothing is asked. Extensions are asked for by one
 * id-ExtensionReq (RFC 9908, 3.2): in the template when there is one, else in the old form.
 * TM_ELIMIT: out has no room; TM_EINVAL: a curve without EC_PUBLIC_KEY, rsa_bits without
 * RSA_ENCRYPTION or not 1024 to 8192, a count over its bound. */
MUST_USE enum tm_err est_csrattrs_write(const struct est_csrattrs *attrs, struct buf *out);

/* Reading, for clients: iterates AttrOrOID elements. Start with *rest = the CsrAttrs
 * message's content (est_csrattrs_open). TM_ENOTFOUND at the end, TM_EPARSE. */
struct est_attr_or_oid {
    enum pki_oid type;
    struct bytes oid;
    bool has_values;
    struct bytes values; /* content of the SET; empty for an OID, and may be for an Attribute */
};
MUST_USE enum tm_err est_csrattrs_open(struct bytes der, struct bytes *ret_rest);
MUST_USE enum tm_err est_csrattrs_next(struct bytes *rest, struct est_attr_or_oid *ret);

#endif
