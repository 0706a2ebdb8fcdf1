/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a device's certificates: enroll once, renew for ever, never be stranded (RFC 7030;
 * IEEE 802.1AR). A struct tm_device lives in the caller's memory; the library allocates nothing,
 * opens no socket, reads no clock and starts no thread. One device belongs to one thread at a time;
 * different devices are independent.
 *
 *     tm_device_init(&device, &config, &keys, &storage, &crypto, work, sizeof work);
 *     for (;;) {
 *         tm_device_step(&device, now(), &step);
 *         switch (step.kind) {
 *         case TM_STEP_WAIT:     sleep until step.until_mono_ms; break;
 *         case TM_STEP_EXCHANGE: do step.exchange; tm_device_answer(&device, now(), &answer);
 * break; case TM_STEP_TELL:     step.event is news for the application; break;
 *         }
 *     }
 *
 * client/port/run.h does that loop for a transport table.
 *
 * What it keeps to:
 * - A change is one journal record; whatever is cut before it leaves the old state, after it the
 * new.
 * - A new certificate is checked (key, subject, chain, validity) and then probed before it is used,
 * and the one before it is kept for the soak time.
 * - No answer never counts against a certificate: an outage is waited out with full-jitter backoff.
 * - A key that was sent is sent again until its answer is there: the server sees one request,
 * however often power fails.
 * - When nothing else is valid, the IDevID brings the device back.
 */
#ifndef TOUCHMARK_CLIENT_DEVICE_H
#define TOUCHMARK_CLIENT_DEVICE_H

#include "client/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TM_DEVICE_ID_MAX 64

enum tm_linking {                      /* RFC 7030, 3.5: requests bound to their TLS connection */
                  TM_LINKING_OPTIONAL, /* whenever the transport reports a binding */
                  TM_LINKING_REQUIRED, /* never without */
                  TM_LINKING_OFF,
};

/* Zero-initialised members have the defaults named. Strings and arrays stay the caller's and must
 * outlive the device. */
struct tm_config {
    const char *device_id; /* 1 to TM_DEVICE_ID_MAX octets: the ID in the server's registry */
    /* EST labels. NULL: that identity is not asked for; "": the server's default. */
    const char *idevid_label;
    const char *ldevid_label;
    bool any_subject; /* take a first certificate whatever its subject; default: one of its
                         commonName and serialNumber must be device_id */
    bool keep_key;    /* renew with the same key; default: a new one each time */
    enum tm_linking linking;
    /* What an organizationalUnit of every trust anchor has to be, e.g. "Environment prod", so that
     * a root of another environment is refused; NULL: not looked at. */
    const char *anchor_unit;
    uint32_t renew_window_s; /* renewals spread over so long after 2/3 of the lifetime; default: a
                                twelfth of the lifetime. Cut to end before 11/12 of it */
    uint32_t soak_s;         /* the previous certificate is kept so long; default 86,400 */
    uint32_t backoff_min_s;  /* first bound of the full-jitter backoff, which doubles; default 30 */
    uint32_t backoff_max_s;  /* its last bound; default 21,600 */
    uint32_t denied_max;     /* refusals of a credential, one after the other, before another is
                                taken; default 3 */
};

/* What the caller's clocks say at the moment of a call. */
struct tm_now {
    int64_t mono_ms; /* never steps back while the device object lives */
    int64_t wall_ms; /* ms since 1970; 0 = this device has no clock, or it was not set yet */
};

enum tm_event_kind {
    TM_EVENT_ENROLLED = 1, /* `slot` has its first certificate, in use now */
    TM_EVENT_RENEWED,      /* CURRENT is a new certificate */
    TM_EVENT_RECOVERED,    /* CURRENT is a new certificate, obtained with the IDevID */
    TM_EVENT_ROLLED_BACK,  /* CURRENT is the previous certificate again */
    TM_EVENT_DISCARDED,    /* a certificate that was obtained is not usable; `text` says why */
    TM_EVENT_ANCHORS,      /* the trust anchors changed */
    TM_EVENT_BOOTSTRAP_ERASED,
    TM_EVENT_FAILED,   /* a try failed and will be repeated; `text` says why */
    TM_EVENT_STRANDED, /* no credential that the server takes is left, or no server that can be
                          trusted answers; it keeps trying. Somebody has
                          to help: `text` says how far it came */
};

struct tm_event {
    enum tm_event_kind kind;
    enum tm_slot slot;
    char text[TM_TEXT_MAX];
};

enum tm_step_kind { TM_STEP_WAIT, TM_STEP_EXCHANGE, TM_STEP_TELL };

struct tm_step {
    enum tm_step_kind kind;
    int64_t until_mono_ms; /* WAIT: step again then, or earlier; INT64_MAX: only when something
                              was called that asks for it */
    struct tm_exchange exchange;
    struct tm_event event;
};

/* A certificate's facts. */
struct tm_certificate {
    bool used; /* is there one in this slot? */
    uint8_t key_bank, chain_bank;
    uint8_t hash[TM_SHA256_SIZE]; /* of the whole chain item */
    uint8_t serial[20];           /* INTEGER content octets */
    uint8_t serial_n;
    int64_t not_before_ms, not_after_ms;
};

enum tm_purpose {
    TM_PURPOSE_NONE,
    TM_PURPOSE_IDEVID,
    TM_PURPOSE_FIRST,
    TM_PURPOSE_RENEW,
    TM_PURPOSE_RECOVER
};

/* What is under way, as the journal keeps it. */
enum tm_phase {
    TM_PHASE_IDLE,
    TM_PHASE_REQUEST, /* a key is made and its request may have been sent */
    TM_PHASE_PROBE,   /* NEXT holds a certificate that was not used yet */
    TM_PHASE_SOAK,    /* PREVIOUS is kept beside a new CURRENT */
};

/* The one record that says what is true; client/journal.h stores it. */
struct tm_journal {
    uint64_t sequence;    /* rises with each record */
    uint8_t phase;        /* enum tm_phase */
    uint8_t purpose;      /* enum tm_purpose, in REQUEST and PROBE */
    uint8_t request_bank; /* REQUEST: of the key */
    uint8_t anchors_bank; /* 0 or 1 */
    uint8_t anchors_hash[TM_SHA256_SIZE];
    bool bootstrap_done;   /* the one-time credential was used with success */
    int64_t soak_until_ms; /* SOAK: wall clock; 0 = unknown, counted from the next start */
    int64_t time_floor_ms; /* it is later than this: the newest time that was ever proven */
    int64_t renew_from_ms, renew_until_ms;      /* the server's window for CURRENT; 0 = none */
    struct tm_certificate slots[TM_SLOT_COUNT]; /* [TM_SLOT_NONE] is never used */
};

struct tm_status {
    enum tm_phase phase;
    enum tm_purpose purpose;
    struct tm_certificate slots[TM_SLOT_COUNT];
    int64_t renew_at_ms;    /* wall clock; 0 = not known */
    int64_t next_mono_ms;   /* when the next try is */
    int64_t wall_ms;        /* what the device takes the time to be; 0 = not known */
    uint32_t failures;      /* tries that failed, one after the other */
    char text[TM_TEXT_MAX]; /* why the last one did; "" = it did not */
};

/* The library's state. Members are for the library alone: use tm_device_status. */
struct tm_device {
    struct tm_config config; /* with the defaults filled in */
    const struct tm_keys *keys;
    const struct tm_storage *storage;
    const struct tm_crypto *crypto;
    uint8_t *work;
    size_t work_size;
    struct tm_journal journal;
    struct tm_now now;      /* of the call under way */
    int64_t wall_offset_ms; /* wall minus mono as a server said it; 0 = nobody did */
    uint8_t activity;       /* enum tm_activity (client/life.h) */
    uint8_t auth;           /* enum tm_slot that this try authenticates with */
    bool secret;            /* and with the bootstrap credential */
    bool started;           /* a step was made since tm_device_init */
    bool renew_asked;
    bool refused;   /* tm_device_used(false) inside the soak time */
    bool stranded;  /* was told */
    bool other_way; /* a recovery was denied so often that CURRENT has its turn again */
    uint32_t failures;
    uint32_t denied;
    int64_t next_mono_ms;
    int64_t soak_mono_ms;
    int64_t renew_mono_ms; /* no renewal of its own accord before that */
    uint8_t binding[TM_BINDING_MAX];
    size_t binding_n;
    size_t info_n;    /* CertificationRequestInfo at the start of work */
    size_t request_n; /* the request behind it */
    uint32_t events;  /* bit per kind that was not told yet */
    uint8_t event_slot[TM_EVENT_STRANDED + 1];
    char text[TM_TEXT_MAX];       /* of the last failure */
    char event_text[TM_TEXT_MAX]; /* of the last FAILED, DISCARDED or STRANDED */
};

/* Octets of work memory: two sets of anchors beside each other, or one and a chain. */
#define TM_WORK_SIZE (2 * TM_ANCHORS_MAX)

/*
 * Reads the journal and goes on where the device stopped. The tables, `work` and the
 * configuration's strings must outlive it. An empty storage is a new device: give it trust anchors
 * with tm_device_provision first. TM_EINVAL: configuration or tables (a version not known, no
 * device_id, work too small); TM_ENOTFOUND: nothing was provisioned yet; TM_ECORRUPT: there are
 * journal records but no valid one; TM_EIO from the storage.
 */
MUST_USE enum tm_err tm_device_init(struct tm_device *device, const struct tm_config *config,
                                    const struct tm_keys *keys, const struct tm_storage *storage,
                                    const struct tm_crypto *crypto, uint8_t *work,
                                    size_t work_size);

/*
 * Writes the first journal: trust anchors (DER one after the other, at least one self-signed, each
 * named for the environment when `config->anchor_unit` is set) and, for a device that came with an
 * IDevID (key in bank TM_BANK_IDEVID), its chain, else empty. The bootstrap credential, if there is
 * one, is written to TM_ITEM_BOOTSTRAP by the caller. Refuses a device that was provisioned:
 * TM_EEXISTS. TM_EDENIED: an anchor of another environment; TM_EPARSE; TM_EINVAL: the IDevID's
 * certificate is not for the key.
 */
MUST_USE enum tm_err tm_device_provision(const struct tm_config *config, const struct tm_keys *keys,
                                         const struct tm_storage *storage,
                                         const struct tm_crypto *crypto, uint8_t *work,
                                         size_t work_size, struct bytes anchors,
                                         struct bytes idevid_chain);

/* What to do next. Not while an exchange waits for its answer (TM_EINVAL). TM_EIO and whatever else
 * a table function returned: nothing was lost, step again later. */
MUST_USE enum tm_err tm_device_step(struct tm_device *device, struct tm_now now,
                                    struct tm_step *ret_step);

/* What came back for the exchange that the last step asked for. Errors as for tm_device_step; the
 * device has then taken the answer as far as it could and goes on with the next step. */
MUST_USE enum tm_err tm_device_answer(struct tm_device *device, struct tm_now now,
                                      const struct tm_answer *answer);

/* The application's own experience with CURRENT: true: it was accepted, false: it was refused (and
 * not: nobody answered). Inside the soak time a refusal brings the previous certificate back; later
 * denied_max of them start a recovery. Acts at the next step. */
void tm_device_used(struct tm_device *device, bool accepted);

/* Renew now, and do not wait for the time. Acts at the next step. */
void tm_device_renew(struct tm_device *device);

/* The server is there again (a transport that is told so says it): what waits only because a try
 * failed is done at the next step. */
void tm_device_hurry(struct tm_device *device);

void tm_device_status(const struct tm_device *device, struct tm_now now, struct tm_status *ret);

/* Appends the chain of a slot. TM_ENOTFOUND; TM_ECORRUPT: not what was stored. */
MUST_USE enum tm_err tm_device_chain(struct tm_device *device, enum tm_slot slot, struct buf *out);

/* Fills in what an exchange of the application's own with the server shows and trusts: a slot's
 * certificate and key, and the anchors. The other members are zero. TM_ENOTFOUND: the slot is
 * empty.
 */
MUST_USE enum tm_err tm_device_credential(const struct tm_device *device, enum tm_slot slot,
                                          struct tm_exchange *ret);

/* Appends the trust anchors and CA certificates that are held, DER one after the other. As
 * tm_device_chain. */
MUST_USE enum tm_err tm_device_anchors(struct tm_device *device, struct buf *out);

#ifdef __cplusplus
}
#endif
#endif
