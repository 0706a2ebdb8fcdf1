/* SPDX-License-Identifier: Apache-2.0 */
/* EST requests to answers or messages for the core, and the core's replies to answers. */
#include "est/service/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "est/service/catalog.h"
#include "est/service/judge.h"
#include "est/service/response.h"
#include "est/wire/base64.h"
#include "est/wire/certs_only.h"

/* Retry-After of a 503 that the core did not time: spread, so that all do not come back at once. */
#define RETRY_MIN_S 5
#define RETRY_SPREAD_S 20
/* 202 and 503 "MUST" or should say when to come back (RFC 7030, 4.2.3); if the core did not. */
#define RETRY_DEFAULT_S 30
#define CERTS_ONLY_OVERHEAD 64

#define TEXT_OF(number) #number
#define DIGITS(number) TEXT_OF(number)

struct est_service {
    struct catalog *current; /* whole, or NULL */
    struct catalog *next;    /* being filled, or NULL */
    uint64_t random;
};

enum tm_err est_service_new(struct est_service **ret_service) {
    struct est_service *service = calloc(1, sizeof *service);
    if (!service)
        return TM_ENOMEM;
    /* Without randomness the spread is still there, only the same for every process. */
    if (getrandom(&service->random, sizeof service->random, GRND_NONBLOCK) < 0)
        service->random = (uint64_t)clock_mono_ms();
    *ret_service = service;
    return TM_OK;
}

void est_service_free(struct est_service *service) {
    if (!service)
        return;
    catalog_free(service->current);
    catalog_free(service->next);
    free(service);
}

/* Nothing to take: it is what is visible already, or older than what comes in. */
static bool is_old(const struct est_service *service, uint32_t generation) {
    return (service->current && generation <= service->current->generation) ||
           (service->next && generation < service->next->generation);
}

static enum tm_err begin_generation(struct est_service *service, const struct ipc_catalog *entry) {
    struct catalog *begun;
    enum tm_err err = catalog_new(entry, &begun);
    if (err)
        return err;
    catalog_free(service->next);
    service->next = begun;
    return TM_OK;
}

enum tm_err est_service_catalog(struct est_service *service, const struct ipc_catalog *entry) {
    enum tm_err err = TM_OK;
    if (is_old(service, entry->generation))
        return TM_OK;
    if (!service->next || service->next->generation != entry->generation)
        err = begin_generation(service, entry);
    if (!err)
        err = catalog_take(service->next, entry);
    if (err || !catalog_whole(service->next))
        return err;
    catalog_free(service->current);
    service->current = service->next;
    service->next = NULL;
    return TM_OK;
}

bool est_service_ready(const struct est_service *service) {
    return service->current != NULL;
}

static uint32_t spread_retry(struct est_service *service) {
    service->random = service->random * 6364136223846793005u + 1442695040888963407u;
    return RETRY_MIN_S + (uint32_t)(service->random >> 33) % (RETRY_SPREAD_S + 1);
}

static void copy_text(char *ret, size_t cap, const char *text) {
    size_t n = strnlen(text, cap - 1);
    memcpy(ret, text, n);
    memset(ret + n, 0, cap - n);
}

static void refuse(struct est_service *service, const struct est_request *request,
                   const struct judgement *j, struct est_response *response,
                   struct ipc_refused *ret_refused) {
    uint32_t retry_after_s = j->outcome == IPC_UNAVAILABLE ? spread_retry(service) : 0;
    response_text(response, j->outcome, j->text, retry_after_s);
    if (j->allow)
        response_header(response, "Allow", j->allow);
    *ret_refused = (struct ipc_refused){0};
    if (!j->record)
        return;
    ret_refused->id = request->id;
    ret_refused->operation = (uint8_t)j->operation;
    ret_refused->origin = IPC_ORIGIN_HTTPS;
    ret_refused->outcome = (uint8_t)j->outcome;
    ret_refused->peer_leaf = request->peer_leaf;
    copy_text(ret_refused->label, sizeof ret_refused->label, j->label);
    copy_text(ret_refused->remote, sizeof ret_refused->remote,
              request->remote ? request->remote : "");
    copy_text(ret_refused->text, sizeof ret_refused->text, j->text);
}

static void set(struct judgement *j, enum ipc_outcome outcome, const char *text) {
    j->outcome = outcome;
    j->text = text;
}

enum tm_err est_service_head(struct est_service *service, const struct est_request *request,
                             int64_t content_length, size_t max_body, struct est_response *response,
                             struct ipc_refused *ret_refused) {
    char text[IPC_TEXT_MAX + 1];
    struct judgement j = judge_head(service->current, request);
    if (!j.outcome && content_length > 0 && (uint64_t)content_length > max_body) {
        (void)snprintf(text, sizeof text, "The request body may have at most %zu octets.",
                       max_body);
        set(&j, IPC_TOO_LARGE, text);
    }
    if (!j.outcome)
        return TM_OK;
    refuse(service, request, &j, response, ret_refused);
    /* A body that nobody reads would be taken for the next request. */
    response->close = content_length != 0;
    return TM_EDENIED;
}

static void answer_from_catalog(const struct judgement *j, const struct est_request *request,
                                struct est_response *response) {
    if (j->operation == IPC_OP_CACERTS) {
        /* RFC 7030, 4.1.3; without smime-type, which older Bouncy Castle does not take here. */
        response_der(response, 200, "application/pkcs7-mime", j->entry->cacerts, 0,
                     request->user_agent);
    } else if (j->entry->csrattrs.n == 0) {
        response_empty(response, 204); /* RFC 7030, 4.5.2 */
    } else {
        response_der(response, 200, "application/csrattrs", j->entry->csrattrs, 0,
                     request->user_agent);
    }
}

/* Another scheme is no credential that we know: the core then goes by the certificate alone. */
static void read_credentials(struct judgement *j, const struct est_request *request,
                             struct buf *scratch, struct ipc_enroll *enroll) {
    struct buf secret = {scratch->p + scratch->n, scratch->cap - scratch->n, 0, false};
    if (secret.cap > IPC_SECRET_MAX)
        secret.cap = IPC_SECRET_MAX;
    if (!request->authorization)
        return;
    enum tm_err err =
        est_basic_parse(request->authorization, enroll->user, sizeof enroll->user, &secret);
    if (err == TM_EPARSE)
        set(j, IPC_BAD_SECRET,
            "The Authorization header does not hold Basic credentials (RFC 7617): user, colon and "
            "password in base64.");
    if (err == TM_ELIMIT)
        set(j, IPC_BAD_SECRET,
            "User name and password may have at most " DIGITS(IPC_NAME_MAX) " and " DIGITS(
                IPC_SECRET_MAX) " octets.");
    if (err)
        return;
    enroll->secret = buf_bytes(&secret);
    scratch->n += secret.n;
}

/* RFC 8951, 3: base64 of DER, whatever Content-Transfer-Encoding says. What the DER holds is for
 * the core to judge. */
static void read_csr(struct judgement *j, struct bytes body, struct buf *scratch,
                     struct ipc_enroll *enroll) {
    struct buf csr = {scratch->p + scratch->n, scratch->cap - scratch->n, 0, false};
    if (csr.cap > IPC_CSR_MAX)
        csr.cap = IPC_CSR_MAX;
    enum tm_err err = est_base64_decode_lenient(body, &csr);
    if (err == TM_ELIMIT)
        set(j, IPC_TOO_LARGE,
            "The request may have at most " DIGITS(IPC_CSR_MAX) " octets of DER.");
    else if (err)
        set(j, IPC_BAD_BODY,
            "The request body is not base64: send the request's DER in base64, and nothing behind "
            "it (RFC 8951, 3).");
    else if (csr.n == 0)
        set(j, IPC_BAD_BODY,
            "The request body is empty: send the request's DER in base64 (RFC 8951, 3).");
    enroll->csr = buf_bytes(&csr);
    scratch->n += csr.n;
}

static void describe(const struct judgement *j, const struct est_request *request,
                     struct ipc_enroll *enroll) {
    enroll->id = request->id;
    enroll->operation = (uint8_t)j->operation;
    enroll->origin = IPC_ORIGIN_HTTPS;
    enroll->peer_leaf = request->peer_leaf;
    enroll->peer_chain = request->peer_chain;
    enroll->tls_exporter = request->tls_exporter;
    enroll->tls_unique = request->tls_unique;
    copy_text(enroll->label, sizeof enroll->label, j->label);
    copy_text(enroll->remote, sizeof enroll->remote, request->remote ? request->remote : "");
}

enum est_next est_service_request(struct est_service *service, const struct est_request *request,
                                  struct buf *scratch, struct ipc_enroll *ret_enroll,
                                  struct est_response *response, struct ipc_refused *ret_refused) {
    struct judgement j = judge_head(service->current, request);
    struct ipc_enroll enroll = {0};
    *ret_refused = (struct ipc_refused){0};
    if (!j.outcome && (j.operation == IPC_OP_CACERTS || j.operation == IPC_OP_CSRATTRS)) {
        answer_from_catalog(&j, request, response);
        return EST_RESPOND;
    }
    /* Who asks with a Full PKI Request stands in it, signed (RFC 5272, 3.2). */
    if (!j.outcome && j.operation != IPC_OP_FULLCMC)
        read_credentials(&j, request, scratch, &enroll);
    if (!j.outcome)
        read_csr(&j, request->body, scratch, &enroll);
    if (j.outcome) {
        refuse(service, request, &j, response, ret_refused);
        copy_text(ret_refused->user, sizeof ret_refused->user, j.record ? enroll.user : "");
        return EST_RESPOND;
    }
    describe(&j, request, &enroll);
    *ret_enroll = enroll;
    return EST_ASK_CORE;
}

/* RFC 7030, 4.2.3 and 4.4.2: a certs-only message that holds the issued certificate and no other,
 * and before it the key if it was made here. */
static void answer_issued(const struct ipc_reply *reply, const char *user_agent,
                          struct est_response *response) {
    uint8_t memory[IPC_CERT_MAX + CERTS_ONLY_OVERHEAD];
    struct buf message = BUF_ON(memory);
    if (est_certs_only_write(reply->certificate, &message)) {
        response_text(response, IPC_FAILED, "The certificate cannot be sent.", 0);
        return;
    }
    const struct est_serverkeygen parts = {reply->key_encrypted, reply->key, buf_bytes(&message)};
    if (reply->key.n > 0)
        response_key(response, &parts);
    else
        response_der(response, 200, "application/pkcs7-mime; smime-type=certs-only",
                     buf_bytes(&message), 0, user_agent);
}

static bool is_wait(enum ipc_outcome outcome) {
    return outcome == IPC_PENDING || outcome == IPC_BUSY || outcome == IPC_UNAVAILABLE;
}

/* 0 = the answer is final. */
static uint32_t retry_after(const struct ipc_reply *reply) {
    if (!is_wait((enum ipc_outcome)reply->outcome))
        return 0;
    return reply->retry_after_s ? reply->retry_after_s : RETRY_DEFAULT_S;
}

/* RFC 7030, 4.3.2: refusals, too, have the Full PKI Response as their body. */
void est_service_reply(struct est_service *service, const struct ipc_reply *reply,
                       const char *user_agent, struct est_response *response) {
    (void)service;
    enum ipc_outcome outcome = (enum ipc_outcome)reply->outcome;
    if (reply->cmc.n > 0)
        response_der(response, est_status(outcome),
                     "application/pkcs7-mime; smime-type=CMC-response", reply->cmc,
                     retry_after(reply), user_agent);
    else if (outcome == IPC_ISSUED || outcome == IPC_REPEATED)
        answer_issued(reply, user_agent, response);
    else
        response_text(response, outcome, reply->text[0] ? reply->text : ipc_outcome_name(outcome),
                      retry_after(reply));
}

void est_service_unavailable(struct est_service *service, struct est_response *response) {
    response_text(response, IPC_UNAVAILABLE,
                  "The server cannot answer now: send the same request again later.",
                  spread_retry(service));
}
