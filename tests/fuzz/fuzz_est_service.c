/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EST requests from any octets: method, path, Content-Type, Authorization and User-Agent in a line
 * each, then the body. A path with "?" has a query. Whatever comes, there is one complete answer or
 * one message that its codec takes; and whatever the core then says, one complete answer, of what
 * was asked for as the Full PKI Response.
 */
#include <stdlib.h>
#include <string.h>

#include "est/service/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 5
#define LINE_OCTETS 1024

static void require(bool condition) {
    if (!condition)
        abort();
}

static struct est_service *make_service(void) {
    static const uint8_t csrattrs[] = {0x30, 0x00};
    struct est_service *service;
    struct ipc_catalog entry = {.generation = 1, .count = 2, .label = "label"};
    entry.cacerts = BYTES_OF(csrattrs);
    require(est_service_new(&service) == TM_OK);
    require(est_service_catalog(service, &entry) == TM_OK);
    entry.index = 1;
    entry.is_default = 1;
    entry.csrattrs = BYTES_OF(csrattrs);
    (void)strcpy(entry.label, "other");
    require(est_service_catalog(service, &entry) == TM_OK);
    return service;
}

/* The next line as a string of its own; NULL for one that is only "-". */
static char *take_line(struct bytes *in) {
    size_t n = 0;
    while (n < in->n && n < LINE_OCTETS && in->p[n] != '\n' && in->p[n] != '\0')
        n++;
    char *line = calloc(1, n + 1);
    require(line != NULL);
    if (n > 0)
        memcpy(line, in->p, n);
    size_t skip = n < in->n ? n + 1 : n;
    in->p += skip;
    in->n -= skip;
    if (strcmp(line, "-") != 0)
        return line;
    free(line);
    return NULL;
}

static void look_at_response(const struct est_response *response) {
    size_t octets = 0;
    require(response->status >= 200 && response->status <= 599);
    require(response->header_count <= EST_HEADERS_MAX && !response->body.full);
    for (size_t i = 0; i < response->header_count; i++)
        octets += strlen(response->headers[i].name) + strlen(response->headers[i].value) + 4;
    require(octets < 512);
    require(response->body.n == 0 || response->body.p[response->body.n - 1] == '\n');
}

static void look_at_refusal(const struct ipc_refused *refused) {
    static uint8_t memory[IPC_MESSAGE_MAX];
    struct buf out = BUF_ON(memory);
    if (refused->outcome)
        require(codec_encode(&ipc_refused_schema, refused, &out) == TM_OK);
}

static void look_at_enroll(const struct ipc_enroll *enroll) {
    static uint8_t message[IPC_MESSAGE_MAX];
    struct buf out = BUF_ON(message);
    require(enroll->csr.n > 0);
    require(enroll->operation != IPC_OP_FULLCMC || (!enroll->user[0] && enroll->secret.n == 0));
    require(codec_encode(&ipc_enroll_schema, enroll, &out) == TM_OK);
}

static void reply(struct est_service *service, const struct est_request *request, struct bytes der,
                  struct est_response *response) {
    struct ipc_reply reply = {.id = request->id,
                              .outcome = (uint8_t)(1 + der.n % IPC_OUTCOME_LAST),
                              .retry_after_s = der.p[0],
                              .cmc = der};
    est_service_reply(service, &reply, request->user_agent, response);
    look_at_response(response);
    require(response->body.n > der.n);
    reply.cmc.n = 0;
    reply.certificate = der;
    est_service_reply(service, &reply, request->user_agent, response);
    look_at_response(response);
}

static void run(struct est_service *service, const struct est_request *request) {
    static uint8_t body[EST_BODY_MAX], memory[IPC_CSR_MAX + IPC_SECRET_MAX];
    struct est_response response = {.body = BUF_ON(body)};
    struct buf scratch = BUF_ON(memory);
    struct ipc_refused refused = {0};
    struct ipc_enroll enroll;
    enum tm_err head = est_service_head(service, request, (int64_t)request->body.n, IPC_CSR_MAX * 2,
                                        &response, &refused);
    require(head == TM_OK || head == TM_EDENIED);
    if (head)
        look_at_response(&response);
    look_at_refusal(&refused);
    if (est_service_request(service, request, &scratch, &enroll, &response, &refused) ==
        EST_RESPOND) {
        look_at_response(&response);
        look_at_refusal(&refused);
        return;
    }
    require(head == TM_OK || request->body.n > IPC_CSR_MAX * 2);
    look_at_enroll(&enroll);
    reply(service, request, enroll.csr, &response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct est_service *service; /* kept: only the catalog, the same for every input */
    char *lines[LINES];
    struct bytes in = {data, size};
    if (!service)
        service = make_service();
    for (size_t i = 0; i < LINES; i++)
        lines[i] = take_line(&in);
    struct est_request request = {.id = 1,
                                  .method = lines[0] ? lines[0] : "",
                                  .path = lines[1] ? lines[1] : "",
                                  .content_type = lines[2],
                                  .authorization = lines[3],
                                  .user_agent = lines[4],
                                  .body = in};
    char *query = lines[1] ? strchr(lines[1], '?') : NULL;
    request.has_query = query != NULL;
    if (query)
        *query = '\0';
    run(service, &request);
    for (size_t i = 0; i < LINES; i++)
        free(lines[i]);
    return 0;
}
