/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate for a key that touchmarkd's own token holds: that of OCSP answers (RFC 6960,
 * 4.2.2.2). It goes the way of every other one, intent to record, with the token's word in the
 * place of a request: there is nothing to prove to oneself.
 */
#include "ca/request.h"

#include <string.h>

bool ca_delegate_fits(struct ca_request *r, struct ca_refusal *ret) {
    memset(&r->csr, 0, sizeof r->csr);
    if (pki_spki_parse(r->message.csr, &r->csr.spki))
        return ca_refuse(ret, IPC_BAD_KEY, "the token's OCSP key cannot be read");
    return ca_check_key(&r->csr, r->label->profile, ret);
}
