/* SPDX-License-Identifier: Apache-2.0 */
/* The array and its signatures: see import_manifest.h. */
#include "admin/import_manifest.h"

#include <jansson.h>
#include <openssl/ecdsa.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(ECDSA_SIG, ECDSA_SIG_free)
AUTO_DEFINE(BIGNUM, BN_free)

#define ES256_SIZE 64 /* r and s (RFC 7518, 3.4) */
#define DER_MAX 80

static bool say(char text[IPC_TEXT_MAX + 1], const char *fault) {
    text_copy(text, IPC_TEXT_MAX + 1, fault);
    return false;
}

static const char *member(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* ---- one JWS ---- */

static bool der_of(const uint8_t rs[ES256_SIZE], uint8_t *der, int *ret_n) {
    AUTO(ECDSA_SIG) signature = ECDSA_SIG_new();
    AUTO(BIGNUM) r = BN_bin2bn(rs, ES256_SIZE / 2, NULL);
    AUTO(BIGNUM) s = BN_bin2bn(rs + ES256_SIZE / 2, ES256_SIZE / 2, NULL);
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1)
        return false;
    r = s = NULL; /* the signature's */
    *ret_n = i2d_ECDSA_SIG(signature, &der);
    return *ret_n > 0;
}

static bool verifies(EVP_PKEY *key, const char *protected_text, const char *payload,
                     const uint8_t rs[ES256_SIZE]) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    uint8_t der[DER_MAX];
    int n;
    return ctx && der_of(rs, der, &n) &&
           EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
           EVP_DigestVerifyUpdate(ctx, protected_text, strlen(protected_text)) == 1 &&
           EVP_DigestVerifyUpdate(ctx, ".", 1) == 1 &&
           EVP_DigestVerifyUpdate(ctx, payload, strlen(payload)) == 1 &&
           EVP_DigestVerifyFinal(ctx, der, (size_t)n) == 1;
}

static json_t *load(struct bytes json) {
    return json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
}

/* ES256, and nothing that would have to be understood (RFC 7515, 4.1.11); *ret_sha256 is empty when
 * the header names no certificate. */
static bool read_header(const char *encoded, struct buf *ret_sha256, char text[IPC_TEXT_MAX + 1]) {
    uint8_t octets[2048];
    struct buf out = BUF_ON(octets);
    if (!import_base64url(encoded, &out))
        return say(text, "its protected header is not base64url (RFC 7515, 7.2.2)");
    AUTO(json_t) header = load(buf_bytes(&out));
    const char *algorithm = member(header, "alg"), *thumbprint = member(header, "x5t#S256");
    if (!algorithm || strcmp(algorithm, "ES256") != 0)
        return say(text, "its signature is not ES256, the only one that is taken");
    if (json_object_get(header, "crit"))
        return say(text, "its header has extensions that must be understood (RFC 7515, 4.1.11)");
    if (!thumbprint || (import_base64url(thumbprint, ret_sha256) && ret_sha256->n == 32))
        return true;
    return say(text, "its x5t#S256 is no SHA-256 (RFC 7515, 4.1.8)");
}

static bool signed_by_any(const struct import_trust *trust, const json_t *jws, const char *payload,
                          char text[IPC_TEXT_MAX + 1]) {
    const char *header = member(jws, "protected"), *encoded = member(jws, "signature");
    uint8_t named[48], octets[ES256_SIZE + 3];
    struct buf sha256 = BUF_ON(named), signature = BUF_ON(octets);
    if (!header || !encoded)
        return say(text, "is no JWS in flattened JSON (RFC 7515, 7.2.2)");
    if (!read_header(header, &sha256, text))
        return false;
    if (!import_base64url(encoded, &signature) || signature.n != ES256_SIZE)
        return say(text, "its signature does not have 64 octets (RFC 7518, 3.4)");
    for (size_t i = 0; trust && i < trust->count; i++)
        if ((!sha256.n || memcmp(named, trust->sha256[i], sizeof trust->sha256[i]) == 0) &&
            verifies(trust->keys[i], header, payload, signature.p))
            return !trust->over[i] ||
                   say(text, "is signed by a certificate of --signer that has expired, or is not "
                             "valid yet");
    return say(text, "is not signed by any certificate of --signer");
}

static bool read_jws(const struct import_source *source, const json_t *jws,
                     struct ipc_import_row *row, char text[IPC_TEXT_MAX + 1]) {
    const char *payload = member(jws, "payload");
    const char *shown = member(json_object_get(jws, "header"), "uniqueId");
    AUTO_MEM uint8_t *octets = malloc(IMPORT_ELEMENT_MAX);
    if (!octets || !payload)
        return say(text, "is no JWS in flattened JSON (RFC 7515, 7.2.2)");
    if (!signed_by_any(source->trust, jws, payload, text))
        return false;
    struct buf out = {octets, IMPORT_ELEMENT_MAX, 0, false};
    if (!import_base64url(payload, &out))
        return say(text, "its payload is not base64url (RFC 7515, 7.2.2)");
    if (!import_manifest_payload(buf_bytes(&out), row, text))
        return false;
    if (!shown || strcmp(shown, row->device) == 0)
        return true;
    return say(text, "the unique ID of its header is not the one that is signed");
}

/* ---- the array ---- */

/* Moves to the next octet that is no blank; '\0': there is none. */
static enum tm_err next_mark(struct import_source *source, uint8_t *ret) {
    struct bytes in;
    for (;;) {
        enum tm_err err = import_source_fill(source, 1, &in);
        *ret = in.n ? in.p[0] : 0;
        if (err || !in.n || !memchr(" \t\r\n", in.p[0], 4))
            return err;
        import_source_skip(source, 1);
    }
}

/* To the next element. TM_ENOTFOUND: the array is over. */
static enum tm_err next_element(struct import_source *source, char text[IPC_TEXT_MAX + 1]) {
    uint8_t mark;
    enum tm_err err = next_mark(source, &mark);
    if (!err && mark == ']' && source->opened) {
        import_source_skip(source, 1);
        err = next_mark(source, &mark);
        if (!err && !mark)
            return TM_ENOTFOUND;
        mark = '?'; /* something follows the array */
    }
    if (!err && mark != (source->columns ? ',' : '[')) {
        (void)say(text, "is not a JSON array of signed elements");
        return TM_ELIMIT;
    }
    if (err)
        return err;
    source->opened = true;
    import_source_skip(source, 1);
    err = next_mark(source, &mark);
    if (err || mark != ']' || source->columns)
        return err;
    return next_element(source, text); /* it has none */
}

enum tm_err import_manifest_next(struct import_source *source, struct ipc_import_row *row,
                                 char text[IPC_TEXT_MAX + 1]) {
    struct bytes in;
    json_error_t error;
    row->line = source->line;
    enum tm_err err = next_element(source, text);
    row->line = source->line;
    if (!err)
        err = import_source_fill(source, IMPORT_ELEMENT_MAX, &in);
    if (err)
        return err;
    size_t n = in.n < IMPORT_ELEMENT_MAX ? in.n : IMPORT_ELEMENT_MAX;
    AUTO(json_t)
    jws = json_loadb((const char *)in.p, n,
                     JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &error);
    if (!jws) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "is not JSON within 65536 octets: %.120s",
                       error.text);
        return TM_ELIMIT;
    }
    source->columns = 1; /* commas stand between elements */
    import_source_skip(source, (size_t)error.position);
    return read_jws(source, jws, row, text) ? TM_OK : TM_EPARSE;
}
