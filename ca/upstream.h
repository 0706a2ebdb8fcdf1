/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Issuers whose certificates another CA signs (requirement A9): policy, registry and audit are
 * here, the signature is there. What the CA needs of such an upstream is one question, a PKCS#10
 * request in and a certificate out. The interface is the CA's; in touchmarkd it is the link to the
 * upstream process (server/core/upstream_link.c), which speaks EST (RFC 7030) with the other CA.
 *
 * A certificate made elsewhere has a serial number made elsewhere. Records stay keyed by our own
 * serials, whose times order them: the intent's becomes the record's number, and CA_TABLE_FOREIGN
 * leads from the certificate to it.
 */
#ifndef TOUCHMARK_CA_UPSTREAM_H
#define TOUCHMARK_CA_UPSTREAM_H

#include "ca/types.h"

struct ca_upstream;

/* What came of a question. Pointers are valid during the call. */
struct ca_asked {
    enum ipc_upstream_status status;
    uint32_t retry_after_s; /* 0: not said */
    const char *text;       /* printable ASCII */
    struct bytes certificate;
};

/* The caller keeps it until `done`. */
struct ca_ask {
    uint64_t request; /* ID of the request that it is for: logs */
    const char *issuer;
    struct bytes csr; /* DER; at most IPC_UPSTREAM_CSR_MAX octets */
    /* Called once, never from inside `ask`. */
    void (*done)(struct ca_ask *ask, const struct ca_asked *answer);
    void *arg;
    uint64_t id;         /* the upstream's own */
    int64_t deadline_ms; /* likewise */
    struct ca_ask *next; /* likewise */
};

struct ca_upstream_ops {
    /* May this issuer's CA be asked now? False: it did not answer lately, or nobody is there to ask
     * it. Then no intent is made. True may hold for one question only. */
    bool (*ready)(struct ca_upstream *upstream, const char *issuer);
    /* TM_EFULL: too many are waiting; TM_ECLOSED: nobody is there to ask it; TM_ELIMIT. Nothing was
     * sent then. */
    enum tm_err (*ask)(struct ca_upstream *upstream, struct ca_ask *ask);
};

struct ca_upstream {
    const struct ca_upstream_ops *ops;
};

#endif
