/* SPDX-License-Identifier: Apache-2.0 */
/* What a signed element says, and who signs: see import_manifest.h. */
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "admin/import_manifest.h"
#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(FILE, fclose)

#define COORDINATE 32

static bool say(char text[IPC_TEXT_MAX + 1], const char *fault) {
    text_copy(text, IPC_TEXT_MAX + 1, fault);
    return false;
}

static const char *member(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* ---- base64 ---- */

/* text: padded. OpenSSL passes over blanks and takes padding anywhere, which is no base64 here. */
static bool decode(const char *text, struct buf *out) {
    size_t n = strlen(text), plain = strcspn(text, "="), padding = n - plain;
    AUTO_MEM uint8_t *octets = malloc(n + 1);
    if (!octets || n % 4 || n > IMPORT_ELEMENT_MAX || padding > 2 ||
        strspn(text + plain, "=") != padding || strpbrk(text, " \t\r\n-"))
        return false;
    int decoded = EVP_DecodeBlock(octets, (const uint8_t *)text, (int)n);
    if (decoded < 0 || (size_t)decoded < padding)
        return false;
    buf_put(out, (struct bytes){octets, (size_t)decoded - padding});
    return !out->full;
}

bool import_base64url(const char *text, struct buf *out) {
    size_t n = strlen(text);
    AUTO_MEM char *plain = malloc(n + 4);
    if (!plain || n % 4 == 1 || strpbrk(text, "+/="))
        return false;
    for (size_t i = 0; i < n; i++)
        plain[i] = (char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    for (; n % 4; n++)
        plain[n] = '=';
    plain[n] = '\0';
    return decode(plain, out);
}

/* ---- keys ---- */

/* SubjectPublicKeyInfo of a P-256 key (RFC 5480, 2), to its point. */
static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
#define SPKI_SIZE (sizeof spki_head + 2 * COORDINATE)

static bool is_p256(const json_t *jwk) {
    const char *kty = member(jwk, "kty"), *crv = member(jwk, "crv");
    return kty && crv && strcmp(kty, "EC") == 0 && strcmp(crv, "P-256") == 0;
}

static bool spki_of(const json_t *jwk, uint8_t ret[SPKI_SIZE]) {
    const char *const coordinates[] = {member(jwk, "x"), member(jwk, "y")};
    memcpy(ret, spki_head, sizeof spki_head);
    for (size_t i = 0; i < 2; i++) {
        uint8_t octets[COORDINATE + 3];
        struct buf out = BUF_ON(octets);
        if (!coordinates[i] || !import_base64url(coordinates[i], &out) || out.n != COORDINATE)
            return false;
        memcpy(ret + sizeof spki_head + i * COORDINATE, octets, COORDINATE);
    }
    const uint8_t *at = ret;
    AUTO(EVP_PKEY) key = d2i_PUBKEY(NULL, &at, SPKI_SIZE); /* the point is on the curve */
    return key != NULL;
}

/* The certificate that comes with a key is that key's. */
static bool certificate_fits(const json_t *jwk, const uint8_t spki[SPKI_SIZE]) {
    const json_t *chain = json_object_get(jwk, "x5c");
    const char *encoded = json_string_value(json_array_get(chain, 0));
    uint8_t der[IPC_CERT_MAX], own[SPKI_SIZE];
    struct buf out = BUF_ON(der);
    if (!chain)
        return true;
    if (!encoded || !decode(encoded, &out))
        return false;
    const uint8_t *at = der;
    uint8_t *to = own;
    AUTO(X509) certificate = d2i_X509(NULL, &at, (long)out.n);
    X509_PUBKEY *key = certificate ? X509_get_X509_PUBKEY(certificate) : NULL;
    return key && i2d_X509_PUBKEY(key, NULL) == (int)SPKI_SIZE &&
           i2d_X509_PUBKEY(key, &to) == (int)SPKI_SIZE && memcmp(own, spki, SPKI_SIZE) == 0;
}

static bool add_key(const json_t *jwk, struct ipc_import_row *row, char text[IPC_TEXT_MAX + 1]) {
    uint8_t spki[SPKI_SIZE];
    if (!is_p256(jwk)) /* a key for something else than certificates */
        return true;
    if (row->key_count == IPC_IMPORT_KEYS_MAX)
        return say(text, "has more than 8 keys");
    if (!spki_of(jwk, spki))
        return say(text, "has a key that is no point of P-256 (RFC 7518, 6.2.1)");
    if (!certificate_fits(jwk, spki))
        return say(text, "has a certificate that is not that of its key (RFC 7517, 4.7)");
    struct ipc_import_key *key = &row->keys[row->key_count++];
    return EVP_Digest(spki, sizeof spki, key->sha256, NULL, EVP_sha256(), NULL) == 1 ||
           say(text, "cannot be hashed");
}

bool import_manifest_payload(struct bytes json, struct ipc_import_row *row,
                             char text[IPC_TEXT_MAX + 1]) {
    AUTO(json_t) element = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
    const char *id = member(element, "uniqueId");
    const json_t *keys = json_object_get(json_object_get(element, "publicKeySet"), "keys");
    size_t i;
    const json_t *jwk;
    if (!id)
        return say(text, "its payload has no uniqueId");
    if (!import_set(row, IMPORT_DEVICE, bytes_str(id), text) || !import_row_fits(row, text))
        return false;
    json_array_foreach(keys, i, jwk) {
        if (!add_key(jwk, row, text))
            return false;
    }
    return row->key_count || say(text, "has no P-256 key");
}

/* ---- who signs ---- */

static bool is_over(const X509 *certificate) {
    return X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0 ||
           X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

static bool add_signer(struct import_trust *trust, const X509 *certificate) {
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    char group[32] = "";
    if (trust->count == IMPORT_SIGNERS_MAX || !key ||
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
        strcmp(group, "prime256v1") != 0 || EVP_PKEY_up_ref(key) != 1)
        return false;
    trust->keys[trust->count] = key;
    trust->over[trust->count] = is_over(certificate);
    return X509_digest(certificate, EVP_sha256(), trust->sha256[trust->count++], NULL) == 1;
}

bool import_trust_load(const char *path, struct import_trust *ret_trust,
                       char text[IPC_TEXT_MAX + 1]) {
    AUTO(FILE) file = fopen(path, "r");
    *ret_trust = (struct import_trust){0};
    bool good = file != NULL;
    for (bool more = good; more && good;) {
        AUTO(X509) certificate = PEM_read_X509(file, NULL, NULL, NULL);
        more = certificate != NULL;
        good = !more || add_signer(ret_trust, certificate);
    }
    if (good && ret_trust->count)
        return true;
    import_trust_free(ret_trust);
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "%.100s: must be PEM of 1 to %d certificates with P-256 keys", path,
                   IMPORT_SIGNERS_MAX);
    return false;
}

void import_trust_free(struct import_trust *trust) {
    for (size_t i = 0; i < trust->count; i++)
        EVP_PKEY_free(trust->keys[i]);
    trust->count = 0;
}
