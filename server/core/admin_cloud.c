/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs for clouds, over the administration socket: see admin_internal.h. Where the configuration
 * names officers, asking for one is to propose it; what came of that is asked for by the act's ID.
 */
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/auto.h"
#include "server/core/acts.h"
#include "server/core/admin_internal.h"

AUTO_DEFINE(BIO, BIO_free_all)

/* ---- what is answered ---- */

static json_t *pem_json(struct bytes der) {
    AUTO(BIO) bio = BIO_new(BIO_s_mem());
    char *text;
    if (!bio || PEM_write_bio(bio, PEM_STRING_X509, "", der.p, (long)der.n) <= 0)
        return NULL;
    long n = BIO_get_mem_data(bio, &text);
    return n > 0 ? json_stringn(text, (size_t)n) : NULL;
}

static void answer_certificate(struct client *client, const struct ca_serial *serial) {
    struct ca_store *store = client->admin->config.store;
    struct ca_certificate certificate;
    uint8_t octets[IPC_CERT_MAX];
    struct buf der = BUF_ON(octets);
    if (store->ops->certificate(store, serial, &certificate, &der) || !certificate.der.n) {
        admin_refuse(client, "the certificate is not in the registry");
        return;
    }
    json_t *object = admin_json_certificate(&certificate);
    (void)json_object_set_new(object, "pem", pem_json(certificate.der));
    admin_answer(client, object);
}

/* ---- without officers: at once ---- */

static void proved(void *arg, const struct ipc_reply *reply) {
    struct client *client = arg;
    struct pki_cert cert;
    struct ca_serial serial;
    if (!admin_act_ends(client))
        return;
    if (reply->outcome != IPC_ISSUED && reply->outcome != IPC_REPEATED)
        admin_refuse(client, reply->text);
    else if (pki_cert_parse(reply->certificate, &cert) || !ca_serial_read(cert.serial, &serial))
        admin_refuse(client, "the certificate cannot be read");
    else
        answer_certificate(client, &serial);
}

/* ---- with officers: an act ---- */

static void propose(struct client *client, const struct ipc_admin_request *q, const char *code) {
    struct ca_act_params params = {0};
    enum tm_err err = ca_act_param_add(&params, "issuer", q->issuer);
    if (!err)
        err = ca_act_param_add(&params, "cloud", q->state);
    if (!err)
        err = ca_act_param_add(&params, "code", code);
    if (err) {
        admin_refuse(client, "the proposal's parameters are too long");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_act_propose(client->admin->config.acts->acts, CORE_CLOUD_ACT,
                                           &params, (int64_t)q->seconds * 1000, client->actor,
                                           admin_act_done, client));
}

/* ---- what came of one ---- */

static void answer_act(struct client *client, const struct ca_act *act) {
    if (strcmp(act->kind, CORE_CLOUD_ACT) != 0)
        admin_refuse_format(client, "this act is of the kind %s, not " CORE_CLOUD_ACT, act->kind);
    else if (act->status == CA_ACT_DONE)
        answer_certificate(client, &act->cursor);
    else if (act->status == CA_ACT_FAILED)
        admin_refuse_format(client, "the act failed: %.200s", act->result);
    else if (act->status == CA_ACT_WITHDRAWN)
        admin_refuse(client, "the act was withdrawn");
    else if (act->status == CA_ACT_EXPIRED)
        admin_refuse(client, "the act has expired; propose it again");
    else if (act->status == CA_ACT_RUNNING)
        admin_refuse(client, "the act is under way; ask again");
    else
        admin_refuse_format(client, "the act has %zu of %d signatures; touchmark act sign adds one",
                            act->signature_count, CA_ACT_OFFICERS);
}

static void show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_act act;
    uint8_t octets[CA_ROW_MEMORY_MAX];
    struct buf memory = BUF_ON(octets);
    if (admin_act_find(client, q, &memory, &act))
        answer_act(client, &act);
}

void admin_cloud_proof(struct client *client, const struct ipc_admin_request *q) {
    struct core_cloud *cloud = client->admin->config.acts->cloud;
    char code[IPC_TEXT_MAX + 1] = "", text[IPC_TEXT_MAX + 1];
    if (q->serial[0]) {
        show(client, q);
        return;
    }
    /* What is too long, or no text, is none, as "". */
    if (q->data.n && q->data.n < sizeof code && !memchr(q->data.p, 0, q->data.n))
        memcpy(code, q->data.p, q->data.n);
    if (core_cloud_judge(cloud, q->issuer, q->state, code, text)) {
        admin_deny(client, text);
    } else if (client->admin->config.setup->officer_count) {
        propose(client, q, code);
    } else {
        admin_act_begins(client);
        core_cloud_prove(cloud, q->issuer, code, client->actor, proved, client);
    }
}
