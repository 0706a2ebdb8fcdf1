/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the processes: one struct and one schema (base/codec.h)
 * each. They are the same whether a request came by HTTPS or by MQTT. All of
 * them fit in IPC_MESSAGE_MAX octets. `struct bytes` members are borrowed: from
 * the sender's memory until encoded, from the receive buffer after decoding.
 */
#ifndef TOUCHMARK_IPC_MESSAGES_H
#define TOUCHMARK_IPC_MESSAGES_H

#include "base/codec.h"
#include "ipc/outcome.h"

#define IPC_MESSAGE_MAX 65536
#define IPC_NAME_MAX 64   /* tenant, label, profile, issuer, device ID: octets */
#define IPC_CSR_MAX 16384 /* DER of a PKCS#10 request, or of a Full PKI Request */
#define IPC_CMC_MAX 24576 /* DER of a Full PKI Response, or an offer */
#define IPC_CHALLENGE_MAX 64
#define IPC_PRIVATE_KEY_MAX 8192  /* DER of PKCS#8, or of the EnvelopedData that it is in */
#define IPC_DIGEST_MAX 64         /* SHA-512 */
#define IPC_UPSTREAM_CSR_MAX 8192 /* DER of a PKCS#10 request that another CA is asked with */
#define IPC_CERT_MAX 8192         /* DER of one certificate */
#define IPC_CHAIN_MAX 16384       /* DER certificates one after the other */
#define IPC_CACERTS_MAX 32768     /* DER of a certs-only message */
#define IPC_CSRATTRS_MAX 8192     /* DER of CsrAttrs */
#define IPC_SPKI_MAX 8192         /* DER SubjectPublicKeyInfo */
#define IPC_SECRET_MAX 128        /* one-time enrollment secret */
#define IPC_TEXT_MAX 255          /* one clear sentence */
#define IPC_SIGNATURE_MAX 8192
#define IPC_TLS_MAX 8192    /* DER of a CertificationRequestInfo, or less */
#define IPC_BINDING_MAX 64  /* channel binding octets, before base64 */
#define IPC_ADDRESS_MAX 64  /* "192.0.2.1:4711", "[2001:db8::1]:4711", "group/edge/device" */
#define IPC_EVENT_MAX 4096  /* octets of one event's JSON */
#define IPC_OCSP_ID_MAX 256 /* DER of a CertID */
#define IPC_OCSP_MAX 8192   /* DER of an OCSPResponse, or of a ResponseData */
#define IPC_FILTER_HEADER_MAX 1024
#define IPC_TBS_FILE_MAX (512u << 20) /* octets of a TBSCertList in a memory file */

enum ipc_type {
    IPC_TYPE_ENROLL = 0x0101,
    IPC_TYPE_REPLY = 0x0102,
    IPC_TYPE_REFUSED = 0x0103,
    IPC_TYPE_CATALOG = 0x0104,
    IPC_TYPE_BIRTH = 0x0105,
    IPC_TYPE_OFFER = 0x0106,
    IPC_TYPE_EVENT = 0x0107,
    IPC_TYPE_EVENT_ACK = 0x0108,
    IPC_TYPE_PUBLISH = 0x0109,
    IPC_TYPE_PUBLISHED = 0x010a,
    IPC_TYPE_OCSP_ASK = 0x010b,
    IPC_TYPE_OCSP_ANSWER = 0x010c,
    IPC_TYPE_OCSP_DROP = 0x010d,
    IPC_TYPE_TLS_ASK = 0x010e,
    IPC_TYPE_TLS_ANSWER = 0x010f,
    IPC_TYPE_STATION_ASK = 0x0110,
    IPC_TYPE_STATION_ANSWER = 0x0111,
    IPC_TYPE_METRICS_ASK = 0x0112,
    IPC_TYPE_METRICS_ANSWER = 0x0113,
    IPC_TYPE_TICKET = 0x0201,
    IPC_TYPE_SIGNED = 0x0202,
    IPC_TYPE_KEY = 0x0203,
    IPC_TYPE_CMC_TICKET = 0x0204,
    IPC_TYPE_STATUS_TICKET = 0x0205,
    IPC_TYPE_KEYGEN_TICKET = 0x0206,
    IPC_TYPE_UPSTREAM_ASK = 0x0207,
    IPC_TYPE_UPSTREAM_ANSWER = 0x0208,
    IPC_TYPE_TLS_TICKET = 0x0209,
    IPC_TYPE_CHECKPOINT_TICKET = 0x020a,
    IPC_TYPE_CONTROL = 0x0301,
    IPC_TYPE_ADMIN_REQUEST = 0x0401,
    IPC_TYPE_ADMIN_REPLY = 0x0402,
    IPC_TYPE_IMPORT = 0x0403, /* in an administration request */
};

enum ipc_operation {
    IPC_OP_ENROLL = 1,
    IPC_OP_REENROLL,
    IPC_OP_SERVERKEYGEN,
    IPC_OP_FULLCMC,
    IPC_OP_CACERTS,  /* only in IPC_TYPE_REFUSED */
    IPC_OP_CSRATTRS, /* only in IPC_TYPE_REFUSED */
    IPC_OP_OTHER,    /* only in IPC_TYPE_REFUSED: no operation was recognised */
    IPC_OP_LAST = IPC_OP_OTHER,
};

/* How the peer reached us. */
enum ipc_origin {
    IPC_ORIGIN_HTTPS = 1,
    IPC_ORIGIN_MQTT,
    IPC_ORIGIN_LOCAL, /* touchmarkd itself, for its own TLS server certificate */
    IPC_ORIGIN_LAST = IPC_ORIGIN_LOCAL,
};

/* Face to core: somebody asks for a certificate. The face proves only that the
 * peer holds the key of peer_leaf; who that is, the core decides. */
struct ipc_enroll {
    uint64_t id;                  /* request ID: unique per face process; logs and audit show it */
    uint8_t operation;            /* enum ipc_operation */
    uint8_t origin;               /* enum ipc_origin */
    char label[IPC_NAME_MAX + 1]; /* "" = the service without label */
    char remote[IPC_ADDRESS_MAX + 1];
    struct bytes peer_leaf;      /* DER of the TLS client certificate, empty = none */
    struct bytes peer_chain;     /* what else the client sent, DER one after the other */
    char user[IPC_NAME_MAX + 1]; /* HTTP Basic user, "" = none */
    struct bytes secret;         /* HTTP Basic password */
    struct bytes tls_exporter;   /* RFC 9266 value, 32 octets; TLS 1.3 (and 1.2 with EMS) */
    struct bytes tls_unique;     /* RFC 5929 tls-unique; TLS 1.2 only */
    struct bytes csr;            /* DER: PKCS#10; with FULLCMC the Full PKI Request, whose regInfo
                                    names the label when it did not come with a path */
};

/* Core to face: the answer to ipc_enroll.id. */
struct ipc_reply {
    uint64_t id;
    uint8_t outcome;             /* enum ipc_outcome */
    uint32_t retry_after_s;      /* set for PENDING, BUSY, UNAVAILABLE; else 0 */
    char text[IPC_TEXT_MAX + 1]; /* one clear sentence for the peer; "" when issued */
    struct bytes certificate;    /* DER, only when ISSUED or REPEATED; empty with FULLCMC */
    struct bytes cmc;            /* only with FULLCMC: the Full PKI Response, signed where it could
                                    be; empty: no CMC answer, the outcome says why */
    struct bytes key;      /* only with SERVERKEYGEN, when there is a certificate: the device's
                              private key, DER of PKCS#8; whoever has it wipes it */
    uint8_t key_encrypted; /* bool: `key` is a CMS ContentInfo of EnvelopedData instead */
};

/* Face to core, MQTT: a device says that it is there. Nothing of it is proven. */
struct ipc_birth {
    uint64_t id; /* as ipc_enroll.id, one series with those */
    char label[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    uint8_t wants; /* bool: it says that it waits for an offer */
};

/* Core to face: the answer to ipc_birth.id. */
enum ipc_offer_kind {
    IPC_OFFER_NOTHING = 1, /* no such label, or nothing is due */
    IPC_OFFER_CHALLENGE,   /* `cmc` is an offer (est/wire/cmc.h) */
    IPC_OFFER_RESPONSE,    /* `cmc` is the Full PKI Response that it has not confirmed yet */
    IPC_OFFER_KIND_LAST = IPC_OFFER_RESPONSE,
};
struct ipc_offer {
    uint64_t id;
    uint8_t kind; /* enum ipc_offer_kind */
    struct bytes cmc;
};

/* Core to bridge: something happened (one audit leaf), in order of `sequence`; each is sent again
 * over a new link until it is acknowledged. */
struct ipc_event {
    uint64_t sequence; /* the leaf's */
    char name[IPC_NAME_MAX + 1];
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    struct bytes json; /* one object, UTF-8 */
};
/* Bridge to core: the broker has all up to and with `sequence`. */
struct ipc_event_ack {
    uint64_t sequence;
};

/* Face to core: the face refused a request itself; to be recorded. No answer. */
struct ipc_refused {
    uint64_t id;
    uint8_t operation;
    uint8_t origin;
    uint8_t outcome;
    char label[IPC_NAME_MAX + 1];
    char remote[IPC_ADDRESS_MAX + 1];
    char user[IPC_NAME_MAX + 1];
    struct bytes peer_leaf;
    char text[IPC_TEXT_MAX + 1];
};

/* Core to front: what a label serves without asking the core. Sent for every
 * label, index 0..count-1 of one generation, when a front is linked and whenever
 * something changes; a front swaps when it has all of a generation. */
struct ipc_catalog {
    uint32_t generation;
    uint16_t index;
    uint16_t count;
    char label[IPC_NAME_MAX + 1];
    uint8_t is_default;    /* also serves /.well-known/est/<operation> */
    uint8_t wants_link;    /* the core will want channel bindings: off 0, optional 1, required 2 */
    struct bytes cacerts;  /* DER of the certs-only CMS SignedData (RFC 7030, 4.1.3) */
    struct bytes csrattrs; /* DER of CsrAttrs; empty = 204 */
};

/* Core to status face, with one descriptor: a sealed memory file that is to be served from now on.
 * Its name below the status listener's root is made of issuer and object: "ISSUER.crl",
 * "ISSUER-7.crl" (shard), "ISSUER.cer" (the CA's certificate), "ISSUER.filter". */
enum ipc_publish_kind {
    IPC_PUBLISH_CRL = 1,
    IPC_PUBLISH_CERTIFICATE,
    IPC_PUBLISH_FILTER,
    IPC_PUBLISH_KIND_LAST = IPC_PUBLISH_FILTER,
};
struct ipc_publish {
    uint8_t kind; /* enum ipc_publish_kind */
    char issuer[IPC_NAME_MAX + 1];
    char object[IPC_NAME_MAX + 1]; /* "crl", "crl-7", "certificate", "filter" */
    uint64_t number;               /* rises; of a certificate 0 */
    uint64_t size;
    uint8_t sha256[32];
    int64_t this_update_ms;
    int64_t next_update_ms; /* 0: never */
};
/* Status face to core: it is on disk and served. Or it is not, and `text` says why. */
struct ipc_published {
    uint8_t good; /* bool */
    char issuer[IPC_NAME_MAX + 1];
    char object[IPC_NAME_MAX + 1];
    uint64_t number;
    char text[IPC_TEXT_MAX + 1];
};

/* Status face to core: what is the status of this certificate? It keeps the answers. */
struct ipc_ocsp_ask {
    uint64_t id;          /* unique per face process */
    struct bytes cert_id; /* DER CertID (RFC 6960, 4.1.1) */
};
struct ipc_ocsp_answer {
    uint64_t id;
    uint8_t good; /* bool; false: `response` is one of the unsigned errors (4.2.1) */
    int64_t this_update_ms;
    int64_t next_update_ms; /* until when it may be kept */
    uint8_t serial_n;
    uint8_t serial[20];
    char issuer[IPC_NAME_MAX + 1];
    struct bytes response; /* DER OCSPResponse */
};
/* Core to status face: forget answers on this certificate; serial_n 0: all of this issuer. */
struct ipc_ocsp_drop {
    char issuer[IPC_NAME_MAX + 1];
    uint8_t serial_n;
    uint8_t serial[20];
};

/* The TLS server's key when it is on a token: what is wanted of it. */
enum ipc_tls_kind {
    IPC_TLS_HANDSHAKE = 1, /* `content` is that of a server's CertificateVerify (RFC 8446, 4.4.3) */
    IPC_TLS_REQUEST, /* `content` is a CertificationRequestInfo (RFC 2986, 4.1) for this key */
    IPC_TLS_KEY,     /* no signature, but its SubjectPublicKeyInfo: never in a ticket */
    IPC_TLS_KIND_LAST = IPC_TLS_KEY,
};
/* Front to core (HANDSHAKE) or tlscert to core (the others). */
struct ipc_tls_ask {
    uint64_t id;  /* unique per process */
    uint8_t kind; /* enum ipc_tls_kind */
    struct bytes content;
};
struct ipc_tls_answer {
    uint64_t id;
    uint8_t good;        /* bool; false: not now, and `octets` is empty */
    struct bytes octets; /* the signature, verified, or the DER SubjectPublicKeyInfo */
};

/* Front to core: what a station wants beside certificates (docs/stations.md). The front proves that
 * the peer holds the key of peer_leaf, and no more. */
#define IPC_STATION_JSON_MAX 16384 /* octets of a request or an answer */
enum ipc_station_operation {
    IPC_STATION_JOBS = 1, /* which jobs it may work on */
    IPC_STATION_LOGIN,    /* somebody begins to work at it */
    IPC_STATION_LOGOUT,
    IPC_STATION_UNIT, /* what is known of a unit */
    IPC_STATION_CHALLENGE,
    IPC_STATION_VERIFY, /* the challenge, signed by the unit */
    IPC_STATION_REPORT, /* what came of a unit */
    IPC_STATION_STOP,
    IPC_STATION_CLOSE,
    IPC_STATION_OPERATION_LAST = IPC_STATION_CLOSE,
};
struct ipc_station_ask {
    uint64_t id;       /* as ipc_enroll.id, one series with those */
    uint8_t operation; /* enum ipc_station_operation */
    char remote[IPC_ADDRESS_MAX + 1];
    struct bytes peer_leaf; /* DER */
    struct bytes json;      /* as it came: to be wiped, LOGIN has a secret */
};
struct ipc_station_answer {
    uint64_t id;
    uint8_t outcome;             /* enum ipc_outcome; ISSUED: it is done */
    uint32_t retry_after_s;      /* set for BUSY, UNAVAILABLE; else 0 */
    char text[IPC_TEXT_MAX + 1]; /* one clear sentence for the station; "" when done */
    struct bytes json;           /* one object, UTF-8, when done */
};

/* Metrics face to any role: what have you counted? */
struct ipc_metrics_ask {
    uint64_t id; /* rises */
};
/* One number; what it is and what its labels are called, says server/metrics/metric.h. */
enum ipc_sample_part {
    IPC_SAMPLE_VALUE = 1,
    IPC_SAMPLE_BUCKET, /* of a histogram, of which the last label is the bucket's upper bound */
    IPC_SAMPLE_SUM,    /* of a histogram or summary */
    IPC_SAMPLE_COUNT,
    IPC_SAMPLE_PART_LAST = IPC_SAMPLE_COUNT,
};
struct ipc_sample {
    uint16_t metric; /* enum metric */
    uint8_t part;    /* enum ipc_sample_part */
    char first[IPC_NAME_MAX + 1], second[IPC_NAME_MAX + 1], third[IPC_NAME_MAX + 1]; /* labels */
    uint64_t bits; /* of the value, as IEEE 754 has a double */
};
struct ipc_reason {
    char text[IPC_TEXT_MAX + 1];
};
#define IPC_SAMPLES_MAX 240
#define IPC_REASONS_MAX 40
/* Any role to metrics face: the answer to ipc_metrics_ask.id, in one or several messages. */
struct ipc_metrics_answer {
    uint64_t id;
    uint8_t more; /* bool: another message of this answer follows */
    size_t sample_count;
    struct ipc_sample samples[IPC_SAMPLES_MAX];
    size_t reason_count; /* why it cannot do its work now; none: it can */
    struct ipc_reason reasons[IPC_REASONS_MAX];
};

/* Core to signer: sign this to-be-signed certificate. IDs rise strictly on one
 * link, so a ticket can be redeemed once. */
struct ipc_ticket {
    uint64_t id;
    char issuer[IPC_NAME_MAX + 1];  /* names the key and the certificate */
    char profile[IPC_NAME_MAX + 1]; /* the signer holds it from its own start */
    uint8_t profile_hash[32];       /* SHA-256 of the profile's canonical form, must match */
    struct bytes tbs;               /* DER TBSCertificate */
};

/* Core to signer: sign this PKIResponse (RFC 5272, 4.2.1) as CMS SignedData with the issuer's key.
 * The signer parses it, makes content-type, message-digest and signing-time itself and signs them;
 * the digest goes with the key (ca_issuer_digest). Answered by ipc_signed. IDs are one series with
 * tickets. */
struct ipc_cmc_ticket {
    uint64_t id;
    char issuer[IPC_NAME_MAX + 1];
    int64_t signing_time_ms;
    struct bytes content; /* DER PKIResponse */
};

/* Core to signer: sign what says which certificates are good. The signer parses it, and holds it
 * against the issuer, its own clock and what it signed before: numbers of CRLs and filters rise.
 * Answered by ipc_signed. IDs are one series with tickets. */
enum ipc_status_kind {
    IPC_STATUS_CRL = 1, /* the DER TBSCertList is in a sealed memory file: one descriptor */
    IPC_STATUS_OCSP,    /* `content` is a DER ResponseData; signed by the issuer's OCSP key */
    IPC_STATUS_FILTER,  /* `content` is a revocation filter's header */
    IPC_STATUS_KIND_LAST = IPC_STATUS_FILTER,
};
struct ipc_status_ticket {
    uint64_t id;
    uint8_t kind; /* enum ipc_status_kind */
    char issuer[IPC_NAME_MAX + 1];
    struct bytes content;
};

/* Core to signer: sign the AsymmetricKeyPackage (RFC 5958) that has this digest as CMS SignedData
 * with the issuer's key. The signer makes content-type, message-digest and signing-time itself and
 * signs them; it never sees the private key. Answered by ipc_signed. IDs are one series with
 * tickets. */
struct ipc_keygen_ticket {
    uint64_t id;
    char issuer[IPC_NAME_MAX + 1];
    int64_t signing_time_ms;
    struct bytes digest; /* by the digest that goes with the key (ca_issuer_digest) */
};

/* Core to signer: a signature of the TLS server's key. The signer signs only what is of the kind's
 * form, and a request only if it is for this key. Answered by ipc_signed. IDs are one series with
 * tickets. */
struct ipc_tls_ticket {
    uint64_t id;
    uint8_t kind; /* enum ipc_tls_kind */
    struct bytes content;
};

#define IPC_CHECKPOINT_MAX 512 /* octets of a checkpoint's text */

/* Core to signer: sign a checkpoint of the audit log (c2sp.org/tlog-checkpoint) with the key for
 * that. The signer parses it: its origin must be the configured one, its size never falls, and no
 * size has two roots. Answered by ipc_signed. IDs are one series with tickets. */
struct ipc_checkpoint_ticket {
    uint64_t id;
    struct bytes content; /* the note's text */
};

enum ipc_sign_status {
    IPC_SIGN_OK = 1,
    IPC_SIGN_REFUSED, /* the ticket breaks a rule: never try again */
    IPC_SIGN_CEILING, /* rate or total ceiling reached: later */
    IPC_SIGN_FAILED,  /* the token failed: again after the signer was restarted */
    IPC_SIGN_STATUS_LAST = IPC_SIGN_FAILED,
};

/* Signer to core: the answer to ipc_ticket.id. */
struct ipc_signed {
    uint64_t id;
    uint8_t status; /* enum ipc_sign_status */
    char text[IPC_TEXT_MAX + 1];
    struct bytes signature; /* as in the certificate's BIT STRING (ECDSA: DER SEQUENCE) */
};

/* Signer to core, once per key when a core is linked: what the token holds. */
struct ipc_key {
    uint16_t index;
    uint16_t count;
    char issuer[IPC_NAME_MAX + 1];
    uint8_t ocsp;      /* bool: the issuer's OCSP key, not its own */
    uint8_t tls;       /* bool: the TLS server's key, of no issuer */
    struct bytes spki; /* DER SubjectPublicKeyInfo read from the token */
};

/* Core to upstream: ask the other CA of this issuer for a certificate (RFC 7030, 4.2.1). IDs rise
 * strictly on one link. Every ask is answered, within the issuer's upstream.timeout. */
struct ipc_upstream_ask {
    uint64_t id;
    char issuer[IPC_NAME_MAX + 1];
    struct bytes csr; /* DER PKCS#10, as the device made it */
};

enum ipc_upstream_status {
    IPC_UPSTREAM_CERTIFICATE = 1, /* 200: `certificate` is one, and nobody has judged it yet */
    IPC_UPSTREAM_PENDING,         /* 202: the same request again later */
    IPC_UPSTREAM_LATER,           /* 401, 408, 429 or 503: it did not take the request on */
    IPC_UPSTREAM_REFUSED,         /* another status below 500: it never will */
    IPC_UPSTREAM_UNREACHABLE,     /* nothing of the request was sent */
    IPC_UPSTREAM_LOST,            /* it was sent, and what came of it is not known */
    IPC_UPSTREAM_BAD,             /* 200, and no certificate that can be read */
    IPC_UPSTREAM_STATUS_LAST = IPC_UPSTREAM_BAD,
};

/* Upstream to core: the answer to ipc_upstream_ask.id. */
struct ipc_upstream_answer {
    uint64_t id;
    uint8_t status; /* enum ipc_upstream_status */
    uint32_t retry_after_s;
    char text[IPC_TEXT_MAX + 1]; /* printable ASCII: what the other CA says, or what is wrong */
    struct bytes certificate;    /* DER */
};

/* Supervisor and roles. */
enum ipc_control_verb {
    IPC_CONTROL_LINK = 1, /* supervisor to role, with one descriptor: your link to `peer` */
    IPC_CONTROL_READY,    /* role to supervisor: set up, privileges dropped, serving */
    IPC_CONTROL_DRAIN, /* supervisor to role: finish what is under way, take nothing new, exit 0 */
    IPC_CONTROL_STOP,  /* supervisor to role: the same, and wait for nobody who is idle */
    IPC_CONTROL_DISTRUST, /* role to supervisor: `peer` answered wrongly; end it, start another */
    IPC_CONTROL_RELOAD,   /* core to supervisor: read the configuration again, as for SIGHUP.
                             Supervisor to core: that was refused, `text` says why */
    IPC_CONTROL_VERB_LAST = IPC_CONTROL_RELOAD,
};

enum ipc_role {
    IPC_ROLE_SUPERVISOR = 1,
    IPC_ROLE_FRONT,
    IPC_ROLE_CORE,
    IPC_ROLE_SIGNER,
    IPC_ROLE_BRIDGE,
    IPC_ROLE_TLSCERT,  /* short-lived: obtains the server's own TLS certificate */
    IPC_ROLE_STATUS,   /* serves CRLs, OCSP and filters over plain HTTP */
    IPC_ROLE_UPSTREAM, /* asks other CAs, as registration authority */
    IPC_ROLE_METRICS,  /* serves what the others have counted, over plain HTTP */
    IPC_ROLE_LAST = IPC_ROLE_METRICS,
};

struct ipc_control {
    uint8_t verb;
    uint8_t peer;        /* enum ipc_role, with LINK and DISTRUST */
    uint16_t peer_index; /* which front */
    char text[IPC_TEXT_MAX + 1];
};

extern const struct codec_schema ipc_enroll_schema, ipc_reply_schema, ipc_refused_schema,
    ipc_catalog_schema, ipc_birth_schema, ipc_offer_schema, ipc_event_schema, ipc_event_ack_schema,
    ipc_cmc_ticket_schema, ipc_keygen_ticket_schema, ipc_status_ticket_schema, ipc_ticket_schema,
    ipc_signed_schema, ipc_key_schema, ipc_control_schema, ipc_publish_schema, ipc_published_schema,
    ipc_ocsp_ask_schema, ipc_ocsp_answer_schema, ipc_ocsp_drop_schema, ipc_upstream_ask_schema,
    ipc_upstream_answer_schema, ipc_tls_ask_schema, ipc_tls_answer_schema, ipc_tls_ticket_schema,
    ipc_station_ask_schema, ipc_station_answer_schema, ipc_metrics_ask_schema,
    ipc_metrics_answer_schema, ipc_checkpoint_ticket_schema;

#endif
