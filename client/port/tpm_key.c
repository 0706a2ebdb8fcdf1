/* SPDX-License-Identifier: Apache-2.0 */
/* TPMKey, both ways: see tpm_key.h. */
#include "client/port/tpm_key.h"

#include <tss2/tss2_mu.h>

#include "pki/der.h"

/* id-loadablekey, 2.23.133.10.1.3 */
static const uint8_t loadable_key[] = {0x67, 0x81, 0x05, 0x0a, 0x01, 0x03};

enum tm_err tm_tpm_key_encode(const struct tm_tpm_key *key, struct buf *out) {
    uint8_t public[sizeof key->public], private[sizeof key->private];
    size_t public_n = 0, private_n = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(&key->public, public, sizeof public, &public_n) ||
        Tss2_MU_TPM2B_PRIVATE_Marshal(&key->private, private, sizeof private, &private_n))
        return TM_EINVAL;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put(&w, DER_OCTET_STRING, (struct bytes){private, private_n});
    der_put(&w, DER_OCTET_STRING, (struct bytes){public, public_n});
    der_put_small(&w, key->parent);
    size_t empty_auth_end = der_mark(&w);
    der_put_boolean(&w, true);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(0), empty_auth_end);
    der_put(&w, DER_OID, BYTES_OF(loadable_key));
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

/* emptyAuth [0] EXPLICIT BOOLEAN, which has to be TRUE: nobody would know the password. Any octet
 * but 0 is that in BER, and tpm2-openssl writes 1. */
static enum tm_err take_empty_auth(struct bytes *in) {
    struct der wrapped, boolean;
    if (der_expect(in, DER_CONTEXT_CONSTRUCTED(0), &wrapped) != TM_OK ||
        der_only(wrapped.value, DER_BOOLEAN, &boolean) != TM_OK || boolean.value.n != 1 ||
        boolean.value.p[0] == 0)
        return TM_EPARSE;
    return TM_OK;
}

/* Trailing octets are an error, too. */
static enum tm_err unmarshal(struct bytes public, struct bytes private, struct tm_tpm_key *key) {
    size_t public_n = 0, private_n = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(public.p, public.n, &public_n, &key->public) ||
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(private.p, private.n, &private_n, &key->private) ||
        public_n != public.n || private_n != private.n)
        return TM_EPARSE;
    return TM_OK;
}

static bool signs_on_p256(const TPMT_PUBLIC *public) {
    return public->type == TPM2_ALG_ECC &&
           public->parameters.eccDetail.curveID == TPM2_ECC_NIST_P256 &&
           public->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT &&
           !(public->objectAttributes & TPMA_OBJECT_RESTRICTED);
}

/* Parents that outlive a reset of the TPM. */
static bool is_parent(uint32_t handle) {
    return handle == TPM2_RH_OWNER || handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT;
}

enum tm_err tm_tpm_key_decode(struct bytes der, struct tm_tpm_key *ret) {
    struct der outer, type, parent, public, private;
    struct tm_tpm_key key = {0};
    if (der_only(der, DER_SEQUENCE, &outer) != TM_OK ||
        der_expect(&outer.value, DER_OID, &type) != TM_OK ||
        !bytes_equal(type.value, BYTES_OF(loadable_key)) ||
        take_empty_auth(&outer.value) != TM_OK ||
        der_expect(&outer.value, DER_INTEGER, &parent) != TM_OK ||
        der_small(&parent, &key.parent) != TM_OK || !is_parent(key.parent) ||
        der_expect(&outer.value, DER_OCTET_STRING, &public) != TM_OK ||
        der_expect(&outer.value, DER_OCTET_STRING, &private) != TM_OK || outer.value.n != 0 ||
        unmarshal(public.value, private.value, &key) != TM_OK ||
        !signs_on_p256(&key.public.publicArea))
        return TM_EPARSE;
    *ret = key;
    return TM_OK;
}
