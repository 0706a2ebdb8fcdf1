/* SPDX-License-Identifier: Apache-2.0 */
/* Reading CRLs (RFC 5280, 5). */
#include "pki/crl.h"

#include <string.h>

#include "pki/extensions.h"
#include "pki/name.h"

#define VERSION_2 1 /* RFC 5280, 5.1.2.1: as it stands in DER */
#define Y2050_MS INT64_C(2524608000000)
#define SERIAL_MAX 20   /* octets: RFC 5280, 4.1.2.2 */
#define REASON_UNUSED 7 /* CRLReason: RFC 5280, 5.3.1 */
#define REASON_REMOVE 8 /* of delta CRLs only */
#define REASON_LAST 10
#define URI 0x86             /* GeneralName [6] */
#define DISTRIBUTION_POINT 0 /* [0] of IssuingDistributionPoint, the only one that is taken */

static enum tm_err parse_number(struct bytes value, uint64_t *ret_number) {
    struct der integer;
    struct bytes magnitude;
    if (der_only(value, DER_INTEGER, &integer) || der_integer(&integer, &magnitude))
        return TM_EPARSE;
    if (magnitude.n > sizeof *ret_number)
        return TM_ELIMIT;
    struct reader r = {.in = magnitude};
    *ret_number = magnitude.n ? reader_be(&r, magnitude.n) : 0;
    return TM_OK;
}

/* AuthorityKeyIdentifier with keyIdentifier alone: RFC 5280, 5.2.1. */
static enum tm_err parse_key_id(struct bytes value, struct bytes *ret_key_id) {
    struct der sequence, key_id;
    if (der_only(value, DER_SEQUENCE, &sequence) ||
        der_only(sequence.value, DER_CONTEXT(0), &key_id) || key_id.value.n == 0)
        return TM_EPARSE;
    *ret_key_id = key_id.value;
    return TM_OK;
}

/* SEQUENCE { [0] { [0] fullName { URI } } }: no flags, no reasons (RFC 5280, 5.2.5). */
static enum tm_err parse_distribution_point(const struct pki_extension *extension,
                                            struct bytes *ret_url) {
    struct der sequence, point, names, uri;
    if (!extension->critical || der_only(extension->value, DER_SEQUENCE, &sequence) ||
        der_only(sequence.value, DER_CONTEXT_CONSTRUCTED(DISTRIBUTION_POINT), &point) ||
        der_only(point.value, DER_CONTEXT_CONSTRUCTED(0), &names) ||
        der_only(names.value, URI, &uri) || uri.value.n == 0)
        return TM_EPARSE;
    *ret_url = uri.value;
    return TM_OK;
}

static enum tm_err parse_extension(const struct pki_extension *extension, struct pki_crl *crl) {
    if (extension->type == PKI_OID_ISSUING_DISTRIBUTION_POINT)
        return parse_distribution_point(extension, &crl->url);
    if (extension->critical)
        return TM_EPARSE;
    if (extension->type == PKI_OID_CRL_NUMBER)
        return parse_number(extension->value, &crl->number);
    if (extension->type == PKI_OID_AUTHORITY_KEY_ID)
        return parse_key_id(extension->value, &crl->key_id);
    return TM_EPARSE;
}

static enum tm_err parse_extensions(struct bytes *in, struct pki_crl *crl) {
    struct pki_extension extensions[PKI_EXTENSIONS_MAX];
    struct der explicit_tag;
    size_t count = 0;
    if (der_expect(in, DER_CONTEXT_CONSTRUCTED(0), &explicit_tag) || in->n != 0)
        return TM_EPARSE;
    enum tm_err err = pki_extensions_parse(explicit_tag.value, extensions, &count);
    for (size_t i = 0; i < count && !err; i++)
        err = parse_extension(&extensions[i], crl);
    if (err)
        return err;
    bool complete = pki_extension_find(extensions, count, PKI_OID_CRL_NUMBER) &&
                    pki_extension_find(extensions, count, PKI_OID_AUTHORITY_KEY_ID);
    return complete ? TM_OK : TM_EPARSE;
}

/* RFC 5280, 5.1.2.4 to 5.1.2.6: UTCTime through 2049, GeneralizedTime from 2050 on. */
static enum tm_err parse_time(struct bytes *in, int64_t *ret_ms) {
    struct der time;
    if (der_next(in, &time) || der_time(&time, ret_ms) ||
        (time.tag == DER_GENERALIZED_TIME) != (*ret_ms >= Y2050_MS))
        return TM_EPARSE;
    return TM_OK;
}

static enum tm_err parse_times(struct bytes *in, struct pki_crl *crl) {
    return parse_time(in, &crl->this_update_ms) || parse_time(in, &crl->next_update_ms) ? TM_EPARSE
                                                                                        : TM_OK;
}

static enum tm_err parse_fields(struct bytes in, struct pki_crl *crl) {
    struct der version, name, entries = {0};
    uint32_t number;
    bool there;
    if (der_expect(&in, DER_INTEGER, &version) || der_small(&version, &number) ||
        number != VERSION_2 || pki_algorithm_parse(&in, &crl->tbs_algorithm) ||
        der_expect(&in, DER_SEQUENCE, &name) || !pki_name_valid(name.whole) ||
        parse_times(&in, crl) || der_optional(&in, DER_SEQUENCE, &entries, &there))
        return TM_EPARSE;
    /* RFC 5280, 5.1.2.6: when nothing is revoked, the list is absent. */
    if (there && entries.value.n == 0)
        return TM_EPARSE;
    crl->issuer = name.whole;
    crl->entries = entries.value;
    return parse_extensions(&in, crl);
}

enum tm_err pki_crl_tbs_parse(struct bytes der, struct pki_crl *ret) {
    struct der tbs;
    struct pki_crl crl = {0};
    if (der_only(der, DER_SEQUENCE, &tbs))
        return TM_EPARSE;
    crl.tbs = tbs.whole;
    enum tm_err err = parse_fields(tbs.value, &crl);
    if (!err)
        *ret = crl;
    return err;
}

enum tm_err pki_crl_parse(struct bytes der, struct pki_crl *ret) {
    struct der outer, tbs, signature;
    struct pki_crl crl = {0};
    if (der_only(der, DER_SEQUENCE, &outer) || der_expect(&outer.value, DER_SEQUENCE, &tbs) ||
        pki_algorithm_parse(&outer.value, &crl.algorithm) ||
        der_only(outer.value, DER_BIT_STRING, &signature) || der_bits(&signature, &crl.signature))
        return TM_EPARSE;
    crl.whole = outer.whole;
    crl.tbs = tbs.whole;
    enum tm_err err = parse_fields(tbs.value, &crl);
    /* RFC 5280, 5.1.1.2: both name the same algorithm. */
    if (!err && !bytes_equal(crl.algorithm, crl.tbs_algorithm))
        err = TM_EPARSE;
    if (!err)
        *ret = crl;
    return err;
}

/* ---- entries ---- */

bool pki_crl_reason_valid(uint8_t reason) {
    enum { UNUSED = 7, REMOVE_FROM_CRL = 8, AA_COMPROMISE = 10 }; /* 8: in delta CRLs only */
    return reason <= AA_COMPROMISE && reason != UNUSED && reason != REMOVE_FROM_CRL;
}

/* Extensions with reasonCode alone (RFC 5280, 5.3.1). Not by pki_extensions_parse, because there
 * may be millions of them. */
static enum tm_err parse_reason(struct bytes in, uint8_t *ret_reason) {
    struct der extensions, extension, oid, value, reason;
    if (der_only(in, DER_SEQUENCE, &extensions) ||
        der_only(extensions.value, DER_SEQUENCE, &extension) ||
        der_expect(&extension.value, DER_OID, &oid) ||
        !bytes_equal(oid.value, pki_oid_bytes(PKI_OID_REASON_CODE)) ||
        der_only(extension.value, DER_OCTET_STRING, &value) ||
        der_only(value.value, DER_ENUMERATED, &reason) || reason.value.n != 1)
        return TM_EPARSE;
    uint8_t code = reason.value.p[0];
    /* "the reason code CRL entry extension SHOULD be absent instead of using the unspecified (0)"
     */
    if (code == 0 || code == REASON_UNUSED || code == REASON_REMOVE || code > REASON_LAST)
        return TM_EPARSE;
    *ret_reason = code;
    return TM_OK;
}

static bool is_serial(const struct der *integer) {
    struct bytes magnitude;
    return !der_integer(integer, &magnitude) && magnitude.n > 0 && integer->value.n <= SERIAL_MAX;
}

enum tm_err pki_crl_next(struct bytes *entries, struct pki_crl_entry *ret) {
    struct bytes in = *entries;
    struct der entry, serial;
    struct pki_crl_entry found = {0};
    if (der_expect(&in, DER_SEQUENCE, &entry) || der_expect(&entry.value, DER_INTEGER, &serial) ||
        !is_serial(&serial) || parse_time(&entry.value, &found.revoked_ms))
        return TM_EPARSE;
    if (entry.value.n > 0 && parse_reason(entry.value, &found.reason))
        return TM_EPARSE;
    found.serial = serial.value;
    *ret = found;
    *entries = in;
    return TM_OK;
}

bool pki_serial_less(struct bytes a, struct bytes b) {
    return a.n != b.n ? a.n < b.n : memcmp(a.p, b.p, a.n) < 0;
}

enum tm_err pki_crl_walk(const struct pki_crl *crl, uint64_t *ret_count) {
    struct bytes entries = crl->entries, last = {0};
    uint64_t count = 0;
    for (; entries.n > 0; count++) {
        struct pki_crl_entry entry;
        if (pki_crl_next(&entries, &entry) || (count > 0 && !pki_serial_less(last, entry.serial)))
            return TM_EPARSE;
        last = entry.serial;
    }
    *ret_count = count;
    return TM_OK;
}
