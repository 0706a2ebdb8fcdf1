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

/* Is every certificate of the set one of a CA, at least one self-signed (signature checked), and
 * every self-signed one named with `unit` (an organizationalUnit of its subject is exactly that;
 * NULL: any)? Validity is not looked at. TM_EPARSE: not certificates; TM_EDENIED: one is no CA
 * certificate, no self-signed one, one of another environment; TM_ELIMIT: more than TM_SET_MAX
 * certificates or TM_ANCHORS_MAX octets; whatever crypto->verify returned beside TM_ECRYPTO. */
MUST_USE enum tm_err tm_anchors_check(const struct tm_crypto *crypto, const char *unit,
                                      struct bytes set);

/*
 * The set after a cacerts answer, appended to out (which must not overlap the inputs): the held
 * anchors that have not expired, new roots that a held anchor vouches for by NewWithOld, and the
 * offered CA certificates that lead to one of them. What leads to none, belongs to another
 * environment, has expired or is malformed is left out. The last unexpired anchor always stays;
 * when time is not known none is dropped. When nothing of the answer would be in the set, it is
 * `held` unchanged. *ret_changed: is it another set than `held`? TM_ELIMIT: more
 * than fits, or more certificates or signatures than are looked at; out is then as before and
 * `held` remains good. Also whatever crypto->verify returned beside TM_ECRYPTO.
 *
 * - A new root must be offered itself. Its voucher is an offered certificate with its subject and
 *   key, signed by an unexpired anchor: a held one, or one that came in by this answer, so that a
 *   device that slept through several rollovers follows them when all the certificates between are
 *   offered: each root with its NewWithOld; where the CA kept its name over the rollovers (its
 *   NewWithOld are self-issued), the NewWithOld are enough for the roots between.
 * - No CA below a root vouches for a root. A voucher whose issuer has another name must not have
 *   pathLenConstraint 0: that is an issuing CA's certificate, which else could make itself a trust
 *   anchor that outlives its certificate. (Issuing CAs without pathLenConstraint cannot be told
 *   from roots.)
 * - A self-signed certificate enters the set as an anchor that is vouched for, or not at all.
 * - NewWithOld and OldWithNew are not kept beside an anchor with their subject and key: any path
 *   over them is shorter from that anchor. Without it (the root is not offered, or has
 *   expired while OldWithNew has not) they are CA certificates like others; but one for a root of
 *   another environment, which is offered too, is left out with that root.
 * - A certificate whose time has not come yet is taken: a root is handed out before its first day,
 *   and this device's clock may be behind. tm_verify_path looks at it when it is used.
 */
MUST_USE enum tm_err tm_anchors_update(const struct tm_crypto *crypto, int64_t wall_ms,
                                       const char *unit, struct bytes held, struct bytes offered,
                                       struct buf *out, bool *ret_changed);

#endif
