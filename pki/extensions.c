/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing Extensions and AlgorithmIdentifiers. */
#include "pki/extensions.h"

enum tm_err pki_algorithm_parse(struct bytes *in, struct bytes *ret_whole) {
    struct der algorithm, oid;
    if (der_expect(in, DER_SEQUENCE, &algorithm) != TM_OK ||
        der_expect(&algorithm.value, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value))
        return TM_EPARSE;
    *ret_whole = algorithm.whole;
    return TM_OK;
}

static enum tm_err parse_one(struct bytes *in, struct pki_extension *ret) {
    struct der extension, oid, flag, value;
    bool there, critical = false;
    if (der_expect(in, DER_SEQUENCE, &extension) != TM_OK ||
        der_expect(&extension.value, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_optional(&extension.value, DER_BOOLEAN, &flag, &there) != TM_OK ||
        (there && der_boolean(&flag, &critical) != TM_OK) ||
        der_expect(&extension.value, DER_OCTET_STRING, &value) != TM_OK || extension.value.n != 0)
        return TM_EPARSE;
    *ret = (struct pki_extension){.type = pki_oid_find(oid.value),
                                  .oid = oid.value,
                                  .critical = critical,
                                  .value = value.value};
    return TM_OK;
}

/* RFC 5280, 4.2: "A certificate MUST NOT include more than one instance of a particular
 * extension." */
static bool occurs_before(const struct pki_extension *extensions, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(extensions[i].oid, extensions[count].oid))
            return true;
    return false;
}

enum tm_err pki_extensions_parse(struct bytes extensions,
                                 struct pki_extension ret[PKI_EXTENSIONS_MAX], size_t *ret_count) {
    struct der sequence;
    size_t count = 0;
    if (der_only(extensions, DER_SEQUENCE, &sequence) != TM_OK || sequence.value.n == 0)
        return TM_EPARSE;
    for (; sequence.value.n > 0; count++) {
        if (count == PKI_EXTENSIONS_MAX)
            return TM_ELIMIT;
        if (parse_one(&sequence.value, &ret[count]) != TM_OK || occurs_before(ret, count))
            return TM_EPARSE;
    }
    *ret_count = count;
    return TM_OK;
}

const struct pki_extension *pki_extension_find(const struct pki_extension *extensions, size_t count,
                                               enum pki_oid type) {
    for (size_t i = 0; i < count; i++)
        if (extensions[i].type == type)
            return &extensions[i];
    return NULL;
}

void pki_extension_wrap(struct der_writer *w, enum pki_oid type, bool critical, size_t mark) {
    der_wrap(w, DER_OCTET_STRING, mark);
    if (critical)
        der_put_boolean(w, true);
    der_put(w, DER_OID, pki_oid_bytes(type));
    der_wrap(w, DER_SEQUENCE, mark);
}
