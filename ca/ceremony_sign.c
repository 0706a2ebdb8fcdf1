/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's certificates: built, signed by the root's key, judged, written, recorded. */
#include "base/clock.h"
#include "ca/build.h"
#include "ca/ceremony_cert.h"
#include "ca/ceremony_file.h"
#include "ca/ceremony_run.h"
#include "pki/name.h"

#include <string.h>

/* What transcript entries say of a certificate; `store` holds the texts. */
struct description {
    char subject[512], issuer[512], serial[2 * CA_SERIAL_MAX + 1];
    char not_before[CLOCK_TEXT_MAX], not_after[CLOCK_TEXT_MAX];
};

static enum tm_err describe(const struct pki_cert *cert, struct description *store,
                            struct ca_transcript_entry *entry) {
    pki_name_format(cert->subject, store->subject, sizeof store->subject);
    pki_name_format(cert->issuer, store->issuer, sizeof store->issuer);
    clock_format(cert->not_before_ms, store->not_before);
    clock_format(cert->not_after_ms, store->not_after);
    entry->subject = store->subject;
    entry->issuer = store->issuer;
    entry->serial_number = store->serial;
    entry->not_before = store->not_before;
    entry->not_after = store->not_after;
    return hex_encode(cert->serial, store->serial, sizeof store->serial);
}

/* Clocks of devices and stations are not exact, and a new CA is used at once. */
#define BACKDATE_MS INT64_C(3600000)

static enum tm_err build_tbs(const struct ca_run *run, const struct ca_held *held,
                             struct buf *out) {
    uint8_t name_memory[CA_NAME_DER_MAX];
    struct buf name = BUF_ON(name_memory);
    const struct ca_held *root = &run->held[0];
    struct ca_serial serial;
    int64_t now_ms = clock_wall_ms() / 1000 * 1000;
    enum tm_err err = ca_serial_make(now_ms, &serial);
    if (!err)
        err = ca_ceremony_name(held->ca, run->plan->environment, &name);
    if (err)
        return err;
    struct ca_ceremony_tbs tbs = {.subject = buf_bytes(&name),
                                  .issuer = buf_bytes(&name),
                                  .spki = held->spki,
                                  .signer = root->spki,
                                  .serial = &serial,
                                  .not_before_ms = now_ms - BACKDATE_MS,
                                  .not_after_ms = ca_ceremony_not_after(held->ca, now_ms),
                                  .path_len = held->ca->path_len};
    if (held != root) {
        tbs.issuer = root->view.subject;
        if (tbs.not_before_ms < root->view.not_before_ms)
            tbs.not_before_ms = root->view.not_before_ms;
        if (tbs.not_after_ms > root->view.not_after_ms)
            tbs.not_after_ms = root->view.not_after_ms;
        err = pki_cert_ski(&root->view, &tbs.signer_key_id);
    }
    return err ? err : ca_ceremony_put_tbs(&tbs, out);
}

/* Signs with the root's key, whose token is open. */
static enum tm_err sign_tbs(const struct ca_run *run, struct ca_held *held, struct bytes tbs) {
    char text[CA_KEYSTORE_TEXT_MAX];
    uint8_t signature_memory[IPC_SIGNATURE_MAX];
    struct buf signature = BUF_ON(signature_memory), out = BUF_ON(held->der_memory);
    const struct ca_held *root = &run->held[0];
    enum tm_err err =
        run->keystore->ops->sign(run->keystore, root->ca->key_label, tbs, &signature, text);
    if (err)
        return ca_run_fault(run, held->ca, err, text);
    err = ca_ceremony_put_certificate(&root->spki, tbs, buf_bytes(&signature), &out);
    if (err)
        return ca_run_fault(run, held->ca, err, "the certificate is too long");
    struct bytes der = buf_bytes(&out);
    err = ca_ceremony_verify(der, held == root ? der : root->der, text);
    if (err)
        return ca_run_fault(run, held->ca, err, text);
    held->der = der;
    if (pki_cert_parse(der, &held->view))
        return ca_run_fault(run, held->ca, TM_ECRYPTO, "the certificate made does not parse");
    return TM_OK;
}

static enum tm_err write_files(const struct ca_run *run, const struct ca_held *held, bool overwrite,
                               const char *path) {
    char text[CA_KEYSTORE_TEXT_MAX], chain_path[CA_RUN_PATH_MAX];
    enum tm_err err = ca_file_write_pem(path, held->der, overwrite, text);
    if (err)
        return ca_run_fault(run, held->ca, err, text);
    if (held == &run->held[0])
        return TM_OK;
    err = ca_run_path(run, held->ca, "-chain", chain_path);
    if (err)
        return err;
    err = ca_file_write_pem(chain_path, run->held[0].der, overwrite, text);
    return err ? ca_run_fault(run, held->ca, err, text) : TM_OK;
}

static enum tm_err record_certificate(const struct ca_run *run, const struct ca_held *held,
                                      const char *path) {
    struct description store;
    char sha256[65], spki_sha256[65];
    struct ca_transcript_entry entry = {.step = CA_STEP_CERTIFICATE,
                                        .ca = held->ca->name,
                                        .scope = held->ca->scope,
                                        .key_label = held->ca->key_label,
                                        .spki_sha256 = spki_sha256,
                                        .file = ca_said(path),
                                        .sha256 = sha256};
    enum tm_err err = describe(&held->view, &store, &entry);
    if (!err)
        err = ca_run_sha256(held->der, sha256);
    if (!err)
        err = ca_run_sha256(held->spki.whole, spki_sha256);
    return err ? ca_run_fault(run, held->ca, err, "cannot be described")
               : ca_run_record(run, &entry);
}

static enum tm_err make_certificate(const struct ca_run *run, struct ca_held *held,
                                    const char *path) {
    uint8_t tbs_memory[IPC_CERT_MAX];
    struct buf tbs = BUF_ON(tbs_memory);
    struct pki_cert view;
    struct description store;
    struct ca_transcript_entry entry = {.step = CA_STEP_SIGNING, .ca = held->ca->name};
    enum tm_err err = build_tbs(run, held, &tbs);
    if (!err)
        err = pki_tbs_parse(buf_bytes(&tbs), &view);
    if (!err)
        err = describe(&view, &store, &entry);
    if (err)
        return ca_run_fault(run, held->ca, err, "the certificate cannot be built");
    bool overwrite = ca_transcript_find(run->transcript, CA_STEP_SIGNING, NULL, held->ca->name);
    err = ca_run_record(run, &entry);
    if (!err)
        err = sign_tbs(run, held, buf_bytes(&tbs));
    if (!err)
        err = write_files(run, held, overwrite, path);
    return err ? err : record_certificate(run, held, path);
}

/* From a run that was interrupted later: the file must still be what was written. */
static enum tm_err reload_certificate(const struct ca_run *run, struct ca_held *held,
                                      const struct ca_transcript_entry *before, const char *path) {
    char sha256[65];
    enum tm_err err = ca_run_load(run, held, path);
    if (!err)
        err = ca_run_sha256(held->der, sha256);
    if (err)
        return err;
    if (!before->sha256 || strcmp(before->sha256, sha256) != 0)
        return ca_run_fail(run, TM_EDENIED, "%.300s is not the certificate that was written", path);
    return TM_OK;
}

enum tm_err ca_run_certificates(const struct ca_run *run) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++) {
        struct ca_held *held = &run->held[i];
        char path[CA_RUN_PATH_MAX];
        if (held->ca->certificate)
            continue;
        err = ca_run_path(run, held->ca, "", path);
        if (err)
            return err;
        const struct ca_transcript_entry *before =
            ca_transcript_find(run->transcript, CA_STEP_CERTIFICATE, NULL, held->ca->name);
        err = before ? reload_certificate(run, held, before, path)
                     : make_certificate(run, held, path);
    }
    return err;
}
