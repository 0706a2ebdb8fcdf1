/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DER (X.690) reader and writer: bounded, no allocation, no recursion beyond the
 * caller's own. Shared by server and devices. Strict: definite minimal lengths
 * below 2^32, low tag numbers only; anything else is TM_EPARSE. Values are borrowed
 * from the input. Thread-safe (no state).
 */
#ifndef TOUCHMARK_PKI_DER_H
#define TOUCHMARK_PKI_DER_H

#include "base/bytes.h"

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0a,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_T61_STRING = 0x14,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_UNIVERSAL_STRING = 0x1c,
    DER_BMP_STRING = 0x1e,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
};
#define DER_CONTEXT(n) ((uint8_t)(0x80 + (n)))             /* [n] IMPLICIT primitive */
#define DER_CONTEXT_CONSTRUCTED(n) ((uint8_t)(0xa0 + (n))) /* [n] constructed */

/* One element: its tag, its content, and all of it with tag and length. */
struct der {
    uint8_t tag;
    struct bytes value;
    struct bytes whole;
};

/* Takes the next element off *in. TM_EPARSE when there is none that is valid. */
MUST_USE enum tm_err der_next(struct bytes *in, struct der *ret);
/* The same, and the tag must be `tag`. */
MUST_USE enum tm_err der_expect(struct bytes *in, uint8_t tag, struct der *ret);
/* The same if the next tag is `tag`; *ret_there says whether it was. */
MUST_USE enum tm_err der_optional(struct bytes *in, uint8_t tag, struct der *ret, bool *ret_there);
/* `in` must be exactly one element with this tag: nothing may follow it. */
MUST_USE enum tm_err der_only(struct bytes in, uint8_t tag, struct der *ret);

/* Content checks; they do not look at the tag (it may be IMPLICIT), except der_time. der_integer:
 * a non-negative integer's magnitude without leading zero octet, so empty for 0 (TM_EPARSE when
 * negative or not minimal). der_small: the same below 2^32. der_boolean: 0xff or 0x00. der_bits: a
 * BIT STRING whose unused-bits octet is 0, its octets. der_time: UTCTime or GeneralizedTime in the
 * forms of RFC 5280, 4.1.2.5, as milliseconds since 1970 (99991231235959Z included). */
MUST_USE enum tm_err der_integer(const struct der *d, struct bytes *ret_magnitude);
MUST_USE enum tm_err der_small(const struct der *d, uint32_t *ret_value);
MUST_USE enum tm_err der_boolean(const struct der *d, bool *ret_value);
MUST_USE enum tm_err der_bits(const struct der *d, struct bytes *ret_octets);
MUST_USE enum tm_err der_time(const struct der *d, int64_t *ret_wall_ms);
/* Are these the content octets of an INTEGER, of any sign, in the fewest octets? */
bool der_minimal_integer(struct bytes content);

/*
 * Writer, back to front: lengths are known when a header is written, so nothing
 * is moved or measured twice. `at` falls from `cap` to the start of the output.
 * A write that does not fit sets `full` and makes later writes no-ops.
 *
 *     size_t end = der_mark(&w);
 *     der_put(&w, ...last element...); der_put(&w, ...first element...);
 *     der_wrap(&w, DER_SEQUENCE, end);
 */
struct der_writer {
    uint8_t *p;
    size_t cap;
    size_t at;
    bool full;
};

struct der_writer der_writer_on(uint8_t *p, size_t cap);
/* For output that ends in a buf: a writer on its free memory; der_append then moves what was
 * written to out->n. TM_ELIMIT when it did not fit (out is as before); TM_EINVAL when something
 * else wrote to the buf in between. */
struct der_writer der_writer_after(const struct buf *out);
MUST_USE enum tm_err der_append(const struct der_writer *w, struct buf *out);
struct bytes der_written(const struct der_writer *w); /* empty when full */
size_t der_mark(const struct der_writer *w);
void der_wrap(struct der_writer *w, uint8_t tag, size_t mark); /* header round all since mark */
void der_header(struct der_writer *w, uint8_t tag,
                size_t length); /* of content that lies elsewhere or was not wrapped */
void der_raw(struct der_writer *w, struct bytes raw); /* finished DER */
void der_put(struct der_writer *w, uint8_t tag, struct bytes value);
void der_put_small(struct der_writer *w, uint32_t value);
void der_put_unsigned(struct der_writer *w,
                      struct bytes magnitude); /* makes it minimal, adds the zero octet if needed */
void der_put_boolean(struct der_writer *w, bool value);
void der_put_bits(struct der_writer *w, struct bytes octets); /* no unused bits */
void der_put_named_bits(struct der_writer *w,
                        uint16_t bits); /* bit 0 = most significant, DER-trimmed */
/* UTCTime from 1950 through 2049, GeneralizedTime else (RFC 5280, 4.1.2.5), whole seconds. Years
 * that neither can say (before 0, after 9999) set `full`. */
void der_put_time(struct der_writer *w, int64_t wall_ms);

#endif
