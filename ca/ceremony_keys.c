/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's keys: generated, read back, judged and recorded. */
#include <string.h>

#include "ca/ceremony_run.h"

static const char *const type_words[] = {"P-256", "P-384", "RSA", "Ed25519"};

/* A key that the plan has made: a CA's own, the one that signs its OCSP answers, or the TLS
 * server's. */
struct wanted {
    const struct ca_ceremony_ca *ca;
    const char *label;
    const char *purpose; /* NULL: the CA's own */
};

static struct ca_transcript_entry entry_of(const struct wanted *key, enum ca_step step) {
    return (struct ca_transcript_entry){.step = step,
                                        .token = key->ca->token,
                                        .ca = key->ca->name,
                                        .purpose = ca_said(key->purpose),
                                        .key_label = ca_said(key->label)};
}

static const struct ca_transcript_entry *recorded(const struct ca_run *run,
                                                  const struct wanted *key, enum ca_step step) {
    return ca_transcript_find_key(run->transcript, step, key->ca->name, key->label);
}

static enum tm_err remove_torn_key(const struct ca_run *run, const struct wanted *key) {
    char text[CA_KEYSTORE_TEXT_MAX];
    struct ca_transcript_entry entry = entry_of(key, CA_STEP_KEY_REMOVING);
    entry.note = ca_said("interrupted while it was generated; nothing was signed with it");
    enum tm_err err = ca_run_record(run, &entry);
    if (err)
        return err;
    err = run->keystore->ops->remove_torn(run->keystore, key->label, text);
    return err ? ca_run_fault(run, key->ca->name, err, text) : TM_OK;
}

/* Only what an earlier run announced is this ceremony's; and a key that was recorded, which may
 * have signed, is never removed. */
static enum tm_err take_up_key(const struct ca_run *run, const struct wanted *key,
                               bool *ret_ready) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool torn = false;
    if (!recorded(run, key, CA_STEP_KEY_MAKING))
        return ca_run_fault(run, key->ca->name, TM_EEXISTS, "the key's label has become occupied");
    if (!recorded(run, key, CA_STEP_KEY)) {
        enum tm_err err = run->keystore->ops->torn(run->keystore, key->label, &torn, text);
        if (err)
            return ca_run_fault(run, key->ca->name, err, text);
    }
    *ret_ready = !torn;
    return torn ? remove_torn_key(run, key) : TM_OK;
}

static enum tm_err generate_key(const struct ca_run *run, const struct wanted *key) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool used, ready = false;
    enum tm_err err = run->keystore->ops->label_used(run->keystore, key->label, &used, text);
    if (err)
        return ca_run_fault(run, key->ca->name, err, text);
    if (used)
        err = take_up_key(run, key, &ready);
    if (err || ready)
        return err;
    const struct ca_transcript_entry entry = entry_of(key, CA_STEP_KEY_MAKING);
    err = ca_run_record(run, &entry);
    if (err)
        return err;
    err = run->keystore->ops->generate(run->keystore, (enum ca_ceremony_key)key->ca->key_type,
                                       key->label, text);
    return err ? ca_run_fault(run, key->ca->name, err, text) : TM_OK;
}

static enum tm_err judge_key(const struct ca_run *run, const struct wanted *wanted,
                             const struct ca_keystore_key *key, const char *spki_sha256) {
    if (key->type != wanted->ca->key_type)
        return ca_run_fail(run, TM_EDENIED, "CA %s: the key is %s instead of what was planned",
                           wanted->ca->name, type_words[key->type]);
    if (!key->sensitive || !key->always_sensitive || key->extractable || !key->never_extractable ||
        !key->local)
        return ca_run_fail(run, TM_EDENIED, "CA %s: the key may have been outside of the token",
                           wanted->ca->name);
    const struct ca_transcript_entry *before = recorded(run, wanted, CA_STEP_KEY);
    if (before && (!before->spki_sha256 || strcmp(before->spki_sha256, spki_sha256) != 0))
        return ca_run_fail(run, TM_EDENIED,
                           "CA %s: the key is not the one that this ceremony generated",
                           wanted->ca->name);
    return TM_OK;
}

static enum tm_err record_key(const struct ca_run *run, const struct wanted *wanted,
                              const struct ca_keystore_key *key) {
    char spki_sha256[65];
    if (ca_run_sha256(key->spki, spki_sha256))
        return ca_run_fault(run, wanted->ca->name, TM_ECRYPTO, "the public key cannot be hashed");
    enum tm_err err = judge_key(run, wanted, key, spki_sha256);
    if (err || recorded(run, wanted, CA_STEP_KEY))
        return err;
    struct ca_transcript_entry entry = entry_of(wanted, CA_STEP_KEY);
    entry.key_type = ca_said(type_words[key->type]);
    entry.attributes = ca_said("sensitive, always sensitive, never extractable, local");
    entry.spki_sha256 = spki_sha256;
    return ca_run_record(run, &entry);
}

/* held: whose own key it is, which signing needs later; NULL for a second key. */
static enum tm_err take_key(const struct ca_run *run, const struct wanted *wanted,
                            struct ca_held *held) {
    char text[CA_KEYSTORE_TEXT_MAX];
    struct ca_keystore_key key;
    enum tm_err err = run->keystore->ops->find(run->keystore, wanted->label, &key, text);
    if (err)
        return ca_run_fault(run, wanted->ca->name, err, text);
    if (held) {
        struct buf copy = BUF_ON(held->spki_memory);
        buf_put(&copy, key.spki);
        if (copy.full || pki_spki_parse(buf_bytes(&copy), &held->spki))
            return ca_run_fault(run, wanted->ca->name, TM_ETOKEN, "the public key cannot be read");
    }
    return record_key(run, wanted, &key);
}

static enum tm_err make_key(const struct ca_run *run, const struct wanted *wanted,
                            struct ca_held *held) {
    enum tm_err err = generate_key(run, wanted);
    return err ? err : take_key(run, wanted, held);
}

bool ca_run_makes_keys(const struct ca_run *run, const char *token) {
    for (size_t i = 0; i < run->count; i++)
        if (!run->held[i].ca->certificate && strcmp(run->held[i].ca->token, token) == 0)
            return true;
    return false;
}

enum tm_err ca_run_make_keys(struct ca_run *run, const char *token) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++) {
        const struct ca_ceremony_ca *ca = run->held[i].ca;
        if (strcmp(ca->token, token) != 0 || ca->certificate)
            continue;
        const struct wanted own = {ca, ca->key_label, NULL};
        const struct wanted ocsp = {ca, ca->ocsp_key_label, "OCSP answers"};
        const struct wanted tls = {ca, ca->tls_key_label, "TLS server"};
        err = make_key(run, &own, &run->held[i]);
        if (!err && ocsp.label)
            err = make_key(run, &ocsp, NULL);
        if (!err && tls.label)
            err = make_key(run, &tls, NULL);
    }
    return err;
}
