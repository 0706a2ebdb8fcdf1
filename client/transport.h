/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes between the device library and the server: an exchange that tm_device_step asks for and
 * the answer that tm_device_answer takes. The library opens no connection itself; a transport does,
 * for EST over HTTPS (client/port/curl.h) or anything that carries the same messages. A program may
 * also do the exchanges by its own means and needs no transport table then.
 */
#ifndef TOUCHMARK_CLIENT_TRANSPORT_H
#define TOUCHMARK_CLIENT_TRANSPORT_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

/* IEEE 802.1AR identities of the device, by use. */
enum tm_slot {
    TM_SLOT_NONE,     /* no certificate is shown */
    TM_SLOT_IDEVID,   /* the maker's, for life */
    TM_SLOT_CURRENT,  /* the LDevID in use */
    TM_SLOT_NEXT,     /* obtained, not proven yet */
    TM_SLOT_PREVIOUS, /* kept for a while after a change */
    TM_SLOT_COUNT
};

enum tm_operation {
    TM_OP_CACERTS,  /* RFC 7030, 4.1. Opens the connection: no earlier one is used */
    TM_OP_ENROLL,   /* 4.2.1 */
    TM_OP_REENROLL, /* 4.2.2 */
    TM_OP_PROBE,    /* is the certificate of `slot` accepted where it is to be used? */
};

struct tm_exchange {
    enum tm_operation operation;
    const char *label; /* EST label (RFC 7030, 3.2.2); "" = none. The library's until the answer */
    enum tm_slot slot; /* what to authenticate with in the TLS handshake */
    unsigned key_bank; /* of that slot; meaningless for TM_SLOT_NONE */
    unsigned chain_bank;
    unsigned request_bank; /* ENROLL, REENROLL: of the key that `body` asks a certificate for */
    unsigned anchors_bank; /* TM_ITEM_ANCHORS_0 + this: what the server must chain to */
    bool secret;           /* HTTP Basic with TM_ITEM_BOOTSTRAP as well */
    /* Only over the connection whose binding the CACERTS answer before it reported, because the
     * request is bound to it (RFC 7030, 3.5). When that connection is gone: TM_RESULT_NETWORK. */
    bool bound;
    struct bytes
        body; /* DER PKCS#10; the library's until the answer. Empty for CACERTS and PROBE */
};

enum tm_result {
    TM_RESULT_OK,        /* 200, and `body` is what was asked for */
    TM_RESULT_NETWORK,   /* no answer: no route, timeout, connection lost */
    TM_RESULT_UNTRUSTED, /* the server's certificate does not lead to an anchor */
    TM_RESULT_DENIED,  /* the credential was refused: 401, 403, a TLS alert about the certificate */
    TM_RESULT_LATER,   /* 202, 429, 5xx: the server wants to be asked again */
    TM_RESULT_REFUSED, /* any other status, or a body that is none: this request will not succeed */
};

#define TM_BINDING_MAX 64
#define TM_TEXT_MAX 160

struct tm_answer {
    enum tm_result result;
    struct bytes body; /* CACERTS, ENROLL, REENROLL: DER ContentInfo (certs-only). The transport's,
                          until its next exchange */
    /* Channel binding of the connection (RFC 9266 tls-exporter, or RFC 5929 tls-unique on TLS 1.2),
     * raw; 0 octets: none. Of CACERTS answers. */
    uint8_t binding[TM_BINDING_MAX];
    size_t binding_n;
    uint32_t retry_after_s; /* Retry-After; 0 = none */
    int64_t
        server_wall_ms; /* Date, ms since 1970; 0 = none. Counts only for an authenticated server */
    /* When the server wants this certificate renewed, ms since 1970; both 0 = it does not say. */
    int64_t renew_from_ms, renew_until_ms;
    char text[TM_TEXT_MAX]; /* the server's or the transport's sentence for people; "" = none */
};

/* A transport that works while its caller waits. Both fill the whole of *ret. */
struct tm_transport {
    uint32_t version; /* TM_TABLE_VERSION */
    void *self;
    void (*exchange)(void *self, const struct tm_exchange *exchange, struct tm_answer *ret);
};

#ifdef __cplusplus
}
#endif
#endif
