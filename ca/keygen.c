/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are made here: see ca/keygen.h. */
#include "ca/keygen.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/crash.h"
#include "ca/key.h"
#include "pki/der.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

#define PRIVATE_MAX 48 /* octets: of P-384 */

enum tm_err ca_keygen_new(struct ca_request *r) {
    r->generated = calloc(1, sizeof *r->generated);
    return r->generated ? TM_OK : TM_ENOMEM;
}

void ca_keygen_free(struct ca_generated *generated) {
    if (!generated)
        return;
    bytes_wipe(generated, sizeof *generated);
    free(generated);
}

struct bytes ca_keygen_part(const struct ca_generated *generated) {
    return (struct bytes){generated->part + 1, generated->part_n - 1};
}

/* ---- may it be, and which ---- */

bool ca_keygen_offered(const struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_profile *profile = r->label->profile;
    if (profile->keygen == CA_KEYGEN_OFF)
        return ca_refuse(
            ret, IPC_NOT_IMPLEMENTED,
            "profile %s makes no keys: make the key in the device and use simpleenroll",
            profile->name);
    /* A private key in the clear is for the end of a TLS session, not for a broker. */
    if (r->message.origin != IPC_ORIGIN_HTTPS)
        return ca_refuse(ret, IPC_NOT_IMPLEMENTED, "keys are made for requests by HTTPS only");
    return true;
}

/* The request's own key says what it would like; another kind is one that the profile takes, too.
 */
static unsigned kind_for(const struct ca_request *r) {
    unsigned possible = r->label->profile->keys & CA_KEYS_GENERATED;
    unsigned liked = ca_key_kind(&r->csr.spki) & possible;
    return liked ? liked : possible & -possible;
}

bool ca_keygen_fits(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_generated *g = r->generated;
    const struct ca_profile *profile = r->label->profile;
    g->kind = kind_for(r);
    if (!ca_key_recipient_choose(&r->csr, r->message.peer_leaf, &g->recipient, ret))
        return false;
    if (profile->keygen == CA_KEYGEN_ENCRYPTED && !g->recipient.wanted)
        return ca_refuse(ret, IPC_BAD_EXTENSION,
                         "profile %s gives keys encrypted only: the request needs "
                         "asymmetricDecryptKeyIdentifier and SMIMECapabilities (RFC 7030, 4.4.1)",
                         profile->name);
    return true;
}

static struct bytes attribute_values(const struct pki_csr *csr, enum pki_oid type) {
    for (size_t i = 0; i < csr->attribute_count; i++)
        if (csr->attributes[i].type == type)
            return csr->attributes[i].values;
    return (struct bytes){0};
}

/* A request for a key is never the same as one for a certificate of its own key, and one that wants
 * the key encrypted in another way is another, too: the answer is kept as it was given. */
void ca_keygen_parts(const struct ca_request *r, struct bytes ret[CA_KEYGEN_PARTS]) {
    ret[0] = bytes_str("serverkeygen");
    ret[1] = attribute_values(&r->csr, PKI_OID_ASYMM_DECRYPT_KEY_ID);
    ret[2] = attribute_values(&r->csr, PKI_OID_SMIME_CAPABILITIES);
}

/* ---- the key pair ---- */

static EVP_PKEY *generate(unsigned kind) {
    switch (kind) {
    case CA_KEY_P256:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    case CA_KEY_P384:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

/* The private number, big-endian: as many octets as the curve's order has. */
static bool take_number(const EVP_PKEY *key, uint8_t *ret, size_t n) {
    const unsigned one = 1;
    OSSL_PARAM wanted[] = {OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, ret, n),
                           OSSL_PARAM_construct_end()};
    if (EVP_PKEY_get_params(key, wanted) != 1 || !OSSL_PARAM_modified(wanted))
        return false;
    for (size_t i = 0; *(const uint8_t *)&one && i < n / 2; i++) { /* it comes as the machine's */
        uint8_t octet = ret[i];
        ret[i] = ret[n - 1 - i];
        ret[n - 1 - i] = octet;
    }
    return true;
}

static bool take_private(const EVP_PKEY *key, unsigned kind, uint8_t ret[PRIVATE_MAX],
                         size_t *ret_n) {
    *ret_n = kind == CA_KEY_P384 ? 48 : 32;
    return kind == CA_KEY_ED25519 ? EVP_PKEY_get_raw_private_key(key, ret, ret_n) == 1
                                  : take_number(key, ret, *ret_n);
}

/* What the octets of PrivateKeyInfo.privateKey are (RFC 5915, 3; RFC 8410, 7). */
static void write_private(struct der_writer *w, unsigned kind, struct bytes number,
                          struct bytes point) {
    size_t end = der_mark(w);
    if (kind == CA_KEY_ED25519) {
        der_put(w, DER_OCTET_STRING, number);
        return;
    }
    der_put_bits(w, point);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(1), end);
    der_put(w, DER_OCTET_STRING, number);
    der_put_small(w, 1);
    der_wrap(w, DER_SEQUENCE, end);
}

/* PrivateKeyInfo (RFC 5958), written here: OpenSSL's own way leaves the key in freed memory. */
static size_t write_pkcs8(const struct ca_generated *g, struct bytes spki, struct bytes number,
                          uint8_t ret[CA_PKCS8_MAX]) {
    struct der outer, algorithm, bits;
    struct bytes point;
    if (der_only(spki, DER_SEQUENCE, &outer) ||
        der_expect(&outer.value, DER_SEQUENCE, &algorithm) ||
        der_expect(&outer.value, DER_BIT_STRING, &bits) || der_bits(&bits, &point))
        return 0;
    struct der_writer w = der_writer_on(ret, CA_PKCS8_MAX);
    size_t end = der_mark(&w);
    write_private(&w, g->kind, number, point);
    der_wrap(&w, DER_OCTET_STRING, end);
    der_raw(&w, algorithm.whole);
    der_put_small(&w, 0);
    der_wrap(&w, DER_SEQUENCE, end);
    struct bytes made = der_written(&w);
    if (made.n)
        memmove(ret, made.p, made.n);
    return made.n;
}

static size_t put_pkcs8(const struct ca_generated *g, const EVP_PKEY *key, struct bytes spki,
                        uint8_t ret[CA_PKCS8_MAX]) {
    uint8_t number[PRIVATE_MAX];
    size_t n = 0;
    size_t made = take_private(key, g->kind, number, &n)
                      ? write_pkcs8(g, spki, (struct bytes){number, n}, ret)
                      : 0;
    bytes_wipe(number, sizeof number);
    return made;
}

static size_t put_spki(const EVP_PKEY *key, uint8_t ret[CA_SPKI_MAX]) {
    int n = i2d_PUBKEY(key, NULL);
    if (n <= 0 || n > CA_SPKI_MAX)
        return 0;
    return i2d_PUBKEY(key, &ret) == n ? (size_t)n : 0;
}

bool ca_keygen_make(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_generated *g = r->generated;
    AUTO(EVP_PKEY) key = generate(g->kind);
    size_t spki_n = key ? put_spki(key, g->spki) : 0;
    g->pkcs8_n = spki_n ? put_pkcs8(g, key, (struct bytes){g->spki, spki_n}, g->pkcs8) : 0;
    if (spki_n && g->pkcs8_n && !pki_spki_parse((struct bytes){g->spki, spki_n}, &r->csr.spki) &&
        ca_key_kind(&r->csr.spki) == g->kind && !ca_key_fault(&r->csr.spki))
        return true;
    ERR_clear_error();
    return ca_refuse(ret, IPC_FAILED, "the server could not make a key");
}

/* ---- the answer's part, and the row ---- */

static bool fill_row(struct ca_request *r) {
    struct ca_generated *g = r->generated;
    struct ca_keygen *row = &g->row;
    *row = (struct ca_keygen){.version = g->has_stored ? g->stored.version + 1 : 1,
                              .serial = r->intent.serial,
                              .made_ms = r->now_ms,
                              .expires_ms = r->now_ms + r->label->profile->retry_window};
    TEXT_SET(row->tenant, r->intent.tenant);
    TEXT_SET(row->device, r->intent.device);
    TEXT_SET(row->profile, r->intent.profile);
    memcpy(row->request, r->key, CA_HASH_SIZE);
    struct bytes bound[CA_KEYGEN_BOUND];
    ca_keygen_bound(row, bound);
    struct buf sealed = {g->sealed, CA_KEYGEN_SEALED_MAX, 0, false};
    if (ca_wrap_seal_octets(r->service->config->wrap, bound, CA_KEYGEN_BOUND,
                            (struct bytes){g->part, g->part_n}, &sealed))
        return false;
    row->sealed = buf_bytes(&sealed);
    return true;
}

void ca_keygen_seal(struct ca_request *r) {
    r->generated->part[0] = r->generated->recipient.wanted;
    if (!fill_row(r)) {
        (void)ca_refuse(&r->end, IPC_FAILED, "the server could not seal the key that it made");
        ca_burn(r);
        return;
    }
    crash_point("core.key_sealed");
    ca_record(r);
}

void ca_keygen_finish(struct ca_request *r) {
    struct ca_generated *g = r->generated;
    if (g->recipient.wanted) {
        ca_keygen_package(r);
        return;
    }
    memcpy(g->part + 1, g->pkcs8, g->pkcs8_n);
    g->part_n = g->pkcs8_n + 1;
    ca_keygen_seal(r);
}
