/* SPDX-License-Identifier: Apache-2.0 */
/* Every message schema reads the input. What one accepts must encode to the same octets: an
 * input has at most one meaning, and nothing in it is ignored. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/admin.h"
#include "ipc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union message {
    struct ipc_enroll enroll;
    struct ipc_reply reply;
    struct ipc_refused refused;
    struct ipc_catalog catalog;
    struct ipc_ticket ticket;
    struct ipc_signed signed_;
    struct ipc_key key;
    struct ipc_control control;
    struct ipc_upstream_ask upstream_ask;
    struct ipc_upstream_answer upstream_answer;
    struct ipc_metrics_answer metrics_answer;
    struct ipc_admin_request admin_request;
    struct ipc_admin_reply admin_reply;
    struct ipc_import import;
};

static const struct codec_schema *const schemas[] = {
    &ipc_enroll_schema,
    &ipc_reply_schema,
    &ipc_refused_schema,
    &ipc_catalog_schema,
    &ipc_ticket_schema,
    &ipc_signed_schema,
    &ipc_key_schema,
    &ipc_control_schema,
    &ipc_admin_request_schema,
    &ipc_admin_reply_schema,
    &ipc_upstream_ask_schema,
    &ipc_upstream_answer_schema,
    &ipc_metrics_answer_schema,
    &ipc_import_schema,
};

static void check(const struct codec_schema *schema, struct bytes in) {
    static uint8_t room[IPC_MESSAGE_MAX];
    static union message message;
    struct buf out = BUF_ON(room);
    if (schema->size > sizeof message)
        abort();
    if (codec_decode(schema, in, &message))
        return;
    if (codec_encode(schema, &message, &out) || !bytes_equal(buf_bytes(&out), in))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++)
        check(schemas[i], in);
    return 0;
}
