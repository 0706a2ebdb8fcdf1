/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store's tests share: a store in a folder of its own, sample records, and a way to wait
 * for batches by running the loop. Included once per test program.
 */
#ifndef TOUCHMARK_TESTS_STORE_FIXTURE_H
#define TOUCHMARK_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ca/store.h"
#include "store/records.h"
#include "store/store.h"

#define FIXTURE_DEADLINE_MS 60000
#define MIB ((uint64_t)1 << 20)
#define UNUSED __attribute__((unused))

struct fixture {
    char root[64]; /* a folder of the test's own */
    char path[96]; /* the store in it */
    struct store_config config;
    struct loop *loop;
    struct ca_store *store;
    struct loop_timer deadline;
    size_t expected; /* `done` calls that wait_done still waits for */
    size_t fatals;
};

UNUSED static void remove_tree(const char *path) {
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char name[512];
        (void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlink(name))
            remove_tree(name);
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

static void fixture_fatal(void *arg, const char *text) {
    struct fixture *f = arg;
    assert_true(strlen(text) > 0);
    f->fatals++;
    loop_stop(f->loop);
}

UNUSED static void fixture_open(struct fixture *f) {
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = store_open(f->loop, &f->config, &f->store, text);
    if (err)
        fail_msg("store_open: %s: %s", tm_err_name(err), text);
}

UNUSED static void fixture_reopen(struct fixture *f) {
    store_close(f->store);
    f->store = NULL;
    fixture_open(f);
}

UNUSED static void fixture_init(struct fixture *f) {
    *f = (struct fixture){.root = "/tmp/touchmark-store-XXXXXX"};
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->path, sizeof f->path, "%s/store", f->root);
    f->config = (struct store_config){.path = f->path,
                                      .environment = "test",
                                      .map_size = 8 * MIB,
                                      .max_map_size = 64 * MIB,
                                      .queue_max = 1024,
                                      .fatal = fixture_fatal,
                                      .arg = f};
    assert_int_equal(loop_new(&f->loop), TM_OK);
}

UNUSED static void fixture_start(struct fixture *f) {
    char text[IPC_TEXT_MAX + 1];
    fixture_init(f);
    assert_int_equal(store_create(f->path, "test", text), TM_OK);
    fixture_open(f);
}

UNUSED static void fixture_end(struct fixture *f) {
    store_close(f->store);
    loop_free(f->loop);
    remove_tree(f->root);
}

/* For cmocka: an open store for each test. */
UNUSED static int fixture_setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_start(f);
    *state = f;
    return 0;
}

UNUSED static int fixture_teardown(void **state) {
    struct fixture *f = *state;
    fixture_end(f);
    free(f);
    return 0;
}

/* ---- waiting ---- */

UNUSED static void fixture_late(void *arg) {
    (void)arg;
    fail_msg("the store did not answer in time");
}

/* Runs the loop until `expected` reaches 0, or a fatal error. */
UNUSED static void fixture_run(struct fixture *f) {
    f->deadline.fn = fixture_late;
    assert_int_equal(loop_timer_set(f->loop, &f->deadline, clock_mono_ms() + FIXTURE_DEADLINE_MS),
                     TM_OK);
    if (f->expected)
        assert_int_equal(loop_run(f->loop), TM_OK);
    loop_timer_stop(f->loop, &f->deadline);
}

UNUSED static void fixture_count_down(struct fixture *f) {
    assert_true(f->expected > 0);
    if (--f->expected == 0)
        loop_stop(f->loop);
}

/* A batch that keeps its result. */
struct job {
    struct ca_batch batch; /* first: `done` gets it */
    struct fixture *fixture;
    enum tm_err result;
    size_t done; /* times */
};

UNUSED static void job_done(struct ca_batch *batch, enum tm_err result) {
    struct job *job = (struct job *)batch;
    job->result = result;
    job->done++;
    fixture_count_down(job->fixture);
}

UNUSED static void job_submit(struct fixture *f, struct job *job) {
    job->batch.done = job_done;
    job->fixture = f;
    f->expected++;
    assert_int_equal(f->store->ops->submit(f->store, &job->batch), TM_OK);
    assert_int_equal(job->done, 0);
}

/* Submits the changes as one batch and waits for its result. */
UNUSED static enum tm_err commit_changes(struct fixture *f, const struct ca_change *changes,
                                         size_t count, size_t *ret_failed) {
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->batch.count = count;
    memcpy(job->batch.changes, changes, count * sizeof *changes);
    job_submit(f, job);
    fixture_run(f);
    assert_int_equal(job->done, 1);
    enum tm_err result = job->result;
    if (ret_failed)
        *ret_failed = job->batch.failed;
    free(job);
    return result;
}

#define COMMIT(f, ret_failed, ...)                                                                 \
    commit_changes((f), (const struct ca_change[]){__VA_ARGS__},                                   \
                   sizeof((const struct ca_change[]){__VA_ARGS__}) / sizeof(struct ca_change),     \
                   (ret_failed))

/* ---- samples ---- */

/* Rises with n, as real serials rise with time. */
UNUSED static struct ca_serial sample_serial(uint64_t n) {
    struct ca_serial serial = {.octets = {1}, .n = 17};
    for (size_t i = 0; i < 8; i++)
        serial.octets[1 + i] = (uint8_t)(n >> (56 - 8 * i));
    for (size_t i = 9; i < 17; i++)
        serial.octets[i] = (uint8_t)((n + 1) * (i * 2654435761u) >> 8);
    return serial;
}

UNUSED static struct ca_device sample_device(uint64_t n) {
    struct ca_device d = {.tenant = "acme",
                          .version = 1,
                          .state = CA_REGISTERED,
                          .created_ms = 1700000000000,
                          .changed_ms = 1700000000001,
                          .sku = "tm-1",
                          .hardware_revision = "B",
                          .batch = "2026-07",
                          .site = "plant-1",
                          .provisioning_version = 3,
                          .secret = {.set = 1, .salt = {1, 2}, .expires_ms = 1800000000000}};
    (void)snprintf(d.id, sizeof d.id, "dev-%08llu", (unsigned long long)n);
    return d;
}

/* The device as it is once it has certificate n. */
UNUSED static struct ca_device sample_owner(uint64_t n) {
    struct ca_device d = sample_device(n);
    d.version = 2;
    d.state = CA_MANUFACTURED;
    d.cert_count = 1;
    d.certs[0] = (struct ca_cert_ref){.serial = sample_serial(n),
                                      .profile = "idevid",
                                      .status = CA_CERT_ACTIVE,
                                      .issued_ms = 1700000000002,
                                      .not_after_ms = 1800000000000,
                                      .request = {(uint8_t)n, 7}};
    return d;
}

UNUSED static struct ca_intent sample_intent(uint64_t n) {
    struct ca_intent i = {.serial = sample_serial(n),
                          .tenant = "acme",
                          .profile = "idevid",
                          .profile_hash = {9},
                          .request = {(uint8_t)n, 7},
                          .from_state = CA_REGISTERED,
                          .to_state = CA_MANUFACTURED,
                          .created_ms = 1700000000001};
    (void)snprintf(i.device, sizeof i.device, "dev-%08llu", (unsigned long long)n);
    return i;
}

/* der: memory for der_n octets, filled here. */
UNUSED static struct ca_certificate sample_certificate(uint64_t n, uint8_t *der, size_t der_n) {
    struct ca_certificate c = {.serial = sample_serial(n),
                               .status = CA_CERT_ACTIVE,
                               .tenant = "acme",
                               .profile = "idevid",
                               .profile_hash = {9},
                               .issuer = "factory",
                               .issued_ms = 1700000000002,
                               .not_after_ms = 1800000000000};
    (void)snprintf(c.device, sizeof c.device, "dev-%08llu", (unsigned long long)n);
    uint64_t x = n * 0x9e3779b97f4a7c15 + 1; /* no two certificates share a run of octets */
    for (size_t i = 0; i < der_n; i++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        der[i] = (uint8_t)(x >> 56);
    }
    c.der = (struct bytes){der, der_n};
    assert_int_equal(EVP_Digest(der, der_n, c.fingerprint, NULL, EVP_sha256(), NULL), 1);
    return c;
}

UNUSED static struct ca_certificate sample_burned(uint64_t n) {
    struct ca_certificate c = sample_certificate(n, NULL, 0);
    c.status = CA_CERT_BURNED;
    c.der = (struct bytes){NULL, 0};
    memset(c.fingerprint, 0, sizeof c.fingerprint);
    return c;
}

/* What revokes certificate n. */
UNUSED static struct ca_certificate sample_revocation(uint64_t n) {
    return (struct ca_certificate){.serial = sample_serial(n),
                                   .status = CA_CERT_REVOKED,
                                   .revoked_ms = 1750000000000 + (int64_t)n,
                                   .revoked_reason = (uint8_t)(1 + n % 5)};
}

/* Device n's transaction about certificate n. response: memory for response_n octets, filled
 * here. */
UNUSED static struct ca_transaction sample_transaction(uint64_t n, uint8_t *response,
                                                       size_t response_n) {
    struct ca_transaction t = {.tenant = "acme",
                               .id = {1, 2, (uint8_t)n},
                               .id_n = 3,
                               .message = {(uint8_t)n, 8},
                               .request = {(uint8_t)n, 7},
                               .serial = sample_serial(n),
                               .challenge_ms = 1700000000001,
                               .created_ms = 1700000000002,
                               .response = {response, response_n}};
    (void)snprintf(t.device, sizeof t.device, "dev-%08llu", (unsigned long long)n);
    for (size_t i = 0; i < response_n; i++)
        response[i] = (uint8_t)(n * 31 + i * 7);
    return t;
}

UNUSED static struct ca_leaf sample_leaf(enum ca_event event, const struct ca_certificate *c) {
    struct ca_leaf l = {.event = (uint8_t)event,
                        .time_ms = 1700000000002,
                        .request = 77,
                        .origin = IPC_ORIGIN_HTTPS,
                        .operation = IPC_OP_ENROLL,
                        .from_state = CA_REGISTERED,
                        .to_state = CA_MANUFACTURED,
                        .actor = "secret:dev",
                        .remote = "192.0.2.1:4711",
                        .site = "plant-1"};
    (void)strcpy(l.tenant, "acme");
    if (c) {
        l.serial = c->serial;
        (void)strcpy(l.device, c->device);
        (void)strcpy(l.profile, c->profile);
        memcpy(l.fingerprint, c->fingerprint, sizeof l.fingerprint);
    }
    return l;
}

/* ---- an issuance in two batches, as ca/issue.c makes it ---- */

#define SAMPLE_DER 540
#define SAMPLE_RESPONSE 2900

struct issuance {
    struct job begin;   /* new device, intent, key, leaf */
    struct job end;     /* intent ended, certificate, device, leaf; by CMC the transaction too */
    struct job confirm; /* by CMC: device, transaction, leaf */
    struct ca_device device, owner, confirmed_owner;
    struct ca_intent intent;
    struct ca_certificate certificate;
    struct ca_transaction transaction;
    struct ca_leaf added, issued, confirmed;
    uint8_t der[SAMPLE_DER];
    uint8_t response[SAMPLE_RESPONSE];
};

UNUSED static struct ca_change change_device(const struct ca_device *device) {
    return (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = device};
}
UNUSED static struct ca_change change_intent(const struct ca_intent *intent) {
    return (struct ca_change){.kind = CA_PUT_INTENT, .u.intent = intent};
}
UNUSED static struct ca_change change_end(const struct ca_serial *serial) {
    return (struct ca_change){.kind = CA_END_INTENT, .u.serial = *serial};
}
UNUSED static struct ca_change change_cert(const struct ca_certificate *certificate) {
    return (struct ca_change){.kind = CA_PUT_CERT, .u.certificate = certificate};
}
UNUSED static struct ca_change change_status(const struct ca_certificate *certificate) {
    return (struct ca_change){.kind = CA_CERT_STATUS, .u.certificate = certificate};
}
UNUSED static struct ca_change change_leaf(const struct ca_leaf *leaf) {
    return (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = leaf};
}
UNUSED static struct ca_change change_transaction(const struct ca_transaction *transaction) {
    return (struct ca_change){.kind = CA_PUT_TRANSACTION, .u.transaction = transaction};
}
UNUSED static struct ca_change change_cursor(const char *consumer, uint64_t next) {
    return (struct ca_change){.kind = CA_PUT_CURSOR, .u.cursor = {consumer, next}};
}
/* The key is that of certificate n; tenant "acme". */
UNUSED static struct ca_change change_key(uint64_t n, const char *device) {
    struct ca_change change = {.kind = CA_CLAIM_KEY, .u.key = {.tenant = "acme", .device = device}};
    assert_int_equal(EVP_Digest(&n, sizeof n, change.u.key.spki_hash, NULL, EVP_sha256(), NULL), 1);
    return change;
}

UNUSED static void issuance_init(struct issuance *s, uint64_t n) {
    memset(s, 0, sizeof *s);
    s->device = sample_device(n);
    s->owner = sample_owner(n);
    s->intent = sample_intent(n);
    s->certificate = sample_certificate(n, s->der, sizeof s->der);
    s->added = sample_leaf(CA_EVENT_DEVICE_ADDED, NULL);
    s->issued = sample_leaf(CA_EVENT_ISSUED, &s->certificate);
    struct ca_change *begin = s->begin.batch.changes, *end = s->end.batch.changes;
    begin[0] = change_intent(&s->intent);
    begin[1] = change_key(n, s->device.id);
    begin[2] = change_device(&s->device);
    begin[3] = change_leaf(&s->added);
    s->begin.batch.count = 4;
    end[0] = change_end(&s->intent.serial);
    end[1] = change_cert(&s->certificate);
    end[2] = change_device(&s->owner);
    end[3] = change_leaf(&s->issued);
    s->end.batch.count = 4;
}

/* By CMC: the device has to confirm its certificate, in a third batch. */
UNUSED static void issuance_by_cmc(struct issuance *s, uint64_t n) {
    issuance_init(s, n);
    s->owner.certs[0].status = CA_CERT_UNCONFIRMED;
    s->transaction = sample_transaction(n, s->response, sizeof s->response);
    s->end.batch.changes[s->end.batch.count++] = change_transaction(&s->transaction);
    s->confirmed_owner = s->owner;
    s->confirmed_owner.version++;
    s->confirmed_owner.certs[0].status = CA_CERT_ACTIVE;
    s->confirmed = sample_leaf(CA_EVENT_CONFIRMED, &s->certificate);
    s->confirm.batch.changes[0] = change_device(&s->confirmed_owner);
    s->confirm.batch.changes[1] = change_leaf(&s->confirmed);
    s->confirm.batch.count = 2;
}

/* Issues certificates first .. first + count - 1 and waits until they are durable. */
UNUSED static void issue_many(struct fixture *f, uint64_t first, size_t count) {
    struct issuance *all = calloc(count, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < count; i++) {
        issuance_init(&all[i], first + i);
        job_submit(f, &all[i].begin);
        job_submit(f, &all[i].end);
    }
    fixture_run(f);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(all[i].begin.result, TM_OK);
        assert_int_equal(all[i].end.result, TM_OK);
    }
    free(all);
}

/* Revokes certificate n, which nothing was changed about since issue_many made it. */
UNUSED static void revoke_one(struct fixture *f, uint64_t n) {
    const struct ca_certificate change = sample_revocation(n);
    struct ca_device owner = sample_owner(n);
    owner.version = 3;
    owner.certs[0].status = CA_CERT_REVOKED;
    assert_int_equal(COMMIT(f, NULL, change_status(&change), change_device(&owner)), TM_OK);
}

/* The first `most` of what issuer "factory" revoked; returns how many there are of them. */
UNUSED static size_t read_revoked(struct fixture *f, struct ca_revoked *rows, size_t most) {
    struct ca_scan *scan;
    struct ca_serial cursor = {.n = 0};
    size_t count = 0, n = 1;
    assert_int_equal(f->store->ops->scan_open(f->store, &scan), TM_OK);
    for (; n && count < most; count += n)
        assert_int_equal(
            f->store->ops->scan_revoked(scan, "factory", &cursor, &rows[count], most - count, &n),
            TM_OK);
    f->store->ops->scan_close(scan);
    return count;
}

/* ---- comparing ---- */

/* Records are the same when they encode to the same octets: structs have padding. */
UNUSED static void assert_same(const struct codec_schema *schema, const void *a, const void *b) {
    uint8_t octets[2][STORE_RECORD_MAX];
    struct buf x = BUF_ON(octets[0]), y = BUF_ON(octets[1]);
    assert_int_equal(codec_encode(schema, a, &x), TM_OK);
    assert_int_equal(codec_encode(schema, b, &y), TM_OK);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(octets[0], octets[1], x.n);
}

/* ---- check ---- */

struct findings {
    size_t count;
    char text[32][IPC_TEXT_MAX + 1];
};

UNUSED static void findings_add(void *arg, const char *text) {
    struct findings *found = arg;
    if (found->count < sizeof found->text / sizeof found->text[0])
        (void)snprintf(found->text[found->count], sizeof found->text[0], "%s", text);
    found->count++;
}

UNUSED static void assert_sound(struct fixture *f) {
    struct findings found = {0};
    enum tm_err err = f->store->ops->check(f->store, findings_add, &found);
    for (size_t i = 0; i < found.count && i < 32; i++)
        print_error("check: %s\n", found.text[i]);
    assert_int_equal(err, TM_OK);
    assert_int_equal(found.count, 0);
}

#endif
