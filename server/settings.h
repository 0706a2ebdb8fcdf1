/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as touchmarkd handles it: read once by the supervisor, handed to the roles
 * as text in a sealed memory file, so that all of them see the same. Not thread-safe per object.
 */
#ifndef TOUCHMARK_SERVER_SETTINGS_H
#define TOUCHMARK_SERVER_SETTINGS_H

#include "conf/conf.h"

struct settings {
    struct conf conf;
    int text_fd;      /* sealed memory file with the text, close-on-exec */
    unsigned workers; /* front processes, at least 1 */
};

/* Reads and checks the file by itself: what other files it names is not looked at. `error`
 * is "file:line: sentence". TM_EIO, TM_EPARSE, TM_ELIMIT, TM_ENOTFOUND (process.user), TM_ENOMEM.
 */
MUST_USE enum tm_err settings_load(const char *path, struct settings *ret,
                                   char error[CONF_ERROR_MAX]);
void settings_close(struct settings *settings);

/* Loads issuers, anchors and profiles, and reads the PEM files for the broker and
 * for other CAs, as the roles will do; what
 * is wrong is logged. */
MUST_USE enum tm_err settings_check(const struct settings *settings);
/* The same in a process of its own, so that the supervisor stays free of what they leave behind. */
MUST_USE enum tm_err settings_check_apart(const struct settings *settings);

/* In a role: the configuration behind ROLE_FD_CONF. */
MUST_USE enum tm_err settings_receive(int text_fd, const char *path, struct conf *ret_conf);

#endif
