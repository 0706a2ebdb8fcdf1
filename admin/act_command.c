/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark act` and `touchmark revoke`: acts that take two officers. What is signed is shown
 * first, and must be the text of the act that was named: a server that lies gets no signature over
 * anything else.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/act_sign.h"
#include "admin/command.h"
#include "admin/render.h"
#include "base/auto.h"
#include "base/clock.h"

#define FIRST_LINE "touchmark act 1\n"

AUTO_DEFINE(json_t, json_decref)

static int refused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

static int misused(const char *text) {
    fprintf(stderr, "touchmark: %s\n", text);
    return EX_USAGE;
}

/* ---- the text ---- */

/* ASCII in lines: what a terminal shows is what it is. */
static bool is_plain(const char *text) {
    for (; *text; text++)
        if (*text != '\n' && (*text < 0x20 || *text > 0x7e))
            return false;
    return true;
}

/* Does it have this line, one of those that no parameter can be? */
static bool has_line(const char *text, const char *name, const char *value) {
    char line[128];
    (void)snprintf(line, sizeof line, "\n%s: %s\n", name, value);
    return strstr(text, line) != NULL;
}

/* NULL: it is not the text of this act. */
static const char *text_of(const json_t *act, const char *id) {
    const char *text = json_string_value(json_object_get(act, "text"));
    bool good = text && is_plain(text) && strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0 &&
                has_line(text, "id", id);
    return good ? text : NULL;
}

/* ---- showing ---- */

int admin_print_act(const struct admin_call *call, json_t *act) {
    if (call->json) {
        AUTO_MEM char *line = json_dumps(act, JSON_COMPACT);
        printf("%s\n", line ? line : "");
        return EX_OK;
    }
    const char *id = json_string_value(json_object_get(act, "id"));
    const char *text = id ? text_of(act, id) : NULL;
    if (!text)
        return refused("the server's answer is no act");
    printf("%s\n", text);
    (void)json_object_del(act, "text");
    admin_render_object(act, stdout);
    return EX_OK;
}

static int written(int code) {
    return fflush(stdout) && code == EX_OK ? EX_IOERR : code;
}

/* Asks, and shows the act that comes back. */
static int ask_and_show(struct admin_call *call) {
    AUTO(json_t) act = NULL;
    int code = admin_ask(call, &act);
    return code == EX_OK ? written(admin_print_act(call, act)) : code;
}

int admin_act_show(struct admin_call *call) {
    AUTO(json_t) act = NULL;
    int code = admin_ask(call, &act);
    if (code != EX_OK || !call->text)
        return code == EX_OK ? written(admin_print_act(call, act)) : code;
    const char *text = text_of(act, call->request.serial);
    if (!text)
        return refused("the server's answer is no act of this ID");
    fputs(text, stdout);
    return written(EX_OK);
}

int admin_act_withdraw(struct admin_call *call) {
    return ask_and_show(call);
}

int admin_propose(struct admin_call *call, const char *kind, const json_t *parameters) {
    AUTO_MEM char *text = json_dumps(parameters, JSON_COMPACT);
    if (!text)
        return refused("out of memory");
    call->request.verb = IPC_ADMIN_ACT_PROPOSE;
    call->request.data = bytes_str(text);
    TEXT_SET(call->request.state, kind);
    return ask_and_show(call);
}

/* ---- signing ---- */

static int send_signature(struct admin_call *call, struct bytes signature) {
    call->request.verb = IPC_ADMIN_ACT_SIGN;
    call->request.data = signature;
    AUTO(json_t) act = NULL;
    int code = admin_ask(call, &act);
    if (code != EX_OK)
        return code;
    if (call->json)
        return written(admin_print_act(call, act));
    (void)json_object_del(act, "text"); /* it was shown already */
    admin_render_object(act, stdout);
    return written(EX_OK);
}

int admin_act_sign(struct admin_call *call) {
    uint8_t octets[ADMIN_SIGNATURE_MAX];
    struct buf signature = BUF_ON(octets);
    AUTO(json_t) act = NULL;
    if (!call->key == !call->signature)
        return misused("give either --key or --signature");
    call->request.verb = IPC_ADMIN_ACT_SHOW;
    int code = admin_ask(call, &act);
    if (code != EX_OK)
        return code;
    const char *text = text_of(act, call->request.serial);
    if (!text)
        return refused("the server's answer is no act of this ID; nothing was signed");
    if (!call->json)
        printf("%s\n", text);
    code = written(call->key ? admin_sign(call->key, bytes_str(text), &signature)
                             : admin_read_signature(call->signature, &signature));
    return code == EX_OK ? send_signature(call, buf_bytes(&signature)) : code;
}

/* ---- revoking many ---- */

static void add_text(json_t *parameters, const char *name, const char *value) {
    if (value && value[0])
        (void)json_object_set_new(parameters, name, json_string(value));
}

static void add_time(json_t *parameters, const char *name, int64_t wall_ms) {
    char text[CLOCK_TEXT_MAX];
    if (!wall_ms)
        return;
    clock_format(wall_ms, text);
    (void)strcpy(text + strlen("0000-00-00T00:00:00"), "Z"); /* it was given to the second */
    add_text(parameters, name, text);
}

static json_t *parameters_of(const struct admin_call *call) {
    const struct ipc_admin_request *q = &call->request;
    json_t *parameters = json_object();
    add_text(parameters, "device", q->device);
    add_text(parameters, "batch", q->batch);
    add_text(parameters, "job", q->job);
    add_text(parameters, "station", q->station);
    add_text(parameters, "site", q->site);
    add_text(parameters, "profile", q->profile);
    add_text(parameters, "issuer", q->issuer);
    add_time(parameters, "since", q->from_ms);
    add_time(parameters, "until", q->until_ms);
    add_text(parameters, "reason", q->reason);
    add_text(parameters, "words", call->remark);
    return parameters;
}

int admin_revoke(struct admin_call *call) {
    if (call->preview) {
        call->request.verb = IPC_ADMIN_REVOKE_PREVIEW;
        return admin_request(call);
    }
    if (!call->request.reason[0])
        return misused("--reason is missing");
    AUTO(json_t) parameters = parameters_of(call);
    return admin_propose(call, "revoke-many", parameters);
}

/* ---- a restored store ---- */

/* An act, where there are officers. */
int admin_store_accept(struct admin_call *call) {
    AUTO(json_t) answer = NULL;
    int code = admin_ask(call, &answer);
    if (code != EX_OK)
        return code;
    if (call->json || json_object_get(answer, "id"))
        return written(admin_print_act(call, answer));
    admin_render_object(answer, stdout);
    return written(EX_OK);
}
