/* SPDX-License-Identifier: Apache-2.0 */
/* See issuers.h. */
#include "server/core/issuers.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/core/changes.h"

enum tm_err core_issuer_key_hash(const struct ca_issuer *issuer, uint8_t ret[CA_HASH_SIZE]) {
    struct bytes spki = issuer->view.spki.whole;
    return EVP_Digest(spki.p, spki.n, ret, NULL, EVP_sha256(), NULL) == 1 ? TM_OK : TM_ECRYPTO;
}

static bool is_zero(const uint8_t hash[CA_HASH_SIZE]) {
    static const uint8_t zero[CA_HASH_SIZE];
    return memcmp(hash, zero, CA_HASH_SIZE) == 0;
}

/* Holds the issuer against its row. *ret_new: the row does not say all yet. */
static enum tm_err judge(const struct ca_issuer *issuer, const struct ca_issuer_row *row,
                         const uint8_t hash[CA_HASH_SIZE], bool *ret_new) {
    if (!is_zero(row->spki_sha256) && memcmp(row->spki_sha256, hash, CA_HASH_SIZE) != 0) {
        log_error("issuer %s: the store knows this name with another key; a name is one key's for "
                  "ever: give the new one a name of its own",
                  issuer->name);
        return TM_EDENIED;
    }
    if (row->crl_shards && row->crl_shards != issuer->crl_shards) {
        log_error(
            "issuer %s: crl_shards was %u and cannot become %u: certificates name their shard",
            issuer->name, row->crl_shards, issuer->crl_shards);
        return TM_EDENIED;
    }
    *ret_new = is_zero(row->spki_sha256) || row->crl_shards != issuer->crl_shards;
    return TM_OK;
}

static void fill_reason(const struct ca_issuer *issuer, const uint8_t hash[CA_HASH_SIZE],
                        struct ca_leaf *leaf) {
    char key[2 * CA_HASH_SIZE + 1] = "";
    if (hex_encode((struct bytes){hash, CA_HASH_SIZE}, key, sizeof key))
        key[0] = '\0';
    (void)snprintf(leaf->reason, sizeof leaf->reason, "%s: key %s", issuer->name, key);
}

static enum tm_err bind_issuer(struct core_changes *changes, const struct ca_issuer *issuer,
                               struct ca_store *store, int64_t now_ms) {
    struct ca_issuer_row row = {.version = 0};
    uint8_t hash[CA_HASH_SIZE];
    bool new = false;
    TEXT_SET(row.name, issuer->name);
    enum tm_err err = store->ops->row(store, CA_TABLE_ISSUER, &row, NULL);
    if (err == TM_ENOTFOUND)
        err = TM_OK;
    if (!err)
        err = core_issuer_key_hash(issuer, hash);
    if (!err)
        err = judge(issuer, &row, hash, &new);
    if (err || !new)
        return err;
    struct core_change *change =
        core_changes_add(changes, CA_PUT_ROW, CA_TABLE_ISSUER, CA_EVENT_ISSUER, now_ms);
    if (!change)
        return TM_ENOMEM;
    row.version++;
    row.crl_shards = issuer->crl_shards;
    if (!row.since_ms)
        row.since_ms = now_ms;
    memcpy(row.spki_sha256, hash, CA_HASH_SIZE);
    change->row.issuer = row;
    fill_reason(issuer, hash, &change->leaf);
    return TM_OK;
}

void core_issuers_bind(const struct core_setup *setup, struct ca_store *store, int64_t now_ms,
                       void (*done)(void *arg, enum tm_err result), void *arg) {
    struct core_changes *changes = core_changes_new("issuers");
    enum tm_err err = TM_OK;
    if (!changes) {
        done(arg, TM_ENOMEM);
        return;
    }
    for (size_t i = 0; i < setup->issuer_count && !err; i++)
        err = bind_issuer(changes, &setup->issuers[i], store, now_ms);
    core_changes_write(changes, store, err, done, arg);
}
