/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of tm_device: what its parts know of each other. Data flows one way: decide.c says
 * what is due, obtain.c gets a certificate, change.c takes it into use or gives it up. Only for the
 * library.
 */
#ifndef TOUCHMARK_CLIENT_LIFE_H
#define TOUCHMARK_CLIENT_LIFE_H

#include "client/device.h"

/* What the device is doing right now. Lost in a restart: the journal's phase says where to go on.
 */
enum tm_activity {
    TM_ACT_REST,        /* nothing: decide at the next step */
    TM_ACT_LEARN_OUT,   /* a CACERTS exchange, to learn the time, waits for its answer */
    TM_ACT_CONNECT_OUT, /* a CACERTS exchange, before a request, waits */
    TM_ACT_SIGN,        /* connected: the request is to be made */
    TM_ACT_SEND_OUT,    /* the request was handed out and waits */
    TM_ACT_PROBE_OUT,   /* a PROBE of NEXT waits */
    TM_ACT_SOAK_OUT,    /* a PROBE of CURRENT, at the end of the soak time, waits */
};

#define TM_POLL_MS 100 /* a key store that said TM_EAGAIN is asked again after so long */
#define TM_ERROR_MS 1000

/* Wall clock of the call under way; 0 = not known. What stands before the journal's floor is wrong.
 */
int64_t tm_life_wall(const struct tm_device *d);
/* Is there a certificate, and has it not ended (as far as the time is known)? */
bool tm_life_usable(const struct tm_device *d, enum tm_slot slot);

void tm_life_tell(struct tm_device *d, enum tm_event_kind kind, enum tm_slot slot,
                  const char *text);
/* Fills a step that asks for an exchange, as `activity`. */
void tm_life_exchange(struct tm_device *d, enum tm_activity activity, enum tm_operation operation,
                      enum tm_slot slot, const char *label, struct tm_step *ret);
/* The label that a purpose's requests go to. */
const char *tm_life_label(const struct tm_device *d);

/* A try failed: waits by backoff (and Retry-After), tells FAILED, and rests. */
MUST_USE enum tm_err tm_life_failed(struct tm_device *d, const char *text, uint32_t retry_after_s);
/* Tells STRANDED, once until something succeeds. */
void tm_life_stranded(struct tm_device *d);
/* What counts when the server accepted something. */
void tm_life_succeeded(struct tm_device *d);

/* Makes *journal the truth and the device's. */
MUST_USE enum tm_err tm_life_commit(struct tm_device *d, const struct tm_journal *journal);
/* Destroys keys and erases chains in banks that the journal does not name (never bank 0), and the
 * bootstrap credential once it is done with. Idempotent. */
MUST_USE enum tm_err tm_life_sweep(struct tm_device *d);

/* ---- decide.c ---- */

/* The next thing to do, when nothing is under way in this run. */
MUST_USE enum tm_err tm_decide(struct tm_device *d, struct tm_step *ret);
/* When CURRENT is to be renewed, wall clock; INT64_MAX: never. */
MUST_USE enum tm_err tm_decide_renewal_time(const struct tm_device *d, int64_t *ret_wall_ms);

/* ---- obtain.c ---- */

/* Starts a request for `purpose`, or goes on with the journal's: key, journal, connection. */
MUST_USE enum tm_err tm_obtain_begin(struct tm_device *d, enum tm_purpose purpose,
                                     struct tm_step *ret);
/* TM_ACT_SIGN: makes the request and asks for it to be sent; WAIT while the key store is at work.
 */
MUST_USE enum tm_err tm_obtain_send(struct tm_device *d, struct tm_step *ret);
/* The answers. */
MUST_USE enum tm_err tm_obtain_connected(struct tm_device *d, const struct tm_answer *answer);
MUST_USE enum tm_err tm_obtain_answered(struct tm_device *d, const struct tm_answer *answer);
/* Takes over what a cacerts answer says about trust anchors. A malformed answer changes nothing. */
MUST_USE enum tm_err tm_obtain_anchors(struct tm_device *d, const struct tm_answer *answer);

/* ---- change.c ---- */

/* What a PROBE of NEXT, or of CURRENT at the end of its soak time, said. */
MUST_USE enum tm_err tm_change_probed(struct tm_device *d, const struct tm_answer *answer);
MUST_USE enum tm_err tm_change_soaked(struct tm_device *d, const struct tm_answer *answer);
/* CURRENT stands alone from now on. */
MUST_USE enum tm_err tm_change_end_soak(struct tm_device *d);
/* Back to PREVIOUS. */
MUST_USE enum tm_err tm_change_roll_back(struct tm_device *d);
/* Gives up the request or NEXT, with its key. */
MUST_USE enum tm_err tm_change_abandon(struct tm_device *d);

#endif
