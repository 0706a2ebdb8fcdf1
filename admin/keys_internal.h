/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `touchmark keys`: see keys_command.h. Internal to admin/keys*.c. */
#ifndef TOUCHMARK_ADMIN_KEYS_INTERNAL_H
#define TOUCHMARK_ADMIN_KEYS_INTERNAL_H

#include <jansson.h>

#include "conf/managed.h"
#include "ipc/admin.h"

#define KEYS_TENANTS_MAX 16

enum keys_act { KEYS_ADD, KEYS_ACTIVATE, KEYS_RETIRE, KEYS_AGREE };

/* A command line. */
struct keys_order {
    enum keys_act act;
    const char *conf;
    const char *socket;        /* NULL: as the configuration says */
    const char *name;          /* KEYS_AGREE: "" */
    const char *reason;        /* NULL: none */
    struct conf_issuer issuer; /* KEYS_ADD; files are as given */
    const char *tenants[KEYS_TENANTS_MAX];
    size_t tenant_count; /* 0: the only one that there is */
};

/* The commands' words by enum keys_act; ends with NULL. */
extern const char *const keys_words[];
/* Takes the command line apart; its texts are borrowed. Wrong usage and --help end the program. */
void keys_parse(int argc, char **argv, struct keys_order *ret);

/* Changes the issuers file's content as ordered. `conf` is the configuration with what the file
 * said before. TM_EDENIED and others: `error` says what is in the way. */
MUST_USE enum tm_err keys_change(const struct keys_order *order, const struct conf *conf,
                                 struct conf_managed *managed, char error[CONF_ERROR_MAX]);

/* What becomes of a change where officers agree on who signs for tenants. */
enum keys_agreement {
    KEYS_SAME,     /* no tenant's issuers change */
    KEYS_FREE,     /* it may be put in force: there are no officers with keys */
    KEYS_AGREED,   /* it may be put in force: two officers have signed */
    KEYS_PROPOSED, /* acts were proposed and printed: nothing is to be done before they are signed
                    */
};
/* Asks of every tenant whose issuers `after` changes (before NULL: of all), and proposes what takes
 * officers. TM_EDENIED: an act waits for signatures, or cannot be proposed. */
MUST_USE enum tm_err keys_agree(const struct keys_order *order, const struct conf *before,
                                const struct conf *after, const char *socket,
                                enum keys_agreement *ret_agreement, char error[CONF_ERROR_MAX]);

/* The same of how much the configuration lets the signer sign; *agreement goes on from what it was.
 */
MUST_USE enum tm_err keys_agree_ceilings(const struct keys_order *order, const struct conf *conf,
                                         const char *socket, enum keys_agreement *agreement,
                                         char error[CONF_ERROR_MAX]);

/* Asks touchmarkd; *ret_answer is the caller's. TM_EDENIED: it says no; TM_ECLOSED, TM_ETIMEOUT and
 * others: it does not answer. `error` says so. */
MUST_USE enum tm_err keys_ask(const char *socket, const struct ipc_admin_request *request,
                              json_t **ret_answer, char error[CONF_ERROR_MAX]);
/* Has touchmarkd take up its configuration, for this issuer and reason, and returns when it serves
 * with all keys that it needs. TM_EDENIED: it refuses, and goes on as before; TM_ETIMEOUT: it does
 * not serve. */
MUST_USE enum tm_err keys_reload(const char *socket, const char *issuer, const char *reason,
                                 char error[CONF_ERROR_MAX]);
/* Might this name be this key's (SHA-256 of its SubjectPublicKeyInfo in hex)? A name is one key's
 * for ever. TM_EEXISTS: it is another's. */
MUST_USE enum tm_err keys_name_free(const char *socket, const char *issuer, const char *spki_sha256,
                                    char error[CONF_ERROR_MAX]);
/* For a touchmarkd that does not serve, and so cannot be asked: tells it by a signal, and waits as
 * keys_reload does. */
MUST_USE enum tm_err keys_reload_by_signal(const struct conf *conf, const char *socket,
                                           char error[CONF_ERROR_MAX]);
/* Does the token hold the keys of this issuer? TM_EDENIED: it does not, or there is none. */
MUST_USE enum tm_err keys_shown(const char *socket, const char *issuer, char error[CONF_ERROR_MAX]);

#endif
