/* SPDX-License-Identifier: Apache-2.0 */
/* The signer: opening, links, threads, watchdog. Threads serve tickets in serve.c. */
#include "pkcs11/signer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/link.h"
#include "pkcs11/serve.h"

typedef struct hsm_signer hsm_signer;
AUTO_DEFINE(hsm_signer, hsm_signer_close)

static enum tm_err check_token(const struct hsm_signer_config *config, hsm_signer *signer,
                               char text[HSM_TEXT_MAX]) {
    struct hsm_token_info info;
    enum tm_err err = hsm_token_describe(signer->token, &info, text);
    if (err)
        return err;
    if (info.softhsm && config->refuse_softhsm) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "token \"%.32s\" is SoftHSM, whose keys are files: refused for production",
                       config->token.label);
        return TM_EDENIED;
    }
    log_info("token \"%s\": %s, %s %s, serial %s", config->token.label, info.library,
             info.manufacturer, info.model, info.serial);
    return TM_OK;
}

static void init_monotonic(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* Of each issuer the full CRL, its shards and the filter have numbers that rise. */
static size_t count_series(const struct hsm_signer_config *config) {
    size_t count = 0;
    for (size_t i = 0; i < config->issuer_count; i++)
        count += 2 + config->issuers[i].issuer->crl_shards;
    return count;
}

static enum tm_err new_signer(const struct hsm_signer_config *config, hsm_signer **ret_signer) {
    AUTO(hsm_signer) signer = calloc(1, sizeof *signer);
    if (!signer)
        return TM_ENOMEM;
    signer->config = *config;
    (void)pthread_mutex_init(&signer->lock, NULL);
    (void)pthread_cond_init(&signer->linked, NULL);
    init_monotonic(&signer->ended);
    signer->ceiling =
        (struct hsm_ceiling){.max_rate = config->max_rate, .max_total = config->max_total};
    signer->proofs =
        (struct hsm_ceiling){.max_rate = HSM_PROOFS_MAX, .period_ms = HSM_PROOFS_PERIOD_MS};
    signer->keys = calloc(config->issuer_count, sizeof(struct hsm_key *));
    signer->issuers = calloc(config->issuer_count, sizeof(struct ca_issuer *));
    signer->workers = calloc(config->threads, sizeof *signer->workers);
    signer->ocsp_keys = calloc(config->issuer_count, sizeof(struct hsm_key *));
    signer->ocsp_names = calloc(config->issuer_count, sizeof *signer->ocsp_names);
    signer->numbers.room = count_series(config);
    signer->numbers.rows = calloc(signer->numbers.room, sizeof *signer->numbers.rows);
    if (!signer->keys || !signer->issuers || !signer->workers || !signer->ocsp_keys ||
        !signer->ocsp_names || !signer->numbers.rows)
        return TM_ENOMEM;
    signer->rules = (struct hsm_rules){.issuers = signer->issuers,
                                       .issuer_count = config->issuer_count,
                                       .profiles = config->profiles,
                                       .profile_count = config->profile_count,
                                       .ocsp = signer->ocsp_names};
    *ret_signer = TAKE(signer);
    return TM_OK;
}

enum tm_err hsm_signer_open(const struct hsm_signer_config *config, const char *pin,
                            hsm_signer **ret_signer, char text[HSM_TEXT_MAX]) {
    AUTO(hsm_signer) signer = NULL;
    if (config->threads == 0 ||
        (config->issuer_count == 0 && !config->tls_key_label && !config->checkpoint_key_label)) {
        (void)snprintf(text, HSM_TEXT_MAX, "a signer needs a thread and a key");
        return TM_EINVAL;
    }
    enum tm_err err = new_signer(config, &signer);
    if (err) {
        (void)snprintf(text, HSM_TEXT_MAX, "out of memory");
        return err;
    }
    err = hsm_token_open(&config->token, pin, &signer->token, text);
    if (err == TM_EDENIED && config->ret_pin_refused)
        *config->ret_pin_refused = true;
    if (!err)
        err = check_token(config, signer, text);
    if (!err)
        err = hsm_signer_find_keys(signer, text);
    if (!err)
        *ret_signer = TAKE(signer);
    return err;
}

static enum tm_err tell_key(const hsm_signer *signer, int socket, struct ipc_key *key,
                            size_t issuer, const struct hsm_key *held) {
    if (!held)
        return TM_OK;
    key->spki = hsm_key_spki(held);
    memcpy(key->issuer, signer->issuers[issuer]->name, sizeof key->issuer);
    enum tm_err err = ipc_send(socket, &ipc_key_schema, key);
    key->index++;
    return err;
}

static enum tm_err tell_tls_key(const hsm_signer *signer, int socket, struct ipc_key *key) {
    struct ipc_key tls = {.index = key->index, .count = key->count, .tls = true};
    if (!signer->tls_key)
        return TM_OK;
    tls.spki = hsm_key_spki(signer->tls_key);
    key->index++;
    return ipc_send(socket, &ipc_key_schema, &tls);
}

/* The others first, the issuers' own last: who has seen every issuer's has then seen all. */
static enum tm_err tell_keys(const hsm_signer *signer, int socket) {
    struct ipc_key key = {.ocsp = true, .count = signer->tls_key != NULL};
    for (size_t i = 0; i < signer->config.issuer_count; i++)
        key.count =
            (uint16_t)(key.count + (signer->ocsp_keys[i] != NULL) + (signer->keys[i] != NULL));
    enum tm_err err = tell_tls_key(signer, socket, &key);
    for (size_t i = 0; i < signer->config.issuer_count && !err; i++)
        err = tell_key(signer, socket, &key, i, signer->ocsp_keys[i]);
    key.ocsp = false;
    for (size_t i = 0; i < signer->config.issuer_count && !err; i++)
        err = tell_key(signer, socket, &key, i, signer->keys[i]);
    return err;
}

static void count_running(hsm_signer *signer, int change) {
    (void)pthread_mutex_lock(&signer->lock);
    signer->running += (unsigned)change;
    (void)pthread_mutex_unlock(&signer->lock);
}

/* Signals are for the thread that runs the process's loop. */
static enum tm_err start_threads(hsm_signer *signer) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    while (!error && signer->worker_count < signer->config.threads) {
        struct hsm_worker *worker = &signer->workers[signer->worker_count];
        worker->signer = signer;
        count_running(signer, 1);
        error = pthread_create(&worker->thread, NULL, hsm_serve, worker);
        if (error)
            count_running(signer, -1);
        else
            signer->worker_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        log_error("cannot start a signer thread: %s", strerror(error));
    return error ? TM_EIO : TM_OK;
}

/* The new link takes the place of the old, whose threads wake from its shutdown. */
static void change_link(hsm_signer *signer, struct hsm_link *link) {
    (void)pthread_mutex_lock(&signer->lock);
    struct hsm_link *old = signer->link;
    signer->link = link;
    if (old) {
        (void)shutdown(old->socket, SHUT_RDWR);
        hsm_link_drop(old);
    }
    (void)pthread_cond_broadcast(&signer->linked);
    (void)pthread_mutex_unlock(&signer->lock);
}

enum tm_err hsm_signer_link(hsm_signer *signer, int socket) {
    AUTO_FD int owned = socket;
    enum tm_err err = tell_keys(signer, socket);
    if (err)
        return err;
    struct hsm_link *link = calloc(1, sizeof *link);
    if (!link)
        return TM_ENOMEM;
    link->socket = TAKE_FD(owned);
    link->users = 1; /* signer->link */
    change_link(signer, link);
    return start_threads(signer);
}

void hsm_signer_watch(hsm_signer *signer) {
    int64_t now = clock_mono_ms();
    for (unsigned i = 0; i < signer->worker_count; i++) {
        int64_t since = atomic_load(&signer->workers[i].busy_since);
        if (since && now - since > signer->config.watchdog_ms) {
            char text[HSM_TEXT_MAX];
            (void)snprintf(text, sizeof text, "a signature has taken %lld ms",
                           (long long)(now - since));
            hsm_signer_die(signer, text);
        }
    }
}

/* A thread that hangs in the token cannot be joined, so they say when they are done. */
static void join_workers(hsm_signer *signer) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += signer->config.watchdog_ms / 1000 + 1;
    int error = 0;
    (void)pthread_mutex_lock(&signer->lock);
    while (signer->running > 0 && error == 0)
        error = pthread_cond_timedwait(&signer->ended, &signer->lock, &until);
    bool hangs = signer->running > 0;
    (void)pthread_mutex_unlock(&signer->lock);
    if (hangs)
        hsm_signer_die(signer, "a signature hangs while the signer closes");
    for (unsigned i = 0; i < signer->worker_count; i++)
        (void)pthread_join(signer->workers[i].thread, NULL);
}

void hsm_signer_close(hsm_signer *signer) {
    if (!signer)
        return;
    (void)pthread_mutex_lock(&signer->lock);
    signer->closing = true;
    if (signer->link) {
        /* Answers under way still go out; what no thread has begun is dropped. */
        (void)shutdown(signer->link->socket, SHUT_RD);
        hsm_link_drop(TAKE(signer->link));
    }
    (void)pthread_cond_broadcast(&signer->linked);
    (void)pthread_mutex_unlock(&signer->lock);
    join_workers(signer);
    hsm_token_close(signer->token);
    (void)pthread_cond_destroy(&signer->linked);
    (void)pthread_cond_destroy(&signer->ended);
    (void)pthread_mutex_destroy(&signer->lock);
    free(signer->keys);
    free(signer->ocsp_keys);
    free(signer->ocsp_names);
    free(signer->numbers.rows);
    free(signer->issuers);
    free(signer->workers);
    free(signer);
}

void hsm_signer_die(hsm_signer *signer, const char *text) {
    if (!atomic_exchange(&signer->died, true))
        signer->config.dead(signer->config.arg, text);
}
