/* SPDX-License-Identifier: Apache-2.0 */
/* OCSP answers and the certificates of OCSP keys: see ocsp.h. */
#include "server/core/ocsp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ca/ocsp.h"

#define ANSWERS_MAX 256    /* on their way to the signer at once */
#define UNKNOWN_MS 300000  /* how long it is true that nobody knows a serial */
#define LOOK_MS 3600000    /* whether a certificate is to be renewed */
#define LOOK_AGAIN_MS 1000 /* after a failure, or while the signer is away */
#define COUNT_MS 60000
#define DATA_MAX 1024 /* octets of a ResponseData with one certificate */

/* An issuer, and its OCSP key if it has one. */
struct responder {
    struct core_ocsp *ocsp;
    const struct ca_issuer *issuer;
    char device[IPC_NAME_MAX + 1]; /* as which its certificate is recorded */
    struct ca_tenant tenant;       /* whose device that is, under this issuer */
    struct ca_label label;
    struct ca_ocsp_responder who; /* der empty: no certificate yet */
    bool keyless;                 /* the token shows no OCSP key for it */
    bool asking;
    int64_t look_at; /* monotonic ms */
    uint32_t uses;   /* not counted in the store yet */
    bool counting;
    uint32_t counted;
    struct ca_batch batch;
};

struct answer {
    struct core_ocsp *ocsp;
    struct answer *prev, *next;
    struct responder *responder;
    uint64_t id;
    struct ipc_link *link; /* NULL: whoever asked is gone */
    struct ca_serial serial;
    int64_t this_update_ms;
    int64_t next_update_ms;
    size_t data_n;
    uint8_t data[DATA_MAX];
    struct ca_ticket ticket;
};

struct core_ocsp {
    struct core_ocsp_config config;
    struct core_links links; /* to status faces */
    struct responder *responders;
    size_t count;
    struct answer *first;
    size_t waiting;
    int64_t second; /* monotonic: of `signed_in_second` */
    uint64_t signed_in_second;
    int64_t count_at;
};

/* ---- answering ---- */

static void reply(struct ipc_link *link, const struct ipc_ocsp_answer *answer) {
    enum tm_err err = link ? ipc_link_send(link, &ipc_ocsp_answer_schema, answer) : TM_OK;
    if (err && err != TM_ECLOSED)
        log_warn("an OCSP answer is not delivered: %s", tm_err_name(err));
}

static void reply_error(struct ipc_link *link, uint64_t id, enum ca_ocsp_error error) {
    uint8_t octets[32];
    struct buf response = BUF_ON(octets);
    if (ca_ocsp_error(error, &response))
        return;
    const struct ipc_ocsp_answer answer = {.id = id, .response = buf_bytes(&response)};
    reply(link, &answer);
}

static void answer_free(struct answer *a) {
    if (a->prev)
        a->prev->next = a->next;
    else
        a->ocsp->first = a->next;
    if (a->next)
        a->next->prev = a->prev;
    a->ocsp->waiting--;
    free(a);
}

static void reply_signed(const struct answer *a, struct bytes response) {
    struct ipc_ocsp_answer answer = {.id = a->id,
                                     .good = true,
                                     .this_update_ms = a->this_update_ms,
                                     .next_update_ms = a->next_update_ms,
                                     .serial_n = a->serial.n,
                                     .response = response};
    memcpy(answer.serial, a->serial.octets, sizeof answer.serial);
    TEXT_SET(answer.issuer, a->responder->issuer->name);
    reply(a->link, &answer);
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct answer *a = ticket->arg;
    struct ca_signer *signer = core_signer_interface(a->ocsp->config.signer);
    uint8_t octets[IPC_OCSP_MAX];
    struct buf response = BUF_ON(octets);
    enum tm_err err = status != IPC_SIGN_OK
                          ? TM_ETOKEN
                          : ca_ocsp_response(&a->responder->who, (struct bytes){a->data, a->data_n},
                                             signature, &response);
    if (err == TM_ECRYPTO) {
        log_error("the signer's signature on an OCSP answer does not verify; it is restarted");
        signer->ops->distrust(signer, ticket);
    }
    if (err) {
        reply_error(a->link, a->id, CA_OCSP_TRY_LATER);
    } else {
        a->responder->uses++;
        reply_signed(a, buf_bytes(&response));
    }
    answer_free(a);
}

/* What the registry says. A serial that was burned, or is another issuer's, is not known under this
 * one. */
static enum tm_err look_up(struct core_ocsp *ocsp, const struct ca_issuer *issuer,
                           const struct ca_serial *serial, struct pki_ocsp_single *ret) {
    struct ca_certificate certificate;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    struct ca_store *store = ocsp->config.store;
    enum tm_err err = store->ops->certificate(store, serial, &certificate, &buf);
    ret->status = PKI_OCSP_UNKNOWN;
    if (err || certificate.status == CA_CERT_BURNED ||
        strcmp(certificate.issuer, issuer->name) != 0)
        return err == TM_ENOTFOUND ? TM_OK : err;
    ret->status = PKI_OCSP_GOOD;
    if (certificate.status == CA_CERT_REVOKED) {
        ret->status = PKI_OCSP_REVOKED;
        ret->revoked_ms = certificate.revoked_ms;
        ret->reason = certificate.revoked_reason;
    }
    return TM_OK;
}

static bool below_ceiling(struct core_ocsp *ocsp) {
    int64_t second = clock_mono_ms() / 1000;
    if (second != ocsp->second) {
        ocsp->second = second;
        ocsp->signed_in_second = 0;
    }
    return ocsp->signed_in_second++ < ocsp->config.conf->ocsp_per_second;
}

static struct answer *answer_new(struct core_ocsp *ocsp, struct responder *responder,
                                 struct ipc_link *link, uint64_t id) {
    struct answer *a = ocsp->waiting < ANSWERS_MAX ? calloc(1, sizeof *a) : NULL;
    if (!a)
        return NULL;
    a->ocsp = ocsp;
    a->responder = responder;
    a->id = id;
    a->link = link;
    a->next = ocsp->first;
    if (ocsp->first)
        ocsp->first->prev = a;
    ocsp->first = a;
    ocsp->waiting++;
    return a;
}

static enum tm_err fill(struct answer *a, const struct pki_ocsp_cert_id *id) {
    const struct core_ocsp_config *config = &a->ocsp->config;
    struct pki_ocsp_single single = {.id = *id};
    if (!ca_serial_read(id->serial, &a->serial))
        return TM_ELIMIT;
    enum tm_err err = look_up(a->ocsp, a->responder->issuer, &a->serial, &single);
    if (err)
        return err;
    a->this_update_ms = config->now_ms() / 1000 * 1000;
    a->next_update_ms =
        a->this_update_ms +
        (single.status == PKI_OCSP_UNKNOWN ? UNKNOWN_MS : config->conf->ocsp_lifetime);
    single.this_update_ms = a->this_update_ms;
    single.next_update_ms = a->next_update_ms;
    struct buf data = BUF_ON(a->data);
    err = ca_ocsp_data(&a->responder->who, a->this_update_ms, &single, 1, &data);
    a->data_n = data.n;
    return err;
}

static enum tm_err sign(struct answer *a) {
    struct ca_signer *signer = core_signer_interface(a->ocsp->config.signer);
    a->ticket = (struct ca_ticket){.kind = CA_TICKET_OCSP,
                                   .issuer = a->responder->issuer->name,
                                   .content = {a->data, a->data_n},
                                   .done = signed_done,
                                   .arg = a};
    return signer->ops->sign(signer, &a->ticket);
}

static void answer(struct core_ocsp *ocsp, struct responder *responder, struct ipc_link *link,
                   uint64_t id, const struct pki_ocsp_cert_id *cert_id) {
    struct answer *a = NULL;
    enum tm_err err = responder->who.der.n && below_ceiling(ocsp) ? TM_OK : TM_EFULL;
    if (!err) {
        a = answer_new(ocsp, responder, link, id);
        err = a ? fill(a, cert_id) : TM_EFULL;
    }
    if (!err)
        err = sign(a);
    if (!err)
        return;
    reply_error(link, id, err == TM_ELIMIT ? CA_OCSP_MALFORMED_REQUEST : CA_OCSP_TRY_LATER);
    if (a)
        answer_free(a);
}

bool core_ocsp_asked(struct core_ocsp *ocsp, struct ipc_link *link,
                     const struct ipc_ocsp_ask *ask) {
    struct pki_ocsp_cert_id id;
    if (!ocsp || pki_ocsp_cert_id_parse(ask->cert_id, &id))
        return false;
    if (ocsp->config.held && *ocsp->config.held) {
        reply_error(link, ask->id, CA_OCSP_TRY_LATER);
        return true;
    }
    for (size_t i = 0; i < ocsp->count; i++)
        if (!ocsp->responders[i].keyless && ca_ocsp_names_issuer(ocsp->responders[i].issuer, &id)) {
            answer(ocsp, &ocsp->responders[i], link, ask->id, &id);
            return true;
        }
    reply_error(link, ask->id, CA_OCSP_UNAUTHORIZED);
    return true;
}

/* ---- who keeps answers ---- */

static void drop(struct ipc_link *link, const char *issuer, const struct ca_serial *serial) {
    struct ipc_ocsp_drop message = {.serial_n = serial->n};
    TEXT_SET(message.issuer, issuer);
    memcpy(message.serial, serial->octets, sizeof message.serial);
    enum tm_err err = ipc_link_send(link, &ipc_ocsp_drop_schema, &message);
    if (err && err != TM_ECLOSED)
        log_error("the status face may keep an outdated OCSP answer: %s", tm_err_name(err));
}

void core_ocsp_revoked(struct core_ocsp *ocsp, const struct ca_certificate *certificate) {
    for (size_t i = 0; ocsp && i < ocsp->links.count; i++)
        drop(ocsp->links.items[i], certificate->issuer, &certificate->serial);
}

/* What was revoked while no core told a face is in no answer of this process: all are new. */
void core_ocsp_link(struct core_ocsp *ocsp, struct ipc_link *link) {
    static const struct ca_serial all = {0};
    if (!ocsp)
        return;
    core_links_add(&ocsp->links, link);
    for (size_t i = 0; i < ocsp->count; i++)
        drop(link, ocsp->responders[i].issuer->name, &all);
}

void core_ocsp_unlink(struct core_ocsp *ocsp, const struct ipc_link *link) {
    if (!ocsp)
        return;
    core_links_remove(&ocsp->links, link);
    for (struct answer *a = ocsp->first; a; a = a->next)
        if (a->link == link)
            a->link = NULL;
}

/* ---- certificates of OCSP keys ---- */

static void take_certificate(struct responder *r, struct bytes der) {
    struct ca_ocsp_responder who;
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = ca_ocsp_responder_load(r->issuer, der, &who, text);
    if (err) {
        log_error("the certificate of the OCSP key of %s is not good: %s", r->issuer->name, text);
        return;
    }
    ca_ocsp_responder_free(&r->who);
    r->who = who;
    r->look_at = clock_mono_ms() + LOOK_MS;
}

static void certified(void *arg, const struct ipc_reply *answer_to) {
    struct responder *r = arg;
    r->asking = false;
    r->look_at = clock_mono_ms() + LOOK_AGAIN_MS;
    if (answer_to->outcome == IPC_ISSUED || answer_to->outcome == IPC_REPEATED)
        take_certificate(r, answer_to->certificate);
    else
        log_error("no certificate for the OCSP key of %s: %s", r->issuer->name, answer_to->text);
}

/* The same certificate comes again until the profile's retry_window is over: then it is a new one.
 */
static void look(struct responder *r, int64_t now) {
    const struct core_ocsp_config *config = &r->ocsp->config;
    struct bytes spki;
    if (r->asking || now < r->look_at || !core_signer_knows(config->signer, r->issuer->name))
        return;
    r->look_at = now + LOOK_AGAIN_MS;
    r->keyless = core_signer_ocsp_key(config->signer, r->issuer->name, &spki) != TM_OK;
    if (r->keyless)
        return;
    r->asking = true;
    ca_service_delegate(config->service, &r->label, r->device, spki, certified, r);
}

/* ---- counting ---- */

static void uses_counted(struct ca_batch *batch, enum tm_err result) {
    struct responder *r = batch->arg;
    r->counting = false;
    if (!result)
        r->uses -= r->counted;
}

static void count_uses(struct responder *r) {
    struct ca_store *store = r->ocsp->config.store;
    if (!r->uses || r->counting)
        return;
    r->counted = r->uses;
    r->batch = (struct ca_batch){
        .count = 1,
        .changes = {{.kind = CA_COUNT_USE, .u.use = {r->issuer->name, CA_USE_OCSP, r->uses}}},
        .done = uses_counted,
        .arg = r};
    r->counting = store->ops->submit(store, &r->batch) == TM_OK;
}

void core_ocsp_tick(struct core_ocsp *ocsp) {
    if (!ocsp)
        return;
    int64_t now = clock_mono_ms();
    bool count = now >= ocsp->count_at;
    if (count)
        ocsp->count_at = now + COUNT_MS;
    for (size_t i = 0; i < ocsp->count; i++) {
        look(&ocsp->responders[i], now);
        if (count)
            count_uses(&ocsp->responders[i]);
    }
}

int64_t core_ocsp_not_after(const struct core_ocsp *ocsp, const char *issuer) {
    for (size_t i = 0; ocsp && i < ocsp->count; i++)
        if (strcmp(ocsp->responders[i].issuer->name, issuer) == 0 && ocsp->responders[i].who.der.n)
            return ocsp->responders[i].who.view.not_after_ms;
    return 0;
}

/* ---- life ---- */

static void add(struct core_ocsp *ocsp, const struct ca_issuer *issuer) {
    const struct core_setup *setup = ocsp->config.setup;
    struct responder *r = &ocsp->responders[ocsp->count++];
    r->ocsp = ocsp;
    r->issuer = issuer;
    (void)snprintf(r->device, sizeof r->device, "ocsp.%.58s", issuer->name);
    r->tenant = (struct ca_tenant){.name = CORE_OWN_TENANT, .issuer = issuer};
    r->label = (struct ca_label){.label = "", .tenant = &r->tenant, .profile = setup->ocsp_profile};
}

enum tm_err core_ocsp_new(const struct core_ocsp_config *config, struct core_ocsp **ret_ocsp) {
    struct core_ocsp *ocsp = calloc(1, sizeof *ocsp);
    if (!ocsp)
        return TM_ENOMEM;
    ocsp->config = *config;
    ocsp->responders = calloc(config->setup->issuer_count + 1, sizeof *ocsp->responders);
    if (!ocsp->responders) {
        free(ocsp);
        return TM_ENOMEM;
    }
    for (size_t i = 0; i < config->setup->issuer_count; i++)
        if (!config->setup->issuers[i].remote)
            add(ocsp, &config->setup->issuers[i]);
    *ret_ocsp = ocsp;
    return TM_OK;
}

void core_ocsp_free(struct core_ocsp *ocsp) {
    if (!ocsp)
        return;
    while (ocsp->first)
        answer_free(ocsp->first);
    for (size_t i = 0; i < ocsp->count; i++)
        ca_ocsp_responder_free(&ocsp->responders[i].who);
    free(ocsp->responders);
    free(ocsp);
}
