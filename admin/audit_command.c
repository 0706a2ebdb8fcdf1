/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark audit checkpoint` and `touchmark audit prove`: what the core says, printed. */
#include "admin/audit_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)

int admin_audit_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("touchmark: ", stderr);
    (void)vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return ADMIN_EXIT_REFUSED;
}

static const char *text_of(const json_t *answer, const char *key) {
    const char *text = json_string_value(json_object_get(answer, key));
    return text ? text : "";
}

int admin_audit_ask_checkpoint(struct admin_call *call, bool hurry, json_t **ret_answer) {
    call->request.verb = IPC_ADMIN_CHECKPOINT;
    call->request.all = hurry;
    call->request.cursor[0] = 0;
    return admin_ask(call, ret_answer);
}

static bool same_text(const char *a, const char *b) {
    struct audit_note first, second;
    return !audit_note_parse(bytes_str(a), &first) && !audit_note_parse(bytes_str(b), &second) &&
           bytes_equal(first.text, second.text);
}

const char *admin_audit_newest(const json_t *answer) {
    const char *note = text_of(answer, "signed"), *cosigned = text_of(answer, "cosigned");
    return same_text(note, cosigned) ? cosigned : note;
}

bool admin_audit_read(const char *note, struct audit_checkpoint *ret) {
    struct audit_note parts;
    return !audit_note_parse(bytes_str(note), &parts) && !audit_checkpoint_parse(parts.text, ret);
}

int admin_audit_checkpoint(struct admin_call *call) {
    AUTO(json_t) answer = NULL;
    if (call->json)
        return admin_request(call);
    int code = admin_audit_ask_checkpoint(call, false, &answer);
    if (code != EX_OK)
        return code;
    const char *note = admin_audit_newest(answer);
    if (!note[0])
        return admin_audit_fail("no checkpoint has been signed yet");
    return fputs(note, stdout) < 0 || fflush(stdout) ? EX_IOERR : EX_OK;
}

int admin_audit_prove(struct admin_call *call) {
    AUTO(json_t) answer = NULL;
    int code = admin_ask(call, &answer);
    if (code != EX_OK)
        return code;
    return fputs(text_of(answer, "proof"), stdout) < 0 || fflush(stdout) ? EX_IOERR : EX_OK;
}
