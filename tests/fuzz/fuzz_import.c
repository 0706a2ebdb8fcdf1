/* SPDX-License-Identifier: Apache-2.0 */
/* Files of devices: the first octet says in which format. Whatever stands in one, it is read to its
 * end, every row that is good can be sent, and every fault is one line of text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/import_manifest.h"
#include "ca/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536
#define PAYLOAD 255 /* in the place of a format */

static void check_row(const struct ipc_import_row *row) {
    static struct ipc_import rows;
    static uint8_t room[4096];
    struct buf out = BUF_ON(room);
    if (!ca_device_id_valid(row->device))
        abort();
    rows.count = 1;
    rows.rows[0] = *row;
    if (codec_encode(&ipc_import_schema, &rows, &out))
        abort();
}

static void check_text(const char *text) {
    if (!text[0] || strchr(text, '\n'))
        abort();
}

/* What stands in a manifest behind a signature that verifies. */
static void check_payload(struct bytes json) {
    struct ipc_import_row row = {0};
    char text[IPC_TEXT_MAX + 1] = "";
    if (import_manifest_payload(json, &row, text))
        check_row(&row);
    else
        check_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t window[INPUT_MAX];
    struct import_source source;
    enum tm_err err = TM_OK;
    uint32_t line = 0;
    if (!size || size > INPUT_MAX)
        return 0;
    if (data[0] == PAYLOAD) {
        check_payload((struct bytes){data + 1, size - 1});
        return 0;
    }
    import_source_begin(&source, -1, (enum import_format)(data[0] % IMPORT_FORMATS), window,
                        sizeof window);
    memcpy(window, data + 1, size - 1);
    source.n = size - 1;
    for (size_t i = 0; !err || err == TM_EPARSE; i++) {
        struct ipc_import_row row;
        char text[IPC_TEXT_MAX + 1];
        if (i > size)
            abort();
        err = import_source_next(&source, &row, text);
        if (row.line < line)
            abort();
        line = row.line;
        if (!err)
            check_row(&row);
        else if (err == TM_EPARSE || err == TM_ELIMIT)
            check_text(text);
    }
    return 0;
}
