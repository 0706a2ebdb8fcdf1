/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a path needs to know of a certificate, in a fifth of the memory of a struct pki_cert, so
 * that a whole path of them fits on a small stack. Borrowed from the certificate; thread-safe. Only
 * for the library.
 */
#ifndef TOUCHMARK_CLIENT_VERIFY_FACTS_H
#define TOUCHMARK_CLIENT_VERIFY_FACTS_H

#include "client/tables.h"
#include "pki/cert.h"

struct tm_facts {
    struct bytes whole, tbs, algorithm, signature;
    struct bytes serial; /* INTEGER content octets */
    struct bytes issuer, subject, spki;
    struct bytes key_id, issuer_key_id; /* empty: the certificate does not say */
    int64_t not_before_ms, not_after_ms;
    int path_len;          /* -1 = none */
    uint16_t usage;        /* PKI_KU_*; all of them when the extension is absent */
    bool ca;               /* basicConstraints says so */
    bool client_auth;      /* by extKeyUsage, or it is absent */
    bool unknown_critical; /* has a critical extension that is not looked at */
};

/* TM_EPARSE: not exactly one certificate, or an extension that is used here is malformed. */
MUST_USE enum tm_err tm_facts_read(struct bytes certificate, struct tm_facts *ret);

/* Takes the next certificate off *certificates (DER, one after the other). TM_ENOTFOUND at the end;
 * TM_EPARSE: octets that are no DER, *certificates is then empty; or as tm_facts_read, and the next
 * call goes on behind it. */
MUST_USE enum tm_err tm_facts_next(struct bytes *certificates, struct tm_facts *ret);

/* Is it issued under its own name? It then is self-signed or one of a key rollover (RFC 5280, 3.2).
 */
bool tm_facts_self_issued(const struct tm_facts *facts);

/* Why it may not issue certificates, as a sentence that cites its section; NULL: it may. */
const char *tm_facts_not_ca(const struct tm_facts *facts);

/* Does the Name have an attribute of this type whose characters are those of `text` (UTF-8)? */
bool tm_name_has(struct bytes name, enum pki_oid type, const char *text);

#endif
