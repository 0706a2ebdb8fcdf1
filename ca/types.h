/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CA's own records as plain values: device, certificate, intent, audit leaf.
 * How they are stored is store/'s business (store/records.h has their codecs).
 */
#ifndef TOUCHMARK_CA_TYPES_H
#define TOUCHMARK_CA_TYPES_H

#include "base/bytes.h"
#include "ipc/messages.h"

#define CA_SERIAL_MAX 20 /* RFC 5280, 4.1.2.2 */
#define CA_HASH_SIZE 32  /* SHA-256 */
/* Certificates that a device record names: all in use, then the newest others. */
#define CA_DEVICE_CERTS_MAX 12

struct ca_serial {
    uint8_t octets[CA_SERIAL_MAX]; /* INTEGER content octets, positive */
    uint8_t n;
};

/* Lifecycle (ca/lifecycle.h has the transitions). Values are stored: never renumber. */
enum ca_state {
    CA_REGISTERED = 1,
    CA_PROVISIONING,
    CA_MANUFACTURED,
    CA_STOCKED,
    CA_SHIPPED,
    CA_ACTIVATED,
    CA_SUSPENDED,
    CA_RETURNED,
    CA_REFURBISHED,
    CA_RETIRED,
    CA_DEVICE_REVOKED,
    CA_STATE_LAST = CA_DEVICE_REVOKED,
};

enum ca_cert_status {
    CA_CERT_ACTIVE = 1,
    CA_CERT_SUPERSEDED, /* a newer one of the same device and profile exists; still
                           authenticates its own renewal, so that no device is stranded */
    CA_CERT_REVOKED,
    CA_CERT_BURNED,      /* the serial of an intent that ended without a certificate */
    CA_CERT_UNCONFIRMED, /* in a device's record only: issued by CMC, and the device has not said
                            yet that it has it. The one before stays active until then.
                            Authenticates */
    CA_CERT_STATUS_LAST = CA_CERT_UNCONFIRMED,
};

/* One certificate as its device's record names it. */
struct ca_cert_ref {
    struct ca_serial serial;
    char profile[IPC_NAME_MAX + 1];
    uint8_t status; /* enum ca_cert_status */
    int64_t issued_ms;
    int64_t not_after_ms;
    uint8_t request[CA_HASH_SIZE]; /* the request that it answers: ca/request_key.h */
};

#define CA_PROOF_SIZE 60 /* nonce, SHA-256 value and tag of AES-256-GCM: ca/wrap.h */

/* A one-time enrollment secret. Only a salted hash of it exists here, and, sealed by a key that is
 * not in the store, the key of its identityProofV2 (RFC 5272, 6.2.1). */
struct ca_secret {
    uint8_t set;  /* bool */
    uint8_t used; /* bool */
    uint8_t salt[16];
    uint8_t hash[CA_HASH_SIZE];    /* SHA-256(salt || secret); secrets are 160 random bits */
    uint8_t request[CA_HASH_SIZE]; /* when used: the one request that used it */
    int64_t expires_ms;
    uint8_t has_proof; /* bool */
    uint8_t proof[CA_PROOF_SIZE];
};

/* A device: the unit of consistency. Every change carries the version it was based
 * on and raises it by one, so that concurrent changes of a device serialise. The
 * request hashes in `certs` and `secret` are the idempotency table. */
struct ca_device {
    char tenant[IPC_NAME_MAX + 1];
    char id[IPC_NAME_MAX + 1];
    uint64_t version; /* 0 = not stored yet */
    uint8_t state;    /* enum ca_state */
    int64_t created_ms;
    int64_t changed_ms;
    char sku[IPC_NAME_MAX + 1];
    char hardware_revision[IPC_NAME_MAX + 1];
    char batch[IPC_NAME_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    char station[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char operator_name[IPC_NAME_MAX + 1];
    char firmware[IPC_NAME_MAX + 1];
    uint32_t provisioning_version;
    uint32_t rma_count;    /* how often it came back */
    uint32_t rework_count; /* how often it went back to the line before it was shipped */
    int64_t certs_from_ms; /* certificates that were issued before count no more, also those that
                              the record does not name any more; 0: all do */
    uint8_t pinned; /* bool: what has no certificate of ours enrolls with a key that is claimed
                       for it already */
    struct ca_secret secret;
    size_t cert_count;
    struct ca_cert_ref certs[CA_DEVICE_CERTS_MAX]; /* newest first */
};

bool ca_serial_equal(const struct ca_serial *a, const struct ca_serial *b);
/* The wall ms at its front, as ca_serial_make puts it there; 0: it is none of those. */
int64_t ca_serial_ms(const struct ca_serial *serial);
/* From INTEGER content octets. False: more than CA_SERIAL_MAX of them. */
MUST_USE bool ca_serial_read(struct bytes octets, struct ca_serial *ret);

/* Is it in use, or on its way there? */
bool ca_cert_in_use(const struct ca_cert_ref *ref);
/* The reference that the device's record has of a certificate. NULL: none. */
struct ca_cert_ref *ca_device_cert(struct ca_device *device, const struct ca_serial *serial);
/* Puts one of the device's references in use; what was active of its profile is superseded. */
void ca_device_activate(struct ca_device *device, struct ca_cert_ref *ref);

/* A certificate, or a burned serial (then der is empty). Keyed by serial. That a newer one took its
 * place stands in the device's record alone: this record changes when it is revoked, else never. */
struct ca_certificate {
    struct ca_serial serial;
    uint8_t status; /* enum ca_cert_status, never SUPERSEDED */
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    uint8_t profile_hash[CA_HASH_SIZE];
    char issuer[IPC_NAME_MAX + 1];
    int64_t issued_ms;
    int64_t not_after_ms;
    int64_t revoked_ms;                /* 0 = not */
    uint8_t revoked_reason;            /* RFC 5280, 5.3.1 */
    uint8_t fingerprint[CA_HASH_SIZE]; /* SHA-256 of der */
    struct bytes der;
};

/* A serial on its way: durable before its certificate is signed. */
struct ca_intent {
    struct ca_serial serial;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    uint8_t profile_hash[CA_HASH_SIZE];
    uint8_t request[CA_HASH_SIZE];
    uint8_t from_state;
    uint8_t to_state;
    int64_t created_ms;
    char job[IPC_NAME_MAX + 1]; /* whose quota it has spent; "": none */
};

#define CA_TRANSACTION_ID_MAX 20
#define CA_RESPONSE_MAX 12288 /* octets of a stored Full PKI Response */

/* A device's newest CMC transaction, with what was answered: the outbox. It is open as long as
 * its certificate is unconfirmed in the device's record; a new transaction replaces it. */
struct ca_transaction {
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    uint8_t id[CA_TRANSACTION_ID_MAX]; /* transactionId: magnitude */
    uint8_t id_n;
    uint8_t
        message[CA_HASH_SIZE]; /* SHA-256 of the whole Full PKI Request that `response` answers */
    uint8_t request[CA_HASH_SIZE]; /* as ca_cert_ref.request */
    struct ca_serial serial;       /* of the certificate */
    int64_t challenge_ms;          /* challenges made up to then are used up */
    int64_t created_ms;
    struct bytes response;
};

/* A revoked certificate as CRLs name it. */
struct ca_revoked {
    struct ca_serial serial;
    int64_t revoked_ms;
    int64_t not_after_ms;
    uint8_t reason; /* RFC 5280, 5.3.1 */
};

/* What a walk over all certificates sees of each, burned serials among them. */
struct ca_summary {
    struct ca_serial serial;
    uint8_t status; /* enum ca_cert_status */
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    char issuer[IPC_NAME_MAX + 1];
    int64_t issued_ms;
    int64_t not_after_ms;
};

/* Audit events. Values are stored: never renumber. */
enum ca_event {
    CA_EVENT_STARTED = 1, /* the core opened the store: reason names version and environment */
    CA_EVENT_DEVICE_ADDED,
    CA_EVENT_TRANSITION,
    CA_EVENT_SECRET_MADE,
    CA_EVENT_ISSUED,
    CA_EVENT_BURNED,
    CA_EVENT_REFUSED,
    CA_EVENT_REFUSED_MANY, /* `count` refusals in one second beyond the ceiling */
    CA_EVENT_REVOKED,
    CA_EVENT_CONFIRMED, /* the device has its certificate in use */
    CA_EVENT_PENDING,   /* a request waits for an officer */
    CA_EVENT_APPROVED,
    CA_EVENT_DENIED,
    CA_EVENT_ACT_PROPOSED, /* reason: kind, ID and SHA-256 of the text */
    CA_EVENT_ACT_SIGNED,   /* reason: ID and signature */
    CA_EVENT_ACT_ENDED,    /* reason: ID and what came of it; count: how much of it */
    CA_EVENT_PUBLISHED,    /* reason: which CRL or filter, and its number; count: entries */
    CA_EVENT_PROFILE,      /* a profile was taken into use */
    CA_EVENT_ISSUER,       /* an issuing CA was taken into use, or out of it */
    CA_EVENT_ALARM,        /* reason: what is wrong */
    CA_EVENT_AGREED, /* reason: what two officers agreed on, and the act; or the first of it */
    CA_EVENT_DEVICE_CHANGED, /* what it is described by: reason says what */
    CA_EVENT_PRODUCT,        /* a product's rules were taken into use */
    CA_EVENT_JOB_OPENED,     /* reason: the terms, and the act by which officers agreed on them */
    CA_EVENT_JOB_STOPPED,    /* reason: which rule, or whose words */
    CA_EVENT_JOB_RESUMED,
    CA_EVENT_JOB_CLOSED,  /* count: units that passed */
    CA_EVENT_OPERATOR,    /* somebody may work at stations, or may not any more: reason */
    CA_EVENT_SHIFT,       /* somebody began or ended to work at a station: reason */
    CA_EVENT_UNIT,        /* what came of a unit at a station: reason */
    CA_EVENT_JOB_CLOSING, /* its counts agreed: its units leave quarantine; reason says which */
    CA_EVENT_KEY_USED,    /* `count` signatures by a key since since_ms; reason: of what */
    CA_EVENT_LAST = CA_EVENT_KEY_USED,
};
const char *ca_event_name(enum ca_event event);
/* "active"; "unknown" for what is none. */
const char *ca_cert_status_name(enum ca_cert_status status);

/* One audit leaf (requirement H3). Never a secret. Its sequence number is its key. */
struct ca_leaf {
    uint8_t event; /* enum ca_event */
    int64_t time_ms;
    uint64_t request;  /* request ID, 0 = none */
    uint8_t origin;    /* enum ipc_origin, 0 = administration */
    uint8_t operation; /* enum ipc_operation, 0 = none */
    uint8_t outcome;   /* enum ipc_outcome of a refusal, 0 = none */
    uint8_t from_state;
    uint8_t to_state;
    uint32_t count;
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    char profile[IPC_NAME_MAX + 1];
    struct ca_serial serial;           /* n = 0: none */
    uint8_t fingerprint[CA_HASH_SIZE]; /* of the certificate issued, or zero */
    char actor[IPC_TEXT_MAX + 1]; /* "cert:<sha256>", "secret:<user>", "uid:1000", "touchmarkd" */
    char remote[IPC_ADDRESS_MAX + 1];
    char site[IPC_NAME_MAX + 1];
    char reason[IPC_TEXT_MAX + 1];
    /* Of what is done at a station: which one, for which job, and who works there. */
    char station[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char operator_name[IPC_NAME_MAX + 1];
    /* Of what a key signed: the issuer, "" for a key that is no issuer's, and who held the key: a
     * token's name, or CA_PROVIDER_UPSTREAM. */
    char issuer[IPC_NAME_MAX + 1];
    char provider[IPC_NAME_MAX + 1];
    int64_t since_ms;   /* KEY_USED: the first of them, */
    int64_t until_ms;   /* and the last */
    struct bytes terms; /* JOB_OPENED: the text of ca_job_terms_put; borrowed. A store gives leaves
                           out without: it is in their octets alone */
};
#define CA_PROVIDER_UPSTREAM "upstream" /* another CA signed */
#define CA_TERMS_MAX 3072               /* octets */

#endif
