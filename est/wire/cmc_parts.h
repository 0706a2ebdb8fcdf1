/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PKIData and a PKIResponse have in common (RFC 5272, 3.2.1, 3.2.2 and 4.2.1): body parts,
 * each with an ID of its own, and controls among them. Only for est/wire's CMC files.
 */
#ifndef TOUCHMARK_EST_WIRE_CMC_PARTS_H
#define TOUCHMARK_EST_WIRE_CMC_PARTS_H

#include "pki/der.h"
#include "pki/oid.h"

#define CMC_CONTROLS_MAX 16
#define CMC_PARTS_MAX 32 /* controls, requests and all the rest */

/* The body parts of one message that were read; {0} at its start. */
struct cmc_parts {
    uint32_t ids[CMC_PARTS_MAX];
    size_t count;
};

/* Takes a bodyPartID off *in. TM_EPARSE: none, one of another part, or 0, which is the whole
 * message's (RFC 5272, 3.2.2); TM_ELIMIT: too many parts. */
MUST_USE enum tm_err cmc_part_take(struct cmc_parts *parts, struct bytes *in, uint32_t *ret_part);

struct cmc_control {
    uint32_t part;
    enum pki_oid type;   /* or UNKNOWN */
    struct bytes values; /* content of attrValues */
};

/* Takes a TaggedAttribute off *in. Of a message's controls before any other body part. TM_EPARSE;
 * TM_ELIMIT: more than CMC_CONTROLS_MAX. */
MUST_USE enum tm_err cmc_control_take(struct cmc_parts *parts, struct bytes *in,
                                      struct cmc_control *ret);

/* The control's only value, of this tag. */
MUST_USE enum tm_err cmc_control_value(const struct cmc_control *control, uint8_t tag,
                                       struct der *ret);
/* The control's only value, of this tag, into a member that is not filled yet. TM_EPARSE: it is (so
 * the control came twice), or the value has no octets; TM_ELIMIT: it has more than max. */
MUST_USE enum tm_err cmc_control_octets(const struct cmc_control *control, uint8_t tag, size_t max,
                                        struct bytes *member);
/* transactionId in the same way: the magnitude of an INTEGER above 0. */
MUST_USE enum tm_err cmc_control_transaction(const struct cmc_control *control,
                                             struct bytes *member);

/* `in` is cmsSequence and otherMsgSequence, which are to be ignored when no control refers to them
 * (RFC 5272, 3.2.1 and 4.2.1), and nothing after them. */
MUST_USE enum tm_err cmc_rest_skip(struct cmc_parts *parts, struct bytes in);

/* Ends the control whose value was written since `mark`. */
void cmc_wrap_control(struct der_writer *w, uint32_t part, enum pki_oid type, size_t mark);
/* A control of one string of this tag; none when it is empty. */
void cmc_put_octets(struct der_writer *w, uint32_t part, enum pki_oid type, uint8_t tag,
                    struct bytes octets);
void cmc_put_transaction(struct der_writer *w, uint32_t part, struct bytes magnitude);

#endif
