/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "admin/import_command.h"
#include "ipc/link.h"

#define REPLY_MS 60000
#define FRAME 8 /* type, version and count */

/* What base/codec.h makes of it: lengths of four octets before the seven texts, two numbers, the
 * count of keys. */
static size_t size_of(const struct ipc_import_row *row) {
    const char *const texts[] = {row->device, row->sku, row->hardware_revision, row->batch,
                                 row->site,   row->job, row->firmware};
    size_t n = 4 + 4 + 2 + row->key_count * sizeof row->keys[0];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        n += 4 + strlen(texts[i]);
    return n;
}

bool import_chunk_full(const struct import_chunk *chunk, const struct ipc_import_row *row) {
    return chunk->rows.count == IPC_IMPORT_ROWS_MAX ||
           FRAME + chunk->size + size_of(row) > sizeof chunk->data;
}

void import_chunk_add(struct import_chunk *chunk, const struct ipc_import_row *row) {
    chunk->rows.rows[chunk->rows.count++] = *row;
    chunk->size += size_of(row);
}

static int lost(enum tm_err err) {
    fprintf(stderr, "touchmark: no answer from touchmarkd (%s)\n", tm_err_name(err));
    return EX_UNAVAILABLE;
}

int import_chunk_send(struct import_chunk *chunk) {
    struct buf data = BUF_ON(chunk->data);
    enum tm_err err = codec_encode(&ipc_import_schema, &chunk->rows, &data);
    chunk->request.data = buf_bytes(&data);
    if (!err)
        err = ipc_send(chunk->fd, &ipc_admin_request_schema, &chunk->request);
    chunk->rows.count = chunk->size = 0;
    if (err)
        return lost(err);
    chunk->open++;
    return EX_OK;
}

int import_chunk_receive(struct import_chunk *chunk, json_t **ret_answer) {
    struct ipc_admin_reply reply;
    struct bytes message;
    enum tm_err err =
        ipc_receive(chunk->fd, chunk->packet, sizeof chunk->packet, REPLY_MS, &message);
    if (!err)
        err = codec_decode(&ipc_admin_reply_schema, message, &reply);
    if (err)
        return lost(err);
    chunk->open--;
    if (!reply.ok) {
        fprintf(stderr, "touchmark: %s\n", reply.text);
        return ADMIN_EXIT_REFUSED;
    }
    json_t *answer = json_loadb((const char *)reply.json.p, reply.json.n, 0, NULL);
    if (!answer)
        return lost(TM_EPARSE);
    *ret_answer = answer;
    return EX_OK;
}
