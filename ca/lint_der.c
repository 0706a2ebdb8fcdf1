/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is every element in canonical form (X.690, 10 and 11)? The parser takes what devices send and
 * means one thing only; what is signed here has to be the one encoding. Elements are walked down to
 * a fixed depth, extension values among them.
 */
#include "ca/lint_rules.h"

#define DEPTH_MAX 12
#define CONSTRUCTED 0x20

static const char *walk(struct bytes content, unsigned depth);

/* X.690, 11.6: in a SET OF the encodings ascend, compared as if padded with zeros. */
static bool set_ascends(struct bytes content) {
    struct bytes last = {0};
    struct der each;
    while (content.n && !der_next(&content, &each)) {
        size_t n = last.n < each.whole.n ? last.n : each.whole.n;
        size_t i = 0;
        while (i < n && last.p[i] == each.whole.p[i])
            i++;
        if (i < n ? last.p[i] > each.whole.p[i] : last.n > each.whole.n)
            return false;
        last = each.whole;
    }
    return true;
}

/* X.690, 11.2: unused bits are zero. */
static bool bit_string_good(struct bytes v) {
    if (v.n == 0 || v.p[0] > 7 || (v.n == 1 && v.p[0] != 0))
        return false;
    return v.n == 1 || (v.p[v.n - 1] & ((1u << v.p[0]) - 1)) == 0;
}

static const char *element_fault(const struct der *d, unsigned depth) {
    switch (d->tag) {
    case DER_BOOLEAN: /* every BOOLEAN of a certificate is DEFAULT FALSE (X.690, 11.5) */
        return d->value.n == 1 && d->value.p[0] == 0xff
                   ? NULL
                   : "a BOOLEAN is not TRUE as FF, or is a default that is left out";
    case DER_INTEGER:
        return der_minimal_integer(d->value) ? NULL : "an INTEGER is not minimal";
    case DER_BIT_STRING:
        return bit_string_good(d->value) ? NULL : "a BIT STRING has unused bits that are set";
    case DER_NULL:
        return d->value.n == 0 ? NULL : "a NULL has content";
    case DER_OID:
        return pki_oid_valid(d->value) ? NULL : "an OBJECT IDENTIFIER is not minimal";
    case DER_SET:
        if (!set_ascends(d->value))
            return "a SET OF is not in ascending order";
        break;
    default:
        break;
    }
    return d->tag & CONSTRUCTED ? walk(d->value, depth + 1) : NULL;
}

static const char *walk(struct bytes content, unsigned depth) {
    struct der each;
    if (depth > DEPTH_MAX)
        return "elements are nested too deep";
    while (content.n) {
        if (der_next(&content, &each))
            return "an element's tag or length is not in its shortest form";
        const char *fault = element_fault(&each, depth);
        if (fault)
            return fault;
    }
    return NULL;
}

static const char *check_canonical(const struct lint_case *c) {
    const char *fault = walk(c->cert.tbs, 0);
    for (size_t i = 0; i < c->cert.extension_count && !fault; i++)
        fault = walk(c->cert.extensions[i].value, 0);
    return fault;
}

/* The only named bit list of a leaf: trailing zero bits are left out. */
static const char *check_named_bits(const struct lint_case *c) {
    const struct pki_extension *e = pki_cert_extension(&c->cert, PKI_OID_KEY_USAGE);
    uint8_t octets[8];
    struct der_writer w = der_writer_on(octets, sizeof octets);
    uint16_t usage;
    if (!e || pki_cert_key_usage(&c->cert, &usage))
        return NULL; /* another rule's fault */
    der_put_named_bits(&w, usage);
    return bytes_equal(e->value, der_written(&w)) ? NULL
                                                  : "keyUsage ends in zero bits that are left out";
}

const struct lint_rule lint_der_rules[] = {
    {"X.690 10, 11", check_canonical},
    {"X.690 11.2.2", check_named_bits},
    {0},
};
