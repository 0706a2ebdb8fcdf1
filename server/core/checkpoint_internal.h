/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of checkpoints, shared by its parts: see checkpoint.h. */
#ifndef TOUCHMARK_SERVER_CORE_CHECKPOINT_INTERNAL_H
#define TOUCHMARK_SERVER_CORE_CHECKPOINT_INTERNAL_H

#include "server/core/checkpoint.h"

/* A row and the memory that its note is in. */
struct checkpoint_kept {
    struct ca_checkpoint row; /* version 0: there is none */
    uint8_t memory[CA_CHECKPOINT_NOTE_MAX];
};

/* What is on its way into the store, from a witness. */
struct checkpoint_brought {
    bool busy;
    core_cosigned_fn *done;
    void *arg;
    struct checkpoint_kept cosigned;
    struct ca_cosignature rows[CORE_WITNESSES_MAX];
    uint8_t lines[CORE_WITNESSES_MAX][CA_COSIGNATURE_MAX];
    size_t count;
    struct ca_batch batch;
};

struct core_checkpoint {
    struct core_checkpoint_config config;
    struct checkpoint_kept signed_, cosigned;
    struct ca_checkpoint accepted;                  /* its size; 0: nothing was */
    struct ca_cosignature seen[CORE_WITNESSES_MAX]; /* by witness; the lines are not kept */
    int64_t next_ms;                                /* monotonic */
    bool busy;                                      /* one is being signed or stored */
    bool held;                                      /* the store was, at the last tick */
    char alarm[IPC_TEXT_MAX + 1];                   /* to be raised at the next tick */
    uint8_t text[IPC_CHECKPOINT_MAX];
    size_t text_n;
    struct ca_ticket ticket;
    struct checkpoint_kept next; /* being stored */
    struct ca_batch batch;
    struct checkpoint_brought brought;
};

struct audit_nodes checkpoint_nodes(struct core_checkpoint *c);

/* ---- checkpoint_judge.c ---- */

/* Does the log go on from this tree? If not, the sentence that says so goes to text: TM_EDENIED.
 * What the store says. */
MUST_USE enum tm_err checkpoint_continues(struct core_checkpoint *c, uint64_t size,
                                          const uint8_t root[CA_HASH_SIZE], const char *shown,
                                          char text[IPC_TEXT_MAX + 1]);
/* The same, and what does not continue holds the store. */
MUST_USE enum tm_err checkpoint_judge(struct core_checkpoint *c, uint64_t size,
                                      const uint8_t root[CA_HASH_SIZE], const char *shown,
                                      char text[IPC_TEXT_MAX + 1]);
/* All rows and the file, at the start. */
MUST_USE enum tm_err checkpoint_look(struct core_checkpoint *c);

#endif
