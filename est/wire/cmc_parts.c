/* SPDX-License-Identifier: Apache-2.0 */
/* Body parts and controls of CMC messages, read and written. */
#include "est/wire/cmc_parts.h"

#include "est/wire/cmc.h"

static bool is_known(const struct cmc_parts *parts, uint32_t id) {
    for (size_t i = 0; i < parts->count; i++)
        if (parts->ids[i] == id)
            return true;
    return false;
}

enum tm_err cmc_part_take(struct cmc_parts *parts, struct bytes *in, uint32_t *ret_part) {
    struct der d;
    uint32_t id;
    if (der_expect(in, DER_INTEGER, &d) != TM_OK || der_small(&d, &id) != TM_OK || id == 0 ||
        is_known(parts, id))
        return TM_EPARSE;
    if (parts->count == CMC_PARTS_MAX)
        return TM_ELIMIT;
    parts->ids[parts->count++] = id;
    *ret_part = id;
    return TM_OK;
}

/* Takes a SEQUENCE that starts with a bodyPartID off *in. */
static enum tm_err take_tagged(struct cmc_parts *parts, struct bytes *in, uint32_t *ret_part,
                               struct bytes *ret_rest) {
    struct der tagged;
    if (der_expect(in, DER_SEQUENCE, &tagged) != TM_OK)
        return TM_EPARSE;
    enum tm_err err = cmc_part_take(parts, &tagged.value, ret_part);
    if (err == TM_OK)
        *ret_rest = tagged.value;
    return err;
}

enum tm_err cmc_control_take(struct cmc_parts *parts, struct bytes *in, struct cmc_control *ret) {
    struct cmc_control control;
    struct bytes rest;
    struct der oid, values;
    if (parts->count == CMC_CONTROLS_MAX)
        return TM_ELIMIT;
    enum tm_err err = take_tagged(parts, in, &control.part, &rest);
    if (err)
        return err;
    if (der_expect(&rest, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_only(rest, DER_SET, &values) != TM_OK)
        return TM_EPARSE;
    control.type = pki_oid_find(oid.value);
    control.values = values.value;
    *ret = control;
    return TM_OK;
}

enum tm_err cmc_control_value(const struct cmc_control *control, uint8_t tag, struct der *ret) {
    return der_only(control->values, tag, ret);
}

enum tm_err cmc_control_octets(const struct cmc_control *control, uint8_t tag, size_t max,
                               struct bytes *member) {
    struct der value;
    if (member->n != 0 || cmc_control_value(control, tag, &value) != TM_OK || value.value.n == 0)
        return TM_EPARSE;
    if (value.value.n > max)
        return TM_ELIMIT;
    *member = value.value;
    return TM_OK;
}

enum tm_err cmc_control_transaction(const struct cmc_control *control, struct bytes *member) {
    struct der value;
    struct bytes magnitude;
    if (member->n != 0 || cmc_control_value(control, DER_INTEGER, &value) != TM_OK ||
        der_integer(&value, &magnitude) != TM_OK || magnitude.n == 0)
        return TM_EPARSE;
    if (magnitude.n > EST_CMC_TRANSACTION_MAX)
        return TM_ELIMIT;
    *member = magnitude;
    return TM_OK;
}

enum tm_err cmc_rest_skip(struct cmc_parts *parts, struct bytes in) {
    struct der sequence;
    struct bytes rest;
    uint32_t part;
    for (size_t i = 0; i < 2; i++) {
        if (der_expect(&in, DER_SEQUENCE, &sequence) != TM_OK)
            return TM_EPARSE;
        while (sequence.value.n > 0) {
            enum tm_err err = take_tagged(parts, &sequence.value, &part, &rest);
            if (err)
                return err;
        }
    }
    return in.n == 0 ? TM_OK : TM_EPARSE;
}

void cmc_wrap_control(struct der_writer *w, uint32_t part, enum pki_oid type, size_t mark) {
    der_wrap(w, DER_SET, mark);
    der_put(w, DER_OID, pki_oid_bytes(type));
    der_put_small(w, part);
    der_wrap(w, DER_SEQUENCE, mark);
}

void cmc_put_octets(struct der_writer *w, uint32_t part, enum pki_oid type, uint8_t tag,
                    struct bytes octets) {
    size_t mark = der_mark(w);
    if (octets.n == 0)
        return;
    der_put(w, tag, octets);
    cmc_wrap_control(w, part, type, mark);
}

void cmc_put_transaction(struct der_writer *w, uint32_t part, struct bytes magnitude) {
    size_t mark = der_mark(w);
    if (magnitude.n == 0)
        return;
    der_put_unsigned(w, magnitude);
    cmc_wrap_control(w, part, PKI_OID_CMC_TRANSACTION_ID, mark);
}
