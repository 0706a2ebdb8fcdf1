/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/signer.h over the links to all signer processes. A ticket goes to the token of its issuer; to
 * that token's standby while its breaker is not closed and the standby can take it. What waits for
 * a token that failed is given to the other. A ceiling that was reached is no failure: going round
 * it by way of the standby would make it none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/core/key_uses.h"
#include "server/core/signers_internal.h"

#define TICKET_FAILURES_MAX 3  /* signers that may fail on one ticket before it is given back */
#define IN_ROW_MAX 3           /* failures that open a breaker; one where a standby takes over */
#define SILENCE_MARGIN_MS 1000 /* beyond the watchdog, by which a signer ends itself */
#define ABSENT_MS 2000         /* until a standby takes over from one that never came */
#define MISSING_MS 10000       /* until that is an alarm */

static struct core_signer *of(struct ca_signer *base) {
    return (struct core_signer *)base;
}

static bool may_probe(const struct signer_link *l, int64_t now) {
    return signer_link_ready(l) && breaker_may_probe(&l->breaker, now);
}

__attribute__((format(printf, 2, 3))) static void alarm_about(struct core_signer *s,
                                                              const char *format, ...) {
    char text[IPC_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (s->config.alarm)
        s->config.alarm(s->config.arg, text);
    else
        log_error("alarm: %s", text);
}

/* ---- which token ---- */

static bool is_tls(const struct ca_ticket *ticket) {
    return ticket->kind == CA_TICKET_TLS_HANDSHAKE || ticket->kind == CA_TICKET_TLS_REQUEST;
}

static bool has_issuer(const struct ca_ticket *ticket) {
    return !is_tls(ticket) && ticket->kind != CA_TICKET_CHECKPOINT;
}

static bool same_key(const struct signer_keys *keys, const struct signer_keys *first) {
    return keys->spki &&
           (!first->spki || (first->n == keys->n && memcmp(first->spki, keys->spki, keys->n) == 0));
}

/* The token itself refuses what it has no key for; a standby is not asked in vain, nor for what
 * another OCSP or TLS key has to sign. */
static bool standby_can(const struct signer_link *standby, const struct signer_link *home,
                        size_t issuer, const struct ca_ticket *ticket) {
    if (is_tls(ticket))
        return same_key(&standby->tls, &home->tls);
    if (!has_issuer(ticket))
        return false; /* the audit log's token has no standby */
    if (ticket->kind != CA_TICKET_OCSP)
        return standby->keys[issuer].own;
    return same_key(&standby->keys[issuer], &home->keys[issuer]);
}

/* The token that should sign it, if it can. */
static struct signer_link *home_of(const struct core_signer *s, const struct ca_ticket *ticket,
                                   size_t issuer) {
    const struct core_setup *setup = s->config.setup;
    if (ticket->kind == CA_TICKET_CHECKPOINT)
        return &s->links[setup->audit.token];
    return &s->links[is_tls(ticket) ? setup->tls_token : setup->uses[issuer].token];
}

static struct signer_link *pick(const struct core_signer *s, const struct ca_ticket *ticket) {
    size_t issuer = signers_issuer(s, ticket->issuer);
    struct signer_link *home = home_of(s, ticket, issuer);
    struct signer_link *standby = signers_other(s, home);
    int64_t now = clock_mono_ms();
    if (home->breaker.state == BREAKER_CLOSED || !standby || may_probe(home, now))
        return home;
    bool can = signer_link_ready(standby) && standby_can(standby, home, issuer, ticket);
    if (can && (standby->breaker.state == BREAKER_CLOSED || may_probe(standby, now)))
        return standby;
    return home;
}

/* Gives each to the link that it belongs to now. */
static void give_out(struct core_signer *s, struct ca_ticket *tickets) {
    while (tickets) {
        struct ca_ticket *ticket = tickets;
        tickets = ticket->next;
        struct signer_link *l = pick(s, ticket);
        signer_link_add(l, ticket);
        signer_link_flush(l);
    }
}

/* ---- failures ---- */

static void say_opened(struct core_signer *s, const struct signer_link *l, const char *why) {
    const struct signer_link *other = signers_other(s, l);
    if (!signers_in_order(other))
        alarm_about(s, "token %s is left alone for a while after %u failures in a row: %s", l->name,
                    l->breaker.in_row, why);
    else if (signers_token(l)->primary == l->index)
        alarm_about(s, "token %s failed: %s; its standby %s signs in its place", l->name, why,
                    other->name);
    else
        alarm_about(s, "standby token %s failed: %s; %s signs", l->name, why, other->name);
}

/* What led to the end of one session counts once, however many tickets it cost. */
static void fail(struct core_signer *s, struct signer_link *l, const char *why) {
    if (l->failed)
        return;
    l->failed = true;
    l->failures++;
    unsigned limit = signers_in_order(signers_other(s, l)) ? 1 : IN_ROW_MAX;
    if (breaker_fail(&l->breaker, limit, clock_mono_ms()))
        say_opened(s, l, why);
    if (l->breaker.state == BREAKER_OPEN)
        give_out(s, signer_link_take_all(l));
}

static void end_session(struct core_signer *s, struct signer_link *l, const char *why) {
    signer_link_end(l);
    fail(s, l, why);
    s->config.distrust(s->config.arg, (unsigned)l->index);
}

static void succeed(const struct core_signer *s, struct signer_link *l) {
    if (!breaker_succeed(&l->breaker))
        return;
    log_info("token %s signs again%s", l->name,
             signers_other(s, l) && signers_token(l)->primary == l->index ? "; its standby may rest"
                                                                          : "");
    signer_link_flush(l);
}

/* ---- what links say ---- */

/* A ticket that one token failed on goes to the other before it is given back. */
static void ticket_failed(struct core_signer *s, struct signer_link *l, struct ca_ticket *ticket,
                          const char *text) {
    bool again = ++ticket->failures < TICKET_FAILURES_MAX;
    log_warn("token %s: ticket %llu: %s%s", l->name, (unsigned long long)ticket->id, text,
             again ? "; it waits for another signer" : "");
    fail(s, l, text);
    if (again) {
        ticket->next = NULL;
        give_out(s, ticket);
    } else {
        ticket->done(ticket, IPC_SIGN_FAILED, (struct bytes){0});
    }
}

static void answered(struct signer_link *l, struct ca_ticket *ticket, enum ipc_sign_status status,
                     const char *text, struct bytes signature) {
    struct core_signer *s = l->arg;
    unsigned session = l->sessions;
    bool probed = l->probe == ticket;
    if (probed)
        l->probe = NULL;
    if (status == IPC_SIGN_FAILED) {
        ticket_failed(s, l, ticket, text);
        return;
    }
    if (status != IPC_SIGN_OK)
        log_warn("token %s: ticket %llu: not signed: %s", l->name, (unsigned long long)ticket->id,
                 text);
    if (status == IPC_SIGN_OK) {
        ticket->provider = l->name;
        core_key_uses_note(s->config.uses, ticket->kind, signers_issuer(s, ticket->issuer),
                           l->index);
    }
    ticket->done(ticket, status, signature); /* which may find the signature wrong */
    if (session != l->sessions)
        return;
    if (status == IPC_SIGN_OK)
        succeed(s, l);
    else if (probed)
        breaker_unproven(&l->breaker, clock_mono_ms());
    signer_link_flush(l);
}

/* A pair that answers for OCSP by two keys would have two certificates take turns. */
static void compare_pair(const struct core_signer *s, const struct signer_link *l) {
    const struct signer_link *other = signers_other(s, l);
    for (size_t i = 0; signers_in_order(other) && i < l->setup->issuer_count; i++) {
        const struct signer_keys *a = &l->keys[i], *b = &other->keys[i];
        if (a->spki && b->spki && (a->n != b->n || memcmp(a->spki, b->spki, a->n) != 0))
            log_error("tokens %s and %s have different OCSP keys for issuer %s; the standby does "
                      "not sign OCSP answers",
                      l->name, other->name, l->setup->issuers[i].name);
    }
}

static void shown(struct signer_link *l) {
    if (!signer_link_ready(l))
        return;
    compare_pair(l->arg, l);
    if (l->missed)
        log_info("token %s is there again", l->name);
    l->missed = false;
    signer_link_flush(l);
}

static void lost(struct signer_link *l, const char *why) {
    fail(l->arg, l, why);
}

static void mad(struct signer_link *l, const char *why) {
    end_session(l->arg, l, why);
}

static const struct signer_link_events link_events = {answered, shown, lost, mad};

/* ---- time ---- */

static void watch(struct core_signer *s, struct signer_link *l, int64_t now) {
    char why[64];
    int64_t silent = signer_link_silent_ms(l, now);
    int64_t gone = signer_link_ready(l) ? 0 : now - l->gone_since;
    if (silent > signers_token(l)->watchdog_ms + SILENCE_MARGIN_MS) {
        (void)snprintf(why, sizeof why, "no answer for %lld ms", (long long)silent);
        end_session(s, l, why);
    } else if (gone > ABSENT_MS && l->breaker.state == BREAKER_CLOSED &&
               signers_in_order(signers_other(s, l))) {
        l->failed = false;
        fail(s, l, "it is not there");
    }
    if (gone > MISSING_MS && !l->missed) {
        l->missed = true;
        alarm_about(s, "token %s is not there: its signer does not start, or lacks a key", l->name);
    }
}

/* A standby is not asked while the first one works, so its breaker does not wait for an answer. */
static void rest(struct core_signer *s, struct signer_link *l, int64_t now) {
    if (signers_token(l)->primary != l->index && signers_in_order(signers_other(s, l)) &&
        may_probe(l, now))
        succeed(s, l);
}

void core_signer_tick(struct core_signer *s) {
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < s->config.setup->token_count; i++) {
        struct signer_link *l = &s->links[i];
        if (!signers_used(s, i))
            continue;
        watch(s, l, now);
        rest(s, l, now);
        const struct signer_link *other = signers_other(s, l);
        bool moves = l->breaker.state != BREAKER_CLOSED && !l->probe && l->waiting > 0;
        if (moves && (signers_in_order(other) || (other && may_probe(other, now))))
            give_out(s, signer_link_take_all(l));
        signer_link_flush(l);
    }
}

/* ---- ca/signer.h ---- */

/* Tickets for a token that is out must not take the places of those for others. */
static size_t room_of(const struct core_signer *s, const struct signer_link *l) {
    if (s->in_use < 2 || signers_in_order(l))
        return s->config.queue;
    size_t room = s->config.queue / (2 * s->in_use);
    return room ? room : 1;
}

static size_t content_max(enum ca_ticket_kind kind) {
    return kind == CA_TICKET_OCSP || kind == CA_TICKET_FILTER ? IPC_OCSP_MAX : IPC_CERT_MAX;
}

static bool has_key(const struct core_signer *s, const struct ca_ticket *ticket) {
    const struct core_setup *setup = s->config.setup;
    if (has_issuer(ticket))
        return signers_issuer(s, ticket->issuer) < setup->issuer_count;
    return is_tls(ticket) ? setup->has_tls_key : setup->audit.on;
}

static enum tm_err sign(struct ca_signer *base, struct ca_ticket *ticket) {
    struct core_signer *s = of(base);
    if (ticket->kind == CA_TICKET_CERTIFICATE && !ca_lint_covers(&ticket->lint, ticket->tbs))
        return TM_EDENIED;
    if (!has_key(s, ticket))
        return TM_EDENIED;
    if (ticket->content.n > content_max(ticket->kind))
        return TM_ELIMIT; /* it could never be sent */
    struct signer_link *l = pick(s, ticket);
    if (l->waiting >= room_of(s, l))
        return TM_EFULL;
    if (!is_tls(ticket) && !hsm_ceiling_take(&l->ceiling, clock_mono_ms()))
        return TM_EFULL; /* as the signer counts (pkcs11/serve.c) */
    ticket->failures = 0;
    signer_link_add(l, ticket);
    signer_link_flush(l);
    return TM_OK;
}

static void distrust(struct ca_signer *base, const struct ca_ticket *ticket) {
    struct core_signer *s = of(base);
    end_session(s, &s->links[ticket->token], "a signature of it does not verify");
}

static const struct ca_signer_ops ops = {sign, distrust};

/* ---- the whole ---- */

static enum tm_err open_links(struct core_signer *s) {
    const struct core_setup *setup = s->config.setup;
    s->links = calloc(setup->token_count, sizeof *s->links);
    if (!s->links)
        return TM_ENOMEM;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < setup->token_count && !err; i++) {
        struct signer_link *l = &s->links[i];
        *l = (struct signer_link){.events = &link_events,
                                  .arg = s,
                                  .loop = s->config.loop,
                                  .setup = setup,
                                  .index = i,
                                  .name = setup->tokens[i].name,
                                  .queue = s->config.queue};
        err = signer_link_init(l);
        s->in_use += signers_used(s, i) && setup->tokens[i].primary == i;
    }
    return err;
}

typedef struct core_signer core_signer;
AUTO_DEFINE(core_signer, core_signer_free)

enum tm_err core_signer_new(const struct core_signer_config *config,
                            struct core_signer **ret_signer) {
    AUTO(core_signer) s = calloc(1, sizeof *s);
    if (!s)
        return TM_ENOMEM;
    s->base.ops = &ops;
    s->config = *config;
    enum tm_err err = open_links(s);
    if (!err)
        *ret_signer = TAKE(s);
    return err;
}

void core_signer_free(struct core_signer *s) {
    if (!s)
        return;
    for (size_t i = 0; s->links && i < s->config.setup->token_count; i++)
        signer_link_deinit(&s->links[i]);
    free(s->links);
    free(s);
}

void core_signer_limit(struct core_signer *signer, size_t token, uint64_t rate, uint64_t total) {
    signer->links[token].ceiling = (struct hsm_ceiling){.max_rate = rate, .max_total = total};
}

struct ca_signer *core_signer_interface(struct core_signer *signer) {
    return &signer->base;
}

void core_signer_linked(struct core_signer *s, unsigned token, int fd) {
    if (token < s->config.setup->token_count)
        signer_link_open(&s->links[token], fd);
    else
        (void)close(fd);
}
