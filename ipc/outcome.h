/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of an enrollment request: the closed set that the core answers
 * with. Each face turns it into its own protocol's status in one exhaustive
 * switch (est/service/status.c for HTTP).
 */
#ifndef TOUCHMARK_IPC_OUTCOME_H
#define TOUCHMARK_IPC_OUTCOME_H

enum ipc_outcome {
    /* There is a certificate. */
    IPC_ISSUED = 1,
    IPC_REPEATED, /* the same request again: the same certificate, byte for byte */

    /* Not now; the same request may be sent again later (Retry-After is set). */
    IPC_PENDING,     /* an officer has to approve: HTTP 202 */
    IPC_BUSY,        /* queues are full: HTTP 503 */
    IPC_UNAVAILABLE, /* signer, store or core is down: HTTP 503 */

    /* Refused: who asks. */
    IPC_NO_CREDENTIAL,    /* neither certificate nor secret, or less than the profile demands */
    IPC_BAD_SECRET,       /* unknown user or wrong secret (the two are not told apart) */
    IPC_SECRET_USED,      /* the one-time secret was used for another request, or is over */
    IPC_UNTRUSTED,        /* certificate neither issued here nor under the tenant's anchors */
    IPC_EXPIRED,          /* certificate expired beyond the profile's grace, or not yet valid */
    IPC_REVOKED,          /* certificate or device is revoked */
    IPC_WRONG_TENANT,     /* credential of another tenant */
    IPC_UNKNOWN_DEVICE,   /* not in the registry */
    IPC_WRONG_STATE,      /* the device's lifecycle state does not allow it */
    IPC_WRONG_CREDENTIAL, /* a kind of credential that this profile does not take */

    /* Refused: what is asked. */
    IPC_UNKNOWN_LABEL,
    IPC_BAD_CSR,        /* not a PKCS#10 request, or not one that RFC 2986 allows */
    IPC_BAD_POP,        /* self-signature of the request does not verify */
    IPC_BAD_KEY,        /* key algorithm, size or point that the profile does not take */
    IPC_DUPLICATE_KEY,  /* the key belongs to another device */
    IPC_BAD_SUBJECT,    /* subject is not this device's, or changed on re-enroll */
    IPC_BAD_SAN,        /* subjectAltName not allowed, or changed on re-enroll */
    IPC_BAD_EXTENSION,  /* requested extension or attribute that policy does not take */
    IPC_NOT_LINKED,     /* PoP linking demanded and absent (RFC 7030, 3.5) */
    IPC_BAD_LINK,       /* PoP linking value is another session's */
    IPC_ALREADY_ISSUED, /* the profile allows one certificate per device and it exists */
    IPC_CONFLICT,       /* another request of the same device is in the way */

    /* Refused: how it was asked (decided by a face; the core only records it). */
    IPC_BAD_PATH,
    IPC_BAD_METHOD,
    IPC_BAD_CONTENT_TYPE,
    IPC_BAD_BODY, /* empty, or not base64 */
    IPC_TOO_LARGE,
    IPC_NOT_IMPLEMENTED,

    IPC_FAILED, /* an internal check stopped it (lint, verification): HTTP 500 */

    /* CMC (values are stored: later ones come last). */
    IPC_CONFIRMED,     /* the device has taken its certificate into use: HTTP 200 */
    IPC_BAD_CMC,       /* not a Full PKI Request as est/wire/cmc.h takes it */
    IPC_BAD_SIGNATURE, /* the SignedData's signature does not verify */
    IPC_BAD_CHALLENGE, /* no recipientNonce that is fresh: the answer brings a new one */
    IPC_DENIED,        /* an officer said no */
    IPC_UPSTREAM_NO,   /* the CA that signs for this server said no */
    IPC_OUTCOME_LAST = IPC_UPSTREAM_NO,
};

/* A short constant name for logs, audit and metrics, e.g. "bad-secret". Never NULL. */
const char *ipc_outcome_name(enum ipc_outcome outcome);

#endif
