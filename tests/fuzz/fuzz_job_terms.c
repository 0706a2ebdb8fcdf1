/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of jobs as leaves have them: whatever is read comes to the same text again. */
#include <stdint.h>
#include <stdlib.h>

#include "ca/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct bytes in = {data, size};
    uint8_t octets[CA_TERMS_MAX];
    struct buf out = BUF_ON(octets);
    struct ca_job job;
    if (ca_job_terms_read(in, &job))
        return 0;
    if (ca_job_terms_put(&job, &out) || !bytes_equal(buf_bytes(&out), in))
        abort();
    return 0;
}
