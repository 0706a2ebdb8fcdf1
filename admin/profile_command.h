/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark profile`: profiles checked, compared and applied. Internal to admin/profile*.c.
 *
 *   profile_command.c  check and diff
 *   profile_check.c    files, trial issue, what differs
 *   profile_apply.c    apply
 */
#ifndef TOUCHMARK_ADMIN_PROFILE_COMMAND_H
#define TOUCHMARK_ADMIN_PROFILE_COMMAND_H

#include <jansson.h>

#include "admin/command.h"
#include "ca/profile.h"

/* A profile's file, read once: what was checked is what is compared and written. */
struct profile_file {
    const char *path; /* borrowed */
    char *text;
    size_t n;
    struct ca_profile profile;
};

/* Reads and checks. Says what is wrong on standard error; an exit code. */
int profile_file_read(const char *path, struct profile_file *ret_file);
void profile_file_free(struct profile_file *file);

/* Issues for each kind of key that the profile takes, with throwaway keys; `out`: shows the first
 * certificate and the size of each there, NULL: shows nothing. Says what is wrong on standard
 * error; an exit code. */
int profile_file_try(const struct profile_file *file, FILE *out);

/* The rows that differ, as objects of option, old and new; an empty old text is no profile at all,
 * and every row differs from it. NULL: out of memory. The caller's. */
json_t *profile_differences(const char *old, size_t old_n, const struct profile_file *file);
/* Prints them. */
void profile_print_differences(const json_t *rows, bool json);

/* The name of a profile's file in a folder; the caller frees it. NULL: out of memory. */
char *profile_path(const char *folder, const char *name);

#endif
