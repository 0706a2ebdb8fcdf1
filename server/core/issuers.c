/* SPDX-License-Identifier: Apache-2.0 */
/* See issuers.h. */
#include "server/core/issuers.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/core/writes.h"

/* One issuer's change. */
struct change {
    struct binding *binding;
    struct ca_issuer_row row;
    struct ca_leaf leaf;
    struct ca_batch batch;
};

struct binding {
    struct core_writes writes; /* first: what is over is a binding */
    void (*done)(void *arg, enum tm_err result);
    void *arg;
    struct change changes[];
};

enum tm_err core_issuer_key_hash(const struct ca_issuer *issuer, uint8_t ret[CA_HASH_SIZE]) {
    struct bytes spki = issuer->view.spki.whole;
    return EVP_Digest(spki.p, spki.n, ret, NULL, EVP_sha256(), NULL) == 1 ? TM_OK : TM_ECRYPTO;
}

static void over(struct core_writes *writes, enum tm_err result) {
    struct binding *binding = (struct binding *)writes;
    binding->done(binding->arg, result);
    free(binding);
}

static void durable(struct ca_batch *batch, enum tm_err result) {
    const struct change *change = batch->arg;
    if (result)
        log_error("issuer %s: its row was not written: %s", change->row.name, tm_err_name(result));
    core_writes_settle(&change->binding->writes, result);
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

static void fill_leaf(const struct ca_issuer *issuer, const uint8_t hash[CA_HASH_SIZE],
                      int64_t now_ms, struct ca_leaf *leaf) {
    char key[2 * CA_HASH_SIZE + 1] = "";
    if (hex_encode((struct bytes){hash, CA_HASH_SIZE}, key, sizeof key))
        key[0] = '\0';
    *leaf = (struct ca_leaf){.event = CA_EVENT_ISSUER, .time_ms = now_ms, .actor = "touchmarkd"};
    (void)snprintf(leaf->reason, sizeof leaf->reason, "%s: key %s", issuer->name, key);
}

static enum tm_err bind_issuer(struct binding *binding, size_t index,
                               const struct ca_issuer *issuer, struct ca_store *store,
                               int64_t now_ms) {
    struct change *change = &binding->changes[index];
    uint8_t hash[CA_HASH_SIZE];
    bool new = false;
    change->binding = binding;
    TEXT_SET(change->row.name, issuer->name);
    enum tm_err err = store->ops->row(store, CA_TABLE_ISSUER, &change->row, NULL);
    if (err == TM_ENOTFOUND)
        err = TM_OK;
    if (!err)
        err = core_issuer_key_hash(issuer, hash);
    if (!err)
        err = judge(issuer, &change->row, hash, &new);
    if (err || !new)
        return err;
    change->row.version++;
    change->row.crl_shards = issuer->crl_shards;
    if (!change->row.since_ms)
        change->row.since_ms = now_ms;
    memcpy(change->row.spki_sha256, hash, CA_HASH_SIZE);
    fill_leaf(issuer, hash, now_ms, &change->leaf);
    change->batch = (struct ca_batch){
        .count = 2,
        .changes = {{.kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_ISSUER, .row = &change->row}},
                    {.kind = CA_ADD_LEAF, .u.leaf = &change->leaf}},
        .done = durable,
        .arg = change};
    return core_writes_submit(&binding->writes, store, &change->batch);
}

void core_issuers_bind(const struct core_setup *setup, struct ca_store *store, int64_t now_ms,
                       void (*done)(void *arg, enum tm_err result), void *arg) {
    struct binding *binding =
        calloc(1, sizeof *binding + setup->issuer_count * sizeof binding->changes[0]);
    if (!binding) {
        done(arg, TM_ENOMEM);
        return;
    }
    *binding = (struct binding){.done = done, .arg = arg};
    core_writes_begin(&binding->writes, over);
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < setup->issuer_count && !err; i++)
        err = bind_issuer(binding, i, &setup->issuers[i], store, now_ms);
    core_writes_settle(&binding->writes, err);
}
