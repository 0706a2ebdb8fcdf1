/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ceremony's transcript: a YAML list that people read and that a ceremony which was
 * interrupted reads to know what it did. Entries are only ever appended, each synced before
 * the function returns. Internal to ca/ceremony*.c. One thread.
 */
#ifndef TOUCHMARK_CA_CEREMONY_TRANSCRIPT_H
#define TOUCHMARK_CA_CEREMONY_TRANSCRIPT_H

#include "conf/schema.h"

enum ca_step {
    CA_STEP_BEGAN,
    CA_STEP_RESUMED,
    CA_STEP_TOKEN_INIT, /* announced: the token may exist from here on */
    CA_STEP_TOKEN_READY,
    CA_STEP_TOKEN_OPEN,
    CA_STEP_KEY_MAKING,   /* announced */
    CA_STEP_KEY_REMOVING, /* announced */
    CA_STEP_KEY,
    CA_STEP_SIGNING, /* announced: files may exist from here on */
    CA_STEP_CERTIFICATE,
    CA_STEP_FINISHED,
};

/* What an entry can say; NULL: nothing. */
struct ca_transcript_entry {
    unsigned step; /* enum ca_step */
    char *time;    /* set by ca_transcript_add */
    char *host;
    char *user;
    char *program;
    char *input;
    char *input_sha256;
    char *environment;
    char *token;
    char *token_label;
    char *module;
    char *library;
    char *manufacturer;
    char *model;
    char *serial;
    char *ca;
    char *scope;
    char *purpose; /* of a key that is not the CA's own */
    char *key_label;
    char *key_type;
    char *attributes;
    char *spki_sha256;
    char *subject;
    char *issuer;
    char *serial_number;
    char *not_before;
    char *not_after;
    char *file;
    char *sha256; /* of the certificate's DER */
    char *note;
};

/* For an entry to be added, whose texts are only read; the members are char * for the loader. */
static inline char *ca_said(const char *text) {
    return (char *)(uintptr_t)text;
}

struct ca_transcript;

/* Reads the transcript if there is one, and cuts off an entry that a crash left incomplete;
 * makes no file yet. TM_EPARSE: the file is no transcript; TM_EEXISTS: another ceremony
 * writes it now; TM_EIO. */
MUST_USE enum tm_err ca_transcript_open(const char *path, struct ca_transcript **ret_transcript,
                                        char error[CONF_ERROR_MAX]);
void ca_transcript_close(struct ca_transcript *transcript); /* NULL-safe */

/* Reads a transcript and changes nothing: an incomplete last entry is left out. Free it with
 * ca_transcript_free_entries. *ret_entries: struct ca_transcript_entry. TM_EPARSE, TM_EIO. */
MUST_USE enum tm_err ca_transcript_read(const char *path, struct conf_list *ret_entries,
                                        char error[CONF_ERROR_MAX]);
void ca_transcript_free_entries(struct conf_list *entries);
/* "key generated". */
const char *ca_transcript_step_name(enum ca_step step);

/* The last entry of a step that was read when it was opened; `token` and `ca` must match unless
 * NULL. NULL: there is none. */
const struct ca_transcript_entry *ca_transcript_find(const struct ca_transcript *transcript,
                                                     enum ca_step step, const char *token,
                                                     const char *ca);

/* The same for one key: the last entry of a step with this CA and label. */
const struct ca_transcript_entry *ca_transcript_find_key(const struct ca_transcript *transcript,
                                                         enum ca_step step, const char *ca,
                                                         const char *key_label);

/* Appends an entry and syncs; the first one makes the file. */
MUST_USE enum tm_err ca_transcript_add(struct ca_transcript *transcript,
                                       const struct ca_transcript_entry *entry,
                                       char error[CONF_ERROR_MAX]);

/* One line for people, e.g. "key generated: root". */
void ca_transcript_line(const struct ca_transcript_entry *entry, char *ret, size_t cap);

#endif
