/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of IDs, in parts that are stored under the hash of the whole: see ca/jobs.h. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/jobs_internal.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

/* The next ID of a part; false: there is no more, or what follows is none. */
static bool next_id(struct bytes ids, size_t *at, char ret[IPC_NAME_MAX + 1]) {
    const uint8_t *p = ids.p + *at;
    const uint8_t *end = *at < ids.n ? memchr(p, '\n', ids.n - *at) : NULL;
    if (!end || end - p > IPC_NAME_MAX)
        return false;
    memcpy(ret, p, (size_t)(end - p));
    ret[end - p] = '\0';
    *at += (size_t)(end - p) + 1;
    return ca_device_id_valid(ret);
}

/* Sorted, each once and above `after`, and nothing behind them: then the last one. */
static bool is_sorted(struct bytes ids, const char *after, char ret_last[IPC_NAME_MAX + 1],
                      uint32_t *count) {
    char id[IPC_NAME_MAX + 1];
    size_t at = 0;
    TEXT_SET(id, after);
    text_copy(ret_last, IPC_NAME_MAX + 1, after);
    while (next_id(ids, &at, id)) {
        if (strcmp(ret_last, id) >= 0)
            return false;
        text_copy(ret_last, IPC_NAME_MAX + 1, id);
        ++*count;
    }
    return at == ids.n;
}

/* ---- storing ---- */

struct putting {
    struct ca_job_ids row;
    ca_jobs_fn *done;
    void *arg;
    struct ca_batch batch;
    uint8_t octets[CA_JOB_IDS_MAX];
};

static void put_durable(struct ca_batch *batch, enum tm_err result) {
    struct putting *p = batch->arg;
    p->done(p->arg, result, result ? "the registry did not take the IDs" : "", NULL);
    free(p);
}

static bool is_there(struct ca_store *store, const struct ca_job_ids *row) {
    struct ca_job_ids stored = *row;
    uint8_t octets[CA_ROW_MEMORY_MAX];
    struct buf memory = BUF_ON(octets);
    return !store->ops->row(store, CA_TABLE_JOB_IDS, &stored, &memory) &&
           bytes_equal(stored.ids, row->ids);
}

enum tm_err ca_jobs_put_ids(struct ca_jobs *jobs, const char *tenant,
                            const uint8_t list[CA_HASH_SIZE], struct bytes ids, ca_jobs_fn *done,
                            void *arg) {
    struct ca_store *store = jobs->config.store;
    struct putting *p = calloc(1, sizeof *p);
    uint32_t count = 0;
    if (!p)
        return TM_ENOMEM;
    p->done = done;
    p->arg = arg;
    p->row.version = 1;
    TEXT_SET(p->row.tenant, tenant);
    memcpy(p->row.list, list, CA_HASH_SIZE);
    p->batch = (struct ca_batch){.count = 1, .done = put_durable, .arg = p};
    p->batch.changes[0] = (struct ca_change){.kind = CA_PUT_ROW,
                                             .u.row = {.table = CA_TABLE_JOB_IDS, .row = &p->row}};
    enum tm_err err = TM_OK;
    if (ids.n > sizeof p->octets || !is_sorted(ids, "", p->row.last, &count) || !count) {
        err = TM_EPARSE;
    } else {
        memcpy(p->octets, ids.p, ids.n);
        p->row.ids = (struct bytes){p->octets, ids.n};
        if (is_there(store, &p->row)) {
            put_durable(&p->batch, TM_OK);
            return TM_OK;
        }
        err = store->ops->submit(store, &p->batch);
    }
    if (err) {
        done(arg, err,
             err == TM_EPARSE ? "IDs must be device IDs, sorted by their octets, each once"
                              : "the registry is busy; try again",
             NULL);
        free(p);
    }
    return TM_OK;
}

/* ---- reading ---- */

static enum tm_err begin(const struct ca_job_ids *row, struct buf *cursor) {
    cursor->n = 0;
    buf_put(cursor, bytes_str(row->tenant));
    buf_put_u8(cursor, 0);
    buf_put(cursor, BYTES_OF(row->list));
    buf_put(cursor, bytes_str(row->last));
    return cursor->full ? TM_ELIMIT : TM_OK;
}

/* The part of the same list that the cursor stands before. */
static enum tm_err next_part(const struct ca_jobs *jobs, const struct ca_job_ids *list,
                             struct buf *cursor, struct ca_job_ids *ret, struct buf *memory) {
    struct ca_store *store = jobs->config.store;
    memory->n = 0;
    enum tm_err err = store->ops->next_row(store, CA_TABLE_JOB_IDS, cursor, ret, memory);
    if (err)
        return err;
    return strcmp(ret->tenant, list->tenant) == 0 &&
                   memcmp(ret->list, list->list, CA_HASH_SIZE) == 0
               ? TM_OK
               : TM_ENOTFOUND;
}

static void name_list(const char *tenant, const uint8_t list[CA_HASH_SIZE],
                      struct ca_job_ids *ret) {
    *ret = (struct ca_job_ids){.version = 0};
    TEXT_SET(ret->tenant, tenant);
    memcpy(ret->list, list, CA_HASH_SIZE);
}

enum tm_err ca_jobs_count_ids(const struct ca_jobs *jobs, const char *tenant,
                              const uint8_t list[CA_HASH_SIZE], uint32_t *ret_count) {
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX], hash[CA_HASH_SIZE];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    struct ca_job_ids whole, part;
    char last[IPC_NAME_MAX + 1] = "";
    uint32_t count = 0;
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    name_list(tenant, list, &whole);
    enum tm_err err = begin(&whole, &cursor);
    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    while (!err && !(err = next_part(jobs, &whole, &cursor, &part, &memory))) {
        char after[IPC_NAME_MAX + 1];
        TEXT_SET(after, last);
        if (!is_sorted(part.ids, after, last, &count))
            return TM_ENOTFOUND;
        if (EVP_DigestUpdate(ctx, part.ids.p, part.ids.n) != 1)
            return TM_ECRYPTO;
        if (count > CA_JOB_LISTED_MAX)
            return TM_ELIMIT;
    }
    if (err != TM_ENOTFOUND)
        return err;
    if (EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        return TM_ECRYPTO;
    if (memcmp(hash, list, sizeof hash) != 0)
        return TM_ENOTFOUND;
    *ret_count = count;
    return TM_OK;
}

static bool contains(struct bytes ids, const char *wanted) {
    char id[IPC_NAME_MAX + 1];
    size_t at = 0;
    while (next_id(ids, &at, id))
        if (strcmp(id, wanted) == 0)
            return true;
    return false;
}

/* A part's key ends with its last ID: it is the first whose key is not below this ID's. */
static enum tm_err is_listed(const struct ca_jobs *jobs, const struct ca_job *job, const char *id,
                             bool *ret) {
    struct ca_store *store = jobs->config.store;
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    struct ca_job_ids wanted, part;
    name_list(job->tenant, job->list, &wanted);
    TEXT_SET(wanted.last, id);
    part = wanted;
    enum tm_err err = store->ops->row(store, CA_TABLE_JOB_IDS, &part, &memory);
    if (err == TM_ENOTFOUND) {
        err = begin(&wanted, &cursor);
        if (!err)
            err = next_part(jobs, &wanted, &cursor, &part, &memory);
    }
    if (err && err != TM_ENOTFOUND)
        return err;
    *ret = !err && contains(part.ids, id);
    return TM_OK;
}

enum tm_err ca_jobs_holds(const struct ca_jobs *jobs, const struct ca_job *job, const char *id,
                          bool *ret) {
    if (job->listed)
        return is_listed(jobs, job, id, ret);
    *ret = ca_job_in_range(job, id);
    return TM_OK;
}
