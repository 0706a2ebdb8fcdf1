/* SPDX-License-Identifier: Apache-2.0 */
/* See content_info.h. */
#include "est/wire/content_info.h"

#include "pki/der.h"
#include "pki/oid.h"

enum tm_err est_signed_data_open(struct bytes content_info, struct bytes *ret_fields) {
    struct der outer, type, content, signed_data;
    if (der_only(content_info, DER_SEQUENCE, &outer) != TM_OK ||
        der_expect(&outer.value, DER_OID, &type) != TM_OK ||
        pki_oid_find(type.value) != PKI_OID_SIGNED_DATA ||
        der_only(outer.value, DER_CONTEXT_CONSTRUCTED(0), &content) != TM_OK ||
        der_only(content.value, DER_SEQUENCE, &signed_data) != TM_OK)
        return TM_EPARSE;
    *ret_fields = signed_data.value;
    return TM_OK;
}
