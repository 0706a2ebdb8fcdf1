/* SPDX-License-Identifier: Apache-2.0 */
/* Reading revocation filters: see client/filter.h. */
#include "client/filter.h"

#include "client/verify_facts.h"
#include "pki/filter.h"

#define ALGORITHM_MAX 32 /* octets of an AlgorithmIdentifier made here */

/* ---- the issuer ---- */

/* The AlgorithmIdentifier: parameters NULL for RSA (RFC 4055, 5), absent else (RFC 5758, 3.2;
 * RFC 8410, 3). */
static struct bytes put_algorithm(enum pki_oid algorithm, struct der_writer *w) {
    size_t end = der_mark(w);
    if (algorithm == PKI_OID_RSA_SHA256)
        der_put(w, DER_NULL, (struct bytes){0});
    der_put(w, DER_OID, pki_oid_bytes(algorithm));
    der_wrap(w, DER_SEQUENCE, end);
    return der_written(w);
}

static enum tm_err check_signature(const struct tm_crypto *crypto, struct bytes spki,
                                   const struct pki_filter_file *file) {
    uint8_t memory[ALGORITHM_MAX];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    struct pki_spki key;
    if (pki_spki_parse(spki, &key))
        return TM_EPARSE;
    enum pki_oid algorithm = pki_spki_signature(&key);
    if (algorithm == PKI_OID_UNKNOWN)
        return TM_ECRYPTO;
    return crypto->verify(crypto->self, spki, put_algorithm(algorithm, &w), file->header,
                          file->signature);
}

/* ---- opening ---- */

static enum tm_err check_body(const struct tm_crypto *crypto,
                              const struct pki_filter_header *header, struct bytes body) {
    uint8_t hash[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, &body, 1, hash);
    if (err)
        return err;
    if (!bytes_equal(BYTES_OF(hash), BYTES_OF(header->body_sha256)))
        return TM_ECRYPTO;
    return pki_filter_body_check(header, body);
}

static enum tm_err check(const struct tm_crypto *crypto, const struct pki_filter_file *file,
                         const struct tm_facts *issuer, struct pki_filter_header *ret_header) {
    enum tm_err err = pki_filter_header_read(file->header, ret_header);
    if (err)
        return err;
    if (tm_facts_not_ca(issuer) || !bytes_equal(issuer->key_id, ret_header->key_id))
        return TM_EDENIED;
    err = check_signature(crypto, issuer->spki, file);
    return err ? err : check_body(crypto, ret_header, file->body);
}

enum tm_err tm_filter_open(struct tm_filter *ret, const struct tm_crypto *crypto, struct bytes file,
                           struct bytes issuer) {
    struct pki_filter_file parts;
    struct pki_filter_header header;
    struct tm_facts facts;
    if (crypto->version != TM_TABLE_VERSION)
        return TM_EINVAL;
    if (pki_filter_file_read(file, &parts) || tm_facts_read(issuer, &facts))
        return TM_EPARSE;
    enum tm_err err = check(crypto, &parts, &facts, &header);
    if (err)
        return err;
    *ret = (struct tm_filter){
        .number = header.number,
        .made_ms = header.made_ms,
        .next_ms = header.next_ms,
        .from_ms = (int64_t)header.from_ms,
        .until_ms = (int64_t)header.until_ms,
        .header = parts.header,
        .body = parts.body,
        .issuer_spki = facts.spki,
    };
    return TM_OK;
}

/* ---- asking ---- */

/* Why the filter says nothing about it, whatever it holds. NULL: it is one that the issuer issued
 * within the time that is covered. */
static const char *not_covered(const struct tm_filter *filter, const struct tm_crypto *crypto,
                               const struct pki_filter_header *header,
                               const struct tm_facts *certificate) {
    if (!bytes_equal(certificate->issuer_key_id, header->key_id))
        return "it names another issuer's key (RFC 5280, 4.2.1.1)";
    if (certificate->serial.n != PKI_FILTER_SERIAL_SIZE)
        return "its serial is not of the form that the filter covers";
    if (!pki_filter_covers(header, certificate->serial))
        return "its serial was given out at a time that the filter does not cover";
    enum tm_err err = crypto->verify(crypto->self, filter->issuer_spki, certificate->algorithm,
                                     certificate->tbs, certificate->signature);
    if (err == TM_ECRYPTO)
        return "the issuer's signature does not verify (RFC 5280, 6.1.3)";
    return err ? "its signature could not be checked" : NULL;
}

/* Why the filter proves nothing good any more, or not yet. NULL: it does. */
static const char *not_in_time(const struct tm_filter *filter, int64_t now_ms,
                               int64_t tolerance_ms) {
    if (now_ms <= 0)
        return "the time is not known";
    if (tolerance_ms < 0)
        tolerance_ms = 0;
    if (now_ms - tolerance_ms > filter->next_ms)
        return "the filter is overdue";
    if (now_ms < filter->made_ms - tolerance_ms)
        return "the filter was made in what this clock takes for the future";
    return NULL;
}

enum tm_filter_answer tm_filter_ask(const struct tm_filter *filter, const struct tm_crypto *crypto,
                                    int64_t now_ms, int64_t tolerance_ms, struct bytes certificate,
                                    const char **ret_why) {
    struct pki_filter_header header;
    struct tm_facts facts;
    *ret_why = "it is no certificate (RFC 5280, 4.1)";
    if (pki_filter_header_read(filter->header, &header) || tm_facts_read(certificate, &facts))
        return TM_FILTER_UNKNOWN;
    *ret_why = not_covered(filter, crypto, &header, &facts);
    if (*ret_why)
        return TM_FILTER_UNKNOWN;
    *ret_why = "it is revoked";
    if (pki_filter_revoked(&header, filter->body, facts.serial.p))
        return TM_FILTER_REVOKED;
    *ret_why = not_in_time(filter, now_ms, tolerance_ms);
    if (*ret_why)
        return TM_FILTER_UNKNOWN;
    *ret_why = "it is not revoked";
    return TM_FILTER_GOOD;
}
