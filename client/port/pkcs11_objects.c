/* SPDX-License-Identifier: Apache-2.0 */
/* The key objects of a bank: finding the pair that counts, making a new one, destroying old ones.
 */
#include <string.h>

#include "base/log.h"
#include "client/port/pkcs11_internal.h"

/* The named curve's OBJECT IDENTIFIER, as CKA_EC_PARAMS wants it. */
static const uint8_t p256_params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

/* Does this CKA_ID belong to the bank? */
static bool id_is_of(struct bytes id, unsigned bank, uint32_t *ret_generation) {
    struct reader r = {.in = id};
    uint64_t of = reader_be(&r, 1);
    uint64_t generation = id.n == 1 ? 0 : reader_be(&r, 4);
    if (r.bad || reader_left(&r) || of != bank)
        return false;
    *ret_generation = (uint32_t)generation;
    return true;
}

static CK_RV find_handles(struct tm_pkcs11 *token, CK_OBJECT_CLASS class,
                          CK_OBJECT_HANDLE ret[TM_PKCS11_OBJECTS_MAX], CK_ULONG *ret_n) {
    CK_BBOOL yes = CK_TRUE;
    CK_KEY_TYPE ec = CKK_EC;
    CK_ATTRIBUTE wanted[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_TOKEN, &yes, sizeof yes},
        {CKA_KEY_TYPE, &ec, sizeof ec},
        {CKA_LABEL, token->label, strlen(token->label)},
    };
    CK_RV rv =
        token->f->C_FindObjectsInit(token->session, wanted, sizeof wanted / sizeof wanted[0]);
    if (rv != CKR_OK)
        return rv;
    rv = token->f->C_FindObjects(token->session, ret, TM_PKCS11_OBJECTS_MAX, ret_n);
    CK_RV final = token->f->C_FindObjectsFinal(token->session);
    return rv != CKR_OK ? rv : final;
}

enum tm_err tm_pkcs11_list(struct tm_pkcs11 *token, CK_OBJECT_CLASS class, unsigned bank,
                           struct tm_pkcs11_objects *ret) {
    CK_OBJECT_HANDLE handles[TM_PKCS11_OBJECTS_MAX];
    CK_ULONG n = 0;
    CK_RV rv = find_handles(token, class, handles, &n);
    if (rv == CKR_OK && n >= TM_PKCS11_OBJECTS_MAX) /* fewer than there are, perhaps */
        rv = CKR_BUFFER_TOO_SMALL;
    if (rv != CKR_OK)
        return tm_pkcs11_result("C_FindObjects", rv);
    struct tm_pkcs11_objects found = {0};
    for (CK_ULONG i = 0; i < n; i++) {
        uint8_t id[TM_PKCS11_ID_MAX];
        CK_ATTRIBUTE attribute = {CKA_ID, id, sizeof id};
        rv = token->f->C_GetAttributeValue(token->session, handles[i], &attribute, 1);
        if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL)
            return tm_pkcs11_result("CKA_ID", rv);
        struct tm_pkcs11_object object = {.handle = handles[i]};
        if (rv == CKR_OK && attribute.ulValueLen <= sizeof id &&
            id_is_of((struct bytes){id, attribute.ulValueLen}, bank, &object.generation))
            found.at[found.n++] = object;
    }
    *ret = found;
    return TM_OK;
}

static enum tm_err list_both(struct tm_pkcs11 *token, unsigned bank,
                             struct tm_pkcs11_objects *ret_private,
                             struct tm_pkcs11_objects *ret_public) {
    enum tm_err err = tm_pkcs11_list(token, CKO_PRIVATE_KEY, bank, ret_private);
    return err ? err : tm_pkcs11_list(token, CKO_PUBLIC_KEY, bank, ret_public);
}

enum tm_err tm_pkcs11_find(struct tm_pkcs11 *token, unsigned bank, struct tm_pkcs11_pair *ret) {
    struct tm_pkcs11_objects private, public;
    enum tm_err err = list_both(token, bank, &private, &public);
    if (err)
        return err;
    struct tm_pkcs11_pair newest = {0};
    uint32_t generation = 0;
    unsigned matches = 0;
    for (size_t i = 0; i < private.n; i++) {
        for (size_t j = 0; j < public.n; j++) {
            uint32_t of = private.at[i].generation;
            if (of != public.at[j].generation || (matches && of < generation))
                continue;
            matches = matches && of == generation ? matches + 1 : 1;
            generation = of;
            newest = (struct tm_pkcs11_pair){private.at[i].handle, public.at[j].handle};
        }
    }
    if (matches > 1) {
        log_error("PKCS#11: several keys labelled \"%s\" have the CKA_ID of bank %u", token->label,
                  bank);
        return TM_ECONFLICT;
    }
    if (matches == 0)
        return TM_ENOTFOUND;
    *ret = newest;
    return TM_OK;
}

static uint64_t highest(const struct tm_pkcs11_objects *objects, uint64_t least) {
    for (size_t i = 0; i < objects->n; i++) {
        if (objects->at[i].generation > least)
            least = objects->at[i].generation;
    }
    return least;
}

static enum tm_err make_pair(struct tm_pkcs11 *token, struct bytes id, struct tm_pkcs11_pair *ret) {
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE public[] = {
        {CKA_TOKEN, &yes, sizeof yes},  {CKA_PRIVATE, &no, sizeof no},
        {CKA_VERIFY, &yes, sizeof yes}, {CKA_LABEL, token->label, strlen(token->label)},
        {CKA_ID, (void *)id.p, id.n},   {CKA_EC_PARAMS, (void *)p256_params, sizeof p256_params},
    };
    CK_ATTRIBUTE private[] = {
        {CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
        {CKA_SIGN, &yes, sizeof yes},      {CKA_DECRYPT, &no, sizeof no},
        {CKA_UNWRAP, &no, sizeof no},      {CKA_SIGN_RECOVER, &no, sizeof no},
        {CKA_DERIVE, &no, sizeof no},      {CKA_LABEL, token->label, strlen(token->label)},
        {CKA_ID, (void *)id.p, id.n},
    };
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_RV rv = token->f->C_GenerateKeyPair(
        token->session, &mechanism, public, sizeof public / sizeof public[0], private,
        sizeof private / sizeof private[0], &ret -> public, &ret->private);
    return tm_pkcs11_result("C_GenerateKeyPair", rv);
}

/* A module may ignore what it was told; then the key must not stay. */
static bool is_protected(struct tm_pkcs11 *token, CK_OBJECT_HANDLE private) {
    CK_BBOOL sensitive = CK_FALSE, never_extractable = CK_FALSE, extractable = CK_TRUE,
             local = CK_FALSE;
    CK_ATTRIBUTE attributes[] = {
        {CKA_ALWAYS_SENSITIVE, &sensitive, sizeof sensitive},
        {CKA_NEVER_EXTRACTABLE, &never_extractable, sizeof never_extractable},
        {CKA_EXTRACTABLE, &extractable, sizeof extractable},
        {CKA_LOCAL, &local, sizeof local},
    };
    CK_RV rv = token->f->C_GetAttributeValue(token->session, private, attributes,
                                             sizeof attributes / sizeof attributes[0]);
    return rv == CKR_OK && sensitive && never_extractable && !extractable && local;
}

enum tm_err tm_pkcs11_replace(struct tm_pkcs11 *token, unsigned bank) {
    struct tm_pkcs11_objects private, public;
    enum tm_err err = list_both(token, bank, &private, &public);
    if (err)
        return err;
    uint64_t generation = highest(&public, highest(&private, 0)) + 1;
    if (generation > UINT32_MAX)
        return TM_ELIMIT;
    uint8_t id_memory[TM_PKCS11_ID_MAX];
    struct buf id = BUF_ON(id_memory);
    buf_put_u8(&id, (uint8_t)bank);
    buf_put_be(&id, generation, 4);
    struct tm_pkcs11_pair pair;
    err = make_pair(token, buf_bytes(&id), &pair);
    if (err)
        return err;
    if (!is_protected(token, pair.private)) {
        (void)token->f->C_DestroyObject(token->session, pair.private);
        (void)token->f->C_DestroyObject(token->session, pair.public);
        log_error("PKCS#11: the token made a key that is not local, sensitive and never "
                  "extractable; it was destroyed");
        return TM_ETOKEN;
    }
    return tm_pkcs11_clear(token, bank, generation);
}

static enum tm_err clear_class(struct tm_pkcs11 *token, CK_OBJECT_CLASS class, unsigned bank,
                               uint64_t below_generation) {
    struct tm_pkcs11_objects objects;
    enum tm_err err = tm_pkcs11_list(token, class, bank, &objects);
    for (size_t i = 0; !err && i < objects.n; i++) {
        if (objects.at[i].generation < below_generation)
            err = tm_pkcs11_result("C_DestroyObject",
                                   token->f->C_DestroyObject(token->session, objects.at[i].handle));
    }
    return err;
}

enum tm_err tm_pkcs11_clear(struct tm_pkcs11 *token, unsigned bank, uint64_t below_generation) {
    enum tm_err err = clear_class(token, CKO_PRIVATE_KEY, bank, below_generation);
    return err ? err : clear_class(token, CKO_PUBLIC_KEY, bank, below_generation);
}
