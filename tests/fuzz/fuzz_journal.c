/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device may find where its journal was. Inputs with an even first octet are a record: one
 * that decodes encodes to the same octets. The others are the two items, the first as long as the
 * next two octets say: whatever stands there, a load ends, and a commit after it is what the next
 * load finds. The hash is always zero here, so that inputs get beyond it.
 */
#include <stdlib.h>
#include <string.h>

#include "client/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEM_MAX (TM_SHA256_SIZE + TM_JOURNAL_MAX)

struct items {
    struct bytes at[2]; /* without octets: absent */
    uint8_t written[ITEM_MAX];
};

static void require(bool holds) {
    if (!holds)
        abort();
}

static enum tm_err items_read(void *self, enum tm_item item, struct buf *out) {
    const struct items *items = self;
    require(item == TM_ITEM_JOURNAL_A || item == TM_ITEM_JOURNAL_B);
    struct bytes from = items->at[item];
    if (from.n == 0)
        return TM_ENOTFOUND;
    if (from.n > out->cap - out->n)
        return TM_ELIMIT;
    buf_put(out, from);
    return TM_OK;
}

static enum tm_err items_write(void *self, enum tm_item item, struct bytes data) {
    struct items *items = self;
    require(data.n <= sizeof items->written);
    memcpy(items->written, data.p, data.n);
    items->at[item] = (struct bytes){items->written, data.n};
    return TM_OK;
}

static enum tm_err zero_hash(void *self, const struct bytes *parts, size_t count,
                             uint8_t ret[TM_SHA256_SIZE]) {
    (void)self, (void)parts, (void)count;
    memset(ret, 0, TM_SHA256_SIZE);
    return TM_OK;
}

static void try_record(struct bytes in) {
    uint8_t octets[TM_JOURNAL_MAX];
    struct buf out = BUF_ON(octets);
    struct tm_journal journal;
    uint8_t bank;
    if (tm_journal_decode(in, &journal))
        return;
    require(!tm_journal_encode(&journal, &out) && bytes_equal(in, buf_bytes(&out)));
    require(journal.slots[TM_SLOT_NEXT].used == (journal.phase == TM_PHASE_PROBE));
    for (unsigned idevid = 0; idevid < 2; idevid++) {
        if (!tm_journal_free_key_bank(&journal, idevid, &bank))
            require(bank < TM_BANKS && !tm_journal_uses_key(&journal, bank));
        if (!tm_journal_free_chain_bank(&journal, idevid, &bank))
            require(bank < TM_BANKS && !tm_journal_uses_chain(&journal, bank));
    }
}

static void try_items(struct bytes in) {
    struct reader reader = {.in = in};
    struct items items = {0};
    items.at[0] = reader_take(&reader, (size_t)reader_be(&reader, 2));
    items.at[1] = reader_take(&reader, reader_left(&reader));
    const struct tm_storage storage = {
        .version = TM_TABLE_VERSION, .self = &items, .read = items_read, .write = items_write};
    const struct tm_crypto crypto = {.version = TM_TABLE_VERSION, .sha256 = zero_hash};
    struct tm_journal journal, again;
    enum tm_err err = tm_journal_load(&storage, &crypto, &journal);
    require(!err || err == TM_ENOTFOUND || err == TM_ECORRUPT);
    if (err || tm_journal_commit(&storage, &crypto, &journal))
        return;
    require(!tm_journal_load(&storage, &crypto, &again));
    require(again.sequence == journal.sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct bytes in = {data + 1, size - 1};
    if (data[0] % 2)
        try_items(in);
    else
        try_record(in);
    return 0;
}
