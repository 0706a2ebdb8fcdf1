/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP requests and ResponseData from anywhere: what is read lies inside of what was given; OpenSSL
 * reads the same requests; ResponseData that is read can be written again, the same octet for
 * octet.
 */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "pki/ocsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good) {
    if (!good)
        abort();
}

static void check_id(const struct pki_ocsp_cert_id *id, struct bytes in) {
    const struct bytes parts[] = {id->whole, id->name_hash, id->key_hash, id->serial};
    for (size_t i = 0; i < 4; i++)
        require(parts[i].n == 0 || (parts[i].p >= in.p && parts[i].p + parts[i].n <= in.p + in.n));
    require(id->serial.n > 0);
}

static void try_request(struct bytes in) {
    struct pki_ocsp_request request;
    if (pki_ocsp_request_parse(in, &request) != TM_OK)
        return;
    require(request.count >= 1 && request.count <= PKI_OCSP_SINGLES_MAX);
    for (size_t i = 0; i < request.count; i++)
        check_id(&request.ids[i], in);
    /* What is not heeded here may be more than OpenSSL takes, but then it reads none at all. */
    const unsigned char *p = in.p;
    OCSP_REQUEST *theirs = d2i_OCSP_REQUEST(NULL, &p, (long)in.n);
    require(!theirs || OCSP_request_onereq_count(theirs) == (int)request.count);
    OCSP_REQUEST_free(theirs);
    ERR_clear_error();
}

static void try_data(struct bytes in) {
    struct pki_ocsp_data data;
    if (pki_ocsp_data_parse(in, &data) != TM_OK)
        return;
    for (size_t i = 0; i < data.count; i++)
        check_id(&data.singles[i].id, in);
    uint8_t *memory = malloc(in.n);
    require(memory != NULL);
    struct buf out = {memory, in.n, 0, false};
    require(pki_ocsp_data_write(&data, &out) == TM_OK);
    require(bytes_equal(buf_bytes(&out), in));
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    struct pki_ocsp_cert_id id;
    try_request(in);
    try_data(in);
    if (pki_ocsp_cert_id_parse(in, &id) == TM_OK)
        check_id(&id, in);
    return 0;
}
