/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GeneralNames of subjectAltName (RFC 5280, 4.2.1.6): the kinds that are issued, what makes
 * each well-formed, search. No allocation; thread-safe.
 */
#ifndef TOUCHMARK_CA_SAN_H
#define TOUCHMARK_CA_SAN_H

#include "pki/der.h"

#define CA_SAN_OTHER DER_CONTEXT_CONSTRUCTED(0) /* only hardwareModuleName, RFC 4108, 5 */
#define CA_SAN_DNS DER_CONTEXT(2)
#define CA_SAN_URI DER_CONTEXT(6)
#define CA_SAN_IP DER_CONTEXT(7)

/* The names inside a whole GeneralNames, to walk with der_next. TM_EPARSE: not one SEQUENCE. */
MUST_USE enum tm_err ca_san_open(struct bytes general_names, struct bytes *ret_names);

/* What is wrong with a name, as a constant sentence; NULL: nothing. Kinds other than the four
 * above are wrong. */
const char *ca_san_fault(const struct der *name);

/* Is this whole GeneralName among them, octet for octet? false for malformed ones. */
bool ca_san_contains(struct bytes general_names, struct bytes name);

#endif
