/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of EST on HTTP: paths, media types, Basic credentials. One table each,
 * whole-value matching, no prefixes. No allocation, thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_HTTP_H
#define TOUCHMARK_EST_WIRE_HTTP_H

#include "base/bytes.h"

enum est_operation {
    EST_CACERTS = 1,
    EST_SIMPLEENROLL,
    EST_SIMPLEREENROLL,
    EST_FULLCMC,
    EST_SERVERKEYGEN,
    EST_CSRATTRS,
};

#define EST_LABEL_MAX 64

/* "/.well-known/est/[label/]operation" (RFC 7030, 3.2.2). A label is 1 to 64 of
 * A-Z a-z 0-9 . _ ~ -, and never an operation's name. TM_ENOTFOUND: not below
 * /.well-known/est; TM_EPARSE: below it but no operation or no valid label. `path` is as it was
 * sent: nothing in a valid path needs percent-encoding, so "%" is refused. */
struct est_path {
    enum est_operation operation;
    char label[EST_LABEL_MAX + 1]; /* "" = none */
};
MUST_USE enum tm_err est_path_parse(const char *path, struct est_path *ret);
/* "simpleenroll". Never NULL. */
const char *est_operation_name(enum est_operation op);
/* Is this string an operation's name (and so no label)? */
bool est_is_operation_name(const char *s);
/* May this be a label? As above; "." and ".." are none. */
bool est_label_valid(const char *label);

/* Media type of a body (RFC 9110, 8.3.1): type/subtype compared without case, parameters ignored
 * except those that `expect` names with its value, compared without case too. False for a malformed
 * header and for NULL. */
bool est_media_type_is(const char *header, const char *expect);
/* The value of a parameter of such a header, as it stands in its quotes. TM_EPARSE; TM_ENOTFOUND;
 * TM_ELIMIT: cap is too small for it and its NUL. */
MUST_USE enum tm_err est_media_type_parameter(const char *header, const char *name, char *ret,
                                              size_t cap);

/* "Basic <token>" (RFC 7617): user and password into the caller's buffers, NUL-
 * terminated user, not empty, printable ASCII; password octets appended to out (wipe it).
 * TM_ENOTFOUND: another scheme; TM_EPARSE; TM_ELIMIT. */
MUST_USE enum tm_err est_basic_parse(const char *authorization, char *ret_user, size_t user_cap,
                                     struct buf *password);

#endif
