/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark cloud proof`: a certificate that shows a cloud that an issuer's key is ours. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)

static int misused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return EX_USAGE;
}

static int print_json(json_t *answer) {
    AUTO_MEM char *line = json_dumps(answer, JSON_COMPACT);
    return line && printf("%s\n", line) > 0 && !fflush(stdout) ? EX_OK : EX_IOERR;
}

/* A certificate, or the act by which there may be one. */
static int print(const struct admin_call *call, json_t *answer) {
    const char *pem = json_string_value(json_object_get(answer, "pem"));
    if (call->json)
        return print_json(answer);
    if (!pem)
        return admin_print_act(call, answer);
    return fputs(pem, stdout) >= 0 && !fflush(stdout) ? EX_OK : EX_IOERR;
}

int admin_cloud_proof(struct admin_call *call) {
    struct ipc_admin_request *q = &call->request;
    bool asks = q->state[0] && call->code && q->issuer[0];
    bool fetches = q->serial[0] && !q->state[0] && !q->issuer[0];
    if (asks == (q->serial[0] != '\0') || asks == fetches)
        return misused("give either CLOUD, CODE and --issuer, or --act alone");
    if (asks)
        q->data = bytes_str(call->code);
    AUTO(json_t) answer = NULL;
    int code = admin_ask(call, &answer);
    return code == EX_OK ? print(call, answer) : code;
}
