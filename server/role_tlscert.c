/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tlscert role: if the server's TLS certificate is missing, wrong or due, a new one from
 * our own CA, through the same core and records as any device's (origin local). It ends with 0 when
 * the certificate is in place.
 */
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/core/core.h"
#include "server/role.h"
#include "server/tlscert/tlscert.h"

#define TRIES_MAX 60
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 5000
#define GIVE_UP_MS 60000 /* in all */

struct tlscert {
    struct role *role;
    struct core_setup setup;
    const struct ca_tenant *tenant;
    enum tlscert_state state;
    enum { ASK_KEY, ASK_SIGNATURE, ASK_CERTIFICATE } step; /* the first two: a key on a token */
    EVP_PKEY *key;                                         /* or the public one of the token's */
    uint8_t info_room[IPC_TLS_MAX];
    struct buf info;
    struct tlscert_output *output;
    uint8_t csr_room[IPC_CSR_MAX];
    struct buf csr;
    uint64_t id;
    unsigned tries;
    struct ipc_link *core;
    struct loop_timer again, give_up;
};

/* What the fronts can do decides: with a certificate that still serves they need not wait. */
static void fail(struct tlscert *t, int exit_code) {
    role_fail(t->role, t->state != TLSCERT_UNUSABLE ? ROLE_EXIT_SERVES : exit_code);
}

static enum tm_err ask_token(struct tlscert *t, enum ipc_tls_kind kind, struct bytes content) {
    const struct ipc_tls_ask question = {
        .id = t->id + t->step, .kind = (uint8_t)kind, .content = content};
    return ipc_link_send(t->core, &ipc_tls_ask_schema, &question);
}

static enum tm_err ask_certificate(struct tlscert *t) {
    const struct ipc_enroll enroll = {.id = t->id,
                                      .operation = IPC_OP_ENROLL,
                                      .origin = IPC_ORIGIN_LOCAL,
                                      .remote = "local",
                                      .csr = buf_bytes(&t->csr)};
    return ipc_link_send(t->core, &ipc_enroll_schema, &enroll);
}

static void ask(struct tlscert *t) {
    enum tm_err err = t->step == ASK_KEY ? ask_token(t, IPC_TLS_KEY, (struct bytes){0})
                      : t->step == ASK_SIGNATURE
                          ? ask_token(t, IPC_TLS_REQUEST, buf_bytes(&t->info))
                          : ask_certificate(t);
    if (err && err != TM_ECLOSED) { /* closed: another link comes with the next core */
        log_error("the core cannot be asked: %s", tm_err_name(err));
        fail(t, ROLE_EXIT_FAILED);
    }
}

static void ask_again(void *arg) {
    struct tlscert *t = arg;
    if (t->core)
        ask(t);
}

static void give_up(void *arg) {
    log_error("no server certificate within %d s", GIVE_UP_MS / 1000);
    fail(arg, ROLE_EXIT_FAILED);
}

static void retry_later(struct tlscert *t, uint32_t retry_after_s) {
    int64_t delay = (int64_t)retry_after_s * 1000;
    if (delay < RETRY_MIN_MS)
        delay = RETRY_MIN_MS;
    if (delay > RETRY_MAX_MS)
        delay = RETRY_MAX_MS;
    if (++t->tries >= TRIES_MAX ||
        loop_timer_set(t->role->loop, &t->again, clock_mono_ms() + delay))
        give_up(t);
}

/* The tenant with the issuer that signed. The core follows what officers agreed on, which may be
 * another than the one of the configuration; its own chain goes with it. False: none did. */
static bool signed_by(const struct tlscert *t, const struct pki_cert *cert, struct ca_tenant *ret) {
    *ret = *t->tenant;
    if (!ca_issuer_verify(ret->issuer, cert->tbs, cert->signature))
        return true;
    ret->rollover = (struct bytes){0};
    for (size_t i = 0; i < t->setup.issuer_count; i++) {
        ret->issuer = &t->setup.issuers[i];
        if (!ca_issuer_verify(ret->issuer, cert->tbs, cert->signature))
            return true;
    }
    return false;
}

static void accept_certificate(struct tlscert *t, struct bytes der) {
    struct ca_tenant tenant;
    struct pki_cert cert;
    unsigned char *spki = NULL;
    int n = i2d_PUBKEY(t->key, &spki);
    bool ours = n > 0 && pki_cert_parse(der, &cert) == TM_OK &&
                bytes_equal(cert.spki.whole, (struct bytes){spki, (size_t)n});
    OPENSSL_free(spki);
    if (!ours)
        log_error("the core answered with a certificate of another key");
    else if (!signed_by(t, &cert, &tenant))
        log_error("the core answered with a certificate of no configured issuer");
    else if (!tlscert_output_finish(t->output, der, &tenant)) {
        log_info("the server has a new certificate");
        role_exit(t->role);
        return;
    }
    fail(t, ROLE_EXIT_FAILED);
}

static void answered(struct tlscert *t, const struct ipc_reply *reply) {
    switch ((enum ipc_outcome)reply->outcome) {
    case IPC_ISSUED:
    case IPC_REPEATED:
        accept_certificate(t, reply->certificate);
        return;
    case IPC_PENDING:
    case IPC_BUSY:
    case IPC_UNAVAILABLE:
        retry_later(t, reply->retry_after_s);
        return;
    default:
        log_line(LOG_LEVEL_ERROR, t->id, "the server's own certificate is refused (%s): %s",
                 ipc_outcome_name((enum ipc_outcome)reply->outcome), reply->text);
        fail(t, ROLE_EXIT_CONFIG);
    }
}

static enum tm_err take_key(struct tlscert *t, struct bytes spki) {
    const struct conf_tls *tls = &t->role->conf->tls;
    const char *reason;
    const unsigned char *at = spki.p;
    t->state = tlscert_check(tls, t->tenant->issuer, spki, clock_wall_ms(), &reason);
    if (t->state == TLSCERT_CURRENT) {
        role_exit(t->role);
        return TM_OK;
    }
    log_info("the server needs a new certificate: %s", reason);
    t->key = d2i_PUBKEY(NULL, &at, (long)spki.n);
    enum tm_err err = t->key ? tlscert_make_info(t->key, &tls->names, &t->info) : TM_ECRYPTO;
    t->step = ASK_SIGNATURE;
    if (!err)
        ask(t);
    return err;
}

static enum tm_err take_signature(struct tlscert *t, struct bytes signature) {
    enum tm_err err = tlscert_join_csr(t->key, buf_bytes(&t->info), signature, &t->csr);
    t->step = ASK_CERTIFICATE;
    if (!err)
        ask(t);
    return err;
}

/* The signer may not be there yet. */
static void token_answered(struct tlscert *t, const struct ipc_tls_answer *answer) {
    if (!answer->good) {
        retry_later(t, 0);
        return;
    }
    enum tm_err err =
        t->step == ASK_KEY ? take_key(t, answer->octets) : take_signature(t, answer->octets);
    if (err) {
        log_error("no request for the server certificate: %s", tm_err_name(err));
        fail(t, ROLE_EXIT_FAILED);
    }
}

static void core_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct tlscert *t = arg;
    struct ipc_reply reply;
    struct ipc_tls_answer answer;
    (void)link;
    if (fd >= 0)
        (void)close(fd);
    if (codec_decode(&ipc_reply_schema, message, &reply) == TM_OK && reply.id == t->id)
        answered(t, &reply);
    else if (t->step != ASK_CERTIFICATE &&
             codec_decode(&ipc_tls_answer_schema, message, &answer) == TM_OK &&
             answer.id == t->id + t->step)
        token_answered(t, &answer);
}

static void core_closed(void *arg, struct ipc_link *link) {
    struct tlscert *t = arg;
    ipc_link_close(link);
    t->core = NULL;
}

static const struct ipc_link_events core_events = {core_message, core_closed};

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct tlscert *t = role->self;
    (void)peer_index;
    if (peer != IPC_ROLE_CORE) {
        (void)close(fd);
        return;
    }
    ipc_link_close(t->core);
    t->core = NULL;
    if (ipc_link_open(role->loop, fd, 1, &core_events, t, &t->core))
        fail(t, ROLE_EXIT_FAILED);
    else
        ask(t);
}

/* Nothing here is worth waiting for: the next run starts over. */
static void drain(struct role *role) {
    fail(role->self, ROLE_EXIT_FAILED);
}

static enum tm_err make_own_request(struct tlscert *t) {
    enum tm_err err = tlscert_make_key(&t->key);
    if (!err)
        err = tlscert_output_key(t->output, t->key);
    return err ? err : tlscert_make_csr(t->key, &t->role->conf->tls.names, &t->csr);
}

static enum tm_err make_request(struct tlscert *t) {
    const struct conf *conf = t->role->conf;
    enum tm_err err = tlscert_output_prepare(&conf->tls, conf->process.user);
    if (!err)
        err = role_drop(t->role);
    if (!err)
        err = tlscert_output_open(&conf->tls, &t->output);
    if (!err && t->step == ASK_CERTIFICATE)
        err = make_own_request(t);
    if (!err && RAND_bytes((unsigned char *)&t->id, sizeof t->id) != 1)
        err = TM_ECRYPTO;
    return err;
}

static enum tm_err begin(struct tlscert *t) {
    const char *reason;
    enum tm_err err = core_setup_load(t->role->conf, &t->setup);
    if (err || !t->setup.has_server)
        return err ? err : TM_EINVAL;
    t->tenant = t->setup.server.tenant;
    t->step = t->role->conf->tls.key_label ? ASK_KEY : ASK_CERTIFICATE;
    t->state = tlscert_check(&t->role->conf->tls, t->tenant->issuer, (struct bytes){0},
                             clock_wall_ms(), &reason);
    if (t->state == TLSCERT_CURRENT && t->step == ASK_CERTIFICATE) {
        role_exit(t->role);
        return TM_OK;
    }
    if (t->step == ASK_CERTIFICATE)
        log_info("the server needs a new certificate: %s", reason);
    err = make_request(t);
    if (!err)
        err = role_ready(t->role);
    if (!err)
        err = loop_timer_set(t->role->loop, &t->give_up, clock_mono_ms() + GIVE_UP_MS);
    return err;
}

enum tm_err tlscert_start(struct role *role) {
    struct tlscert *t = calloc(1, sizeof *t);
    if (!t)
        return TM_ENOMEM;
    t->role = role;
    t->state = TLSCERT_UNUSABLE;
    t->csr = BUF_ON(t->csr_room);
    t->info = BUF_ON(t->info_room);
    t->again = (struct loop_timer){.fn = ask_again, .arg = t};
    t->give_up = (struct loop_timer){.fn = give_up, .arg = t};
    role->self = t;
    role->linked = linked;
    role->drain = drain;
    enum tm_err err = begin(t);
    if (!err || t->state == TLSCERT_UNUSABLE)
        return err;
    fail(t, ROLE_EXIT_SERVES);
    return TM_OK;
}

void tlscert_stop(struct role *role) {
    struct tlscert *t = role->self;
    if (!t)
        return;
    loop_timer_stop(role->loop, &t->again);
    loop_timer_stop(role->loop, &t->give_up);
    ipc_link_close(t->core);
    tlscert_output_close(t->output);
    EVP_PKEY_free(t->key);
    core_setup_free(&t->setup);
    free(t);
    role->self = NULL;
}
