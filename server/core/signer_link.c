/* SPDX-License-Identifier: Apache-2.0 */
/* See signer_link.h. */
#include "server/core/signer_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- tickets out ---- */

static enum tm_err send_certificate(struct signer_link *l, const struct ca_ticket *ticket) {
    struct ipc_ticket message = {.id = ticket->id, .tbs = ticket->tbs};
    TEXT_SET(message.issuer, ticket->issuer);
    TEXT_SET(message.profile, ticket->profile);
    memcpy(message.profile_hash, ticket->profile_hash, sizeof message.profile_hash);
    return ipc_link_send(l->link, &ipc_ticket_schema, &message);
}

static enum tm_err send_cmc(struct signer_link *l, const struct ca_ticket *ticket) {
    struct ipc_cmc_ticket message = {
        .id = ticket->id, .signing_time_ms = ticket->signing_time_ms, .content = ticket->content};
    TEXT_SET(message.issuer, ticket->issuer);
    return ipc_link_send(l->link, &ipc_cmc_ticket_schema, &message);
}

static enum tm_err send_keygen(struct signer_link *l, const struct ca_ticket *ticket) {
    struct ipc_keygen_ticket message = {
        .id = ticket->id, .signing_time_ms = ticket->signing_time_ms, .digest = ticket->content};
    TEXT_SET(message.issuer, ticket->issuer);
    return ipc_link_send(l->link, &ipc_keygen_ticket_schema, &message);
}

/* The link takes what it sends over, and the ticket may have to go out again. */
static enum tm_err send_crl(struct signer_link *l, const struct ca_ticket *ticket) {
    struct ipc_status_ticket message = {.id = ticket->id, .kind = IPC_STATUS_CRL};
    TEXT_SET(message.issuer, ticket->issuer);
    int fd = fcntl(ticket->content_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        log_error("a CRL cannot be given to the signer: %s", strerror(errno));
        return TM_EIO;
    }
    return ipc_link_send_fd(l->link, &ipc_status_ticket_schema, &message, fd);
}

static enum tm_err send_status(struct signer_link *l, const struct ca_ticket *ticket,
                               enum ipc_status_kind kind) {
    struct ipc_status_ticket message = {
        .id = ticket->id, .kind = (uint8_t)kind, .content = ticket->content};
    TEXT_SET(message.issuer, ticket->issuer);
    return ipc_link_send(l->link, &ipc_status_ticket_schema, &message);
}

static enum tm_err send_tls(struct signer_link *l, const struct ca_ticket *ticket,
                            enum ipc_tls_kind kind) {
    const struct ipc_tls_ticket message = {
        .id = ticket->id, .kind = (uint8_t)kind, .content = ticket->content};
    return ipc_link_send(l->link, &ipc_tls_ticket_schema, &message);
}

static enum tm_err send_checkpoint(struct signer_link *l, const struct ca_ticket *ticket) {
    const struct ipc_checkpoint_ticket message = {.id = ticket->id, .content = ticket->content};
    return ipc_link_send(l->link, &ipc_checkpoint_ticket_schema, &message);
}

static enum tm_err send_ticket(struct signer_link *l, const struct ca_ticket *ticket) {
    switch (ticket->kind) {
    case CA_TICKET_CERTIFICATE:
        return send_certificate(l, ticket);
    case CA_TICKET_CMC:
        return send_cmc(l, ticket);
    case CA_TICKET_KEYGEN:
        return send_keygen(l, ticket);
    case CA_TICKET_CRL:
        return send_crl(l, ticket);
    case CA_TICKET_OCSP:
        return send_status(l, ticket, IPC_STATUS_OCSP);
    case CA_TICKET_FILTER:
        return send_status(l, ticket, IPC_STATUS_FILTER);
    case CA_TICKET_TLS_HANDSHAKE:
        return send_tls(l, ticket, IPC_TLS_HANDSHAKE);
    case CA_TICKET_TLS_REQUEST:
        return send_tls(l, ticket, IPC_TLS_REQUEST);
    case CA_TICKET_CHECKPOINT:
        return send_checkpoint(l, ticket);
    }
    return TM_EINVAL;
}

/* The list's first ticket is out when it is not the first that is unsent. */
static bool owes(const struct signer_link *l) {
    return l->link && l->first && l->first != l->unsent;
}

static bool send_next(struct signer_link *l) {
    int64_t now = clock_mono_ms();
    bool idle = !owes(l);
    struct ca_ticket *ticket = l->unsent;
    if (send_ticket(l, ticket))
        return false;
    if (idle)
        l->busy_since = now;
    ticket->sent_ms = now;
    l->unsent = ticket->next;
    return true;
}

void signer_link_flush(struct signer_link *l) {
    if (!signer_link_ready(l))
        return;
    if (l->breaker.state == BREAKER_CLOSED) {
        while (l->unsent && send_next(l))
            ;
        return;
    }
    struct ca_ticket *probe = l->unsent;
    if (probe && breaker_may_probe(&l->breaker, clock_mono_ms()) && send_next(l)) {
        l->probe = probe;
        breaker_probe(&l->breaker);
    }
}

int64_t signer_link_silent_ms(const struct signer_link *l, int64_t now_ms) {
    return owes(l) ? now_ms - l->busy_since : 0;
}

/* ---- the list ---- */

void signer_link_add(struct signer_link *l, struct ca_ticket *ticket) {
    ticket->id = ++l->next_id;
    ticket->token = l->index;
    ticket->next = NULL;
    *l->last = ticket;
    l->last = &ticket->next;
    l->waiting++;
    if (!l->unsent)
        l->unsent = ticket;
}

struct ca_ticket *signer_link_take_all(struct signer_link *l) {
    struct ca_ticket *all = TAKE(l->first);
    l->last = &l->first;
    l->unsent = NULL;
    l->probe = NULL;
    l->waiting = 0;
    return all;
}

/* Takes the ticket at *at out of the list. */
static struct ca_ticket *take(struct signer_link *l, struct ca_ticket **at) {
    struct ca_ticket *ticket = *at;
    if (l->unsent == ticket)
        l->unsent = ticket->next;
    *at = ticket->next;
    if (!*at)
        l->last = at;
    l->waiting--;
    return ticket;
}

static struct ca_ticket **find(struct signer_link *l, uint64_t id) {
    for (struct ca_ticket **at = &l->first; *at && (*at)->id <= id; at = &(*at)->next)
        if ((*at)->id == id)
            return at;
    return NULL;
}

/* ---- what the signer says ---- */

static void count_time(struct signer_times *times, int64_t now_ms, int64_t took_ms) {
    int64_t second = now_ms / 1000;
    size_t i = (size_t)(second % SIGNER_SECONDS);
    if (times->slots[i].second != second) {
        times->slots[i].second = second;
        times->slots[i].count = 0;
        times->slots[i].ms = 0;
    }
    times->slots[i].count++;
    times->slots[i].ms += (uint64_t)took_ms;
}

double signer_link_mean_ms(const struct signer_link *l, int64_t now_ms) {
    uint64_t count = 0, ms = 0;
    for (size_t i = 0; i < SIGNER_SECONDS; i++)
        if (now_ms / 1000 - l->times.slots[i].second < SIGNER_SECONDS) {
            count += l->times.slots[i].count;
            ms += l->times.slots[i].ms;
        }
    return count ? (double)ms / (double)count : -1;
}

static bool take_signed(struct signer_link *l, struct bytes message) {
    struct ipc_signed answer;
    if (codec_decode(&ipc_signed_schema, message, &answer))
        return false;
    l->busy_since = clock_mono_ms();
    struct ca_ticket **at = find(l, answer.id);
    if (!at)
        return true; /* it was answered by an earlier signer, or given to another */
    struct ca_ticket *ticket = take(l, at);
    if (answer.status == IPC_SIGN_OK) {
        count_time(&l->times, l->busy_since, l->busy_since - ticket->sent_ms);
        l->signatures++;
        l->signatures_ms += (uint64_t)(l->busy_since - ticket->sent_ms);
    }
    l->events->answered(l, ticket, (enum ipc_sign_status)answer.status, answer.text,
                        answer.signature);
    return true;
}

/* The index of an issuer; issuer_count: there is none of this name. */
static size_t issuer_index(const struct core_setup *setup, const char *name) {
    size_t i = 0;
    while (i < setup->issuer_count && strcmp(setup->issuers[i].name, name) != 0)
        i++;
    return i;
}

static bool keep_key(struct signer_keys *kept, struct bytes spki) {
    uint8_t *copy = spki.n ? malloc(spki.n) : NULL;
    if (!copy)
        return false;
    memcpy(copy, spki.p, spki.n);
    free(kept->spki);
    kept->spki = copy;
    kept->n = spki.n;
    return true;
}

static bool take_key(struct signer_link *l, struct bytes message) {
    struct ipc_key key;
    if (codec_decode(&ipc_key_schema, message, &key))
        return false;
    if (key.tls)
        return keep_key(&l->tls, key.spki);
    size_t i = issuer_index(l->setup, key.issuer);
    if (i == l->setup->issuer_count)
        return false;
    bool own = ca_issuer_has_key(&l->setup->issuers[i], key.spki);
    if (key.ocsp)
        return !own && keep_key(&l->keys[i], key.spki);
    if (!own) {
        log_error("token %s: its key for issuer %s is not that of the certificate", l->name,
                  key.issuer);
        return false;
    }
    l->keys[i].own = true;
    l->events->shown(l);
    return true;
}

static void signer_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct signer_link *l = arg;
    uint16_t type = codec_peek(message);
    bool understood = fd < 0 && ((type == IPC_TYPE_SIGNED && take_signed(l, message)) ||
                                 (type == IPC_TYPE_KEY && take_key(l, message)));
    if (fd >= 0)
        (void)close(fd);
    if (understood || l->link != link)
        return;
    log_error("token %s: the signer sent what is no answer (type 0x%04x)", l->name, type);
    signer_link_end(l);
    l->events->mad(l, "it sent what is no answer");
}

static void signer_closed(void *arg, struct ipc_link *link) {
    (void)link;
    struct signer_link *l = arg;
    log_warn("token %s: the signer is gone; %zu tickets wait", l->name, l->waiting);
    signer_link_end(l);
    l->events->lost(l, "its signer ended");
}

static const struct ipc_link_events signer_events = {signer_message, signer_closed};

/* ---- sessions ---- */

static void forget_keys(struct signer_link *l) {
    for (size_t i = 0; l->keys && i < l->setup->issuer_count; i++) {
        free(l->keys[i].spki);
        l->keys[i] = (struct signer_keys){0};
    }
    free(l->tls.spki);
    l->tls = (struct signer_keys){0};
}

enum tm_err signer_link_init(struct signer_link *l) {
    l->last = &l->first;
    l->gone_since = clock_mono_ms();
    l->keys = calloc(l->setup->issuer_count + 1, sizeof *l->keys);
    return l->keys ? TM_OK : TM_ENOMEM;
}

void signer_link_deinit(struct signer_link *l) {
    ipc_link_close(l->link);
    forget_keys(l);
    free(l->keys);
}

void signer_link_end(struct signer_link *l) {
    if (signer_link_ready(l)) /* or one that ends again and again would never be missed */
        l->gone_since = clock_mono_ms();
    if (l->link)
        l->sessions++;
    ipc_link_close(l->link);
    l->link = NULL;
    forget_keys(l);
    l->unsent = l->first;
    l->probe = NULL;
}

void signer_link_open(struct signer_link *l, int fd) {
    if (l->link) {
        signer_link_end(l);
        l->events->lost(l, "another signer took its place");
    }
    l->failed = false;
    enum tm_err err = ipc_link_open(l->loop, fd, l->queue, &signer_events, l, &l->link);
    if (err)
        log_error("token %s: link to its signer: %s", l->name, tm_err_name(err));
}

bool signer_link_ready(const struct signer_link *l) {
    bool ready = l->link != NULL;
    size_t primary = l->setup->tokens[l->index].primary;
    for (size_t i = 0; i < l->setup->issuer_count && ready; i++)
        ready = l->setup->uses[i].token != primary || l->keys[i].own ||
                !core_issuer_required(l->setup, i);
    return ready;
}
