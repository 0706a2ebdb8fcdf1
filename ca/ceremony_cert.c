/* SPDX-License-Identifier: Apache-2.0 */
/* Building, judging and writing the certificates of a ceremony. */
#include "ca/ceremony_cert.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "ca/attribute.h"
#include "ca/environment.h"
#include "ca/issuer.h"
#include "ca/key.h"
#include "ca/x509.h"
#include "pki/extensions.h"

AUTO_DEFINE(X509, X509_free)

#define RDNS_MAX 16

#define UNIT_MAX 64

/* What the scope says, as organizational units; texts go to `memory`. */
static size_t scope_units(const struct ca_ceremony_scope *scope, char memory[3][UNIT_MAX],
                          struct pki_rdn rdns[3]) {
    size_t count = 0;
    if (scope->product)
        (void)snprintf(memory[count++], UNIT_MAX, "Product %s", scope->product);
    if (scope->factory)
        (void)snprintf(memory[count++], UNIT_MAX, "Factory %s", scope->factory);
    if (scope->year)
        (void)snprintf(memory[count++], UNIT_MAX, "Year %u", (unsigned)scope->year);
    for (size_t i = 0; i < count; i++)
        rdns[i] = (struct pki_rdn){PKI_OID_ORGANIZATIONAL_UNIT, memory[i]};
    return count;
}

enum tm_err ca_ceremony_name(const struct ca_ceremony_ca *ca, unsigned environment,
                             struct buf *out) {
    struct pki_rdn rdns[RDNS_MAX];
    char units[3][UNIT_MAX];
    size_t count = 0;
    const struct ca_ceremony_attribute *attributes = ca->subject.items;
    for (size_t i = 0; i < ca->subject.count && count < RDNS_MAX - 4; i++) {
        if (i + 1 == ca->subject.count) { /* before the last, which is the name people look for */
            rdns[count++] =
                (struct pki_rdn){PKI_OID_ORGANIZATIONAL_UNIT, ca_environment_unit(environment)};
            count += scope_units(&ca->scope, units, rdns + count);
        }
        rdns[count++] =
            (struct pki_rdn){ca_attribute_named(attributes[i].type)->type, attributes[i].value};
    }
    struct der_writer w = der_writer_after(out);
    pki_name_write(&w, rdns, count);
    return der_append(&w, out);
}

int64_t ca_ceremony_not_after(const struct ca_ceremony_ca *ca, int64_t now_ms) {
    if (ca->not_after)
        return ca->not_after;
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;
    (void)gmtime_r(&now, &tm);
    tm.tm_year += (int)ca->years;
    return ((int64_t)timegm(&tm) - 1) * 1000; /* notAfter is still valid */
}

static void put_basic_constraints(struct der_writer *w, uint64_t path_len) {
    size_t end = der_mark(w);
    der_put_small(w, (uint32_t)path_len);
    der_put_boolean(w, true);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_BASIC_CONSTRAINTS, true, end);
}

static void put_key_usage(struct der_writer *w, uint16_t usage) {
    size_t end = der_mark(w);
    der_put_named_bits(w, usage);
    pki_extension_wrap(w, PKI_OID_KEY_USAGE, true, end);
}

static void put_key_id(struct der_writer *w, struct bytes id) {
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, id);
    pki_extension_wrap(w, PKI_OID_SUBJECT_KEY_ID, false, end);
}

static void put_authority_key_id(struct der_writer *w, struct bytes id) {
    size_t end = der_mark(w);
    der_put(w, DER_CONTEXT(0), id);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_AUTHORITY_KEY_ID, false, end);
}

/* RFC 5280, 4.2.1: what a conforming CA's certificate must have. */
static enum tm_err put_extensions(struct der_writer *w, const struct ca_ceremony_tbs *tbs) {
    uint8_t own[CA_KEY_ID_SIZE], authority[CA_KEY_ID_SIZE];
    enum tm_err err = ca_key_id(&tbs->spki, own);
    if (!err)
        err = ca_key_id(&tbs->signer, authority);
    if (err)
        return err;
    size_t end = der_mark(w);
    put_authority_key_id(w, tbs->signer_key_id.n ? tbs->signer_key_id : BYTES_OF(authority));
    put_key_id(w, tbs->key_id.n ? tbs->key_id : BYTES_OF(own));
    put_key_usage(w, tbs->key_usage);
    put_basic_constraints(w, tbs->path_len);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(3), end);
    return TM_OK;
}

enum tm_err ca_ceremony_put_tbs(const struct ca_ceremony_tbs *tbs, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    enum tm_err err = put_extensions(&w, tbs);
    if (err)
        return err;
    der_raw(&w, tbs->spki.whole);
    der_raw(&w, tbs->subject);
    size_t validity_end = der_mark(&w);
    der_put_time(&w, tbs->not_after_ms);
    der_put_time(&w, tbs->not_before_ms);
    der_wrap(&w, DER_SEQUENCE, validity_end);
    der_raw(&w, tbs->issuer);
    ca_put_signature_algorithm(&w, pki_spki_signature(&tbs->signer));
    der_put(&w, DER_INTEGER, (struct bytes){tbs->serial->octets, tbs->serial->n});
    size_t version_end = der_mark(&w);
    der_put_small(&w, 2);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(0), version_end);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err ca_ceremony_put_certificate(const struct pki_spki *signer, struct bytes tbs,
                                        struct bytes signature, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_bits(&w, signature);
    ca_put_signature_algorithm(&w, pki_spki_signature(signer));
    der_raw(&w, tbs);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err ca_ceremony_verify(struct bytes certificate, struct bytes between, struct bytes root,
                               char text[CA_KEYSTORE_TEXT_MAX]) {
    AUTO(X509) subject = ca_x509_read(certificate);
    AUTO(X509) link = between.n ? ca_x509_read(between) : NULL;
    AUTO(X509) issuer = ca_x509_read(root);
    bool parsed = subject && issuer && !between.n == !link;
    int result = parsed ? ca_x509_verify(subject, link, issuer, 0) : X509_V_ERR_UNSPECIFIED;
    if (result == X509_V_OK && X509_check_ca(subject) != 1)
        result = X509_V_ERR_INVALID_CA;
    ERR_clear_error();
    if (result == X509_V_OK)
        return TM_OK;
    (void)snprintf(text, CA_KEYSTORE_TEXT_MAX, "the certificate does not verify: %s",
                   parsed ? X509_verify_cert_error_string(result) : "it does not parse");
    return TM_ECRYPTO;
}
