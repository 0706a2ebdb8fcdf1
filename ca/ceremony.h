/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key ceremony: from one YAML file to CA keys on tokens, their certificates and a
 * transcript. Everything that can be found wrong is looked for before anything is made. The
 * transcript is also the journal: each entry is on disk before the step it announces, so
 * that a ceremony that was killed goes on where it stopped when it is run again, and knows
 * what is its own and what it must not touch.
 *
 * One token is open at a time: root and intermediates may live in different places.
 * Not thread-safe; for one process that does nothing else.
 */
#ifndef TOUCHMARK_CA_CEREMONY_H
#define TOUCHMARK_CA_CEREMONY_H

#include "base/bytes.h"
#include "conf/schema.h"

/* ---- the plan ---- */

struct ca_ceremony_token {
    char *name; /* for this file only */
    char *module;
    char *softhsm_conf; /* NULL: as the environment says */
    char *label;
    char *pin;    /* source as pkcs11/token.h reads it */
    char *so_pin; /* NULL: none; only for init */
    bool init;    /* the ceremony makes the token */
};

enum ca_ceremony_key {
    CA_CEREMONY_P256,
    CA_CEREMONY_P384,
    CA_CEREMONY_RSA3072,
    CA_CEREMONY_ED25519
};

struct ca_ceremony_attribute {
    char *type; /* as ca/attribute.h names them */
    char *value;
};

/* What a CA is for. Each that is said stands in its subject, as "OU=Product NAME" and so on, and so
 * in every certificate that it signs: who sees one knows where it may turn up. (Name constraints of
 * RFC 5280, 4.2.1.10 could not say it: they bound the names of devices, not their makers.) */
struct ca_ceremony_scope {
    char *product; /* NULL: not said */
    char *factory;
    uint64_t year; /* 0: not said */
};

struct ca_ceremony_ca {
    char *name;  /* of its files */
    char *token; /* name of a ca_ceremony_token */
    char *key_label;
    unsigned key_type;        /* enum ca_ceremony_key */
    struct conf_list subject; /* struct ca_ceremony_attribute; environment and scope are added; of a
                                 root that follows another, none: that one's */
    uint64_t years;           /* 0: not_after is set */
    int64_t not_after;        /* wall ms; 0: years is set */
    uint64_t path_len;
    char *certificate;    /* root only: of a root that exists already; NULL: it is made here */
    char *ocsp_key_label; /* intermediates only: a key of the same type is made beside its own,
                             which signs its OCSP answers; NULL: none */
    char *tls_key_label;  /* intermediates only: likewise, for the TLS server; NULL: none */
    struct ca_ceremony_scope scope; /* intermediates only */
};

/* The root that a new one follows: it signs the new one's key, and the new one its key. */
struct ca_ceremony_previous {
    char *token;
    char *key_label;
    char *certificate; /* NULL: there is none */
};

struct ca_ceremony {
    unsigned environment; /* enum conf_environment */
    bool softhsm_in_prod;
    char *transcript;
    char *out;                  /* folder of the certificates */
    struct conf_list tokens;    /* struct ca_ceremony_token */
    struct ca_ceremony_ca root; /* signs itself and the intermediates */
    struct ca_ceremony_previous previous_root;
    struct conf_list intermediates; /* struct ca_ceremony_ca */
    char input_sha256[65];          /* of the file, hex */
};

extern const struct conf_row ca_ceremony_rows[];

/* Loads the file and checks all that needs no token. `error` as in conf_load_file. */
MUST_USE enum tm_err ca_ceremony_load(const char *path, struct ca_ceremony *ret_plan,
                                      char error[CONF_ERROR_MAX]);
void ca_ceremony_free(struct ca_ceremony *plan);

/* ---- what it needs of tokens ---- */

#define CA_KEYSTORE_TEXT_MAX 256

struct ca_keystore_info {
    char library[48];
    char manufacturer[33];
    char model[17];
    char serial[17];
};

struct ca_keystore_key {
    enum ca_ceremony_key type;
    struct bytes spki; /* whole; valid until the token is closed */
    bool sensitive, always_sensitive, extractable, never_extractable, local;
};

struct ca_keystore;

/* Every function says in `text` what is wrong when it fails, never a PIN. */
struct ca_keystore_ops {
    /* Gets the PINs of a token, so that nothing has to be asked once keys are made. */
    enum tm_err (*prepare)(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                           char text[CA_KEYSTORE_TEXT_MAX]);
    /* Is there such a token, and are the module's keys mere files? */
    enum tm_err (*look)(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                        bool *ret_exists, bool *ret_softhsm, char text[CA_KEYSTORE_TEXT_MAX]);
    enum tm_err (*init)(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                        char text[CA_KEYSTORE_TEXT_MAX]);
    /* Opens a token; the functions below work on it until it is closed. */
    enum tm_err (*open)(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                        struct ca_keystore_info *ret_info, char text[CA_KEYSTORE_TEXT_MAX]);
    void (*close)(struct ca_keystore *keystore); /* also when none is open */
    enum tm_err (*label_used)(struct ca_keystore *keystore, const char *label, bool *ret_used,
                              char text[CA_KEYSTORE_TEXT_MAX]);
    enum tm_err (*generate)(struct ca_keystore *keystore, enum ca_ceremony_key type,
                            const char *label, char text[CA_KEYSTORE_TEXT_MAX]);
    /* Is what has the label only half a key, as an interrupted `generate` leaves it? */
    enum tm_err (*torn)(struct ca_keystore *keystore, const char *label, bool *ret_torn,
                        char text[CA_KEYSTORE_TEXT_MAX]);
    /* Destroys that half; refuses anything else. */
    enum tm_err (*remove_torn)(struct ca_keystore *keystore, const char *label,
                               char text[CA_KEYSTORE_TEXT_MAX]);
    enum tm_err (*find)(struct ca_keystore *keystore, const char *label,
                        struct ca_keystore_key *ret_key, char text[CA_KEYSTORE_TEXT_MAX]);
    /* As a certificate signature; appended to out. */
    enum tm_err (*sign)(struct ca_keystore *keystore, const char *label, struct bytes tbs,
                        struct buf *out, char text[CA_KEYSTORE_TEXT_MAX]);
};

struct ca_keystore {
    const struct ca_keystore_ops *ops;
};

/* ---- the ceremony ---- */

/* Who holds it, for the transcript; and somebody who is told each step as one line. */
struct ca_ceremony_host {
    const char *host;
    const char *user;
    const char *program;
    const char *input; /* path of the YAML file */
    void (*step)(void *arg, const char *line);
    void *arg;
};

/* Runs the plan, or goes on with it. Writes to plan->out: NAME.pem of every CA it makes, for every
 * intermediate NAME-chain.pem, the certificates above it with the root last, and of a root that
 * follows another NAME-old-with-new.pem and NAME-new-with-old.pem (RFC 4210, 4.4). What is wrong
 * goes to `error`. TM_EEXISTS: a token, label, file or finished transcript is in the way;
 * TM_EDENIED: policy, or a wrong PIN; TM_ETOKEN, TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err ca_ceremony_run(const struct ca_ceremony *plan, struct ca_keystore *keystore,
                                     const struct ca_ceremony_host *host,
                                     char error[CONF_ERROR_MAX]);

/* Looks at what the plan needs besides tokens: that nothing is in the way of its files, that roots
 * which exist are good, that validities fit. ca_ceremony_run does it too. */
MUST_USE enum tm_err ca_ceremony_look(const struct ca_ceremony *plan, char error[CONF_ERROR_MAX]);

#endif
