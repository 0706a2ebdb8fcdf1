/* SPDX-License-Identifier: Apache-2.0 */
/* The signature on a CRL: see ca/crl.h. */
#include "ca/crl.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/auto.h"
#include "base/memfile.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

/* What follows the TBSCertList. */
static struct bytes put_signature(struct der_writer *w, const struct ca_issuer *issuer,
                                  struct bytes signature) {
    der_put_bits(w, signature);
    ca_put_signature_algorithm(w, issuer->signature);
    return der_written(w);
}

static enum tm_err hash_parts(const struct bytes parts[3], uint8_t ret[CA_HASH_SIZE]) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; good && i < 3; i++)
        good = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    good = good && EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
    if (!good)
        ERR_clear_error();
    return good ? TM_OK : TM_ECRYPTO;
}

static enum tm_err write_parts(const struct bytes parts[3], int *ret_fd) {
    AUTO_FD int fd = -1;
    enum tm_err err = memfile_new("crl", &fd);
    for (size_t i = 0; i < 3 && !err; i++)
        err = memfile_write(fd, parts[i]);
    if (!err)
        err = memfile_seal(fd);
    if (!err)
        *ret_fd = TAKE_FD(fd);
    return err;
}

static enum tm_err assemble(const struct ca_issuer *issuer, struct bytes tbs,
                            struct bytes signature, int *ret_fd, uint64_t *ret_size,
                            uint8_t ret_sha256[CA_HASH_SIZE]) {
    uint8_t tail_memory[IPC_SIGNATURE_MAX + 64], head_memory[8], sha256[CA_HASH_SIZE];
    struct der_writer tail = der_writer_on(tail_memory, sizeof tail_memory);
    struct der_writer head = der_writer_on(head_memory, sizeof head_memory);
    struct bytes end = put_signature(&tail, issuer, signature);
    der_header(&head, DER_SEQUENCE, tbs.n + end.n);
    const struct bytes parts[3] = {der_written(&head), tbs, end};
    if (tail.full || head.full)
        return TM_ELIMIT;
    enum tm_err err = ca_issuer_verify(issuer, tbs, signature);
    if (!err)
        err = hash_parts(parts, sha256);
    if (!err)
        err = write_parts(parts, ret_fd);
    if (err)
        return err;
    *ret_size = parts[0].n + parts[1].n + parts[2].n;
    memcpy(ret_sha256, sha256, sizeof sha256);
    return TM_OK;
}

enum tm_err ca_crl_assemble(const struct ca_issuer *issuer, int tbs_fd, struct bytes signature,
                            int *ret_fd, uint64_t *ret_size, uint8_t ret_sha256[CA_HASH_SIZE]) {
    struct bytes tbs;
    enum tm_err err = memfile_map(tbs_fd, IPC_TBS_FILE_MAX, &tbs);
    if (err)
        return err;
    err = assemble(issuer, tbs, signature, ret_fd, ret_size, ret_sha256);
    memfile_unmap(tbs);
    return err;
}
