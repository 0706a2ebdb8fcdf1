/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administrative rows for the store's tests: one of each table with every member set. Included once
 * per test program, beside store_fixture.h.
 */
#ifndef TOUCHMARK_TESTS_STORE_ROWS_H
#define TOUCHMARK_TESTS_STORE_ROWS_H

#include "ca/build.h"
#include "tests/unit/store_fixture.h"

/* What BYTES members of sample rows borrow. */
struct row_memory {
    uint8_t octets[CA_ROW_MEMORY_MAX];
};

UNUSED static struct bytes sample_octets(struct row_memory *memory, uint64_t n, size_t size) {
    for (size_t i = 0; i < size; i++)
        memory->octets[i] = (uint8_t)(n * 37 + i * 11);
    return (struct bytes){memory->octets, size};
}

UNUSED static struct ca_pending sample_pending(uint64_t n, struct row_memory *memory, size_t size) {
    struct ca_pending p = {.version = 1,
                           .tenant = "acme",
                           .profile = "idevid",
                           .status = CA_PENDING_APPROVED,
                           .request = {(uint8_t)n, 7},
                           .spki_sha256 = {(uint8_t)n, 8},
                           .key_word = "p256",
                           .subject = "CN=dev",
                           .san = sample_octets(memory, n, size),
                           .actor = "secret:dev",
                           .remote = "192.0.2.1:4711",
                           .created_ms = 1700000000001,
                           .asked_ms = 1700000000002,
                           .expires_ms = 1700000000003,
                           .officer = "uid:1000",
                           .decided_ms = 1700000000004,
                           .reason = "known"};
    (void)snprintf(p.device, sizeof p.device, "dev-%08llu", (unsigned long long)n);
    return p;
}

UNUSED static struct ca_act sample_act(uint64_t n, struct row_memory *memory, size_t size) {
    struct ca_act a = {.version = 1,
                       .id = {(uint8_t)n, 0, 1},
                       .kind = "revoke-many",
                       .status = CA_ACT_RUNNING,
                       .text = sample_octets(memory, n, size),
                       .proposer = "uid:1000",
                       .created_ms = 1700000000001,
                       .expires_ms = 1700000000002,
                       .ended_ms = 1700000000003,
                       .done = 4,
                       .cursor = sample_serial(n),
                       .result = "so far",
                       .signature_count = 2};
    for (size_t i = 0; i < CA_ACT_SIGNATURES_MAX; i++) {
        struct ca_act_signature *s = &a.signatures[i];
        *s = (struct ca_act_signature){.time_ms = 1700000000005, .key = {(uint8_t)i, 9}, .n = 70};
        (void)snprintf(s->officer, sizeof s->officer, "officer-%zu", i);
        memset(s->octets, (int)i + 1, 70);
    }
    return a;
}

UNUSED static struct ca_profile_row sample_profile(uint64_t n) {
    struct ca_profile_row p = {
        .version = 1, .hash = {(uint8_t)n, 3}, .since_ms = 1700000000001, .act = {4, (uint8_t)n}};
    (void)snprintf(p.name, sizeof p.name, "profile-%04llu", (unsigned long long)n);
    return p;
}

UNUSED static struct ca_issuer_row sample_issuer(uint64_t n) {
    struct ca_issuer_row i = {.version = 1,
                              .spki_sha256 = {(uint8_t)n, 5},
                              .crl_shards = 16,
                              .since_ms = 1700000000001,
                              .uses = {0, 1, 2, 3, 4, 0x0102030405060708},
                              .ocsp = sample_serial(n)};
    (void)snprintf(i.name, sizeof i.name, "issuer-%04llu", (unsigned long long)n);
    return i;
}

UNUSED static struct ca_published sample_published(uint64_t n) {
    struct ca_published p = {.version = 1,
                             .issuer = "factory",
                             .number = 0x0102030405060708,
                             .this_update_ms = 1700000000001,
                             .next_update_ms = 1700000000002,
                             .entries = 3,
                             .size = 400,
                             .sha256 = {(uint8_t)n, 6},
                             .released = 1};
    (void)snprintf(p.object, sizeof p.object, "crl-%04llu", (unsigned long long)n);
    return p;
}

UNUSED static struct ca_keygen sample_keygen(uint64_t n, struct row_memory *memory, size_t size) {
    struct ca_keygen k = {.version = 1,
                          .tenant = "acme",
                          .profile = "ldevid",
                          .serial = sample_serial(n),
                          .request = {(uint8_t)n, 7},
                          .made_ms = 1700000000001,
                          .expires_ms = 1700000000002,
                          .sealed = sample_octets(memory, n, size)};
    (void)snprintf(k.device, sizeof k.device, "dev-%08llu", (unsigned long long)n);
    return k;
}

UNUSED static struct ca_ask_row sample_ask(uint64_t n, struct row_memory *memory, size_t size) {
    struct ca_ask_row a = {.version = 1,
                           .tenant = "acme",
                           .profile = "ldevid",
                           .serial = sample_serial(n),
                           .request = {(uint8_t)n, 8},
                           .open = 1,
                           .asks = 3,
                           .unknown = 2,
                           .asked_ms = 1700000000001,
                           .csr = sample_octets(memory, n, size)};
    (void)snprintf(a.device, sizeof a.device, "dev-%08llu", (unsigned long long)n);
    return a;
}

UNUSED static struct ca_foreign_row sample_foreign(uint64_t n) {
    return (struct ca_foreign_row){
        .version = 1,
        .fingerprint = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 9},
        .serial = sample_serial(n)};
}

UNUSED static struct ca_agreed sample_agreed(uint64_t n, struct row_memory *memory, size_t size) {
    struct ca_agreed a = {.version = 1,
                          .value = sample_octets(memory, n, size),
                          .since_ms = 1700000000001,
                          .act = {(uint8_t)n, 8}};
    (void)snprintf(a.name, sizeof a.name, "tenant:tenant-%04llu", (unsigned long long)n);
    return a;
}

UNUSED static struct ca_product_row sample_product(uint64_t n) {
    struct ca_product_row a = {.version = 1, .hash = {(uint8_t)n, 7}, .since_ms = 1700000000001};
    (void)snprintf(a.sku, sizeof a.sku, "sku-%04llu", (unsigned long long)n);
    return a;
}

UNUSED static struct ca_job sample_job(uint64_t n) {
    struct ca_job j = {.version = 1,
                       .tenant = "acme",
                       .of = "line-4",
                       .status = CA_JOB_OPEN,
                       .terms = 3,
                       .product = "gw-100",
                       .batch = "2026-03",
                       .site = "plant-2",
                       .profile_count = 2,
                       .profiles = {{"idevid", 100, 7}, {"ldevid", 50, 6}},
                       .first = "GW0001",
                       .last = "GW0100",
                       .listed = 5,
                       .list = {(uint8_t)n, 6},
                       .from_ms = 1700000000001,
                       .until_ms = 1700000000002,
                       .network_count = 1,
                       .networks = {{"192.0.2.0/24"}},
                       .station_count = 2,
                       .stations = {{"st-1"}, {"st-2"}},
                       .rate = 60,
                       .operator_required = 1,
                       .limits = {1, 2, 3, 4, 5},
                       .reason = "because",
                       .begun = 9,
                       .passed = 4,
                       .failed = 3,
                       .scrapped = 2,
                       .opened_ms = 1700000000003,
                       .changed_ms = 1700000000004,
                       .act = {(uint8_t)n, 7},
                       .closer = "uid:1000"};
    (void)snprintf(j.name, sizeof j.name, "job-%04llu", (unsigned long long)n);
    return j;
}

UNUSED static struct ca_job_ids sample_job_ids(uint64_t n, struct row_memory *memory, size_t size) {
    struct ca_job_ids i = {
        .version = 1, .tenant = "acme", .list = {9, 8}, .ids = sample_octets(memory, n, size)};
    (void)snprintf(i.last, sizeof i.last, "dev-%08llu", (unsigned long long)n);
    return i;
}

UNUSED static struct ca_unit sample_unit(uint64_t n) {
    struct ca_unit u = {.version = 1,
                        .tenant = "acme",
                        .job = "job-0001",
                        .result = CA_UNIT_FAILED,
                        .locked = 1,
                        .station = "st-1",
                        .operator_name = "Ada",
                        .begun_ms = 1700000000001,
                        .reported_ms = 1700000000002,
                        .challenge_ms = 1700000000003,
                        .proof_count = 1,
                        .proofs = {{"idevid", sample_serial(n)}}};
    (void)snprintf(u.device, sizeof u.device, "dev-%08llu", (unsigned long long)n);
    return u;
}

UNUSED static struct ca_operator sample_operator(uint64_t n) {
    struct ca_operator o = {.version = 1,
                            .tenant = "acme",
                            .kdf = 1,
                            .salt = {(uint8_t)n, 1},
                            .hash = {(uint8_t)n, 2},
                            .created_ms = 1700000000001};
    (void)snprintf(o.name, sizeof o.name, "op-%04llu", (unsigned long long)n);
    return o;
}

UNUSED static struct ca_shift sample_shift(uint64_t n) {
    struct ca_shift s = {.version = 1,
                         .tenant = "acme",
                         .operator_name = "Ada",
                         .operator_version = 3,
                         .since_ms = 1700000000001,
                         .until_ms = 1700000000002,
                         .failures = 2,
                         .retry_ms = 1700000000003};
    (void)snprintf(s.station, sizeof s.station, "st-%04llu", (unsigned long long)n);
    return s;
}

/* The table after this one: their numbers have gaps. */
UNUSED static enum ca_table next_table(enum ca_table table) {
    do
        table++;
    while (table <= CA_TABLE_LAST && !ca_row_size(table));
    return table;
}

UNUSED static struct ca_checkpoint sample_checkpoint(uint64_t n, struct row_memory *memory,
                                                     size_t size) {
    struct ca_checkpoint c = {.version = 1,
                              .size = 1000 + n,
                              .root = {(uint8_t)n, 6},
                              .time_ms = 1700000000001,
                              .note = sample_octets(memory, n, size)};
    (void)snprintf(c.name, sizeof c.name, "signed-%04llu", (unsigned long long)n);
    return c;
}

UNUSED static struct ca_cosignature sample_cosignature(uint64_t n, struct row_memory *memory,
                                                       size_t size) {
    struct ca_cosignature c = {.version = 1,
                               .size = 1000 + n,
                               .root = {(uint8_t)n, 7},
                               .time_ms = 1700000000002,
                               .line = sample_octets(memory, n, size)};
    (void)snprintf(c.witness, sizeof c.witness, "witness.example/%04llu", (unsigned long long)n);
    return c;
}

UNUSED static struct ca_dropped sample_dropped(uint64_t n) {
    struct ca_dropped d = {
        .version = 1, .tenant = "acme", .serial = sample_serial(n), .not_after_ms = 1800000000001};
    (void)snprintf(d.device, sizeof d.device, "dev-%08llu", (unsigned long long)n);
    return d;
}

/* Row n of a table. */
UNUSED static union store_row sample_row(enum ca_table table, uint64_t n,
                                         struct row_memory *memory) {
    switch (table) {
    case CA_TABLE_PENDING:
        return (union store_row){.pending = sample_pending(n, memory, 60)};
    case CA_TABLE_ACT:
        return (union store_row){.act = sample_act(n, memory, 300)};
    case CA_TABLE_PROFILE:
        return (union store_row){.profile = sample_profile(n)};
    case CA_TABLE_ISSUER:
        return (union store_row){.issuer = sample_issuer(n)};
    case CA_TABLE_PUBLISHED:
        return (union store_row){.published = sample_published(n)};
    case CA_TABLE_KEYGEN:
        return (union store_row){.keygen = sample_keygen(n, memory, 500)};
    case CA_TABLE_ASK:
        return (union store_row){.ask = sample_ask(n, memory, 500)};
    case CA_TABLE_FOREIGN:
        return (union store_row){.foreign = sample_foreign(n)};
    case CA_TABLE_AGREED:
        return (union store_row){.agreed = sample_agreed(n, memory, 200)};
    case CA_TABLE_PRODUCT:
        return (union store_row){.product = sample_product(n)};
    case CA_TABLE_JOB:
        return (union store_row){.job = sample_job(n)};
    case CA_TABLE_JOB_IDS:
        return (union store_row){.job_ids = sample_job_ids(n, memory, 200)};
    case CA_TABLE_UNIT:
        return (union store_row){.unit = sample_unit(n)};
    case CA_TABLE_OPERATOR:
        return (union store_row){.person = sample_operator(n)};
    case CA_TABLE_SHIFT:
        return (union store_row){.shift = sample_shift(n)};
    case CA_TABLE_CHECKPOINT:
        return (union store_row){.checkpoint = sample_checkpoint(n, memory, 400)};
    case CA_TABLE_COSIGNATURE:
        return (union store_row){.cosignature = sample_cosignature(n, memory, 160)};
    case CA_TABLE_DROPPED:
        return (union store_row){.dropped = sample_dropped(n)};
    }
    fail_msg("there is no table %d", (int)table);
    return (union store_row){0};
}

/* The same, in a store that has certificate n: rows that lead to a certificate lead to that
 * one. */
UNUSED static union store_row sound_row(enum ca_table table, uint64_t n,
                                        struct row_memory *memory) {
    union store_row row = sample_row(table, n, memory);
    uint8_t der[SAMPLE_DER];
    if (table == CA_TABLE_FOREIGN) {
        struct ca_certificate certificate = sample_certificate(n, der, sizeof der);
        memcpy(row.foreign.fingerprint, certificate.fingerprint, CA_HASH_SIZE);
    }
    return row;
}

UNUSED static struct ca_change change_row(enum ca_table table, const void *row) {
    return (struct ca_change){.kind = CA_PUT_ROW, .u.row = {table, row}};
}
UNUSED static struct ca_change change_end_row(enum ca_table table, const void *row) {
    return (struct ca_change){.kind = CA_END_ROW, .u.row = {table, row}};
}
UNUSED static struct ca_change change_grant(struct ca_grant grant) {
    return (struct ca_change){.kind = CA_SPEND_GRANT, .u.grant = grant};
}
UNUSED static struct ca_change change_use(const char *issuer, enum ca_use use, uint32_t count) {
    return (struct ca_change){.kind = CA_COUNT_USE, .u.use = {issuer, use, count}};
}

#endif
