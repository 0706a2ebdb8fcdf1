/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distinguished names (RFC 5280, 4.1.2.4) as DER: walk, compare, print, write.
 * No allocation; thread-safe.
 */
#ifndef TOUCHMARK_PKI_NAME_H
#define TOUCHMARK_PKI_NAME_H

#include "pki/der.h"
#include "pki/oid.h"

/* Is this exactly one well-formed Name? An empty one is. String contents are not looked at. */
bool pki_name_valid(struct bytes name);
/* Is it the Name without RDNs? */
bool pki_name_empty(struct bytes name);

/* Canonical equality by the rules of RFC 5280, 7.1 as everybody implements them:
 * attribute for attribute in order, strings of the same characters are equal in
 * whatever string type (PrintableString, UTF8String, ...), case folded for ASCII,
 * leading, trailing and repeated spaces ignored. Malformed names, and strings that
 * break their type, are equal to nothing. */
bool pki_name_equal(struct bytes a, struct bytes b);

/* Iterates over the attributes of a Name (DER SEQUENCE, whole). Start with *state = 0.
 * *ret_value is the string's octets as they stand. TM_ENOTFOUND at the end, TM_EPARSE. */
struct pki_attribute {
    enum pki_oid type; /* PKI_OID_UNKNOWN for one not in the table */
    struct bytes oid;
    uint8_t tag; /* of the value */
    struct bytes value;
};
MUST_USE enum tm_err pki_name_next(struct bytes name, size_t *state, struct pki_attribute *ret);

/* RFC 4514 text, last RDN first, escaped, without control characters; NUL-terminated, cut at cap
 * between characters. "(malformed)" for what is no Name. For people only. */
void pki_name_format(struct bytes name, char *ret, size_t cap);

/* Writes a Name of single-valued RDNs, in the given order. PrintableString for
 * country, serialNumber and dnQualifier, IA5String for DC and emailAddress,
 * UTF8String for the rest. Values are NUL-terminated UTF-8. A value for which
 * pki_rdn_fits is false sets w->full. */
struct pki_rdn {
    enum pki_oid type;
    const char *value;
};
/* Is the value not empty, and are all its characters in the string type of its attribute? */
bool pki_rdn_fits(const struct pki_rdn *rdn);
void pki_name_write(struct der_writer *w, const struct pki_rdn *rdns, size_t count);

#endif
