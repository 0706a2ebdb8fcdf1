/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signs for a tenant and whom its devices are told to trust besides, as officers agree on it:
 * by certificates, not by the names that a configuration gives them.
 *
 * As text, a line per issuer, the one that signs first and the others in the order of their names:
 *
 *     NAME CERTIFICATE TRUST
 *
 * CERTIFICATE is the SHA-256 of the issuer's certificate; TRUST that of all that devices learn with
 * it: its certificate, those above it, OldWithNew and NewWithOld, DER one after the other.
 */
#ifndef TOUCHMARK_CA_ASSIGNMENT_H
#define TOUCHMARK_CA_ASSIGNMENT_H

#include "ca/act.h"
#include "ca/issuer.h"

#define CA_ASSIGNED_MAX 17 /* one signs, and the others */

struct ca_assigned {
    char name[IPC_NAME_MAX + 1];
    uint8_t certificate[CA_HASH_SIZE];
    uint8_t trust[CA_HASH_SIZE];
};
struct ca_assignment {
    size_t count;
    struct ca_assigned issuers[CA_ASSIGNED_MAX];
};

/* An issuer with what belongs to it; the paths name PEM files, or are NULL. The sentence that says
 * what is wrong goes to `text`. TM_EIO, TM_EPARSE, TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err ca_assigned_make(const struct ca_issuer *issuer, const char *old_with_new,
                                      const char *new_with_old, struct ca_assigned *ret,
                                      char text[IPC_TEXT_MAX + 1]);
/* Another that does not sign, unless it is there. TM_ELIMIT. */
MUST_USE enum tm_err ca_assignment_add(struct ca_assignment *assignment,
                                       const struct ca_assigned *issuer);

/* Appends the text. TM_ELIMIT, TM_EINVAL (nobody signs). */
MUST_USE enum tm_err ca_assignment_print(const struct ca_assignment *assignment, struct buf *out);
/* TM_EPARSE: not exactly what ca_assignment_print writes. */
MUST_USE enum tm_err ca_assignment_parse(struct bytes text, struct ca_assignment *ret);

/* The kind of act that changes a tenant's. */
#define CA_ASSIGNMENT_ACT "issuer-change"
/* The same as parameters of it: "signs" has the first line, "also-01" and so on the others. */
#define CA_ASSIGNMENT_SIGNS "signs"
#define CA_ASSIGNMENT_ALSO "also-%02zu"
/* The text, appended. TM_ENOTFOUND: nobody signs; TM_ELIMIT. */
MUST_USE enum tm_err ca_assignment_of(const struct ca_act_params *params, struct buf *out);
/* One line without its end. */
bool ca_assigned_valid(const char *line);

#endif
