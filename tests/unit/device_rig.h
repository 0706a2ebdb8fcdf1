/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device in memory with a storage whose power can be cut, and a small EST server that keeps to
 * the same rules as ours: same key and same identity, same certificate. For tests of the life
 * cycle.
 */
#ifndef TOUCHMARK_TESTS_DEVICE_RIG_H
#define TOUCHMARK_TESTS_DEVICE_RIG_H

#include "client/device.h"
#include "client/fleet/x509.h"

#define RIG_ISSUED_MAX 64
#define DAY_MS INT64_C(86400000)

enum rig_cut { RIG_CUT_OLD, RIG_CUT_NEW, RIG_CUT_HALF, RIG_CUT_GARBAGE, RIG_CUT_KINDS };
enum rig_flaw {
    RIG_SOUND,
    RIG_OTHER_KEY,
    RIG_OTHER_SUBJECT,
    RIG_OTHER_CA,
    RIG_ENDED,
    RIG_CA_CERTIFICATE,
    RIG_NO_MESSAGE,
    RIG_FLAWS
};

struct rig_item {
    bool there;
    size_t n;
    uint8_t octets[TM_ANCHORS_MAX];
};

struct rig_issued {
    uint8_t spki[TM_SPKI_MAX];
    uint8_t identity[TM_SHA256_SIZE]; /* of the leaf that asked; zero: the secret */
    bool idevid;
    bool sound;
    bool active; /* the newest of its kind, and not revoked */
    bool revoked;
    uint8_t hash[TM_SHA256_SIZE]; /* of the leaf */
    size_t n;
    uint8_t der[FLEET_CERT_MAX];
};

struct rig {
    /* the device's side */
    struct tm_device device;
    struct tm_config config;
    struct tm_keys keys;
    struct tm_storage storage;
    struct rig_item items[TM_ITEM_COUNT];
    struct fleet_key banks[TM_BANKS];
    uint8_t work[TM_WORK_SIZE];
    struct tm_now now;
    bool clockless;
    unsigned again; /* so often the key store says TM_EAGAIN before each signature */
    unsigned again_left;
    /* power: the cut comes in this write (1 = the next); 0 = never */
    unsigned writes;
    unsigned cut_at;
    enum rig_cut cut;
    bool dead;
    /* the server's side */
    struct fleet_ca root, other_root, issuing, new_root, cross, new_issuing;
    const struct fleet_ca *issuer;
    bool rolled_over; /* cacerts bring new_root, cross (NewWithOld) and new_issuing as well */
    struct rig_issued issued[RIG_ISSUED_MAX];
    size_t issued_count;
    enum rig_flaw flaw;    /* of what is issued from now on */
    bool offline;          /* nobody answers */
    unsigned lose_answers; /* so many enroll answers get lost on the way */
    bool later;            /* 503 with retry_after_s */
    uint32_t retry_after_s;
    enum tm_result probe; /* what a probe of a sound credential gets */
    bool deny_renewals;   /* 403 for simplereenroll */
    bool tells_time;
    int64_t lifetime_ms;
    uint8_t answer_body[8192];
    /* what was seen */
    unsigned exchanges, requests;
    unsigned told[TM_EVENT_STRANDED + 1];
    char text[TM_TEXT_MAX]; /* of the last event with one */
};

/* A provisioned device that was never started, on 2030-01-01. */
struct rig *rig_new(void);
void rig_free(struct rig *rig);
/* tm_device_init on what the storage holds. */
MUST_USE enum tm_err rig_boot(struct rig *rig);
/* Steps, moving the clock to each wait, until it would wait beyond `until_ms` after now, or power
 * is cut (TM_EIO then). The clock stands at that time afterwards. */
MUST_USE enum tm_err rig_run(struct rig *rig, int64_t for_ms);
/* The newest certificate of a kind that is active at the server; NULL: none. */
const struct rig_issued *rig_active(const struct rig *rig, bool idevid);
unsigned rig_count(const struct rig *rig, bool idevid); /* issued and sound */
/* Is the slot's certificate that one, and its key in the bank? */
bool rig_holds(struct rig *rig, enum tm_slot slot, const struct rig_issued *issued);

#endif
