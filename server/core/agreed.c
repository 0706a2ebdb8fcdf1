/* SPDX-License-Identifier: Apache-2.0 */
/* See agreed.h. */
#include "server/core/agreed.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "server/core/changes.h"

#define HASH_TEXT (2 * CA_HASH_SIZE + 1)

/* ---- rows ---- */

static enum tm_err read_row(struct ca_store *store, const struct core_agreed_kind *kind,
                            const char *subject, struct ca_agreed *ret,
                            uint8_t memory[CA_AGREED_VALUE_MAX]) {
    struct ca_agreed row = {0};
    struct buf value = {memory, CA_AGREED_VALUE_MAX, 0, false};
    (void)snprintf(row.name, sizeof row.name, "%s%s", kind->prefix, subject);
    enum tm_err err = store->ops->row(store, CA_TABLE_AGREED, &row, &value);
    if (err && err != TM_ENOTFOUND)
        return err;
    if (err) {
        row.version = 0;
        row.value = (struct bytes){0};
    }
    *ret = row;
    return TM_OK;
}

const char *core_agreed_subject(const struct core_agreed_kind *kind, const char *name) {
    size_t n = strlen(kind->prefix);
    return strncmp(name, kind->prefix, n) == 0 ? name + n : NULL;
}

static bool covers(const struct core_agreed_kind *kind, const struct ca_agreed *row,
                   struct bytes value) {
    if (!row->version)
        return false;
    return kind->covers ? kind->covers(row->value, value) : bytes_equal(row->value, value);
}

bool core_agreed_any(struct ca_store *store, const struct core_agreed_kind *kind) {
    uint8_t key[CA_ROW_KEY_MAX], memory[CA_AGREED_VALUE_MAX];
    struct buf cursor = BUF_ON(key), value = BUF_ON(memory);
    struct ca_agreed row;
    buf_put(&cursor, bytes_str(kind->prefix)); /* no row has this name alone */
    return !store->ops->next_row(store, CA_TABLE_AGREED, &cursor, &row, &value) &&
           core_agreed_subject(kind, row.name);
}

/* What an act must say that it replaces. */
static enum tm_err replaced_text(const struct core_agreed_kind *kind, const struct ca_agreed *row,
                                 char ret[HASH_TEXT]) {
    uint8_t hash[CA_HASH_SIZE];
    if (!row->version) {
        (void)strcpy(ret, CORE_REPLACES_NOTHING);
        return TM_OK;
    }
    if (kind->plain && row->value.n < HASH_TEXT) {
        memcpy(ret, row->value.p, row->value.n);
        ret[row->value.n] = '\0';
        return TM_OK;
    }
    if (EVP_Q_digest(NULL, "SHA256", NULL, row->value.p, row->value.n, hash, NULL) != 1)
        return TM_ECRYPTO;
    return hex_encode(BYTES_OF(hash), ret, HASH_TEXT);
}

/* ---- finding the act ---- */

struct wanted {
    const struct core_agreed_kind *kind;
    const char *subject;
    struct bytes value;
    char replaces[HASH_TEXT];
};

static bool is_about(const void *arg, const struct ca_act_params *params) {
    const struct wanted *wanted = arg;
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct buf value = BUF_ON(memory);
    char text[IPC_TEXT_MAX + 1];
    return core_act_says(params, wanted->kind->subject, wanted->subject) &&
           core_act_says(params, CORE_REPLACES, wanted->replaces) &&
           !wanted->kind->value_of(params, &value, text) &&
           bytes_equal(buf_bytes(&value), wanted->value);
}

static enum tm_err find_act(struct ca_store *store, const struct core_agreed_kind *kind,
                            const char *subject, const struct ca_agreed *row, struct bytes value,
                            int64_t now_ms, struct core_act_word *ret) {
    struct wanted wanted = {.kind = kind, .subject = subject, .value = value};
    const struct core_act_search search = {.kind = kind->act,
                                           .is_about = is_about,
                                           .arg = &wanted,
                                           .since_ms = row->since_ms,
                                           .act = row->act,
                                           .now_ms = now_ms};
    enum tm_err err = replaced_text(kind, row, wanted.replaces);
    return err ? err : core_act_search(store, &search, ret);
}

/* ---- judging ---- */

static void take(struct core_agreed *agreed, struct bytes value,
                 const uint8_t act[CA_ACT_ID_SIZE]) {
    struct buf copy = BUF_ON(agreed->value);
    agreed->verdict = CORE_AGREED_TAKEN;
    buf_put(&copy, value);
    agreed->row.value = buf_bytes(&copy);
    memset(agreed->row.act, 0, sizeof agreed->row.act);
    if (act)
        memcpy(agreed->row.act, act, sizeof agreed->row.act);
}

enum tm_err core_agreed_judge(struct ca_store *store, const struct core_agreed_kind *kind,
                              const char *subject, struct bytes value, bool guarded, int64_t now_ms,
                              struct core_agreed *ret) {
    struct core_act_word word;
    if (value.n > CA_AGREED_VALUE_MAX)
        return TM_ELIMIT;
    enum tm_err err = read_row(store, kind, subject, &ret->row, ret->value);
    if (err)
        return err;
    ret->verdict = CORE_AGREED_HOLDS;
    if (ret->row.version && bytes_equal(ret->row.value, value))
        return TM_OK;
    if (guarded && covers(kind, &ret->row, value))
        return TM_OK;
    if (!guarded || (kind->each && !ret->row.version)) {
        take(ret, value, NULL);
        return TM_OK;
    }
    err = find_act(store, kind, subject, &ret->row, value, now_ms, &word);
    if (!err && word.approved)
        take(ret, value, word.act);
    else if (!err || err == TM_ENOTFOUND)
        ret->verdict = CORE_AGREED_NOT;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

const char *core_agreed_word(struct ca_store *store, const struct core_agreed_kind *kind,
                             const char *subject, struct bytes value, bool guarded, int64_t now_ms,
                             uint8_t ret_act[CA_ACT_ID_SIZE]) {
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct ca_agreed row;
    struct core_act_word word = {0};
    if (read_row(store, kind, subject, &row, memory))
        return NULL;
    if (covers(kind, &row, value))
        return "in force";
    if (!guarded)
        return "free";
    switch (find_act(store, kind, subject, &row, value, now_ms, &word)) {
    case TM_OK:
        memcpy(ret_act, word.act, CA_ACT_ID_SIZE);
        return word.approved ? "approved" : "open";
    case TM_ENOTFOUND:
        return "unknown";
    default:
        return NULL;
    }
}

/* ---- binding ---- */

static void fill_reason(const struct core_agreed *agreed, struct ca_leaf *leaf) {
    static const uint8_t none[CA_ACT_ID_SIZE];
    bool taken = agreed->verdict == CORE_AGREED_TAKEN;
    char id[CA_ACT_ID_TEXT] = "";
    if (taken && memcmp(agreed->row.act, none, sizeof none) != 0 &&
        hex_encode(BYTES_OF(agreed->row.act), id, sizeof id))
        id[0] = '\0';
    (void)snprintf(leaf->reason, sizeof leaf->reason, "%.200s%s%s", agreed->words,
                   id[0] ? ", act " : "", id);
    if (taken)
        log_info("agreed: %s", leaf->reason);
    else
        log_error("%s", leaf->reason);
}

static enum tm_err bind_one(struct core_changes *changes, struct core_agreed *agreed,
                            int64_t now_ms) {
    bool taken = agreed->verdict == CORE_AGREED_TAKEN;
    struct core_change *change =
        core_changes_add(changes, taken ? CA_PUT_ROW : CA_ADD_LEAF, CA_TABLE_AGREED,
                         taken ? CA_EVENT_AGREED : CA_EVENT_ALARM, now_ms);
    if (!change)
        return TM_ENOMEM;
    if (taken) {
        agreed->row.version++;
        agreed->row.since_ms = now_ms;
        change->row.agreed = agreed->row;
    }
    fill_reason(agreed, &change->leaf);
    return TM_OK;
}

void core_agreed_bind(struct core_agreed *agreed, size_t count, struct ca_store *store,
                      int64_t now_ms, void (*done)(void *arg, enum tm_err result), void *arg) {
    struct core_changes *changes = core_changes_new("what is agreed");
    enum tm_err err = TM_OK;
    if (!changes) {
        done(arg, TM_ENOMEM);
        return;
    }
    for (size_t i = 0; i < count && !err; i++)
        if (agreed[i].verdict != CORE_AGREED_HOLDS)
            err = bind_one(changes, &agreed[i], now_ms);
    core_changes_write(changes, store, err, done, arg);
}

/* ---- the acts ---- */

static enum tm_err judge(const struct core_agreed_act *act, struct ca_act_params *params,
                         char text[IPC_TEXT_MAX + 1]) {
    uint8_t memory[CA_AGREED_VALUE_MAX], wanted_memory[CA_AGREED_VALUE_MAX];
    struct buf wanted = BUF_ON(wanted_memory);
    struct ca_agreed row;
    char replaces[HASH_TEXT];
    enum tm_err err = act->what->value_of(params, &wanted, text);
    if (err)
        return err;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "the registry cannot be read");
    err = read_row(act->store, act->what, ca_act_param(params, act->what->subject), &row, memory);
    if (!err)
        err = replaced_text(act->what, &row, replaces);
    if (err)
        return err;
    if (covers(act->what, &row, buf_bytes(&wanted))) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "this is within what is agreed already");
        return TM_EEXISTS;
    }
    (void)snprintf(text, IPC_TEXT_MAX + 1, "there are too many parameters");
    return ca_act_param_add(params, CORE_REPLACES, replaces);
}

static void check(void *self, struct ca_act_params *params, ca_act_checked_fn *checked, void *arg) {
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = judge(self, params, text);
    checked(arg, err, err ? text : "");
}

static void run(void *self, struct ca_act_run *run_) {
    (void)self;
    ca_act_run_end(run_, TM_OK, "it may be put in force");
}

enum tm_err core_agreed_act_add(struct ca_store *store, struct ca_acts *acts,
                                const struct core_agreed_kind *kind, struct core_agreed_act *ret) {
    *ret = (struct core_agreed_act){
        .store = store,
        .what = kind,
        .kind = {.name = kind->act, .rules = kind->rules, .self = ret, .check = check, .run = run}};
    return ca_acts_add(acts, &ret->kind);
}
