/* SPDX-License-Identifier: Apache-2.0 */
/* Distinguished names as text (RFC 4514), for logs and people. */
#include <string.h>

#include "pki/chars.h"
#include "pki/name.h"

/* A piece that does not fit whole is left out, and all after it. */
struct text {
    char *p;
    size_t cap;
    size_t n;
    bool full;
};

static void put(struct text *t, const char *s, size_t n) {
    if (t->full || n >= t->cap - t->n) {
        t->full = true;
        return;
    }
    memcpy(t->p + t->n, s, n);
    t->n += n;
}

static void hex_pair(uint8_t octet, char ret[2]) {
    static const char digits[] = "0123456789ABCDEF";
    ret[0] = digits[octet >> 4];
    ret[1] = digits[octet & 15];
}

/* RFC 4514, 2.4; control characters always as hex pairs, so that the text stays one line. */
static void put_char(struct text *t, uint32_t c, bool first, bool last) {
    uint8_t utf8[4];
    size_t n = chars_utf8(c, utf8);
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) {
        char pairs[12];
        for (size_t i = 0; i < n; i++) {
            pairs[3 * i] = '\\';
            hex_pair(utf8[i], pairs + 3 * i + 1);
        }
        put(t, pairs, 3 * n);
        return;
    }
    bool special = c < 0x80 && strchr("\"+,;<>\\", (int)c);
    if (special || (first && (c == ' ' || c == '#')) || (last && c == ' ')) {
        char escaped[2] = {'\\', (char)c};
        put(t, escaped, 2);
        return;
    }
    put(t, (const char *)utf8, n);
}

static bool decodable(const struct der *value) {
    struct bytes rest = value->value;
    uint32_t c;
    enum tm_err err;
    while ((err = chars_next(value->tag, &rest, &c)) == TM_OK)
        continue;
    return err == TM_ENOTFOUND;
}

static void put_value(struct text *t, const struct der *value) {
    struct bytes rest = value->value;
    uint32_t c;
    for (bool first = true; !t->full && chars_next(value->tag, &rest, &c) == TM_OK; first = false)
        put_char(t, c, first, rest.n == 0);
}

/* RFC 4514, 2.4: what has no string representation is "#" and the hex of its DER. */
static void put_der(struct text *t, const struct der *value) {
    put(t, "#", 1);
    for (size_t i = 0; i < value->whole.n && !t->full; i++) {
        char pair[2];
        hex_pair(value->whole.p[i], pair);
        put(t, pair, 2);
    }
}

static void put_type(struct text *t, const struct der *type) {
    char dotted[256];
    enum pki_oid oid = pki_oid_find(type->value);
    const char *name = pki_oid_name(oid);
    if (oid == PKI_OID_UNKNOWN && pki_oid_format(type->value, dotted, sizeof dotted) == TM_OK)
        name = dotted;
    put(t, name, strlen(name));
    put(t, "=", 1);
}

static void put_rdn(struct text *t, struct bytes rdn) {
    for (bool first = true; rdn.n > 0 && !t->full; first = false) {
        struct der atv, type, value;
        if (der_next(&rdn, &atv) != TM_OK || der_next(&atv.value, &type) != TM_OK ||
            der_next(&atv.value, &value) != TM_OK)
            return;
        if (!first)
            put(t, "+", 1);
        put_type(t, &type);
        if (decodable(&value))
            put_value(t, &value);
        else
            put_der(t, &value);
    }
}

/* The content of RDN number `index` (the walk for each is repeated: names are short). */
static struct bytes rdn_at(struct bytes rdns, size_t index) {
    struct der rdn = {0};
    for (size_t i = 0; i <= index; i++)
        if (der_next(&rdns, &rdn) != TM_OK)
            return (struct bytes){0};
    return rdn.value;
}

static size_t rdn_count(struct bytes rdns) {
    struct der rdn;
    size_t count = 0;
    while (der_next(&rdns, &rdn) == TM_OK)
        count++;
    return count;
}

void pki_name_format(struct bytes name, char *ret, size_t cap) {
    struct text t = {.p = ret, .cap = cap};
    struct der sequence;
    if (cap == 0)
        return;
    if (!pki_name_valid(name) || der_only(name, DER_SEQUENCE, &sequence) != TM_OK) {
        put(&t, "(malformed)", strlen("(malformed)"));
    } else {
        size_t count = rdn_count(sequence.value);
        for (size_t i = count; i > 0 && !t.full; i--) {
            if (i < count)
                put(&t, ",", 1);
            put_rdn(&t, rdn_at(sequence.value, i - 1));
        }
    }
    ret[t.n] = '\0';
}
