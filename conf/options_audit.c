/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the section `audit`: see conf/options.c. */
#include "conf/options_parts.h"

static const struct conf_row witness_rows[] = {
    {.key = "key",
     .type = CONF_STRING,
     .offset = offsetof(struct conf_witness, key),
     .min = 1,
     .max = CONF_VKEY_MAX,
     .example = "witness.example.com+530d903a+BGh0dHBzOi8vYzJzcC5vcmcvdGxvZy1jb3NpZ25h",
     .help = "Its verifier key, as touchmark-witness prints it; cosignatures of others are not "
             "taken."},
    {.key = "url",
     .type = CONF_STRING,
     .offset = offsetof(struct conf_witness, url),
     .preset = "",
     .max = 400,
     .example = "http://127.0.0.1:8081",
     .help = "Where touchmark audit witness asks it: its URL without /add-checkpoint."},
    {.key = NULL},
};

const struct conf_row conf_audit_rows[] = {
    {.key = "origin",
     .type = CONF_STRING,
     .offset = offsetof(struct conf_audit, origin),
     .preset = "",
     .max = CONF_ORIGIN_MAX,
     .help = "The log's name in its checkpoints: printable ASCII without blank and plus, of no "
             "other log anywhere; a URL without a scheme is usual, as audit.example.com/factory-1. "
             "Left out, none are signed."},
    {.key = "token",
     .type = CONF_NAME,
     .offset = offsetof(struct conf_audit, token),
     .preset = "",
     .help = "Name of the token of the checkpoints' key, on which no other key is."},
    {.key = "key_label",
     .type = CONF_STRING,
     .offset = offsetof(struct conf_audit, key_label),
     .preset = "",
     .max = 64,
     .help = "Label (CKA_LABEL) of that key, of Ed25519; touchmark audit key makes it."},
    {.key = "public_key",
     .type = CONF_PATH,
     .offset = offsetof(struct conf_audit, public_key),
     .preset = "",
     .help = "PEM file of its public key: what does not verify with it is no checkpoint."},
    {.key = "interval",
     .type = CONF_DURATION,
     .offset = offsetof(struct conf_audit, interval),
     .preset = "1m",
     .min = 100,
     .max = 24ll * 3600 * 1000,
     .help = "A new checkpoint so often, while the log grows."},
    {.key = "seen",
     .type = CONF_PATH,
     .offset = offsetof(struct conf_audit, seen),
     .preset = "",
     .help = "File in which touchmark audit witness keeps the newest checkpoint, best on another "
             "disk than core.store: at the start, a log that is not its continuation has been put "
             "back or rewritten, and nothing is issued."},
    {.key = "witnesses",
     .type = CONF_LIST,
     .offset = offsetof(struct conf_audit, witnesses),
     .rows = witness_rows,
     .elem_size = sizeof(struct conf_witness),
     .preset = "",
     .max = 16,
     .help = "Who cosigns checkpoints, so that nobody here can have two histories."},
    {.key = NULL},
};
