/* SPDX-License-Identifier: Apache-2.0 */
/* Journal records of a device in the middle of its life. */
#ifndef TOUCHMARK_TESTS_JOURNAL_FIXTURE_H
#define TOUCHMARK_TESTS_JOURNAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/journal.h"

static struct tm_certificate certificate(uint8_t key_bank, uint8_t chain_bank) {
    struct tm_certificate c = {.used = true,
                               .key_bank = key_bank,
                               .chain_bank = chain_bank,
                               .serial_n = 20,
                               .not_before_ms = -1000 - key_bank,
                               .not_after_ms = INT64_C(253402300799000) + chain_bank};
    memset(c.hash, 0xc0 + chain_bank, sizeof c.hash);
    memset(c.serial, 0x7f, sizeof c.serial);
    return c;
}

/* A device in the middle of its life, in the phase that is wanted. */
static struct tm_journal in_phase(enum tm_phase phase) {
    bool under_way = phase == TM_PHASE_REQUEST || phase == TM_PHASE_PROBE;
    struct tm_journal j = {.sequence = UINT64_C(0x0102030405060708),
                           .phase = (uint8_t)phase,
                           .purpose = under_way ? TM_PURPOSE_RENEW : TM_PURPOSE_NONE,
                           .request_bank = phase == TM_PHASE_REQUEST ? 3 : 0,
                           .anchors_bank = 1,
                           .bootstrap_done = true,
                           .soak_until_ms = 1111,
                           .time_floor_ms = 2222,
                           .renew_from_ms = 3333,
                           .renew_until_ms = 4444};
    memset(j.anchors_hash, 0xaa, sizeof j.anchors_hash);
    j.slots[TM_SLOT_NONE] = certificate(1, 1);
    j.slots[TM_SLOT_NONE].used = false; /* what is left in an unused slot means nothing */
    j.slots[TM_SLOT_IDEVID] = certificate(0, 0);
    j.slots[TM_SLOT_CURRENT] = certificate(1, 2);
    if (phase == TM_PHASE_PROBE)
        j.slots[TM_SLOT_NEXT] = certificate(3, 1);
    if (phase == TM_PHASE_SOAK)
        j.slots[TM_SLOT_PREVIOUS] = certificate(2, 3);
    return j;
}

static void assert_same_certificate(const struct tm_certificate *a,
                                    const struct tm_certificate *b) {
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->key_bank, b->key_bank);
    assert_int_equal(a->chain_bank, b->chain_bank);
    assert_memory_equal(a->hash, b->hash, sizeof a->hash);
    assert_memory_equal(a->serial, b->serial, sizeof a->serial);
    assert_int_equal(a->serial_n, b->serial_n);
    assert_int_equal(a->not_before_ms, b->not_before_ms);
    assert_int_equal(a->not_after_ms, b->not_after_ms);
}

static void assert_same(const struct tm_journal *a, const struct tm_journal *b) {
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->phase, b->phase);
    assert_int_equal(a->purpose, b->purpose);
    assert_int_equal(a->request_bank, b->request_bank);
    assert_int_equal(a->anchors_bank, b->anchors_bank);
    assert_memory_equal(a->anchors_hash, b->anchors_hash, sizeof a->anchors_hash);
    assert_int_equal(a->bootstrap_done, b->bootstrap_done);
    assert_int_equal(a->soak_until_ms, b->soak_until_ms);
    assert_int_equal(a->time_floor_ms, b->time_floor_ms);
    assert_int_equal(a->renew_from_ms, b->renew_from_ms);
    assert_int_equal(a->renew_until_ms, b->renew_until_ms);
    for (unsigned slot = 0; slot < TM_SLOT_COUNT; slot++)
        assert_same_certificate(&a->slots[slot], &b->slots[slot]);
}

#endif
