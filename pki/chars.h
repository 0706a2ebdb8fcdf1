/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The characters of the ASN.1 string types, one code point after the other. No
 * state but the caller's, thread-safe.
 */
#ifndef TOUCHMARK_PKI_CHARS_H
#define TOUCHMARK_PKI_CHARS_H

#include "base/bytes.h"

/* Is this tag a string type whose characters chars_next can read? */
bool chars_is_string(uint8_t tag);

/* Takes the next character of a string of type `tag` off *in. TM_ENOTFOUND at the end; TM_EPARSE:
 * octets that are no character of that type. T61String is read as ISO 8859-1, as everybody does. */
MUST_USE enum tm_err chars_next(uint8_t tag, struct bytes *in, uint32_t *ret_char);

/* UTF-8 of a code point: 1 to 4 octets, whose number is returned. */
size_t chars_utf8(uint32_t c, uint8_t ret[4]);

/* PrintableString (X.680, 41.4). */
bool chars_printable(uint32_t c);

#endif
