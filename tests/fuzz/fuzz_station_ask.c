/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stations ask for in JSON, over a registry that has one job and one unit: the first octet is
 * the operation, the second what the registry has and whether it takes the change, the rest the
 * body. Whatever it is, each question is answered once, and what is stored has no control
 * characters.
 */
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "server/core/station_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define JOB "J"
#define UNIT "U"
#define STATION "S"
#define TENANT "acme"
#define PROFILE "idevid"
#define BATCHES_MAX 64

static const int64_t now = INT64_C(1767323045678);
static int64_t now_ms(void) {
    return now;
}

static void require(bool condition) {
    if (!condition)
        abort();
}

struct bench {
    struct ca_store store; /* first */
    uint8_t der[IPC_CERT_MAX];
    size_t der_n;
    uint8_t fingerprint[CA_HASH_SIZE];
    uint8_t how;
    struct ca_batch *waiting[BATCHES_MAX];
    size_t waiting_n;
    struct loop *loop;
    struct ca_jobs *jobs;
    struct ca_service *service;
    struct core_station *station;
    struct ca_service_config config;
    struct core_setup setup;
};

/* ---- the registry ---- */

static void check_line(const char *text) {
    for (; *text; text++)
        require(!iscntrl((unsigned char)*text));
}

static enum tm_err submit(struct ca_store *store, struct ca_batch *batch) {
    struct bench *b = (struct bench *)store;
    if (b->how & 1)
        return TM_EFULL;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->changes[i].kind == CA_ADD_LEAF) {
            check_line(batch->changes[i].u.leaf->reason);
            check_line(batch->changes[i].u.leaf->device);
            check_line(batch->changes[i].u.leaf->job);
        }
    require(b->waiting_n < BATCHES_MAX);
    b->waiting[b->waiting_n++] = batch;
    return TM_OK;
}

static enum tm_err certificate(struct ca_store *store, const struct ca_serial *serial,
                               struct ca_certificate *ret, struct buf *der) {
    struct bench *b = (struct bench *)store;
    memset(ret, 0, sizeof *ret);
    ret->serial = *serial;
    TEXT_SET(ret->tenant, TENANT);
    TEXT_SET(ret->device, STATION);
    TEXT_SET(ret->profile, PROFILE);
    ret->status = CA_CERT_ACTIVE;
    ret->not_after_ms = INT64_MAX;
    memcpy(ret->fingerprint, b->fingerprint, CA_HASH_SIZE);
    buf_put(der, (struct bytes){b->der, b->der_n});
    ret->der = buf_bytes(der);
    return TM_OK;
}

static enum tm_err device(struct ca_store *store, const char *tenant, const char *id,
                          struct ca_device *ret) {
    (void)store;
    memset(ret, 0, sizeof *ret);
    ret->version = 1;
    ret->state = CA_MANUFACTURED;
    TEXT_SET(ret->tenant, tenant);
    TEXT_SET(ret->id, id);
    ret->cert_count = 1;
    ret->certs[0] = (struct ca_cert_ref){
        .serial = {.n = 1, .octets = {7}}, .status = CA_CERT_ACTIVE, .not_after_ms = INT64_MAX};
    TEXT_SET(ret->certs[0].profile, PROFILE);
    return TM_OK;
}

static void fill_job(const struct bench *b, struct ca_job *job) {
    *job = (struct ca_job){.version = 1,
                           .status = b->how & 2 ? CA_JOB_STOPPED : CA_JOB_OPEN,
                           .terms = 1,
                           .profile_count = 1,
                           .profiles = {{PROFILE, 9, 1}},
                           .first = "U1",
                           .last = "U9",
                           .until_ms = INT64_MAX,
                           .station_count = 1,
                           .stations = {{STATION}},
                           .begun = 1};
    TEXT_SET(job->tenant, TENANT);
    TEXT_SET(job->name, JOB);
    TEXT_SET(job->product, "gw");
}

static enum tm_err fill_unit(const struct bench *b, struct ca_unit *unit) {
    struct ca_unit key = *unit;
    if (strcmp(key.device, UNIT) != 0)
        return TM_ENOTFOUND;
    *unit = (struct ca_unit){.version = 1, .result = (uint8_t)(b->how >> 2 & 3), .begun_ms = 1};
    TEXT_SET(unit->tenant, key.tenant);
    TEXT_SET(unit->job, key.job);
    TEXT_SET(unit->device, key.device);
    if (b->how & 16) {
        unit->proof_count = 1;
        unit->proofs[0].serial = (struct ca_serial){.n = 1, .octets = {7}};
        TEXT_SET(unit->proofs[0].profile, PROFILE);
    }
    return TM_OK;
}

/* Nobody may log in for a while: no secret is ever derived here. */
static void fill_shift(struct ca_shift *shift) {
    shift->version = 1;
    shift->failures = 9;
    shift->retry_ms = now + CA_LOGIN_WAIT_MAX_MS;
}

static enum tm_err row(struct ca_store *store, enum ca_table table, void *ret, struct buf *memory) {
    const struct bench *b = (struct bench *)store;
    struct ca_job *job = ret;
    (void)memory;
    if (table == CA_TABLE_UNIT)
        return fill_unit(b, ret);
    if (table == CA_TABLE_JOB && strcmp(job->name, JOB) == 0)
        fill_job(b, job);
    else if (table == CA_TABLE_SHIFT)
        fill_shift(ret);
    else
        return TM_ENOTFOUND;
    return TM_OK;
}

static enum tm_err next_row(struct ca_store *store, enum ca_table table, struct buf *cursor,
                            void *ret, struct buf *memory) {
    (void)memory;
    if (table != CA_TABLE_JOB || cursor->n)
        return TM_ENOTFOUND;
    buf_put_u8(cursor, 1);
    fill_job((struct bench *)store, ret);
    return TM_OK;
}

static const struct ca_store_ops ops = {.submit = submit,
                                        .certificate = certificate,
                                        .device = device,
                                        .row = row,
                                        .next_row = next_row};

/* ---- the station ---- */

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(X509_EXTENSION, X509_EXTENSION_free)

static void make_certificate(struct bench *b) {
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    AUTO(X509) made = X509_new();
    AUTO(X509_EXTENSION)
    purpose = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, "1.3.6.1.5.5.7.3.28");
    uint8_t *at = b->der;
    require(key && made && purpose && X509_set_version(made, X509_VERSION_3) == 1 &&
            ASN1_INTEGER_set(X509_get_serialNumber(made), 7) == 1 &&
            X509_gmtime_adj(X509_getm_notBefore(made), 0) &&
            X509_gmtime_adj(X509_getm_notAfter(made), 3600) &&
            X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                                       (const uint8_t *)STATION, -1, -1, 0) == 1 &&
            X509_set_issuer_name(made, X509_get_subject_name(made)) == 1 &&
            X509_add_ext(made, purpose, -1) == 1 && X509_set_pubkey(made, key) == 1 &&
            X509_sign(made, key, EVP_sha256()) > 0);
    b->der_n = (size_t)i2d_X509(made, &at);
    require(EVP_Q_digest(NULL, "SHA256", NULL, b->der, b->der_n, b->fingerprint, NULL) == 1);
}

static struct bench *bench_new(void) {
    static struct bench b;
    b.store.ops = &ops;
    make_certificate(&b);
    const struct ca_jobs_config jobs = {.store = &b.store, .now_ms = now_ms};
    b.config = (struct ca_service_config){.queue = 1, .refusals_per_second = 1, .now_ms = now_ms};
    require(!loop_new(&b.loop) && !ca_jobs_new(&jobs, &b.jobs) && !ca_jobs_load(b.jobs) &&
            !ca_service_new(&b.config, &b.store, NULL, &b.service));
    const struct core_station_config config = {.loop = b.loop,
                                               .store = &b.store,
                                               .service = b.service,
                                               .jobs = b.jobs,
                                               .setup = &b.setup,
                                               .shift_ms = 1000,
                                               .now_ms = now_ms};
    require(!core_station_new(&config, &b.station));
    return &b;
}

static void settle(struct bench *b) {
    enum tm_err result = b->how & 32 ? TM_ECONFLICT : b->how & 64 ? TM_ELIMIT : TM_OK;
    for (unsigned i = 0; b->waiting_n > 0; i++) {
        struct ca_batch *batch = b->waiting[--b->waiting_n];
        require(i < BATCHES_MAX);
        if (batch->done)
            batch->done(batch, result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct bench *bench;
    static uint8_t body[IPC_STATION_JSON_MAX];
    if (!bench)
        bench = bench_new();
    if (size < 2 || size - 2 > sizeof body)
        return 0;
    bench->how = data[1];
    memcpy(body, data + 2, size - 2); /* it is wiped */
    struct ipc_station_ask ask = {.id = 1,
                                  .operation = data[0],
                                  .peer_leaf = {bench->der, bench->der_n},
                                  .json = {body, size - 2}};
    TEXT_SET(ask.remote, "192.0.2.1:4711");
    core_station_asked(bench->station, NULL, &ask);
    settle(bench);
    require(!bench->station->first);
    for (size_t i = 0; i < size - 2; i++)
        require(!body[i]);
    return 0;
}
