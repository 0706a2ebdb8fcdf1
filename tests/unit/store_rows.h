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
    }
    fail_msg("there is no table %d", (int)table);
    return (union store_row){0};
}

/* The same, in a store that has certificate n: rows that lead to a certificate lead to that one. */
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
UNUSED static struct ca_change change_use(const char *issuer, enum ca_use use, uint32_t count) {
    return (struct ca_change){.kind = CA_COUNT_USE, .u.use = {issuer, use, count}};
}

#endif
