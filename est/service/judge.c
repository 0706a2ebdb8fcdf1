/* SPDX-License-Identifier: Apache-2.0 */
/* Judging heads: a table of operations, and one refusal with its sentence per rule. */
#include "est/service/judge.h"

#include <string.h>

static const struct operation {
    enum est_operation est;
    enum ipc_operation ipc;
    bool get;                 /* GET and HEAD, else POST */
    const char *content_type; /* of a request's body, NULL = has none */
    const char *other_type;   /* the sentence for another one */
} operations[] = {
    {EST_CACERTS, IPC_OP_CACERTS, .get = true},
    {EST_CSRATTRS, IPC_OP_CSRATTRS, .get = true},
    {EST_SIMPLEENROLL, IPC_OP_ENROLL, .content_type = "application/pkcs10",
     .other_type = "Content-Type must be application/pkcs10 (RFC 7030, 4.2.1)."},
    {EST_SIMPLEREENROLL, IPC_OP_REENROLL, .content_type = "application/pkcs10",
     .other_type = "Content-Type must be application/pkcs10 (RFC 7030, 4.2.2)."},
    {EST_SERVERKEYGEN, IPC_OP_SERVERKEYGEN, .content_type = "application/pkcs10",
     .other_type = "Content-Type must be application/pkcs10 (RFC 7030, 4.4.1)."},
    {EST_FULLCMC, IPC_OP_FULLCMC, .content_type = "application/pkcs7-mime; smime-type=CMC-request",
     .other_type = "Content-Type must be application/pkcs7-mime; smime-type=CMC-request (RFC 7030, "
                   "4.3.1)."},
};

static const struct operation *find_operation(enum est_operation est) {
    size_t i = 0;
    while (operations[i].est != est)
        i++;
    return &operations[i];
}

static struct judgement refuse(struct judgement j, enum ipc_outcome outcome, const char *text) {
    j.outcome = outcome;
    j.text = text;
    return j;
}

static struct judgement judge_path(const struct est_request *request, struct est_path *ret_path) {
    struct judgement j = {.operation = IPC_OP_OTHER, .record = true};
    enum tm_err err = est_path_parse(request->path, ret_path);
    /* Nobody asked the CA for anything: scanners shall not fill its log. */
    j.record = err != TM_ENOTFOUND;
    if (err)
        return refuse(
            j, IPC_BAD_PATH,
            "No EST operation has this path: it is /.well-known/est/[label/]operation, the "
            "label 1 to 64 of A-Z a-z 0-9 . _ ~ - and no operation's name (RFC 7030, "
            "3.2.2).");
    j.operation = find_operation(ret_path->operation)->ipc;
    memcpy(j.label, ret_path->label, sizeof ret_path->label);
    /* RFC 3986, 3.4: a query is part of what identifies a resource, and EST (RFC 7030, 3.2.2) has
     * none that has one. To ignore it could issue another certificate than was asked for. */
    if (request->has_query)
        return refuse(j, IPC_BAD_PATH,
                      "EST operations take no query: send the path without \"?\" and what follows "
                      "(RFC 7030, 3.2.2).");
    return j;
}

static struct judgement judge_label(struct judgement j, const struct catalog *catalog) {
    j.entry = catalog_find(catalog, j.label);
    if (j.entry)
        return j;
    return refuse(
        j, IPC_UNKNOWN_LABEL,
        j.label[0] ? "This server has no such label: its operator knows the one for your product."
                   : "This server has no default label: put a label before the operation, "
                     "/.well-known/est/label/operation.");
}

static bool is_get(const char *method) {
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static struct judgement judge_method(struct judgement j, const struct operation *operation,
                                     const char *method) {
    if (operation->get ? is_get(method) : strcmp(method, "POST") == 0)
        return j;
    j.allow = operation->get ? "GET, HEAD" : "POST";
    return refuse(j, IPC_BAD_METHOD,
                  operation->get ? "This operation is asked for with GET."
                                 : "This operation is asked for with POST.");
}

struct judgement judge_head(const struct catalog *catalog, const struct est_request *request) {
    struct est_path path;
    if (!catalog)
        return (struct judgement){.outcome = IPC_UNAVAILABLE,
                                  .text = "The server is starting: try again later."};
    struct judgement j = judge_path(request, &path);
    if (!j.outcome)
        j = judge_label(j, catalog);
    if (j.outcome)
        return j;
    const struct operation *operation = find_operation(path.operation);
    j = judge_method(j, operation, request->method);
    if (!j.outcome && operation->content_type &&
        !est_media_type_is(request->content_type, operation->content_type))
        return refuse(j, IPC_BAD_CONTENT_TYPE, operation->other_type);
    return j;
}
