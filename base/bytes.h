/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte strings: `struct bytes` borrows memory, `struct buf` is a bounded writer
 * into the caller's memory. Neither allocates; both are plain values, safe to
 * use from one thread each. No function here reads or writes out of bounds.
 */
#ifndef TOUCHMARK_BASE_BYTES_H
#define TOUCHMARK_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A borrowed, read-only run of bytes; {NULL, 0} is the empty one. */
struct bytes {
    const uint8_t *p;
    size_t n;
};

/* The bytes of a NUL-terminated string, without the NUL. */
struct bytes bytes_str(const char *s);

/* The bytes of an array or object known to the compiler. */
#define BYTES_OF(array) ((struct bytes){(const uint8_t *)(array), sizeof(array)})

bool bytes_equal(struct bytes a, struct bytes b);

/* Equality in time that depends on the lengths only: for secrets and MACs. */
bool bytes_equal_secret(struct bytes a, struct bytes b);

/* Overwrites n bytes at p so that the compiler cannot leave it out. */
void bytes_wipe(void *p, size_t n);

/*
 * A bounded writer. `p` is the caller's memory of `cap` bytes, `n` are written.
 * A write that does not fit sets `full`, writes nothing and makes every later
 * write a no-op: write all, then check `full` once.
 */
struct buf {
    uint8_t *p;
    size_t cap;
    size_t n;
    bool full;
};

#define BUF_ON(array) ((struct buf){(array), sizeof(array), 0, false})

void buf_put(struct buf *b, struct bytes data);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_be(struct buf *b, uint64_t v, size_t width); /* width 1..8 octets, big endian */
struct bytes buf_bytes(const struct buf *b);

/*
 * A bounded reader over `in`. A read past the end sets `bad`, yields zeros or an
 * empty run, and makes every later read fail: read all, then check `bad` once.
 */
struct reader {
    struct bytes in;
    size_t at;
    bool bad;
};

uint64_t reader_be(struct reader *r, size_t width); /* width 1..8 octets, big endian */
struct bytes reader_take(struct reader *r, size_t n);
size_t reader_left(const struct reader *r);

/* Copies a NUL-terminated string into ret of cap octets, cut where it does not fit; ret is always
 * terminated. TEXT_SET does it for an array, whose size the compiler knows. */
void text_copy(char *ret, size_t cap, const char *text);
#define TEXT_SET(array, text) text_copy((array), sizeof(array), (text))

/* Lower-case hex of `in` into ret (2 * in.n + 1 octets needed, NUL-terminated).
 * TM_ELIMIT when cap is too small. */
MUST_USE enum tm_err hex_encode(struct bytes in, char *ret, size_t cap);
/* Hex (either case, even length) into ret; *ret_n gets the octets written.
 * TM_EPARSE on anything else, TM_ELIMIT when cap is too small. */
MUST_USE enum tm_err hex_decode(const char *hex, uint8_t *ret, size_t cap, size_t *ret_n);

#ifdef __cplusplus
}
#endif
#endif
