/* SPDX-License-Identifier: Apache-2.0 */
/* What all phases of a ceremony do: say what is wrong, name files, hash, record. */
#include "ca/ceremony_run.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "ca/pem.h"

enum tm_err ca_run_fail(const struct ca_run *run, enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(run->error, CONF_ERROR_MAX, format, args);
    va_end(args);
    return err;
}

enum tm_err ca_run_path(const struct ca_run *run, const char *name, const char *suffix,
                        char ret[CA_RUN_PATH_MAX]) {
    int n = snprintf(ret, CA_RUN_PATH_MAX, "%s/%s%s.pem", run->plan->out, name, suffix);
    if (n < 0 || n >= CA_RUN_PATH_MAX)
        return ca_run_fail(run, TM_ELIMIT, "out: the path is too long");
    return TM_OK;
}

enum tm_err ca_run_load(const struct ca_run *run, struct ca_held *held, const char *path) {
    char text[IPC_TEXT_MAX + 1];
    struct bytes der;
    enum tm_err err = ca_pem_load(path, &der, text);
    if (err)
        return ca_run_fail(run, err, "%s", text);
    struct buf copy = BUF_ON(held->der_memory);
    buf_put(&copy, der);
    free((void *)(uintptr_t)der.p);
    held->der = buf_bytes(&copy);
    if (copy.full || pki_cert_parse(held->der, &held->view))
        return ca_run_fail(run, TM_EPARSE, "%s: not one certificate of at most %d octets", path,
                           IPC_CERT_MAX);
    return TM_OK;
}

enum tm_err ca_run_sha256(struct bytes data, char ret[65]) {
    uint8_t hash[32];
    if (EVP_Digest(data.p, data.n, hash, NULL, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    return hex_encode(BYTES_OF(hash), ret, 65);
}

enum tm_err ca_run_record(const struct ca_run *run, const struct ca_transcript_entry *entry) {
    enum tm_err err = ca_transcript_add(run->transcript, entry, run->error);
    if (!err) {
        char line[256];
        ca_transcript_line(entry, line, sizeof line);
        run->host->step(run->host->arg, line);
    }
    return err;
}

enum tm_err ca_run_fault(const struct ca_run *run, const char *name, enum tm_err err,
                         const char *text) {
    return ca_run_fail(run, err, "CA %s: %s", name, text);
}
