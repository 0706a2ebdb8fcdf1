/* SPDX-License-Identifier: Apache-2.0 */
/* certs-only messages in any octets; what is read is written and read the same. */
#include <stdlib.h>

#include "est/wire/certs_only.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY 65536

static void require(bool condition) {
    if (!condition)
        abort();
}

static void round_trip(struct bytes certificates) {
    static uint8_t memory[MEMORY];
    struct buf out = BUF_ON(memory);
    struct bytes back;
    enum tm_err err = est_certs_only_write(certificates, &out);
    require(err == TM_OK || out.n == 0);
    if (err)
        return;
    require(est_certs_only_read(buf_bytes(&out), &back) == TM_OK);
    require(bytes_equal(back, certificates));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes certificates, in = {data, size};
    if (est_certs_only_read(in, &certificates) == TM_OK) {
        require(certificates.n > 0);
        require(certificates.p >= data && certificates.p + certificates.n <= data + size);
        round_trip(certificates);
    }
    round_trip(in);
    return 0;
}
