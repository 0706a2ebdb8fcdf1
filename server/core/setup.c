/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration to issuers, profiles, tenants and labels: see core.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "ca/environment.h"
#include "ca/pem.h"
#include "server/core/core.h"

/* The CA of somebody else says nothing of our environments; but one of another says so. */
static bool environment_fits(const struct ca_issuer *issuer, unsigned environment) {
    bool fits = ca_environment_matches(issuer->view.subject, environment);
    for (unsigned i = 0; issuer->remote && !fits && ca_environment_words[i]; i++)
        if (ca_environment_matches(issuer->view.subject, i))
            return false;
    return fits || issuer->remote;
}

static enum tm_err load_issuers(const struct conf *conf, struct core_setup *setup) {
    const struct conf_issuer *items = conf->issuers.items;
    setup->issuers = calloc(conf->issuers.count + 1, sizeof *setup->issuers);
    if (!setup->issuers)
        return TM_ENOMEM;
    for (size_t i = 0; i < conf->issuers.count; i++) {
        char text[IPC_TEXT_MAX + 1];
        enum tm_err err = ca_issuer_load(items[i].name, items[i].certificate, items[i].chain,
                                         &setup->issuers[i], text);
        if (err) {
            log_error("issuer %s: %s", items[i].name, text);
            return err;
        }
        setup->issuer_count++;
        setup->issuers[i].crl_shards = (unsigned)items[i].crl_shards;
        setup->issuers[i].remote = items[i].kind == CONF_ISSUER_EST;
        setup->issuers[i].names_of_request = items[i].upstream.names == CONF_UPSTREAM_REQUEST;
        if (!environment_fits(&setup->issuers[i], conf->environment)) {
            log_error(
                "issuer %s: its certificate's subject does not say \"OU=%s\", as that of a CA "
                "of the configured environment does",
                items[i].name, ca_environment_unit(conf->environment));
            return TM_EDENIED;
        }
    }
    return TM_OK;
}

static enum tm_err load_tokens(const struct conf *conf, struct core_setup *setup) {
    setup->token_count = conf_token_count(conf);
    setup->tokens = calloc(setup->token_count, sizeof *setup->tokens);
    if (!setup->tokens)
        return TM_ENOMEM;
    for (size_t i = 0; i < setup->token_count; i++)
        setup->tokens[i] = (struct core_token){.name = conf_token(conf, i)->name,
                                               .watchdog_ms = conf_token(conf, i)->watchdog,
                                               .primary = conf_token_primary(conf, i),
                                               .standby = conf_token_standby(conf, i)};
    setup->has_tls_key = conf->tls.key_label != NULL;
    setup->tls_token = conf_token_named(conf, conf->tls.token);
    return TM_OK;
}

const struct ca_issuer *core_issuer_named(const struct core_setup *setup, const char *name) {
    for (size_t i = 0; i < setup->issuer_count; i++)
        if (strcmp(setup->issuers[i].name, name) == 0)
            return &setup->issuers[i];
    return NULL;
}

static enum tm_err load_tenants(const struct conf *conf, struct core_setup *setup) {
    const struct conf_tenant *items = conf->tenants.items;
    setup->tenants = calloc(conf->tenants.count + 1, sizeof *setup->tenants);
    setup->anchors = calloc(conf->tenants.count + 1, sizeof *setup->anchors);
    if (!setup->tenants || !setup->anchors)
        return TM_ENOMEM;
    setup->tenant_count = conf->tenants.count;
    for (size_t i = 0; i < conf->tenants.count; i++) {
        char text[IPC_TEXT_MAX + 1];
        const char *anchors = items[i].client_anchors;
        enum tm_err err =
            anchors && anchors[0] ? ca_pem_load(anchors, &setup->anchors[i], text) : TM_OK;
        if (err) {
            log_error("tenant %s: client anchors: %s", items[i].name, text);
            return err;
        }
        setup->tenants[i] = (struct ca_tenant){.name = items[i].name,
                                               .issuer = core_issuer_named(setup, items[i].issuer),
                                               .anchors = setup->anchors[i],
                                               .register_unknown = items[i].register_unknown,
                                               .authorities = items[i].registration_authorities};
        if (!setup->tenants[i].issuer) {
            log_error("tenant %s: there is no issuer %s", items[i].name, items[i].issuer);
            return TM_EPARSE;
        }
    }
    return TM_OK;
}

static const struct ca_tenant *tenant_named(const struct core_setup *setup, const char *name) {
    for (size_t i = 0; i < setup->tenant_count; i++)
        if (strcmp(setup->tenants[i].name, name) == 0)
            return &setup->tenants[i];
    return NULL;
}

/* A profile is loaded once however many labels use it. */
static enum tm_err load_profile(const struct conf *conf, struct core_setup *setup, const char *name,
                                const struct ca_profile **ret) {
    for (size_t i = 0; i < setup->profile_count; i++)
        if (strcmp(setup->profiles[i].name, name) == 0) {
            *ret = &setup->profiles[i];
            return TM_OK;
        }
    char path[4096];
    char error[CONF_ERROR_MAX];
    (void)snprintf(path, sizeof path, "%s/%s.yaml", conf->profiles_dir, name);
    struct ca_profile *profile = &setup->profiles[setup->profile_count];
    enum tm_err err = ca_profile_load(path, profile, error);
    if (err) {
        log_error("profile: %s", error);
        return err;
    }
    setup->profile_count++;
    if (profile->keygen != CA_KEYGEN_OFF && !conf->core.wrap_key) {
        log_error("profile: %s: server_keygen needs core.wrap_key, which seals the keys that may "
                  "have to be given again",
                  path);
        return TM_EPARSE;
    }
    if (strcmp(profile->name, name) != 0) {
        log_error("profile: %s calls itself %s; file and name must agree", path, profile->name);
        return TM_EPARSE;
    }
    *ret = profile;
    return TM_OK;
}

static enum tm_err load_label(const struct conf *conf, struct core_setup *setup, const char *tenant,
                              const char *profile, struct ca_label *ret) {
    ret->tenant = tenant_named(setup, tenant);
    if (!ret->tenant) {
        log_error("there is no tenant %s", tenant);
        return TM_EPARSE;
    }
    enum tm_err err = load_profile(conf, setup, profile, &ret->profile);
    char error[CONF_ERROR_MAX];
    if (err || ca_profile_check_issuer(ret->profile, ret->tenant->issuer, conf->status.url, error))
        return err;
    log_error("profile %s: %s", profile, error);
    return TM_EPARSE;
}

/* The server's own certificate is made here, or is the operator's affair. */
static enum tm_err load_server(const struct conf *conf, struct core_setup *setup) {
    enum tm_err err = load_label(conf, setup, conf->tls.tenant, conf->tls.profile, &setup->server);
    if (err || !setup->server.tenant->issuer->remote)
        return err;
    log_error("tls.tenant: issuer %s signs elsewhere; tls.self_issue needs one of the kind token",
              setup->server.tenant->issuer->name);
    return TM_EPARSE;
}

static enum tm_err load_labels(const struct conf *conf, struct core_setup *setup) {
    const struct conf_label *items = conf->labels.items;
    setup->labels = calloc(conf->labels.count + 1, sizeof *setup->labels);
    setup->profiles = calloc(conf->labels.count + 3, sizeof *setup->profiles);
    if (!setup->labels || !setup->profiles)
        return TM_ENOMEM;
    bool any_default = false;
    for (size_t i = 0; i < conf->labels.count; i++) {
        struct ca_label *label = &setup->labels[i];
        enum tm_err err = load_label(conf, setup, items[i].tenant, items[i].profile, label);
        if (err)
            return err;
        label->label = items[i].label;
        label->is_default = items[i].is_default;
        any_default = any_default || label->is_default;
        setup->label_count++;
    }
    /* RFC 7030, 3.2.2: the services are there without a label too. */
    if (!any_default && setup->label_count)
        setup->labels[0].is_default = true;
    if (!conf->tls.self_issue)
        return TM_OK;
    setup->has_server = true;
    setup->server.label = "";
    return load_server(conf, setup);
}

static enum tm_err load_ocsp_profile(const struct conf *conf, struct core_setup *setup) {
    if (!conf->status.url)
        return TM_OK;
    enum tm_err err = load_profile(conf, setup, conf->status.ocsp_profile, &setup->ocsp_profile);
    if (err || setup->ocsp_profile->kind == CA_KIND_OCSP)
        return err;
    log_error("status.ocsp_profile: %s is not of the kind ocsp", conf->status.ocsp_profile);
    return TM_EPARSE;
}

static enum tm_err load_proof_profile(const struct conf *conf, struct core_setup *setup) {
    const char *name = conf->core.proof_profile;
    if (!name)
        return TM_OK;
    enum tm_err err = load_profile(conf, setup, name, &setup->proof_profile);
    if (err || setup->proof_profile->kind == CA_KIND_PROOF)
        return err;
    log_error("core.proof_profile: %s is not of the kind proof", name);
    return TM_EPARSE;
}

enum tm_err core_setup_load(const struct conf *conf, struct core_setup *ret) {
    memset(ret, 0, sizeof *ret);
    enum tm_err err = load_issuers(conf, ret);
    if (!err)
        err = load_tokens(conf, ret);
    if (!err)
        err = load_tenants(conf, ret);
    if (!err)
        err = core_trust_load(conf, ret);
    if (!err)
        err = load_labels(conf, ret);
    if (!err)
        err = load_ocsp_profile(conf, ret);
    if (!err)
        err = load_proof_profile(conf, ret);
    if (!err)
        err = core_audit_load(conf, ret);
    if (!err)
        err = core_officers_load(conf, ret);
    if (err)
        core_setup_free(ret);
    return err;
}

void core_setup_free(struct core_setup *setup) {
    for (size_t i = 0; i < setup->issuer_count; i++)
        ca_issuer_free(&setup->issuers[i]);
    for (size_t i = 0; i < setup->profile_count; i++)
        ca_profile_free(&setup->profiles[i]);
    for (size_t i = 0; setup->anchors && i < setup->tenant_count; i++)
        free((void *)(uintptr_t)setup->anchors[i].p);
    core_officers_free(setup);
    core_trust_free(setup);
    free(setup->tokens);
    free(setup->issuers);
    free(setup->profiles);
    free(setup->tenants);
    free(setup->anchors);
    free(setup->labels);
    memset(setup, 0, sizeof *setup);
}
