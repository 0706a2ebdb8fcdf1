/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upstream role: asks other CAs over EST (RFC 7030, 4.2.1) for certificates, as registration
 * authority. It holds the keys and passwords by which they know us, and the connections; it decides
 * nothing, and what it hands to the core is believed there only as far as it verifies.
 *
 *   role_upstream.c  the role's life, and its link to the core
 *   files.c          what the configuration names, read before the sandbox
 *   ca.c             one CA: requests and answers by libcurl
 *   sockets.c        libcurl's sockets and timer on the loop
 *   answer.c         what an HTTP answer means
 *
 * libcurl is used by its multi interface on the role's loop: requests of one CA share up to
 * upstream.connections kept connections, the others wait their turn within their time. One thread.
 */
#ifndef TOUCHMARK_SERVER_UPSTREAM_UPSTREAM_H
#define TOUCHMARK_SERVER_UPSTREAM_UPSTREAM_H

#include <curl/curl.h>

#include "base/loop.h"
#include "conf/conf.h"
#include "ipc/messages.h"
#include "pkcs11/token.h"

#define UPSTREAM_BODY_MAX 32768 /* octets of an answer: base64 of a certificate and its chain */

/* ---- files.c ---- */

struct upstream_files {
    struct bytes anchors, certificate, key; /* PEM text, owned; empty: not named */
    char password[HSM_PIN_MAX];             /* "" = none */
};

/* Reads what an issuer of the kind est names, and holds it against each other: the anchors are
 * certificates, the key is the certificate's. Logs; upstream_files_wipe has to be called in any
 * case. password: as bridge_files_read. TM_EIO, TM_EDENIED, TM_EPARSE, TM_ENOMEM. */
MUST_USE enum tm_err upstream_files_read(const struct conf_issuer *issuer, bool password,
                                         struct upstream_files *ret);
void upstream_files_wipe(struct upstream_files *files);

/* ---- sockets.c ---- */

struct upstream_sockets {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    void (*moved)(void *arg); /* something may have ended */
    void *arg;
};

/* connections: at once to one host, and as many are kept. TM_ENOMEM. */
MUST_USE enum tm_err upstream_sockets_open(struct upstream_sockets *sockets, struct loop *loop,
                                           long connections, void (*moved)(void *arg), void *arg);
/* After all transfers were taken out. */
void upstream_sockets_close(struct upstream_sockets *sockets);

/* ---- ca.c ---- */

struct upstream_ca;
/* Every ask is answered once, never from inside upstream_ca_ask; message borrows. */
typedef void upstream_answer_fn(void *arg, const struct ipc_upstream_answer *answer);
/* conf and files must outlive it. TM_ENOMEM, TM_EPARSE. */
MUST_USE enum tm_err upstream_ca_new(struct loop *loop, const struct conf_issuer *conf,
                                     const struct upstream_files *files, upstream_answer_fn *answer,
                                     void *arg, struct upstream_ca **ret_ca);
void upstream_ca_free(struct upstream_ca *ca); /* NULL-safe; what is under way is dropped */
/* TM_ENOMEM, TM_ELIMIT; nothing was sent then. */
MUST_USE enum tm_err upstream_ca_ask(struct upstream_ca *ca, const struct ipc_upstream_ask *ask);
/* Requests under way. */
size_t upstream_ca_active(const struct upstream_ca *ca);
/* Their answers, if any come, are of no use to anybody: the core that asked is gone. */
void upstream_ca_forget(struct upstream_ca *ca);

/* ---- answer.c ---- */

/* A transfer that ended. */
struct upstream_end {
    CURL *easy;
    CURLcode code;
    const char *error; /* libcurl's sentence, "" = none */
    bool sent;         /* the request, or part of it, went out */
    bool overflow;     /* the body is longer than UPSTREAM_BODY_MAX */
    struct bytes body;
    struct bytes csr; /* that was asked with */
};

/* Fills all but the ID. room: for the decoded body; the certificate borrows it. */
void upstream_answer_read(const struct upstream_end *end, struct buf *room,
                          struct ipc_upstream_answer *ret);

#endif
