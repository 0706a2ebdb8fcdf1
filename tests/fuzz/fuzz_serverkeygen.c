/* SPDX-License-Identifier: Apache-2.0 */
/* A serverkeygen response: the first line is its Content-Type, the rest its body. What is read can
 * be written and read the same. */
#include <stdlib.h>
#include <string.h>

#include "est/wire/serverkeygen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY 65536

static void require(bool condition) {
    if (!condition)
        abort();
}

static void round_trip(const struct est_serverkeygen *parts) {
    static uint8_t text[2 * MEMORY], memory[MEMORY];
    struct buf body = BUF_ON(text), out = BUF_ON(memory);
    struct est_serverkeygen back;
    require(est_serverkeygen_write(parts, &body) == TM_OK);
    require(est_serverkeygen_read(EST_SERVERKEYGEN_TYPE, buf_bytes(&body), &out, &back) == TM_OK);
    require(back.encrypted == parts->encrypted && bytes_equal(back.key, parts->key) &&
            bytes_equal(back.issued, parts->issued));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t memory[MEMORY];
    char type[128];
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    if (!end || (size_t)(end - data) >= sizeof type || size > MEMORY)
        return 0;
    size_t n = (size_t)(end - data);
    memcpy(type, data, n);
    type[n] = '\0';
    struct buf out = BUF_ON(memory);
    struct est_serverkeygen parts;
    if (est_serverkeygen_read(type, (struct bytes){end + 1, size - n - 1}, &out, &parts)) {
        require(out.n == 0);
        return 0;
    }
    require(parts.key.n > 0 && parts.issued.n > 0 && parts.key.n + parts.issued.n == out.n);
    round_trip(&parts);
    return 0;
}
