/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of administrative records: see ca/rows.h. */
#include "ca/rows.h"

#include <string.h>

/* A row's first member; every table's struct begins so. */
_Static_assert(offsetof(struct ca_pending, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_act, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_profile_row, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_issuer_row, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_published, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_keygen, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_ask_row, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_foreign_row, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_agreed, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_product_row, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_job, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_job_ids, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_unit, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_operator, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_shift, version) == 0, "rows begin with their version");

_Static_assert(offsetof(struct ca_checkpoint, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_cosignature, version) == 0, "rows begin with their version");
_Static_assert(offsetof(struct ca_dropped, version) == 0, "rows begin with their version");

/* Names one after the other, each but the last followed by a NUL, so that those that share a
 * beginning stand together. */
static enum tm_err put_names(struct buf *out, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!names[i][0])
            return TM_EINVAL;
        if (i)
            buf_put_u8(out, 0);
        buf_put(out, bytes_str(names[i]));
    }
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err put_octets(struct buf *out, struct bytes key) {
    buf_put(out, key);
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err put_device(struct buf *out, const char *tenant, const char *device,
                              const char *profile) {
    const char *const names[] = {tenant, device, profile};
    return put_names(out, names, 3);
}

static enum tm_err put_pair(struct buf *out, const char *tenant, const char *name) {
    return put_names(out, (const char *const[]){tenant, name}, 2);
}

/* Tenant, NUL, the list's hash, last ID. */
static enum tm_err put_ids(struct buf *out, const struct ca_job_ids *ids) {
    if (!ids->tenant[0])
        return TM_EINVAL;
    buf_put(out, bytes_str(ids->tenant));
    buf_put_u8(out, 0);
    buf_put(out, BYTES_OF(ids->list));
    return put_octets(out, bytes_str(ids->last));
}

/* Tenant, NUL, device, NUL, serial: one device's stand together, the oldest first. */
static enum tm_err put_dropped(struct buf *out, const struct ca_dropped *dropped) {
    enum tm_err err = put_pair(out, dropped->tenant, dropped->device);
    if (err || !dropped->serial.n)
        return err ? err : TM_EINVAL;
    buf_put_u8(out, 0);
    return put_octets(out, (struct bytes){dropped->serial.octets, dropped->serial.n});
}

enum tm_err ca_row_key(enum ca_table table, const void *row, struct buf *out) {
    const struct ca_pending *pending = row;
    const struct ca_act *act = row;
    const struct ca_profile_row *profile = row;
    const struct ca_issuer_row *issuer = row;
    const struct ca_published *published = row;
    const struct ca_keygen *keygen = row;
    const struct ca_ask_row *ask = row;
    const struct ca_foreign_row *foreign = row;
    const struct ca_agreed *agreed = row;
    const struct ca_product_row *product = row;
    const struct ca_job *job = row;
    const struct ca_unit *unit = row;
    const struct ca_operator *person = row;
    const struct ca_shift *shift = row;
    const struct ca_checkpoint *checkpoint = row;
    const struct ca_cosignature *cosignature = row;
    switch (table) {
    case CA_TABLE_PENDING:
        return put_device(out, pending->tenant, pending->device, pending->profile);
    case CA_TABLE_ACT:
        return put_octets(out, BYTES_OF(act->id));
    case CA_TABLE_PROFILE:
        return put_names(out, (const char *const[]){profile->name}, 1);
    case CA_TABLE_ISSUER:
        return put_names(out, (const char *const[]){issuer->name}, 1);
    case CA_TABLE_PUBLISHED:
        return put_names(out, (const char *const[]){published->issuer, published->object}, 2);
    case CA_TABLE_KEYGEN:
        return put_device(out, keygen->tenant, keygen->device, keygen->profile);
    case CA_TABLE_ASK:
        return put_device(out, ask->tenant, ask->device, ask->profile);
    case CA_TABLE_FOREIGN:
        return put_octets(out, BYTES_OF(foreign->fingerprint));
    case CA_TABLE_AGREED:
        return put_names(out, (const char *const[]){agreed->name}, 1);
    case CA_TABLE_PRODUCT:
        return put_names(out, (const char *const[]){product->sku}, 1);
    case CA_TABLE_JOB:
        return put_pair(out, job->tenant, job->name);
    case CA_TABLE_JOB_IDS:
        return put_ids(out, row);
    case CA_TABLE_UNIT:
        return put_device(out, unit->tenant, unit->job, unit->device);
    case CA_TABLE_OPERATOR:
        return put_pair(out, person->tenant, person->name);
    case CA_TABLE_SHIFT:
        return put_pair(out, shift->tenant, shift->station);
    case CA_TABLE_CHECKPOINT:
        return put_names(out, (const char *const[]){checkpoint->name}, 1);
    case CA_TABLE_COSIGNATURE:
        return put_names(out, (const char *const[]){cosignature->witness}, 1);
    case CA_TABLE_DROPPED:
        return put_dropped(out, row);
    }
    return TM_EINVAL;
}

size_t ca_row_size(enum ca_table table) {
    switch (table) {
    case CA_TABLE_PENDING:
        return sizeof(struct ca_pending);
    case CA_TABLE_ACT:
        return sizeof(struct ca_act);
    case CA_TABLE_PROFILE:
        return sizeof(struct ca_profile_row);
    case CA_TABLE_ISSUER:
        return sizeof(struct ca_issuer_row);
    case CA_TABLE_PUBLISHED:
        return sizeof(struct ca_published);
    case CA_TABLE_KEYGEN:
        return sizeof(struct ca_keygen);
    case CA_TABLE_ASK:
        return sizeof(struct ca_ask_row);
    case CA_TABLE_FOREIGN:
        return sizeof(struct ca_foreign_row);
    case CA_TABLE_AGREED:
        return sizeof(struct ca_agreed);
    case CA_TABLE_PRODUCT:
        return sizeof(struct ca_product_row);
    case CA_TABLE_JOB:
        return sizeof(struct ca_job);
    case CA_TABLE_JOB_IDS:
        return sizeof(struct ca_job_ids);
    case CA_TABLE_UNIT:
        return sizeof(struct ca_unit);
    case CA_TABLE_OPERATOR:
        return sizeof(struct ca_operator);
    case CA_TABLE_SHIFT:
        return sizeof(struct ca_shift);
    case CA_TABLE_CHECKPOINT:
        return sizeof(struct ca_checkpoint);
    case CA_TABLE_COSIGNATURE:
        return sizeof(struct ca_cosignature);
    case CA_TABLE_DROPPED:
        return sizeof(struct ca_dropped);
    }
    return 0;
}
