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
#include "ca/ocsp.h"
#include "ipc/link.h"
#include "pkcs11/serve.h"

typedef struct hsm_signer hsm_signer;
AUTO_DEFINE(hsm_signer, hsm_signer_close)

static enum tm_err find_labelled(const struct hsm_signer_issuer *wanted, const char *label,
                                 hsm_signer *signer, struct hsm_key **ret_key,
                                 char text[HSM_TEXT_MAX]) {
    char reason[HSM_TEXT_MAX];
    enum tm_err err = hsm_key_find(signer->token, label, ret_key, reason);
    if (err)
        (void)snprintf(text, HSM_TEXT_MAX, "issuer %s: %.150s", wanted->issuer->name, reason);
    return err;
}

static enum tm_err find_key(const struct hsm_signer_issuer *wanted, hsm_signer *signer,
                            size_t index, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    enum tm_err err = find_labelled(wanted, wanted->key_label, signer, &key, text);
    if (err)
        return err;
    if (!ca_issuer_has_key(wanted->issuer, hsm_key_spki(key))) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "issuer %s: the token's key \"%.64s\" is not the one in its certificate",
                       wanted->issuer->name, wanted->key_label);
        return TM_EDENIED;
    }
    signer->keys[index] = key;
    return TM_OK;
}

/* A token that fails is another matter than a key that is not there. */
static enum tm_err forgive(const struct hsm_signer_issuer *wanted, enum tm_err err,
                           const char *text) {
    if (!wanted->optional || (err != TM_ENOTFOUND && err != TM_EDENIED))
        return err;
    log_warn("%s; it signs nothing", text);
    return TM_OK;
}

/* Who may say what is revoked must not be able to issue: RFC 6960, 4.2.2.2. */
static bool is_issuers(const hsm_signer *signer, const struct hsm_key *key) {
    for (size_t i = 0; i < signer->config.issuer_count; i++)
        if (ca_issuer_has_key(signer->issuers[i], hsm_key_spki(key)))
            return true;
    return false;
}

/* After all issuers' keys were found. */
static enum tm_err find_ocsp_key(const struct hsm_signer_issuer *wanted, hsm_signer *signer,
                                 size_t index, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    struct pki_spki spki;
    if (!wanted->ocsp_key_label || wanted->elsewhere)
        return TM_OK;
    enum tm_err err = find_labelled(wanted, wanted->ocsp_key_label, signer, &key, text);
    if (err)
        return err;
    if (is_issuers(signer, key)) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "issuer %s: the OCSP key \"%.64s\" is a CA's own key (RFC 6960, 4.2.2.2)",
                       wanted->issuer->name, wanted->ocsp_key_label);
        return TM_EDENIED;
    }
    if (pki_spki_parse(hsm_key_spki(key), &spki) ||
        ca_ocsp_key_hash(&spki, signer->ocsp_names[index].key_hash)) {
        (void)snprintf(text, HSM_TEXT_MAX, "issuer %s: the OCSP key cannot be hashed",
                       wanted->issuer->name);
        return TM_ECRYPTO;
    }
    signer->ocsp_keys[index] = key;
    signer->ocsp_names[index].there = true;
    return TM_OK;
}

static bool is_taken(const hsm_signer *signer, const struct hsm_key *key) {
    struct bytes spki = hsm_key_spki(key);
    for (size_t i = 0; i < signer->config.issuer_count; i++)
        if (signer->ocsp_keys[i] && bytes_equal(hsm_key_spki(signer->ocsp_keys[i]), spki))
            return true;
    return is_issuers(signer, key);
}

/* After all others. RSA would have to sign by PSS, which no other key here does. */
static enum tm_err find_tls_key(hsm_signer *signer, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    char reason[HSM_TEXT_MAX];
    const char *label = signer->config.tls_key_label;
    enum tm_err err = label ? hsm_key_find(signer->token, label, &key, reason) : TM_OK;
    if (err)
        (void)snprintf(text, HSM_TEXT_MAX, "the TLS server's key: %.150s", reason);
    if (err || !label)
        return err;
    enum hsm_key_type type = hsm_key_describe(key).type;
    const char *fault = is_taken(signer, key) ? "is an issuer's, too"
                        : type != HSM_KEY_P256 && type != HSM_KEY_P384
                            ? "is neither P-256 nor P-384"
                            : NULL;
    if (fault) {
        (void)snprintf(text, HSM_TEXT_MAX, "the TLS server's key \"%.64s\" %s", label, fault);
        return TM_EDENIED;
    }
    signer->tls_key = key;
    signer->rules.tls_spki = hsm_key_spki(key);
    return TM_OK;
}

static enum tm_err find_keys(hsm_signer *signer, char text[HSM_TEXT_MAX]) {
    const struct hsm_signer_config *config = &signer->config;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < config->issuer_count && !err; i++) {
        signer->issuers[i] = config->issuers[i].issuer;
        if (config->issuers[i].elsewhere)
            continue;
        err = find_key(&config->issuers[i], signer, i, text);
        if (err)
            err = forgive(&config->issuers[i], err, text);
    }
    for (size_t i = 0; i < config->issuer_count && !err; i++) {
        err = find_ocsp_key(&config->issuers[i], signer, i, text);
        if (err)
            err = forgive(&config->issuers[i], err, text);
    }
    return err ? err : find_tls_key(signer, text);
}

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
    if (config->threads == 0 || config->issuer_count == 0) {
        (void)snprintf(text, HSM_TEXT_MAX, "a signer needs a thread and an issuer");
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
        err = find_keys(signer, text);
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
