/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust anchors and how they change: a cacerts answer (RFC 7030, 4.1.3) brings CA certificates,
 * and a new root comes with a NewWithOld certificate, signed by a root that is held (RFC 4210, 4.4;
 * RFC 7030, 4.1.3). A set is certificates in DER, one after the other; the self-signed ones among
 * them are anchors. Thread-safe; only for the library.
 */
#ifndef TOUCHMARK_CLIENT_ANCHORS_H
#define TOUCHMARK_CLIENT_ANCHORS_H

#include "client/verify.h"

/* Is every certificate of the set sound, at least one self-signed (signature checked), and every
 * self-signed one named with `unit` (NULL: any)? TM_EPARSE, TM_EDENIED, TM_ELIMIT (more than
 * TM_SET_MAX). */
MUST_USE enum tm_err tm_anchors_check(const struct tm_crypto *crypto, const char *unit,
                                      struct bytes set);

/*
 * The set after a cacerts answer, appended to out: the held anchors that have not expired, new
 * roots that a held anchor vouches for by NewWithOld, and the offered CA certificates that lead to
 * one of them. What leads to none, belongs to another environment or is malformed is left out. The
 * last unexpired anchor always stays; when time is not known none is dropped. *ret_changed: is it
 * another set than `held`? TM_ELIMIT: more than fits; out is then as before and `held` remains
 * good.
 */
MUST_USE enum tm_err tm_anchors_update(const struct tm_crypto *crypto, int64_t wall_ms,
                                       const char *unit, struct bytes held, struct bytes offered,
                                       struct buf *out, bool *ret_changed);

#endif
