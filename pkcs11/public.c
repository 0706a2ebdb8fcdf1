/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public half of a key pair as SubjectPublicKeyInfo, put together from the public key
 * object's attributes. Not by libp11: in 0.4.12 PKCS11_get_public_key leaks the key and with it
 * the slot, whose copy of the PIN is then never wiped, and a single Ed25519 key makes its
 * listing of keys fail.
 */
#include <stdio.h>
#include <string.h>

#include "pkcs11/key.h"
#include "pki/cert.h"

#define TIE_MAX 256
#define VALUE_MAX 1024 /* RSA of 8192 bits */

struct public_object {
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE handle;
};

static CK_RV read_value(const struct public_object *object, CK_ATTRIBUTE_TYPE type,
                        uint8_t memory[VALUE_MAX], struct bytes *ret) {
    size_t n = 0;
    CK_RV rv =
        hsm_attribute(object->f, object->session, object->handle, type, memory, VALUE_MAX, &n);
    *ret = (struct bytes){memory, n};
    return rv;
}

static void put_algorithm(struct der_writer *w, enum pki_oid algorithm, struct bytes parameters) {
    size_t end = der_mark(w);
    der_raw(w, parameters);
    der_put(w, DER_OID, pki_oid_bytes(algorithm));
    der_wrap(w, DER_SEQUENCE, end);
}

/* RFC 5480, 2; RFC 8410, 4. CKA_EC_POINT is the point in an OCTET STRING (PKCS#11 v3.0, 2.3). */
static CK_RV put_curve_key(const struct public_object *object, bool edwards, struct der_writer *w) {
    uint8_t point_memory[VALUE_MAX], parameters_memory[VALUE_MAX];
    struct bytes point, parameters = {0};
    struct der octets;
    CK_RV rv = read_value(object, CKA_EC_POINT, point_memory, &point);
    if (rv == CKR_OK && !edwards)
        rv = read_value(object, CKA_EC_PARAMS, parameters_memory, &parameters);
    if (rv != CKR_OK)
        return rv;
    if (der_only(point, DER_OCTET_STRING, &octets))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    der_put_bits(w, octets.value);
    put_algorithm(w, edwards ? PKI_OID_ED25519 : PKI_OID_EC_PUBLIC_KEY, parameters);
    return CKR_OK;
}

/* RFC 3279, 2.3.1. */
static CK_RV put_rsa_key(const struct public_object *object, struct der_writer *w) {
    static const uint8_t null[] = {DER_NULL, 0};
    uint8_t modulus_memory[VALUE_MAX], exponent_memory[VALUE_MAX], key_memory[2 * VALUE_MAX];
    struct bytes modulus, exponent;
    CK_RV rv = read_value(object, CKA_MODULUS, modulus_memory, &modulus);
    if (rv == CKR_OK)
        rv = read_value(object, CKA_PUBLIC_EXPONENT, exponent_memory, &exponent);
    if (rv != CKR_OK)
        return rv;
    struct der_writer key = der_writer_on(key_memory, sizeof key_memory);
    size_t end = der_mark(&key);
    der_put_unsigned(&key, exponent);
    der_put_unsigned(&key, modulus);
    der_wrap(&key, DER_SEQUENCE, end);
    der_put_bits(w, der_written(&key));
    put_algorithm(w, PKI_OID_RSA_ENCRYPTION, BYTES_OF(null));
    return CKR_OK;
}

static CK_RV put_key(const struct public_object *object, CK_KEY_TYPE type, struct der_writer *w) {
    switch (type) {
    case CKK_EC:
        return put_curve_key(object, false, w);
    case CKK_EC_EDWARDS:
        return put_curve_key(object, true, w);
    case CKK_RSA:
        return put_rsa_key(object, w);
    default:
        return CKR_KEY_TYPE_INCONSISTENT;
    }
}

/* The public key with the private one's CKA_ID, or its label where that is empty; exactly one. */
static CK_RV find_public(CK_OBJECT_HANDLE private, struct public_object *object) {
    uint8_t tie[TIE_MAX];
    size_t tie_n = 0;
    CK_ATTRIBUTE_TYPE type = CKA_ID;
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;
    CK_RV rv = hsm_attribute(object->f, object->session, private, type, tie, sizeof tie, &tie_n);
    if (rv == CKR_OK && tie_n == 0) {
        type = CKA_LABEL;
        rv = hsm_attribute(object->f, object->session, private, type, tie, sizeof tie, &tie_n);
    }
    if (rv != CKR_OK)
        return rv;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class}, {type, tie, tie_n}};
    rv = hsm_objects_find(object->f, object->session, template, 2, found, 2, &count);
    if (rv == CKR_OK && count != 1)
        rv = CKR_OBJECT_HANDLE_INVALID;
    if (rv == CKR_OK)
        object->handle = found[0];
    return rv;
}

enum tm_err hsm_public_read(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session,
                            CK_OBJECT_HANDLE private, struct buf *out, char text[HSM_TEXT_MAX]) {
    struct public_object object = {f, session, 0};
    CK_KEY_TYPE type = 0;
    size_t n = 0;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    CK_RV rv = hsm_attribute(f, session, private, CKA_KEY_TYPE, &type, sizeof type, &n);
    if (rv == CKR_OK)
        rv = find_public(private, &object);
    if (rv == CKR_OK)
        rv = put_key(&object, type, &w);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "the token does not show the key's public half", text);
    der_wrap(&w, DER_SEQUENCE, end);
    enum tm_err err = der_append(&w, out);
    if (err)
        (void)snprintf(text, HSM_TEXT_MAX, "the public key is too long");
    return err;
}
