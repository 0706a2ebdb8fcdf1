/* SPDX-License-Identifier: Apache-2.0 */
/* What a label serves without asking the core: CA certificates and CSR attributes. */
#include <string.h>

#include "base/log.h"
#include "est/wire/certs_only.h"
#include "est/wire/csrattrs.h"
#include "server/core/core.h"

static enum pki_oid ml_dsa_of(unsigned keys) {
    if (keys & CA_KEY_MLDSA44)
        return PKI_OID_ML_DSA_44;
    return keys & CA_KEY_MLDSA65 ? PKI_OID_ML_DSA_65 : PKI_OID_ML_DSA_87;
}

static void ask_key(const struct ca_profile *profile, struct est_csrattrs *attrs) {
    if (profile->keys & CA_KEY_P256) {
        attrs->key_algorithm = PKI_OID_EC_PUBLIC_KEY;
        attrs->curve = PKI_OID_PRIME256V1;
        attrs->signature = PKI_OID_ECDSA_SHA256;
    } else if (profile->keys & CA_KEY_P384) {
        attrs->key_algorithm = PKI_OID_EC_PUBLIC_KEY;
        attrs->curve = PKI_OID_SECP384R1;
        attrs->signature = PKI_OID_ECDSA_SHA384;
    } else if (profile->keys & CA_KEY_ED25519) {
        attrs->key_algorithm = PKI_OID_ED25519;
        attrs->signature = PKI_OID_ED25519;
    } else if (profile->keys & CA_KEYS_MLDSA) {
        attrs->key_algorithm = ml_dsa_of(profile->keys);
        attrs->signature = attrs->key_algorithm;
    } else {
        attrs->key_algorithm = PKI_OID_RSA_ENCRYPTION;
        attrs->rsa_bits = 2048;
        attrs->signature = PKI_OID_RSA_SHA256;
    }
}

static enum tm_err write_csrattrs(const struct ca_profile *profile, struct buf *out) {
    struct est_csrattrs attrs = {.template_form = true,
                                 .challenge_password = profile->link != CA_LINK_OFF,
                                 .subject_count = 1,
                                 .subject = {PKI_OID_COMMON_NAME}};
    ask_key(profile, &attrs);
    return est_csrattrs_write(&attrs, out);
}

static enum tm_err send_label(const struct core_setup *setup, const struct ca_label *label,
                              struct ipc_catalog *entry, struct ipc_link *link) {
    uint8_t cacerts[IPC_CHAIN_MAX + 256], csrattrs[EST_CSRATTRS_MAX];
    struct buf cacerts_buf = BUF_ON(cacerts), csrattrs_buf = BUF_ON(csrattrs);
    const struct core_trust *trust = &setup->trust[label->tenant - setup->tenants];
    enum tm_err err = est_certs_only_write(trust->cacerts, &cacerts_buf);
    if (!err)
        err = write_csrattrs(label->profile, &csrattrs_buf);
    if (err)
        return err;
    memset(entry->label, 0, sizeof entry->label);
    TEXT_SET(entry->label, label->label);
    entry->is_default = label->is_default;
    entry->wants_link = (uint8_t)label->profile->link;
    entry->cacerts = buf_bytes(&cacerts_buf);
    entry->csrattrs = buf_bytes(&csrattrs_buf);
    return ipc_link_send(link, &ipc_catalog_schema, entry);
}

enum tm_err core_catalog_send(const struct core_setup *setup, uint32_t generation,
                              struct ipc_link *link) {
    struct ipc_catalog entry = {.generation = generation, .count = (uint16_t)setup->label_count};
    for (size_t i = 0; i < setup->label_count; i++) {
        entry.index = (uint16_t)i;
        enum tm_err err = send_label(setup, &setup->labels[i], &entry, link);
        if (err && err != TM_ECLOSED) /* a face that has gone meanwhile is nothing special */
            log_error("catalog of label %s: %s", setup->labels[i].label, tm_err_name(err));
        if (err)
            return err;
    }
    return TM_OK;
}
