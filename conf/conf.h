/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touchmark.yaml: the configuration of touchmarkd, as one struct and one option
 * table (conf/options.c). The supervisor loads it; each role takes its own section
 * into small structs of its own. It holds no secret, only where secrets are. A text or
 * path that was left out or is "" is NULL; every other pointer is set.
 */
#ifndef TOUCHMARK_CONF_CONF_H
#define TOUCHMARK_CONF_CONF_H

#include "conf/schema.h"

enum conf_environment { CONF_ENV_DEV, CONF_ENV_TEST, CONF_ENV_PROD };
enum conf_log_format { CONF_LOG_JSON, CONF_LOG_TEXT };
/* Must a tenant's devices be of one of the products? */
enum conf_products { CONF_PRODUCTS_ANY, CONF_PRODUCTS_REQUIRED };
enum conf_log_level { CONF_LOG_ERROR, CONF_LOG_WARN, CONF_LOG_INFO, CONF_LOG_DEBUG };

struct conf_listen {
    char *address;             /* "127.0.0.1", "::", ... */
    uint64_t port;             /* 0: the kernel picks, see ready_file */
    uint64_t workers;          /* front processes; 0 = one per core */
    uint64_t max_connections;  /* per worker */
    uint64_t max_body;         /* octets of a request body (base64 text) */
    int64_t handshake_timeout; /* ms, absolute */
    int64_t header_timeout;
    int64_t body_timeout;
    int64_t idle_timeout;   /* between requests of a kept connection */
    int64_t reply_timeout;  /* for the core's answer, then 503 */
    uint64_t session_cache; /* sessions per worker */
    int64_t session_lifetime;
};

struct conf_tls {
    char *certificate;         /* PEM: leaf, then chain */
    char *key;                 /* PEM; not used with key_label */
    char *key_label;           /* CKA_LABEL of the key on a token; NULL: it is in `key` */
    char *token;               /* name of that conf_signer; NULL: the section `signer` */
    bool self_issue;           /* touchmarkd obtains and renews both from its own CA */
    struct conf_strings names; /* DNS names and IP addresses of the server, for self_issue */
    char *profile;             /* for self_issue */
    char *tenant;              /* whose CA signs it, for self_issue; set if that is on */
    char *groups;              /* OpenSSL group list */
};

/* A token, and the signer process that owns it: the section `signer`, or one of `tokens`. */
struct conf_signer {
    char *name;         /* as issuers and commands call it */
    char *module;       /* PKCS#11 module (.so) */
    char *token;        /* token label */
    char *pin_file;     /* file that holds the user PIN, or "credential:NAME" for systemd's, or
                           "fd:N", or "prompt" */
    uint64_t threads;   /* signer threads = sessions under way */
    int64_t watchdog;   /* ms one C_Sign may take */
    uint64_t max_rate;  /* signatures per second, 0 = no ceiling */
    uint64_t max_total; /* signatures per start of the signer, 0 = no ceiling */
    bool network;       /* the module talks to a network HSM: let it open sockets */
    char *softhsm_conf; /* SOFTHSM2_CONF for the module, NULL = as in the environment */
    char *standby_for;  /* name of the token whose keys this one holds, too; NULL: none */
};

/* Where an issuer's certificates are signed: here, by a key on the token; or by another EST CA, of
 * which this server is a registration authority (RFC 7030, 1). */
enum conf_issuer_kind { CONF_ISSUER_TOKEN, CONF_ISSUER_EST };

/* What the certificates of an upstream CA may be called: as the profile says, or as it names them,
 * if request or profile have that name too. */
enum conf_upstream_names { CONF_UPSTREAM_PROFILE, CONF_UPSTREAM_REQUEST };

/* The other EST CA. */
struct conf_upstream {
    char *url;           /* its EST paths without the operation (conf_est_url_parse); NULL: token */
    char *anchors;       /* PEM: CAs of its TLS certificate */
    char *certificate;   /* PEM: our client certificate, then chain; NULL = none */
    char *key;           /* PEM */
    char *user;          /* HTTP Basic; NULL = none */
    char *password_file; /* or "credential:NAME" */
    unsigned names;      /* enum conf_upstream_names */
    int64_t timeout;     /* ms for one request, connecting included */
    uint64_t connections;
};

struct conf_issuer {
    char *name;
    unsigned kind;        /* enum conf_issuer_kind */
    char *token;          /* name of a conf_signer; NULL: the section `signer` */
    char *key_label;      /* CKA_LABEL on the token; NULL: its key is not here */
    char *certificate;    /* PEM of the issuing CA: pinned */
    char *chain;          /* PEM: certificates above it, the root last; NULL: it is a root */
    char *ocsp_key_label; /* CKA_LABEL of the key that signs its OCSP answers; NULL: no OCSP */
    uint64_t crl_shards;  /* 0: no shards; never changes once certificates were issued */
    char *old_with_new;   /* PEM: rollover certificates of its root (RFC 4210, 4.4); NULL: none */
    char *new_with_old;
    bool retired; /* by the issuers file: it signs what says which certificates are good, and is in
                     no tenant's cacerts */
    struct conf_upstream upstream; /* kind EST */
};

struct conf_tenant {
    char *name;
    char *issuer;             /* name of a conf_issuer: signs for it */
    struct conf_strings also; /* names of others that are in its cacerts, too */
    char *
        client_anchors; /* PEM of foreign CAs whose device certificates are accepted, NULL = none */
    bool register_unknown; /* a device under a foreign anchor is registered on first contact */
    unsigned products;     /* enum conf_products */
    struct conf_strings registration_authorities; /* device IDs whose certificates for id-kp-cmcRA
                                                     ask for other devices */
};

struct conf_label {
    char *label;
    char *tenant;
    char *profile;   /* name of a file in profiles_dir, without .yaml */
    bool is_default; /* also serves paths without a label */
};

struct conf_core {
    char *store;       /* folder of the LMDB environment */
    uint64_t map_size; /* initial, grows by itself */
    uint64_t max_map_size;
    uint64_t queue;               /* requests under way at once, more get 503 */
    int64_t request_timeout;      /* waiting for the signer, then 503 */
    uint64_t refusals_per_second; /* refusal leaves written one by one; above it they are counted */
    char *admin_socket;
    int64_t shift;       /* how long an operator stays logged in at a station */
    char *wrap_key;      /* file with the key that seals MAC keys of one-time secrets; NULL: none */
    char *proof_profile; /* of certificates that prove to a cloud whose a CA is; NULL: none */
};

/* What says which certificates are good, over plain HTTP. */
struct conf_status {
    char *url; /* "http://status.example.com", as devices see it; NULL: no listener */
    char *address;
    uint64_t port; /* 0: the kernel picks, see ready_file */
    char *dir;     /* where what is published lies, too */
    uint64_t max_connections;
    int64_t crl_refresh;      /* ms from one CRL to the next */
    int64_t crl_lifetime;     /* ms until its nextUpdate */
    int64_t crl_delay;        /* ms from a revocation to the CRL that names it */
    char *ocsp_profile;       /* of the certificates of OCSP keys */
    int64_t ocsp_lifetime;    /* ms until an answer's nextUpdate */
    uint64_t ocsp_per_second; /* answers that are signed at most */
    int64_t filter_delay;     /* ms from a revocation to the filter that names it */
    int64_t filter_refresh;   /* 0: no filters */
};

/* What the processes have counted, over plain HTTP. */
struct conf_metrics {
    bool enabled;
    char *address;
    uint64_t port; /* 0: the kernel picks, see ready_file */
};

#define CONF_ORIGIN_MAX 128 /* octets of a log's name */
#define CONF_VKEY_MAX 191

/* Who cosigns checkpoints. */
struct conf_witness {
    char *key; /* verifier key, "NAME+ID+BASE64" (c2sp.org/signed-note) */
    char *url; /* submission prefix; NULL: it is not asked from here */
};

/* Signed checkpoints of the audit log. */
struct conf_audit {
    char *origin;     /* the log's name; NULL: no checkpoints */
    char *token;      /* name of a conf_signer, which holds no other key */
    char *key_label;  /* CKA_LABEL of the Ed25519 key on it */
    char *public_key; /* PEM of its public half: pinned */
    int64_t interval; /* ms from one checkpoint to the next, when the log grew */
    char *seen;       /* file with the newest checkpoint that was taken out of here; NULL: none */
    struct conf_list witnesses; /* struct conf_witness */
};

enum conf_officer_role { CONF_ROLE_AUDITOR, CONF_ROLE_OPERATOR, CONF_ROLE_OFFICER };

/* Somebody who may use the administration socket. */
struct conf_officer {
    char *name;
    char *user;    /* system user */
    unsigned role; /* enum conf_officer_role */
    char *key;     /* PEM: public key of the signatures on acts; NULL: signs none */
};

#define CONF_BROKER_MAX 280
#define CONF_MQTT_ID_MAX 64 /* octets of a Sparkplug ID */

/* The MQTT bridge. */
struct conf_mqtt {
    char *broker; /* NULL = no bridge */
    char *client_id;
    char *user;
    char *password_file; /* or "credential:NAME"; NULL = none */
    char *anchors;       /* PEM: CAs of the broker */
    char *certificate;   /* PEM: the bridge's own, then chain; NULL = none */
    char *key;           /* PEM */
    char *name;          /* in the broker's certificate; NULL = the broker's host */
    bool sparkplug;
    char *host_id;
    struct conf_strings groups; /* none = all */
    bool plain;
    char *prefix;
    bool events;
    uint64_t queue;     /* requests at the core at once */
    uint64_t max_nodes; /* edge nodes and devices that are remembered */
    uint64_t births_per_second;
    int64_t retransmit; /* ms */
    int64_t retransmit_max;
    int64_t keepalive;
};

struct conf_process {
    char *user;            /* roles change to it when started as root; NULL = stay */
    char *run_dir;         /* pid and ready files */
    bool sandbox;          /* seccomp filters */
    int64_t drain_timeout; /* ms a stopping front may take for what is under way */
    unsigned log_level;
    unsigned log_format; /* enum conf_log_format */
};

struct conf {
    unsigned environment; /* enum conf_environment */
    bool softhsm_in_prod; /* explicit consent, audited */
    char *profiles_dir;
    char *products_dir; /* NULL: there are no products */
    struct conf_process process;
    struct conf_listen listen;
    struct conf_tls tls;
    struct conf_signer signer;
    struct conf_list tokens; /* struct conf_signer, besides it */
    struct conf_core core;
    struct conf_mqtt mqtt;
    struct conf_status status;
    struct conf_metrics metrics;
    struct conf_audit audit;
    struct conf_list officers; /* struct conf_officer; none: who reaches the socket may do all that
                                  needs no signatures */
    char *issuers_file;        /* what `touchmark keys` writes (conf/managed.h); NULL: none */
    struct conf_list issuers;  /* struct conf_issuer */
    struct conf_list tenants;  /* struct conf_tenant */
    struct conf_list labels;   /* struct conf_label */
};

/* CONF_DEFAULT_FILE, a string from the build, is where touchmark.yaml lies if nobody says. */

extern const struct conf_row conf_rows[];

/* Tokens by position: 0 is the section `signer`, those of `tokens` follow. */
#define CONF_TOKENS_MAX 16
size_t conf_token_count(const struct conf *conf);
const struct conf_signer *conf_token(const struct conf *conf, size_t index);
/* The position of the token of this name (NULL: 0); the count: there is none. */
size_t conf_token_named(const struct conf *conf, const char *name);
/* The token that stands by for it; itself: none does. */
size_t conf_token_standby(const struct conf *conf, size_t index);
/* The token that it stands by for; itself: it is no standby. */
size_t conf_token_primary(const struct conf *conf, size_t index);
/* The N of "fd:N" for its PIN; -1: it comes from elsewhere. Only signers may read it. */
int conf_pin_fd(const struct conf_signer *token);
bool conf_pin_prompts(const struct conf_signer *token);
/* Has an issuer, the TLS server or the audit log its keys there? If not, nobody needs its signer.
 */
bool conf_token_used(const struct conf *conf, size_t index);

/* The word for conf.environment: "dev", "test" or "prod". */
const char *conf_environment_name(const struct conf *conf);

/* conf_mqtt.broker in its parts. */
struct conf_broker {
    bool tls;
    char host[CONF_BROKER_MAX + 1]; /* a name or an address, without brackets */
    unsigned port;
};
/* TM_EPARSE: neither mqtt://HOST[:PORT] nor mqtts://HOST[:PORT]. The host itself is not judged. */
MUST_USE enum tm_err conf_broker_parse(const char *text, struct conf_broker *ret);

#define CONF_STATUS_URL_MAX 200

/* conf_status.url in its parts. */
struct conf_status_url {
    char host[CONF_STATUS_URL_MAX + 1]; /* a name or an address, without brackets */
    unsigned port;
    char path[CONF_STATUS_URL_MAX + 1]; /* "" or "/a/b" */
};
/* TM_EPARSE: not http://HOST[:PORT][/PATH], the path without a slash at its end. The host itself is
 * not judged. */
MUST_USE enum tm_err conf_status_url_parse(const char *text, struct conf_status_url *ret);

#define CONF_EST_URL_MAX 400

/* conf_upstream.url in its parts. */
struct conf_est_url {
    char host[CONF_EST_URL_MAX + 1]; /* a name or an address, without brackets */
    unsigned port;
    char path[CONF_EST_URL_MAX + 1]; /* "/.well-known/est" or "/.well-known/est/LABEL" */
};
/* TM_EPARSE: not https://HOST[:PORT]/.well-known/est[/LABEL] (RFC 7030, 3.2.2). The host itself is
 * not judged. */
MUST_USE enum tm_err conf_est_url_parse(const char *text, struct conf_est_url *ret);

/* Borrowed from conf, and changed only while it is being loaded. NULL: there is none. */
struct conf_issuer *conf_issuer_named(const struct conf *conf, const char *name);
struct conf_tenant *conf_tenant_named(const struct conf *conf, const char *name);

/* Is any issuer of this kind? */
bool conf_has_issuer_of(const struct conf *conf, enum conf_issuer_kind kind);

/* Loads and cross-checks, without the issuers file (names refer to something, one default label at
 * most, no label named like an operation, limits that fit together). As conf_load_text. */
MUST_USE enum tm_err conf_open(const char *text, size_t n, const char *path, struct conf *ret_conf,
                               char error[CONF_ERROR_MAX]);
/* The same from a file, and what the issuers file says; TM_EIO when one cannot be read. */
MUST_USE enum tm_err conf_open_file(const char *path, struct conf *ret_conf,
                                    char error[CONF_ERROR_MAX]);
void conf_close(struct conf *conf);

#endif
