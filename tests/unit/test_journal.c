/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's record: what comes back, what contradicts itself, which banks are free. */
#include "journal_fixture.h"

static void records_come_back_in_every_phase(void **state) {
    (void)state;
    for (unsigned phase = TM_PHASE_IDLE; phase <= TM_PHASE_SOAK; phase++) {
        uint8_t octets[TM_JOURNAL_MAX];
        struct buf out = BUF_ON(octets);
        struct tm_journal in = in_phase((enum tm_phase)phase), back;
        assert_int_equal(tm_journal_encode(&in, &out), TM_OK);
        assert_int_equal(tm_journal_decode(buf_bytes(&out), &back), TM_OK);
        assert_same(&back, &in);
        for (size_t n = 0; n < out.n; n++)
            assert_int_equal(tm_journal_decode((struct bytes){octets, n}, &back), TM_EPARSE);
        out.cap = out.n - 1;
        out.n = 0;
        assert_int_equal(tm_journal_encode(&in, &out), TM_ELIMIT);
    }
}

/* Where things stand in the record's octets. */
#define AT_PHASE 11
#define AT_SLOT_COUNT 81
#define AT_SLOT(slot) (82 + 72 * (size_t)(slot))
#define SLOT_AT(slot) (offsetof(struct tm_journal, slots) + (slot) * sizeof(struct tm_certificate))

struct contradiction {
    enum tm_phase phase;
    size_t at;     /* in the record's octets */
    size_t member; /* the same in struct tm_journal */
    uint8_t value;
};
#define HEAD(phase_, at_, member_, value_)                                                         \
    { TM_PHASE_##phase_, (at_), offsetof(struct tm_journal, member_), (value_) }
#define SLOT(phase_, slot_, at_, member_, value_)                                                  \
    {                                                                                              \
        TM_PHASE_##phase_, AT_SLOT(TM_SLOT_##slot_) + (at_),                                       \
            SLOT_AT(TM_SLOT_##slot_) + offsetof(struct tm_certificate, member_), (value_)          \
    }

static const struct contradiction CONTRADICTIONS[] = {
    HEAD(IDLE, AT_PHASE, phase, TM_PHASE_PROBE),    /* PROBE without NEXT */
    HEAD(PROBE, AT_PHASE, phase, TM_PHASE_IDLE),    /* NEXT without PROBE */
    HEAD(IDLE, AT_PHASE, phase, TM_PHASE_SOAK),     /* SOAK without PREVIOUS */
    HEAD(IDLE, AT_PHASE, phase, TM_PHASE_REQUEST),  /* REQUEST without a purpose */
    HEAD(PROBE, AT_PHASE + 1, purpose, 0),          /* PROBE without a purpose */
    HEAD(PROBE, AT_PHASE + 1, purpose, 1),          /* an IDevID outside bank 0 */
    HEAD(REQUEST, AT_PHASE + 1, purpose, 1),        /* the same */
    HEAD(REQUEST, AT_PHASE + 2, request_bank, 0),   /* an LDevID in bank 0 */
    SLOT(IDLE, NONE, 0, used, 1),                   /* what shows no certificate has one */
    SLOT(IDLE, IDEVID, 1, key_bank, 3),             /* the IDevID elsewhere */
    SLOT(IDLE, IDEVID, 2, chain_bank, 3),           /* the same */
    SLOT(IDLE, CURRENT, 1, key_bank, 0),            /* an LDevID in its place */
    SLOT(IDLE, CURRENT, 2, chain_bank, 0),          /* the same */
    SLOT(SOAK, CURRENT, 0, used, 0),                /* SOAK of nothing */
    SLOT(REQUEST, CURRENT, 0, used, 0),             /* renewal of nothing */
    SLOT(SOAK, PREVIOUS, 2, chain_bank, 2),         /* CURRENT's chain twice */
    SLOT(PROBE, NEXT, 2, chain_bank, 2),            /* the same */
    HEAD(SOAK, AT_PHASE, phase, TM_PHASE_SOAK + 1), /* beyond what there is: phase, */
    HEAD(REQUEST, AT_PHASE + 1, purpose, 5),        /* purpose, */
    HEAD(REQUEST, AT_PHASE + 2, request_bank, 4),   /* bank, */
    HEAD(IDLE, AT_PHASE + 3, anchors_bank, 2),      /* anchors, */
    SLOT(IDLE, CURRENT, 2, chain_bank, 4),          /* bank, */
    SLOT(IDLE, CURRENT, 55, serial_n, 21),          /* length */
};

static void contradictions_are_refused_both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof CONTRADICTIONS / sizeof *CONTRADICTIONS; i++) {
        const struct contradiction *c = &CONTRADICTIONS[i];
        uint8_t octets[TM_JOURNAL_MAX];
        struct buf out = BUF_ON(octets);
        struct tm_journal journal = in_phase(c->phase), untouched = {.sequence = 77};
        assert_int_equal(tm_journal_encode(&journal, &out), TM_OK);
        assert_int_equal(octets[c->at], ((uint8_t *)&journal)[c->member]);
        octets[c->at] = c->value;
        assert_int_equal(tm_journal_decode(buf_bytes(&out), &untouched), TM_EPARSE);
        assert_int_equal(untouched.sequence, 77);
        ((uint8_t *)&journal)[c->member] = c->value;
        out.n = 0;
        assert_int_not_equal(tm_journal_encode(&journal, &out), TM_OK);
        assert_int_equal(out.n, 0);
    }
}

static void a_slot_less_is_refused(void **state) {
    (void)state;
    uint8_t octets[TM_JOURNAL_MAX];
    struct buf out = BUF_ON(octets);
    struct tm_journal journal = in_phase(TM_PHASE_IDLE), back;
    assert_int_equal(tm_journal_encode(&journal, &out), TM_OK);
    assert_int_equal(octets[AT_SLOT_COUNT], TM_SLOT_COUNT);
    octets[AT_SLOT_COUNT]--;
    struct bytes shorter = {octets, AT_SLOT(TM_SLOT_COUNT - 1)};
    assert_int_equal(tm_journal_decode(shorter, &back), TM_EPARSE);
}

static void renewals_may_keep_their_key(void **state) {
    (void)state;
    struct tm_journal j = in_phase(TM_PHASE_SOAK);
    uint8_t octets[TM_JOURNAL_MAX];
    struct buf out = BUF_ON(octets);
    j.slots[TM_SLOT_PREVIOUS].key_bank = j.slots[TM_SLOT_CURRENT].key_bank;
    assert_int_equal(tm_journal_encode(&j, &out), TM_OK);
    j.phase = TM_PHASE_REQUEST;
    j.purpose = TM_PURPOSE_RENEW;
    j.request_bank = j.slots[TM_SLOT_CURRENT].key_bank;
    out.n = 0;
    assert_int_equal(tm_journal_encode(&j, &out), TM_OK);
}

/* Bank sets as bits, computed here from the slots alone. */
static void assert_banks(const struct tm_journal *j, unsigned keys, unsigned chains) {
    uint8_t bank;
    for (unsigned i = 0; i < TM_BANKS; i++) {
        assert_int_equal(tm_journal_uses_key(j, i), keys >> i & 1);
        assert_int_equal(tm_journal_uses_chain(j, i), chains >> i & 1);
    }
    for (unsigned idevid = 0; idevid < 2; idevid++) {
        unsigned mine = idevid ? 0x1 : 0xe;
        enum tm_err err = tm_journal_free_key_bank(j, idevid, &bank);
        assert_int_equal(err, (keys & mine) == mine ? TM_EFULL : TM_OK);
        assert_true(err || (mine & ~keys) >> bank & 1);
        err = tm_journal_free_chain_bank(j, idevid, &bank);
        assert_int_equal(err, (chains & mine) == mine ? TM_EFULL : TM_OK);
        assert_true(err || (mine & ~chains) >> bank & 1);
    }
}

/* Bit `n` of the choice: is there an IDevID; then for CURRENT, NEXT, PREVIOUS and the request its
 * bank, 0 for none. */
static void free_banks_are_never_used_ones(void **state) {
    (void)state;
    for (unsigned choice = 0; choice < 512; choice++) {
        struct tm_journal j = {0};
        unsigned keys = choice & 1, chains = choice & 1;
        j.slots[TM_SLOT_IDEVID].used = choice & 1;
        for (unsigned i = 0; i < 3; i++) {
            uint8_t bank = choice >> (1 + 2 * i) & 3, other = (uint8_t)(bank % 3 + 1);
            if (!bank)
                continue;
            j.slots[TM_SLOT_CURRENT + i] = certificate(bank, other);
            keys |= 1u << bank;
            chains |= 1u << other;
        }
        j.request_bank = choice >> 7 & 3;
        assert_banks(&j, keys, chains); /* IDLE: request_bank means nothing */
        j.phase = TM_PHASE_REQUEST;
        assert_banks(&j, keys | 1u << j.request_bank, chains);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_in_every_phase),
        cmocka_unit_test(contradictions_are_refused_both_ways),
        cmocka_unit_test(a_slot_less_is_refused),
        cmocka_unit_test(renewals_may_keep_their_key),
        cmocka_unit_test(free_banks_are_never_used_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
