/* SPDX-License-Identifier: Apache-2.0 */
/* Full CMC for devices: the object, offers, and what requests and responses share. */
#include "client/cmc_internal.h"

#include <string.h>

#include "est/wire/certs_only.h"
#include "est/wire/cmc.h"
#include "pki/csr.h"

_Static_assert(TM_CMC_CHALLENGE_MAX == EST_CMC_NONCE_MAX, "each nonce that is read can be held");
_Static_assert(TM_CMC_TRANSACTION_SIZE <= EST_CMC_TRANSACTION_MAX, "it can be written");
_Static_assert(TM_DEVICE_ID_MAX <= EST_CMC_ID_MAX, "each device ID can be an identification");

enum tm_err tm_cmc_init(struct tm_cmc *cmc, const struct tm_cmc_config *config, uint8_t *work,
                        size_t work_size) {
    bool known = config->keys->version == TM_TABLE_VERSION &&
                 config->storage->version == TM_TABLE_VERSION &&
                 config->crypto->version == TM_TABLE_VERSION;
    if (!known || !config->device_id || !work || work_size < TM_CMC_WORK_SIZE)
        return TM_EINVAL;
    size_t n = strnlen(config->device_id, TM_DEVICE_ID_MAX + 1);
    if (n == 0 || n > TM_DEVICE_ID_MAX)
        return TM_EINVAL;
    *cmc = (struct tm_cmc){.config = *config, .work = work, .work_size = work_size};
    return TM_OK;
}

enum tm_err tm_cmc_offer(struct tm_cmc *cmc, struct bytes offer, struct buf *out) {
    struct bytes challenge, certificates;
    if (offer.n > TM_CMC_RESPONSE_MAX)
        return TM_ELIMIT;
    enum tm_err err = est_cmc_offer_read(offer, &challenge, &certificates);
    if (!err && out)
        err = est_certs_only_write(certificates, out);
    if (err)
        return err;
    memcpy(cmc->challenge, challenge.p, challenge.n);
    cmc->challenge_n = challenge.n;
    return TM_OK;
}

bool tm_cmc_ready(const struct tm_cmc *cmc) {
    return cmc->challenge_n > 0;
}

enum tm_err tm_cmc_requested(struct bytes pkcs10, struct bytes *ret_spki,
                             struct bytes *ret_key_id) {
    struct pki_csr csr;
    struct der key_id = {0};
    enum tm_err err = pki_csr_parse(pkcs10, &csr);
    if (err)
        return err;
    const struct pki_extension *extension = pki_csr_extension(&csr, PKI_OID_SUBJECT_KEY_ID);
    if (extension && der_only(extension->value, DER_OCTET_STRING, &key_id))
        return TM_EPARSE;
    *ret_spki = csr.spki.whole;
    *ret_key_id = key_id.value;
    return TM_OK;
}

enum tm_err tm_cmc_chain(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                         struct buf *out, struct tm_facts *ret_leaf) {
    const struct tm_storage *storage = cmc->config.storage;
    size_t start = out->n;
    enum tm_err err =
        storage->read(storage->self, (enum tm_item)(TM_ITEM_CHAIN_0 + exchange->chain_bank), out);
    if (err)
        return err;
    struct bytes rest = {out->p + start, out->n - start};
    return tm_facts_next(&rest, ret_leaf) ? TM_ECORRUPT : TM_OK;
}
