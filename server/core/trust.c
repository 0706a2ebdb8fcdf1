/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which issuers a tenant has, and what its devices are told to trust (RFC 7030, 4.1.3): the
 * issuer that signs with what is above it, the others of the tenant with theirs, and what leads
 * from one root to another (RFC 4210, 4.4), each certificate once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "ca/pem.h"
#include "pki/cert.h"
#include "server/core/core.h"

/* A certificate as it stands at the beginning of several; none at their end. */
static struct bytes first_of(struct bytes certificates) {
    struct bytes rest = certificates;
    struct der one;
    return rest.n && !der_next(&rest, &one) ? one.whole : (struct bytes){0};
}

static bool contains(struct bytes all, struct bytes certificate) {
    for (struct bytes one = first_of(all); one.n; one = first_of(all)) {
        if (bytes_equal(one, certificate))
            return true;
        all = (struct bytes){all.p + one.n, all.n - one.n};
    }
    return false;
}

static void add(struct buf *out, struct bytes certificates) {
    for (struct bytes one = first_of(certificates); one.n; one = first_of(certificates)) {
        if (!contains(buf_bytes(out), one))
            buf_put(out, one);
        certificates = (struct bytes){certificates.p + one.n, certificates.n - one.n};
    }
}

static const struct conf_issuer *conf_issuer_of(const struct conf *conf,
                                                const struct ca_issuer *issuer) {
    const struct conf_issuer *items = conf->issuers.items;
    size_t i = 0;
    while (strcmp(items[i].name, issuer->name) != 0)
        i++;
    return &items[i];
}

/* One rollover certificate: it has to be a CA's, by its own word. */
static enum tm_err add_rollover(const char *issuer, const char *path, struct buf *out) {
    char text[IPC_TEXT_MAX + 1];
    struct bytes der;
    struct pki_cert view;
    bool is_ca = false;
    int path_len;
    if (!path)
        return TM_OK;
    enum tm_err err = ca_pem_load(path, &der, text);
    if (err) {
        log_error("issuer %s: %s", issuer, text);
        return err;
    }
    if (pki_cert_parse(der, &view) || pki_cert_basic_constraints(&view, &is_ca, &path_len) ||
        !is_ca) {
        log_error("issuer %s: %s does not hold one CA certificate", issuer, path);
        err = TM_EPARSE;
    }
    if (!err)
        add(out, der);
    free((void *)(uintptr_t)der.p);
    return err;
}

static enum tm_err add_issuer(const struct conf *conf, const struct ca_issuer *issuer,
                              struct buf *out) {
    const struct conf_issuer *said = conf_issuer_of(conf, issuer);
    add(out, issuer->der);
    add(out, issuer->chain);
    enum tm_err err = add_rollover(issuer->name, said->old_with_new, out);
    return err ? err : add_rollover(issuer->name, said->new_with_old, out);
}

/* The last certificate of the issuer's chain, or itself. */
static struct bytes root_of(const struct ca_issuer *issuer) {
    struct bytes root = issuer->der, rest = issuer->chain;
    for (struct bytes one = first_of(rest); one.n; one = first_of(rest)) {
        root = one;
        rest = (struct bytes){rest.p + one.n, rest.n - one.n};
    }
    return root;
}

/* Certificates of the root's key by other roots. */
static void add_crossings(struct bytes all, const struct ca_issuer *issuer, struct buf *out) {
    struct bytes root = root_of(issuer);
    struct pki_cert root_view, view;
    if (pki_cert_parse(root, &root_view))
        return;
    for (struct bytes one = first_of(all); one.n; one = first_of(all)) {
        if (!bytes_equal(one, root) && !pki_cert_parse(one, &view) &&
            bytes_equal(view.spki.whole, root_view.spki.whole))
            buf_put(out, one);
        all = (struct bytes){all.p + one.n, all.n - one.n};
    }
}

static enum tm_err keep(const struct buf *from, struct bytes *ret) {
    uint8_t *copy = malloc(from->n + 1);
    if (!copy)
        return TM_ENOMEM;
    memcpy(copy, from->p, from->n);
    *ret = (struct bytes){copy, from->n};
    return TM_OK;
}

static const struct ca_issuer *issuer_named(const struct core_setup *setup, const char *name) {
    for (size_t i = 0; i < setup->issuer_count; i++)
        if (strcmp(setup->issuers[i].name, name) == 0)
            return &setup->issuers[i];
    return NULL;
}

static void raise(struct core_setup *setup, const struct ca_issuer *issuer,
                  enum core_issuer_state state) {
    struct core_issuer *uses = &setup->uses[issuer - setup->issuers];
    if (uses->state < state)
        uses->state = state;
}

static enum tm_err load_tenant(const struct conf *conf, struct core_setup *setup, size_t index) {
    const struct conf_tenant *said = (const struct conf_tenant *)conf->tenants.items + index;
    struct ca_tenant *tenant = &setup->tenants[index];
    struct core_trust *trust = &setup->trust[index];
    uint8_t memory[IPC_CHAIN_MAX], crossings_memory[IPC_CHAIN_MAX];
    struct buf all = BUF_ON(memory), crossings = BUF_ON(crossings_memory);
    enum tm_err err = add_issuer(conf, tenant->issuer, &all);
    raise(setup, tenant->issuer, CORE_ISSUER_ACTIVE);
    for (size_t i = 0; i < said->also.count && i < CORE_ALSO_MAX && !err; i++) {
        const struct ca_issuer *other = issuer_named(setup, said->also.items[i]);
        if (!other || other == tenant->issuer)
            continue;
        trust->also[trust->also_count++] = other;
        raise(setup, other, CORE_ISSUER_OVERLAP);
        err = add_issuer(conf, other, &all);
    }
    if (!err && all.full) {
        log_error("tenant %s: its CA certificates come to more than %d octets; retire issuers that "
                  "are not in use any more",
                  tenant->name, IPC_CHAIN_MAX);
        err = TM_ELIMIT;
    }
    if (err)
        return err;
    add_crossings(buf_bytes(&all), tenant->issuer, &crossings);
    err = keep(&all, &trust->cacerts);
    if (!err)
        err = keep(&crossings, &trust->rollover);
    tenant->rollover = trust->rollover;
    return err;
}

enum tm_err core_trust_load(const struct conf *conf, struct core_setup *setup) {
    const struct conf_issuer *issuers = conf->issuers.items;
    enum tm_err err = TM_OK;
    setup->uses = calloc(setup->issuer_count + 1, sizeof *setup->uses);
    setup->trust = calloc(setup->tenant_count + 1, sizeof *setup->trust);
    if (!setup->uses || !setup->trust)
        return TM_ENOMEM;
    for (size_t i = 0; i < setup->issuer_count; i++)
        setup->uses[i] = (struct core_issuer){.token = conf_token_named(conf, issuers[i].token),
                                              .key_label = issuers[i].key_label,
                                              .ocsp_key_label = issuers[i].ocsp_key_label,
                                              .upstream_url = issuers[i].upstream.url,
                                              .state = issuers[i].retired ? CORE_ISSUER_RETIRED
                                                                          : CORE_ISSUER_STANDBY};
    for (size_t i = 0; i < setup->tenant_count && !err; i++)
        err = load_tenant(conf, setup, i);
    return err;
}

void core_trust_free(struct core_setup *setup) {
    for (size_t i = 0; setup->trust && i < setup->tenant_count; i++) {
        free((void *)(uintptr_t)setup->trust[i].cacerts.p);
        free((void *)(uintptr_t)setup->trust[i].rollover.p);
    }
    free(setup->trust);
    free(setup->uses);
}

const char *core_issuer_state_name(enum core_issuer_state state) {
    switch (state) {
    case CORE_ISSUER_RETIRED:
        return "retired";
    case CORE_ISSUER_STANDBY:
        return "standby";
    case CORE_ISSUER_OVERLAP:
        return "overlap";
    case CORE_ISSUER_ACTIVE:
        break;
    }
    return "active";
}

bool core_issuer_required(const struct core_setup *setup, size_t issuer) {
    if (setup->issuers[issuer].remote)
        return false;
    for (size_t i = 0; i < setup->tenant_count; i++)
        if (setup->tenants[i].issuer == &setup->issuers[issuer])
            return true;
    return false;
}
