/* SPDX-License-Identifier: Apache-2.0 */
/* The signer role: pkcs11/signer.h in a process of its own for each token, which alone ever sees
 * the token's PIN. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pkcs11/signer.h"
#include "server/core/core.h"
#include "server/role.h"

#define WATCH_MS 100

struct signer {
    struct role *role;
    struct core_setup setup;
    const struct conf_signer *token;
    bool pin_refused;
    struct hsm_signer_issuer *issuers;
    struct hsm_signer_config config;
    struct hsm_signer *hsm;
    struct loop_timer watch;
};

/* libp11 cannot recover inside the process: another one has to. */
static void token_dead(void *arg, const char *text) {
    (void)arg;
    log_error("the token does not answer as it should: %s; the signer restarts", text);
    _exit(ROLE_EXIT_FAILED);
}

/* PIN and session keys must not reach the swap. Pages are locked when they are first used, so that
 * stacks that nobody fills cost nothing; the limit has to go as long as we are root. */
static void lock_memory(void) {
    static const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    (void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
    struct rlimit limit;
    bool free_of_limit = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
    int future = free_of_limit ? MCL_FUTURE : 0; /* under a limit, new threads would fail */
    if (mlockall(MCL_CURRENT | MCL_ONFAULT | future))
        log_warn("the signer's memory is not locked (RLIMIT_MEMLOCK): it might be swapped out");
}

static void watch(void *arg) {
    struct signer *signer = arg;
    hsm_signer_watch(signer->hsm);
    if (loop_timer_set(signer->role->loop, &signer->watch, clock_mono_ms() + WATCH_MS))
        token_dead(NULL, "no memory for the watchdog");
}

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct signer *signer = role->self;
    (void)peer_index;
    if (peer != IPC_ROLE_CORE) {
        (void)close(fd);
        return;
    }
    enum tm_err err = hsm_signer_link(signer->hsm, fd);
    if (err && err != TM_ECLOSED) {
        log_error("cannot serve the core: %s", tm_err_name(err));
        role_fail(role, ROLE_EXIT_FAILED);
    }
}

/* signer_stop finishes what is under way. */
static void drain(struct role *role) {
    role_exit(role);
}

/* A standby holds what the token holds that it stands by for. */
static struct hsm_signer_issuer keys_of(const struct signer *signer, size_t issuer) {
    const struct core_setup *setup = &signer->setup;
    const struct core_issuer *uses = &setup->uses[issuer];
    return (struct hsm_signer_issuer){.issuer = &setup->issuers[issuer],
                                      .key_label = uses->key_label,
                                      .ocsp_key_label = uses->ocsp_key_label,
                                      .optional = !core_issuer_required(setup, issuer),
                                      .elsewhere = uses->token !=
                                                   setup->tokens[signer->role->index].primary};
}

static const char *tls_key_of(const struct signer *signer) {
    const struct core_setup *setup = &signer->setup;
    bool here =
        setup->has_tls_key && setup->tls_token == setup->tokens[signer->role->index].primary;
    return here ? signer->role->conf->tls.key_label : NULL;
}

static bool has_audit_key(const struct signer *signer) {
    return signer->setup.audit.on && signer->setup.audit.token == signer->role->index;
}

static enum tm_err configure(struct signer *signer) {
    const struct conf *conf = signer->role->conf;
    signer->token = conf_token(conf, signer->role->index);
    enum tm_err err = core_setup_load(conf, &signer->setup);
    if (err)
        return err;
    signer->issuers = calloc(signer->setup.issuer_count, sizeof *signer->issuers);
    if (!signer->issuers)
        return TM_ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < signer->setup.issuer_count; i++)
        if (!signer->setup.issuers[i].remote)
            signer->issuers[count++] = keys_of(signer, i);
    signer->config = (struct hsm_signer_config){
        .token = {.module = signer->token->module, .label = signer->token->token},
        .issuers = signer->issuers,
        .issuer_count = count,
        .tls_key_label = tls_key_of(signer),
        .checkpoint_key_label = has_audit_key(signer) ? conf->audit.key_label : NULL,
        .checkpoint_origin = signer->setup.audit.key.name,
        .checkpoint_public = signer->setup.audit.key.public_key,
        .profiles = signer->setup.profiles,
        .profile_count = signer->setup.profile_count,
        .threads = (unsigned)signer->token->threads,
        .watchdog_ms = signer->token->watchdog,
        .max_rate = signer->token->max_rate,
        .max_total = signer->token->max_total,
        .refuse_softhsm = conf->environment == CONF_ENV_PROD && !conf->softhsm_in_prod,
        .ret_pin_refused = &signer->pin_refused,
        .dead = token_dead,
        .arg = signer};
    return TM_OK;
}

static enum tm_err read_pin(const struct conf_signer *token, char pin[HSM_PIN_MAX],
                            char text[HSM_TEXT_MAX]) {
    char what[128];
    if (conf_pin_fd(token) >= 0) {
        enum tm_err err = hsm_pin_read_again(ROLE_FD_PIN, pin, text);
        (void)close(ROLE_FD_PIN);
        return err;
    }
    (void)snprintf(what, sizeof what, "User PIN of token %s", token->name);
    return hsm_pin_read_as(what, token->pin_file, pin, text);
}

/* The PIN file may be root's; the token's files are the user's, whose locks and new files root must
 * not own. */
static enum tm_err open_token(struct signer *signer) {
    char pin[HSM_PIN_MAX], text[HSM_TEXT_MAX] = "";
    if (signer->token->softhsm_conf && setenv("SOFTHSM2_CONF", signer->token->softhsm_conf, 1))
        return TM_ENOMEM;
    lock_memory();
    enum tm_err err = read_pin(signer->token, pin, text);
    if (err) {
        log_error("PIN: %s", text);
        return err;
    }
    err = role_drop(signer->role);
    if (!err)
        err = hsm_signer_open(&signer->config, pin, &signer->hsm, text);
    bytes_wipe(pin, sizeof pin);
    if (err)
        log_error("token: %s", text);
    if (signer->pin_refused)
        signer->role->exit_code = ROLE_EXIT_PIN;
    return err;
}

enum tm_err signer_start(struct role *role) {
    if (role->index >= conf_token_count(role->conf))
        return TM_EINVAL;
    struct signer *signer = calloc(1, sizeof *signer);
    if (!signer)
        return TM_ENOMEM;
    signer->role = role;
    signer->watch = (struct loop_timer){.fn = watch, .arg = signer};
    role->self = signer;
    role->linked = linked;
    role->drain = drain;
    enum tm_err err = configure(signer);
    if (!err)
        err = open_token(signer);
    if (!err)
        err = role_ready(role);
    if (!err)
        err = loop_timer_set(role->loop, &signer->watch, clock_mono_ms() + WATCH_MS);
    return err;
}

void signer_stop(struct role *role) {
    struct signer *signer = role->self;
    if (!signer)
        return;
    loop_timer_stop(role->loop, &signer->watch);
    hsm_signer_close(signer->hsm);
    free(signer->issuers);
    core_setup_free(&signer->setup);
    free(signer);
    role->self = NULL;
}
