/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer's check of tickets for the TLS server's key: see pkcs11/ticket.h. Whatever a core asks
 * for, this key signs in handshakes and for its own certificate, and nothing else.
 */
#include <string.h>

#include "pkcs11/ticket.h"
#include "pki/der.h"

#define BLANKS 64

/* 64 blanks, the context, an octet 0, and the transcript's hash: SHA-256 or SHA-384, as TLS 1.3 has
 * no others (RFC 8446, 4.4.1 and B.4). */
static bool is_certificate_verify(struct bytes content) {
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* and its 0 */
    const size_t head = BLANKS + sizeof context;
    if (content.n != head + 32 && content.n != head + 48)
        return false;
    for (size_t i = 0; i < BLANKS; i++)
        if (content.p[i] != 0x20)
            return false;
    return memcmp(content.p + BLANKS, context, sizeof context) == 0;
}

/* version, subject, subjectPKInfo, attributes, and no more. */
static bool is_request_for(struct bytes spki, struct bytes content) {
    struct der info, version, subject, key, attributes;
    uint32_t number;
    if (der_only(content, DER_SEQUENCE, &info))
        return false;
    struct bytes rest = info.value;
    return !der_expect(&rest, DER_INTEGER, &version) && !der_small(&version, &number) &&
           number == 0 && !der_expect(&rest, DER_SEQUENCE, &subject) &&
           !der_expect(&rest, DER_SEQUENCE, &key) && bytes_equal(key.whole, spki) &&
           !der_expect(&rest, DER_CONTEXT_CONSTRUCTED(0), &attributes) && rest.n == 0;
}

enum tm_err hsm_tls_ticket_check(const struct hsm_rules *rules, const struct ipc_tls_ticket *ticket,
                                 struct hsm_permit *ret, char text[IPC_TEXT_MAX + 1]) {
    if (!rules->tls_spki.n)
        return hsm_ticket_refuse(text, "the TLS server's key is not here");
    switch ((enum ipc_tls_kind)ticket->kind) {
    case IPC_TLS_HANDSHAKE:
        if (!is_certificate_verify(ticket->content))
            return hsm_ticket_refuse(text, "not what a TLS 1.3 server signs (RFC 8446, 4.4.3)");
        break;
    case IPC_TLS_REQUEST:
        if (!is_request_for(rules->tls_spki, ticket->content))
            return hsm_ticket_refuse(text,
                                     "not a CertificationRequestInfo for this key (RFC 2986, 4.1)");
        break;
    case IPC_TLS_KEY:
        return hsm_ticket_refuse(text, "a ticket is for a signature");
    }
    *ret = (struct hsm_permit){.tls = true, .message = ticket->content};
    return TM_OK;
}
