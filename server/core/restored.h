/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that is older than what was published from it: somebody has put back a copy, or begun a
 * new one. A CRL's number is in the store before it is signed, so a CRL of ours in status.dir with
 * a higher one shows it. What was issued, revoked and used up since is not known then: nothing is
 * issued, published or answered by OCSP, and the status face goes on with what it has, until the
 * store is accepted: by the act "restore" of two officers, which names the audit's head; where none
 * have keys, by command.
 *
 * A checkpoint of the audit log that the log does not continue (checkpoint.h) shows the same.
 *
 *   restored.c         looking
 *   restored_accept.c  accepting: what the CRL in status.dir names as revoked is revoked here, too,
 *                      and numbers go on from its own
 *
 * On the loop's thread.
 */
#ifndef TOUCHMARK_SERVER_CORE_RESTORED_H
#define TOUCHMARK_SERVER_CORE_RESTORED_H

#include "ca/act.h"
#include "server/core/core.h"
#include "server/core/publish.h"

#define CORE_RESTORE_ACT "restore"

struct core_restored_config {
    struct loop *loop;
    struct ca_store *store;
    const struct ca_registry *registry;
    const struct core_setup *setup;
    struct core_publish *publish; /* NULL: there is no status service */
    int64_t (*now_ms)(void);
};

/* Revoked by what was published, and good in the store. */
struct core_revived {
    struct ca_serial serial;
    uint8_t reason;
};

struct core_restored {
    bool held;                    /* it is older, and not accepted */
    char text[IPC_TEXT_MAX + 1];  /* how that is known */
    struct ca_published *numbers; /* the rows with the numbers that were published */
    size_t number_count;
    struct core_revived *revived;
    size_t revived_count;
    uint64_t unknown;           /* revoked by what was published, and not in the store */
    struct ca_checkpoint ahead; /* the largest tree of the audit log that was shown and is not in
                                   the store; size 0: there is none */
    struct core_restored_config config;
    struct ca_act_kind kind;
    struct core_acceptance *acceptance; /* under way */
};

/* Looks into status.dir. TM_ENOMEM, what the store says; after an error, too, `ret` wants
 * core_restored_free. */
MUST_USE enum tm_err core_restored_look(const struct conf_status *conf,
                                        const struct core_setup *setup, struct ca_store *store,
                                        struct core_restored *ret);
/* Holds the store for what was shown of its audit log (checkpoint.h): `ahead` is the row to put
 * when that is accepted. */
void core_restored_hold(struct core_restored *restored, const char *text,
                        const struct ca_checkpoint *ahead);
/* Adds the kind "restore". `restored` stays where it is. */
MUST_USE enum tm_err core_restored_open(struct core_restored *restored,
                                        const struct core_restored_config *config,
                                        struct ca_acts *acts);
/* After the store is closed. */
void core_restored_free(struct core_restored *restored);

/* Accepts, and calls `done` once, now or later; not when the process ends first. It can be begun
 * again after that: what was done is done already. */
void core_restored_accept(struct core_restored *restored, const char *actor,
                          void (*done)(void *arg, enum tm_err result), void *arg);

#endif
