/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's key and its witnesses, from the configuration: see core.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "ca/pem.h"
#include "server/core/core.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

static enum tm_err read_public(const char *path, uint8_t ret[AUDIT_ED25519_PUBLIC_SIZE]) {
    size_t n = AUDIT_ED25519_PUBLIC_SIZE;
    AUTO(BIO) bio = BIO_new_file(path, "r");
    if (!bio) {
        log_error("audit.public_key: %s: %s", path, strerror(errno));
        ERR_clear_error();
        return TM_EIO;
    }
    AUTO(EVP_PKEY) key = PEM_read_bio_PUBKEY(bio, NULL, ca_pem_no_password, NULL);
    if (key && EVP_PKEY_is_a(key, "ED25519") && EVP_PKEY_get_raw_public_key(key, ret, &n) == 1)
        return TM_OK;
    ERR_clear_error();
    log_error("audit.public_key: %s: there is no Ed25519 public key in PEM", path);
    return TM_EPARSE;
}

static enum tm_err load_witness(const char *text, struct core_audit *audit) {
    struct audit_key *key = &audit->witnesses[audit->witness_count];
    if (audit->witness_count == CORE_WITNESSES_MAX || audit_vkey_parse(bytes_str(text), key) ||
        key->type != AUDIT_KEY_WITNESS) {
        log_error("audit.witnesses: %s is no verifier key of an Ed25519 witness "
                  "(c2sp.org/tlog-cosignature)",
                  text);
        return TM_EPARSE;
    }
    for (size_t i = 0; i < audit->witness_count; i++)
        if (strcmp(audit->witnesses[i].name, key->name) == 0) {
            log_error("audit.witnesses: two are called %s", key->name);
            return TM_EPARSE;
        }
    audit->witness_count++;
    return TM_OK;
}

enum tm_err core_audit_load(const struct conf *conf, struct core_setup *setup) {
    const struct conf_audit *from = &conf->audit;
    const struct conf_witness *witnesses = from->witnesses.items;
    uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE];
    if (!from->origin)
        return TM_OK;
    setup->audit.on = true;
    setup->audit.token = conf_token_named(conf, from->token);
    enum tm_err err = read_public(from->public_key, public_key);
    if (!err)
        err = audit_key_make(AUDIT_KEY_LOG, bytes_str(from->origin), public_key, &setup->audit.key);
    for (size_t i = 0; i < from->witnesses.count && !err; i++)
        err = load_witness(witnesses[i].key, &setup->audit);
    return err;
}
