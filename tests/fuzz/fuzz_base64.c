/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 both ways: any text decoded, any octets encoded; the first octet is the line length. */
#include <stdlib.h>

#include "est/wire/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DATA_MAX 8192

static void require(bool condition) {
    if (!condition)
        abort();
}

static void round_trip(struct bytes data, size_t wrap) {
    static uint8_t text[3 * DATA_MAX], back[DATA_MAX];
    struct buf out = BUF_ON(text), decoded = BUF_ON(back);
    require(est_base64_encode(data, wrap, &out) == TM_OK);
    require(out.n == est_base64_size(data.n, wrap));
    require(est_base64_decode_lenient(buf_bytes(&out), &decoded) == TM_OK);
    require(bytes_equal(buf_bytes(&decoded), data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t strict_memory[DATA_MAX], lenient_memory[DATA_MAX];
    struct buf strict = BUF_ON(strict_memory), lenient = BUF_ON(lenient_memory);
    if (size < 1 || size > DATA_MAX / 2)
        return 0;
    struct bytes in = {data + 1, size - 1};
    enum tm_err err = est_base64_decode(in, &strict);
    require(err == TM_OK || strict.n == 0);
    /* what the strict one takes, the lenient one takes too */
    enum tm_err lenient_err = est_base64_decode_lenient(in, &lenient);
    require(err != TM_OK ||
            (lenient_err == TM_OK && bytes_equal(buf_bytes(&strict), buf_bytes(&lenient))));
    round_trip(in, data[0] < 3 ? 0 : data[0]);
    round_trip(buf_bytes(&lenient), 64);
    return 0;
}
