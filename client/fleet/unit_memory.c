/* SPDX-License-Identifier: Apache-2.0 */
/* A device's storage and key store: see client/fleet/unit.h. */
#include <stdlib.h>
#include <string.h>

#include "client/fleet/unit.h"
#include "pki/der.h"

/* How a write ends. */
enum fate { DONE, FAILED, CUT };

static enum fate fate_of(struct fleet_unit *u) {
    if (fleet_random_chance(&u->random, u->cut)) {
        u->dark = true;
        return CUT;
    }
    return fleet_random_chance(&u->random, u->failed) ? FAILED : DONE;
}

/* ---- storage ---- */

static enum tm_err put_item(struct fleet_item *item, struct bytes data) {
    uint8_t *copy = malloc(data.n ? data.n : 1);
    if (!copy)
        return TM_ENOMEM;
    if (data.n)
        memcpy(copy, data.p, data.n);
    free(item->p);
    *item = (struct fleet_item){copy, data.n};
    return TM_OK;
}

static void drop_item(struct fleet_item *item) {
    free(item->p);
    *item = (struct fleet_item){0};
}

/* Half of the new octets, then what the flash happened to hold. */
static enum tm_err tear(struct fleet_unit *u, struct fleet_item *item, struct bytes data) {
    enum tm_err err = put_item(item, data);
    if (!err)
        fleet_random_fill(&u->random, item->p + item->n / 2, item->n - item->n / 2);
    return err;
}

/* Old, new, absent or garbage: all that client/tables.h allows. */
static enum tm_err interrupt(struct fleet_unit *u, struct fleet_item *item, struct bytes data) {
    enum tm_err err = TM_OK;
    switch (fleet_random_between(&u->random, 0, 3)) {
    case 0:
        break;
    case 1:
        err = put_item(item, data);
        break;
    case 2:
        drop_item(item);
        break;
    default:
        err = tear(u, item, data);
        break;
    }
    return err ? err : TM_EIO;
}

static enum tm_err storage_read(void *self, enum tm_item item, struct buf *out) {
    struct fleet_unit *u = self;
    struct bytes data = fleet_unit_item(u, item);
    if (u->dark)
        return TM_EIO;
    if (!u->items[item].p)
        return TM_ENOTFOUND;
    if (data.n > out->cap - out->n)
        return TM_ELIMIT;
    buf_put(out, data);
    return TM_OK;
}

static enum tm_err storage_write(void *self, enum tm_item item, struct bytes data) {
    struct fleet_unit *u = self;
    if (u->dark)
        return TM_EIO;
    return fate_of(u) == DONE ? put_item(&u->items[item], data)
                              : interrupt(u, &u->items[item], data);
}

static enum tm_err storage_erase(void *self, enum tm_item item) {
    struct fleet_unit *u = self;
    if (u->dark)
        return TM_EIO;
    if (!u->items[item].p)
        return TM_OK;
    enum fate fate = fate_of(u);
    if (fate == DONE || fleet_random_chance(&u->random, 333))
        drop_item(&u->items[item]);
    else if (fleet_random_chance(&u->random, 500))
        fleet_random_fill(&u->random, u->items[item].p, u->items[item].n);
    return fate == DONE ? TM_OK : TM_EIO;
}

/* ---- keys ---- */

/* A slow key store answers the second time. */
static bool at_work(struct fleet_unit *u) {
    u->asked = u->slow && !u->asked;
    return u->asked;
}

static enum tm_err keys_generate(void *self, unsigned bank) {
    struct fleet_unit *u = self;
    struct fleet_key key;
    if (u->dark)
        return TM_EIO;
    if (at_work(u))
        return TM_EAGAIN;
    enum fate fate = fate_of(u);
    int64_t left = fate == DONE ? 1 : fleet_random_between(&u->random, 0, 2);
    enum tm_err err = left == 1 ? fleet_key_new(&key) : TM_OK;
    if (err)
        return err;
    if (left != 0)
        fleet_key_free(&u->banks[bank]);
    if (left == 1)
        u->banks[bank] = key;
    return fate == DONE ? TM_OK : TM_EIO;
}

static enum tm_err keys_public(void *self, unsigned bank, struct buf *out) {
    struct fleet_unit *u = self;
    if (u->dark)
        return TM_EIO;
    if (!u->banks[bank].pkey)
        return TM_ENOTFOUND;
    buf_put(out, BYTES_OF(u->banks[bank].spki));
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err keys_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                             struct buf *out) {
    struct fleet_unit *u = self;
    if (u->dark)
        return TM_EIO;
    if (!u->banks[bank].pkey)
        return TM_ENOTFOUND;
    if (at_work(u))
        return TM_EAGAIN;
    return fleet_key_sign(&u->banks[bank], digest, out);
}

static enum tm_err keys_destroy(void *self, unsigned bank) {
    struct fleet_unit *u = self;
    if (u->dark)
        return TM_EIO;
    if (!u->banks[bank].pkey)
        return TM_OK;
    enum fate fate = fate_of(u);
    if (fate == DONE || fleet_random_chance(&u->random, 500))
        fleet_key_free(&u->banks[bank]);
    return fate == DONE ? TM_OK : TM_EIO;
}

/* ---- whole ---- */

struct bytes fleet_unit_item(const struct fleet_unit *unit, enum tm_item item) {
    return (struct bytes){unit->items[item].p, unit->items[item].n};
}

struct bytes fleet_unit_leaf(const struct fleet_unit *unit, unsigned chain_bank) {
    struct bytes chain = fleet_unit_item(unit, (enum tm_item)(TM_ITEM_CHAIN_0 + chain_bank));
    struct der leaf;
    return chain.n && !der_expect(&chain, DER_SEQUENCE, &leaf) ? leaf.whole : (struct bytes){0};
}

void fleet_unit_tables(struct fleet_unit *unit) {
    unit->storage = (struct tm_storage){.version = TM_TABLE_VERSION,
                                        .self = unit,
                                        .read = storage_read,
                                        .write = storage_write,
                                        .erase = storage_erase};
    unit->keys = (struct tm_keys){.version = TM_TABLE_VERSION,
                                  .self = unit,
                                  .generate = keys_generate,
                                  .public_key = keys_public,
                                  .sign = keys_sign,
                                  .destroy = keys_destroy};
}

void fleet_unit_free(struct fleet_unit *unit) {
    for (size_t i = 0; i < TM_ITEM_COUNT; i++)
        drop_item(&unit->items[i]);
    for (size_t i = 0; i < TM_BANKS; i++)
        fleet_key_free(&unit->banks[i]);
}
