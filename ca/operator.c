/* SPDX-License-Identifier: Apache-2.0 */
/* Operators, and who works at a station: see ca/operator.h. */
#include "ca/operator.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY (UINT64_C(32) << 20)
#define WAIT_FIRST_MS 1000
#define ATTEMPTS_MAX 8

enum tm_err ca_operator_derive(struct bytes secret, const uint8_t salt[CA_OPERATOR_SALT_SIZE],
                               uint8_t ret[CA_HASH_SIZE]) {
    return EVP_PBE_scrypt((const char *)secret.p, secret.n, salt, CA_OPERATOR_SALT_SIZE, SCRYPT_N,
                          SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY, ret, CA_HASH_SIZE) == 1
               ? TM_OK
               : TM_ECRYPTO;
}

enum tm_err ca_operator_secret(char ret[CA_OPERATOR_SECRET_TEXT]) {
    uint8_t octets[(CA_OPERATOR_SECRET_TEXT - 1) / 2];
    if (RAND_priv_bytes(octets, sizeof octets) != 1)
        return TM_ECRYPTO;
    enum tm_err err = hex_encode(BYTES_OF(octets), ret, CA_OPERATOR_SECRET_TEXT);
    bytes_wipe(octets, sizeof octets);
    return err;
}

/* ---- reading ---- */

enum tm_err ca_shift_read(struct ca_store *store, const char *tenant, const char *station,
                          struct ca_shift *ret) {
    struct ca_shift shift = {.version = 0};
    TEXT_SET(shift.tenant, tenant);
    TEXT_SET(shift.station, station);
    enum tm_err err = store->ops->row(store, CA_TABLE_SHIFT, &shift, NULL);
    if (err && err != TM_ENOTFOUND)
        return err;
    *ret = shift;
    return TM_OK;
}

/* Is the operator still one, with the same secret? */
static enum tm_err still_there(struct ca_store *store, const struct ca_shift *shift, bool *ret) {
    struct ca_operator person = {.version = 0};
    TEXT_SET(person.tenant, shift->tenant);
    TEXT_SET(person.name, shift->operator_name);
    enum tm_err err = store->ops->row(store, CA_TABLE_OPERATOR, &person, NULL);
    if (err && err != TM_ENOTFOUND)
        return err;
    *ret = !err && person.version == shift->operator_version;
    return TM_OK;
}

enum tm_err ca_shift_current(struct ca_store *store, const char *tenant, const char *station,
                             int64_t now_ms, char ret[IPC_NAME_MAX + 1]) {
    struct ca_shift shift;
    bool there = false;
    enum tm_err err = ca_shift_read(store, tenant, station, &shift);
    if (!err && shift.operator_name[0] && now_ms < shift.until_ms && now_ms >= shift.since_ms)
        err = still_there(store, &shift, &there);
    if (!err)
        text_copy(ret, IPC_NAME_MAX + 1, there ? shift.operator_name : "");
    return err;
}

int64_t ca_login_wait_ms(uint32_t failures) {
    int64_t wait = WAIT_FIRST_MS;
    if (failures <= CA_LOGIN_FREE)
        return 0;
    for (uint32_t i = CA_LOGIN_FREE + 1; i < failures && wait < CA_LOGIN_WAIT_MAX_MS; i++)
        wait *= 2;
    return wait < CA_LOGIN_WAIT_MAX_MS ? wait : CA_LOGIN_WAIT_MAX_MS;
}

/* ---- changes: one row and its leaf ---- */

struct change {
    struct ca_store *store;
    enum tm_err (*decide)(struct change *change, char text[IPC_TEXT_MAX + 1]);
    ca_operator_fn *done;
    void *arg;
    unsigned attempts;
    struct ca_login login;
    struct ca_operator wanted, person;
    struct ca_shift shift;
    int64_t until_ms;
    enum tm_err answer; /* once it is durable */
    char text[IPC_TEXT_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
    struct ca_leaf leaf;
    struct ca_batch batch;
};

static void change_run(struct change *change);

static void change_end(struct change *change, enum tm_err result, const char *text) {
    change->done(change->arg, result, text, change->until_ms);
    bytes_wipe(change, sizeof *change);
    free(change);
}

static void change_durable(struct ca_batch *batch, enum tm_err result) {
    struct change *change = batch->arg;
    if (result == TM_ECONFLICT && ++change->attempts < ATTEMPTS_MAX)
        change_run(change);
    else if (result)
        change_end(change, result, "the registry did not take the change; nothing happened");
    else
        change_end(change, change->answer, change->text);
}

static void change_run(struct change *change) {
    char text[IPC_TEXT_MAX + 1] = "";
    change->until_ms = 0;
    change->batch = (struct ca_batch){.done = change_durable, .arg = change};
    enum tm_err err = change->decide(change, text);
    if (!err)
        err = change->store->ops->submit(change->store, &change->batch);
    if (err)
        change_end(change, err, text[0] ? text : "the registry is busy; try again");
}

static enum tm_err start(struct ca_store *store, const struct change *filled,
                         enum tm_err (*decide)(struct change *, char *), ca_operator_fn *done,
                         void *arg) {
    struct change *change = malloc(sizeof *change);
    if (!change)
        return TM_ENOMEM;
    *change = *filled;
    change->store = store;
    change->decide = decide;
    change->done = done;
    change->arg = arg;
    change_run(change);
    return TM_OK;
}

static void add(struct change *change, enum ca_change_kind kind, enum ca_table table,
                const void *row) {
    change->batch.changes[0] =
        (struct ca_change){.kind = (uint8_t)kind, .u.row = {.table = table, .row = row}};
    change->batch.changes[1] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &change->leaf};
    change->batch.count = 2;
}

/* ---- who may work ---- */

static enum tm_err read_person(struct change *change) {
    change->person = change->wanted;
    change->person.version = 0;
    struct ca_store *store = change->store;
    return store->ops->row(store, CA_TABLE_OPERATOR, &change->person, NULL);
}

static void person_leaf(struct change *change, int64_t now_ms, const char *reason) {
    change->leaf = (struct ca_leaf){.event = CA_EVENT_OPERATOR, .time_ms = now_ms};
    TEXT_SET(change->leaf.tenant, change->wanted.tenant);
    TEXT_SET(change->leaf.operator_name, change->wanted.name);
    TEXT_SET(change->leaf.actor, change->actor);
    TEXT_SET(change->leaf.reason, reason);
}

static enum tm_err decide_put(struct change *change, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = read_person(change);
    bool known = !err;
    uint64_t version = known ? change->person.version : 0;
    if (err && err != TM_ENOTFOUND) {
        text_copy(text, IPC_TEXT_MAX + 1, "the registry cannot be read");
        return err;
    }
    change->person = change->wanted;
    change->person.version = version + 1;
    person_leaf(change, change->wanted.created_ms, known ? "has another secret" : "added");
    add(change, CA_PUT_ROW, CA_TABLE_OPERATOR, &change->person);
    return TM_OK;
}

enum tm_err ca_operator_put(struct ca_store *store, const struct ca_operator *person,
                            const char *actor, ca_operator_fn *done, void *arg) {
    struct change change = {.wanted = *person};
    TEXT_SET(change.actor, actor);
    return start(store, &change, decide_put, done, arg);
}

static enum tm_err decide_remove(struct change *change, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = read_person(change);
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "tenant %s has no operator %s",
                       change->wanted.tenant, change->wanted.name);
        return err;
    }
    person_leaf(change, change->wanted.created_ms, "removed");
    add(change, CA_END_ROW, CA_TABLE_OPERATOR, &change->person);
    return TM_OK;
}

enum tm_err ca_operator_remove(struct ca_store *store, const char *tenant, const char *name,
                               int64_t now_ms, const char *actor, ca_operator_fn *done, void *arg) {
    struct change change = {.wanted = {.created_ms = now_ms}};
    TEXT_SET(change.wanted.tenant, tenant);
    TEXT_SET(change.wanted.name, name);
    TEXT_SET(change.actor, actor);
    return start(store, &change, decide_remove, done, arg);
}

/* ---- who works ---- */

static void login_leaf(struct change *change, const char *reason) {
    const struct ca_login *login = &change->login;
    change->leaf = (struct ca_leaf){.event = CA_EVENT_SHIFT, .time_ms = login->now_ms};
    TEXT_SET(change->leaf.tenant, login->tenant);
    TEXT_SET(change->leaf.station, login->station);
    TEXT_SET(change->leaf.operator_name, login->operator_name);
    TEXT_SET(change->leaf.actor, login->actor);
    TEXT_SET(change->leaf.remote, login->remote);
    TEXT_SET(change->leaf.reason, reason);
}

static void fail(struct change *change) {
    struct ca_shift *shift = &change->shift;
    shift->failures += shift->failures < UINT32_MAX;
    int64_t wait_ms = ca_login_wait_ms(shift->failures);
    shift->retry_ms = change->login.now_ms + wait_ms;
    change->until_ms = wait_ms;
    change->answer = TM_EDENIED;
    TEXT_SET(change->text, "operator or secret is wrong");
    login_leaf(change, "login refused: operator or secret is wrong");
    change->leaf.count = shift->failures;
}

static void succeed(struct change *change) {
    struct ca_shift *shift = &change->shift;
    const struct ca_login *login = &change->login;
    bool leaves = !login->operator_name[0];
    char reason[IPC_TEXT_MAX + 1] = "login";
    if (leaves)
        (void)snprintf(reason, sizeof reason, "logout of %s", shift->operator_name);
    TEXT_SET(shift->operator_name, login->operator_name);
    shift->operator_version = login->operator_version;
    shift->since_ms = login->now_ms;
    shift->until_ms = leaves ? 0 : login->now_ms + login->shift_ms;
    if (!leaves)
        shift->failures = 0;
    change->until_ms = shift->until_ms;
    change->answer = TM_OK;
    change->text[0] = '\0';
    login_leaf(change, reason);
}

static enum tm_err decide_login(struct change *change, char text[IPC_TEXT_MAX + 1]) {
    const struct ca_login *login = &change->login;
    enum tm_err err = ca_shift_read(change->store, login->tenant, login->station, &change->shift);
    if (err) {
        text_copy(text, IPC_TEXT_MAX + 1, "the registry cannot be read");
        return err;
    }
    if (login->good)
        succeed(change);
    else
        fail(change);
    change->shift.version++;
    add(change, CA_PUT_ROW, CA_TABLE_SHIFT, &change->shift);
    return TM_OK;
}

enum tm_err ca_login_record(struct ca_store *store, const struct ca_login *login,
                            ca_operator_fn *done, void *arg) {
    const struct change change = {.login = *login};
    return start(store, &change, decide_login, done, arg);
}
