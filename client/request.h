/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PKCS#10 requests (RFC 2986) written without knowing the private key: first what is to be signed,
 * then, when the key store has the signature, the whole. Only for the library.
 */
#ifndef TOUCHMARK_CLIENT_REQUEST_H
#define TOUCHMARK_CLIENT_REQUEST_H

#include "client/tables.h"

#define TM_KEY_ID_SIZE 20 /* octets of a subjectKeyIdentifier of ours */

struct tm_request {
    struct bytes subject;  /* whole Name: as it stands in the certificate to be renewed */
    const char *device_id; /* when subject is empty: CN and serialNumber are this. serialNumber is
                              left out when its PrintableString cannot hold it */
    struct bytes san;      /* whole GeneralNames for an extensionRequest; empty: none */
    struct bytes spki;     /* whole */
    struct bytes key_id;   /* subjectKeyIdentifier for an extensionRequest; empty: none */
    struct bytes binding;  /* raw channel binding, at most TM_BINDING_MAX octets, sent as base64 in
                              challengePassword (RFC 7030, 3.5); empty: none */
};

/* Appends the CertificationRequestInfo. What the request borrows must not lie in out's free memory.
 * TM_ELIMIT; TM_EINVAL: an ID that no attribute can hold. */
MUST_USE enum tm_err tm_request_info(const struct tm_request *request, struct buf *out);

/* Appends the CertificationRequest, ecdsa-with-SHA256. The same holds for its inputs.
 * TM_ELIMIT. */
MUST_USE enum tm_err tm_request_finish(struct bytes info, struct bytes signature, struct buf *out);

#endif
