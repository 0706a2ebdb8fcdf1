/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a signer keeps count of: which tickets of a link were redeemed, which numbers were given
 * out, and how much was signed. Plain values without a lock; the caller serialises.
 */
#ifndef TOUCHMARK_PKCS11_GUARD_H
#define TOUCHMARK_PKCS11_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Ticket IDs rise on a link, but threads that received them see them in another order. So an
 * ID is good once while it is less than HSM_WINDOW below the highest seen, and never after
 * that: a ticket could only fall out if HSM_WINDOW others overtook it between one thread's
 * receive and its next statement. Zero-initialised: nothing seen. 8 KiB.
 */
#define HSM_WINDOW 65536

struct hsm_window {
    uint64_t highest;
    uint64_t seen[HSM_WINDOW / 64]; /* bit (id mod HSM_WINDOW) */
};

/* True at the first call with this id (1 or more) on this window, else false. */
bool hsm_window_take(struct hsm_window *window, uint64_t id);

/*
 * The highest number that was taken under each name, by the SHA-256 of the name. Names are
 * remembered for ever, so there can be no more than there is room for.
 */
#define HSM_NAME_SIZE 32

struct hsm_number {
    uint8_t name[HSM_NAME_SIZE];
    uint64_t number;
};

struct hsm_numbers {
    struct hsm_number *rows; /* the owner's memory */
    size_t room;
    size_t count;
};

/* True when the number is above all that were taken under this name, which it then is itself. False
 * too for a new name when there is no room. */
bool hsm_numbers_take(struct hsm_numbers *numbers, const uint8_t name[HSM_NAME_SIZE],
                      uint64_t number);

/* The last tree of the audit log whose checkpoint was signed. Zeroed: none was. */
struct hsm_checkpoint {
    uint64_t size; /* leaves */
    uint8_t root[32];
};

/* True when the tree is larger than the last, or the same: which it then is itself. A log never
 * takes back what it has shown. Whether it only grew, its witnesses see, and whoever has an older
 * checkpoint. */
bool hsm_checkpoint_take(struct hsm_checkpoint *last, const struct hsm_checkpoint *tree);

/* Ceilings: signatures in one period of the monotonic clock, and altogether. 0 = none. */
struct hsm_ceiling {
    uint64_t max_rate;
    uint64_t max_total;
    int64_t period_ms; /* 0: a second */
    uint64_t total;
    int64_t period;
    uint64_t in_period;
};

/* True when one more signature is allowed now, which is then counted. */
bool hsm_ceiling_take(struct hsm_ceiling *ceiling, int64_t now_mono_ms);

#endif
