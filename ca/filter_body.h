/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a filter, from serials to octets. Not thread-safe; only for ca/filter.c. */
#ifndef TOUCHMARK_CA_FILTER_BODY_H
#define TOUCHMARK_CA_FILTER_BODY_H

#include <stdatomic.h>

#include "ca/filter_list.h"
#include "pki/filter.h"

/* Items are serials. */
struct ca_filter_sides {
    const struct ca_filter_list *good, *revoked;
    const atomic_bool *stop; /* or NULL */
};

/* Sets everything in *header that says how the body is made, from its seed on, and makes the body
 * (the caller frees it; NULL when it has no octets). Every serial was tried. TM_ENOTFOUND: not with
 * this seed; TM_ECLOSED, TM_ENOMEM, TM_ELIMIT. */
MUST_USE enum tm_err ca_filter_body_make(const struct ca_filter_sides *sides,
                                         struct pki_filter_header *header, uint8_t **ret_body);

#endif
