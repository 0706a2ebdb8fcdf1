/* SPDX-License-Identifier: Apache-2.0 */
/* The store's interface as the core uses it, on a real LMDB environment. */
#include "tests/unit/store_fixture.h"

static enum tm_err read_device(struct fixture *f, const char *id, struct ca_device *ret) {
    return f->store->ops->device(f->store, "acme", id, ret);
}

static enum tm_err read_certificate(struct fixture *f, uint64_t n, struct ca_certificate *ret,
                                    struct buf *der) {
    struct ca_serial serial = sample_serial(n);
    return f->store->ops->certificate(f->store, &serial, ret, der);
}

static bool has_intent(struct fixture *f, uint64_t n) {
    struct ca_serial cursor = {.n = 0}, wanted = sample_serial(n);
    struct ca_intent intent;
    for (size_t i = 0; i < 1000 && !f->store->ops->next_intent(f->store, &cursor, &intent); i++)
        if (memcmp(&intent.serial, &wanted, sizeof wanted) == 0)
            return true;
    return false;
}

static void what_was_written_is_read_back(void **state) {
    struct fixture *f = *state;
    struct issuance s;
    issuance_init(&s, 5);
    job_submit(f, &s.begin);
    fixture_run(f);
    assert_int_equal(s.begin.result, TM_OK);

    struct ca_device device;
    struct ca_serial cursor = {.n = 0};
    struct ca_intent intent;
    assert_int_equal(read_device(f, s.device.id, &device), TM_OK);
    assert_same(&store_device_schema, &device, &s.device);
    assert_int_equal(f->store->ops->next_intent(f->store, &cursor, &intent), TM_OK);
    assert_same(&store_intent_schema, &intent, &s.intent);

    job_submit(f, &s.end);
    fixture_run(f);
    assert_int_equal(s.end.result, TM_OK);
    assert_false(has_intent(f, 5));
    assert_int_equal(read_device(f, s.device.id, &device), TM_OK);
    assert_same(&store_device_schema, &device, &s.owner);

    uint8_t octets[IPC_CERT_MAX];
    struct buf der = BUF_ON(octets);
    struct ca_certificate certificate;
    assert_int_equal(read_certificate(f, 5, &certificate, &der), TM_OK);
    assert_true(certificate.der.p == octets);
    struct store_certificate got = {certificate, 0}, wanted = {s.certificate, 0};
    assert_same(&store_certificate_schema, &got, &wanted);

    char tenant[IPC_NAME_MAX + 1], id[IPC_NAME_MAX + 1];
    const uint8_t *spki = s.begin.batch.changes[1].u.key.spki_hash;
    assert_int_equal(f->store->ops->key_owner(f->store, spki, tenant, id), TM_OK);
    assert_string_equal(tenant, "acme");
    assert_string_equal(id, s.device.id);

    struct ca_leaf leaf;
    assert_int_equal(f->store->ops->leaf(f->store, 0, &leaf), TM_OK);
    assert_same(&store_leaf_schema, &leaf, &s.added);
    assert_int_equal(f->store->ops->leaf(f->store, 1, &leaf), TM_OK);
    assert_same(&store_leaf_schema, &leaf, &s.issued);
    assert_sound(f);
}

static void what_is_not_there_is_not_found(void **state) {
    struct fixture *f = *state;
    struct ca_device device;
    struct ca_certificate certificate;
    struct ca_leaf leaf;
    struct ca_intent intent;
    struct ca_serial none = {.n = 0}, cursor = {.n = 0};
    uint8_t octets[16], spki[CA_HASH_SIZE] = {0};
    char tenant[IPC_NAME_MAX + 1], id[IPC_NAME_MAX + 1], name[IPC_NAME_MAX + 1] = "";
    struct buf der = BUF_ON(octets);
    const struct ca_store_ops *ops = f->store->ops;
    assert_int_equal(read_device(f, "nobody", &device), TM_ENOTFOUND);
    assert_int_equal(read_device(f, "", &device), TM_ENOTFOUND);
    assert_int_equal(read_certificate(f, 1, &certificate, &der), TM_ENOTFOUND);
    assert_int_equal(ops->certificate(f->store, &none, &certificate, &der), TM_ENOTFOUND);
    assert_int_equal(ops->key_owner(f->store, spki, tenant, id), TM_ENOTFOUND);
    assert_int_equal(ops->leaf(f->store, 0, &leaf), TM_ENOTFOUND);
    assert_int_equal(ops->next_device(f->store, "acme", name, &device), TM_ENOTFOUND);
    assert_int_equal(ops->next_intent(f->store, &cursor, &intent), TM_ENOTFOUND);
    assert_int_equal(ops->next_certificate(f->store, &cursor, &certificate, &der), TM_ENOTFOUND);
}

static void der_that_does_not_fit_is_refused(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 1);
    uint8_t octets[SAMPLE_DER + 9];
    struct buf der = {octets, SAMPLE_DER - 1, 0, false};
    struct ca_certificate certificate, before;
    memset(&certificate, 0x5a, sizeof certificate);
    before = certificate;
    assert_int_equal(read_certificate(f, 1, &certificate, &der), TM_ELIMIT);
    assert_memory_equal(&certificate, &before, sizeof before);
    assert_int_equal(der.n, 0);
    assert_false(der.full);
    /* It goes behind what the buffer holds. */
    der = (struct buf){octets, sizeof octets, 9, false};
    assert_int_equal(read_certificate(f, 1, &certificate, &der), TM_OK);
    assert_true(certificate.der.p == octets + 9);
    assert_int_equal(der.n, SAMPLE_DER + 9);
}

/* Each precondition of ca/store.h, from both sides. */
static void preconditions_hold_or_nothing_happens(void **state) {
    struct fixture *f = *state;
    struct ca_device d = sample_device(1), d2;
    struct ca_intent i = sample_intent(1);
    uint8_t octets[64];
    struct ca_certificate c = sample_certificate(1, octets, sizeof octets);
    struct ca_certificate burned = sample_burned(2);
    struct ca_leaf leaf = sample_leaf(CA_EVENT_TRANSITION, NULL);
    size_t failed = 99;

    d.version = 2; /* there is none */
    assert_int_equal(COMMIT(f, &failed, change_device(&d)), TM_ECONFLICT);
    d.version = 0;
    assert_int_equal(COMMIT(f, &failed, change_device(&d)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_leaf(&leaf), change_end(&i.serial)), TM_ECONFLICT);
    assert_int_equal(failed, 1);
    assert_int_equal(COMMIT(f, &failed, change_status(&c)), TM_ECONFLICT);

    d.version = 1;
    assert_int_equal(COMMIT(f, NULL, change_device(&d), change_intent(&i)), TM_OK);
    assert_int_equal(COMMIT(f, &failed, change_device(&d)), TM_ECONFLICT);
    d.version = 3; /* 2 was skipped */
    assert_int_equal(COMMIT(f, &failed, change_device(&d)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_intent(&i)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, NULL, change_end(&i.serial), change_cert(&c)), TM_OK);
    assert_int_equal(COMMIT(f, &failed, change_intent(&i)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_cert(&c)), TM_ECONFLICT);

    assert_int_equal(COMMIT(f, NULL, change_cert(&burned)), TM_OK);
    struct ca_intent late = sample_intent(2);
    struct ca_certificate second = sample_certificate(2, octets, sizeof octets);
    assert_int_equal(COMMIT(f, &failed, change_intent(&late)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_cert(&second)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_status(&second)), TM_ECONFLICT);
    c.status = CA_CERT_BURNED;
    assert_int_equal(COMMIT(f, &failed, change_status(&c)), TM_ECONFLICT);

    assert_int_equal(COMMIT(f, NULL, change_key(1, d.id)), TM_OK);
    assert_int_equal(COMMIT(f, NULL, change_key(1, d.id)), TM_OK);
    assert_int_equal(COMMIT(f, &failed, change_key(1, "other")), TM_ECONFLICT);

    /* The last change fails: the ones before it did not happen either. */
    d2 = sample_device(3);
    struct ca_intent i3 = sample_intent(3);
    assert_int_equal(COMMIT(f, &failed, change_device(&d2), change_intent(&i3),
                            change_key(3, d2.id), change_leaf(&leaf), change_key(1, "other")),
                     TM_ECONFLICT);
    assert_int_equal(failed, 4);
    struct ca_audit_head head;
    char tenant[IPC_NAME_MAX + 1], id[IPC_NAME_MAX + 1];
    assert_int_equal(read_device(f, d2.id, &d2), TM_ENOTFOUND);
    assert_false(has_intent(f, 3));
    assert_int_equal(
        f->store->ops->key_owner(f->store, change_key(3, d2.id).u.key.spki_hash, tenant, id),
        TM_ENOTFOUND);
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    assert_int_equal(head.size, 0);
}

/* Preconditions are those of the state before the batch; changes of one batch must agree. */
static void changes_of_one_batch_must_agree(void **state) {
    struct fixture *f = *state;
    struct ca_device d1 = sample_device(1), d2 = sample_device(1);
    d2.rma_count = 1;
    struct ca_intent i = sample_intent(1);
    uint8_t octets[64];
    struct ca_certificate c = sample_certificate(1, octets, sizeof octets);
    size_t failed = 99;
    assert_int_equal(COMMIT(f, &failed, change_device(&d1), change_device(&d2)), TM_ECONFLICT);
    assert_int_equal(failed, 1);
    assert_int_equal(COMMIT(f, &failed, change_intent(&i), change_intent(&i)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_intent(&i), change_end(&i.serial)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_intent(&i), change_cert(&c)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_cert(&c), change_intent(&i)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_cert(&c), change_cert(&c)), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, &failed, change_key(1, "a"), change_key(1, "b")), TM_ECONFLICT);
    assert_int_equal(COMMIT(f, NULL, change_intent(&i)), TM_OK);
    assert_int_equal(COMMIT(f, &failed, change_end(&i.serial), change_end(&i.serial)),
                     TM_ECONFLICT);
    assert_int_equal(COMMIT(f, NULL, change_key(1, "a"), change_key(1, "a")), TM_OK);
}

static void certificate_status_changes(void **state) {
    struct fixture *f = *state;
    issue_many(f, 1, 1);
    struct ca_certificate change = {.serial = sample_serial(1),
                                    .status = CA_CERT_REVOKED,
                                    .revoked_ms = 1750000000000,
                                    .revoked_reason = 1};
    struct ca_device owner = sample_owner(1);
    owner.version = 3;
    owner.certs[0].status = CA_CERT_REVOKED;
    assert_int_equal(COMMIT(f, NULL, change_status(&change), change_device(&owner)), TM_OK);
    uint8_t octets[IPC_CERT_MAX];
    struct buf der = BUF_ON(octets);
    struct ca_certificate got;
    assert_int_equal(read_certificate(f, 1, &got, &der), TM_OK);
    assert_int_equal(got.status, CA_CERT_REVOKED);
    assert_int_equal(got.revoked_ms, 1750000000000);
    assert_int_equal(got.revoked_reason, 1);
    assert_string_equal(got.issuer, "factory");
    assert_int_equal(got.der.n, SAMPLE_DER);
    assert_sound(f);
}

/* Two changes based on the same version, waiting at the same time: the first wins, the second
 * conflicts and takes nothing of its batch along. */
static void concurrent_changes_of_a_device_serialise(void **state) {
    struct fixture *f = *state;
    struct ca_device d = sample_device(1);
    assert_int_equal(COMMIT(f, NULL, change_device(&d)), TM_OK);
    enum { RIVALS = 40 };
    struct job jobs[RIVALS];
    struct ca_device rivals[RIVALS];
    struct ca_leaf leaf = sample_leaf(CA_EVENT_TRANSITION, NULL);
    memset(jobs, 0, sizeof jobs);
    for (uint32_t i = 0; i < RIVALS; i++) {
        rivals[i] = d;
        rivals[i].version = 2;
        rivals[i].rma_count = i + 1;
        jobs[i].batch.changes[0] = change_leaf(&leaf);
        jobs[i].batch.changes[1] = change_device(&rivals[i]);
        jobs[i].batch.count = 2;
        job_submit(f, &jobs[i]);
    }
    fixture_run(f);
    assert_int_equal(jobs[0].result, TM_OK);
    for (size_t i = 1; i < RIVALS; i++) {
        assert_int_equal(jobs[i].result, TM_ECONFLICT);
        assert_int_equal(jobs[i].batch.failed, 1);
    }
    struct ca_device got;
    struct ca_audit_head head;
    assert_int_equal(read_device(f, d.id, &got), TM_OK);
    assert_int_equal(got.rma_count, 1);
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    assert_int_equal(head.size, 1);
    struct store_stats stats;
    store_stats(f->store, &stats);
    assert_int_equal(stats.conflicts, RIVALS - 1);
}

/* Each version follows on the one before it, all waiting at once. */
static void batches_see_the_earlier_ones_of_their_group(void **state) {
    struct fixture *f = *state;
    enum { VERSIONS = 100 };
    struct job *jobs = calloc(VERSIONS, sizeof *jobs);
    struct ca_device *versions = calloc(VERSIONS, sizeof *versions);
    assert_true(jobs && versions);
    for (size_t i = 0; i < VERSIONS; i++) {
        versions[i] = sample_device(1);
        versions[i].version = i + 1;
        jobs[i].batch.changes[0] = change_device(&versions[i]);
        jobs[i].batch.count = 1;
        job_submit(f, &jobs[i]);
    }
    fixture_run(f);
    for (size_t i = 0; i < VERSIONS; i++)
        assert_int_equal(jobs[i].result, TM_OK);
    struct ca_device got;
    assert_int_equal(read_device(f, versions[0].id, &got), TM_OK);
    assert_int_equal(got.version, VERSIONS);
    free(versions);
    free(jobs);
}

/* ---- order ---- */

struct ordered {
    struct job job; /* first */
    struct ca_leaf leaf;
    size_t number;
    size_t *next;
};

static void ordered_done(struct ca_batch *batch, enum tm_err result) {
    struct ordered *o = (struct ordered *)batch;
    struct fixture *f = o->job.fixture;
    struct ca_leaf leaf;
    assert_int_equal(result, TM_OK);
    assert_int_equal(o->number, *o->next);
    ++*o->next;
    /* A read sees every batch whose `done` was called. */
    assert_int_equal(f->store->ops->leaf(f->store, o->number, &leaf), TM_OK);
    assert_int_equal(leaf.request, o->number);
    fixture_count_down(f);
}

static void completions_come_in_order_and_grouped(void **state) {
    struct fixture *f = *state;
    enum { COUNT = 1000 };
    struct ordered *all = calloc(COUNT, sizeof *all);
    size_t next = 0;
    assert_non_null(all);
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = (struct ordered){.job.fixture = f,
                                  .leaf = sample_leaf(CA_EVENT_REFUSED, NULL),
                                  .number = i,
                                  .next = &next};
        all[i].leaf.request = i;
        all[i].job.batch = (struct ca_batch){
            .count = 1, .changes = {change_leaf(&all[i].leaf)}, .done = ordered_done};
        f->expected++;
        assert_int_equal(f->store->ops->submit(f->store, &all[i].job.batch), TM_OK);
        assert_int_equal(next, 0); /* never from inside submit */
    }
    fixture_run(f);
    assert_int_equal(next, COUNT);
    struct store_stats stats;
    store_stats(f->store, &stats);
    assert_int_equal(stats.batches, COUNT);
    assert_true(stats.commits >= COUNT / STORE_GROUP_MAX);
    assert_true(stats.commits <= COUNT / 4);
    free(all);
    assert_sound(f);
}

struct chained {
    struct job job; /* first */
    struct ca_leaf leaf;
    size_t left;
};

static void chained_done(struct ca_batch *batch, enum tm_err result) {
    struct chained *c = (struct chained *)batch;
    struct fixture *f = c->job.fixture;
    assert_int_equal(result, TM_OK);
    if (c->left-- > 0)
        assert_int_equal(f->store->ops->submit(f->store, batch), TM_OK);
    else
        fixture_count_down(f);
}

/* `done` may submit the very batch that it was called for. */
static void a_completion_may_submit(void **state) {
    struct fixture *f = *state;
    struct chained c = {.job.fixture = f, .leaf = sample_leaf(CA_EVENT_REFUSED, NULL), .left = 20};
    c.job.batch =
        (struct ca_batch){.count = 1, .changes = {change_leaf(&c.leaf)}, .done = chained_done};
    f->expected = 1;
    assert_int_equal(f->store->ops->submit(f->store, &c.job.batch), TM_OK);
    fixture_run(f);
    struct ca_audit_head head;
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    assert_int_equal(head.size, 21);
}

static void a_full_queue_takes_nothing(void **state) {
    struct fixture *f = *state;
    f->config.queue_max = 4;
    fixture_reopen(f);
    struct job jobs[5];
    struct ca_leaf leaf = sample_leaf(CA_EVENT_REFUSED, NULL);
    memset(jobs, 0, sizeof jobs);
    for (size_t i = 0; i < 5; i++)
        jobs[i].batch =
            (struct ca_batch){.count = 1, .changes = {change_leaf(&leaf)}, .done = job_done};
    for (size_t i = 0; i < 4; i++)
        job_submit(f, &jobs[i]);
    /* Not delivered yet, so not done, however fast the writer is. */
    assert_int_equal(f->store->ops->submit(f->store, &jobs[4].batch), TM_EFULL);
    fixture_run(f);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(jobs[i].result, TM_OK);
    assert_int_equal(jobs[4].done, 0);
    job_submit(f, &jobs[4]);
    fixture_run(f);
    assert_int_equal(jobs[4].result, TM_OK);
}

static void values_out_of_bounds_are_refused(void **state) {
    struct fixture *f = *state;
    struct ca_leaf good = sample_leaf(CA_EVENT_REFUSED, NULL), bad = good, no_event = good;
    (void)strcpy(bad.reason, "two\nlines");
    no_event.event = 0;
    struct ca_device nameless = sample_device(1), stateless = sample_device(1),
                     endless = sample_device(1);
    nameless.id[0] = 0;
    stateless.state = 0;
    memset(endless.id, 'x', sizeof endless.id);
    struct ca_serial none = {.n = 0}, long_one = {.n = CA_SERIAL_MAX + 1};
    uint8_t octets[IPC_CERT_MAX + 1];
    struct ca_certificate large = sample_certificate(1, octets, sizeof octets);
    struct ca_change unknown = {.kind = CA_SPEND_GRANT + 1};
    size_t failed = 99;
    assert_int_equal(COMMIT(f, &failed, change_leaf(&good), change_leaf(&bad)), TM_ELIMIT);
    assert_int_equal(failed, 1);
    assert_int_equal(COMMIT(f, &failed, change_leaf(&no_event)), TM_ELIMIT);
    assert_int_equal(failed, 0);
    assert_int_equal(COMMIT(f, NULL, change_device(&nameless)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_device(&stateless)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_device(&endless)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_end(&none)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_end(&long_one)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, change_cert(&large)), TM_ELIMIT);
    assert_int_equal(COMMIT(f, NULL, unknown), TM_ELIMIT);
    large.der.n--;
    assert_int_equal(COMMIT(f, NULL, change_cert(&large)), TM_OK);
    struct ca_audit_head head;
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    assert_int_equal(head.size, 0);
}

static void the_largest_batch_fits(void **state) {
    struct fixture *f = *state;
    static uint8_t octets[CA_BATCH_MAX][IPC_CERT_MAX];
    static struct ca_certificate large[CA_BATCH_MAX];
    struct ca_change changes[CA_BATCH_MAX];
    for (size_t i = 0; i < CA_BATCH_MAX; i++) {
        struct ca_certificate *c = &large[i];
        *c = sample_certificate(i, octets[i], IPC_CERT_MAX);
        memset(c->tenant, 't', IPC_NAME_MAX);
        memset(c->device, 'd', IPC_NAME_MAX);
        memset(c->profile, 'p', IPC_NAME_MAX);
        memset(c->issuer, 'i', IPC_NAME_MAX);
        c->serial.n = CA_SERIAL_MAX;
        changes[i] = change_cert(c);
    }
    assert_int_equal(commit_changes(f, changes, CA_BATCH_MAX, NULL), TM_OK);
    uint8_t copy[IPC_CERT_MAX];
    struct buf der = BUF_ON(copy);
    struct ca_certificate got;
    assert_int_equal(f->store->ops->certificate(f->store, &large[7].serial, &got, &der), TM_OK);
    assert_true(bytes_equal(got.der, large[7].der));
}

/* ---- pages ---- */

static void pages_walk_in_key_order(void **state) {
    struct fixture *f = *state;
    /* Not in order, and another tenant on either side. */
    static const char *const tenants[] = {"acme", "acme", "abba", "zeta", "acme", "acmf"};
    static const char *const ids[] = {"m", "a", "x", "y", "zz", "z"};
    for (size_t i = 0; i < 6; i++) {
        struct ca_device d = sample_device(i);
        (void)strcpy(d.tenant, tenants[i]);
        (void)strcpy(d.id, ids[i]);
        assert_int_equal(COMMIT(f, NULL, change_device(&d)), TM_OK);
    }
    char cursor[IPC_NAME_MAX + 1] = "";
    char seen[64] = "";
    struct ca_device d;
    enum tm_err err;
    for (size_t i = 0; i < 9; i++) {
        err = f->store->ops->next_device(f->store, "acme", cursor, &d);
        if (err)
            break;
        assert_string_equal(cursor, d.id);
        (void)strcat(strcat(seen, d.id), " ");
    }
    assert_int_equal(err, TM_ENOTFOUND);
    assert_string_equal(seen, "a m zz ");
    assert_string_equal(cursor, "zz");

    static const uint64_t order[] = {9, 3, 7, 1, 8};
    struct ca_certificate burned[5];
    struct ca_intent intents[5];
    for (size_t i = 0; i < 5; i++) {
        burned[i] = sample_burned(order[i]);
        intents[i] = sample_intent(100 + order[i]);
        assert_int_equal(COMMIT(f, NULL, change_cert(&burned[i]), change_intent(&intents[i])),
                         TM_OK);
    }
    static const uint64_t sorted[] = {1, 3, 7, 8, 9};
    struct ca_serial serial = {.n = 0}, wanted;
    struct ca_certificate c;
    struct ca_intent intent;
    struct buf der = {NULL, 0, 0, false};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f->store->ops->next_certificate(f->store, &serial, &c, &der), TM_OK);
        wanted = sample_serial(sorted[i]);
        assert_memory_equal(&serial, &wanted, sizeof wanted);
    }
    assert_int_equal(f->store->ops->next_certificate(f->store, &serial, &c, &der), TM_ENOTFOUND);
    serial = (struct ca_serial){.n = 0};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f->store->ops->next_intent(f->store, &serial, &intent), TM_OK);
        wanted = sample_serial(100 + sorted[i]);
        assert_memory_equal(&intent.serial, &wanted, sizeof wanted);
    }
    assert_int_equal(f->store->ops->next_intent(f->store, &serial, &intent), TM_ENOTFOUND);
}

/* ---- closing ---- */

static void closing_commits_and_completes_what_was_submitted(void **state) {
    struct fixture *f = *state;
    enum { COUNT = 200 };
    struct issuance *all = calloc(COUNT, sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < COUNT; i++) {
        issuance_init(&all[i], i);
        job_submit(f, &all[i].begin);
        job_submit(f, &all[i].end);
    }
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(f->expected, 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(all[i].begin.done, 1);
        assert_int_equal(all[i].end.done, 1);
        assert_int_equal(all[i].end.result, TM_OK);
    }
    free(all);
    fixture_open(f);
    struct ca_device d = sample_device(COUNT - 1);
    assert_int_equal(read_device(f, d.id, &d), TM_OK);
    assert_int_equal(d.version, 2);
    assert_sound(f);
}

static void the_audit_tree_goes_on_after_reopening(void **state) {
    struct fixture *f = *state;
    struct ca_audit_head head, again, more;
    issue_many(f, 0, 11);
    assert_int_equal(f->store->ops->audit_head(f->store, &head), TM_OK);
    assert_int_equal(head.size, 22);
    fixture_reopen(f);
    assert_int_equal(f->store->ops->audit_head(f->store, &again), TM_OK);
    assert_memory_equal(&again, &head, sizeof head);
    issue_many(f, 11, 3);
    assert_int_equal(f->store->ops->audit_head(f->store, &more), TM_OK);
    assert_int_equal(more.size, 28);
    assert_memory_not_equal(more.root, head.root, sizeof head.root);
    assert_sound(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read_back),
        TEST(what_is_not_there_is_not_found),
        TEST(der_that_does_not_fit_is_refused),
        TEST(preconditions_hold_or_nothing_happens),
        TEST(changes_of_one_batch_must_agree),
        TEST(certificate_status_changes),
        TEST(concurrent_changes_of_a_device_serialise),
        TEST(batches_see_the_earlier_ones_of_their_group),
        TEST(completions_come_in_order_and_grouped),
        TEST(a_completion_may_submit),
        TEST(a_full_queue_takes_nothing),
        TEST(values_out_of_bounds_are_refused),
        TEST(the_largest_batch_fits),
        TEST(pages_walk_in_key_order),
        TEST(closing_commits_and_completes_what_was_submitted),
        TEST(the_audit_tree_goes_on_after_reopening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
