/* SPDX-License-Identifier: Apache-2.0 */
/* Walking, comparing and writing distinguished names. */
#include "pki/name.h"

#include <string.h>

#include "pki/chars.h"

/* AttributeTypeAndValue ::= SEQUENCE { type OBJECT IDENTIFIER, value ANY } */
static enum tm_err attribute_parse(struct bytes *in, struct pki_attribute *ret) {
    struct der atv, type, value;
    if (der_expect(in, DER_SEQUENCE, &atv) != TM_OK ||
        der_expect(&atv.value, DER_OID, &type) != TM_OK || !pki_oid_valid(type.value) ||
        der_next(&atv.value, &value) != TM_OK || atv.value.n != 0)
        return TM_EPARSE;
    *ret = (struct pki_attribute){.type = pki_oid_find(type.value),
                                  .oid = type.value,
                                  .tag = value.tag,
                                  .value = value.value};
    return TM_OK;
}

bool pki_name_valid(struct bytes name) {
    struct der sequence, rdn;
    if (der_only(name, DER_SEQUENCE, &sequence) != TM_OK)
        return false;
    struct bytes rdns = sequence.value;
    while (rdns.n > 0) {
        struct pki_attribute attribute;
        if (der_expect(&rdns, DER_SET, &rdn) != TM_OK || rdn.value.n == 0)
            return false;
        while (rdn.value.n > 0)
            if (attribute_parse(&rdn.value, &attribute) != TM_OK)
                return false;
    }
    return true;
}

bool pki_name_empty(struct bytes name) {
    return name.n == 2 && name.p[0] == DER_SEQUENCE && name.p[1] == 0;
}

/* The length of tag and length octets of the element at the start of `in`, which is valid. */
static size_t header_size(struct bytes in) {
    return in.p[1] < 0x80 ? 2 : 2 + (in.p[1] & 0x7fu);
}

enum tm_err pki_name_next(struct bytes name, size_t *state, struct pki_attribute *ret) {
    if (*state == 0) { /* later calls rely on this one look at the whole */
        if (!pki_name_valid(name))
            return TM_EPARSE;
        *state = header_size(name);
    }
    if (*state >= name.n)
        return TM_ENOTFOUND;
    struct bytes rest = {name.p + *state, name.n - *state};
    if (rest.n >= 2 && rest.p[0] == DER_SET) {
        size_t header = header_size(rest);
        if (header > rest.n)
            return TM_EPARSE;
        rest.p += header;
        rest.n -= header;
    }
    if (attribute_parse(&rest, ret) != TM_OK)
        return TM_EPARSE;
    *state = name.n - rest.n;
    return TM_OK;
}

/* The characters of a value as they are compared: lower case for ASCII, no space at the ends, one
 * space for several. TM_ENOTFOUND at the end. */
struct folded {
    uint8_t tag;
    struct bytes in;
    bool begun;
    bool held; /* a character read behind a run of spaces */
    uint32_t ahead;
};

static bool is_space(uint32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum tm_err folded_next(struct folded *f, uint32_t *ret_char) {
    if (f->held) {
        f->held = false;
        *ret_char = f->ahead;
        return TM_OK;
    }
    bool spaces = false;
    uint32_t c;
    enum tm_err err;
    while ((err = chars_next(f->tag, &f->in, &c)) == TM_OK && is_space(c))
        spaces = true;
    if (err != TM_OK)
        return err;
    if (c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    if (spaces && f->begun) {
        f->held = true;
        f->ahead = c;
        c = ' ';
    }
    f->begun = true;
    *ret_char = c;
    return TM_OK;
}

static bool strings_equal(const struct pki_attribute *a, const struct pki_attribute *b) {
    struct folded fa = {.tag = a->tag, .in = a->value}, fb = {.tag = b->tag, .in = b->value};
    for (;;) {
        uint32_t ca, cb;
        enum tm_err ea = folded_next(&fa, &ca), eb = folded_next(&fb, &cb);
        if (ea != eb || (ea != TM_OK && ea != TM_ENOTFOUND))
            return false;
        if (ea == TM_ENOTFOUND)
            return true;
        if (ca != cb)
            return false;
    }
}

static bool attributes_equal(const struct pki_attribute *a, const struct pki_attribute *b) {
    if (!bytes_equal(a->oid, b->oid))
        return false;
    if (chars_is_string(a->tag) && chars_is_string(b->tag))
        return strings_equal(a, b);
    return a->tag == b->tag && bytes_equal(a->value, b->value);
}

static bool rdns_equal(struct bytes a, struct bytes b) {
    while (a.n > 0 && b.n > 0) {
        struct pki_attribute at, bt;
        if (attribute_parse(&a, &at) != TM_OK || attribute_parse(&b, &bt) != TM_OK ||
            !attributes_equal(&at, &bt))
            return false;
    }
    return a.n == b.n;
}

bool pki_name_equal(struct bytes a, struct bytes b) {
    struct der sa, sb, ra, rb;
    if (!pki_name_valid(a) || !pki_name_valid(b) || der_only(a, DER_SEQUENCE, &sa) != TM_OK ||
        der_only(b, DER_SEQUENCE, &sb) != TM_OK)
        return false;
    while (sa.value.n > 0 && sb.value.n > 0)
        if (der_next(&sa.value, &ra) != TM_OK || der_next(&sb.value, &rb) != TM_OK ||
            !rdns_equal(ra.value, rb.value))
            return false;
    return sa.value.n == sb.value.n;
}

/* RFC 5280, appendix A: the types that are not DirectoryString. */
static uint8_t string_type(enum pki_oid type) {
    switch (type) {
    case PKI_OID_COUNTRY:
    case PKI_OID_SERIAL_NUMBER:
    case PKI_OID_DN_QUALIFIER:
        return DER_PRINTABLE_STRING;
    case PKI_OID_DOMAIN_COMPONENT:
    case PKI_OID_EMAIL_ADDRESS:
        return DER_IA5_STRING;
    default:
        return DER_UTF8_STRING;
    }
}

bool pki_rdn_fits(const struct pki_rdn *rdn) {
    struct bytes rest = bytes_str(rdn->value);
    uint32_t c;
    enum tm_err err;
    while ((err = chars_next(string_type(rdn->type), &rest, &c)) == TM_OK)
        continue;
    return err == TM_ENOTFOUND && rdn->value[0] != '\0';
}

static void rdn_write(struct der_writer *w, const struct pki_rdn *rdn) {
    if (!pki_rdn_fits(rdn)) {
        w->full = true;
        return;
    }
    size_t end = der_mark(w);
    der_put(w, string_type(rdn->type), bytes_str(rdn->value));
    der_put(w, DER_OID, pki_oid_bytes(rdn->type));
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_SET, end);
}

void pki_name_write(struct der_writer *w, const struct pki_rdn *rdns, size_t count) {
    size_t end = der_mark(w);
    for (size_t i = count; i > 0; i--)
        rdn_write(w, &rdns[i - 1]);
    der_wrap(w, DER_SEQUENCE, end);
}
