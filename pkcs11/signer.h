/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer: S threads that all receive tickets from one SOCK_SEQPACKET socket, check
 * each against the profile it names, sign on the token, and answer on the same socket. It
 * signs tickets, never bytes: the TBS is parsed again here and held against the profile
 * and issuer the signer was started with; of a PKIResponse (CMC) it makes the signed attributes
 * itself; a CRL, an OCSP answer and a filter's header are parsed whole, and numbers only rise. With
 * the TLS server's key it signs what a handshake needs, and requests for that key. With the audit
 * log's key it signs checkpoints, whose trees only grow. It
 * owns the PIN and the token and nothing else.
 *
 * When a signature takes longer than the watchdog allows, or the token fails, the
 * process is beyond repair (libp11): `dead` is called, and the process must exit so that
 * the supervisor starts another.
 */
#ifndef TOUCHMARK_PKCS11_SIGNER_H
#define TOUCHMARK_PKCS11_SIGNER_H

#include "ca/issuer.h"
#include "ca/profile.h"
#include "pkcs11/token.h"

struct hsm_signer;

struct hsm_signer_issuer {
    const struct ca_issuer *issuer; /* pinned certificate */
    const char *key_label;
    bool
        optional; /* its keys may be missing or wrong: then it signs nothing, and the log says so */
    bool elsewhere;             /* its keys are on another token and not looked for */
    const char *ocsp_key_label; /* of the key that signs its OCSP answers; NULL: none */
};

struct hsm_signer_config {
    struct hsm_token_config token;
    const struct hsm_signer_issuer *issuers;
    size_t issuer_count;
    const char *tls_key_label;        /* of the TLS server's key; NULL: it is not on this token */
    const char *checkpoint_key_label; /* of the audit log's key; NULL: it is not on this token */
    const char *checkpoint_origin;    /* of that log */
    const uint8_t *checkpoint_public; /* its pinned Ed25519 public key, 32 octets */
    const struct ca_profile *profiles;
    size_t profile_count;
    unsigned threads;
    int64_t watchdog_ms;
    uint64_t max_rate;     /* per second, 0 = none */
    uint64_t max_total;    /* 0 = none; failed signatures count too */
    bool refuse_softhsm;   /* production without consent to keys in files */
    bool *ret_pin_refused; /* set when hsm_signer_open fails by that; NULL: nobody asks */
    /* Called once from any thread; must not return. */
    void (*dead)(void *arg, const char *text);
    void *arg;
};

/* Opens the token, finds every issuer's key and compares it with the pinned certificate
 * (a wrong key is refused: TM_EDENIED, as is an OCSP or TLS key that is an issuer's). Starts no
 * thread. `pin` is wiped by the caller. What the config points to stays the caller's and must
 * outlive the signer. A module can hang here; only whoever started the process can help then. */
MUST_USE enum tm_err hsm_signer_open(const struct hsm_signer_config *config, const char *pin,
                                     struct hsm_signer **ret_signer, char text[HSM_TEXT_MAX]);
/* Serves a core over `socket` (taken over) until hsm_signer_link is called again or the
 * signer closes; first sends one ipc_key per key, the issuers' own last. Starts the threads at
 * first. Tickets of the old link that no thread has begun are dropped. TM_ECLOSED: this core is
 * gone already, the old link stays. */
MUST_USE enum tm_err hsm_signer_link(struct hsm_signer *signer, int socket);
/* Is no signature running longer than the watchdog? Call it every 100 ms or so; calls `dead` if one
 * is. */
void hsm_signer_watch(struct hsm_signer *signer);
/* Finishes the signatures under way, joins the threads, closes the token. NULL-safe. Calls `dead`
 * when a thread has not ended a second after the watchdog's time. */
void hsm_signer_close(struct hsm_signer *signer);

#endif
