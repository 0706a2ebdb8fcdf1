/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subject attributes that certificates may hold, with string type and upper bound of
 * RFC 5280, 4.1.2.4 and appendix A. One table; thread-safe.
 */
#ifndef TOUCHMARK_CA_ATTRIBUTE_H
#define TOUCHMARK_CA_ATTRIBUTE_H

#include "pki/name.h"

struct ca_attribute {
    const char *name; /* as profiles write it */
    enum pki_oid type;
    uint8_t tag;       /* string type */
    uint8_t other_tag; /* a second one that is as good, or 0 */
    size_t least;      /* characters */
    size_t most;
};

/* NULL when there is none. */
const struct ca_attribute *ca_attribute_named(const char *name);
const struct ca_attribute *ca_attribute_of(enum pki_oid type);

/* What is wrong with a value of this attribute, as a constant sentence; NULL: nothing. Control
 * characters are wrong everywhere. */
const char *ca_attribute_fault(const struct ca_attribute *attribute, uint8_t tag,
                               struct bytes value);

#endif
