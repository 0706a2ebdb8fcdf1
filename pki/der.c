/* SPDX-License-Identifier: Apache-2.0 */
/* Reading DER (X.690, 10): elements, and the content of the simple types. */
#include "pki/der.h"

#include "pki/time.h"

#define TAG_HIGH_NUMBER 0x1f /* low five bits: the number follows (X.690, 8.1.2.4) */
#define LENGTH_OCTETS_MAX 4  /* lengths below 2^32: a CRL of a million entries has 40 MB */

/* X.690, 10.1: definite form, in the fewest octets. There is at least one octet. */
static enum tm_err read_length(struct bytes in, size_t *ret_length, size_t *ret_octets) {
    if (in.p[0] < 0x80) {
        *ret_length = in.p[0];
        *ret_octets = 1;
        return TM_OK;
    }
    size_t n = in.p[0] & 0x7fu;
    if (n == 0 || n > LENGTH_OCTETS_MAX || in.n < 1 + n || in.p[1] == 0)
        return TM_EPARSE;
    size_t length = 0;
    for (size_t i = 1; i <= n; i++)
        length = length << 8 | in.p[i];
    if (length < 0x80)
        return TM_EPARSE;
    *ret_length = length;
    *ret_octets = 1 + n;
    return TM_OK;
}

enum tm_err der_next(struct bytes *in, struct der *ret) {
    size_t length, octets;
    if (in->n < 2)
        return TM_EPARSE;
    uint8_t tag = in->p[0];
    /* Tag 0 is the end-of-contents of the indefinite form, which DER does not have. */
    if (tag == 0 || (tag & TAG_HIGH_NUMBER) == TAG_HIGH_NUMBER)
        return TM_EPARSE;
    if (read_length((struct bytes){in->p + 1, in->n - 1}, &length, &octets) != TM_OK)
        return TM_EPARSE;
    size_t header = 1 + octets;
    if (length > in->n - header)
        return TM_EPARSE;
    *ret = (struct der){
        .tag = tag, .value = {in->p + header, length}, .whole = {in->p, header + length}};
    in->p += header + length;
    in->n -= header + length;
    return TM_OK;
}

enum tm_err der_expect(struct bytes *in, uint8_t tag, struct der *ret) {
    if (in->n == 0 || in->p[0] != tag)
        return TM_EPARSE;
    return der_next(in, ret);
}

enum tm_err der_optional(struct bytes *in, uint8_t tag, struct der *ret, bool *ret_there) {
    bool there = in->n > 0 && in->p[0] == tag;
    if (there && der_next(in, ret) != TM_OK)
        return TM_EPARSE;
    *ret_there = there;
    return TM_OK;
}

enum tm_err der_only(struct bytes in, uint8_t tag, struct der *ret) {
    struct der d;
    if (der_expect(&in, tag, &d) != TM_OK || in.n != 0)
        return TM_EPARSE;
    *ret = d;
    return TM_OK;
}

bool der_minimal_integer(struct bytes content) {
    if (content.n == 0)
        return false;
    if (content.n == 1)
        return true;
    /* X.690, 8.3.2: the first nine bits are not all equal. */
    bool zeros = content.p[0] == 0x00 && !(content.p[1] & 0x80);
    bool ones = content.p[0] == 0xff && (content.p[1] & 0x80);
    return !zeros && !ones;
}

enum tm_err der_integer(const struct der *d, struct bytes *ret_magnitude) {
    struct bytes v = d->value;
    if (!der_minimal_integer(v) || (v.p[0] & 0x80))
        return TM_EPARSE;
    if (v.p[0] == 0) {
        v.p++;
        v.n--;
    }
    *ret_magnitude = v;
    return TM_OK;
}

enum tm_err der_small(const struct der *d, uint32_t *ret_value) {
    struct bytes magnitude;
    if (der_integer(d, &magnitude) != TM_OK || magnitude.n > 4)
        return TM_EPARSE;
    uint32_t value = 0;
    for (size_t i = 0; i < magnitude.n; i++)
        value = value << 8 | magnitude.p[i];
    *ret_value = value;
    return TM_OK;
}

/* X.690, 11.1: TRUE is all ones. FALSE in place of an absent DEFAULT FALSE breaks 11.5, but devices
 * send it in critical and in cA, and it means nothing else. */
enum tm_err der_boolean(const struct der *d, bool *ret_value) {
    if (d->value.n != 1 || (d->value.p[0] != 0x00 && d->value.p[0] != 0xff))
        return TM_EPARSE;
    *ret_value = d->value.p[0] == 0xff;
    return TM_OK;
}

enum tm_err der_bits(const struct der *d, struct bytes *ret_octets) {
    if (d->value.n == 0 || d->value.p[0] != 0)
        return TM_EPARSE;
    *ret_octets = (struct bytes){d->value.p + 1, d->value.n - 1};
    return TM_OK;
}

enum tm_err der_time(const struct der *d, int64_t *ret_wall_ms) {
    struct pki_time t = {0};
    bool utc = d->tag == DER_UTC_TIME;
    if (!utc && d->tag != DER_GENERALIZED_TIME)
        return TM_EPARSE;
    if (pki_time_read(d->value, utc, &t) != TM_OK)
        return TM_EPARSE;
    *ret_wall_ms = pki_time_to_ms(&t);
    return TM_OK;
}
