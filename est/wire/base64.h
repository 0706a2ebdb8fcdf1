/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64 (RFC 4648, section 4) as EST bodies carry it (RFC 8951, 3 and 3.1): decoding
 * skips CR, LF, space and tab and, when asked, one PEM armour; encoding makes the
 * layouts that clients need. Own code because devices without OpenSSL share it and
 * because no common library is both strict about the alphabet and tolerant of
 * white space. No allocation, thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_BASE64_H
#define TOUCHMARK_EST_WIRE_BASE64_H

#include "base/bytes.h"

/* TM_EPARSE: a character outside the alphabet, data after padding, wrong padding,
 * non-zero trailing bits; TM_ELIMIT: out is too small (then out is as before). */
MUST_USE enum tm_err est_base64_decode(struct bytes text, struct buf *out);
/* The same, and "-----BEGIN x-----" ... "-----END x-----" lines around are accepted. */
MUST_USE enum tm_err est_base64_decode_lenient(struct bytes text, struct buf *out);

/* One line without LF (wrap 0), or lines of `wrap` characters, each ended by LF. */
MUST_USE enum tm_err est_base64_encode(struct bytes data, size_t wrap, struct buf *out);
/* Octets that est_base64_encode writes for n octets of data. */
size_t est_base64_size(size_t n, size_t wrap);

#endif
