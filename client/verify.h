/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a certificate what it should be? Paths (RFC 5280, 6, as far as devices need it: names,
 * signatures, validity, basicConstraints, keyUsage, no unknown critical extension; depth bounded)
 * and the certificate that a server answered with. Every "no" comes with a sentence that cites its
 * section. Thread-safe; only for the library.
 */
#ifndef TOUCHMARK_CLIENT_VERIFY_H
#define TOUCHMARK_CLIENT_VERIFY_H

#include "client/device.h"
#include "pki/cert.h"

#define TM_PATH_MAX 4     /* CA certificates in a path, the anchor included */
#define TM_SET_MAX 12     /* certificates in a set of anchors and CA certificates */
#define TM_SKEW_MS 300000 /* clocks of device and CA may differ so much */

/* Does `certificate` (DER) lead to a self-signed certificate in `set`, through others of the set?
 * wall_ms 0: the time is not known and validity not looked at, else the anchor's validity counts
 * too; TM_SKEW_MS is granted before notBefore only. Extensions that are understood when critical:
 * basicConstraints, keyUsage, extKeyUsage, subjectAltName, certificatePolicies; so certificates
 * with name or policy constraints are refused. TM_EDENIED: no, *ret_text says why; and whatever
 * crypto->verify returned beside TM_ECRYPTO: nothing is known then, ask again. */
MUST_USE enum tm_err tm_verify_path(const struct tm_crypto *crypto, int64_t wall_ms,
                                    struct bytes set, struct bytes certificate,
                                    char ret_text[TM_TEXT_MAX]);

struct tm_expected {
    struct bytes spki;     /* of the request */
    struct bytes subject;  /* whole Name that it must have; empty: see device_id */
    const char *device_id; /* CN or serialNumber must be it; NULL: any subject */
    struct bytes set;      /* anchors and CA certificates */
    int64_t wall_ms;
};
/* Is the first certificate in `certificates` (DER, one after the other) the answer to the request:
 * for its key, with its subject, a leaf, good for clientAuth (or without extKeyUsage), valid, with
 * a path? Fills *ret's serial and validity only. Certificates behind the first are not looked at
 * (RFC 7030, 4.2.3: there are none). TM_EDENIED with a text, others as tm_verify_path. */
MUST_USE enum tm_err tm_verify_issued(const struct tm_crypto *crypto,
                                      const struct tm_expected *expected, struct bytes certificates,
                                      struct tm_certificate *ret, char ret_text[TM_TEXT_MAX]);

#endif
