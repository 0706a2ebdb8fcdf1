/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/signer.h over the link to the signer process. Tickets stand in one list, oldest first, until
 * they are answered: what is not sent yet, or was sent to a signer that died, goes out over
 * the next link under the same rising IDs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "pkcs11/guard.h"
#include "server/core/core.h"

#define FAILURES_MAX 3 /* signers that may fail on one ticket before it is given back */

/* What the signer has shown of an issuer's keys. */
struct shown {
    bool own;
    uint8_t *spki; /* of the OCSP key; NULL: none */
    size_t n;
};

struct core_signer {
    struct ca_signer base;
    struct loop *loop;
    const struct core_setup *setup;
    size_t queue;
    struct hsm_ceiling ceiling;
    void (*distrust)(void *arg);
    void *arg;
    struct ipc_link *link;
    struct shown *keys; /* by issuer */
    uint64_t next_id;
    struct ca_ticket *first, **last; /* waiting for an answer, in the order of their IDs */
    size_t waiting;
    struct ca_ticket *unsent; /* the first that the link has not taken */
};

static struct core_signer *of(struct ca_signer *base) {
    return (struct core_signer *)base;
}

static enum tm_err send_certificate(struct core_signer *s, const struct ca_ticket *ticket) {
    struct ipc_ticket message = {.id = ticket->id, .tbs = ticket->tbs};
    TEXT_SET(message.issuer, ticket->issuer);
    TEXT_SET(message.profile, ticket->profile);
    memcpy(message.profile_hash, ticket->profile_hash, sizeof message.profile_hash);
    return ipc_link_send(s->link, &ipc_ticket_schema, &message);
}

static enum tm_err send_cmc(struct core_signer *s, const struct ca_ticket *ticket) {
    struct ipc_cmc_ticket message = {
        .id = ticket->id, .signing_time_ms = ticket->signing_time_ms, .content = ticket->content};
    TEXT_SET(message.issuer, ticket->issuer);
    return ipc_link_send(s->link, &ipc_cmc_ticket_schema, &message);
}

static enum tm_err send_keygen(struct core_signer *s, const struct ca_ticket *ticket) {
    struct ipc_keygen_ticket message = {
        .id = ticket->id, .signing_time_ms = ticket->signing_time_ms, .digest = ticket->content};
    TEXT_SET(message.issuer, ticket->issuer);
    return ipc_link_send(s->link, &ipc_keygen_ticket_schema, &message);
}

/* The link takes what it sends over, and the ticket may have to go out again. */
static enum tm_err send_crl(struct core_signer *s, const struct ca_ticket *ticket) {
    struct ipc_status_ticket message = {.id = ticket->id, .kind = IPC_STATUS_CRL};
    TEXT_SET(message.issuer, ticket->issuer);
    int fd = fcntl(ticket->content_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        log_error("a CRL cannot be given to the signer: %s", strerror(errno));
        return TM_EIO;
    }
    return ipc_link_send_fd(s->link, &ipc_status_ticket_schema, &message, fd);
}

static enum tm_err send_status(struct core_signer *s, const struct ca_ticket *ticket,
                               enum ipc_status_kind kind) {
    struct ipc_status_ticket message = {
        .id = ticket->id, .kind = (uint8_t)kind, .content = ticket->content};
    TEXT_SET(message.issuer, ticket->issuer);
    return ipc_link_send(s->link, &ipc_status_ticket_schema, &message);
}

static enum tm_err send_ticket(struct core_signer *s, const struct ca_ticket *ticket) {
    switch (ticket->kind) {
    case CA_TICKET_CERTIFICATE:
        return send_certificate(s, ticket);
    case CA_TICKET_CMC:
        return send_cmc(s, ticket);
    case CA_TICKET_KEYGEN:
        return send_keygen(s, ticket);
    case CA_TICKET_CRL:
        return send_crl(s, ticket);
    case CA_TICKET_OCSP:
        return send_status(s, ticket, IPC_STATUS_OCSP);
    case CA_TICKET_FILTER:
        return send_status(s, ticket, IPC_STATUS_FILTER);
    }
    return TM_EINVAL;
}

/* Sends what waits, as far as the link takes it. */
static void flush(struct core_signer *s) {
    if (!core_signer_ready(s))
        return;
    while (s->unsent && !send_ticket(s, s->unsent))
        s->unsent = s->unsent->next;
}

static size_t content_max(enum ca_ticket_kind kind) {
    return kind == CA_TICKET_OCSP || kind == CA_TICKET_FILTER ? IPC_OCSP_MAX : IPC_CERT_MAX;
}

static enum tm_err sign(struct ca_signer *base, struct ca_ticket *ticket) {
    struct core_signer *s = of(base);
    if (ticket->kind == CA_TICKET_CERTIFICATE && !ca_lint_covers(&ticket->lint, ticket->tbs))
        return TM_EDENIED;
    if (ticket->content.n > content_max(ticket->kind))
        return TM_ELIMIT; /* it could never be sent */
    if (s->waiting >= s->queue || !hsm_ceiling_take(&s->ceiling, clock_mono_ms()))
        return TM_EFULL;
    ticket->id = ++s->next_id;
    ticket->failures = 0;
    ticket->next = NULL;
    *s->last = ticket;
    s->last = &ticket->next;
    s->waiting++;
    if (!s->unsent)
        s->unsent = ticket;
    flush(s);
    return TM_OK;
}

/* Takes the ticket at *at out of the list. */
static struct ca_ticket *take(struct core_signer *s, struct ca_ticket **at) {
    struct ca_ticket *ticket = *at;
    if (s->unsent == ticket)
        s->unsent = ticket->next;
    *at = ticket->next;
    if (!*at)
        s->last = at;
    s->waiting--;
    return ticket;
}

static struct ca_ticket **find(struct core_signer *s, uint64_t id) {
    for (struct ca_ticket **at = &s->first; *at && (*at)->id <= id; at = &(*at)->next)
        if ((*at)->id == id)
            return at;
    return NULL;
}

static void forget_keys(struct core_signer *s) {
    for (size_t i = 0; i < s->setup->issuer_count; i++) {
        free(s->keys[i].spki);
        s->keys[i] = (struct shown){0};
    }
}

static void lose_link(struct core_signer *s) {
    ipc_link_close(s->link);
    s->link = NULL;
    forget_keys(s);
    s->unsent = s->first;
}

static void distrust(struct ca_signer *base) {
    struct core_signer *s = of(base);
    lose_link(s);
    s->distrust(s->arg);
}

static const struct ca_signer_ops ops = {sign, distrust};

/* ---- what the signer says ---- */

static bool take_signed(struct core_signer *s, struct bytes message) {
    struct ipc_signed answer;
    if (codec_decode(&ipc_signed_schema, message, &answer))
        return false;
    struct ca_ticket **at = find(s, answer.id);
    if (!at)
        return true; /* it was answered by an earlier signer */
    if (answer.status == IPC_SIGN_FAILED && ++(*at)->failures < FAILURES_MAX) {
        log_warn("ticket %llu: %s; it waits for the next signer", (unsigned long long)answer.id,
                 answer.text);
        return true;
    }
    if (answer.status != IPC_SIGN_OK)
        log_warn("ticket %llu: not signed: %s", (unsigned long long)answer.id, answer.text);
    struct ca_ticket *ticket = take(s, at);
    ticket->done(ticket, (enum ipc_sign_status)answer.status, answer.signature);
    flush(s);
    return true;
}

/* The index of an issuer; issuer_count: there is none of this name. */
static size_t issuer_index(const struct core_signer *s, const char *name) {
    size_t i = 0;
    while (i < s->setup->issuer_count && strcmp(s->setup->issuers[i].name, name) != 0)
        i++;
    return i;
}

static bool keep_ocsp_key(struct shown *kept, struct bytes spki) {
    uint8_t *copy = spki.n ? malloc(spki.n) : NULL;
    if (!copy)
        return false;
    memcpy(copy, spki.p, spki.n);
    free(kept->spki);
    kept->spki = copy;
    kept->n = spki.n;
    return true;
}

static bool take_key(struct core_signer *s, struct bytes message) {
    struct ipc_key key;
    if (codec_decode(&ipc_key_schema, message, &key))
        return false;
    size_t i = issuer_index(s, key.issuer);
    if (i == s->setup->issuer_count)
        return false;
    bool own = ca_issuer_has_key(&s->setup->issuers[i], key.spki);
    if (key.ocsp)
        return !own && keep_ocsp_key(&s->keys[i], key.spki);
    if (!own) {
        log_error("the signer's key for issuer %s is not that of its certificate", key.issuer);
        return false;
    }
    s->keys[i].own = true;
    flush(s);
    return true;
}

static void signer_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct core_signer *s = arg;
    uint16_t type = codec_peek(message);
    bool understood = fd < 0 && ((type == IPC_TYPE_SIGNED && take_signed(s, message)) ||
                                 (type == IPC_TYPE_KEY && take_key(s, message)));
    if (fd >= 0)
        (void)close(fd);
    if (understood || s->link != link)
        return;
    log_error("the signer sent what is no answer (type 0x%04x); it is restarted", type);
    distrust(&s->base);
}

static void signer_closed(void *arg, struct ipc_link *link) {
    (void)link;
    struct core_signer *s = arg;
    log_warn("the signer is gone; %zu tickets wait for the next one", s->waiting);
    lose_link(s);
}

static const struct ipc_link_events signer_events = {signer_message, signer_closed};

enum tm_err core_signer_new(struct loop *loop, const struct core_setup *setup, size_t queue,
                            void (*on_distrust)(void *arg), void *arg,
                            struct core_signer **ret_signer) {
    AUTO_MEM struct core_signer *s = calloc(1, sizeof *s);
    if (!s)
        return TM_ENOMEM;
    s->keys = calloc(setup->issuer_count + 1, sizeof *s->keys);
    if (!s->keys)
        return TM_ENOMEM;
    s->base.ops = &ops;
    s->loop = loop;
    s->setup = setup;
    s->queue = queue;
    s->distrust = on_distrust;
    s->arg = arg;
    s->last = &s->first;
    *ret_signer = TAKE(s);
    return TM_OK;
}

void core_signer_free(struct core_signer *signer) {
    if (!signer)
        return;
    ipc_link_close(signer->link);
    forget_keys(signer);
    free(signer->keys);
    free(signer);
}

void core_signer_limit(struct core_signer *signer, uint64_t rate, uint64_t total) {
    signer->ceiling = (struct hsm_ceiling){.max_rate = rate, .max_total = total};
}

struct ca_signer *core_signer_interface(struct core_signer *signer) {
    return &signer->base;
}

void core_signer_linked(struct core_signer *signer, int fd) {
    lose_link(signer);
    enum tm_err err =
        ipc_link_open(signer->loop, fd, signer->queue, &signer_events, signer, &signer->link);
    if (err)
        log_error("link to the signer: %s", tm_err_name(err));
}

bool core_signer_ready(const struct core_signer *signer) {
    bool ready = signer->link != NULL;
    for (size_t i = 0; i < signer->setup->issuer_count && ready; i++)
        ready = signer->keys[i].own || !core_issuer_required(signer->setup, i);
    return ready;
}

bool core_signer_shows(const struct core_signer *signer, size_t issuer) {
    return signer->link && signer->keys[issuer].own;
}

enum tm_err core_signer_ocsp_key(const struct core_signer *signer, const char *issuer,
                                 struct bytes *ret_spki) {
    size_t i = issuer_index(signer, issuer);
    if (i == signer->setup->issuer_count || !signer->keys[i].spki)
        return TM_ENOTFOUND;
    *ret_spki = (struct bytes){signer->keys[i].spki, signer->keys[i].n};
    return TM_OK;
}
