/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plant of the simulation: a CA and its registry, answering exchanges in memory by the rules
 * of Touchmark's own server (the profile ldevid: supersede, grace 30 days, the same certificate
 * for the same request within 24 hours). It issues wrong certificates when the weather says so,
 * and reports what no device may do. One thread.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_PLANT_H
#define TOUCHMARK_CLIENT_FLEET_PLANT_H

#include "client/fleet/watch.h"
#include "client/fleet/weather.h"
#include "client/fleet/x509.h"
#include "client/transport.h"

#define FLEET_LABEL_IDEVID "idevid"
#define FLEET_LABEL_LDEVID ""
#define FLEET_UNIT "Environment prod"
#define FLEET_GRACE (30 * FLEET_DAY)
#define FLEET_RETRY_WINDOW FLEET_DAY
#define FLEET_HASH_SIZE 16 /* SHA-256, cut: nobody attacks a simulation */

enum fleet_status { FLEET_ACTIVE = 1, FLEET_SUPERSEDED, FLEET_REVOKED };
enum fleet_profile { FLEET_IDEVID, FLEET_LDEVID, FLEET_PROFILES };

/* A certificate in the registry. */
struct fleet_cert {
    uint32_t device;
    uint32_t before; /* the same device's and profile's, by number; 0: none */
    uint8_t profile, status;
    uint8_t wrong; /* enum fleet_spell_kind; FLEET_FAIR: it is as it should be */
    bool proven;   /* it was used with success: the device has it */
    bool refused;  /* where it was to be used, it was not taken */
    int64_t issued_ms, not_before_ms, not_after_ms;
    uint8_t request[FLEET_HASH_SIZE];
    uint8_t identity[FLEET_HASH_SIZE];
    uint8_t fingerprint[FLEET_HASH_SIZE];
};

/* A device in the registry. */
struct fleet_account {
    const char *id;
    uint8_t idevid[FLEET_HASH_SIZE]; /* fingerprint of the maker's certificate; 0: none */
    char secret[24];                 /* one-time credential: password; "": none */
    bool secret_used, retired, suspended;
    bool saw_new_root;             /* an answer with both roots was delivered */
    uint32_t last[FLEET_PROFILES]; /* the newest certificate, by number; 0: none */
    uint8_t *der[FLEET_PROFILES];  /* of that */
    size_t der_n[FLEET_PROFILES];
};

#define FLEET_BINS 32 /* before the window, 30 tenths of a window from 2/3 to 11/12, later */
struct fleet_counts {
    uint64_t exchanges[TM_OP_PROBE + 1];
    uint64_t denied, first, renewed, recovered, wrong;
    uint64_t repeated;                /* the same certificate again */
    uint64_t reissued;                /* another for the same request, after the retry window */
    uint64_t replaced;                /* the one before was refused where it was to be used */
    uint64_t duplicates;              /* the one before was good, and never used */
    uint64_t renewals_at[FLEET_BINS]; /* by age of the renewed certificate */
};

struct fleet_plant {
    const struct fleet_scenario *scenario;
    const struct fleet_weather *weather;
    struct fleet_watch *watch;
    struct fleet_random random;
    int64_t lifetime_ms;
    struct fleet_ca root[2], issuing[2], maker, stranger, other_unit;
    uint8_t new_with_old[FLEET_CERT_MAX], old_with_new[FLEET_CERT_MAX];
    size_t new_with_old_n, old_with_new_n;
    struct fleet_account *accounts;
    size_t account_count;
    struct fleet_cert *certs; /* [0] is none */
    size_t cert_count, cert_room;
    struct fleet_counts counts;
    uint8_t body[TM_ANCHORS_MAX + 512];
};

/* TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err fleet_plant_init(struct fleet_plant *plant,
                                      const struct fleet_scenario *scenario,
                                      const struct fleet_weather *weather,
                                      struct fleet_watch *watch, uint64_t seed, size_t devices,
                                      int64_t lifetime_ms);
void fleet_plant_deinit(struct fleet_plant *plant);

/* What a connection brings beside the exchange. */
struct fleet_call {
    const struct tm_exchange *exchange;
    size_t device;
    int64_t now_ms;
    struct bytes leaf;    /* certificate shown in the handshake; empty: none */
    struct bytes spki;    /* of the key that proved it */
    struct bytes anchors; /* what the device trusts */
    struct bytes secret;  /* HTTP Basic, user NUL password; empty: none */
    struct bytes binding; /* of the connection */
};
/* As the server sees it: the exchange has arrived. The body is the plant's until the next call. */
void fleet_plant_answer(struct fleet_plant *plant, const struct fleet_call *call,
                        struct tm_answer *ret);

/* Appends the anchors with which a device leaves the factory now. */
void fleet_plant_anchors(const struct fleet_plant *plant, int64_t now_ms, struct buf *out);
/* Makes the maker's IDevID of a device for its key, and registers it. Appends the certificate. */
MUST_USE enum tm_err fleet_plant_idevid(struct fleet_plant *plant, size_t device, struct bytes spki,
                                        int64_t now_ms, struct buf *out);
/* Revokes all LDevID certificates of a device. */
void fleet_plant_revoke(struct fleet_plant *plant, size_t device);
/* The registry's record of a certificate by its serial number; NULL: none. */
const struct fleet_cert *fleet_plant_find(const struct fleet_plant *plant, struct bytes serial);
/* The number of a record. */
uint32_t fleet_plant_number(const struct fleet_plant *plant, const struct fleet_cert *cert);

/* ---- only for plant_*.c ---- */

void fleet_hash(const struct bytes *parts, size_t count, uint8_t ret[FLEET_HASH_SIZE]);
/* Authenticates: NULL and *ret_own, the registry's record (NULL: the maker's IDevID, a secret, or
 * none); otherwise why not. */
const char *fleet_plant_who(struct fleet_plant *plant, const struct fleet_call *call,
                            enum fleet_profile wanted, struct fleet_cert **ret_own,
                            uint8_t ret_identity[FLEET_HASH_SIZE]);
/* ENROLL and REENROLL after authentication. */
void fleet_plant_enroll(struct fleet_plant *plant, const struct fleet_call *call,
                        enum fleet_profile profile, struct fleet_cert *own,
                        const uint8_t identity[FLEET_HASH_SIZE], struct tm_answer *ret);
/* Makes the certificate of that number for the request's key, as `wrong` as *cert says; appends it.
 */
MUST_USE enum tm_err fleet_plant_make(struct fleet_plant *plant, const struct fleet_cert *cert,
                                      size_t number, struct bytes spki, struct buf *out);

#endif
