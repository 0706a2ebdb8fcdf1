/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a device's certificate revoked? For gateways and services that ask without a network: an
 * issuer's revocation filter is one signed file of some kilobytes that is exact for every
 * certificate which that issuer had issued when it was made (pki/filter.h has the format).
 *
 *     tm_filter_open(&filter, crypto, file, issuer)       when a file was fetched or at start
 *     tm_filter_ask(&filter, crypto, now, 0, certificate, &why)       for each certificate
 *
 * A filter answers about certificates and not about serials. What it holds tells apart two sets
 * that its maker knew, and of a serial that is in neither it says anything, "not revoked" too. So
 * a bare serial, from a log or from a certificate that nobody checked, can never be called good,
 * and there is no function that tries: the certificate's signature by the issuer is checked first,
 * and only what the issuer signed within the time that the filter covers is looked up.
 *
 * GOOD means: issued by this issuer, and not revoked when the filter was made. Whether it is within
 * its validity, for this use and below a trusted root is the caller's to check, as with a CRL (RFC
 * 5280, 6.1); so is that `issuer` is to be trusted.
 *
 * No heap, no I/O, no clock. The file, loaded or mapped, and the issuer's certificate are borrowed
 * and must not change while the filter is in use. Constant once it is open, so threads may share
 * it where they may share the crypto table.
 */
#ifndef TOUCHMARK_CLIENT_FILTER_H
#define TOUCHMARK_CLIENT_FILTER_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tm_filter {
    uint64_t number;  /* rises from filter to filter: one that is lower than that of the newest
                         which was seen is old, and may be somebody's attempt to hide a revocation */
    int64_t made_ms;  /* ms since 1970 */
    int64_t next_ms;  /* a newer one is there by then */
    int64_t from_ms;  /* covers serials that were given out from here */
    int64_t until_ms; /* to here */
    /* for the library alone */
    struct bytes header, body, issuer_spki;
};

/* `file`: the whole file; `issuer`: the CA's certificate, DER. Takes time in proportion to the
 * file, for its hash. TM_EINVAL: another version of the table; TM_EPARSE: not a filter, or not a
 * certificate; TM_EDENIED: the filter of another issuer, or a certificate that is no CA's;
 * TM_ECRYPTO: not signed by the issuer, or damaged; whatever crypto's functions returned beside it.
 */
MUST_USE enum tm_err tm_filter_open(struct tm_filter *ret, const struct tm_crypto *crypto,
                                    struct bytes file, struct bytes issuer);

enum tm_filter_answer {
    TM_FILTER_UNKNOWN, /* the filter cannot say: neither good nor revoked is proven */
    TM_FILTER_GOOD,
    TM_FILTER_REVOKED,
};

/*
 * certificate: DER, and nothing behind it. now_ms: the wall clock, ms since 1970; 0: not known.
 * tolerance_ms: how much longer than next_ms the filter is taken, and how far the clocks of CA and
 * caller may be apart. *ret_why: a constant sentence, for a log. UNKNOWN:
 * - another issuer's certificate, or one that the issuer did not sign
 * - a serial that is not one of Touchmark's 16 octets, or given out outside of what is covered: as
 *   a rule it is newer than the filter
 * - it would be good, but the filter is overdue, its time has not come, or the time is not known.
 *   REVOKED stays, because revocation is for ever: withholding filters hides none that was known
 * - the crypto table failed
 */
MUST_USE enum tm_filter_answer tm_filter_ask(const struct tm_filter *filter,
                                             const struct tm_crypto *crypto, int64_t now_ms,
                                             int64_t tolerance_ms, struct bytes certificate,
                                             const char **ret_why);

#ifdef __cplusplus
}
#endif
#endif
