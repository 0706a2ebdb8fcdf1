/* SPDX-License-Identifier: Apache-2.0 */
/* Files of wrapped TPM keys: what is read can be written, and is then read the same. */
#include <stdlib.h>
#include <string.h>

#include "client/port/tpm_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tm_tpm_key key, again;
    if (tm_tpm_key_decode((struct bytes){data, size}, &key))
        return 0;
    uint8_t memory[sizeof key + 64], second[sizeof key + 64];
    struct buf out = BUF_ON(memory), rewritten = BUF_ON(second);
    if (tm_tpm_key_encode(&key, &out) || tm_tpm_key_decode(buf_bytes(&out), &again) ||
        tm_tpm_key_encode(&again, &rewritten) ||
        !bytes_equal(buf_bytes(&out), buf_bytes(&rewritten)) || again.parent != key.parent)
        abort();
    return 0;
}
