/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that concern several options of touchmark.yaml. Private to conf/. Thread-safe. */
#ifndef TOUCHMARK_CONF_CHECK_H
#define TOUCHMARK_CONF_CHECK_H

#include "conf/conf.h"

struct conf_check {
    const char *text;
    size_t n;
    const char *name;
    struct conf *conf;
    char *error;
};

#define CONF_REFUSE(c, path, ...)                                                                  \
    conf_refuse((c)->text, (c)->n, (c)->name, path, (c)->error, __VA_ARGS__)

bool conf_is_address(const char *text);  /* IPv4 or IPv6 */
bool conf_is_dns_name(const char *text); /* RFC 1123, 2.1 */
bool conf_lies_in(const char *path, const char *folder);

/* check_issuer.c: what is wrong with an issuer by itself: a sentence about its key *ret_key
 * ("upstream.url"); NULL: nothing. */
const char *conf_issuer_fault(const struct conf_issuer *issuer, const char **ret_key);
/* ISSUER-7.crl is the issuer's shard 7, and would be the whole CRL of an issuer of that name. */
struct conf_clash {
    char shard[96];        /* an issuer's name, "-" and a number */
    size_t named, sharded; /* the issuers, by their place */
};
bool conf_shard_clash(const struct conf *conf, struct conf_clash *ret);

/* check_status.c: the section `status`. */
MUST_USE enum tm_err conf_check_status(const struct conf_check *c);
/* check_tokens.c: `signer`, `tokens` and the tokens of issuers. */
MUST_USE enum tm_err conf_check_tokens(const struct conf_check *c);
/* Can the issuer's keys be on the token that it names? TM_EPARSE: no, and why (constant). */
MUST_USE enum tm_err conf_check_issuer_token(const struct conf *conf,
                                             const struct conf_issuer *issuer,
                                             const char **ret_fault);
/* check_audit.c: the section `audit`. */
MUST_USE enum tm_err conf_check_audit(const struct conf_check *c);
/* check_officers.c: the section `officers`. */
MUST_USE enum tm_err conf_check_officers(const struct conf_check *c);

#endif
