/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing SignedData (RFC 5652, 5) of at most one signer. */
#include "est/wire/signed_data.h"

#include "est/wire/content_info.h"
#include "pki/name.h"

#define VERSION_ISSUER_AND_SERIAL 1 /* of SignerInfo: RFC 5652, 5.3 */
#define VERSION_KEY_ID 3
#define VERSION_WRITTEN 3 /* of SignedData: the content is not id-data (RFC 5652, 5.1) */
#define VERSION_LAST 5

/* A version between these two. */
static bool is_version(const struct der *d, uint32_t first, uint32_t last) {
    uint32_t number;
    return der_small(d, &number) == TM_OK && number >= first && number <= last;
}

/* An AlgorithmIdentifier's parameters follow its OID: any one element, or none. */
static enum tm_err read_algorithm(const struct der *algorithm, struct bytes *ret_oid,
                                  struct bytes *ret_parameters) {
    struct bytes in = algorithm->value;
    struct der oid, parameters = {0};
    if (der_expect(&in, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        (in.n > 0 && der_next(&in, &parameters) != TM_OK) || in.n != 0)
        return TM_EPARSE;
    *ret_oid = oid.value;
    *ret_parameters = parameters.whole;
    return TM_OK;
}

/* digestAlgorithms: which ones they are says the signer, too. */
static bool are_algorithms(struct bytes in) {
    struct der algorithm;
    struct bytes oid, parameters;
    while (in.n > 0)
        if (der_expect(&in, DER_SEQUENCE, &algorithm) != TM_OK ||
            read_algorithm(&algorithm, &oid, &parameters) != TM_OK)
            return false;
    return true;
}

static bool is_content_type(enum pki_oid type) {
    return type == PKI_OID_CCT_PKI_DATA || type == PKI_OID_CCT_PKI_RESPONSE ||
           type == PKI_OID_CT_KP_AKEY_PACKAGE;
}

static enum pki_oid content_type_of(struct bytes oid) {
    enum pki_oid type = pki_oid_find(oid);
    return is_content_type(type) ? type : PKI_OID_UNKNOWN;
}

/* RFC 5652, 5.2; *ret_type are the identifier's octets. */
static enum tm_err read_content(struct bytes in, struct est_signed *message,
                                struct bytes *ret_type) {
    struct der type, content = {0}, octets = {0};
    bool there;
    if (der_expect(&in, DER_OID, &type) != TM_OK || !pki_oid_valid(type.value) ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(0), &content, &there) != TM_OK || in.n != 0 ||
        (there && der_only(content.value, DER_OCTET_STRING, &octets) != TM_OK))
        return TM_EPARSE;
    message->content_type = content_type_of(type.value);
    message->content = octets.value;
    *ret_type = type.value;
    return TM_OK;
}

/* RFC 5652, 10.2.2: only the choice `certificate`. */
static bool are_certificates(struct bytes in) {
    struct der certificate;
    while (in.n > 0)
        if (der_expect(&in, DER_SEQUENCE, &certificate) != TM_OK)
            return false;
    return true;
}

/* SignerIdentifier and the version that goes with it (RFC 5652, 5.3). */
static enum tm_err read_signer_id(struct bytes *in, struct est_signer_id *ret) {
    struct der version, key_id, sid, name, serial;
    bool there;
    if (der_expect(in, DER_INTEGER, &version) != TM_OK ||
        der_optional(in, DER_CONTEXT(0), &key_id, &there) != TM_OK)
        return TM_EPARSE;
    if (there) {
        if (!is_version(&version, VERSION_KEY_ID, VERSION_KEY_ID) || key_id.value.n == 0)
            return TM_EPARSE;
        *ret = (struct est_signer_id){.key_id = key_id.value};
        return TM_OK;
    }
    if (!is_version(&version, VERSION_ISSUER_AND_SERIAL, VERSION_ISSUER_AND_SERIAL) ||
        der_expect(in, DER_SEQUENCE, &sid) != TM_OK ||
        der_expect(&sid.value, DER_SEQUENCE, &name) != TM_OK || !pki_name_valid(name.whole) ||
        der_only(sid.value, DER_INTEGER, &serial) != TM_OK || !der_minimal_integer(serial.value))
        return TM_EPARSE;
    *ret = (struct est_signer_id){.issuer = name.whole, .serial = serial.value};
    return TM_OK;
}

/* RFC 5754, 2: parameters are absent, and NULL is read as well. */
static enum tm_err read_digest(const struct der *algorithm, enum pki_oid *ret) {
    static const uint8_t null[] = {DER_NULL, 0x00};
    struct bytes oid, parameters;
    if (read_algorithm(algorithm, &oid, &parameters) != TM_OK ||
        (parameters.n != 0 && !bytes_equal(parameters, BYTES_OF(null))))
        return TM_EPARSE;
    enum pki_oid digest = pki_oid_find(oid);
    bool known = digest == PKI_OID_SHA256 || digest == PKI_OID_SHA384 || digest == PKI_OID_SHA512;
    *ret = known ? digest : PKI_OID_UNKNOWN;
    return TM_OK;
}

/* The attributes that are looked at; whole is empty for one that has not come yet. */
struct attributes {
    struct der content_type;
    struct der message_digest;
    struct der signing_time;
};

static struct der *attribute_wanted(struct attributes *attributes, enum pki_oid type) {
    switch (type) {
    case PKI_OID_CONTENT_TYPE:
        return &attributes->content_type;
    case PKI_OID_MESSAGE_DIGEST:
        return &attributes->message_digest;
    case PKI_OID_SIGNING_TIME:
        return &attributes->signing_time;
    default:
        return NULL;
    }
}

/* One Attribute; RFC 5652, 11: each of ours stands there once and has one value. */
static enum tm_err take_attribute(struct bytes *in, struct attributes *attributes) {
    struct der attribute, oid, values, value;
    if (der_expect(in, DER_SEQUENCE, &attribute) != TM_OK ||
        der_expect(&attribute.value, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_only(attribute.value, DER_SET, &values) != TM_OK)
        return TM_EPARSE;
    struct der *wanted = attribute_wanted(attributes, pki_oid_find(oid.value));
    if (!wanted)
        return TM_OK;
    if (wanted->whole.n != 0 || der_next(&values.value, &value) != TM_OK || values.value.n != 0)
        return TM_EPARSE;
    *wanted = value;
    return TM_OK;
}

/* RFC 5652, 11.1 to 11.3; content_type are the octets that eContentType has. */
static enum tm_err read_attributes(struct bytes in, struct bytes content_type,
                                   struct est_signed *message) {
    struct attributes found = {0};
    message->attributes = in;
    while (in.n > 0)
        if (take_attribute(&in, &found) != TM_OK)
            return TM_EPARSE;
    if (found.content_type.tag != DER_OID || !bytes_equal(found.content_type.value, content_type) ||
        found.message_digest.tag != DER_OCTET_STRING || found.message_digest.value.n == 0 ||
        found.message_digest.value.n > EST_DIGEST_MAX)
        return TM_EPARSE;
    message->message_digest = found.message_digest.value;
    if (found.signing_time.whole.n == 0)
        return TM_OK;
    return der_time(&found.signing_time, &message->signing_time_ms);
}

/* The only SignerInfo. */
static enum tm_err read_signer(struct bytes in, struct bytes content_type,
                               struct est_signed *message) {
    struct der digest, attributes, algorithm, signature, rest;
    struct bytes oid, parameters;
    bool there;
    if (read_signer_id(&in, &message->signer) != TM_OK ||
        der_expect(&in, DER_SEQUENCE, &digest) != TM_OK ||
        read_digest(&digest, &message->digest) != TM_OK ||
        der_expect(&in, DER_CONTEXT_CONSTRUCTED(0), &attributes) != TM_OK ||
        der_expect(&in, DER_SEQUENCE, &algorithm) != TM_OK ||
        read_algorithm(&algorithm, &oid, &parameters) != TM_OK ||
        der_expect(&in, DER_OCTET_STRING, &signature) != TM_OK || signature.value.n == 0 ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(1), &rest, &there) != TM_OK || in.n != 0)
        return TM_EPARSE;
    message->has_signer = true;
    message->algorithm = algorithm.whole;
    message->signature = signature.value;
    return read_attributes(attributes.value, content_type, message);
}

static enum tm_err read_signers(struct bytes in, struct bytes content_type,
                                struct est_signed *message) {
    struct der signer;
    if (in.n == 0)
        return TM_OK;
    if (der_expect(&in, DER_SEQUENCE, &signer) != TM_OK)
        return TM_EPARSE;
    if (in.n > 0)
        return TM_ELIMIT;
    return read_signer(signer.value, content_type, message);
}

enum tm_err est_signed_read(struct bytes der, struct est_signed *ret) {
    struct est_signed message = {0};
    struct der version, digests, content, certificates = {0}, crls, signers;
    struct bytes in, content_type;
    bool there;
    if (est_signed_data_open(der, &in) != TM_OK ||
        der_expect(&in, DER_INTEGER, &version) != TM_OK || !is_version(&version, 1, VERSION_LAST) ||
        der_expect(&in, DER_SET, &digests) != TM_OK || !are_algorithms(digests.value) ||
        der_expect(&in, DER_SEQUENCE, &content) != TM_OK ||
        read_content(content.value, &message, &content_type) != TM_OK ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(0), &certificates, &there) != TM_OK ||
        !are_certificates(certificates.value) ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(1), &crls, &there) != TM_OK ||
        der_only(in, DER_SET, &signers) != TM_OK)
        return TM_EPARSE;
    message.certificates = certificates.value;
    enum tm_err err = read_signers(signers.value, content_type, &message);
    if (err == TM_OK)
        *ret = message;
    return err;
}

enum tm_err est_signed_attributes_message(const struct est_signed *message, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    der_put(&w, DER_SET, message->attributes);
    return der_append(&w, out);
}

/* Ends the attribute whose value was written since `mark`. */
static void wrap_attribute(struct der_writer *w, enum pki_oid type, size_t mark) {
    der_wrap(w, DER_SET, mark);
    der_put(w, DER_OID, pki_oid_bytes(type));
    der_wrap(w, DER_SEQUENCE, mark);
}

/* X.690, 11.6, sorts a SET OF by the encodings, so first by the lengths here: content-type is the
 * shortest and a message-digest from 32 octets on the longest. */
enum tm_err est_signed_attributes_write(enum pki_oid content_type, struct bytes message_digest,
                                        int64_t signing_time_ms, struct buf *out) {
    if (message_digest.n < 32 || message_digest.n > EST_DIGEST_MAX ||
        !is_content_type(content_type))
        return TM_EINVAL;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put(&w, DER_OCTET_STRING, message_digest);
    wrap_attribute(&w, PKI_OID_MESSAGE_DIGEST, end);
    size_t mark = der_mark(&w);
    if (signing_time_ms != 0) {
        der_put_time(&w, signing_time_ms);
        wrap_attribute(&w, PKI_OID_SIGNING_TIME, mark);
        mark = der_mark(&w);
    }
    der_put(&w, DER_OID, pki_oid_bytes(content_type));
    wrap_attribute(&w, PKI_OID_CONTENT_TYPE, mark);
    der_wrap(&w, DER_SET, end);
    return der_append(&w, out);
}

/* RFC 5754, 2: without parameters. */
static void put_digest(struct der_writer *w, enum pki_oid digest) {
    size_t mark = der_mark(w);
    der_put(w, DER_OID, pki_oid_bytes(digest));
    der_wrap(w, DER_SEQUENCE, mark);
}

static void put_signer_id(struct der_writer *w, const struct est_signer_id *signer) {
    size_t mark = der_mark(w);
    if (signer->key_id.n > 0) {
        der_put(w, DER_CONTEXT(0), signer->key_id);
        der_put_small(w, VERSION_KEY_ID);
        return;
    }
    der_put(w, DER_INTEGER, signer->serial);
    der_raw(w, signer->issuer);
    der_wrap(w, DER_SEQUENCE, mark);
    der_put_small(w, VERSION_ISSUER_AND_SERIAL);
}

static void put_signer(struct der_writer *w, const struct est_signed *message,
                       struct bytes attributes) {
    size_t mark = der_mark(w);
    der_put(w, DER_OCTET_STRING, message->signature);
    der_raw(w, message->algorithm);
    der_put(w, DER_CONTEXT_CONSTRUCTED(0), attributes);
    put_digest(w, message->digest);
    put_signer_id(w, &message->signer);
    der_wrap(w, DER_SEQUENCE, mark);
}

static void put_content(struct der_writer *w, const struct est_signed *message) {
    size_t mark = der_mark(w);
    if (message->content.n > 0) {
        der_put(w, DER_OCTET_STRING, message->content);
        der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), mark);
    }
    der_put(w, DER_OID, pki_oid_bytes(message->content_type));
    der_wrap(w, DER_SEQUENCE, mark);
}

static void put_message(struct der_writer *w, const struct est_signed *message,
                        struct bytes attributes) {
    size_t end = der_mark(w);
    if (message->has_signer)
        put_signer(w, message, attributes);
    der_wrap(w, DER_SET, end);
    if (message->certificates.n > 0)
        der_put(w, DER_CONTEXT_CONSTRUCTED(0), message->certificates);
    put_content(w, message);
    size_t digests = der_mark(w);
    if (message->has_signer)
        put_digest(w, message->digest);
    der_wrap(w, DER_SET, digests);
    der_put_small(w, VERSION_WRITTEN);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_put(w, DER_OID, pki_oid_bytes(PKI_OID_SIGNED_DATA));
    der_wrap(w, DER_SEQUENCE, end);
}

/* What was written is read again: so each of the reader's rules is also one for who writes. */
static bool reads_back(struct bytes der, const struct est_signed *message) {
    struct est_signed again;
    return est_signed_read(der, &again) == TM_OK && again.content_type == message->content_type &&
           (!message->has_signer || again.digest == message->digest);
}

enum tm_err est_signed_write(const struct est_signed *message, struct buf *out) {
    struct der attributes = {0};
    if (message->has_signer && der_only(message->attributes, DER_SET, &attributes) != TM_OK)
        return TM_EINVAL;
    struct der_writer w = der_writer_after(out);
    put_message(&w, message, attributes.value);
    if (!w.full && !reads_back(der_written(&w), message))
        return TM_EINVAL;
    return der_append(&w, out);
}
