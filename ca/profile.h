/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate profiles (requirement B3): what a certificate of one kind looks like
 * and who may have it. Read from YAML once (conf/profiles/), then constant; the hash over
 * the canonical form is pinned in intents, records and tickets.
 */
#ifndef TOUCHMARK_CA_PROFILE_H
#define TOUCHMARK_CA_PROFILE_H

#include "ca/types.h"
#include "conf/schema.h"
#include "pki/cert.h"

enum ca_profile_kind {
    CA_KIND_IDEVID,
    CA_KIND_LDEVID,
    CA_KIND_TLS_SERVER,
    CA_KIND_OCSP,
    CA_KIND_PROOF, /* that the CA's key is ours, for a cloud that wants to know */
};
enum ca_profile_link { CA_LINK_OFF, CA_LINK_OPTIONAL, CA_LINK_REQUIRED };
/* Private keys that are made here (RFC 7030, 4.4): none; protected by TLS unless the request wants
 * more; only encrypted to the client. */
enum ca_profile_keygen { CA_KEYGEN_OFF, CA_KEYGEN_TLS, CA_KEYGEN_ENCRYPTED };
enum ca_profile_existing { CA_EXISTING_REFUSE, CA_EXISTING_SUPERSEDE };

/* Bits of ca_profile.keys (and the order of their words). */
#define CA_KEY_P256 1u
#define CA_KEY_P384 2u
#define CA_KEY_ED25519 4u
#define CA_KEY_RSA2048 8u  /* RSA of 2048 to 4096 bits */
#define CA_KEY_MLDSA44 16u /* FIPS 204 */
#define CA_KEY_MLDSA65 32u
#define CA_KEY_MLDSA87 64u
#define CA_KEY_LAST CA_KEY_MLDSA87

#define CA_KEYS_MLDSA (CA_KEY_MLDSA44 | CA_KEY_MLDSA65 | CA_KEY_MLDSA87)

/* Those that serverkeygen makes. RSA is not among them: to find its primes takes a tenth of a
 * second and more, in which the core would do nothing else. */
#define CA_KEYS_GENERATED (CA_KEY_P256 | CA_KEY_P384 | CA_KEY_ED25519)

/* Bits of ca_profile.credentials. */
#define CA_CRED_SECRET 1u  /* one-time enrollment secret */
#define CA_CRED_IDEVID 2u  /* certificate issued here under an IDevID profile */
#define CA_CRED_LDEVID 4u  /* certificate issued here under an LDevID profile */
#define CA_CRED_FOREIGN 8u /* certificate under one of the tenant's client anchors */
#define CA_CRED_RA 16u     /* that of a registration authority, which asks for others */

struct ca_profile_attribute {
    char *type;  /* CN, serialNumber, O, OU, C, L, ST, UID */
    char *value; /* template: text with {id} {sku} {hardware_revision} {batch} {site} */
};

struct ca_profile {
    char *name;
    unsigned kind;            /* enum ca_profile_kind */
    unsigned keys;            /* CA_KEY_* */
    struct conf_list subject; /* struct ca_profile_attribute, in order */
    char *hw_type; /* OID for id-on-hardwareModuleName in the SAN, hwSerialNum = device ID;
                      NULL = none */
    struct conf_strings san_uri; /* URI templates */
    bool san_from_request;       /* dNSName, iPAddress and URI of the request's SAN are taken */
    unsigned key_usage;          /* word index bits; see ca_profile_key_usage() */
    unsigned ext_key_usage;
    int64_t validity;     /* ms; 0 when not_after is set */
    int64_t not_after;    /* wall ms, e.g. 99991231235959Z; 0 when validity is set */
    int64_t backdate;     /* ms that notBefore lies before now */
    char *crl_url;        /* CDP; template of a URL (ca/template.h); NULL = no extension */
    char *ocsp_url;       /* AIA; the same without {shard} */
    char *issuers_url;    /* AIA caIssuers; the same */
    unsigned credentials; /* CA_CRED_*: which are taken */
    bool both;            /* certificate and secret together are demanded */
    unsigned link;        /* enum ca_profile_link */
    unsigned states;      /* 1u << enum ca_state: states in which it may be issued */
    unsigned next_state;  /* enum ca_state after issuance from another state; 0 = stays */
    unsigned existing;    /* enum ca_profile_existing: a live one of this profile exists */
    bool reenroll;        /* simplereenroll allowed */
    bool renew_by_enroll; /* simpleenroll with a certificate of this profile renews it */
    bool change_subject;  /* honours changeSubjectName */
    int64_t grace;        /* ms after notAfter in which the certificate still renews itself */
    int64_t retry_window; /* ms in which the same request gets the same certificate */
    bool approval;        /* an officer has to approve each request: ca/approval.h */
    unsigned keygen;      /* enum ca_profile_keygen */
    uint8_t hash[CA_HASH_SIZE];
    bool withheld; /* it is not the one that officers approved: nothing new is issued under it. Set
                      by who holds it against the store (server/core/profiles.h) */
};

/* 99991231235959Z, in milliseconds: no well-defined end (RFC 5280, 4.1.2.5). */
#define CA_FOREVER_MS INT64_C(253402300799000)

#define CA_SUBJECT_MAX 8 /* attributes of a subject */
#define CA_SAN_URI_MAX 4

extern const struct conf_row ca_profile_rows[];

/* The name is the file's, without folder and .yaml. Loads, checks what can be checked (an RSA-only
 * IDevID with keyAgreement, a leaf with keyCertSign, both validities set, an unknown placeholder
 * ...) and hashes. `error` as in conf_load_file. */
MUST_USE enum tm_err ca_profile_load(const char *path, struct ca_profile *ret_profile,
                                     char error[CONF_ERROR_MAX]);
MUST_USE enum tm_err ca_profile_load_text(const char *text, size_t n, const char *path,
                                          struct ca_profile *ret_profile,
                                          char error[CONF_ERROR_MAX]);
void ca_profile_free(struct ca_profile *profile);

uint16_t ca_profile_key_usage(const struct ca_profile *profile); /* PKI_KU_* */
/* The key purposes of extKeyUsage in the order in which they stand there; how many. */
size_t ca_profile_purposes(const struct ca_profile *profile, enum pki_oid ret[PKI_EKU_MAX]);
/* A word for a CA_KEY_* bit, as the profile writes it ("p256"). */
const char *ca_profile_key_word(unsigned key);

/* What is wrong with a profile that its rows alone cannot say; one sentence to text. For the
 * loader. */
MUST_USE bool ca_profile_check(const struct ca_profile *profile, char text[CONF_ERROR_MAX]);

/* The same under an issuer: are its URLs any, and has the issuer the shards that crl_url names?
 * status_url: where its CRLs are published, NULL: not by this service. */
struct ca_issuer;
MUST_USE bool ca_profile_check_issuer(const struct ca_profile *profile,
                                      const struct ca_issuer *issuer, const char *status_url,
                                      char text[CONF_ERROR_MAX]);

#endif
