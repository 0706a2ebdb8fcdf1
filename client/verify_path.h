/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for a path from a certificate to a trust anchor (RFC 5280, 6): depth first, without
 * recursion, and with a budget of signature checks, so that certificates that sign each other
 * cannot keep a device busy. Thread-safe; only for the library.
 */
#ifndef TOUCHMARK_CLIENT_VERIFY_PATH_H
#define TOUCHMARK_CLIENT_VERIFY_PATH_H

#include "client/verify.h"
#include "client/verify_facts.h"

/* Signature checks for one path: each certificate of a full set tried twice. */
#define TM_PATH_SIGNATURES (2 * TM_SET_MAX)

struct tm_search {
    const struct tm_crypto *crypto;
    int64_t wall_ms;      /* 0: the time is not known and validity not looked at */
    bool future;          /* certificates whose time has not come yet are good enough */
    bool rollover;        /* of `others` only self-issued ones: those of key rollovers */
    struct bytes anchors; /* paths end at self-signed ones of these; the rest as `others` */
    struct bytes others;
    unsigned signatures_left;
    /* Why there is no path: about the certificate that came closest to an anchor. */
    const char *sentence;
    struct bytes name;
    size_t reached;
};

/* TM_ENOTFOUND: there is no path, see *search; TM_ELIMIT: the budget is used up; and whatever
 * crypto->verify returned beside TM_ECRYPTO. */
MUST_USE enum tm_err tm_search_path(struct tm_search *search, const struct tm_facts *certificate);

/* Does `issuer`'s key verify the certificate's signature? TM_ECRYPTO: no. TM_ELIMIT and others as
 * above. Names are not looked at. */
MUST_USE enum tm_err tm_search_signed(struct tm_search *search, const struct tm_facts *certificate,
                                      const struct tm_facts *issuer);

/* Is it self-signed? TM_ECRYPTO: no. TM_ELIMIT and others as above. */
MUST_USE enum tm_err tm_search_self_signed(struct tm_search *search,
                                           const struct tm_facts *certificate);

/* Why the certificate is not valid at this time, as a sentence; NULL: it is. */
const char *tm_search_not_valid(const struct tm_search *search, const struct tm_facts *facts);

#endif
