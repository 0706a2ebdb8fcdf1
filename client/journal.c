/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's record and its two items: see client/journal.h. The record with an odd sequence
 * stands in item A, that with an even one in B: a commit therefore never touches the item of the
 * record before it.
 */
#include "client/journal.h"

#include <string.h>

#include "base/codec.h"

#define TYPE_JOURNAL 1
#define ITEM_MAX (TM_SHA256_SIZE + TM_JOURNAL_MAX)

/* The codec wants arrays with a count; that of the slots is always TM_SLOT_COUNT. */
struct record {
    struct tm_journal journal;
    size_t slot_count;
};

static const struct codec_field CERTIFICATE_FIELDS[] = {
    CODEC_INT(CODEC_U8, struct tm_certificate, used, 1),
    CODEC_INT(CODEC_U8, struct tm_certificate, key_bank, TM_BANKS - 1),
    CODEC_INT(CODEC_U8, struct tm_certificate, chain_bank, TM_BANKS - 1),
    CODEC_OCTETS(struct tm_certificate, hash),
    CODEC_OCTETS(struct tm_certificate, serial),
    CODEC_INT(CODEC_U8, struct tm_certificate, serial_n,
              sizeof(((struct tm_certificate *)0)->serial)),
    CODEC_INT(CODEC_I64, struct tm_certificate, not_before_ms, 0),
    CODEC_INT(CODEC_I64, struct tm_certificate, not_after_ms, 0),
};
static const struct codec_schema CERTIFICATE_SCHEMA = {
    .name = "certificate",
    .size = sizeof(struct tm_certificate),
    .fields = CERTIFICATE_FIELDS,
    .field_count = sizeof CERTIFICATE_FIELDS / sizeof *CERTIFICATE_FIELDS,
};

static const struct codec_field RECORD_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct record, journal.sequence, 0),
    CODEC_INT(CODEC_U8, struct record, journal.phase, TM_PHASE_SOAK),
    CODEC_INT(CODEC_U8, struct record, journal.purpose, TM_PURPOSE_RECOVER),
    CODEC_INT(CODEC_U8, struct record, journal.request_bank, TM_BANKS - 1),
    CODEC_INT(CODEC_U8, struct record, journal.anchors_bank, 1),
    CODEC_OCTETS(struct record, journal.anchors_hash),
    CODEC_INT(CODEC_U8, struct record, journal.bootstrap_done, 1),
    CODEC_INT(CODEC_I64, struct record, journal.soak_until_ms, 0),
    CODEC_INT(CODEC_I64, struct record, journal.time_floor_ms, 0),
    CODEC_INT(CODEC_I64, struct record, journal.renew_from_ms, 0),
    CODEC_INT(CODEC_I64, struct record, journal.renew_until_ms, 0),
    CODEC_LIST(struct record, journal.slots, slot_count, CERTIFICATE_SCHEMA),
};
static const struct codec_schema RECORD_SCHEMA = {
    .name = "journal",
    .type = TYPE_JOURNAL,
    .version = 1,
    .size = sizeof(struct record),
    .fields = RECORD_FIELDS,
    .field_count = sizeof RECORD_FIELDS / sizeof *RECORD_FIELDS,
};

static bool requests_key(const struct tm_journal *journal, unsigned bank) {
    return journal->phase == TM_PHASE_REQUEST && journal->request_bank == bank;
}

/* Bank 0 is the IDevID's for life, and its only one. */
static bool bank_suits(unsigned bank, bool idevid) {
    return (bank == TM_BANK_IDEVID) == idevid;
}

static bool banks_suit(const struct tm_journal *journal) {
    bool asks_idevid = journal->purpose == TM_PURPOSE_IDEVID;
    for (unsigned slot = 0; slot < TM_SLOT_COUNT; slot++) {
        const struct tm_certificate *certificate = &journal->slots[slot];
        bool idevid = slot == TM_SLOT_IDEVID || (slot == TM_SLOT_NEXT && asks_idevid);
        if (certificate->used && (!bank_suits(certificate->key_bank, idevid) ||
                                  !bank_suits(certificate->chain_bank, idevid)))
            return false;
    }
    return journal->phase != TM_PHASE_REQUEST || bank_suits(journal->request_bank, asks_idevid);
}

static unsigned chains_in(const struct tm_journal *journal, unsigned bank) {
    unsigned chains = 0;
    for (unsigned slot = 0; slot < TM_SLOT_COUNT; slot++)
        chains += journal->slots[slot].used && journal->slots[slot].chain_bank == bank;
    return chains;
}

static bool phase_suits(const struct tm_journal *journal) {
    const struct tm_certificate *slots = journal->slots;
    bool current = slots[TM_SLOT_CURRENT].used, next = slots[TM_SLOT_NEXT].used;
    bool under_way = journal->phase == TM_PHASE_REQUEST || journal->phase == TM_PHASE_PROBE;
    if (slots[TM_SLOT_NONE].used || next != (journal->phase == TM_PHASE_PROBE))
        return false;
    if (under_way &&
        (journal->purpose == TM_PURPOSE_NONE || (journal->purpose == TM_PURPOSE_RENEW && !current)))
        return false;
    return journal->phase != TM_PHASE_SOAK || (current && slots[TM_SLOT_PREVIOUS].used);
}

static bool consistent(const struct tm_journal *journal) {
    for (unsigned bank = 0; bank < TM_BANKS; bank++)
        if (chains_in(journal, bank) > 1)
            return false;
    return banks_suit(journal) && phase_suits(journal);
}

enum tm_err tm_journal_decode(struct bytes record, struct tm_journal *ret) {
    struct record decoded;
    enum tm_err err = codec_decode(&RECORD_SCHEMA, record, &decoded);
    if (err)
        return err;
    if (decoded.slot_count != TM_SLOT_COUNT || !consistent(&decoded.journal))
        return TM_EPARSE;
    *ret = decoded.journal;
    return TM_OK;
}

enum tm_err tm_journal_encode(const struct tm_journal *journal, struct buf *out) {
    if (!consistent(journal))
        return TM_EINVAL;
    const struct record record = {*journal, TM_SLOT_COUNT};
    return codec_encode(&RECORD_SCHEMA, &record, out);
}

static enum tm_item item_of(uint64_t sequence) {
    return sequence % 2 ? TM_ITEM_JOURNAL_A : TM_ITEM_JOURNAL_B;
}

static enum tm_err hash_of(const struct tm_crypto *crypto, struct bytes record,
                           uint8_t ret[TM_SHA256_SIZE]) {
    return crypto->sha256(crypto->self, &record, 1, ret);
}

/* TM_ENOTFOUND: absent; TM_EPARSE: torn; TM_ECORRUPT: whole, but not a record that this library
 * could have put there. */
static enum tm_err read_item(const struct tm_storage *storage, const struct tm_crypto *crypto,
                             enum tm_item item, struct tm_journal *ret) {
    uint8_t octets[ITEM_MAX], hash[TM_SHA256_SIZE];
    struct buf in = BUF_ON(octets);
    enum tm_err err = storage->read(storage->self, item, &in);
    if (err)
        return err == TM_ELIMIT ? TM_EPARSE : err;
    if (in.n < TM_SHA256_SIZE)
        return TM_EPARSE;
    struct bytes record = {octets + TM_SHA256_SIZE, in.n - TM_SHA256_SIZE};
    err = hash_of(crypto, record, hash);
    if (err)
        return err;
    if (memcmp(hash, octets, sizeof hash) != 0)
        return TM_EPARSE;
    struct tm_journal journal;
    if (tm_journal_decode(record, &journal) || item_of(journal.sequence) != item)
        return TM_ECORRUPT;
    *ret = journal;
    return TM_OK;
}

static bool about_item(enum tm_err err) {
    return err == TM_OK || err == TM_ENOTFOUND || err == TM_EPARSE || err == TM_ECORRUPT;
}

/* With no valid record: the first write of all goes to A, and B is not touched before A is whole.
 * A torn A beside no B is thus what a cut in the first write leaves. */
static enum tm_err nothing_valid(enum tm_err a, enum tm_err b) {
    bool never_written = b == TM_ENOTFOUND && (a == TM_ENOTFOUND || a == TM_EPARSE);
    return never_written ? TM_ENOTFOUND : TM_ECORRUPT;
}

/* A read that failed otherwise fails the whole: the item may hold the newest record, and going on
 * from the other one would undo it. */
enum tm_err tm_journal_load(const struct tm_storage *storage, const struct tm_crypto *crypto,
                            struct tm_journal *ret) {
    struct tm_journal a, b;
    enum tm_err err_a = read_item(storage, crypto, TM_ITEM_JOURNAL_A, &a);
    if (!about_item(err_a))
        return err_a;
    enum tm_err err_b = read_item(storage, crypto, TM_ITEM_JOURNAL_B, &b);
    if (!about_item(err_b))
        return err_b;
    if (err_a && err_b)
        return nothing_valid(err_a, err_b);
    *ret = err_b || (!err_a && a.sequence > b.sequence) ? a : b;
    return TM_OK;
}

static enum tm_err seal(const struct tm_crypto *crypto, const struct tm_journal *journal,
                        struct buf *out) {
    uint8_t hash[TM_SHA256_SIZE] = {0};
    size_t start = out->n;
    buf_put(out, BYTES_OF(hash)); /* room */
    size_t at = out->n;
    enum tm_err err = tm_journal_encode(journal, out);
    if (!err)
        err = hash_of(crypto, (struct bytes){out->p + at, out->n - at}, hash);
    if (!err)
        memcpy(out->p + start, hash, sizeof hash);
    return err;
}

/* A write that failed may still have left the new record: it is erased, so that the next start
 * finds what the caller goes on with. */
static enum tm_err replace(const struct tm_storage *storage, enum tm_item item,
                           struct bytes octets) {
    enum tm_err err = storage->write(storage->self, item, octets);
    if (err)
        (void)storage->erase(storage->self, item);
    return err;
}

enum tm_err tm_journal_commit(const struct tm_storage *storage, const struct tm_crypto *crypto,
                              struct tm_journal *journal) {
    if (journal->sequence == UINT64_MAX)
        return TM_ELIMIT;
    uint8_t octets[ITEM_MAX];
    struct buf out = BUF_ON(octets);
    journal->sequence++;
    enum tm_err err = seal(crypto, journal, &out);
    if (!err)
        err = replace(storage, item_of(journal->sequence), buf_bytes(&out));
    if (err)
        journal->sequence--;
    return err;
}

bool tm_journal_uses_key(const struct tm_journal *journal, unsigned bank) {
    for (unsigned slot = 0; slot < TM_SLOT_COUNT; slot++)
        if (journal->slots[slot].used && journal->slots[slot].key_bank == bank)
            return true;
    return requests_key(journal, bank);
}

bool tm_journal_uses_chain(const struct tm_journal *journal, unsigned bank) {
    return chains_in(journal, bank) > 0;
}

static enum tm_err free_bank(const struct tm_journal *journal, bool idevid,
                             bool (*uses)(const struct tm_journal *journal, unsigned bank),
                             uint8_t *ret) {
    for (unsigned bank = 0; bank < TM_BANKS; bank++)
        if (bank_suits(bank, idevid) && !uses(journal, bank)) {
            *ret = (uint8_t)bank;
            return TM_OK;
        }
    return TM_EFULL;
}

enum tm_err tm_journal_free_key_bank(const struct tm_journal *journal, bool idevid, uint8_t *ret) {
    return free_bank(journal, idevid, tm_journal_uses_key, ret);
}

enum tm_err tm_journal_free_chain_bank(const struct tm_journal *journal, bool idevid,
                                       uint8_t *ret) {
    return free_bank(journal, idevid, tm_journal_uses_chain, ret);
}
